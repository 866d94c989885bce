//! What became of a backfill, and what one would read, for people and for programs.

use super::{Align, Style, Table, grouped, plural, printable, size};
use alluvium_flow::{Backfilled, Comparison, Extent, Measure, Part};
use alluvium_model::{DatasetName, Window};
use alluvium_store::{BackfillState, StepState};
use jiff::Timestamp;
use serde::Serialize;

/// More windows that failed are counted.
const MOST_FAILED: usize = 20;

/// What a backfill would read.
#[derive(Debug, Serialize)]
pub struct Survey<'a> {
    dataset: &'a DatasetName,
    windows: Vec<Surveyed>,
    rows: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Surveyed {
    from: String,
    to: String,
    rows: u64,
    bytes: u64,
}

impl<'a> Survey<'a> {
    pub fn new(dataset: &'a DatasetName, windows: &[(Window, Extent)]) -> Self {
        let line = |(window, extent): &(Window, Extent)| {
            let (from, to) = ends(window);
            Surveyed { from, to, rows: extent.rows, bytes: extent.bytes }
        };
        let sum = |of: fn(&Extent) -> u64| windows.iter().map(|(_, e)| of(e)).sum();
        Self { dataset, windows: windows.iter().map(line).collect(), rows: sum(|e| e.rows), bytes: sum(|e| e.bytes) }
    }

    pub fn text(&self, style: Style) -> String {
        let columns = [("from", Align::Left), ("to", Align::Left), ("rows", Align::Right), ("about", Align::Right)];
        let mut table = Table::new(columns);
        for w in &self.windows {
            table.row(vec![w.from.clone(), w.to.clone(), grouped(w.rows), size(w.bytes)]);
        }
        format!(
            "{}\n{} of {} would read {} rows, about {}; nothing was changed\n",
            table.text(style),
            plural(self.windows.len() as u64, "window"),
            self.dataset,
            grouped(self.rows),
            size(self.bytes)
        )
    }
}

/// What became of one.
#[derive(Debug, Serialize)]
pub struct Told<'a> {
    id: &'a str,
    dataset: &'a DatasetName,
    state: BackfillState,
    from: String,
    to: String,
    window: String,
    windows: u64,
    made: u64,
    /// Windows that are not made, with the last error.
    missing: Vec<Missing>,
    comparison: Option<Compared>,
    /// The version of the live table that the swap made.
    table_version: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Missing {
    from: String,
    to: String,
    state: StepState,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Compared {
    same: u64,
    different: u64,
    live_rows: u64,
    new_rows: u64,
    /// The first of them.
    differences: Vec<Different>,
}

#[derive(Debug, Serialize)]
struct Different {
    from: String,
    to: String,
    live_rows: u64,
    new_rows: u64,
    measures: Vec<Measure>,
}

impl Compared {
    pub fn new(found: Comparison) -> Self {
        let Comparison { same, different, live_rows, new_rows, differences } = found;
        let differences = differences.into_iter().map(|d| {
            let (from, to) = ends(&d.window);
            Different { from, to, live_rows: d.live_rows, new_rows: d.new_rows, measures: d.measures }
        });
        Self { same, different, live_rows, new_rows, differences: differences.collect() }
    }
}

impl<'a> Told<'a> {
    pub fn new(done: &'a Backfilled) -> Self {
        let record = &done.record;
        let (from, to) = ends(&record.range);
        let missing = |p: &Part| {
            let (from, to) = ends(&p.window);
            Missing { from, to, state: p.state, error: p.error.clone() }
        };
        let missing: Vec<_> = done.parts.iter().filter(|p| !p.is_made()).map(missing).collect();
        Self {
            id: record.id.as_str(),
            dataset: &record.dataset,
            state: record.state,
            from,
            to,
            window: record.stride.to_string(),
            windows: done.parts.len() as u64,
            made: (done.parts.len() - missing.len()) as u64,
            missing,
            comparison: done.comparison().map(Compared::new),
            table_version: done.committed,
        }
    }

    pub fn text(&self, style: Style) -> String {
        let Self { dataset, id, from, to, window, .. } = self;
        let mut out = format!("backfill {id} of {dataset}, {from} to {to} by {window}: {}\n", word(self.state));
        out.push_str(&format!("{} of {} made\n", grouped(self.made), plural(self.windows, "window")));
        for m in self.missing.iter().filter(|m| m.error.is_some()).take(MOST_FAILED) {
            let error = printable(m.error.as_deref().unwrap_or_default());
            out.push_str(&format!("{} {} to {}: {error}\n", style.red("failed"), m.from, m.to));
        }
        if self.missing.len() > MOST_FAILED {
            out.push_str(&format!(
                "{} windows are not made; --format json lists them\n",
                grouped(self.missing.len() as u64)
            ));
        }
        if self.state != BackfillState::Failed
            && let Some(compared) = &self.comparison
        {
            out.push_str(&compared.text(style));
        }
        match self.state {
            BackfillState::Building | BackfillState::Failed => {
                out.push_str(&format!("after the cause is mended: alluvium backfill {dataset} --resume\n"));
            }
            BackfillState::Built => {
                out.push_str(&format!("to put it in place:        alluvium backfill {dataset} --swap\n"))
            }
            BackfillState::Swapped => {
                if let Some(version) = self.table_version {
                    out.push_str(&format!("swapped in as version {version} of {dataset}\n"));
                }
                return out;
            }
        }
        out.push_str(&format!("to throw it away:          alluvium backfill {dataset} --drop\n"));
        out
    }
}

impl Compared {
    fn text(&self, style: Style) -> String {
        if self.different == 0 {
            return format!(
                "as in the live table: {} rows in {}\n",
                grouped(self.new_rows),
                plural(self.same, "window")
            );
        }
        let mut out = format!(
            "compared with the live table: {} the same, {} not; {} rows there, {} here\n",
            plural(self.same, "window"),
            grouped(self.different),
            grouped(self.live_rows),
            grouped(self.new_rows)
        );
        let columns = [
            ("from", Align::Left),
            ("to", Align::Left),
            ("rows live", Align::Right),
            ("rows new", Align::Right),
            ("sums that differ", Align::Left),
        ];
        let mut table = Table::new(columns);
        for d in &self.differences {
            let sum = |m: &Measure| match &m.live {
                Some(live) => format!("{}: {live} → {}", printable(&m.column), m.new),
                None => format!("{}: new, {}", printable(&m.column), m.new),
            };
            let sums: Vec<String> = d.measures.iter().map(sum).collect();
            table.row(vec![d.from.clone(), d.to.clone(), grouped(d.live_rows), grouped(d.new_rows), sums.join(", ")]);
        }
        out.push_str(&table.text(style));
        let more = self.different - self.differences.len() as u64;
        if more > 0 {
            out.push_str(&format!("and {} more\n", grouped(more)));
        }
        out
    }
}

pub fn word(state: BackfillState) -> &'static str {
    match state {
        BackfillState::Building => "building",
        BackfillState::Failed => "failed",
        BackfillState::Built => "built",
        BackfillState::Swapped => "swapped",
    }
}

/// The two ends of a window; a midnight as its day.
pub fn ends(window: &Window) -> (String, String) {
    let show = |micros: i64| match Timestamp::from_microsecond(micros) {
        Ok(t) => {
            let text = t.to_string();
            text.strip_suffix("T00:00:00Z").map_or(text.clone(), str::to_owned)
        }
        Err(_) => micros.to_string(),
    };
    (show(window.from), show(window.to))
}
