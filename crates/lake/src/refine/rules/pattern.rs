//! A regular expression that the whole text has to match. Linear in the text's length, whatever the expression.

use super::{mask, not_applicable};
use crate::refine::{Place, RefineError};
use alluvium_spec::ColumnType;
use arrow::{
    array::{ArrayRef, AsArray},
    buffer::BooleanBuffer,
};
use regex::{Regex, RegexBuilder};

/// Compiled expressions larger than this are refused, bytes.
const COMPILED_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub fn new(pattern: &str, kind: ColumnType, place: &Place) -> Result<Self, RefineError> {
        if !matches!(kind, ColumnType::String | ColumnType::Time | ColumnType::Json) {
            return Err(not_applicable("a pattern", kind, place));
        }
        let build = |p: &str| {
            let built = RegexBuilder::new(p).size_limit(COMPILED_BYTES).build();
            built.map_err(|source| RefineError::BadPattern { place: Box::new(place.clone()), source: Box::new(source) })
        };
        // On its own first: a bracket too many must not close the group around it.
        build(pattern)?;
        build(&format!(r"\A(?:{pattern})\z")).map(Self)
    }

    pub fn unmatched(&self, column: &ArrayRef) -> Option<BooleanBuffer> {
        let text = column.as_string::<i32>();
        mask(text, |row| !self.0.is_match(text.value(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use std::sync::Arc;

    #[test]
    fn the_whole_text_has_to_match() {
        let pattern = Pattern::new("a|bc", ColumnType::String, &Place::step(0)).unwrap();
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("ab"), None, Some("bc"), Some("a\n")]));
        assert_eq!(pattern.unmatched(&column).unwrap().set_indices().collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn patterns_that_cannot_be_used() {
        for bad in ["(", "a)(b", r"(?=a)", r"\w{1000}{1000}"] {
            let made = Pattern::new(bad, ColumnType::String, &Place::step(0));
            assert!(matches!(made, Err(RefineError::BadPattern { .. })), "{bad}");
        }
        assert!(Pattern::new("a", ColumnType::Date, &Place::step(0)).is_err());
    }
}
