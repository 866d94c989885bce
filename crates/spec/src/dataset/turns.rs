//! `concurrency:` and `throttle:` of a dataset: when its steps have their turn.

use crate::{
    codes,
    definition::{Concurrency, Throttle},
    diagnostic::quoted,
    rate::{OWN, key},
    source_file::{Place, Spanned},
    yaml::{Fields, Node, Reader},
};
use alluvium_model::{DatasetName, Span};

const MOST: u32 = 1_000_000;
const SCOPES: [(&str, Scope); 2] = [("dataset", Scope::Dataset), ("project", Scope::Project)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Dataset,
    Project,
}

/// What the file says of keys that it may share with others, with the places of their limits.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnsDraft {
    pub(crate) concurrency: Vec<(Concurrency, Place)>,
    pub(crate) throttle: Option<(Throttle, Place)>,
}

pub(super) fn read(name: &DatasetName, f: &mut Fields<'_>, r: &mut Reader<'_>) -> TurnsDraft {
    TurnsDraft {
        concurrency: f.take("concurrency").map_or_else(Vec::new, |n| concurrency(n, r)),
        throttle: f.take("throttle").and_then(|n| throttle(name, n, r)),
    }
}

fn concurrency(node: &Node, r: &mut Reader<'_>) -> Vec<(Concurrency, Place)> {
    let mut all: Vec<(Concurrency, Place)> = Vec::new();
    for item in r.list(node).unwrap_or_default() {
        let Some((key, limit, shared)) = limited(item, r) else { continue };
        // One step of a dataset runs at a time, whatever is asked.
        if !shared {
            if limit.value > 1 {
                let message = "more than one step of a dataset at once is not available yet in this version";
                let help = "write 1: a dataset's steps run one after the other".to_owned();
                r.error(codes::NOT_AVAILABLE, limit.place, message, Some(help));
            }
            continue;
        }
        if all.iter().any(|(c, _)| c.key == key.value) {
            let message = format!("the key {} is named twice", quoted(&key.value));
            r.error(codes::CONTRADICTION, key.place, message, None);
            continue;
        }
        all.push((Concurrency { key: key.value, limit: limit.value }, limit.place));
    }
    all
}

/// Key and limit, and whether other datasets share them.
fn limited(item: &Node, r: &mut Reader<'_>) -> Option<(Spanned<String>, Spanned<u32>, bool)> {
    let mut f = r.fields(item, "a mapping such as `{ key: warehouse, limit: 2 }`")?;
    let key = f.require("key", r).and_then(|n| key(n, r));
    let limit = f.require("limit", r).and_then(|n| count(n, r));
    let scope = f.take("scope").map(|n| r.choice(n, &SCOPES));
    f.finish(r);
    let (key, limit) = (key?, limit?);
    let own = key.value == OWN;
    let shared = match scope {
        None => !own,
        Some(scope) => {
            let scope = scope?;
            if own && scope.value == Scope::Project {
                let help = Some("name a key of your own to share it, as in `key: warehouse`".to_owned());
                r.error(codes::CONTRADICTION, scope.place, "`dataset` is each dataset's own key", help);
                return None;
            }
            scope.value == Scope::Project
        }
    };
    Some((key, limit, shared))
}

fn throttle(name: &DatasetName, node: &Node, r: &mut Reader<'_>) -> Option<(Throttle, Place)> {
    let mut f = r.fields(node, "a mapping such as `{ limit: 10, period: 1m }`")?;
    let limit = f.require("limit", r).and_then(|n| count(n, r));
    let period = f.require("period", r).and_then(|n| r.parsed::<Span>(n));
    let burst = f.take("burst").map_or(Some(1), |n| count(n, r).map(|c| c.value));
    let key = f.take("key").map_or_else(|| Some(Spanned::new(OWN.to_owned(), node.place)), |n| key(n, r));
    f.finish(r);
    let (limit, period, burst, key) = (limit?, period?, burst?, key?);
    if period.value <= Span::ZERO {
        r.error(codes::INVALID_VALUE, period.place, "a period has to have a length", None);
        return None;
    }
    let key = if key.value == OWN { name.to_string() } else { key.value };
    Some((Throttle { key, limit: limit.value, period: period.value, burst }, limit.place))
}

/// At least one.
fn count(node: &Node, r: &mut Reader<'_>) -> Option<Spanned<u32>> {
    let number: u32 = r.whole(node)?;
    if (1..=MOST).contains(&number) {
        return Some(Spanned::new(number, node.place));
    }
    let help = (number == 0).then(|| "a limit of nothing lets nothing through".to_owned());
    r.error(codes::INVALID_VALUE, node.place, format!("{number} is not from 1 to {MOST}"), help);
    None
}
