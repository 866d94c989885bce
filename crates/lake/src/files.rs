//! Data files as a table that SQL can read: by row, so that rows which are gone, or a change's rows only, need no copy.
//!
//! Registered by sessions, gates and the window finder. Reads nothing but the files it was given.

use crate::{
    error::LakeError,
    remote::LakeFile,
    scan::{Pick, Source},
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{DFSchema, Statistics, stats::Precision},
    config::TableParquetOptions,
    datasource::{
        TableType,
        listing::PartitionedFile,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource, parquet::ParquetRowSelection},
        source::DataSourceExec,
        table_schema::TableSchema,
    },
    error::Result,
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, utils::conjunction},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
};
use object_store::{ObjectMeta, path::Path as ObjectPath};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use std::sync::Arc;

/// Rows of files, all with (some of) the columns of `schema`.
#[derive(Debug)]
pub(crate) struct Files {
    schema: SchemaRef,
    files: Vec<OneFile>,
}

#[derive(Debug)]
struct OneFile {
    part: PartitionedFile,
    /// Those that are not meant included.
    rows: usize,
    pick: Pick,
    /// Keeps a copy for as long as it may be read.
    _held: LakeFile,
}

impl Files {
    /// Opens the footers of files of which not all rows are meant.
    pub(crate) fn new(schema: SchemaRef, sources: &[Source]) -> std::result::Result<Self, LakeError> {
        let mut files = Vec::with_capacity(sources.len());
        for source in sources {
            let (size, count) = match source.path.told_by_log() {
                Some(known) => known,
                None => of_file(&source.path)?,
            };
            let count = usize::try_from(count).unwrap_or(0);
            let location =
                ObjectPath::from_absolute_path(&*source.path).map_err(|e| LakeError::Query(Box::new(e.into())))?;
            // The content never changes under a name.
            let meta = ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size, e_tag: None, version: None };
            let part = PartitionedFile::new_from_meta(meta);
            files.push(OneFile { part, rows: count, pick: source.pick.clone(), _held: source.path.clone() });
        }
        Ok(Self { schema, files })
    }
}

impl OneFile {
    /// With the rows that are meant, which takes time by their number: only for who reads it.
    fn picked(&self) -> PartitionedFile {
        let part = self.part.clone();
        match self.pick.mask(0, self.rows) {
            Some(mask) => part.with_extension(ParquetRowSelection::new(RowSelection::from_boolean_buffer(mask))),
            None => part,
        }
    }
}

/// Bytes and rows.
fn of_file(path: &LakeFile) -> std::result::Result<(u64, u64), LakeError> {
    let file = path.open()?;
    let size = file.metadata().map_err(LakeError::io(&**path))?.len();
    let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
    Ok((size, u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0)))
}

impl Files {
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.pick.of(f.rows as u64)).sum()
    }

    fn known(&self) -> Statistics {
        let mut known = Statistics::new_unknown(&self.schema);
        known.num_rows = Precision::Exact(usize::try_from(self.rows()).unwrap_or(usize::MAX));
        known
    }
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.known())
    }

    /// Row groups and pages are left out by their bounds; each row is still tested above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            let schema = match projection {
                Some(p) => Arc::new(self.schema.project(p)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let global = state.config_options().execution.parquet.clone();
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        let mut source = ParquetSource::new(TableSchema::from(self.schema.clone())).with_table_parquet_options(options);
        if let Some(filter) = conjunction(filters.to_vec()) {
            let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let picked = self.files.iter().any(|f| !matches!(f.pick, Pick::All));
        let files = self.files.iter().map(OneFile::picked).collect();
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(vec![FileGroup::new(files)])
            // Without them a join divides both of its sides, however small one is.
            .with_statistics(self.known().to_inexact())
            .with_projection_indices(projection.cloned())?
            // A limit over rows that are left out would count them.
            .with_limit(limit.filter(|_| !picked))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        maintain::fixture::{World, ids},
        session,
    };
    use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch};
    use datafusion::logical_expr::{col, lit};
    use std::sync::Arc;

    /// In SQL it is greater than any number, and bounds do not tell of it.
    #[tokio::test]
    async fn a_row_that_is_no_number_is_found_whatever_lies_beside_it() {
        let world = World::new();
        let place = World::silver();
        for (step, beside) in [("small", 1.0_f32), ("large", 9.0)] {
            let columns: [(&str, ArrayRef); 3] = [
                ("id", ids(&[1, 2]).column(0).clone()),
                ("wide", Arc::new(Float64Array::from(vec![f64::from(beside), f64::NAN]))),
                ("narrow", Arc::new(Float32Array::from(vec![beside, f32::NAN]))),
            ];
            let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).expect("columns");
            let told: serde_json::Value =
                serde_json::from_str(&world.append(&place, step, &batch).await.stats).expect("JSON");
            let nulls = serde_json::json!({ "id": 0, "wide": 0, "narrow": 0 });
            let bounds = [&told["minValues"], &told["maxValues"], &told["nullCount"]];
            assert_eq!(bounds, [&serde_json::json!({ "id": 1 }), &serde_json::json!({ "id": 2 }), &nulls]);
        }
        let table = world.table(&place).await;
        let session = session::bare(&world.engine).expect("a session");
        for column in ["wide", "narrow"] {
            let rows = session.read_table(Arc::new(session::provider(&table).expect("files"))).expect("a table");
            let above = rows.filter(col(column).gt(lit(5.0))).expect("a filter");
            assert_eq!(above.count().await.expect("counted"), 3, "{column}");
        }
    }
}
