//! The types of parameters and results of library functions: those of a contract's columns, in SQL's words.

use super::{parse::expression, size::Size};
use crate::contract::ColumnType;
use sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, TimezoneInfo, Value,
};

pub(super) const WORDS: &str = "types are: TEXT, BIGINT, INT, DOUBLE, DECIMAL(p, s), BOOLEAN, DATE, TIMESTAMP";
/// The type that timestamps of contracts have. SQL's `TIMESTAMP` would be another one to the engine.
const TIMESTAMP: &str = "arrow_cast(NULL, 'Timestamp(Microsecond, Some(\"UTC\"))')";

pub(super) fn of(written: &DataType) -> Option<ColumnType> {
    Some(match written {
        DataType::Text | DataType::String(None) | DataType::Varchar(None) => ColumnType::String,
        DataType::BigInt(None) | DataType::Int8(None) => ColumnType::Integer,
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => ColumnType::Int32,
        DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision | DataType::Float8 => ColumnType::Number,
        DataType::Decimal(exact) | DataType::Numeric(exact) => decimal(exact)?,
        DataType::Boolean | DataType::Bool => ColumnType::Boolean,
        DataType::Date => ColumnType::Date,
        DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            ColumnType::Timestamp
        }
        _ => return None,
    })
}

fn decimal(exact: &ExactNumberInfo) -> Option<ColumnType> {
    let (precision, scale) = match *exact {
        ExactNumberInfo::None => return None,
        ExactNumberInfo::Precision(p) => (p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (p, s),
    };
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then_some(ColumnType::Decimal { precision, scale })
}

/// The type's word.
pub(crate) fn word(kind: ColumnType) -> String {
    match kind {
        ColumnType::Timestamp => "TIMESTAMP".to_owned(),
        ColumnType::String | ColumnType::Time | ColumnType::Json => "TEXT".to_owned(),
        other => sql_type(other).to_string(),
    }
}

/// A cast to a type that the expression has by a cast already is left out.
pub(super) fn cast(expr: Expr, kind: ColumnType) -> Expr {
    if kind == ColumnType::Timestamp {
        return timestamp(expr);
    }
    let data_type = sql_type(kind);
    match expr {
        Expr::Cast { kind: CastKind::Cast, data_type: ref has, .. } if *has == data_type => expr,
        _ => Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None },
    }
}

/// Of a [`cast`] around an expression, at most.
pub(super) fn cast_size(kind: ColumnType) -> Size {
    match kind {
        ColumnType::Timestamp => Size { expressions: 1, bytes: TIMESTAMP.len() },
        _ => Size { expressions: 1, bytes: "CAST( AS DECIMAL(38,38))".len() },
    }
}

/// A cast of a cast to the same type becomes one.
pub(super) fn once(expr: &mut Expr) {
    let Expr::Cast { kind: CastKind::Cast, expr: inner, data_type, format: None, .. } = expr else { return };
    if matches!(&**inner, Expr::Cast { kind: CastKind::Cast, data_type: has, .. } if has == data_type) {
        let inner = std::mem::replace(&mut **inner, Expr::value(Value::Null));
        *expr = inner;
    }
}

/// The type of texts.
pub(crate) fn text_type() -> DataType {
    sql_type(ColumnType::String)
}

/// As [`cast`], of a text or NULL in SQL.
pub(crate) fn cast_text(literal: &str, kind: ColumnType) -> String {
    cast(expression(literal).expect("a literal parses"), kind).to_string()
}

fn sql_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Integer => DataType::BigInt(None),
        ColumnType::Int32 => DataType::Int(None),
        ColumnType::Number => DataType::Double(ExactNumberInfo::None),
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into()))
        }
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date,
        ColumnType::String | ColumnType::Time | ColumnType::Json | ColumnType::Timestamp => DataType::Varchar(None),
    }
}

fn timestamp(expr: Expr) -> Expr {
    let mut cast = expression(TIMESTAMP).expect("the cast parses");
    if let Expr::Function(f) = &mut cast
        && let FunctionArguments::List(list) = &mut f.args
    {
        list.args[0] = FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    }
    cast
}
