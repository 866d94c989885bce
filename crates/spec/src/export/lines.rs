//! The fields of a contract as the lines of a table, nested ones under their path. Pages for people are made of them.

use super::words::said;
use crate::compatibility::{Field, Kind, ObjectShape};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// `a.b` for a field of an object, `a[]` for what an array holds.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub need: Need,
    pub limits: Vec<String>,
    pub description: Option<&'a str>,
    pub classification: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// Part of the primary key.
    Key,
    Required,
    Optional,
}

impl Need {
    /// As the tables for people have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Required => "yes",
            Self::Optional => "",
        }
    }
}

pub fn lines(object: &ObjectShape) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    under("", &object.fields, object, &mut out);
    out
}

fn under<'a>(above: &str, fields: &'a [Field], object: &ObjectShape, out: &mut Vec<Line<'a>>) {
    for f in fields {
        let path = format!("{above}{}", f.name);
        let need = match (above.is_empty() && object.primary_key.contains(&f.name), f.limits.required) {
            (true, _) => Need::Key,
            (false, true) => Need::Required,
            (false, false) => Need::Optional,
        };
        out.push(Line {
            path: path.clone(),
            kind: f.kind.text(),
            need,
            limits: said(f),
            description: f.description.as_deref(),
            classification: f.classification.as_deref(),
        });
        match &f.kind {
            Kind::Object(Some(fields)) => under(&format!("{path}."), fields, object, out),
            Kind::Array(Some(item)) => match &item.kind {
                Kind::Object(Some(fields)) => under(&format!("{path}[]."), fields, object, out),
                other => out.push(Line {
                    path: format!("{path}[]"),
                    kind: other.text(),
                    need: Need::Optional,
                    limits: Vec::new(),
                    description: None,
                    classification: None,
                }),
            },
            _ => {}
        }
    }
}
