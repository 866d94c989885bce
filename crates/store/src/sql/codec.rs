//! How values lie in columns, and how lists of rows travel to the database.
//!
//! Called by the other files of this folder. It never turns a value that it cannot read into a default.

use super::Row;
use crate::{BackfillState, EventState, Owner, RunState, StepKind, StepState, StoreError, Value};
use alluvium_model::{Balance, DatasetName, RetryClass, Span};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::{error::Error, str::FromStr};

/// A count or a place in a list, as the database holds it.
pub(crate) fn number(count: usize) -> i64 {
    i64::try_from(count).expect("nothing in memory has so many parts")
}

/// Rows sent with one statement; the text that carries them stays small.
pub(super) const ROWS_PER_STATEMENT: usize = 2_000;

/// An enum that lies in a column as a word.
pub(super) trait Word: Copy + Eq + 'static {
    const WORDS: &'static [(Self, &'static str)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(v, _)| *v == self).expect("every value has its word").1
    }
}

impl Word for EventState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Pending, "pending"),
        (Self::Planned, "planned"),
        (Self::Done, "done"),
        (Self::Dead, "dead"),
        (Self::Replayed, "replayed"),
    ];
}

impl Word for StepKind {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Ingest, "ingest"),
        (Self::Refine, "refine"),
        (Self::Curate, "curate"),
        (Self::ReplayQuarantine, "replay_quarantine"),
        (Self::Discard, "discard"),
        (Self::Rebuild, "rebuild"),
        (Self::Backfill, "backfill"),
        (Self::Swap, "swap"),
    ];
}

impl Word for BackfillState {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Building, "building"), (Self::Failed, "failed"), (Self::Built, "built"), (Self::Swapped, "swapped")];
}

impl Word for StepState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Planned, "planned"),
        (Self::Running, "running"),
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Dead, "dead"),
        (Self::Superseded, "superseded"),
    ];
}

impl Word for RunState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Running, "running"),
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Interrupted, "interrupted"),
    ];
}

impl Word for RetryClass {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Transient, "transient"),
        (Self::Throttled, "throttled"),
        (Self::Auth, "auth"),
        (Self::Schema, "schema"),
        (Self::Data, "data"),
        (Self::Timeout, "timeout"),
        (Self::Internal, "internal"),
    ];
}

/// A list as one bound argument for `json_each`.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("plain fields and text keys serialise")
}

/// Microseconds; what is finer is cut off, and so is the calendar's last second, which cannot be read back.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond().min(last_micros())
}

/// The last instant that both a [`Timestamp`] and its microseconds can be.
fn last_micros() -> i64 {
    Timestamp::MAX.as_second() * 1_000_000
}

/// The end of a lease; one without end ends with the calendar.
pub(super) fn micros_after(now: Timestamp, ttl: Span) -> i64 {
    micros(now).saturating_add(ttl.micros()).min(last_micros())
}

/// Same bits: every count comes back as it went in.
pub(super) fn signed(count: u64) -> i64 {
    count.cast_signed()
}

/// A row read by name.
pub(super) struct Cells<'r>(pub(super) &'r Row);

impl Cells<'_> {
    fn value(&self, column: &'static str) -> Result<&Value, StoreError> {
        let at = self.0.names.iter().position(|n| n == column);
        at.map(|n| &self.0.values[n]).ok_or_else(|| unreadable(column, NoSuch("column")))
    }

    fn str(&self, column: &'static str) -> Result<&str, StoreError> {
        self.optional_str(column)?.ok_or_else(|| unreadable(column, NoSuch("value")))
    }

    fn optional_str(&self, column: &'static str) -> Result<Option<&str>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Integer(_) | Value::Real(_) => Err(unreadable(column, NoSuch("text"))),
        }
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.str(column).map(str::to_owned)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        Ok(self.optional_str(column)?.map(str::to_owned))
    }

    pub(super) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.optional_integer(column)?.ok_or_else(|| unreadable(column, NoSuch("value")))
    }

    pub(super) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Integer(number) => Ok(Some(*number)),
            Value::Text(_) | Value::Real(_) => Err(unreadable(column, NoSuch("whole number"))),
        }
    }

    pub(super) fn real(&self, column: &'static str) -> Result<f64, StoreError> {
        match self.value(column)? {
            Value::Real(number) => Ok(*number),
            Value::Null | Value::Integer(_) | Value::Text(_) => Err(unreadable(column, NoSuch("number"))),
        }
    }

    pub(super) fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        self.integer(column).map(i64::cast_unsigned)
    }

    pub(super) fn optional_count(&self, column: &'static str) -> Result<Option<u64>, StoreError> {
        Ok(self.optional_integer(column)?.map(i64::cast_unsigned))
    }

    pub(super) fn small(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.integer(column)?).map_err(|e| unreadable(column, e))
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(self.integer(column)?).map_err(|e| unreadable(column, e))
    }

    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let Some(at) = self.optional_integer(column)? else { return Ok(None) };
        Timestamp::from_microsecond(at).map(Some).map_err(|e| unreadable(column, e))
    }

    pub(super) fn dataset(&self, column: &'static str) -> Result<DatasetName, StoreError> {
        self.parsed(column)
    }

    /// A text that `T` reads.
    pub(super) fn parsed<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        self.str(column)?.parse().map_err(|e| unreadable(column, e))
    }

    pub(super) fn word<T: Word>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.str(column)?;
        let found = T::WORDS.iter().find(|(_, w)| *w == text);
        found.map(|(v, _)| *v).ok_or_else(|| unreadable(column, UnknownWord(text.to_owned())))
    }

    pub(super) fn optional_word<T: Word>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.optional_str(column)?.map(|_| self.word(column)).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.str(column)?).map_err(|e| unreadable(column, e))
    }

    pub(super) fn optional_json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.optional_str(column)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|e| unreadable(column, e))
    }

    /// The process in the columns of a lease.
    pub(super) fn owner(&self) -> Result<Owner, StoreError> {
        Ok(Owner {
            host: self.text("host")?,
            process: self.small("process")?,
            started_ticks: self.count("started_ticks")?,
        })
    }

    pub(super) fn balance(&self) -> Result<Balance, StoreError> {
        Ok(Balance {
            received: self.count("received")?,
            loaded: self.count("loaded")?,
            quarantined: self.count("quarantined")?,
            dropped: self.count("dropped")?,
            dead: self.count("dead")?,
            duplicates: self.count("duplicates")?,
            late: self.count("late")?,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no known state or kind")]
struct UnknownWord(String);

#[derive(Debug, thiserror::Error)]
#[error("there is no {0}")]
struct NoSuch(&'static str);

/// A cell that is of another kind than its column.
pub(super) fn unreadable_as(column: &'static str, kind: &'static str) -> StoreError {
    unreadable(column, NoSuch(kind))
}

fn unreadable(column: &'static str, source: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unreadable { column, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_serde() {
        fn check<T: Word + Serialize>() {
            for (value, word) in T::WORDS {
                assert_eq!(json(value), format!("\"{word}\""));
            }
        }
        check::<EventState>();
        check::<StepKind>();
        check::<StepState>();
        check::<BackfillState>();
        check::<RunState>();
        check::<RetryClass>();
    }

    #[test]
    fn the_ends_of_the_calendar_can_be_read_back() {
        assert!(Timestamp::from_microsecond(micros(Timestamp::MAX)).is_ok());
        assert!(Timestamp::from_microsecond(micros(Timestamp::MIN)).is_ok());
        let end = micros_after(Timestamp::MAX, Span::from_secs(i64::MAX / 1_000_000));
        assert!(Timestamp::from_microsecond(end).is_ok());
    }
}
