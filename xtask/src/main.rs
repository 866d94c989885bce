//! Development tasks: `cargo xtask tidy`, `docs` and `test`. Never part of what users install.

mod runbooks;
mod suite;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

const USAGE: &str = "\
cargo xtask tidy                      what of the style can be checked by reading the files
cargo xtask docs                      writes what of the documentation is made from the runbooks
cargo xtask test [--lint] [-- ARGS]   format, tidy and all tests; ARGS go to `cargo test` in place of `--workspace`
                                      --lint also runs clippy, a build of its own";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = workspace();
    match args.split_first() {
        Some((task, [])) if task == "tidy" => report(&tidy::check(&root)),
        Some((task, [])) if task == "docs" => docs(&root),
        Some((task, rest)) if task == "test" => match suite::Options::parse(rest) {
            Ok(options) => suite::run(&root, &options),
            Err(message) => usage(&message),
        },
        Some((task, _)) => usage(&format!("`{task}` is no task")),
        None => usage("name a task"),
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

fn docs(root: &Path) -> ExitCode {
    let mut problems = Vec::new();
    let tree = tidy::Tree::read(root, &mut problems);
    let (_, derived) = runbooks::derived(&tree, &mut problems);
    if !problems.is_empty() {
        return report(&problems);
    }
    match runbooks::write(root, &derived) {
        Ok(written) => {
            println!("docs: {written} of {} files written anew", derived.len());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("docs: {e}");
            ExitCode::FAILURE
        }
    }
}

fn report(problems: &[tidy::Problem]) -> ExitCode {
    for p in problems {
        println!("{p}");
    }
    if problems.is_empty() {
        println!("tidy: nothing to say");
        ExitCode::SUCCESS
    } else {
        println!("tidy: {} to correct", problems.len());
        ExitCode::FAILURE
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("{message}\n\n{USAGE}");
    ExitCode::from(2)
}
