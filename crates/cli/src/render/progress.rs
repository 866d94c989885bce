//! What a run does, while it does it: bars on a terminal, lines elsewhere, all on standard error.

use super::{
    Style, brief_time, grouped,
    heard::{Heard, not_taken, replayed, why_it_waits},
    printable, seconds, size,
};
use crate::output::say;
use alluvium_flow::{Report, Signal, runbook};
use alluvium_model::StepKey;
use alluvium_store::StepKind;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::HashMap,
    io::{self, IsTerminal},
    sync::Mutex,
    time::Duration,
};

const DRAWS_PER_SECOND: u8 = 10;
const TICK: Duration = Duration::from_millis(200);

/// Hears every signal of a run and shows them as they come.
pub struct Reporter {
    heard: Mutex<Heard>,
    shown: Shown,
}

enum Shown {
    Nothing,
    Lines(Style),
    Bars(Bars),
}

struct Bars {
    all: MultiProgress,
    style: Style,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// What a running step works on: its dataset and whether its first stage counts bytes.
    steps: HashMap<StepKey, (String, StepKind)>,
    bars: HashMap<(StepKey, &'static str), ProgressBar>,
}

impl Reporter {
    /// `quiet` for programs; `lines` when log lines come between.
    pub fn new(quiet: bool, lines: bool) -> Self {
        let style = Style::stderr();
        let shown = if quiet {
            Shown::Nothing
        } else if lines || !io::stderr().is_terminal() {
            Shown::Lines(style)
        } else {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            Shown::Bars(Bars { all, style, open: Mutex::default() })
        };
        Self { heard: Mutex::default(), shown }
    }

    /// Takes the bars off the terminal and gives what was heard.
    pub fn finish(&self) -> Heard {
        if let Shown::Bars(bars) = &self.shown {
            let _ = bars.all.clear();
        }
        std::mem::take(&mut *self.heard.lock().expect("no holder of this lock panics"))
    }
}

impl Report for Reporter {
    fn signal(&self, signal: Signal) {
        self.heard.lock().expect("no holder of this lock panics").take(&signal);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines(style) => {
                if let Some(line) = line(&signal, *style) {
                    say(&format!("{line}\n"));
                }
            }
            Shown::Bars(bars) => bars.signal(&signal),
        }
    }
}

impl Bars {
    fn signal(&self, signal: &Signal) {
        let mut open = self.open.lock().expect("no holder of this lock panics");
        match signal {
            Signal::StepStarted { step, dataset, kind, .. } => {
                open.steps.insert(step.clone(), (dataset.to_string(), *kind));
            }
            Signal::Progress { step, stage, done, total } => {
                let bar = open.bar(&self.all, step, stage);
                if *total > 0 && bar.length() != Some(*total) {
                    bar.set_length(*total);
                }
                bar.set_position(*done);
            }
            Signal::StepDone { step, .. } | Signal::StepFailed { step, .. } => open.close(step),
            Signal::RunStarted { .. }
            | Signal::Looked { .. }
            | Signal::LaidDown { .. }
            | Signal::Duplicate { .. }
            | Signal::Refused { .. }
            | Signal::Settling { .. }
            | Signal::Held { .. }
            | Signal::Adopted { .. }
            | Signal::NotTaken { .. }
            | Signal::NotLooked { .. }
            | Signal::Missed { .. }
            | Signal::Stale { .. }
            | Signal::Fresh { .. }
            | Signal::CommitsSeen
            | Signal::StepHeldBy { .. }
            | Signal::StepWaits { .. }
            | Signal::StepWaitsForSlot { .. }
            | Signal::WindowsLeft { .. }
            | Signal::StepDoneElsewhere { .. }
            | Signal::Elsewhere { .. }
            | Signal::StepDead { .. }
            | Signal::BreakerOpened { .. }
            | Signal::BreakerClosed { .. }
            | Signal::LetterReplayed { .. }
            | Signal::Rescued { .. }
            | Signal::Maintained { .. }
            | Signal::NotMaintained { .. }
            | Signal::Published { .. }
            | Signal::NotPublished { .. }
            | Signal::RunTold { .. }
            | Signal::AlertTold { .. }
            | Signal::RunFinished { .. } => {}
        }
        drop(open);
        if let Some(line) = line(signal, self.style) {
            let _ = self.all.println(line);
        }
    }
}

impl Open {
    fn bar(&mut self, all: &MultiProgress, step: &StepKey, stage: &'static str) -> &ProgressBar {
        let (dataset, kind) = self.steps.get(step).cloned().unwrap_or((String::new(), StepKind::Refine));
        self.bars.entry((step.clone(), stage)).or_insert_with(|| {
            let bar = all.add(ProgressBar::no_length());
            bar.set_style(bar_style(kind));
            bar.set_prefix(dataset);
            bar.set_message(stage);
            bar.enable_steady_tick(TICK);
            bar
        })
    }

    fn close(&mut self, step: &StepKey) {
        self.steps.remove(step);
        self.bars.retain(|(s, _), bar| {
            if s == step {
                bar.finish_and_clear();
            }
            s != step
        });
    }
}

fn bar_style(kind: StepKind) -> ProgressStyle {
    let counts = match kind {
        StepKind::Ingest => "{bytes}/{total_bytes}  {bytes_per_sec}  {elapsed}",
        StepKind::Refine
        | StepKind::Curate
        | StepKind::ReplayQuarantine
        | StepKind::Discard
        | StepKind::Rebuild
        | StepKind::Backfill
        | StepKind::Swap => "{human_pos} rows  {per_sec}  {elapsed}",
    };
    let template = format!("{{spinner}} {{prefix:<28}} {{msg:<12}} {{bar:24.cyan/dim}} {counts}");
    ProgressStyle::with_template(&template).expect("a template of known fields")
}

/// What is worth a line that stays.
pub(super) fn line(signal: &Signal, style: Style) -> Option<String> {
    Some(match signal {
        Signal::Looked { dataset, new, .. } if *new > 0 => {
            format!("{dataset}: {} new {}", grouped(*new), if *new == 1 { "file" } else { "files" })
        }
        Signal::LaidDown { dataset, events } => {
            format!("{dataset}: {} new {}", grouped(*events), if *events == 1 { "event" } else { "events" })
        }
        Signal::Settling { dataset, files, time } => {
            let what = if *files == 1 { "file" } else { "files" };
            format!("{dataset}: waiting {} s for {files} {what} to settle", seconds(micros(*time)))
        }
        Signal::StepStarted { dataset, attempt, .. } if *attempt > 1 => format!("{dataset}: attempt {attempt}"),
        Signal::StepDone { dataset, kind, outcome, recovered, .. } => {
            let b = &outcome.balance;
            let mut text = format!("{} {dataset} {}:", style.green("done"), word(*kind));
            let of_gold = matches!(kind, StepKind::Curate | StepKind::Backfill | StepKind::Swap);
            let rows = if of_gold { outcome.usage.rows_out } else { b.loaded };
            let mut parts = vec![format!(" {} rows", grouped(rows))];
            for (n, what) in
                [(b.quarantined, "quarantined"), (b.dropped, "dropped"), (b.duplicates, "duplicates"), (b.dead, "dead")]
            {
                if n > 0 {
                    parts.push(format!(" {} {what}", grouped(n)));
                }
            }
            if outcome.windows > 0 {
                parts.push(format!(" {} windows", grouped(outcome.windows)));
            }
            if *recovered {
                parts.push(" committed by an earlier run".to_owned());
            }
            text.push_str(&parts.join(","));
            text + &format!(" in {} s", seconds(outcome.usage.wall_micros))
        }
        Signal::StepFailed { dataset, code, message, retry_at, .. } => {
            let after = match retry_at {
                Some(at) => format!("; it is tried again at {}", brief_time(*at)),
                None => "; it is a dead letter".to_owned(),
            };
            format!("{} {dataset}: {}{after}", style.red(&format!("failed[{code}]")), printable(message))
        }
        Signal::StepWaits { dataset, until, why, .. } => {
            let (head, until) = (style.yellow("waits"), brief_time(*until));
            format!("{head} {dataset}: not before {until}: {}", printable(&why_it_waits(why)))
        }
        Signal::NotTaken { dataset, left } => {
            let again = left.again.map_or_else(String::new, |at| format!("; at the latest at {}", brief_time(at)));
            format!("{} {dataset}: {}{again}", style.yellow("not taken"), not_taken(left))
        }
        Signal::StepDead { dataset, error, blocks, .. } => {
            let behind = if *blocks { ", and later input waits behind it" } else { "" };
            format!("{} {dataset}: a step was given up{behind}: {}", style.red("dead letter"), printable(error))
        }
        Signal::BreakerOpened { dependency, until } => {
            let (head, what) = (style.yellow("warning"), dependency.to_string());
            format!(
                "{head} {} failed several times in a row; it is left alone until {}",
                printable(&what),
                brief_time(*until)
            )
        }
        Signal::BreakerClosed { dependency } => format!("{} works again", printable(&dependency.to_string())),
        Signal::LetterReplayed { dataset, letter, done } => match replayed(done) {
            (_, Some(why)) => {
                format!(
                    "{} {dataset}: dead letter {} stays: {}",
                    style.yellow("warning"),
                    printable(letter),
                    printable(&why)
                )
            }
            (word, None) => format!("{dataset}: dead letter {}: {}", printable(letter), word.replace('_', " ")),
        },
        Signal::Rescued { dataset, fields } => match fields.len() {
            0 => format!("{dataset}: nothing was put aside that it names and lacks"),
            n => format!("{dataset}: {} fields come from `_rescued`; its table is made anew", grouped(n as u64)),
        },
        Signal::NotLooked { dataset, code, message, .. } => {
            format!("{} {dataset}: {}", style.red(&format!("failed[{code}]")), printable(message))
        }
        Signal::Missed { dataset, files } => {
            let what = if *files == 1 { "file" } else { "files" };
            let head = style.yellow("warning");
            format!("{head} {dataset}: {} {what} found by the scan, of which no notice came", grouped(*files))
        }
        Signal::Stale { dataset, column, newest, after, is_error } => {
            let head = if *is_error { style.red("stale") } else { style.yellow("stale") };
            let newest = match newest {
                Some(at) => format!("its newest `{}` is {}", printable(column), brief_time(*at)),
                None => format!("no row has a `{}`", printable(column)),
            };
            format!("{head} {dataset}: {newest}, more than {after} ago")
        }
        Signal::Fresh { dataset } => format!("{dataset}: fresh again"),
        Signal::Maintained { dataset, done } => {
            let mut parts = Vec::new();
            if done.merged > 0 {
                parts.push(format!("{} files merged into {}", grouped(done.merged), grouped(done.into)));
            }
            if done.removed > 0 {
                let files = if done.removed == 1 { "file" } else { "files" };
                let freed = size(done.removed_bytes);
                parts.push(format!("{} unused {files} removed ({freed})", grouped(done.removed)));
            }
            format!("{dataset}: {}", parts.join(", "))
        }
        Signal::NotMaintained { dataset, code, message } => {
            let head = style.yellow(&format!("warning[{code}]"));
            format!("{head} {dataset}: its files could not be put in order: {}", printable(message))
        }
        Signal::Published { topic, sink, events } => {
            let what = if *events == 1 { "publication" } else { "publications" };
            format!("{topic}: {} {what} delivered to {sink}", grouped(*events))
        }
        Signal::NotPublished { topic, sink, code, message, again_in, .. } => {
            let head = style.yellow(&format!("warning[{code}]"));
            let then = match again_in {
                Some(wait) => format!("it is tried again in {} s", seconds(micros(*wait))),
                None => format!("it is off until its `url` changes or `alluvium resume {sink}`"),
            };
            format!("{head} {topic}: {sink} was not told: {}; {then}", printable(message))
        }
        Signal::AlertTold { alert } => {
            let (subject, summary) = (printable(&alert.subject), printable(&alert.summary));
            match alert.resolved_at {
                Some(_) => format!("alert over: {subject}: {summary}"),
                None => {
                    let way = runbook(alert.code.as_deref());
                    format!("{} {subject}: {summary} ({way})", style.yellow("alert"))
                }
            }
        }
        Signal::StepHeldBy { dataset, process } => format!("{dataset}: waiting for process {process}"),
        Signal::StepDoneElsewhere { dataset } => format!("{dataset}: done by another process"),
        Signal::Elsewhere { dataset, path, host } => {
            let (path, host) = (printable(path), printable(host.split(' ').next().unwrap_or(host)));
            format!(
                "{} {dataset}: {path} is not here; it was found on {host}, and is left to a process there",
                style.yellow("left")
            )
        }
        Signal::WindowsLeft { dataset } => format!(
            "{} {dataset}: windows of a backfill were planned under another definition than this process has, and are left to others",
            style.yellow("left")
        ),
        Signal::StepWaitsForSlot { dataset, key } => format!("{dataset}: waiting for a slot of `{key}`"),
        Signal::RunStarted { .. }
        | Signal::CommitsSeen
        | Signal::Looked { .. }
        | Signal::Duplicate { .. }
        | Signal::Refused { .. }
        | Signal::Held { .. }
        | Signal::Adopted { .. }
        | Signal::StepStarted { .. }
        | Signal::Progress { .. }
        | Signal::RunTold { .. }
        | Signal::RunFinished { .. } => return None,
    })
}

pub fn word(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Ingest => "ingest",
        StepKind::Refine => "refine",
        StepKind::Curate => "curate",
        StepKind::ReplayQuarantine => "replay",
        StepKind::Discard => "discard",
        StepKind::Rebuild => "rebuild",
        StepKind::Backfill => "backfill",
        StepKind::Swap => "swap",
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
