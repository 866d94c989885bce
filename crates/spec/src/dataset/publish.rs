//! `publish` and `alerts`: which sinks are told, of a dataset's commits, of runs, or of what is wrong.
//!
//! Called by the readers of all three layers and of the project file. It decides no rows and is no part of the definition version.

use crate::{
    codes,
    diagnostic::quoted,
    source_file::Spanned,
    yaml::{Fields, Reader},
};
use std::collections::BTreeSet;

pub(crate) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Vec<Spanned<String>> {
    read_key("publish", f, r)
}

pub(crate) fn read_key(key: &'static str, f: &mut Fields<'_>, r: &mut Reader<'_>) -> Vec<Spanned<String>> {
    let names = f.take(key).and_then(|n| r.names(n)).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for name in &names {
        if !seen.insert(name.value.as_str()) {
            r.error(codes::CONTRADICTION, name.place, format!("the sink {} is named twice", quoted(&name.value)), None);
        }
    }
    names
}
