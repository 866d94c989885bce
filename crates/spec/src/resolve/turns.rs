//! Keys that datasets share: each says the same of them.

use crate::{
    codes,
    dataset::Draft,
    diagnostic::{Sink, quoted},
    load::Sources,
};
use alluvium_model::Span;
use std::collections::{BTreeMap, btree_map::Entry};

/// What is said first of a key, by name of the dataset, is what the others have to say.
pub(super) fn check(sources: &Sources, sink: &mut Sink) {
    let mut slots: BTreeMap<&str, (u32, &Draft)> = BTreeMap::new();
    let mut rates: BTreeMap<&str, ((u32, Span, u32), &Draft)> = BTreeMap::new();
    for draft in sources.drafts.values() {
        for (c, place) in &draft.turns.concurrency {
            match slots.entry(&c.key) {
                Entry::Vacant(free) => {
                    free.insert((c.limit, draft));
                }
                Entry::Occupied(first) if first.get().0 != c.limit => {
                    let (limit, file) = (first.get().0, first.get().1.file.path.display());
                    let message = format!("the key {} has another limit elsewhere", quoted(&c.key));
                    let help = format!("{file} says {limit}; all that share a key share its limit");
                    sink.report(codes::CONTRADICTION, &draft.file, *place, message, help);
                }
                Entry::Occupied(_) => {}
            }
        }
        let Some((t, place)) = &draft.turns.throttle else { continue };
        let said = (t.limit, t.period, t.burst);
        match rates.entry(&t.key) {
            Entry::Vacant(free) => {
                free.insert((said, draft));
            }
            Entry::Occupied(first) if first.get().0 != said => {
                let ((limit, period, burst), other) = first.get();
                let message = format!("the key {} has another rate elsewhere", quoted(&t.key));
                let file = other.file.path.display();
                let help = format!("{file} says `limit: {limit}, period: {period}, burst: {burst}`");
                sink.report(codes::CONTRADICTION, &draft.file, *place, message, help);
            }
            Entry::Occupied(_) => {}
        }
    }
}
