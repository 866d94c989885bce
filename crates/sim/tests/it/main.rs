//! The simulation in CI: twenty seeds, all that ever failed, and the proof that it can fail.

use alluvium_sim::{Fence, explore, simulate};

const SEEDS: std::ops::Range<u64> = 0..20;

/// Seeds that found something once. What each found is written beside it, and has a test of its own where it was mended.
const KEPT: &[u64] = &[];

#[test]
fn nothing_is_lost_or_doubled_under_twenty_seeds_and_those_that_failed_once() {
    if let Err(found) = explore(SEEDS.chain(KEPT.iter().copied()), Fence::Up) {
        panic!("{found}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 4] {
        let (first, second) = (simulate(seed, Fence::Up), simulate(seed, Fence::Up));
        let (first, second) = (first.expect("it holds"), second.expect("it holds"));
        assert!(first.len() > 100, "much happens");
        assert!(first.iter().any(|l| l.contains("is killed")));
        let differs = first.iter().zip(&second).find(|(a, b)| a != b);
        assert_eq!(differs, None);
        assert_eq!(first.len(), second.len());
    }
    assert_ne!(simulate(3, Fence::Up).expect("it holds"), simulate(4, Fence::Up).expect("it holds"));
}

#[test]
fn a_lake_that_lets_superseded_steps_commit_is_found_out() {
    let found = explore(SEEDS, Fence::Ajar).expect_err("what was planned anew commits, too");
    assert!(found.wrong.iter().any(|w| w.contains("was superseded and committed")), "{found}");
}

#[test]
fn a_lake_without_its_fence_is_found_out() {
    // What was planned anew commits as well under some seeds, and under others a step itself does twice.
    let twice =
        |seed| simulate(seed, Fence::Down).is_err_and(|f| f.wrong.iter().any(|w| w.contains("committed twice")));
    assert!(SEEDS.into_iter().any(twice));
}
