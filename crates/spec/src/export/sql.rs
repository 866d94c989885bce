//! `CREATE TABLE`, in the SQL that DuckDB and PostgreSQL have in common.

use super::words::{Limit, is_number, limits, rules, scalar};
use crate::{
    compatibility::{Field, Kind, ObjectShape, Scalar, Shape},
    contract::Bound,
};
use std::collections::BTreeSet;

/// The table of `object`, with keys and checks. Patterns, nested fields and other rules are comments.
pub fn sql(shape: &Shape, object: &ObjectShape) -> String {
    let mut out = comment("", &format!("Contract {} {}.", shape.id, shape.version));
    if let Some(description) = &object.description {
        out.push_str(&comment("", description));
    }
    let known: BTreeSet<&str> = object.fields.iter().map(|f| f.name.as_str()).collect();
    let is_key = |columns: &[String]| columns.iter().all(|c| known.contains(c.as_str()));
    for rule in rules(object, is_key) {
        out.push_str(&comment("", &format!("Not checked here: {rule}.")));
    }
    let mut parts: Vec<String> = object.fields.iter().map(column).collect();
    let list = |columns: &[String]| columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
    if !object.primary_key.is_empty() {
        parts.push(format!("  PRIMARY KEY ({})", list(&object.primary_key)));
    }
    let unique = object.rules.iter().filter(|r| r.is_key() && r.columns != object.primary_key && is_key(&r.columns));
    parts.extend(unique.map(|r| format!("  UNIQUE ({})", list(&r.columns))));
    format!("{out}CREATE TABLE {} (\n{}\n);\n", quoted(&object.name), parts.join(",\n"))
}

fn column(f: &Field) -> String {
    let name = quoted(&f.name);
    let mut out: String = f.description.iter().map(|d| comment("  ", d)).collect();
    let kind = match &f.kind {
        Kind::Scalar(s) => kind(*s),
        Kind::Object(_) | Kind::Array(_) | Kind::Any => "JSON".to_owned(),
    };
    let checks = checks(f, &name);
    let is_checked = |limit: &Limit| checks.iter().any(|(l, _)| l == limit);
    for (_, text) in limits(f).into_iter().filter(|(limit, _)| !is_checked(limit)) {
        out.push_str(&comment("  ", &format!("Not checked here: {text}.")));
    }
    out.push_str(&format!("  {name} {kind}"));
    if f.limits.required {
        out.push_str(" NOT NULL");
    }
    for (_, check) in checks {
        out.push_str(&format!(" CHECK ({check})"));
    }
    out
}

fn kind(scalar: Scalar) -> String {
    match scalar {
        Scalar::String | Scalar::Time => "TEXT".to_owned(),
        Scalar::Integer => "BIGINT".to_owned(),
        Scalar::Int32 => "INTEGER".to_owned(),
        Scalar::Number => "DOUBLE PRECISION".to_owned(),
        Scalar::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        Scalar::Boolean => "BOOLEAN".to_owned(),
        Scalar::Date => "DATE".to_owned(),
        Scalar::Timestamp => "TIMESTAMP WITH TIME ZONE".to_owned(),
    }
}

/// Limits that the two databases write alike and check exactly. Those inside of JSON are not among them.
fn checks(f: &Field, name: &str) -> Vec<(Limit, String)> {
    let Some(kind) = scalar(f) else { return Vec::new() };
    let l = &f.limits;
    let value = |text: &str| literal(kind, text);
    let edge = |b: &Bound, operator: &str| {
        format!("{name} {operator}{} {}", if b.inclusive { "=" } else { "" }, value(&b.value))
    };
    let list = |all: &BTreeSet<String>| all.iter().map(|v| value(v)).collect::<Vec<_>>().join(", ");
    let mut out = Vec::new();
    out.extend(l.low.as_ref().map(|b| (Limit::Low, edge(b, ">"))));
    out.extend(l.high.as_ref().map(|b| (Limit::High, edge(b, "<"))));
    out.extend(l.length.min.map(|n| (Limit::MinLength, format!("length({name}) >= {n}"))));
    out.extend(l.length.max.map(|n| (Limit::MaxLength, format!("length({name}) <= {n}"))));
    if matches!(kind, Scalar::Integer | Scalar::Int32 | Scalar::Decimal { .. }) {
        out.extend(l.steps.iter().map(|s| (Limit::Step, format!("{name} % {s} = 0"))));
    }
    let values = l.values.as_ref().filter(|v| !v.is_empty());
    out.extend(values.map(|v| (Limit::Values, format!("{name} IN ({})", list(v)))));
    if !l.missing.is_empty() {
        out.push((Limit::Missing, format!("{name} NOT IN ({})", list(&l.missing))));
    }
    out
}

fn literal(kind: Scalar, text: &str) -> String {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    match kind {
        _ if is_number(kind) && text.trim().parse::<f64>().is_ok() => text.trim().to_owned(),
        Scalar::Date => format!("DATE {quoted}"),
        Scalar::Timestamp => format!("TIMESTAMP WITH TIME ZONE {quoted}"),
        Scalar::Boolean => format!("CAST({quoted} AS BOOLEAN)"),
        _ => quoted,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Every line of the text is a comment of its own, so that none of it is SQL.
fn comment(indent: &str, text: &str) -> String {
    text.lines().map(|line| format!("{indent}-- {}\n", line.replace('\r', " "))).collect()
}
