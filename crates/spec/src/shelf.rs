//! Where definition files are read: in the project's folder, or among texts that were kept.
//!
//! Used by `discover.rs` and `load.rs`.

use crate::{diagnostic::Sink, paths::Fence, source_file::SourceFile};
use std::{collections::BTreeMap, path::Path, sync::Arc};

pub(crate) enum Shelf<'a> {
    Folder {
        root: &'a Path,
        fence: &'a Fence,
    },
    /// Texts by their paths below the root.
    Kept(&'a BTreeMap<String, String>),
}

impl Shelf<'_> {
    /// The file at a path that was found here; one that cannot be used is reported and `None`.
    pub(crate) fn read(&self, path: &Path, sink: &mut Sink) -> Option<Arc<SourceFile>> {
        match self {
            Self::Folder { root, .. } => SourceFile::read(root, path, sink),
            Self::Kept(files) => {
                let text = files.get(path.to_str()?)?;
                Some(Arc::new(SourceFile::new(path, text.as_str())))
            }
        }
    }
}
