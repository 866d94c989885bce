//! What the events of one key say, in their order: which of them show as versions, and from when to when. Pure.
//!
//! An event shows when it is no deletion and the next one does not say the same. Its version starts at the first of the
//! events in a row that say the same, and ends at the next event after them. So adding an event changes only the ones
//! around it, and only they have to be known.

/// A place among the sequences at hand.
pub(super) type Value = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// `None`: stored, and with no new event right before or after it; so it stays as it is.
    pub(super) known: Option<Known>,
    /// Stored in the table, as the last event of a version.
    pub(super) shown: bool,
    /// Another event has its sequence and stands in its place. Only of events that are shown.
    pub(super) replaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) deletes: bool,
    /// Equal for events that say the same.
    pub(super) tracked: u128,
    pub(super) at: Value,
    /// From when to when, of one that is shown.
    pub(super) span: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Value,
    /// `None`: until now.
    pub(super) end: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Now {
    Hidden,
    Shown(Span),
}

/// A hidden event that deletes nothing is always followed by a shown one of its version. Here that one was not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// For each event that is known and not replaced, what it is now. `events` ascend by sequence.
pub(super) fn replay(events: &[Event]) -> Result<Vec<Option<Now>>, Lost> {
    let covers = covers(events);
    let standing: Vec<usize> = (0..events.len()).filter(|i| !events[*i].replaced).collect();
    let mut starts = vec![0; events.len()];
    let mut last_known: Option<usize> = None;
    for (nth, i) in standing.iter().copied().enumerate() {
        let Some(event) = events[i].known else { continue };
        let before = nth.checked_sub(1).map(|n| standing[n]);
        starts[i] = match before.map(|b| (b, events[b].known)) {
            Some((b, Some(known))) if continues(known, event) => starts[b],
            // What lies between is as it was: either the last known one is of the same version, or that starts behind it.
            Some((_, None)) if !event.deletes => match last_known {
                Some(k) if covers[k] == covers[i] && events[k].known.is_some_and(|k| !k.deletes) => starts[k],
                _ => covers[i].and_then(|c| events[c].known?.span).ok_or(Lost)?.start,
            },
            _ => event.at,
        };
        last_known = Some(i);
    }
    let mut now = vec![None; events.len()];
    for (nth, i) in standing.iter().copied().enumerate() {
        let Some(event) = events[i].known else { continue };
        let shown = |end| Now::Shown(Span { start: starts[i], end });
        let after = standing.get(nth + 1).map(|a| events[*a].known);
        now[i] = Some(match (event.deletes, after) {
            (true, _) => Now::Hidden,
            (false, None) => shown(None),
            (false, Some(Some(next))) if continues(event, next) => Now::Hidden,
            (false, Some(Some(next))) => shown(Some(next.at)),
            // The next one is as it was, and so it is as it was to it.
            (false, Some(None)) => event.span.map_or(Now::Hidden, |s| shown(s.end)),
        });
    }
    Ok(now)
}

/// Whether two events in a row belong to one version.
fn continues(a: Known, b: Known) -> bool {
    !a.deletes && !b.deletes && a.tracked == b.tracked
}

/// For each event the shown one that it, if it was no deletion, stood for before: the next one.
fn covers(events: &[Event]) -> Vec<Option<usize>> {
    let mut next = None;
    let mut covers = vec![None; events.len()];
    for i in (0..events.len()).rev() {
        if events[i].shown {
            next = Some(i);
        }
        covers[i] = next;
    }
    covers
}

#[cfg(test)]
mod tests {
    use super::{super::needed::needed, *};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Sequence, whether it deletes, what it says.
    type Plain = (u32, bool, u8);

    /// What is kept of a key: by sequence, the event and how it shows.
    type Kept = BTreeMap<u32, (Plain, Option<Span>)>;

    fn model(events: &BTreeMap<u32, Plain>) -> Vec<(u32, u32, Option<u32>)> {
        let mut versions: Vec<(u32, u8, u32, Option<u32>)> = Vec::new();
        let mut open = false;
        for (at, deletes, says) in events.values() {
            match versions.last_mut().filter(|_| open) {
                Some((last, old, ..)) if !deletes && old == says => *last = *at,
                last => {
                    if let Some((_, _, _, end)) = last {
                        *end = Some(*at);
                    }
                    if !deletes {
                        versions.push((*at, *says, *at, None));
                    }
                    open = !deletes;
                }
            }
        }
        versions.into_iter().map(|(last, _, start, end)| (last, start, end)).collect()
    }

    /// Adds a batch, knowing of what is kept only what [`needed`] asks for.
    fn add(kept: &mut Kept, batch: &[Plain], width: u32) {
        let mut new: BTreeMap<u32, Plain> = BTreeMap::new();
        for e in batch {
            let stands = new.entry(e.0).or_insert(*e);
            *stands = (*stands).max(*e);
        }
        // As in a key file, only the start of a sequence is told: several may have the same.
        let mut items: Vec<(u32, bool, bool)> =
            kept.iter().map(|(at, (_, span))| (*at, false, span.is_some())).collect();
        items.extend(new.keys().map(|at| (*at, true, false)));
        items.sort_unstable();
        let asked = needed(&items, |i| u128::from(i.0 / width), |i| i.1, |i| i.2);
        let mut events = Vec::new();
        let mut places = Vec::new();
        for (i, (at, is_new, shown)) in items.iter().enumerate() {
            let twin = if *is_new { kept.get(at).map(|k| k.0) } else { new.get(at).copied() };
            let own = if *is_new { new[at] } else { kept[at].0 };
            let loses = twin.is_some_and(|t| t > own || (t == own && *is_new));
            if loses && !shown {
                continue;
            }
            let span = kept.get(at).filter(|_| !is_new).and_then(|k| k.1);
            let known = Known { deletes: own.1, tracked: own.2.into(), at: own.0, span };
            let known = (*is_new || asked[i]).then_some(known);
            assert!(known.is_some() || twin.is_none());
            events.push(Event { known, shown: *shown, replaced: loses });
            places.push((own, *is_new));
        }
        let now = replay(&events).expect("every version is known where it is needed");
        for ((event, now), (own, _)) in events.iter().zip(now).zip(places) {
            match now {
                Some(Now::Hidden) => drop(kept.insert(own.0, (own, None))),
                Some(Now::Shown(span)) => drop(kept.insert(own.0, (own, Some(span)))),
                None => assert!(event.replaced || event.known.is_none()),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_order_and_split_gives_the_versions_of_the_model(
            events in prop::collection::vec((0_u32..40, prop::bool::weighted(0.2), 0_u8..3), 1..50),
            split in prop::collection::vec(1_usize..12, 50),
            width in 1_u32..7,
        ) {
            let mut kept = Kept::new();
            let mut rest = &events[..];
            let mut all: BTreeMap<u32, Plain> = BTreeMap::new();
            for n in split {
                let (now, later) = rest.split_at(n.min(rest.len()));
                rest = later;
                add(&mut kept, now, width);
                for e in now {
                    let stands = all.entry(e.0).or_insert(*e);
                    *stands = (*stands).max(*e);
                }
                let shown = |(at, (_, span)): (&u32, &(Plain, Option<Span>))| span.map(|s| (*at, s.start, s.end));
                prop_assert_eq!(kept.iter().filter_map(shown).collect::<Vec<_>>(), model(&all));
                let plain: Vec<Plain> = kept.values().map(|k| k.0).collect();
                prop_assert_eq!(plain, all.values().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_hidden_event_without_its_version_is_told() {
        let hidden = Known { deletes: false, tracked: 1, at: 5, span: None };
        let unknown = Event { known: None, shown: false, replaced: false };
        let events = [unknown, Event { known: Some(hidden), shown: false, replaced: false }];
        assert_eq!(replay(&events), Err(Lost));
    }
}
