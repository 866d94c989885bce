//! Rows of a query in the form that was asked for. Holds one batch at a time; a table also its first rows.

use super::{Align, Style, Table, printable};
use crate::{
    args::Output,
    error::CliError,
    output::{Destination, Written},
};
use arrow::{
    array::{Array, ArrayRef, RecordBatch, StringBuilder},
    csv,
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
    error::ArrowError,
    json::{
        LineDelimitedWriter, WriterBuilder,
        writer::{EncoderOptions, make_encoder},
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use std::sync::Arc;

/// A cell of a table is cut here; the other forms are whole.
const WIDEST_CELL: usize = 80;
const ROW_GROUP_BYTES: usize = 64 << 20;

pub struct Results {
    form: Form,
    out: Destination,
}

enum Form {
    Table { schema: SchemaRef, widths: Option<Vec<usize>>, style: Style },
    Csv { schema: SchemaRef, header: bool },
    Json { rows: bool },
    Ndjson,
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Results {
    pub fn new(output: Output, schema: SchemaRef, out: Destination) -> Result<Self, CliError> {
        let style = match &out {
            Destination::Stdout(_) => Style::stdout(),
            Destination::File(_) => Style::PLAIN,
        };
        let form = match output {
            Output::Table => Form::Table { schema, widths: None, style },
            Output::Csv => Form::Csv { schema, header: true },
            Output::Json => Form::Json { rows: false },
            Output::Ndjson => Form::Ndjson,
            Output::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                Form::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, Some(properties))?))
            }
        };
        Ok(Self { form, out })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<Written, CliError> {
        if batch.num_rows() == 0 {
            return Ok(Written::Yes);
        }
        let bytes = match &mut self.form {
            Form::Table { schema, widths, style } => table(schema, batch, widths, *style)?.into_bytes(),
            Form::Csv { header, .. } => csv_text(batch, std::mem::take(header))?,
            Form::Json { rows } => {
                let mut bytes = Vec::new();
                for line in lines(batch)?.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                    bytes.extend_from_slice(if std::mem::replace(rows, true) { b",\n" } else { b"[\n" });
                    bytes.extend_from_slice(line);
                }
                bytes
            }
            Form::Ndjson => lines(batch)?,
            Form::Parquet(writer) => {
                writer.write(batch)?;
                // The writer counts its offsets itself, so that what it gave out so far may leave.
                std::mem::take(writer.inner_mut())
            }
        };
        self.out.write(&bytes)
    }

    /// What comes after the last row, and the names of the columns if there was none.
    pub fn finish(self) -> Result<(), CliError> {
        let Self { form, mut out } = self;
        let bytes = match form {
            Form::Table { schema, widths: None, style } => {
                table(&schema, &RecordBatch::new_empty(schema.clone()), &mut None, style)?.into_bytes()
            }
            Form::Csv { schema, header: true } => csv_text(&RecordBatch::new_empty(schema), true)?,
            Form::Json { rows } => if rows { "\n]\n" } else { "[]\n" }.into(),
            Form::Table { .. } | Form::Csv { .. } | Form::Ndjson => Vec::new(),
            Form::Parquet(writer) => writer.into_inner()?,
        };
        out.write(&bytes)?;
        out.finish()
    }
}

/// The first batch decides the widths; later cells that are wider push their line to the right.
fn table(
    schema: &Schema,
    batch: &RecordBatch,
    widths: &mut Option<Vec<usize>>,
    style: Style,
) -> Result<String, CliError> {
    let align = |f: &FieldRef| if f.data_type().is_numeric() { Align::Right } else { Align::Left };
    let mut table = Table::new(schema.fields().iter().map(|f| (printable(f.name()), align(f))));
    let batch = flat(batch)?;
    let options = FormatOptions::new().with_null("NULL").with_display_error(true);
    let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        table.row(columns.iter().map(|c| cell(&c.value(row).to_string())).collect());
    }
    Ok(match widths {
        Some(widths) => table.body(widths),
        None => {
            let found = widths.insert(table.widths());
            table.header(found, style) + &table.body(found)
        }
    })
}

/// Each row as an object.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<serde_json::Value>, CliError> {
    let text = lines(batch)?;
    Ok(serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>()?)
}

/// As it fits into a table.
pub fn cell(text: &str) -> String {
    let shown = printable(text);
    match shown.char_indices().nth(WIDEST_CELL) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

fn csv_text(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    csv::WriterBuilder::new().with_header(header).build(&mut bytes).write(&flat(batch)?)?;
    Ok(bytes)
}

fn lines(batch: &RecordBatch) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let mut writer: LineDelimitedWriter<_> = WriterBuilder::new().with_explicit_nulls(true).build(&mut bytes);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// Lists, structs and maps as JSON text, for forms that have only cells.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|f| f.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(json_text(field, column)?);
        } else {
            fields.push(field.clone());
            columns.push(column.clone());
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn json_text(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(field, column.as_ref(), &options)?;
    let mut out = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            out.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        out.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;
    use std::fs;

    fn batch() -> RecordBatch {
        let lists = vec![Some(vec![Some(1), None]), None];
        RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![1, 22])) as ArrayRef),
            ("text", Arc::new(StringArray::from(vec![Some("a\u{1b}[2J,\"b\""), None]))),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ])
        .expect("a batch")
    }

    fn written(output: Output, batches: &[RecordBatch]) -> Vec<u8> {
        let t = tempfile::tempdir().expect("a folder");
        let to = t.path().join("result");
        let out = Destination::file(&to).expect("a file");
        let mut results = Results::new(output, batch().schema(), out).expect("a form");
        for b in batches {
            assert_eq!(results.write(b).expect("written"), Written::Yes);
        }
        results.finish().expect("finished");
        fs::read(to).expect("a file")
    }

    fn text(output: Output, batches: &[RecordBatch]) -> String {
        String::from_utf8(written(output, batches)).expect("text")
    }

    #[test]
    fn every_form_holds_every_row() {
        let twice = [batch(), batch()];
        let csv = "id,text,list\n1,\"a\u{1b}[2J,\"\"b\"\"\",\"[1,null]\"\n22,,\n";
        assert_eq!(text(Output::Csv, &twice[..1]), csv);
        assert_eq!(text(Output::Ndjson, &twice).lines().count(), 4);
        let rows: serde_json::Value = serde_json::from_str(&text(Output::Json, &twice)).expect("JSON");
        assert_eq!(rows.as_array().map(Vec::len), Some(4));
        assert_eq!(rows[1], serde_json::json!({ "id": 22, "text": null, "list": null }));
        let parquet = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(
            bytes(written(Output::Parquet, &twice)),
            1_024,
        );
        assert_eq!(parquet.expect("Parquet").map(|b| b.expect("a batch").num_rows()).sum::<usize>(), 4);
    }

    fn bytes(content: Vec<u8>) -> fs::File {
        use std::io::{Seek, Write};
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        file.rewind().expect("at the start");
        file
    }

    #[test]
    fn no_rows_still_have_their_columns() {
        assert_eq!(text(Output::Csv, &[]), "id,text,list\n");
        assert_eq!(text(Output::Json, &[]), "[]\n");
        assert_eq!(text(Output::Ndjson, &[]), "");
        assert_eq!(text(Output::Table, &[]), "id  text  list\n");
    }

    #[test]
    fn a_table_is_safe_to_look_at() {
        let shown = text(Output::Table, &[batch()]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "id  text            list");
        assert_eq!(lines[1], " 1  a\\u{1b}[2J,\"b\"  [1,null]");
        assert_eq!(lines[2], "22  NULL            NULL");
    }
}
