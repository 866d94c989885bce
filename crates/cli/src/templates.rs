//! The projects that `init` can make, carried in the binary.

/// Files with their paths in the new project.
pub struct Template {
    pub name: &'static str,
    pub files: &'static [(&'static str, &'static [u8])],
}

const EXAMPLES: &[Template] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

const EMPTY: Template = Template {
    name: "empty",
    files: &[
        ("alluvium.yaml", include_bytes!("../templates/empty/alluvium.yaml")),
        ("README.md", include_bytes!("../templates/empty/README.md")),
    ],
};

/// What a run makes has no place in version control.
pub const IGNORED: &str = "/.alluvium/\n/lake/\n";

/// Folders that an empty project has from the start.
pub const FOLDERS: [&str; 4] = ["contracts", "datasets/bronze", "datasets/silver", "datasets/gold"];

pub fn find(name: &str) -> Option<&'static Template> {
    EXAMPLES.iter().chain([&EMPTY]).find(|t| t.name == name)
}
