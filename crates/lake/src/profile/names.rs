//! The columns of files together: each name once, whatever its letters.

use alluvium_spec::{ColumnType, Format};
use arrow::datatypes::{DataType, Field};
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// In the order in which they came first.
#[derive(Default)]
pub(super) struct Names {
    pub all: Vec<Named>,
    /// By the names in lower case.
    places: HashMap<String, usize>,
}

/// A column of the files together.
pub(super) struct Named {
    pub name: String,
    pub spellings: BTreeSet<String>,
    pub declared: Declared,
}

#[derive(Clone, Copy)]
pub(super) enum Declared {
    Text,
    As(ColumnType),
    /// Several types that have none in common.
    Mixed,
    /// Bytes that are no text.
    Bytes,
}

impl Names {
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(&name.to_lowercase())
    }

    /// The place of a column among all; `None`: it is another one's name in other letters.
    pub fn place(&mut self, field: &Field, format: Format) -> Option<usize> {
        let declared = declared(field.data_type(), format);
        let place = *self.places.entry(field.name().to_lowercase()).or_insert(self.all.len());
        let Some(named) = self.all.get_mut(place) else {
            self.all.push(Named { name: field.name().clone(), spellings: BTreeSet::new(), declared });
            return Some(place);
        };
        if named.name != *field.name() {
            named.spellings.insert(field.name().clone());
            return None;
        }
        named.declared = named.declared.with(declared);
        Some(place)
    }
}

impl Declared {
    pub fn kind(self) -> Option<ColumnType> {
        match self {
            Self::As(kind) => Some(kind),
            Self::Text | Self::Mixed | Self::Bytes => None,
        }
    }

    pub fn is_typed(self) -> bool {
        !matches!(self, Self::Text | Self::As(ColumnType::String))
    }

    fn with(self, other: Self) -> Self {
        use ColumnType::{Int32, Integer, Number};
        match (self, other) {
            (Self::Text, Self::Text) => Self::Text,
            (Self::As(a), Self::As(b)) if a == b => self,
            (Self::As(Int32 | Integer), Self::As(Int32 | Integer)) => Self::As(Integer),
            (Self::As(Int32 | Number), Self::As(Int32 | Number)) => Self::As(Number),
            (Self::Bytes, _) | (_, Self::Bytes) => Self::Bytes,
            _ => Self::Mixed,
        }
    }
}

/// Text formats give text, and say nothing of types by that. Where Parquet has text, somebody chose it.
fn declared(kind: &DataType, format: Format) -> Declared {
    match kind {
        DataType::Boolean => Declared::As(ColumnType::Boolean),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Declared::As(ColumnType::Int32),
        DataType::Int64 => Declared::As(ColumnType::Integer),
        DataType::Float32 | DataType::Float64 => Declared::As(ColumnType::Number),
        DataType::Decimal128(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) => Declared::As(ColumnType::Decimal { precision: *precision, scale }),
            Err(_) => Declared::Text,
        },
        DataType::Date32 => Declared::As(ColumnType::Date),
        DataType::Timestamp(..) => Declared::As(ColumnType::Timestamp),
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => Declared::As(ColumnType::Json),
        DataType::Binary => Declared::Bytes,
        _ if format == Format::Parquet => Declared::As(ColumnType::String),
        _ => Declared::Text,
    }
}
