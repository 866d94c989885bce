//! Azurite, Azure's storage emulator, for tests of lakes in Azure. Installed once under the target folder.

use super::installed;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

pub const VARIABLE: &str = "ALLUVIUM_TEST_AZURITE";
const FOLDER: &str = "tests/azurite";
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// The folder of the installation: the one that the variable names, or one with the pinned packages.
pub fn prepare(root: &Path, target: &Path) -> io::Result<PathBuf> {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Ok(given.into());
    }
    let from = root.join(FOLDER);
    let pinned = fs::read_to_string(from.join(FILES[1]))?;
    installed::once(target, "test-azurite", &pinned, |folder| {
        for file in FILES {
            fs::copy(from.join(file), folder.join(file))?;
        }
        // The lock names every version and its content; none needs a script to be installed.
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]);
        installed::done(npm.current_dir(folder))
    })
}
