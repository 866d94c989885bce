//! `relationships:` foreign keys, at a property or at an object.

use super::{
    common::{action as own_action, texts},
    draft::{CheckDraft, RuleDraft, Target},
    rules::{Said, Scope, action},
};
use crate::{
    codes,
    contract::{Action, Severity},
    diagnostic::quoted,
    source_file::{Place, Spanned},
    yaml::{Fields, Node, Reader, Value},
};

pub(super) fn at_property(
    node: &Node,
    from: Spanned<String>,
    property: Option<&Spanned<Action>>,
    r: &mut Reader<'_>,
) -> Option<RuleDraft> {
    let mut f = r.fields(node, "a mapping with `to`")?;
    if let Some(e) = f.take_entry("from") {
        let help = Some("remove it: it is the property that the relationship stands at".to_owned());
        r.error(codes::CONTRADICTION, e.key.place, "`from` is not written at a property", help);
    }
    let to = f.require("to", r).and_then(|n| names(n, r));
    rest(f, vec![from], to?, property, node.place, r)
}

pub(super) fn at_schema(node: &Node, r: &mut Reader<'_>) -> Option<RuleDraft> {
    let mut f = r.fields(node, "a mapping with `from` and `to`")?;
    let from = f.require("from", r).and_then(|n| names(n, r));
    let to = f.require("to", r).and_then(|n| names(n, r));
    let from = from?.into_iter().map(|n| n.map(|text| last_part(&text).to_owned())).collect();
    rest(f, from, to?, None, node.place, r)
}

/// `object.property` and `schema/object/properties/property` name a property of this object.
fn last_part(text: &str) -> &str {
    text.rsplit(['.', '/']).next().unwrap_or(text)
}

fn names(node: &Node, r: &mut Reader<'_>) -> Option<Vec<Spanned<String>>> {
    match &node.value {
        Value::List(_) | Value::Scalar(_) => r.names(node).filter(|n| !n.is_empty()),
        Value::Map(_) => {
            r.wrong_type(node, "a property or a list of properties");
            None
        }
    }
}

fn rest(
    mut f: Fields<'_>,
    from: Vec<Spanned<String>>,
    to: Vec<Spanned<String>>,
    property: Option<&Spanned<Action>>,
    place: Place,
    r: &mut Reader<'_>,
) -> Option<RuleDraft> {
    if let Some(n) = f.take("type") {
        r.choice(n, &[("foreignKey", ())]);
    }
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let own_id = f.take("id").and_then(|n| r.name(n));
    texts(&mut f, &["name"], r);
    let own = own_action(&mut f, r);
    f.finish(r);
    if from.len() != to.len() {
        let message = format!("{} columns here point at {} there", from.len(), to.len());
        r.error(codes::CONTRADICTION, to.first().map_or(place, |t| t.place), message, None);
        return None;
    }
    let action = action(Scope::Row, Said { own: own.as_ref(), severity: None, property }, None, place, r);
    let to: Vec<Spanned<Target>> = to.into_iter().map(|t| target(t, r)).collect::<Option<_>>()?;
    let columns: Vec<String> = from.iter().map(|c| c.value.clone()).collect();
    Some(RuleDraft {
        own_id,
        made_id: format!("reference:{}", columns.join(",")),
        place: Place { line: to.first().map_or(place.line, |t| t.place.line), ..place },
        columns,
        inside: None,
        check: CheckDraft::Reference { from, to, action: own.as_ref().map(|o| o.place) },
        action,
        severity: if action == Action::Warn { Severity::Warning } else { Severity::Error },
        dimension: None,
        description,
        threshold: None,
    })
}

fn target(written: Spanned<String>, r: &mut Reader<'_>) -> Option<Spanned<Target>> {
    let place = written.place;
    if written.value.contains("://") {
        let help = Some("references to datasets of the project are checked".to_owned());
        let message =
            format!("the reference to {} is not checked: it is outside of the project", quoted(&written.value));
        r.error(codes::RULE_NOT_RUN, place, message, help);
        return None;
    }
    let found = parse_target(&written.value);
    if found.is_none() {
        let help =
            Some("write `<object>.<property>` or `<layer>.<dataset>.<column>`, as in `silver.airports.faa`".to_owned());
        r.error(codes::UNKNOWN_REFERENCE, place, format!("{} names no column", quoted(&written.value)), help);
    }
    Some(Spanned::new(found?, place))
}

fn parse_target(text: &str) -> Option<Target> {
    let (contract, path) = match text.split_once('#') {
        None => (None, text),
        Some((file, path)) => {
            let file = file.rsplit('/').next()?;
            let stem = file.strip_suffix(".yaml").map_or(file, |s| s.strip_suffix(".odcs").unwrap_or(s));
            (Some(stem).filter(|s| !s.is_empty()).map(str::to_owned), path.trim_start_matches('/'))
        }
    };
    let by_path: Vec<&str> = path.split('/').collect();
    if let ["schema", object, "properties", property] = by_path.as_slice() {
        return Some(Target::Property {
            contract,
            object: (*object).to_owned(),
            property: (*property).to_owned(),
            by_id: true,
        });
    }
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        [object, property] if !object.is_empty() && !property.is_empty() => Some(Target::Property {
            contract,
            object: (*object).to_owned(),
            property: (*property).to_owned(),
            by_id: false,
        }),
        [layer, dataset, column] if contract.is_none() && !column.is_empty() => {
            let dataset = format!("{layer}.{dataset}").parse().ok()?;
            Some(Target::Column { dataset, column: (*column).to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_notations_of_the_standard_are_read() {
        let shown = |t: &str| match parse_target(t) {
            Some(Target::Property { contract, object, property, by_id }) => {
                format!("{}:{object}/{property}/{by_id}", contract.unwrap_or_default())
            }
            Some(Target::Column { dataset, column }) => format!("{dataset}:{column}"),
            None => "nothing".to_owned(),
        };
        assert_eq!(shown("airports.faa"), ":airports/faa/false");
        assert_eq!(shown("silver.airports.faa"), "silver.airports:faa");
        assert_eq!(shown("schema/a_tbl/properties/faa_p"), ":a_tbl/faa_p/true");
        assert_eq!(shown("airports.odcs.yaml#/schema/a/properties/b"), "airports:a/b/true");
        assert_eq!(shown("../x/airports.odcs.yaml#a.b"), "airports:a/b/false");
        for bad in ["airports", "", ".", "a.", "tin.a.b", "schema/a/properties/b/properties/c"] {
            assert_eq!(shown(bad), "nothing", "{bad}");
        }
    }
}
