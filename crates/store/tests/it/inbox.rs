//! What [`Store`] promises of events that are pushed.

use crate::build::*;
use alluvium_store::{InboxBound, InboxPart, Pushed, PushedEvent, PushedList, Rate, Store};

const WIDE: InboxBound = InboxBound { events: 1_000, bytes: 1_000_000 };

fn pushed(id: &str) -> PushedEvent {
    let (source, record) = ("/shop".into(), format!("{{\"id\":\"{id}\"}}"));
    PushedEvent { source, id: id.into(), datasets: vec![name("bronze.flights")], record }
}

fn accepted(new: u64, duplicates: u64) -> Pushed {
    Pushed::Accepted { new, duplicates }
}

async fn waiting(store: &dyn Store, bytes: u64) -> InboxPart {
    store.inbox(&name("bronze.flights"), bytes).await.unwrap()
}

pub async fn a_pushed_event_is_kept_once_until_it_is_landed(store: &dyn Store) {
    started(store).await;
    let other = PushedEvent { source: "/other".into(), ..pushed("1") };
    let lists: [PushedList; 3] =
        [vec![pushed("1"), pushed("2"), pushed("1")], vec![pushed("2"), other], Vec::new()].map(Into::into);
    let answers = store.push(&lists, WIDE, at(0)).await.unwrap();
    assert_eq!(answers, [accepted(2, 1), accepted(1, 1), accepted(0, 0)]);
    assert_eq!(waiting(store, 1).await.records, ["{\"id\":\"1\"}"], "at least one");
    let part = waiting(store, 1_000).await;
    assert_eq!(part.records.len(), 3);
    assert!(store.inbox(&name("bronze.other"), 1_000).await.unwrap().records.is_empty());
    assert!(store.land(&run(), &event("a.ndjson", "1"), &part).await.unwrap());
    assert_eq!(pending_paths(store).await, ["a.ndjson"]);
    assert_eq!(waiting(store, 1_000).await, InboxPart::default());
    assert_eq!(store.push(&lists[..1], WIDE, at(9)).await.unwrap(), [accepted(0, 3)], "also after it was landed");
}

pub async fn a_full_inbox_takes_nothing_of_a_list(store: &dyn Store) {
    started(store).await;
    let narrow = InboxBound { events: 3, bytes: 1_000 };
    let full = Pushed::Full { dataset: name("bronze.flights") };
    let lists: [PushedList; 4] =
        [vec![pushed("1"), pushed("2")], vec![pushed("3"), pushed("4")], vec![pushed("5")], vec![pushed("1")]]
            .map(Into::into);
    let answers = store.push(&lists, narrow, at(0)).await.unwrap();
    assert_eq!(answers, [accepted(2, 0), full.clone(), accepted(1, 0), accepted(0, 1)]);
    let small = InboxBound { events: 1_000, bytes: 1 };
    assert_eq!(store.push(&lists[1..2], small, at(0)).await.unwrap(), [full]);
    let part = waiting(store, 1_000).await;
    assert!(store.land(&run(), &event("a.ndjson", "1"), &part).await.unwrap());
    // One list is always taken, however large: it would not become smaller by waiting.
    assert_eq!(store.push(&lists[1..2], small, at(1)).await.unwrap(), [accepted(2, 0)]);
}

pub async fn a_list_without_a_place_in_its_rate_is_not_taken(store: &dyn Store) {
    started(store).await;
    let rate = Some(Rate { key: "hook /hooks/a".into(), limit: 2, period: MINUTE, burst: 2 });
    let of =
        |id: &str, rate: &Option<Rate>| PushedList { events: vec![pushed(id)], rates: rate.iter().cloned().collect() };
    let lists = [of("1", &rate), of("2", &None), of("3", &rate), of("4", &rate), of("5", &None)];
    let too_frequent = Pushed::TooFrequent { until: at(30) };
    let expected = [accepted(1, 0), accepted(1, 0), accepted(1, 0), too_frequent.clone(), accepted(1, 0)];
    assert_eq!(store.push(&lists, WIDE, at(0)).await.unwrap(), expected);
    assert_eq!(waiting(store, 1_000).await.records.len(), 4, "nothing of it is kept");
    assert_eq!(store.push(&lists[3..4], WIDE, at(29)).await.unwrap(), [too_frequent]);
    assert_eq!(store.push(&lists[3..4], WIDE, at(30)).await.unwrap(), [accepted(1, 0)], "refused ones took no place");
    let (narrow, full) = (InboxBound { events: 5, ..WIDE }, Pushed::Full { dataset: name("bronze.flights") });
    let lists = ["6", "7", "8"].map(|id| of(id, &rate));
    assert_eq!(store.push(&lists, narrow, at(90)).await.unwrap(), vec![full; 3]);
    let expected = [accepted(1, 0), accepted(1, 0), Pushed::TooFrequent { until: at(120) }];
    assert_eq!(store.push(&lists, WIDE, at(90)).await.unwrap(), expected, "nor did those for which there was no room");
}

pub async fn a_list_takes_a_place_in_each_of_its_rates_or_in_none(store: &dyn Store) {
    started(store).await;
    let rate = |key: &str, limit| Rate { key: key.into(), limit, period: MINUTE, burst: 1 };
    let (quick, slow) = (rate("quick", 60), rate("slow", 1));
    let of = |id: &str, rates: &[&Rate]| PushedList {
        events: vec![pushed(id)],
        rates: rates.iter().map(|r| (*r).clone()).collect(),
    };
    let push = async |list: PushedList, second: i64| store.push(&[list], WIDE, at(second)).await.unwrap().remove(0);
    assert_eq!(push(of("1", &[&quick, &slow]), 0).await, accepted(1, 0));
    // The later of the two says when.
    assert_eq!(push(of("2", &[&quick, &slow]), 30).await, Pushed::TooFrequent { until: at(60) });
    assert_eq!(push(of("3", &[&quick]), 30).await, accepted(1, 0), "the refused one took no place of the other");
    assert_eq!(push(of("2", &[&slow, &quick]), 60).await, accepted(1, 0));
}

pub async fn what_another_process_landed_is_not_landed_again(store: &dyn Store) {
    started(store).await;
    store.push(&[vec![pushed("1"), pushed("2")].into()], WIDE, at(0)).await.unwrap();
    let (first, all) = (waiting(store, 1).await, waiting(store, 1_000).await);
    assert!(store.land(&run(), &event("a.ndjson", "1"), &first).await.unwrap());
    assert!(!store.land(&run(), &event("b.ndjson", "2"), &all).await.unwrap());
    assert_eq!(pending_paths(store).await, ["a.ndjson"], "nothing of it happened");
    let rest = waiting(store, 1_000).await;
    assert_eq!(rest.records, ["{\"id\":\"2\"}"]);
    assert!(store.land(&run(), &event("c.ndjson", "3"), &rest).await.unwrap());
}
