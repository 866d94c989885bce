//! Keys that datasets, their sources and sinks share: each says the same of them.

use crate::rate::Said;
use crate::{
    codes,
    dataset::{Body, Draft},
    diagnostic::{Sink, quoted},
    load::Sources,
    project_file::PROJECT_FILE,
    source_file::Place,
};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
};

/// What is said first of a key, by name of the dataset, is what the others have to say.
pub(super) fn check(sources: &Sources, sink: &mut Sink) {
    let mut slots: BTreeMap<&str, (u32, &Draft)> = BTreeMap::new();
    let of_sinks = sources.rates.iter().map(|(key, said)| (key.as_str(), (*said, Path::new(PROJECT_FILE))));
    let mut rates: BTreeMap<&str, (Said, &Path)> = of_sinks.collect();
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
        for (key, said, place) in rates_of(draft) {
            match rates.entry(key) {
                Entry::Vacant(free) => {
                    free.insert((said, draft.file.path.as_path()));
                }
                Entry::Occupied(first) if first.get().0 != said => {
                    let ((limit, period, burst), file) = first.get();
                    let message = format!("the key {} has another rate elsewhere", quoted(key));
                    let file = file.display();
                    let help = format!("{file} says `limit: {limit}, period: {period}, burst: {burst}`");
                    sink.report(codes::CONTRADICTION, &draft.file, place, message, help);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
}

fn rates_of(draft: &Draft) -> impl Iterator<Item = (&str, Said, Place)> {
    let throttle = draft.turns.throttle.iter().map(|(t, place)| (t.key.as_str(), (t.limit, t.period, t.burst), *place));
    let source = match &draft.body {
        Body::Bronze(bronze) => bronze.rate.as_ref(),
        Body::Silver(_) | Body::Gold(_) | Body::Unusable => None,
    };
    let source = source.and_then(|rate| Some((rate.value.key.as_deref()?, rate.value.said(), rate.place)));
    throttle.chain(source)
}
