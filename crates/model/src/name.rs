//! `layer.name`, the name of a dataset.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Bronze,
    Silver,
    Gold,
}

impl Layer {
    pub const ALL: [Self; 3] = [Self::Bronze, Self::Silver, Self::Gold];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bronze => "bronze",
            Self::Silver => "silver",
            Self::Gold => "gold",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One table of the lake. The name is lower case letters, digits and underscores, and starts with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName {
    layer: Layer,
    name: String,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no dataset name; write `bronze.name`, `silver.name` or `gold.name`, lower case, up to 63 letters, digits or _"
)]
pub struct InvalidName(pub String);

impl DatasetName {
    pub fn new(layer: Layer, name: &str) -> Result<Self, InvalidName> {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if first && rest && name.len() <= 63 {
            Ok(Self { layer, name: name.to_owned() })
        } else {
            Err(InvalidName(format!("{layer}.{name}")))
        }
    }

    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// Without the layer.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for DatasetName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName(text.to_owned());
        let (layer, name) = text.split_once('.').ok_or_else(invalid)?;
        let layer = Layer::ALL.into_iter().find(|l| l.as_str() == layer).ok_or_else(invalid)?;
        Self::new(layer, name).map_err(|_| invalid())
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer, self.name)
    }
}

impl Serialize for DatasetName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatasetName {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for bad in ["silver", "silver.", "tin.flights", "silver.../../etc", "silver.a b", "silver.Été", "silver.1a"] {
            assert!(bad.parse::<DatasetName>().is_err(), "{bad}");
        }
        assert_eq!("gold.daily_delays".parse::<DatasetName>().map(|n| n.to_string()), Ok("gold.daily_delays".into()));
    }
}
