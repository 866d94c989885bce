//! `logicalType` and `physicalType` to a column's type.

use crate::{codes, contract::ColumnType, diagnostic::quoted, source_file::Spanned, yaml::Reader};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    String,
    Date,
    Timestamp,
    Time,
    Number,
    Integer,
    Object,
    Array,
    Boolean,
    Map,
    Vector,
}

pub(super) const LOGICAL: [(&str, Logical); 11] = [
    ("string", Logical::String),
    ("date", Logical::Date),
    ("timestamp", Logical::Timestamp),
    ("time", Logical::Time),
    ("number", Logical::Number),
    ("integer", Logical::Integer),
    ("object", Logical::Object),
    ("array", Logical::Array),
    ("boolean", Logical::Boolean),
    ("map", Logical::Map),
    ("vector", Logical::Vector),
];

/// The logical type, taken from the physical one where it is not written; text if neither says.
pub(super) fn logical(written: Option<Logical>, physical: Option<&Spanned<String>>) -> Logical {
    written.unwrap_or_else(|| physical.map_or(Logical::String, |p| from_physical(&base(&p.value))))
}

pub(super) fn column_type(
    logical: Logical,
    physical: Option<&Spanned<String>>,
    r: &mut Reader<'_>,
) -> Option<ColumnType> {
    let base_name = physical.map(|p| base(&p.value)).unwrap_or_default();
    Some(match logical {
        Logical::String => ColumnType::String,
        // v3.0 has no other logical type for a time of a day, and documents of later versions write it so, too: the standard's own
        // example of `semanticType` in v3.2 does.
        Logical::Date if is_timestamp(&base_name) => ColumnType::Timestamp,
        Logical::Date => ColumnType::Date,
        Logical::Timestamp => ColumnType::Timestamp,
        Logical::Time => ColumnType::Time,
        Logical::Boolean => ColumnType::Boolean,
        Logical::Object | Logical::Array | Logical::Map | Logical::Vector => ColumnType::Json,
        Logical::Integer if is_small_integer(&base_name) => ColumnType::Int32,
        Logical::Integer => ColumnType::Integer,
        Logical::Number => match physical {
            Some(p) if is_decimal(&base_name) => return decimal(p, r),
            _ => ColumnType::Number,
        },
    })
}

/// `VARCHAR (18)` is `varchar`.
fn base(physical: &str) -> String {
    let end = physical.find('(').unwrap_or(physical.len());
    physical[..end].trim().to_ascii_lowercase()
}

fn is_small_integer(base: &str) -> bool {
    matches!(
        base,
        "int"
            | "integer"
            | "int4"
            | "int32"
            | "int2"
            | "int16"
            | "int8_t"
            | "smallint"
            | "tinyint"
            | "mediumint"
            | "short"
            | "byte"
    )
}

fn is_timestamp(base: &str) -> bool {
    base.starts_with("timestamp") || base.starts_with("datetime")
}

fn is_decimal(base: &str) -> bool {
    matches!(base, "decimal" | "numeric" | "dec" | "number" | "bignumeric")
}

fn from_physical(base: &str) -> Logical {
    match base {
        b if is_small_integer(b) => Logical::Integer,
        "bigint" | "int8" | "int64" | "long" | "hugeint" | "serial" | "bigserial" => Logical::Integer,
        b if is_decimal(b) => Logical::Number,
        "double" | "double precision" | "float" | "float4" | "float8" | "float64" | "float32" | "real" | "money" => {
            Logical::Number
        }
        "bool" | "boolean" | "bit" => Logical::Boolean,
        "date" => Logical::Date,
        "time" => Logical::Time,
        b if is_timestamp(b) => Logical::Timestamp,
        "json" | "jsonb" | "struct" | "map" | "record" | "object" | "variant" => Logical::Object,
        "array" | "list" => Logical::Array,
        _ => Logical::String,
    }
}

/// `decimal(precision, scale)`; without numbers it is a floating point number.
fn decimal(physical: &Spanned<String>, r: &mut Reader<'_>) -> Option<ColumnType> {
    let Some((_, rest)) = physical.value.split_once('(') else { return Some(ColumnType::Number) };
    let numbers: Vec<Option<u8>> =
        rest.trim_end().trim_end_matches(')').split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_slice() {
        [Some(precision @ 1..=38)] => Some(ColumnType::Decimal { precision: *precision, scale: 0 }),
        [Some(precision @ 1..=38), Some(scale)] if scale <= precision => {
            Some(ColumnType::Decimal { precision: *precision, scale: *scale })
        }
        _ => {
            let help =
                Some("write `decimal(precision, scale)`, precision 1 to 38, scale up to the precision".to_owned());
            r.error(
                codes::COLUMN_TYPE,
                physical.place,
                format!("{} is no decimal type", quoted(&physical.value)),
                help,
            );
            None
        }
    }
}
