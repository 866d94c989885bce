//! Dependencies between the workspace's crates point down only, and each heavy dependency has one home.

use super::{
    Problem, scan,
    tree::{TextFile, Tree},
};

/// Crate and level. A crate may use those of lower levels.
const LEVELS: [(&str, u8); 9] = [
    ("model", 0),
    ("spec", 1),
    ("store", 1),
    ("flow", 2),
    ("source", 2),
    ("lake", 2),
    ("server", 3),
    ("sim", 3),
    ("cli", 4),
];
/// Within a level: lake provides what flow asks for.
const SIBLINGS: [(&str, &str); 2] = [("lake", "flow"), ("source", "flow")];
/// Dependency and the only crate that names it.
const HOMES: [(&str, &str); 5] =
    [("axum", "server"), ("datafusion", "lake"), ("deltalake", "lake"), ("notify", "source"), ("sqlx", "store")];

pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|f| f.is_below(&["crates", "*"])) {
        let krate = crate_of(file);
        if file.name() == "Cargo.toml" {
            problems.extend(manifest(&krate, file));
        } else if file.extension() == "rs" {
            problems.extend(code(&krate, file));
        }
    }
    problems
}

fn crate_of(file: &TextFile) -> String {
    file.path.components().nth(1).map(|c| c.as_os_str().to_string_lossy().into_owned()).unwrap_or_default()
}

fn level(krate: &str) -> Option<u8> {
    LEVELS.iter().find(|(n, _)| *n == krate).map(|(_, l)| *l)
}

fn manifest(krate: &str, file: &TextFile) -> Vec<Problem> {
    let Some(own) = level(krate) else {
        return vec![Problem::new(&file.path, 1, format!("crate `{krate}` has no level in xtask/src/tidy/layers.rs"))];
    };
    let mut problems = Vec::new();
    for (line, dependency) in dependencies(&file.text) {
        if let Some(other) = dependency.strip_prefix("alluvium-") {
            let below = level(other).is_some_and(|l| l < own);
            if !below && !SIBLINGS.contains(&(krate, other)) {
                problems.push(Problem::new(&file.path, line, format!("`{krate}` must not depend on `{other}`")));
            }
        }
        for (heavy, home) in HOMES {
            if krate != home
                && (dependency == heavy || dependency.strip_prefix(heavy).is_some_and(|r| r.starts_with('-')))
            {
                problems.push(Problem::new(&file.path, line, format!("only `{home}` names `{heavy}`")));
            }
        }
    }
    problems
}

/// Line (1 is the first) and name of each dependency of any kind.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (n, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies");
            if let Some((_, name)) = section.split_once("dependencies.") {
                found.push((n + 1, name.trim_matches('"').to_owned()));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.push((n + 1, name.trim_matches('"').to_owned()));
        }
    }
    found
}

fn code(krate: &str, file: &TextFile) -> Vec<Problem> {
    let masked = scan::mask(&file.text);
    let mut problems = Vec::new();
    for (heavy, home) in HOMES.iter().filter(|(_, home)| *home != krate) {
        for (at, _) in masked.match_indices(&format!("{heavy}::")) {
            let message = format!("only `{home}` names `{heavy}`");
            problems.push(Problem::new(&file.path, scan::line_of(&masked, at) + 1, message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_crate(krate: &str, name: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: format!("crates/{krate}/{name}").into(), text: text.to_owned() };
        check(&Tree { files: vec![file] }).into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn dependencies_point_down() {
        let toml = |d: &str| format!("[package]\nname = \"x\"\n[dependencies]\nserde.workspace = true\n{d}\n");
        assert!(in_crate("lake", "Cargo.toml", &toml("alluvium-flow.workspace = true")).is_empty());
        assert!(in_crate("cli", "Cargo.toml", &toml("alluvium-lake = { path = \"../lake\" }")).is_empty());
        assert_eq!(
            in_crate("flow", "Cargo.toml", &toml("alluvium-lake.workspace = true")),
            ["`flow` must not depend on `lake`"]
        );
        assert_eq!(in_crate("spec", "Cargo.toml", &toml("alluvium-store.workspace = true")).len(), 1);
        assert_eq!(in_crate("model", "Cargo.toml", "[dev-dependencies]\nalluvium-spec.workspace = true\n").len(), 1);
        assert_eq!(in_crate("model", "Cargo.toml", "[dependencies.alluvium-spec]\npath = \"x\"\n").len(), 1);
        assert_eq!(in_crate("unheard", "Cargo.toml", "").len(), 1);
    }

    #[test]
    fn heavy_dependencies_have_one_home() {
        assert_eq!(
            in_crate("flow", "Cargo.toml", "[dependencies]\ndatafusion-expr = \"1\"\n"),
            ["only `lake` names `datafusion`"]
        );
        assert_eq!(
            in_crate("cli", "src/a.rs", "//! datafusion::x\nuse datafusion::prelude::*;\n"),
            ["only `lake` names `datafusion`"]
        );
        assert!(in_crate("lake", "src/a.rs", "use datafusion::prelude::*;\n").is_empty());
    }
}
