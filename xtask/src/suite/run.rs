//! Runs the checks and the tests, shows their output as it comes, and closes with one line of sums.

use super::{Options, azurite, python, totals::Totals};
use crate::tidy;
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// Every part runs, also after one failed. A failed check counts as one failed test.
pub fn run(root: &Path, options: &Options) -> ExitCode {
    let mut totals = Totals::default();
    let mut count = |name: &str, ok: bool| {
        if !ok {
            println!("{name}: failed");
            totals.failed += 1;
        }
    };
    count("format", succeeds(cargo(root).args(["fmt", "--all", "--check"])));
    let problems = tidy::check(root);
    for p in &problems {
        println!("{p}");
    }
    count("tidy", problems.is_empty());
    if options.lint {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        count("clippy", succeeds(cargo(root).args(clippy)));
    }
    match tests(root, options) {
        Ok(found) => {
            totals.passed += found.passed;
            totals.failed += found.failed;
            totals.skipped += found.skipped;
            totals.failures = found.failures;
        }
        Err(e) => {
            println!("tests: {e}");
            totals.failed += 1;
        }
    }
    println!("\n{totals}");
    if totals.failed == 0 && totals.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root);
    // What cargo told us of this package is not so for others: build scripts that look at it would run again, and with
    // them half of the tree.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME" {
            command.env_remove(&name);
        }
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|s| s.success())
}

fn tests(root: &Path, options: &Options) -> io::Result<Totals> {
    let python = python::prepare(root, &target(root))?;
    let azurite = azurite::prepare(root, &target(root))?;
    let mut command = cargo(root);
    command.args(["test", "--all-targets", "--no-fail-fast"]);
    command.env(python::VARIABLE, python).env(azurite::VARIABLE, azurite);
    if options.select.is_empty() {
        command.arg("--workspace");
    } else {
        command.args(&options.select);
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut totals = Totals::default();
    let mut output = BufReader::new(child.stdout.take().expect("the output is piped"));
    // A test may print what is no UTF-8.
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        totals.add_line(text.trim_end());
        line.clear();
    }
    if !child.wait()?.success() {
        // It did not compile, or a test binary was killed before it could count.
        totals.failed = totals.failed.max(1);
    }
    Ok(totals)
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |d| root.join(d))
}
