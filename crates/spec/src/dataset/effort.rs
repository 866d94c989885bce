//! `retry:`, `timeout:` and `budget:` of a dataset, and the same keys under `defaults:` of the project.
//!
//! Read as overlays: a key that is not written is taken from the project's defaults, and then from those of this file.

use crate::{
    codes,
    definition::{Backoff, Effort, Jitter, Retry, Timeout, TimeoutSource},
    diagnostic::quoted,
    yaml::{Fields, Node, Reader},
};
use alluvium_model::Span;

const JITTER: [(&str, Jitter); 2] = [("full", Jitter::Full), ("none", Jitter::None)];
/// Classes of errors that stay until somebody mends their cause.
const STAYING: [&str; 4] = ["auth", "schema", "data", "internal"];
const MOST_ATTEMPTS: u32 = 100_000;
const MOST_RATE: f64 = 100.0;

/// Half a day of trying, on average: as long as an outage that people sleep through.
const DEFAULT: Backoff = Backoff {
    max_attempts: 100,
    interval: Span::from_secs(1),
    backoff_rate: 2.0,
    max_delay: Span::from_secs(15 * 60),
    jitter: Jitter::Full,
};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EffortDraft {
    retry: RetryDraft,
    timeout: Option<Span>,
    retries_per_day: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RetryDraft {
    all: BackoffDraft,
    transient: BackoffDraft,
    throttled: BackoffDraft,
    timeout: BackoffDraft,
}

#[derive(Debug, Clone, Copy, Default)]
struct BackoffDraft {
    max_attempts: Option<u32>,
    interval: Option<Span>,
    backoff_rate: Option<f64>,
    max_delay: Option<Span>,
    jitter: Option<Jitter>,
}

pub(crate) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> EffortDraft {
    EffortDraft {
        retry: f.take("retry").map_or_else(RetryDraft::default, |n| retry(n, r)),
        timeout: f.take("timeout").and_then(|n| span(n, r)),
        retries_per_day: f.take("budget").and_then(|n| budget(n, r)),
    }
}

/// `defaults:` of alluvium.yaml.
pub(crate) fn defaults(node: &Node, r: &mut Reader<'_>) -> EffortDraft {
    let Some(mut f) = r.fields(node, "a mapping with `retry`, `timeout` and `budget`") else {
        return EffortDraft::default();
    };
    let draft = read(&mut f, r);
    f.not_yet(&["concurrency", "throttle"], r);
    f.finish(r);
    draft
}

impl EffortDraft {
    /// `agreed`: the time that the dataset's contract leaves a step.
    pub(crate) fn over(&self, defaults: &Self, agreed: Option<Span>) -> Effort {
        let from = |source| move |after| Timeout { after, source };
        let class = |of: fn(&RetryDraft) -> &BackoffDraft| {
            let layers = [&self.retry, &defaults.retry].map(|r| of(r).over(&r.all));
            layers[0].over(&layers[1]).complete()
        };
        Effort {
            retry: Retry {
                transient: class(|r| &r.transient),
                throttled: class(|r| &r.throttled),
                timeout: class(|r| &r.timeout),
            },
            timeout: self
                .timeout
                .map(from(TimeoutSource::Dataset))
                .or(agreed.map(from(TimeoutSource::Contract)))
                .or(defaults.timeout.map(from(TimeoutSource::Project))),
            retries_per_day: self.retries_per_day.or(defaults.retries_per_day),
        }
    }
}

impl BackoffDraft {
    fn over(&self, under: &Self) -> Self {
        Self {
            max_attempts: self.max_attempts.or(under.max_attempts),
            interval: self.interval.or(under.interval),
            backoff_rate: self.backoff_rate.or(under.backoff_rate),
            max_delay: self.max_delay.or(under.max_delay),
            jitter: self.jitter.or(under.jitter),
        }
    }

    fn complete(&self) -> Backoff {
        let interval = self.interval.unwrap_or(DEFAULT.interval);
        Backoff {
            max_attempts: self.max_attempts.unwrap_or(DEFAULT.max_attempts),
            interval,
            backoff_rate: self.backoff_rate.unwrap_or(DEFAULT.backoff_rate),
            // Who writes only a long interval does not mean a shorter one.
            max_delay: self.max_delay.unwrap_or_else(|| DEFAULT.max_delay.max(interval)),
            jitter: self.jitter.unwrap_or(DEFAULT.jitter),
        }
    }
}

fn retry(node: &Node, r: &mut Reader<'_>) -> RetryDraft {
    let mut draft = RetryDraft::default();
    let Some(mut f) = r.fields(node, "a mapping such as `{ max_attempts: 5, interval: 2s }`") else { return draft };
    draft.all = backoff(&mut f, node, r);
    if let Some(on) = f.take("on")
        && let Some(mut classes) = r.fields(on, "a mapping with `transient`, `throttled` and `timeout`")
    {
        for (class, draft) in
            [("transient", &mut draft.transient), ("throttled", &mut draft.throttled), ("timeout", &mut draft.timeout)]
        {
            let Some(n) = classes.take(class) else { continue };
            let Some(mut f) = r.fields(n, "a mapping such as `{ max_attempts: 5, interval: 2s }`") else { continue };
            *draft = backoff(&mut f, n, r);
            f.finish(r);
        }
        classes.finish_with(r, |key| {
            let stays = STAYING.contains(&key);
            stays.then(|| format!("errors of class `{key}` are never tried again: a person has to mend their cause"))
        });
    }
    f.finish(r);
    draft
}

fn backoff(f: &mut Fields<'_>, node: &Node, r: &mut Reader<'_>) -> BackoffDraft {
    let draft = BackoffDraft {
        max_attempts: f.take("max_attempts").and_then(|n| count(n, MOST_ATTEMPTS, r)),
        interval: f.take("interval").and_then(|n| span(n, r)),
        backoff_rate: f.take("backoff_rate").and_then(|n| rate(n, r)),
        max_delay: f.take("max_delay").and_then(|n| span(n, r)),
        jitter: f.take("jitter").and_then(|n| r.choice(n, &JITTER)).map(|j| j.value),
    };
    if let (Some(interval), Some(most)) = (draft.interval, draft.max_delay)
        && interval > most
    {
        let help = Some("`interval` is the first delay, `max_delay` the longest".to_owned());
        r.error(codes::CONTRADICTION, node.place, format!("`interval` {interval} is above `max_delay` {most}"), help);
    }
    draft
}

fn budget(node: &Node, r: &mut Reader<'_>) -> Option<u32> {
    let mut f = r.fields(node, "a mapping such as `{ retries_per_day: 50 }`")?;
    let most = f.require("retries_per_day", r).and_then(|n| count(n, u32::MAX, r));
    f.finish(r);
    most
}

/// At least one.
fn count(node: &Node, most: u32, r: &mut Reader<'_>) -> Option<u32> {
    let number: u32 = r.whole(node)?;
    if (1..=most).contains(&number) {
        return Some(number);
    }
    let help = Some("with `max_attempts: 1` a step is tried once".to_owned());
    r.error(codes::INVALID_VALUE, node.place, format!("{number} is not from 1 to {most}"), help);
    None
}

fn rate(node: &Node, r: &mut Reader<'_>) -> Option<f64> {
    let number = r.number(node)?;
    if (1.0..=MOST_RATE).contains(&number) {
        return Some(number);
    }
    let help = Some("each delay is the one before times this, as in `2`".to_owned());
    r.error(codes::INVALID_VALUE, node.place, format!("{number} is not from 1 to {MOST_RATE}"), help);
    None
}

/// A length of time that is more than none.
fn span(node: &Node, r: &mut Reader<'_>) -> Option<Span> {
    let span = r.parsed::<Span>(node)?;
    if span.value > Span::ZERO {
        return Some(span.value);
    }
    r.error(codes::INVALID_VALUE, span.place, format!("{} is no length of time", quoted("0s")), None);
    None
}
