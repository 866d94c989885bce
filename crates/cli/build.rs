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

/// With what is in each folder that a project has from its example. The folder itself is not watched, because a run writes its tables
/// there; so whatever is new in it is named here.
const TEMPLATES: [(&str, &[&str]); 2] = [
    ("flights", &["README.md", "alluvium.yaml", "contracts", "datasets", "landing", "later"]),
    ("orders", &["README.md", "alluvium.yaml", "contracts", "datasets", "landing", "library"]),
];

fn main() -> Result<(), Box<dyn Error>> {
    let examples = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../examples").canonicalize()?;
    let mut code = String::from("&[\n");
    for (name, entries) in TEMPLATES {
        let root = examples.join(name);
        let mut files = Vec::new();
        for entry in entries {
            list(&root.join(entry), &mut files)?;
        }
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

/// The files of a folder, or the one file; watched, so that new ones are noticed.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
            list(&path, files)?;
        }
    }
    Ok(())
}
