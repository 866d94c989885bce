//! Simulates many seeds, or one with all that happened: `cargo run -p alluvium-sim -- --seeds 500`.

use alluvium_sim::{Planted, simulate};
use std::process::ExitCode;

const USAGE: &str = "\
cargo run -p alluvium-sim -- --seeds N [--from SEED]   simulates so many seeds; ends with 1 at the first that fails
cargo run -p alluvium-sim -- --seed SEED               simulates one, and writes all that happened
    with a defect planted: --ajar --down --gateless --gilded --forgetful --careless --uncounted --thawed --mute
                           --timeless --amnesiac --blameless --deaf";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let told = |word: &str| args.iter().any(|a| a.strip_prefix("--") == Some(word));
    let planted = Planted::WORDS.iter().find(|(word, _)| told(word)).map_or(Planted::Nothing, |(_, p)| *p);
    match (number("--seeds"), number("--seed")) {
        (Some(count), None) => many(number("--from").unwrap_or(0), count, planted),
        (None, Some(seed)) => one(seed, planted),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn many(from: u64, count: u64, planted: Planted) -> ExitCode {
    for seed in from..from.saturating_add(count) {
        if let Err(found) = simulate(seed, planted) {
            eprintln!("{found}");
            return ExitCode::FAILURE;
        }
    }
    println!("{count} seeds from {from}: all holds");
    ExitCode::SUCCESS
}

fn one(seed: u64, planted: Planted) -> ExitCode {
    let (trace, found) = match simulate(seed, planted) {
        Ok(trace) => (trace, None),
        Err(found) => (found.trace.clone(), Some(found)),
    };
    trace.iter().for_each(|line| println!("{line}"));
    match found {
        None => ExitCode::SUCCESS,
        Some(found) => {
            eprintln!("{found}");
            ExitCode::FAILURE
        }
    }
}
