//! `datasets/bronze/*.yaml`: where a dataset's events come from.

use super::{
    NOT_YET, accept,
    draft::{Body, BronzeDraft, Draft},
    drift, effort, publish,
    push::{self, Taken},
    turns, webhook,
};
use crate::{
    codes,
    definition::{Batch, CsvOptions, FileSource, Format, IngestMode, Notified, OrderBy, Push, WebhookSource},
    diagnostic::{Sink, quoted},
    drift::DriftPolicies,
    paths::Fence,
    project_file::{inside, object_store},
    schedule::{CatchUp, InvalidSchedule, Schedule},
    source_file::{SourceFile, Spanned},
    yaml::{self, Fields, Node, Reader},
};
use alluvium_model::{ByteSize, DatasetName, InvalidLakeUrl, LakeUrl, Span};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

const DEFAULT_SETTLE: Span = Span::from_secs(2);
const LONGEST_GLOB: usize = 1_000;
/// Of events that wait in the inbox: half of what it holds for a dataset, so that who pushes finds room meanwhile.
const MOST_PUSHED: Batch = Batch { objects: 50_000, size: ByteSize::mib(128) };
const MODES: [(&str, IngestMode); 2] = [("per_object", IngestMode::PerObject), ("batch", IngestMode::Batch)];
const CATCH_UP: [(&str, CatchUp); 2] = [("latest", CatchUp::Latest), ("none", CatchUp::None)];
const FORMATS: [(&str, Format); 4] =
    [("csv", Format::Csv), ("tsv", Format::Tsv), ("ndjson", Format::Ndjson), ("parquet", Format::Parquet)];

pub(crate) fn read(name: DatasetName, file: Arc<SourceFile>, fence: &Fence, sink: &mut Sink) -> Option<Draft> {
    let node = yaml::parse(&file.text, &file, sink)?;
    let mut r = Reader::new(&file, sink);
    let mut f = r.fields(&node, "a mapping that starts with `source: …`")?;
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let mut source = f.require("source", &mut r).and_then(|n| source(n, fence, &mut r));
    if let Some(source) = &mut source {
        source.freshness = freshness(&mut f, source, &mut r);
        source.batch = f.take("batch").and_then(|n| batch(n, source, &mut r)).unwrap_or_default();
        (source.drift, source.said_missing) = drift::read(&mut f, source.source.format, &mut r);
    }
    let accept = accept::read(&mut f, &mut r);
    let turns = turns::read(&name, &mut f, &mut r);
    let effort = effort::read(&mut f, &mut r);
    let publish = publish::read(&mut f, &mut r);
    f.not_yet(&NOT_YET, &mut r);
    f.not_yet(&["contract"], &mut r);
    f.finish_with(&mut r, super::belongs);
    Some(Draft {
        name,
        description,
        contract: None,
        accept,
        turns,
        effort,
        publish,
        when: None,
        body: Body::Bronze(Box::new(source?)),
        file,
    })
}

fn source(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<BronzeDraft> {
    let mut f = r.fields(node, "a mapping such as `{ files: landing/flights/, glob: \"*.csv\" }`")?;
    if let Some(http) = f.take("http") {
        let (push, taken) = push::read(http, fence, r)?;
        f.finish(r);
        return Some(pushed(taken, Some(push), None));
    }
    if let Some(hook) = f.take_entry("webhook").filter(|e| !e.value.is_null()) {
        let (source, taken) = webhook::read(&hook.value, fence, r)?;
        f.finish(r);
        return Some(pushed(taken, None, Some(Spanned::new(source, hook.key.place))));
    }
    let others = ["kafka", "nats", "postgres"];
    let other = others.iter().any(|k| node.get(k).is_some());
    f.not_yet(&others, r);
    let folder = if other { f.take("files") } else { f.require("files", r) }.and_then(|n| r.text(n));
    let place = folder.as_ref().and_then(|w| landing(w, fence, r));
    let glob = f.take("glob").and_then(|n| glob(n, r)).unwrap_or_else(|| "*".to_owned());
    let settle = f.take("settle").and_then(|n| r.parsed::<Span>(n)).map_or(DEFAULT_SETTLE, |s| s.value);
    let format = f.take("format").and_then(|n| r.choice(n, &FORMATS));
    let csv = csv(&mut f, format.as_ref(), r);
    let mode = f.take("mode").and_then(|n| r.choice(n, &MODES)).map(|m| m.value).unwrap_or_default();
    let schedule = f.take("schedule").and_then(|n| schedule(n, r));
    let remote = place.as_ref().and_then(|(_, remote)| remote.as_ref());
    let notified = f.take("notified_by").map_or(Some(remote.map(own_notices)), |n| notified(n, remote, r).map(Some));
    f.finish(r);
    let (path, remote) = place?;
    let source = FileSource { folder: path, remote, glob, settle, format: format.map(|f| f.value), csv };
    Some(BronzeDraft {
        source,
        folder: Some(folder?),
        push: None,
        webhook: None,
        notified: notified?,
        schedule,
        freshness: None,
        batch: Batch::default(),
        mode,
        order_by: OrderBy::default(),
        rate: None,
        drift: DriftPolicies::default(),
        said_missing: false,
    })
}

/// A folder, or a place in an object store. Which bucket may be read is for the credentials to say.
fn landing(written: &Spanned<String>, fence: &Fence, r: &mut Reader<'_>) -> Option<(PathBuf, Option<LakeUrl>)> {
    if !LakeUrl::is_meant(&written.value) {
        return inside(written, fence, r).map(|folder| (folder, None));
    }
    let pattern = written.value.contains(['*', '?', '[', '{']);
    if pattern && written.value.parse::<LakeUrl>() == Err(InvalidLakeUrl::Prefix) {
        let help =
            "write what comes before it as `files: s3://bucket/orders/`, and the rest as `glob: \"*.csv\"`".to_owned();
        r.error(codes::INVALID_VALUE, written.place, "a pattern is the `glob` beside `files`", Some(help));
        return None;
    }
    let url = object_store(written, "files", r)?;
    Some((url.to_string().into(), Some(url)))
}

/// Of the bucket that the URL names.
fn own_notices(url: &LakeUrl) -> Notified {
    let (bucket, account) = url.bucket();
    let prefix = url.prefix().iter().map(|p| format!("{p}/")).collect();
    Notified { bucket: bucket.to_owned(), account: account.map(str::to_owned), prefix }
}

fn notified(node: &Node, remote: Option<&LakeUrl>, r: &mut Reader<'_>) -> Option<Notified> {
    if remote.is_some() {
        let help = Some("leave it out: notices of that bucket make the dataset due".to_owned());
        r.error(codes::CONTRADICTION, node.place, "`files` names the bucket already", help);
        return None;
    }
    webhook::notified(node, r)
}

fn freshness(f: &mut Fields<'_>, source: &BronzeDraft, r: &mut Reader<'_>) -> Option<Span> {
    let freshness = r.parsed::<Span>(f.take("freshness")?)?;
    if source.schedule.is_some() {
        let help = Some("keep the schedule, or the freshness".to_owned());
        r.error(codes::CONTRADICTION, freshness.place, "its schedule says when it is looked at", help);
        return None;
    }
    let settle = source.source.settle;
    if freshness.value <= settle {
        let message = format!("arrivals are left alone for {settle}, so they cannot be taken in within that time");
        let help = Some("write more than `settle`, or lower that".to_owned());
        r.error(codes::CONTRADICTION, freshness.place, message, help);
        return None;
    }
    Some(freshness.value)
}

/// How much ends the collecting before the freshness does.
fn batch(node: &Node, source: &BronzeDraft, r: &mut Reader<'_>) -> Option<Batch> {
    let mut f = r.fields(node, "a mapping such as `{ objects: 1000, size: 8 MiB }`")?;
    let objects = f.take("objects").map_or(Some(None), |n| r.whole::<u64>(n).map(Some));
    let size = f.take("size").map_or(Some(None), |n| r.parsed::<ByteSize>(n).map(|s| Some(s.value)));
    f.finish(r);
    let usual = Batch::default();
    let batch = Batch { objects: objects?.unwrap_or(usual.objects), size: size?.unwrap_or(usual.size) };
    let refusal = if batch.objects == 0 || batch.size.0 == 0 {
        "a batch of nothing never comes together"
    } else if source.folder.is_none() && (batch.objects > MOST_PUSHED.objects || batch.size > MOST_PUSHED.size) {
        "pushed events wait in the inbox, and more than 50,000 or 128 MiB would fill it"
    } else if source.mode == IngestMode::PerObject {
        r.error(codes::CONTRADICTION, node.place, "with `mode: per_object` each object is a batch of its own", None);
        return None;
    } else if source.freshness.is_none() {
        let help = Some("add `freshness: 5 minutes` beside it, the longest that an arrival waits".to_owned());
        r.error(codes::CONTRADICTION, node.place, "arrivals are collected only where there is a `freshness`", help);
        return None;
    } else {
        return Some(batch);
    };
    r.error(codes::INVALID_VALUE, node.place, refusal, None);
    None
}

fn schedule(node: &Node, r: &mut Reader<'_>) -> Option<Schedule> {
    let mut f = r.fields(node, "a mapping such as `{ cron: \"0 6 * * *\", time_zone: Europe/Berlin }`")?;
    let cron = f.require("cron", r).and_then(|n| r.text(n));
    let zone = f.take("time_zone").map_or_else(|| Some(Spanned::new("UTC".to_owned(), node.place)), |n| r.text(n));
    let catch_up = f.take("catch_up").map_or(Some(CatchUp::Latest), |n| r.choice(n, &CATCH_UP).map(|c| c.value));
    f.finish(r);
    let (cron, zone) = (cron?, zone?);
    match Schedule::new(&cron.value, &zone.value, catch_up?) {
        Ok(schedule) => Some(schedule),
        Err(e) => {
            let wrong = if let InvalidSchedule::Zone(_) = e { &zone } else { &cron };
            let help = "five fields as in `0 6 * * *`, and a zone as in `Europe/Berlin`".to_owned();
            r.error(codes::INVALID_VALUE, wrong.place, format!("{}: {e}", quoted(&wrong.value)), Some(help));
            None
        }
    }
}

/// What is pushed is laid down as NDJSON; the folder follows from the lake.
fn pushed(taken: Taken, push: Option<Push>, webhook: Option<Spanned<WebhookSource>>) -> BronzeDraft {
    let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
    let glob = "*.ndjson".to_owned();
    let (folder, settle) = (PathBuf::new(), taken.settle);
    let source = FileSource { folder, remote: None, glob, settle, format: Some(Format::Ndjson), csv };
    BronzeDraft {
        source,
        folder: None,
        push,
        webhook,
        notified: None,
        schedule: None,
        freshness: None,
        batch: Batch::default(),
        mode: IngestMode::default(),
        order_by: taken.order_by,
        rate: taken.rate,
        drift: DriftPolicies::default(),
        said_missing: false,
    }
}

fn glob(node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let glob = r.name(node)?;
    if glob.value.len() > LONGEST_GLOB {
        r.error(codes::INVALID_VALUE, glob.place, "the glob is too long", None);
        return None;
    }
    match globset::GlobBuilder::new(&glob.value).literal_separator(true).build() {
        Ok(_) => Some(glob.value),
        Err(e) => {
            let message = format!("{} is no glob: {}", quoted(&glob.value), e.kind());
            r.error(codes::INVALID_VALUE, glob.place, message, None);
            None
        }
    }
}

fn csv(f: &mut Fields<'_>, format: Option<&Spanned<Format>>, r: &mut Reader<'_>) -> CsvOptions {
    let given: Vec<_> = ["delimiter", "quote", "columns"].into_iter().filter_map(|k| f.take_entry(k)).collect();
    if let Some(Format::Ndjson | Format::Parquet) = format.map(|f| f.value) {
        for e in &given {
            r.error(codes::CONTRADICTION, e.key.place, format!("`{}` is for csv and tsv", e.key.value), None);
        }
    }
    let mut sign = |key| given.iter().find(|e| e.key.value == key).and_then(|e| one_byte(&e.value, r));
    let (delimiter, quote) = (sign("delimiter"), sign("quote").unwrap_or(b'"'));
    let columns = given.iter().find(|e| e.key.value == "columns").and_then(|e| columns(&e.value, r));
    let separator = delimiter.unwrap_or(if matches!(format, Some(f) if f.value == Format::Tsv) { b'\t' } else { b',' });
    if separator == quote {
        r.error(codes::CONTRADICTION, f.place, "delimiter and quote are the same character", None);
    }
    CsvOptions { delimiter, quote, columns }
}

fn one_byte(node: &Node, r: &mut Reader<'_>) -> Option<u8> {
    let text = r.text(node)?;
    match text.value.as_bytes() {
        [b] if b.is_ascii() && !matches!(b, b'\n' | b'\r' | 0) => Some(*b),
        b"\\t" | b"tab" => Some(b'\t'),
        _ => {
            let help = Some("write one ASCII character, or `tab`".to_owned());
            r.error(codes::INVALID_VALUE, text.place, format!("{} is not one character", quoted(&text.value)), help);
            None
        }
    }
}

fn columns(node: &Node, r: &mut Reader<'_>) -> Option<Vec<String>> {
    r.list(node)?;
    let names = r.names(node)?;
    let mut seen = BTreeSet::new();
    for n in &names {
        if !seen.insert(n.value.as_str()) {
            r.error(codes::COLUMN_NAME, n.place, format!("the column {} is named twice", quoted(&n.value)), None);
        }
    }
    if names.is_empty() {
        r.error(codes::INVALID_VALUE, node.place, "there are no columns", None);
    }
    Some(names.into_iter().map(|n| n.value).collect())
}
