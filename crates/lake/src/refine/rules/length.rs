//! Length of a text in characters.

use super::{mask, not_applicable};
use crate::refine::{Place, RefineError, text::value_bytes};
use alluvium_spec::ColumnType;
use arrow::{
    array::{ArrayRef, AsArray},
    buffer::BooleanBuffer,
};

#[derive(Debug)]
pub(crate) struct Length {
    min: u64,
    max: u64,
}

impl Length {
    pub fn new(min: Option<u64>, max: Option<u64>, kind: ColumnType, place: &Place) -> Result<Self, RefineError> {
        match kind {
            ColumnType::String | ColumnType::Time | ColumnType::Json => {
                Ok(Self { min: min.unwrap_or(0), max: max.unwrap_or(u64::MAX) })
            }
            _ => Err(not_applicable("a length", kind, place)),
        }
    }

    pub fn outside(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let text = column.as_string::<i32>();
        let offsets = text.value_offsets();
        let fits = |length: u64| (self.min..=self.max).contains(&length);
        if value_bytes(text).is_ascii() {
            return mask(text, |row| !fits((offsets[row + 1] - offsets[row]).unsigned_abs().into()));
        }
        mask(text, |row| !fits(text.value(row).chars().count() as u64))
    }
}

/// `of`: what is counted.
pub(super) fn message(min: Option<u64>, max: Option<u64>, of: &str) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("does not have {min} to {max} {of}"),
        (Some(min), None) => format!("has fewer than {min} {of}"),
        (None, Some(max)) => format!("has more than {max} {of}"),
        (None, None) => "has no length".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use std::sync::Arc;

    #[test]
    fn characters_are_counted_not_bytes() {
        let length = Length::new(Some(2), Some(3), ColumnType::String, &Place::step(0)).unwrap();
        let column: ArrayRef =
            Arc::new(StringArray::from(vec![Some("é"), Some("éé"), None, Some("abcd"), Some("日本語")]));
        assert_eq!(length.outside(&column).unwrap().set_indices().collect::<Vec<_>>(), [0, 3]);
        let ascii: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("ab"), None, Some("abcd")]));
        assert_eq!(length.outside(&ascii).unwrap().set_indices().collect::<Vec<_>>(), [0, 3]);
        assert!(length.outside(&ascii.slice(1, 2)).is_none());
        assert!(Length::new(None, None, ColumnType::Integer, &Place::step(0)).is_err());
    }
}
