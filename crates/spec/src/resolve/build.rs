//! Drafts to datasets.

use super::{accept, columns, contracts, expected, graph::Graph, names::Names, turns, unique, version};
use crate::{
    codes,
    contract::Contract,
    dataset::{Body, Draft, SilverDraft, StepDraft, TrackedDraft, WriteDraft},
    definition::{Bronze, Dataset, Enrich, Gold, Kind, Silver, Step, Tracked, Write},
    diagnostic::{Sink, quoted},
    drift::Inside,
    load::Sources,
    nearest,
    source_file::Spanned,
};
use alluvium_model::{DatasetName, Layer};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Resolved {
    pub(crate) datasets: BTreeMap<DatasetName, Dataset>,
    pub(crate) contracts: BTreeMap<String, Contract>,
    pub(crate) order: Vec<DatasetName>,
}

pub(crate) fn resolve(sources: &Sources, sink: &mut Sink) -> Resolved {
    let names = Names::new(sources);
    let mut graph = Graph::default();
    for draft in sources.drafts.values() {
        graph.node(&draft.name);
        check(draft, &names, &mut graph, sink);
    }
    let mut contracts = BTreeMap::new();
    for (stem, draft) in &sources.contracts {
        let users = users(stem, sources);
        contracts.extend(contracts::complete(draft, &users, &names, &mut graph, sink).map(|c| (stem.clone(), c)));
    }
    turns::check(sources, sink);
    let order = graph.order(sink);
    let datasets = sources.drafts.values().filter_map(|d| Some((d.name.clone(), build(d, &names, &contracts)?)));
    let datasets = datasets.collect();
    Resolved { datasets, contracts, order }
}

fn users(stem: &str, sources: &Sources) -> Vec<DatasetName> {
    let uses = |d: &&Draft| d.contract.as_ref().is_some_and(|c| c.value == stem);
    sources.drafts.values().filter(uses).map(|d| d.name.clone()).collect()
}

fn check(draft: &Draft, names: &Names<'_>, graph: &mut Graph, sink: &mut Sink) {
    check_contract(draft, names, sink);
    accept::check(draft, names, sink);
    match &draft.body {
        Body::Bronze(_) | Body::Unusable => {}
        Body::Silver(s) => {
            let at = (&*draft.file, s.from.place);
            if names.check(&s.from.value, &[Layer::Bronze, Layer::Silver], at, "a silver dataset", sink) {
                if s.from.value.layer() == Layer::Silver {
                    let message = "silver from silver is not available yet in this version".to_owned();
                    sink.report(
                        codes::NOT_AVAILABLE,
                        at.0,
                        at.1,
                        message,
                        "read the bronze dataset, or use gold".to_owned(),
                    );
                }
                graph.edge(&draft.name, &s.from.value, &draft.file, s.from.place);
            }
            for e in s.steps.iter().filter_map(enrich) {
                let at = (&*draft.file, e.lookup.place);
                if names.check(&e.lookup.value, &[Layer::Silver, Layer::Gold], at, "a lookup", sink) {
                    graph.edge(&draft.name, &e.lookup.value, &draft.file, e.lookup.place);
                }
            }
            columns::silver(draft, s, names, sink);
            unique::check(draft, s, names, sink);
        }
        Body::Gold(g) => {
            for t in &g.tables {
                let at = (&*draft.file, t.place);
                let allowed = [Layer::Silver, Layer::Gold];
                if let Some(name) = names.of_table(&t.name, &allowed, at, "a gold dataset", sink) {
                    graph.edge(&draft.name, &name, &draft.file, t.place);
                }
            }
            columns::gold(draft, g, names, sink);
        }
    }
}

/// The contract exists and has an object to use.
fn check_contract(draft: &Draft, names: &Names<'_>, sink: &mut Sink) {
    let Some(c) = &draft.contract else { return };
    if !names.sources.contract_stems.contains(&c.value) {
        let help = nearest::help(&c.value, names.sources.contract_stems.iter().map(String::as_str))
            .unwrap_or_else(|| format!("write it as `contracts/{}.odcs.yaml`", c.value));
        let message = format!("there is no contract {}", quoted(&c.value));
        sink.report(codes::UNKNOWN_CONTRACT, &draft.file, c.place, message, help);
        return;
    }
    let Some(contract) = names.sources.contracts.get(&c.value) else { return };
    let (message, help) = match contract.object() {
        Some(o) if !o.columns.is_empty() => return,
        Some(o) => (format!("the object {} of this contract has no properties", quoted(&o.name.value)), None),
        None if contract.objects.is_empty() => ("this contract has no schema object".to_owned(), None),
        None => {
            let all: Vec<&str> = contract.objects.iter().map(|o| o.name.value.as_str()).collect();
            let help = format!("name the object `{}`, or the file like one of: {}", c.value, all.join(", "));
            (format!("none of this contract's objects is named {}", quoted(&c.value)), Some(help))
        }
    };
    sink.report(codes::CONTRACT_OBJECT, &draft.file, c.place, message, help);
}

fn enrich(step: &StepDraft) -> Option<&crate::dataset::EnrichDraft> {
    match step {
        StepDraft::Enrich(e) => Some(e),
        StepDraft::Normalize(_) | StepDraft::Validate | StepDraft::Sql { .. } => None,
    }
}

fn build(draft: &Draft, names: &Names<'_>, contracts: &BTreeMap<String, Contract>) -> Option<Dataset> {
    let stem = draft.contract.as_ref().map(|c| c.value.clone());
    let contract = stem.as_ref().and_then(|s| contracts.get(s));
    let said = stem.as_ref().and_then(|s| names.sources.contracts.get(s));
    let agreed = said.and_then(|c| c.step_time());
    let (kind, version) = match &draft.body {
        Body::Bronze(b) => {
            let expected = expected_of(&draft.name, names);
            let inside = inside_of(&draft.name, names);
            let required = if b.said_missing { BTreeMap::new() } else { required_by(&draft.name, names) };
            let version = version::bronze(b, &expected, &inside, &required);
            (
                Kind::Bronze(Bronze {
                    files: b.source.clone(),
                    push: b.push.clone(),
                    webhook: b.webhook.as_ref().map(|w| Box::new(w.value.clone())),
                    notified: b.notified.clone(),
                    schedule: b.schedule.clone(),
                    freshness: b.freshness,
                    batch: b.batch,
                    mode: b.mode,
                    order_by: b.order_by,
                    expected,
                    inside,
                    drift: b.drift,
                    required,
                }),
                version,
            )
        }
        Body::Silver(s) => (Kind::Silver(silver(s)), version::silver(s, contract)),
        Body::Gold(g) => {
            let mut inputs: Vec<DatasetName> = g.tables.iter().filter_map(|t| t.name.parse().ok()).collect();
            inputs.sort();
            inputs.dedup();
            let window = g.window.as_ref().map(|w| w.spec.clone());
            let origins = g.origins.clone();
            let gold = Gold { sql: g.sql.clone(), sql_line: g.sql_line, origins, inputs, window };
            (Kind::Gold(gold), version::gold(g, contract))
        }
        Body::Unusable => return None,
    };
    Some(Dataset {
        name: draft.name.clone(),
        file: draft.file.path.clone(),
        version,
        description: draft.description.clone(),
        contract: stem,
        accept: draft.accept.accept.clone(),
        concurrency: draft.turns.concurrency.iter().map(|(c, _)| c.clone()).collect(),
        throttle: draft.turns.throttle.as_ref().map(|(t, _)| t.clone()),
        effort: draft.effort.over(&names.sources.defaults, agreed),
        due: said.and_then(|c| c.due()),
        frequency: said.and_then(|c| c.frequency()),
        publish: draft.publish.iter().map(|p| p.value.clone()).collect(),
        when: draft.when.clone(),
        kind,
    })
}

fn expected_of(bronze: &DatasetName, names: &Names<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for d in names.sources.drafts.values() {
        let Body::Silver(s) = &d.body else { continue };
        let Some(object) = names.object_of(d).filter(|_| s.from.value == *bronze) else { continue };
        for c in expected::of_silver(s, object) {
            if !out.contains(&c) {
                out.push(c);
            }
        }
    }
    out
}

/// What several contracts say differently of one column, none of them says.
fn inside_of(bronze: &DatasetName, names: &Names<'_>) -> BTreeMap<String, Inside> {
    let mut out: BTreeMap<String, Inside> = BTreeMap::new();
    for d in names.sources.drafts.values() {
        let Body::Silver(s) = &d.body else { continue };
        let Some(object) = names.object_of(d).filter(|_| s.from.value == *bronze) else { continue };
        for (name, inside) in expected::inside_of(s, object) {
            let said = out.entry(name).or_insert_with(|| inside.clone());
            if *said != inside {
                *said = Inside::Any;
            }
        }
    }
    out
}

/// Nothing where some reader takes rows that lack any one column: then whatever comes can be of use.
fn required_by(bronze: &DatasetName, names: &Names<'_>) -> BTreeMap<DatasetName, BTreeSet<String>> {
    let mut out = BTreeMap::new();
    for d in names.sources.drafts.values() {
        let Body::Silver(s) = &d.body else { continue };
        let Some(object) = names.object_of(d).filter(|_| s.from.value == *bronze) else { continue };
        let required = expected::required_of(s, object);
        if required.is_empty() {
            return BTreeMap::new();
        }
        out.insert(d.name.clone(), required);
    }
    out
}

fn silver(s: &SilverDraft) -> Silver {
    let plain = |names: &[Spanned<String>]| names.iter().map(|n| n.value.clone()).collect::<Vec<_>>();
    let pairs = |p: &[(Spanned<String>, Spanned<String>)]| {
        p.iter().map(|(a, b)| (a.value.clone(), b.value.clone())).collect::<Vec<_>>()
    };
    let steps = s.steps.iter().map(|step| match step {
        StepDraft::Normalize(n) => Step::Normalize(n.step.clone()),
        StepDraft::Validate => Step::Validate,
        StepDraft::Enrich(e) => {
            Step::Enrich(Enrich { lookup: e.lookup.value.clone(), on: pairs(&e.on), take: pairs(&e.take) })
        }
        StepDraft::Sql { line, query } => Step::Sql { query: query.text.clone(), line: *line },
    });
    let write = match &s.write {
        WriteDraft::Append => Write::Append,
        WriteDraft::Upsert { keys, sequence_by, snapshots, delete_when, truncate_when, change_feed, history } => {
            Write::Upsert {
                keys: plain(keys),
                sequence_by: plain(sequence_by),
                snapshots: *snapshots,
                delete_when: delete_when.as_ref().map(|e| e.text.clone()),
                truncate_when: truncate_when.as_ref().map(|e| e.text.clone()),
                change_feed: *change_feed,
                history: history.as_ref().map(|h| match h {
                    TrackedDraft::Only(names) => Tracked::Only(plain(names)),
                    TrackedDraft::Except(names) => Tracked::Except(plain(names)),
                }),
            }
        }
    };
    let watermark = s.watermark.as_ref().map(|w| w.spec.clone());
    let cluster_by = plain(&s.cluster_by);
    Silver { from: s.from.value.clone(), steps: steps.collect(), write, watermark, cluster_by }
}
