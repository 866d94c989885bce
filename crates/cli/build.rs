//! Lists the files of the example projects, so that `alluvium init` can write them anywhere, and the runbooks that `explain`
//! prints.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
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
    runbooks()
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

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with('.') || is_left_out(name) {
            continue;
        }
        if path.is_dir() {
            list(&path, files)?;
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}

/// Tables made by a run, and what only the repository's own tests read.
fn is_left_out(name: &str) -> bool {
    name == "lake" || name.starts_with("expected.") || name.ends_with(".py")
}
