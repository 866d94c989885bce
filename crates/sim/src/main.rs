//! Simulates many seeds, or one with all that happened: `cargo run -p alluvium-sim -- --seeds 500`.

use alluvium_sim::{Fence, simulate};
use std::process::ExitCode;

const USAGE: &str = "\
cargo run -p alluvium-sim -- --seeds N [--from SEED]   simulates so many seeds; ends with 1 at the first that fails
cargo run -p alluvium-sim -- --seed SEED               simulates one, and writes all that happened
    --ajar   over a lake that lets superseded steps commit; --down   over one without any fence";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let told = |word: &str| args.iter().any(|a| a == word);
    let fence = match (told("--ajar"), told("--down")) {
        (_, true) => Fence::Down,
        (true, false) => Fence::Ajar,
        (false, false) => Fence::Up,
    };
    match (number("--seeds"), number("--seed")) {
        (Some(count), None) => many(number("--from").unwrap_or(0), count, fence),
        (None, Some(seed)) => one(seed, fence),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn many(from: u64, count: u64, fence: Fence) -> ExitCode {
    for seed in from..from.saturating_add(count) {
        if let Err(found) = simulate(seed, fence) {
            eprintln!("{found}");
            return ExitCode::FAILURE;
        }
    }
    println!("{count} seeds from {from}: all holds");
    ExitCode::SUCCESS
}

fn one(seed: u64, fence: Fence) -> ExitCode {
    let (trace, found) = match simulate(seed, fence) {
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
