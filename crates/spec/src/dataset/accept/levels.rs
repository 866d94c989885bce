//! `warn_below`, `error_below`, `warn_above`, `error_above`: the one way to say how far a measure may go.

use crate::{
    acceptance::Levels,
    codes,
    compatibility::scalar::instant,
    diagnostic::quoted,
    yaml::{Fields, Node, Reader, ScalarKind, Value},
};

/// A median of fewer commits says little, and more are not looked at.
const HISTORY: std::ops::RangeInclusive<u64> = 3..=100;

/// How the figures of a measure are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// `5%` or `0.05`, from 0 to 1.
    Share,
    /// `50%`, `0.5` or `3`: a share of something that may be less.
    Ratio,
    /// A whole number, 0 or more.
    Count,
    Number,
    /// A date, or a timestamp.
    Time,
}

/// All that says a level.
const WORDS: [&str; 6] = ["warn_below", "error_below", "warn_above", "error_above", "min", "max"];

/// Which levels make sense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// Less is better.
    Above,
    Both,
}

pub(super) fn levels(node: &Node, figure: Figure, sides: Sides, r: &mut Reader<'_>) -> Levels {
    let wanted = match sides {
        Sides::Above => "a mapping with `warn_above` and `error_above`",
        Sides::Both => "a mapping with `error_below`, `warn_below`, `warn_above` or `error_above`",
    };
    let Some(f) = r.fields(node, wanted) else { return Levels::default() };
    levels_of(f, node, figure, sides, Levels::default(), r)
}

/// The levels that are left in `f`, beside those that were said in other words.
pub(super) fn levels_of(
    mut f: Fields<'_>,
    node: &Node,
    figure: Figure,
    sides: Sides,
    said: Levels,
    r: &mut Reader<'_>,
) -> Levels {
    let mut level = |key: &'static str, said: Option<f64>| {
        let Some(n) = f.take(key) else { return said };
        if said.is_some() {
            let help = Some("keep one of them".to_owned());
            r.error(codes::CONTRADICTION, n.place, format!("`{key}` is said twice, in other words"), help);
        }
        number(n, figure, r)
    };
    let mut levels = said;
    levels.warn_above = level("warn_above", said.warn_above);
    levels.error_above = level("error_above", said.error_above);
    if sides == Sides::Both {
        levels.warn_below = level("warn_below", said.warn_below);
        levels.error_below = level("error_below", said.error_below);
    }
    f.finish(r);
    order(levels, node, sides, r);
    if WORDS.iter().all(|w| node.get(w).is_none()) {
        let help = Some("write how far it may go, as in `error_above: …`".to_owned());
        r.error(codes::MISSING_KEY, node.place, "there is no level in it", help);
    }
    levels
}

/// `of_last`: of so many commits the median is what a figure is a share of.
pub(super) fn of_last(node: &Node, r: &mut Reader<'_>) -> Option<u64> {
    let last = r.whole::<u64>(node)?;
    if !HISTORY.contains(&last) {
        let help = Some(format!("from {} to {}", HISTORY.start(), HISTORY.end()));
        r.error(codes::INVALID_VALUE, node.place, format!("{last} commits are no history to compare with"), help);
        return None;
    }
    Some(last)
}

fn order(levels: Levels, node: &Node, sides: Sides, r: &mut Reader<'_>) {
    let crossed = |low: Option<f64>, high: Option<f64>| low.zip(high).is_some_and(|(low, high)| low > high);
    if crossed(levels.error_below, levels.warn_below) || crossed(levels.warn_above, levels.error_above) {
        let help = match sides {
            Sides::Above => "`warn_above` is the lower one",
            Sides::Both => "`error_below` is the lowest, then `warn_below`, `warn_above`, `error_above`",
        };
        r.error(codes::CONTRADICTION, node.place, "it would fail before it warns", Some(help.to_owned()));
    } else if crossed(levels.error_below.or(levels.warn_below), levels.error_above.or(levels.warn_above)) {
        let help = Some("levels below are the lower ones, and those above the higher ones".to_owned());
        r.error(codes::CONTRADICTION, node.place, "no value is within these levels", help);
    }
}

fn number(node: &Node, figure: Figure, r: &mut Reader<'_>) -> Option<f64> {
    match figure {
        Figure::Count => r.whole::<u64>(node).map(|n| n as f64),
        Figure::Number => r.number(node),
        Figure::Time => moment(node, r),
        Figure::Share => share(node, 1.0, "write a percentage from 0% to 100%, as in `5%`", r),
        Figure::Ratio => share(node, f64::MAX, "write a percentage, as in `50%` or `300%`", r),
    }
}

/// Whether a level of it is written as a date or a timestamp.
pub(super) fn has_times(node: &Node) -> bool {
    let is =
        |n: &Node| matches!(&n.value, Value::Scalar(s) if s.kind == ScalarKind::Text && instant(&s.text).is_some());
    WORDS.iter().filter_map(|w| node.get(w)).any(is)
}

/// Microseconds since 1970, as the engine has times. Without an offset it is UTC.
fn moment(node: &Node, r: &mut Reader<'_>) -> Option<f64> {
    let text = r.text(node)?;
    let found = instant(&text.value).map(|t| t.as_microsecond() as f64);
    if found.is_none() {
        let help = Some("write it as `2013-01-31` or `2013-01-31T05:00:00Z`, as the other levels are".to_owned());
        r.error(codes::INVALID_VALUE, text.place, format!("{} is no time", quoted(&text.value)), help);
    }
    found
}

fn share(node: &Node, most: f64, help: &str, r: &mut Reader<'_>) -> Option<f64> {
    let text = r.text(node)?;
    let written = text.value.trim();
    let value = match written.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => written.parse::<f64>(),
    };
    match value {
        Ok(v) if (0.0..=most).contains(&v) => Some(v),
        _ => {
            let message = format!("{} is no share", quoted(&text.value));
            r.error(codes::INVALID_VALUE, text.place, message, Some(help.to_owned()));
            None
        }
    }
}
