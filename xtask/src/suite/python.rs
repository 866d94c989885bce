//! The Python with which tests read tables as an independent reader. Built once under the target folder.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::Command,
};

pub const VARIABLE: &str = "ALLUVIUM_TEST_PYTHON";
const REQUIREMENTS: &str = "tests/requirements.txt";

/// The interpreter: the one that the variable names, or that of an environment with the pinned packages.
pub fn prepare(root: &Path, target: &Path) -> io::Result<PathBuf> {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Ok(given.into());
    }
    let requirements = root.join(REQUIREMENTS);
    let folder = target.join(format!("test-python-{:016x}", fingerprint(&fs::read_to_string(&requirements)?)));
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    println!("building the tests' Python in {}", folder.display());
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&requirements);
    done(&mut install)?;
    fs::write(&complete, "")?;
    Ok(python)
}

/// Other requirements make another environment, so that a branch does not spoil another's.
fn fingerprint(requirements: &str) -> u64 {
    let mut h = DefaultHasher::new();
    requirements.hash(&mut h);
    h.finish()
}

fn done(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}
