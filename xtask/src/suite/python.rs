//! The Python with which tests read tables as an independent reader. Built once under the target folder.

use super::installed;
use std::{
    fs, io,
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
    let folder = installed::once(target, "test-python", &fs::read_to_string(&requirements)?, |folder| {
        installed::done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut install = Command::new(folder.join("bin/python"));
        install
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements);
        installed::done(&mut install)
    })?;
    Ok(folder.join("bin/python"))
}
