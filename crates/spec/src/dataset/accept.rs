//! `accept:` acceptance criteria of a dataset.

use crate::{
    codes,
    definition::{Accept, Thresholds, Volume},
    diagnostic::quoted,
    yaml::{Fields, Node, Reader},
};

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Accept {
    let mut accept = Accept::default();
    let Some(node) = f.take("accept") else { return accept };
    let Some(mut f) = r.fields(node, "a mapping with `invalid`, `rows` and `volume`") else { return accept };
    if let Some(n) = f.take("invalid") {
        accept.invalid = thresholds(n, r);
    }
    if let Some(n) = f.take("rows")
        && let Some(mut rows) = r.fields(n, "a mapping with `min` and `max`")
    {
        accept.min_rows = rows.take("min").and_then(|n| r.whole(n));
        accept.max_rows = rows.take("max").and_then(|n| r.whole(n));
        rows.finish(r);
        if let (Some(min), Some(max)) = (accept.min_rows, accept.max_rows)
            && min > max
        {
            r.error(codes::CONTRADICTION, n.place, format!("`min` {min} is above `max` {max}"), None);
        }
    }
    accept.volume = f.take("volume").and_then(|n| volume(n, r));
    f.not_yet(&["distribution", "freshness"], r);
    f.finish(r);
    accept
}

fn thresholds(node: &Node, r: &mut Reader<'_>) -> Thresholds {
    let mut t = Thresholds::default();
    let Some(mut f) = r.fields(node, "a mapping with `warn_above` and `error_above`") else { return t };
    t.warn_above = f.take("warn_above").and_then(|n| share(n, r));
    t.error_above = f.take("error_above").and_then(|n| share(n, r));
    f.finish(r);
    if let (Some(warn), Some(error)) = (t.warn_above, t.error_above)
        && warn > error
    {
        let help = Some("`warn_above` is the lower one".to_owned());
        r.error(codes::CONTRADICTION, node.place, "it would fail before it warns", help);
    }
    t
}

/// Commits whose median a step is compared with.
const OF_LAST: u64 = 10;
/// A median of fewer says little, and more are not looked at.
const HISTORY: std::ops::RangeInclusive<u64> = 3..=100;

fn volume(node: &Node, r: &mut Reader<'_>) -> Option<Volume> {
    let mut f = r.fields(node, "a mapping with `error_below`, `warn_below`, `warn_above` or `error_above`")?;
    let of_last = f.take("of_last");
    let mut limit = |key: &'static str| f.take(key).and_then(|n| ratio(n, r));
    let [warn_below, error_below] = [limit("warn_below"), limit("error_below")];
    let [warn_above, error_above] = [limit("warn_above"), limit("error_above")];
    let of_last = match of_last.and_then(|n| Some((n, r.whole::<u64>(n)?))) {
        Some((n, last)) if !HISTORY.contains(&last) => {
            let help = Some(format!("from {} to {}", HISTORY.start(), HISTORY.end()));
            r.error(codes::INVALID_VALUE, n.place, format!("{last} commits are no history to compare with"), help);
            OF_LAST
        }
        Some((_, last)) => last,
        None => OF_LAST,
    };
    f.finish(r);
    let crossed = |low: Option<f64>, high: Option<f64>| low.zip(high).is_some_and(|(low, high)| low > high);
    if crossed(error_below, warn_below) || crossed(warn_above, error_above) {
        let help = Some("`error_below` is the lowest, then `warn_below`, `warn_above`, `error_above`".to_owned());
        r.error(codes::CONTRADICTION, node.place, "it would fail before it warns", help);
    }
    Some(Volume { of_last, warn_below, error_below, warn_above, error_above })
}

/// `50%` or `0.5`, and any number above.
fn ratio(node: &Node, r: &mut Reader<'_>) -> Option<f64> {
    let text = r.text(node)?;
    let written = text.value.trim();
    let value = match written.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => written.parse::<f64>(),
    };
    match value {
        Ok(v) if v.is_finite() && v >= 0.0 => Some(v),
        _ => {
            let help = Some("write a percentage, as in `50%` or `300%`".to_owned());
            r.error(codes::INVALID_VALUE, text.place, format!("{} is no share", quoted(&text.value)), help);
            None
        }
    }
}

/// `5%` or `0.05`, as 0 to 1.
fn share(node: &Node, r: &mut Reader<'_>) -> Option<f64> {
    let text = r.text(node)?;
    let written = text.value.trim();
    let value = match written.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => written.parse::<f64>(),
    };
    match value {
        Ok(v) if (0.0..=1.0).contains(&v) => Some(v),
        _ => {
            let help = Some("write a percentage from 0% to 100%, as in `5%`".to_owned());
            r.error(codes::INVALID_VALUE, text.place, format!("{} is no share", quoted(&text.value)), help);
            None
        }
    }
}
