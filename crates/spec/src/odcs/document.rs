//! A whole ODCS document.

use super::{
    common::{annotations_with_mode, custom, links, texts},
    draft::{ContractDraft, ObjectDraft},
    parties, schema, vocabulary,
};
use crate::{
    codes,
    diagnostic::{Sink, quoted},
    library::Library,
    nearest,
    source_file::SourceFile,
    yaml::{self, Fields, Node, Reader, Unknown},
};
use std::sync::Arc;

const API_VERSIONS: [&str; 5] = ["v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", NEWEST];
const NEWEST: &str = "v3.2.0";

/// Which version of the standard a document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standard {
    /// v3 with this minor number.
    Known(u32),
    /// A version of v3 that came later than this reader.
    Later,
}

/// `None`: it is not of v3.
pub(super) fn standard(written: &str) -> Option<Standard> {
    let (minor, patch) = written.strip_prefix("v3.")?.split_once('.')?;
    let (minor, _) = (minor.parse().ok()?, patch.parse::<u32>().ok()?);
    Some(if API_VERSIONS.contains(&written) { Standard::Known(minor) } else { Standard::Later })
}

/// Without a library, calls in the rules' SQL stay as they are written.
pub(crate) fn read(file: Arc<SourceFile>, library: Option<&Library>, sink: &mut Sink) -> Option<ContractDraft> {
    let node = yaml::parse(&file.text, &file, sink)?;
    let mut r = Reader { file: &file, sink, library, unknown: Unknown::Mistake };
    let mut f = r.fields(&node, "an ODCS document")?;
    version(&mut f, &mut r);
    let mut text = |f: &mut Fields<'_>, key| f.require(key, &mut r).and_then(|n| r.text(n)).map(|t| t.value);
    let (id, version) = (text(&mut f, "id"), text(&mut f, "version"));
    text(&mut f, "status");
    let name = f.take("name").and_then(|n| r.text(n)).map(|t| t.value);
    texts(&mut f, &["tenant", "domain", "dataProduct", "contractCreatedTs"], &mut r);
    let description = f.take("description").and_then(|n| description(n, &mut r));
    let objects = f.take("schema").map_or_else(|| Some(Vec::new()), |n| objects(n, &mut r));
    let agreements = parties::read(&mut f, &mut r);
    annotations_with_mode(&mut f, &mut r);
    vocabulary::context(&mut f, &mut r);
    if r.unknown == Unknown::Own {
        // The document itself is closed in each version.
        r.unknown = Unknown::Mistake;
    }
    f.finish(&mut r);
    let objects = objects?;
    let chosen = choose(&objects, file.stem(".odcs.yaml"));
    Some(ContractDraft { id: id?, version: version?, name, description, objects, agreements, chosen, file })
}

fn version(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    if let Some(kind) = f.require("kind", r).and_then(|n| r.text(n))
        && kind.value != "DataContract"
    {
        let help = Some("write `kind: DataContract`".to_owned());
        r.error(codes::ODCS_VERSION, kind.place, format!("{} is no kind of contract", quoted(&kind.value)), help);
    }
    let Some(api) = f.require("apiVersion", r).and_then(|n| r.text(n)) else { return };
    match standard(&api.value) {
        // Its JSON Schema is open below the document itself, and the standard's own examples make use of it.
        Some(Standard::Known(0)) => r.unknown = Unknown::Own,
        Some(Standard::Known(_)) => {}
        Some(Standard::Later) => {
            r.unknown = Unknown::Later;
            let message = format!("version {} of ODCS is not known, and read as {NEWEST}", quoted(&api.value));
            r.error(codes::LATER_STANDARD, api.place, message, nearest::help(&api.value, API_VERSIONS));
        }
        None => {
            let message = format!("version {} of ODCS is not read", quoted(&api.value));
            r.error(codes::ODCS_VERSION, api.place, message, nearest::help(&api.value, API_VERSIONS));
        }
    }
}

fn description(node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let mut f = r.fields(node, "a mapping with `purpose`, `usage` and `limitations`")?;
    let purpose = f.take("purpose").and_then(|n| r.text(n)).map(|t| t.value);
    texts(&mut f, &["usage", "limitations"], r);
    links(&mut f, r);
    custom(&mut f, r);
    f.finish(r);
    purpose
}

fn objects(node: &Node, r: &mut Reader<'_>) -> Option<Vec<ObjectDraft>> {
    let read: Vec<Option<ObjectDraft>> = r.list(node)?.iter().map(|n| schema::object(n, r)).collect();
    read.into_iter().collect()
}

/// The object named like the file, else the only one. Whether there is one matters to who uses the contract.
fn choose(objects: &[ObjectDraft], stem: &str) -> Option<usize> {
    objects.iter().position(|o| o.is_named(stem, false)).or((objects.len() == 1).then_some(0))
}
