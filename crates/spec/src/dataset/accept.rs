//! `accept:` acceptance criteria of a dataset.

use crate::{
    codes,
    definition::{Accept, Thresholds},
    diagnostic::quoted,
    yaml::{Fields, Node, Reader},
};

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Accept {
    let mut accept = Accept::default();
    let Some(node) = f.take("accept") else { return accept };
    let Some(mut f) = r.fields(node, "a mapping with `invalid` and `rows`") else { return accept };
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
    f.not_yet(&["distribution", "freshness", "volume"], r);
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
