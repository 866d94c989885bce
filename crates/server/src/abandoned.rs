//! What waits in the state, and seems to be nobody's: its process was killed after it acknowledged or planned it.
//!
//! Called by `news.rs` with what each look found. A process that lives takes up what it received or planned within a moment, so what
//! two looks see unchanged is taken over. It is no harm if somebody is at it after all: plans that meet are looked at again.

use alluvium_flow::Agenda;
use alluvium_model::{DatasetName, Span};
use alluvium_spec::Project;
use alluvium_store::News;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Less than the time between two looks, and much more than a process takes that has nothing else to do.
const MOMENT: Duration = Duration::from_millis(750);

/// One thing that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    dataset: DatasetName,
    what: What,
}

/// The same as long as nobody has done anything with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// In the inbox, where whoever received it may collect more.
    Pushed(i64),
    Unplanned(String),
    /// It may wait so long for a process with its definition.
    Step {
        key: String,
        attempts: u32,
        patience: Option<Span>,
    },
}

impl Mark {
    pub(crate) fn all(news: &News, project: &Project) -> Vec<Self> {
        let pushed = news.pushed.iter().map(|(d, place)| (d, What::Pushed(*place)));
        let unplanned = news.unplanned.iter().map(|(d, event)| (d, What::Unplanned(event.to_string())));
        let steps = news.ready.iter().filter_map(|step| {
            // One of another definition would be superseded. A process that has that may live, and have its hands full.
            let own = project.datasets.get(&step.dataset)?.version == step.version;
            let patience = (!own).then_some(project.limits.lease);
            Some((&step.dataset, What::Step { key: step.key.to_string(), attempts: step.attempts, patience }))
        });
        pushed.chain(unplanned).chain(steps).map(|(d, what)| Self { dataset: d.clone(), what }).collect()
    }

    /// Nobody who lives leaves it for longer. `None`: it waits for the dataset's next time.
    fn patience(&self, agenda: &Agenda<'_>) -> Option<Duration> {
        let may_wait = agenda.may_wait(&self.dataset)?;
        Some(match &self.what {
            What::Pushed(_) => may_wait.max(MOMENT),
            What::Unplanned(_) => MOMENT,
            What::Step { patience, .. } => patience.map_or(MOMENT, Duration::from).max(MOMENT),
        })
    }
}

/// What waited when this process looked last. Holds no more than that look found.
#[derive(Debug, Default)]
pub(crate) struct Abandoned(BTreeMap<Mark, Seen>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Timestamp,
    /// It was taken over once. If it is still there, it is not for want of somebody who tries.
    taken: bool,
}

impl Abandoned {
    /// Datasets of which something waits for longer than anybody would leave it who lives; each of such things is told once.
    pub(crate) fn left(
        &mut self,
        waits: Vec<Mark>,
        agenda: &Agenda<'_>,
        busy: &BTreeSet<DatasetName>,
        now: Timestamp,
    ) -> BTreeSet<DatasetName> {
        let mut left = BTreeSet::new();
        let mut seen = BTreeMap::new();
        for mark in waits {
            let name = &mark.dataset;
            let known = self.0.get(&mark).copied();
            let mut one = known.unwrap_or(Seen { since: now, taken: false });
            // A clock may be set back.
            one.since = one.since.min(now);
            // This process is at it, or knows when it will be, or waits until what failed is mended.
            if agenda.is_busy_below(name, busy) || agenda.is_waiting(name) || agenda.is_failing(name) {
                one.since = now;
            }
            let waited = Duration::try_from(now.duration_since(one.since)).unwrap_or_default();
            if !one.taken && mark.patience(agenda).is_some_and(|patience| waited >= patience) {
                one.taken = true;
                left.insert(name.clone());
            }
            seen.insert(mark, one);
        }
        self.0 = seen;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_flow::{Summary, Turn};
    use alluvium_model::{DefinitionVersion, SeededEntropy};
    use alluvium_spec::{Environment, load};
    use alluvium_store::{Claimed, StepKind, StepRecord, StepState};

    const SECOND: i64 = 1_000;
    const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - { name: ce_id, logicalType: string }
";

    fn project(more: &str) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            ("alluvium.yaml", "name: t\nlimits: { lease: 20s }\n"),
            ("datasets/bronze/t.yaml", &format!("source: {{ http: {{ types: [t] }} }}\n{more}")),
            ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nwrite: append\n"),
            ("contracts/t.odcs.yaml", CONTRACT),
        ] {
            let at = folder.path().join(path);
            std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            std::fs::write(at, text).expect("a file");
        }
        load(folder.path(), &Environment::default()).expect("a project without mistakes")
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).expect("within the calendar")
    }

    fn name(text: &str) -> DatasetName {
        text.parse().expect("a name")
    }

    fn pushed(place: i64) -> News {
        News { pushed: BTreeMap::from([(name("bronze.t"), place)]), ..News::default() }
    }

    fn ready(version: DefinitionVersion, attempts: u32) -> News {
        let step = StepRecord {
            key: alluvium_model::StepKey::from_stored("k"),
            run: alluvium_model::RunId::from_stored("r"),
            kind: StepKind::Refine,
            dataset: name("silver.t"),
            version,
            events: Vec::new(),
            inputs: BTreeMap::from([(name("bronze.t"), Claimed { after: -1, upto: 1 })]),
            lookups: BTreeMap::new(),
            windows: None,
            watermark: None,
            state: StepState::Planned,
            attempts,
            failures: 0,
            retry_at: None,
            planned_at: at(0),
            finished_at: None,
            finished_by: None,
            committed: None,
            balance: alluvium_model::Balance::default(),
            error: None,
            original: false,
        };
        News { ready: vec![step], ..News::default() }
    }

    /// A process whose first turn is over.
    struct Process<'p> {
        project: &'p Project,
        agenda: Agenda<'p>,
        waits: Abandoned,
        busy: BTreeSet<DatasetName>,
    }

    impl<'p> Process<'p> {
        fn new(project: &'p Project) -> Self {
            let mut agenda = Agenda::new(project, at(0));
            agenda.take(at(0), &BTreeSet::new()).expect("everything");
            Self { project, agenda, waits: Abandoned::default(), busy: BTreeSet::new() }
        }

        /// What is taken over after a look that found this.
        fn looks(&mut self, millis: i64, news: &News) -> Vec<String> {
            let marks = Mark::all(news, self.project);
            self.waits.left(marks, &self.agenda, &self.busy, at(millis)).iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn what_two_looks_see_is_taken_over_once() {
        let project = project("");
        let mut process = Process::new(&project);
        assert!(process.looks(SECOND, &pushed(1)).is_empty(), "who received it may be at it");
        assert!(process.looks(2 * SECOND, &pushed(2)).is_empty(), "somebody is");
        assert_eq!(process.looks(3 * SECOND, &pushed(2)), ["bronze.t"]);
        assert!(process.looks(9 * SECOND, &pushed(2)).is_empty(), "it was tried");
        assert!(process.looks(10 * SECOND, &News::default()).is_empty());
        assert!(process.looks(11 * SECOND, &pushed(2)).is_empty(), "it came back");
        assert_eq!(process.looks(12 * SECOND, &pushed(2)), ["bronze.t"]);
        // The clock was set back.
        assert!(process.looks(-SECOND, &pushed(3)).is_empty());
        assert!(process.looks(-9 * SECOND, &pushed(3)).is_empty());
        assert_eq!(process.looks(-8 * SECOND, &pushed(3)), ["bronze.t"]);
    }

    #[test]
    fn what_this_process_does_or_will_do_is_not_abandoned() {
        let project = project("");
        let mut process = Process::new(&project);
        process.looks(SECOND, &pushed(1));
        // A turn goes on over what is made from it, so that its own waits.
        process.busy = BTreeSet::from([name("silver.t")]);
        assert!(process.looks(20 * SECOND, &pushed(1)).is_empty());
        process.busy.clear();
        process.agenda.at(&name("bronze.t"), at(60 * SECOND));
        assert!(process.looks(40 * SECOND, &pushed(1)).is_empty());
        let turn = process.agenda.take(at(60 * SECOND), &BTreeSet::new()).expect("it is due");
        process.busy = turn.datasets.clone();
        assert!(process.looks(60 * SECOND + 9, &pushed(1)).is_empty());
        process.busy.clear();
        assert_eq!(process.looks(61 * SECOND + 9, &pushed(1)), ["bronze.t"], "nor did the turn take it");
        // What failed for good waits for a person.
        let failed = Summary { failed: turn.datasets.clone(), ..Summary::default() };
        let turn = Turn { datasets: turn.datasets, failing: BTreeSet::new() };
        process.agenda.did(&turn, &failed, at(62 * SECOND), &SeededEntropy::new(1));
        process.looks(63 * SECOND, &pushed(7));
        assert!(process.looks(99 * SECOND, &pushed(7)).is_empty());
    }

    #[test]
    fn what_may_be_collected_waits_for_that() {
        let project = project("freshness: 60s\n");
        let mut process = Process::new(&project);
        process.looks(SECOND, &pushed(1));
        assert!(process.looks(40 * SECOND, &pushed(1)).is_empty());
        assert_eq!(process.looks(61 * SECOND, &pushed(1)), ["bronze.t"]);
        // What was taken from the inbox waits for nothing more.
        let unplanned = News {
            unplanned: BTreeMap::from([(name("bronze.t"), alluvium_model::EventId::from_stored("e"))]),
            ..News::default()
        };
        process.looks(70 * SECOND, &unplanned);
        assert_eq!(process.looks(71 * SECOND, &unplanned), ["bronze.t"]);
    }

    #[test]
    fn a_step_of_another_definition_is_left_to_its_process_for_a_lease() {
        let project = project("");
        let own = project.datasets[&name("silver.t")].version.clone();
        let mut process = Process::new(&project);
        process.looks(0, &ready(own.clone(), 0));
        assert_eq!(process.looks(SECOND, &ready(own.clone(), 0)), ["silver.t"]);
        process.looks(2 * SECOND, &ready(own.clone(), 1));
        assert_eq!(process.looks(3 * SECOND, &ready(own, 1)), ["silver.t"], "who took it is gone as well");
        let other = ready(DefinitionVersion::from_stored("other"), 0);
        process.looks(10 * SECOND, &other);
        assert!(process.looks(29 * SECOND, &other).is_empty());
        assert_eq!(process.looks(30 * SECOND, &other), ["silver.t"]);
    }
}
