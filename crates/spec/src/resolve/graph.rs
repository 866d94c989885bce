//! Who reads whom: cycles, and an order in which everything comes after what it reads.

use crate::{
    codes,
    diagnostic::Sink,
    source_file::{Place, SourceFile},
};
use alluvium_model::DatasetName;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Where one dataset says that it reads another.
struct Said {
    file: Arc<SourceFile>,
    place: Place,
}

#[derive(Default)]
pub(super) struct Graph {
    reads: BTreeMap<DatasetName, BTreeMap<DatasetName, Said>>,
}

impl Graph {
    pub(super) fn node(&mut self, name: &DatasetName) {
        self.reads.entry(name.clone()).or_default();
    }

    pub(super) fn edge(&mut self, reader: &DatasetName, read: &DatasetName, file: &Arc<SourceFile>, place: Place) {
        let reads = self.reads.entry(reader.clone()).or_default();
        reads.entry(read.clone()).or_insert_with(|| Said { file: file.clone(), place });
    }

    /// Every dataset after all that it reads, ties by name. A cycle is reported, with its path, and left out.
    pub(super) fn order(&self, sink: &mut Sink) -> Vec<DatasetName> {
        let mut waits: BTreeMap<&DatasetName, BTreeSet<&DatasetName>> = self
            .reads
            .iter()
            .map(|(n, reads)| (n, reads.keys().filter(|r| self.reads.contains_key(r)).collect()))
            .collect();
        let mut order = Vec::new();
        while let Some(next) = waits.iter().find(|(_, w)| w.is_empty()).map(|(n, _)| *n) {
            waits.remove(next);
            for w in waits.values_mut() {
                w.remove(next);
            }
            order.push(next.clone());
        }
        while let Some(start) = waits.keys().next().copied() {
            let cycle = cycle(start, &waits);
            self.report(&cycle, sink);
            // What waits for the cycle is no mistake of its own.
            for n in waits.keys().copied().collect::<Vec<_>>() {
                if reaches(n, cycle[0], &waits) {
                    waits.remove(n);
                }
            }
        }
        order
    }

    fn report(&self, cycle: &[&DatasetName], sink: &mut Sink) {
        // Starts at the smallest name, so that the same cycle is always told the same way.
        let first = cycle.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(i, _)| i);
        let path: Vec<&DatasetName> = cycle.iter().cycle().skip(first).take(cycle.len() + 1).copied().collect();
        let Some(said) = path.get(1).and_then(|next| self.reads.get(path[0])?.get(next)) else { return };
        let shown: Vec<String> = path.iter().map(ToString::to_string).collect();
        let message = format!("datasets read each other in a circle: {}", shown.join(" → "));
        sink.report(codes::CYCLE, &said.file, said.place, message, "remove one of these reads".to_owned());
    }
}

type Waits<'a> = BTreeMap<&'a DatasetName, BTreeSet<&'a DatasetName>>;

/// Every dataset left waits for another one left, so walking on must come back.
fn cycle<'a>(start: &'a DatasetName, waits: &Waits<'a>) -> Vec<&'a DatasetName> {
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let Some(next) = waits.get(last).and_then(|w| w.iter().find(|n| waits.contains_key(*n))) else { return path };
        if let Some(i) = path.iter().position(|n| n == next) {
            return path.split_off(i);
        }
        path.push(next);
    }
}

fn reaches(from: &DatasetName, to: &DatasetName, waits: &Waits<'_>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(n) = open.pop() {
        if n == to {
            return true;
        }
        if seen.insert(n) {
            open.extend(waits.get(n).into_iter().flatten());
        }
    }
    false
}
