//! Lists the files of the example projects, so that `alluvium init` can write them anywhere, and the runbooks that `explain`
//! prints; and says how the binary is linked.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TEMPLATES: [&str; 2] = ["flights", "orders"];

fn main() -> Result<(), Box<dyn Error>> {
    let examples = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../examples").canonicalize()?;
    let mut code = String::from("&[\n");
    for name in TEMPLATES {
        let root = examples.join(name);
        let mut files = Vec::new();
        list(&root, &mut files)?;
        files.sort();
        writeln!(code, "Template {{ name: {name:?}, files: &[")?;
        for file in files {
            let path = file.strip_prefix(&root)?.to_str().ok_or("an example's file name is not UTF-8")?;
            writeln!(code, "({path:?}, include_bytes!({:?})),", file.to_str().ok_or("a folder's name is not UTF-8")?)?;
        }
        code.push_str("] },\n");
    }
    code.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("templates.rs"), code)?;
    runbooks()?;
    if packs_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

fn runbooks() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../docs/runbooks").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    list(&folder, &mut files)?;
    files.retain(|f| f.extension().is_some_and(|e| e == "md"));
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        writeln!(code, "include_str!({:?}),", file.to_str().ok_or("a folder's name is not UTF-8")?)?;
    }
    code.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("runbooks.rs"), code)?;
    Ok(())
}

/// Whether the C library of this machine, for which the binary is, reads packed relocations. Plain ones are 24 bytes a pointer, all of
/// them read at each start and held from then on. A linker that does not know them leaves them as they are.
fn packs_relocations() -> bool {
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|v| v == value);
    let native = env::var("HOST").is_ok_and(|host| is("TARGET", &host));
    if !native || !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return false;
    }
    let Ok(told) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let told = String::from_utf8_lossy(&told.stdout);
    let number = told.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let version = number.and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    version.is_some_and(|version| version >= (2, 36))
}

/// An example's own folder is not watched, only what is in it: a run writes its tables there.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with('.') || is_left_out(name) {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Tables made by a run, and what only the repository's own tests read.
fn is_left_out(name: &str) -> bool {
    name == "lake" || name.starts_with("expected.") || name.ends_with(".py")
}
