//! Several stores over one state: each thing is taken once, whoever asks.

use crate::{Fresh, build::*, registry::writers_at_once_come_one_after_the_other};
use alluvium_model::RunId;
use alluvium_store::{Claim, InboxBound, NewStep, Planned, Pushed, PushedEvent, StateStore, StepState};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

async fn opened(fresh: &Fresh, count: usize) -> Vec<Arc<StateStore>> {
    let mut stores = Vec::new();
    for _ in 0..count {
        stores.push(Arc::new(fresh.open().await));
    }
    stores
}

async fn exactly_one_takes_an_event(fresh: Fresh) {
    let stores = opened(&fresh, 2).await;
    started(&**stores[0]).await;
    for round in 0..20 {
        let content = format!("c{round}");
        stores[0].record_events(&run(), &[event(&content, &content)]).await.unwrap();
        let race = |store: &Arc<StateStore>, who: &str| {
            let (store, content, who) = (Arc::clone(store), content.clone(), format!("{who}{round}"));
            tokio::spawn(async move {
                let mut second = refine(&format!("{who}-refine"), round - 1, round);
                second.run = run();
                store.plan_many(&[ingest(&who, &[&content]), second]).await.unwrap()
            })
        };
        let (a, b) = (race(&stores[0], "a"), race(&stores[1], "b"));
        let answers = [a.await.unwrap(), b.await.unwrap()];
        let won = vec![Planned::New, Planned::New];
        let lost = vec![Planned::Conflict, Planned::Conflict];
        assert!(answers == [won.clone(), lost.clone()] || answers == [lost, won], "{answers:?}");
    }
    assert_eq!(stores[1].open_steps().await.unwrap().len(), 40);
}

async fn exactly_one_gets_a_lease(fresh: Fresh) {
    let stores = opened(&fresh, 2).await;
    started(&**stores[0]).await;
    for round in 0..20 {
        let step = format!("s{round}");
        stores[1].plan(&refine(&step, round - 1, round)).await.unwrap();
        let race = |n: usize| {
            let (store, step) = (Arc::clone(&stores[n]), step.clone());
            tokio::spawn(async move { claim(&**store, &step, n as u32, 0).await })
        };
        let (a, b) = (race(0), race(1));
        let taken = [a.await.unwrap(), b.await.unwrap()].into_iter().filter(Claim::is_taken).count();
        assert_eq!(taken, 1);
        stores[0].finish(&done(&step)).await.unwrap();
    }
}

/// A lease that is past its end is renewed by its holder and taken by another at once: one of the two has it.
async fn a_late_renewal_and_a_claim_do_not_both_win(fresh: Fresh) {
    let stores = opened(&fresh, 2).await;
    started(&**stores[0]).await;
    stores[0].plan(&refine("a", -1, 1)).await.unwrap();
    assert!(claim(&**stores[0], "a", 1, 0).await.is_taken());
    let (mut holder, mut now) = (1, 100);
    for round in 0..20_u32 {
        let other = round + 100;
        let (one, two) = (Arc::clone(&stores[0]), Arc::clone(&stores[1]));
        let renewal = tokio::spawn(async move { one.renew(&key("a"), &owner(holder), at(now), MINUTE).await.unwrap() });
        let taking = tokio::spawn(async move { claim(&**two, "a", other, now).await });
        let (renewed, taken) = (renewal.await.unwrap(), taking.await.unwrap().is_taken());
        assert!(renewed != taken, "renewed {renewed}, taken {taken}");
        if taken {
            holder = other;
        }
        now += 100;
    }
}

/// Four workers take steps of five datasets until none is left; a run ends beside them and gives back what it held.
async fn workers_share_what_there_is(fresh: Fresh) {
    const STEPS: i64 = 60;
    let stores = opened(&fresh, 4).await;
    started(&**stores[0]).await;
    let of = |n: i64| {
        let mut step = refine(&format!("s{n}"), n / 5 - 1, n / 5);
        step.dataset = name(&format!("silver.t{}", n % 5));
        step
    };
    let steps: Vec<_> = (0..STEPS).map(of).collect();
    stores[0].plan_many(&steps).await.unwrap();
    let worker = |n: u32| {
        let store = Arc::clone(&stores[n as usize]);
        tokio::spawn(async move {
            let id = RunId::from_stored(format!("worker{n}"));
            start(&**store, &id, n, 0).await;
            let mut taken = 0;
            loop {
                let open = store.open_steps().await.unwrap();
                if open.is_empty() {
                    store.finish_run(&id, alluvium_store::RunState::Done, at(5)).await.unwrap();
                    return taken;
                }
                for step in open {
                    if claim_in(&**store, &id, step.key.as_str(), n, 0).await.is_taken() {
                        let mut end = done(step.key.as_str());
                        end.run = id.clone();
                        store.finish(&end).await.unwrap();
                        taken += 1;
                    }
                }
            }
        })
    };
    let workers: Vec<_> = (0..4).map(worker).collect();
    let mut taken = 0;
    for worker in workers {
        taken += worker.await.unwrap();
    }
    assert_eq!(taken, STEPS);
    for step in &steps {
        let step = stores[0].step(&step.key).await.unwrap().unwrap();
        assert_eq!((step.state, step.attempts), (StepState::Done, 1));
    }
    assert_eq!(stores[0].tables(&watch(0)).await.unwrap()[5].rows.len(), STEPS as usize);
}

/// Eight claimants want two slots for steps of twelve datasets. Some of them die with the slot in their hand: at no time do
/// more hold one than may, and in the end none is lost.
async fn a_limit_is_never_passed_and_no_slot_leaks(fresh: Fresh) {
    const LIMIT: usize = 2;
    const DATASETS: usize = 12;
    let stores = opened(&fresh, 8).await;
    started(&**stores[0]).await;
    stores[0].plan_many(&datasets(DATASETS)).await.unwrap();
    let holding = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let claimant = |n: u32| {
        let (store, holding, most) = (Arc::clone(&stores[n as usize]), Arc::clone(&holding), Arc::clone(&most));
        tokio::spawn(async move {
            let (terms, mut deaths) = (slots("warehouse", LIMIT as u32), 0);
            for turn in 0.. {
                let ready = store.ready_steps(&watch(0)).await.unwrap();
                if ready.is_empty() && store.open_steps().await.unwrap().is_empty() {
                    return;
                }
                for step in ready {
                    let step = step.key.as_str();
                    // Process 13 is dead: the watch of the next who asks tells so.
                    let dies = deaths < 3 && (turn + n).is_multiple_of(3);
                    let process = if dies { 13 } else { n };
                    if !claim_on(&**store, &terms, step, process, 0).await.is_taken() {
                        continue;
                    }
                    if dies {
                        deaths += 1;
                        continue;
                    }
                    most.fetch_max(holding.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::task::yield_now().await;
                    holding.fetch_sub(1, SeqCst);
                    store.finish(&done(step)).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let claimants: Vec<_> = (0..8).map(claimant).collect();
    for claimant in claimants {
        claimant.await.unwrap();
    }
    let most = most.load(SeqCst);
    assert!((1..=LIMIT).contains(&most), "{most} at once");
    let more: Vec<NewStep> =
        datasets(3).into_iter().map(|s| NewStep { key: key(&format!("{}-", s.key)), ..s }).collect();
    let more: Vec<NewStep> = more.into_iter().map(|s| NewStep { inputs: BTreeMap::new(), ..s }).collect();
    stores[0].plan_many(&more).await.unwrap();
    let terms = slots("warehouse", LIMIT as u32);
    assert!(claim_on(&**stores[0], &terms, "s0-", 1, 100).await.is_taken());
    assert!(claim_on(&**stores[0], &terms, "s1-", 1, 100).await.is_taken());
    assert_eq!(claim_on(&**stores[0], &terms, "s2-", 1, 100).await, Claim::Full { key: "warehouse".into() });
}

/// Three are told of the same events, in their own order and for datasets of their own, while two land what there is.
async fn what_is_pushed_and_landed_at_once_counts_once(fresh: Fresh) {
    const EVENTS: u32 = 120;
    const WIDE: InboxBound = InboxBound { events: 1_000, bytes: 1_000_000 };
    let stores = opened(&fresh, 5).await;
    started(&**stores[0]).await;
    let pusher = |who: u32| {
        let store = Arc::clone(&stores[who as usize]);
        tokio::spawn(async move {
            let mut taken = 0;
            for n in 0..EVENTS / 4 {
                let list = (0..4).map(|m| {
                    let id = (n * 4 + m) * [1, 7, 11][who as usize] % EVENTS;
                    let both = [name("bronze.a"), name("bronze.b")];
                    let datasets = if who == 2 { both[1..].to_vec() } else { both[..1].to_vec() };
                    PushedEvent { source: "/shop".into(), id: id.to_string(), datasets, record: format!("{id}") }
                });
                match store.push(&[list.collect::<Vec<_>>().into()], WIDE, at(0)).await.unwrap()[..] {
                    [Pushed::Accepted { new, .. }] => taken += new,
                    ref other => panic!("{other:?}"),
                }
            }
            taken
        })
    };
    let pushers: Vec<_> = (0..3).map(pusher).collect();
    let (told, all_pushed) = tokio::sync::watch::channel(false);
    let lander = |who: usize| {
        let (store, pushed) = (Arc::clone(&stores[who]), all_pushed.clone());
        tokio::spawn(async move {
            let mut landed = Vec::new();
            loop {
                let last = *pushed.borrow();
                let mut found = false;
                for dataset in ["bronze.a", "bronze.b"] {
                    let part = store.inbox(&name(dataset), 30).await.unwrap();
                    found |= !part.records.is_empty();
                    let object = format!("{who}-{}", landed.len());
                    let mut event = event(&object, &object);
                    event.dataset = name(dataset);
                    if !part.records.is_empty() && store.land(&run(), &event, &part).await.unwrap() {
                        landed.extend(part.records);
                    }
                }
                if last && !found {
                    return landed;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let landers = [lander(3), lander(4)];
    let mut taken = 0;
    for pusher in pushers {
        taken += pusher.await.unwrap();
    }
    told.send_replace(true);
    let mut landed = Vec::new();
    for lander in landers {
        landed.extend(lander.await.unwrap());
    }
    let mut ids: Vec<u32> = landed.iter().map(|id| id.parse().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!((taken, ids.len()), (u64::try_from(ids.len()).unwrap(), taken as usize));
    ids.dedup();
    assert_eq!(ids.len(), landed.len(), "none twice");
    assert_eq!(ids, (0..EVENTS).collect::<Vec<_>>(), "and all");
    // Nothing is left of them, not even in the sums.
    let narrow = InboxBound { events: 1, bytes: 1 };
    let datasets = vec![name("bronze.a"), name("bronze.b")];
    let wide = PushedEvent { source: "/other".into(), id: "1".into(), datasets, record: "a record".into() };
    let accepted = [Pushed::Accepted { new: 1, duplicates: 0 }];
    assert_eq!(stores[0].push(&[vec![wide].into()], narrow, at(0)).await.unwrap(), accepted);
}

macro_rules! over_both {
    ($($case:ident),* $(,)?) => {
        mod over_a_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::Fresh::file()).await;
            })*
        }

        mod over_a_database {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::Fresh::schema()).await;
            })*
        }
    };
}

over_both!(
    exactly_one_takes_an_event,
    exactly_one_gets_a_lease,
    a_late_renewal_and_a_claim_do_not_both_win,
    workers_share_what_there_is,
    a_limit_is_never_passed_and_no_slot_leaks,
    what_is_pushed_and_landed_at_once_counts_once,
    writers_at_once_come_one_after_the_other,
);
