//! People who look at what waits, and say what is to become of it, without knowing of each other.

use crate::{
    executor::Sim,
    gate::{self, RULES},
};
use alluvium_flow::{Discard, Flow, FlowError, Letters, Replay, Settle, Version, is_held};
use alluvium_store::{ReplayRecord, Selection, VerdictKind};
use std::future::pending;

/// Whatever comes to somebody's mind; to wait for it, or to leave it to whoever comes. Often somebody else wants the same at the
/// same time, or something of what it is about.
pub(crate) async fn act(flow: &Flow<'_>, sim: &Sim, by: u32) -> Result<(), FlowError> {
    let what = wish(sim, by);
    sim.note(format_args!("p{by} wants: {}", what.command()));
    match sim.below(4) {
        0 => flow.replay(&what, pending()).await.map(drop),
        1 => {
            let other = if sim.once_in(2) { what.clone() } else { wish(sim, by) };
            sim.note(format_args!("p{by} wants at once: {}", other.command()));
            let (one, other) = tokio::join!(flow.replay(&what, pending()), flow.replay(&other, pending()));
            one.and(other).map(drop)
        }
        2 => flow.ask_replay(&what, None).await.map(drop),
        _ => {
            let key = format!("key {}", sim.below(8));
            flow.ask_replay(&what, Some(&key)).await.map(drop)
        }
    }
}

fn wish(sim: &Sim, by: u32) -> Replay {
    let [received, cleaned, counted] = gate::all();
    let dataset = match sim.below(5) {
        0..2 => received,
        2..4 => cleaned,
        _ => counted,
    };
    let by = format!("p{by}");
    match sim.below(8) {
        0..3 => {
            let verdict = if sim.once_in(2) { VerdictKind::Drop } else { VerdictKind::Release };
            Replay::Held(Settle { dataset, verdict, by, reason: None })
        }
        3..5 => {
            let nth = usize::try_from(sim.below(RULES.len() as u64 + 1)).expect("small");
            let rule = RULES.get(nth).map(|rule| (*rule).to_owned());
            let selection = Selection { rule, ..Selection::default() };
            Replay::Discard(Discard { dataset: gate::cleaned(), selection, by, reason: "rubbish".to_owned() })
        }
        5..7 => Replay::Quarantine { dataset: gate::cleaned(), adopt: false },
        _ => {
            let version = if sim.once_in(2) { Version::Original } else { Version::Current };
            Replay::DeadLetters(Letters { dataset: Some(dataset), ids: Vec::new(), version })
        }
    }
}

/// What was asked for, and nobody is at. One after the other; what goes wrong with one is told in its outcome.
pub(crate) async fn serve(flow: &Flow<'_>, sim: &Sim, by: u32) -> Result<(), FlowError> {
    for asked in waiting(flow).await?.iter().filter(|r| !r.is_live) {
        let done = flow.replay_asked(asked, pending()).await;
        let word = match &done {
            Ok(Some(_)) => "done".to_owned(),
            Ok(None) => "is another's".to_owned(),
            Err(e) => e.to_string(),
        };
        sim.note(format_args!("p{by} does what was asked, {}: {word}", asked.command));
        done?;
    }
    Ok(())
}

/// Oldest first.
pub(crate) async fn waiting(flow: &Flow<'_>) -> Result<Vec<ReplayRecord>, FlowError> {
    let mut all = flow.store.replays(u32::MAX, &flow.watch()).await?;
    all.retain(|r| r.ended_at.is_none());
    all.reverse();
    Ok(all)
}

/// The last word on all that waits for one. `false`: there was something.
pub(crate) async fn decide(flow: &Flow<'_>, sim: &Sim, by: u32, verdict: VerdictKind) -> Result<bool, FlowError> {
    let asked = waiting(flow).await?;
    serve(flow, sim, by).await?;
    let letters = flow.store.dead_letters().await?;
    let mut decided = asked.is_empty();
    for dataset in gate::all() {
        let own = || letters.iter().filter(|l| l.dataset == dataset);
        // Gold has no input that could be dropped.
        let verdict = if dataset == gate::counted() { VerdictKind::Release } else { verdict };
        if own().any(is_held) {
            let said = Settle { dataset: dataset.clone(), verdict, by: format!("p{by}"), reason: None };
            flow.replay(&Replay::Held(said), pending()).await?;
        }
        if own().any(|letter| !is_held(letter)) {
            let letters = Letters { dataset: Some(dataset.clone()), ..Letters::default() };
            flow.replay(&Replay::DeadLetters(letters), pending()).await?;
        }
        decided &= own().next().is_none();
    }
    Ok(decided)
}
