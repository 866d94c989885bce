//! What the tests need and the repository only names: installed once into a folder of its own under the target folder.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder in which `install` was done. Other `pinned` versions make another one, so that a branch does not spoil
/// another's; an install that was cut short is done again.
pub fn once(
    target: &Path,
    name: &str,
    pinned: &str,
    install: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let folder = target.join(format!("{name}-{:016x}", fingerprint(pinned)));
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(folder);
    }
    println!("installing {}", folder.display());
    fs::create_dir_all(&folder)?;
    install(&folder)?;
    fs::write(&complete, "")?;
    Ok(folder)
}

pub fn done(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|e| io::Error::new(e.kind(), format!("{command:?}: {e}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} ended with {status}"))) }
}

fn fingerprint(pinned: &str) -> u64 {
    let mut h = DefaultHasher::new();
    pinned.hash(&mut h);
    h.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_once_for_each_version_and_again_after_it_failed() {
        let target = std::env::temp_dir().join(format!("alluvium-installed-{}", std::process::id()));
        let install = |pinned: &str, ok: bool| {
            let mut did = false;
            let made = once(&target, "it", pinned, |_| {
                did = true;
                if ok { Ok(()) } else { Err(io::Error::other("cut short")) }
            });
            (did, made.is_ok())
        };
        assert_eq!(install("1", false), (true, false));
        assert_eq!(install("1", true), (true, true));
        assert_eq!(install("1", true), (false, true));
        assert_eq!(install("2", true), (true, true));
        fs::remove_dir_all(&target).expect("removed");
    }
}
