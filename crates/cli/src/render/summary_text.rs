//! The closing words of a run: a table, then what needs a person's eye.

use super::{
    Align, Style, Table, brief_time, diagnostic, grouped,
    heard::{Kept, NewVersion},
    printable, rate, seconds, size,
    summary::RunSummary,
};
use crate::runbooks;
use std::fmt::Write;

/// Of each list; the rest is counted. `--format json` lists more.
const MOST_LINES: usize = 20;
const ACCEPTANCE: &str = "accept:";
/// Columns left out when no dataset has anything in them.
const RARE: [&str; 5] = ["dropped", "dead", "late", "windows", "duplicates"];

impl RunSummary {
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        if self.nothing_to_do && self.objects.unsettled == 0 {
            out.push_str("nothing to do\n");
        }
        if !self.datasets.is_empty() {
            out.push_str(&self.table().text(style));
        }
        self.rules(&mut out, style);
        self.rescued(&mut out);
        self.files(&mut out, style);
        self.versions(&mut out, style);
        self.left(&mut out);
        self.failures(&mut out, style);
        let memory = self.peak_memory_bytes.map_or_else(String::new, |b| format!(", peak memory {}", size(b)));
        let run = self.run.as_ref().map_or_else(String::new, |r| format!("run {r}: "));
        let _ = writeln!(out, "{}", style.dim(&format!("{run}{} s{memory}", seconds(self.wall_micros))));
        out
    }

    fn table(&self) -> Table {
        let names = [
            "received",
            "loaded",
            "quarantined",
            "dropped",
            "duplicates",
            "dead",
            "late",
            "written",
            "windows",
            "seconds",
            "rows/s",
        ];
        let columns = std::iter::once(("dataset", Align::Left)).chain(names.map(|n| (n, Align::Right)));
        let mut table = Table::new(columns);
        for d in &self.datasets {
            let b = &d.balance;
            let counts = [b.received, b.loaded, b.quarantined, b.dropped, b.duplicates, b.dead, b.late];
            let mut row = vec![d.dataset.clone()];
            // A gold table is computed, not received: it has no balance. Only there are windows.
            let none = || "-".to_owned();
            row.extend(counts.map(|n| if d.computed { none() } else { grouped(n) }));
            row.push(grouped(d.written));
            row.push(if d.computed && d.windows > 0 { grouped(d.windows) } else { none() });
            row.push(seconds(d.wall_micros));
            row.push(rate(d.rows_in.max(b.received), d.wall_micros));
            table.row(row);
        }
        table.without(&RARE, |cell| cell == "0" || cell == "-")
    }

    fn rules(&self, out: &mut String, style: Style) {
        let columns =
            [("dataset", Align::Left), ("rule", Align::Left), ("action", Align::Left), ("rows", Align::Right)];
        let mut table = Table::new(columns);
        for d in &self.datasets {
            // What an acceptance criterion found is a note, or the failure of its step.
            for r in d.rules.iter().filter(|r| !r.rule.starts_with(ACCEPTANCE)) {
                let (rule, action) = (printable(&r.rule), printable(&r.action));
                table.row(vec![d.dataset.clone(), rule, action, grouped(r.violations)]);
            }
        }
        if !table.is_empty() {
            let _ = write!(out, "\nbroken rules\n{}", table.text(style));
        }
        for d in &self.datasets {
            if d.balance.quarantined > 0 {
                let _ = writeln!(out, "look at them: alluvium show quarantine {}", d.dataset);
            }
        }
        let mut first = true;
        for d in &self.datasets {
            for note in d.notes.iter().take(MOST_LINES) {
                let times = if note.times > 1 { format!(" ({} times)", grouped(note.times)) } else { String::new() };
                let start = if std::mem::take(&mut first) { "\n" } else { "" };
                let _ = writeln!(out, "{start}{} {}: {}{times}", style.cyan("note"), d.dataset, printable(&note.text));
            }
            more(out, d.notes.len() as u64, MOST_LINES);
        }
    }

    fn rescued(&self, out: &mut String) {
        if self.heard.looked_for_rescued && self.heard.rescued.is_empty() {
            out.push_str("\nnothing was put aside that the definition names and the table lacks\n");
        }
        for r in &self.heard.rescued {
            let rows = grouped(r.rows);
            let _ = writeln!(out, "\n{}: `{}` comes from `_rescued` in {rows} rows", r.dataset, printable(&r.field));
        }
    }

    fn left(&self, out: &mut String) {
        if !self.heard.not_taken.is_empty() {
            out.push_str("\nnot taken now; it stays where it is\n");
        }
        for left in self.heard.not_taken.iter().take(MOST_LINES) {
            let _ = writeln!(out, "  {}: {}", left.dataset, left.text);
        }
        more(out, self.heard.not_taken.len() as u64, MOST_LINES);
    }

    fn files(&self, out: &mut String, style: Style) {
        let h = &self.heard;
        section(out, "\nthe same content arrived before, and was not loaded again", &h.duplicates, |d| {
            format!("{}: {} is {}", d.dataset, printable(&d.path), printable(&d.first_path))
        });
        section(out, "\nrefused", &h.refused, |r| {
            format!("{} {}: {}: {}", style.red(r.code), r.dataset, printable(&r.path), printable(&r.reason))
        });
        section(out, "\ndead letters", &h.dead, |d| {
            format!("{}: event {}: {}", d.dataset, printable(&d.event), printable(&d.reason))
        });
        if self.objects.unsettled > 0 {
            let n = grouped(self.objects.unsettled);
            let _ = writeln!(out, "\n{n} files are still being written; the next run looks at them again");
        }
    }

    fn versions(&self, out: &mut String, style: Style) {
        for v in &self.heard.adopted {
            let what = if v.recomputed { "all of it is recomputed" } else { "rows from now on are made under it" };
            let _ = writeln!(out, "\n{}: definition {} replaces {}; {what}", v.dataset, v.now, v.active);
        }
        for v in &self.heard.held {
            let _ = writeln!(out, "\n{} {}", style.yellow("held"), changed(v));
            let first = match v.waiting {
                Some("quarantine") => (
                    "what waits and new rows, beside the older ones:",
                    format!("replay quarantine {} --adopt", v.dataset),
                ),
                Some(_) | None => ("new rows only, beside the older ones:", format!("run --adopt {}", v.dataset)),
            };
            ways(out, &[first, ("all rows once more:", format!("run --rebuild {}", v.dataset))]);
        }
        for v in &self.heard.changed {
            let _ = writeln!(out, "\n{} {}; no new input waits", style.cyan("note"), changed(v));
            let adopt = ("new rows only, beside the older ones:", format!("run --adopt {}", v.dataset));
            ways(out, &[adopt, ("all rows once more:", format!("run --rebuild {}", v.dataset))]);
        }
    }

    fn failures(&self, out: &mut String, style: Style) {
        section(out, "\nfailed", &self.heard.failed, |f| {
            let head = style.red(&format!("error[{}]", f.code));
            let next = match f.retry_at {
                Some(at) => format!("; tried again from {} on", brief_time(at)),
                None => "; a dead letter".to_owned(),
            };
            let attempts = if f.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", f.attempts) };
            let message = printable(&f.message);
            let help = style.cyan("= help:");
            format!("{head} {}: {message} ({attempts}{next})\n    {help} {}", f.dataset, f.remedy)
        });
        section(out, "\nwaiting", &self.heard.waiting, |w| {
            format!("{}: not before {}: {}", w.dataset, brief_time(w.until), printable(&w.why))
        });
        section(out, "\ndead letters of earlier runs", &self.heard.dead_steps, |d| {
            let behind = if d.blocks { "; later input waits behind it" } else { "" };
            format!("{}: {}{behind}", d.dataset, printable(&d.error))
        });
        section(out, "\ndead letters that stay", &self.heard.replayed.staying(), |l| {
            format!("{}: {}: {}", l.dataset, printable(&l.letter), printable(l.stays.as_deref().unwrap_or_default()))
        });
        if self.failed_steps > 0 {
            out.push_str("nothing of a failed step is visible; the next run tries those again whose time has come\n");
        }
        if self.heard.dead.total > 0 || self.heard.dead_steps.total > 0 || self.heard.gave_up() {
            out.push_str("when what was wrong is mended: alluvium replay dead-letters\n");
        }
        if let Some(code) = self.first_code() {
            let _ = writeln!(out, "{}", diagnostic::more(code));
        }
    }

    /// Of what failed, was given up or was refused.
    fn first_code(&self) -> Option<&str> {
        let h = &self.heard;
        let failed = h.failed.first.first().map(|f| f.code);
        let dead = || h.dead.first.first().and_then(|d| d.reason.split_once(": ")).map(|(code, _)| code);
        failed
            .or_else(|| dead().filter(|c| runbooks::find(c).is_some()))
            .or_else(|| h.refused.first.first().map(|r| r.code))
    }
}

fn changed(v: &NewVersion) -> String {
    let NewVersion { dataset, active, now, rows, .. } = v;
    let rows = grouped(*rows);
    format!("{dataset}: its definition changed from {active} to {now}, and {rows} rows were made under the older one")
}

/// What a person can say, each with the command that says it.
fn ways(out: &mut String, ways: &[(&str, String)]) {
    let width = ways.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    for (what, command) in ways {
        let _ = writeln!(out, "  {what:width$}  alluvium {command}");
    }
}

fn section<T>(out: &mut String, title: &str, kept: &Kept<T>, line: impl Fn(&T) -> String) {
    if kept.total == 0 {
        return;
    }
    let _ = writeln!(out, "{title}");
    for item in kept.first.iter().take(MOST_LINES) {
        let _ = writeln!(out, "  {}", line(item));
    }
    more(out, kept.total, MOST_LINES);
}

fn more(out: &mut String, total: u64, shown: usize) {
    if let Some(rest) = total.checked_sub(shown as u64).filter(|r| *r > 0) {
        let _ = writeln!(out, "  and {} more", grouped(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{heard::Heard, summary::Objects};
    use alluvium_flow::{Signal, Waiting};

    fn empty() -> RunSummary {
        RunSummary {
            run: None,
            complete: true,
            nothing_to_do: true,
            objects: Objects { new: 0, duplicate: 0, refused: 0, unsettled: 0, dead: 0 },
            failed_steps: 0,
            datasets: Vec::new(),
            heard: Heard::default(),
            wall_micros: 12_000,
            peak_memory_bytes: None,
        }
    }

    #[test]
    fn nothing_to_do_is_said() {
        assert_eq!(empty().text(Style::PLAIN), "nothing to do\n0.012 s\n");
    }

    #[test]
    fn a_held_dataset_comes_with_both_ways_on() {
        let mut s = RunSummary { nothing_to_do: false, complete: false, ..empty() };
        let version = |part: &[u8]| alluvium_model::DefinitionVersion::of([part]);
        s.heard.take(&Signal::Held {
            dataset: "silver.flights".parse().expect("a name"),
            active: version(b"1"),
            now: version(b"2"),
            rows: 1_234,
            waiting: Waiting::Input,
        });
        let text = s.text(Style::PLAIN);
        assert!(text.contains("alluvium run --adopt silver.flights"), "{text}");
        assert!(text.contains("alluvium run --rebuild silver.flights"), "{text}");
        assert!(text.contains("1,234 rows"), "{text}");
    }
}
