//! One data file of a table, with what is gone of it.

use crate::{
    error::LakeError,
    remote::Disk,
    scan::{Pick, Source},
    vector,
};
use deltalake::kernel::{Action, Add, DeletionVectorDescriptor, Remove};
use std::path::Path;

/// An active data file.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// When it became part of the table, in milliseconds since 1970.
    pub(crate) modified: i64,
    /// Rows that are not gone.
    pub(crate) rows: u64,
    pub(crate) vector: Option<DeletionVectorDescriptor>,
    /// Delta's statistics of the file as it was written.
    pub(super) stats: Option<String>,
    pub(crate) remove: Remove,
    pub(super) disk: Disk,
}

impl DataFile {
    /// Takes out the rows of `vector`, which holds those that were out before.
    pub(crate) fn mark(&mut self, vector: DeletionVectorDescriptor) {
        let before = cardinality(self.vector.as_ref());
        self.rows = (self.rows + before).saturating_sub(cardinality(Some(&vector)));
        self.vector = Some(vector);
    }

    /// A file without the rows that its vector names.
    pub(crate) fn source(&self, dir: &Path) -> Result<Source, LakeError> {
        let pick = match &self.vector {
            None => Pick::All,
            Some(v) => Pick::Without(vector::read(&self.disk, dir, v)?),
        };
        // Rows that are gone are still in the file.
        let rows = self.stats.as_deref().and_then(record_count);
        Ok(Source { path: self.disk.file(dir.join(&self.path)).known(self.bytes, rows), pick })
    }

    /// The greatest time of the column in all rows of the file, those that are gone included, in microseconds since 1970 and
    /// up to a millisecond later; the inner `None`: no row has one. `None`: the statistics do not tell.
    pub(crate) fn newest(&self, column: &str) -> Option<Option<i64>> {
        newest(self.stats.as_deref()?, column)
    }

    /// The same file with another vector.
    pub(crate) fn with_vector(&self, vector: DeletionVectorDescriptor, at_millis: i64) -> Action {
        Action::Add(Add {
            path: self.path.clone(),
            partition_values: self.remove.partition_values.clone().unwrap_or_default(),
            size: self.remove.size.unwrap_or(0),
            modification_time: at_millis,
            data_change: true,
            stats: self.stats.as_deref().map(loose),
            tags: None,
            deletion_vector: Some(vector),
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }
}

/// Statistics of a file of which rows are gone: its bounds still hold, and may be wider than what is left.
pub(crate) fn loose(stats: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(stats) {
        Ok(serde_json::Value::Object(mut known)) => {
            known.insert("tightBounds".into(), false.into());
            serde_json::Value::Object(known).to_string()
        }
        _ => stats.to_owned(),
    }
}

pub(crate) fn cardinality(vector: Option<&DeletionVectorDescriptor>) -> u64 {
    vector.and_then(|v| u64::try_from(v.cardinality).ok()).unwrap_or(0)
}

fn newest(stats: &str, column: &str) -> Option<Option<i64>> {
    let stats = serde_json::from_str::<serde_json::Value>(stats).ok()?;
    let Some(greatest) = stats["maxValues"][column].as_str() else {
        let nulls = stats["nullCount"][column].as_u64()?;
        return (Some(nulls) == stats["numRecords"].as_u64()).then_some(None);
    };
    let zoned = || greatest.parse::<jiff::Timestamp>().ok();
    let plain =
        || Some(greatest.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    Some(Some(zoned().or_else(plain)?.as_microsecond()))
}

pub(super) fn record_count(stats: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(stats).ok()?.get("numRecords")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_time_is_that_of_the_statistics() {
        let stats = r#"{ "numRecords": 3, "nullCount": { "no": 3, "some": 1 },
            "maxValues": { "at": "1970-01-01T00:00:01.500Z", "bare": "1970-01-01T00:00:02.000", "day": "1970-01-02", "text": "north" } }"#;
        let of = |column| newest(stats, column);
        assert_eq!([of("at"), of("bare"), of("day")], [1_500_000, 2_000_000, 86_400_000_000].map(|n| Some(Some(n))));
        assert_eq!([of("no"), of("some"), of("text"), of("else")], [Some(None), None, None, None]);
    }
}
