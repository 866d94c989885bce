//! Names for events, runs, steps and versions. All but [`RunId`] are derived from what they name.

use crate::{Clock, DatasetName, Entropy, Window};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text that this type wrote earlier.
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// One thing that arrived: hash of the dataset and the content received.
    EventId
);
text_id!(
    /// One piece of work. Sorts by time of creation.
    RunId
);
text_id!(
    /// Hash of dataset, window, input positions and definition version: the same work has the same key.
    StepKey
);
text_id!(
    /// Hash of everything that decides a dataset's rows.
    DefinitionVersion
);
text_id!(
    /// BLAKE3 of a landing object's bytes, hex.
    ContentHash
);

impl ContentHash {
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().to_string())
    }
}

impl EventId {
    pub fn of(dataset: &DatasetName, content: &ContentHash) -> Self {
        let mut h = blake3::Hasher::new();
        field(&mut h, dataset.to_string().as_bytes());
        field(&mut h, content.0.as_bytes());
        Self(short(&h))
    }

    /// The next delivery of the same content, after this one came to nothing.
    pub fn again(&self) -> Self {
        let mut h = blake3::Hasher::new();
        field(&mut h, b"again");
        field(&mut h, self.0.as_bytes());
        Self(short(&h))
    }
}

impl RunId {
    /// `YYYYMMDDThhmmss-` and eight random hex digits.
    pub fn fresh(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let now = clock.now().strftime("%Y%m%dT%H%M%S").to_string();
        Self(format!("{now}-{:08x}", entropy.next_u64() as u32))
    }
}

impl DefinitionVersion {
    /// `parts` in a fixed order; the caller passes everything that decides rows.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut h = blake3::Hasher::new();
        for part in parts {
            field(&mut h, part);
        }
        Self(short(&h))
    }

    /// The first eight digits, for people.
    pub fn brief(&self) -> &str {
        &self.0[..self.0.len().min(8)]
    }
}

/// Collects what a step's work depends on.
#[derive(Debug)]
pub struct StepKeyBuilder(blake3::Hasher);

impl StepKeyBuilder {
    /// `kind` tells apart works of one dataset over the same input, as an ordinary step from a replay.
    pub fn new(kind: &str, dataset: &DatasetName, version: &DefinitionVersion) -> Self {
        let mut h = blake3::Hasher::new();
        field(&mut h, kind.as_bytes());
        field(&mut h, dataset.to_string().as_bytes());
        field(&mut h, version.0.as_bytes());
        Self(h)
    }

    pub fn event(mut self, event: &EventId) -> Self {
        field(&mut self.0, event.0.as_bytes());
        self
    }

    /// The half-open range of table versions `(after, upto]` that the step reads.
    pub fn input(mut self, input: &DatasetName, after: i64, upto: i64) -> Self {
        field(&mut self.0, input.to_string().as_bytes());
        field(&mut self.0, &after.to_be_bytes());
        field(&mut self.0, &upto.to_be_bytes());
        self
    }

    /// A text that decides what the step does, or that there is none.
    pub fn text(mut self, text: Option<&str>) -> Self {
        field(&mut self.0, &[u8::from(text.is_some())]);
        field(&mut self.0, text.unwrap_or_default().as_bytes());
        self
    }

    pub fn window(mut self, window: &Window) -> Self {
        field(&mut self.0, &window.from.to_be_bytes());
        field(&mut self.0, &window.to.to_be_bytes());
        self
    }

    pub fn finish(self) -> StepKey {
        StepKey(short(&self.0))
    }
}

/// Length first, so that no two lists of fields run into the same bytes.
fn field(h: &mut blake3::Hasher, bytes: &[u8]) {
    h.update(&(bytes.len() as u64).to_be_bytes());
    h.update(bytes);
}

fn short(h: &blake3::Hasher) -> String {
    h.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let v = |a: &[u8], b: &[u8]| DefinitionVersion::of([a, b]);
        assert_ne!(v(b"ab", b"c"), v(b"a", b"bc"));
        assert_eq!(v(b"ab", b"c"), v(b"ab", b"c"));
    }
}
