//! Compatibility modes, with the names and the meaning that schema registries gave them.

use serde::Serialize;
use std::{fmt, str::FromStr};

/// Who has to be able to read what. The reader of `Backward` is the new version, that of `Forward` the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no compatibility mode; write NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, FORWARD_TRANSITIVE, FULL or FULL_TRANSITIVE"
)]
pub struct InvalidMode(String);

impl Mode {
    pub const ALL: [(&'static str, Self); 7] = [
        ("NONE", Self::None),
        ("BACKWARD", Self::Backward),
        ("BACKWARD_TRANSITIVE", Self::BackwardTransitive),
        ("FORWARD", Self::Forward),
        ("FORWARD_TRANSITIVE", Self::ForwardTransitive),
        ("FULL", Self::Full),
        ("FULL_TRANSITIVE", Self::FullTransitive),
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The new version has to read what was written under the old one.
    pub fn backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// The old version has to read what is written under the new one.
    pub fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    /// All earlier versions count, not only the last one.
    pub fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

impl FromStr for Mode {
    type Err = InvalidMode;

    /// In any case of letters.
    fn from_str(text: &str) -> Result<Self, InvalidMode> {
        let found = Self::ALL.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, mode)| mode).ok_or_else(|| InvalidMode(text.to_owned()))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_by_its_name() {
        for (word, mode) in Mode::ALL {
            assert_eq!((word.parse(), mode.word()), (Ok(mode), word));
            assert_eq!(word.to_lowercase().parse(), Ok(mode));
        }
        assert!("BACKWARDS".parse::<Mode>().is_err());
    }
}
