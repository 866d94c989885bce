//! `quality:` rules of a property or an object.

use super::{
    common::annotations_with_action,
    common::texts,
    draft::{CheckDraft, RuleDraft},
    options::{between, pattern},
    rules::{Said, Scope, action},
    schema::texts_or_nulls,
    variables::filled,
};
use crate::{
    codes,
    contract::{Action, Check, ColumnType, Operator, Severity, Threshold, Unit},
    diagnostic::quoted,
    nearest,
    source_file::{Place, Spanned},
    sql,
    yaml::{Fields, Node, Reader, ScalarKind, Value},
};

const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("error", Severity::Error)];

const DIMENSIONS: [(&str, &str); 14] = [
    ("accuracy", "accuracy"),
    ("completeness", "completeness"),
    ("conformity", "conformity"),
    ("consistency", "consistency"),
    ("coverage", "coverage"),
    ("timeliness", "timeliness"),
    ("uniqueness", "uniqueness"),
    ("ac", "accuracy"),
    ("cp", "completeness"),
    ("cf", "conformity"),
    ("cs", "consistency"),
    ("cv", "coverage"),
    ("tm", "timeliness"),
    ("uq", "uniqueness"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    Nulls,
    Missing,
    Invalid,
    Duplicates,
    Rows,
    /// Of v3.0 alone: from `min` to `max`, two custom properties.
    Between,
}

const METRICS: [(&str, Metric); 5] = [
    ("nullValues", Metric::Nulls),
    ("missingValues", Metric::Missing),
    ("invalidValues", Metric::Invalid),
    ("duplicateValues", Metric::Duplicates),
    ("rowCount", Metric::Rows),
];

/// The names that v3.0 used, under the key `rule`.
const OLD_RULES: [(&str, Metric); 8] = [
    ("between", Metric::Between),
    ("nullCheck", Metric::Nulls),
    ("nullValues", Metric::Nulls),
    ("validValues", Metric::Invalid),
    ("invalidValues", Metric::Invalid),
    ("duplicateCount", Metric::Duplicates),
    ("duplicateValues", Metric::Duplicates),
    ("rowCount", Metric::Rows),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Library,
    Sql,
    Custom,
}

/// What every kind of rule has.
struct Head<'a> {
    own_id: Option<Spanned<String>>,
    place: Place,
    node: &'a Node,
    /// The property it stands at.
    property: Option<Property<'a>>,
    column: Option<&'a str>,
    severity: Option<Severity>,
    dimension: Option<String>,
    description: Option<String>,
    own: Option<Spanned<Action>>,
    inherited: Option<&'a Spanned<Action>>,
}

/// What a rule takes from the property that it stands at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) kind: ColumnType,
    /// The values of its `enum`.
    pub(super) allowed: &'a [String],
}

/// One entry can make no rule (text, other engines), one, or two (valid values and a pattern).
pub(super) fn read(
    node: &Node,
    property: Option<Property<'_>>,
    inherited: Option<&Spanned<Action>>,
    r: &mut Reader<'_>,
) -> Vec<RuleDraft> {
    let Some(mut f) = r.fields(node, "a quality rule") else { return Vec::new() };
    let head = head(&mut f, node, property, inherited, r);
    const TYPES: [(&str, Type); 4] =
        [("library", Type::Library), ("text", Type::Text), ("sql", Type::Sql), ("custom", Type::Custom)];
    let written = f.take("type");
    let kind = match written {
        Some(n) => r.choice(n, &TYPES).map(|t| t.value),
        None => Some(Type::Library),
    };
    let out = match kind {
        Some(Type::Library) => library(&mut f, &head, r),
        Some(Type::Sql) => sql_rule(&mut f, &head, r).into_iter().collect(),
        Some(Type::Custom) => custom(&mut f, &head, r).into_iter().collect(),
        Some(Type::Text) => {
            // Documentation may carry a comparison, too.
            threshold(&mut f, Metric::Nulls, r);
            Vec::new()
        }
        None => return Vec::new(),
    };
    f.finish_with(r, |key| {
        let argument = ["pattern", "validValues", "missingValues", "properties"].contains(&key);
        argument.then(|| format!("write `{key}` under `arguments`"))
    });
    out
}

fn head<'a>(
    f: &mut Fields<'_>,
    node: &'a Node,
    property: Option<Property<'a>>,
    inherited: Option<&'a Spanned<Action>>,
    r: &mut Reader<'_>,
) -> Head<'a> {
    let id = f.take("id").and_then(|n| r.name(n));
    let name = f.take("name").and_then(|n| r.name(n));
    let description = f.take("description").and_then(|n| r.text(n)).map(|t| t.value);
    let dimension = f.take("dimension").and_then(|n| r.choice(n, &DIMENSIONS)).map(|d| d.value.to_owned());
    let severity = f.take("severity").and_then(|n| severity(n, r));
    texts(f, &["businessImpact", "method", "schedule", "scheduler"], r);
    let own = annotations_with_action(f, r);
    let column = property.map(|p| p.name);
    Head {
        own_id: id.or(name),
        place: node.place,
        node,
        property,
        column,
        severity,
        dimension,
        description,
        own,
        inherited,
    }
}

/// Any word is allowed by the standard; three of them mean something.
fn severity(node: &Node, r: &mut Reader<'_>) -> Option<Severity> {
    let text = r.text(node)?;
    let known = SEVERITIES.iter().find(|(word, _)| *word == text.value.to_lowercase());
    if known.is_none() {
        let help = Some("known here: info, warning, error".to_owned());
        r.error(
            codes::OPTION_NOT_USED,
            text.place,
            format!("the severity {} counts as error", quoted(&text.value)),
            help,
        );
    }
    Some(known.map_or(Severity::Error, |(_, s)| *s))
}

impl Head<'_> {
    fn draft(
        &self,
        kind: &str,
        columns: Vec<String>,
        check: CheckDraft,
        scope: Scope,
        threshold: Option<Threshold>,
        r: &mut Reader<'_>,
    ) -> RuleDraft {
        let said = Said { own: self.own.as_ref(), severity: self.severity, property: self.inherited };
        let action = action(scope, said, threshold.as_ref(), self.place, r);
        RuleDraft {
            own_id: self.own_id.clone(),
            made_id: if columns.is_empty() { kind.to_owned() } else { format!("{kind}:{}", columns.join(",")) },
            place: self.place,
            columns,
            inside: None,
            check,
            action,
            severity: self.severity.unwrap_or(Severity::Error),
            dimension: self.dimension.clone(),
            description: self.description.clone(),
            threshold,
        }
    }

    fn incomplete(&self, message: &str, help: &str, r: &mut Reader<'_>) {
        r.error(codes::QUALITY_RULE, self.place, message, Some(help.to_owned()));
    }
}

fn library(f: &mut Fields<'_>, head: &Head<'_>, r: &mut Reader<'_>) -> Vec<RuleDraft> {
    let new = f.take("metric").map(|n| r.choice(n, &METRICS));
    let old = f.take("rule").map(|n| old_rule(n, head, r));
    let by_old_name = new.is_none() && old.is_some();
    let metric = match new.or(old) {
        Some(Some(m)) => m.value,
        Some(None) => {
            take_rest(f);
            return Vec::new();
        }
        None => {
            head.incomplete("a library rule needs a `metric`", "add `metric: nullValues`, or say another `type`", r);
            take_rest(f);
            return Vec::new();
        }
    };
    let arguments = f.take("arguments");
    // Version 3.0 wrote them beside the rule.
    let beside = if by_old_name { f.take("validValues") } else { None };
    let mut t = threshold(f, metric, r);
    if t.is_none() && !by_old_name {
        head.incomplete("the rule does not say how many are allowed", "add an operator, as in `mustBe: 0`", r);
    }
    if metric == Metric::Rows {
        let Some(t) = t else { return Vec::new() };
        if head.column.is_some() {
            head.incomplete("`rowCount` is a rule of the object", "move it to the object's `quality`", r);
        }
        no_arguments(arguments, r);
        return vec![head.draft(
            "row_count",
            Vec::new(),
            CheckDraft::Ready(Check::RowCount),
            Scope::Dataset,
            Some(t),
            r,
        )];
    }
    t = t.filter(|t| !allows_none(t));
    let checks = row_checks(metric, arguments, beside, head, r);
    let several = checks.len() > 1;
    checks
        .into_iter()
        .map(|(kind, columns, check)| {
            let mut d = head.draft(kind, columns, CheckDraft::Ready(check), Scope::Row, t, r);
            if several && let Some(id) = &mut d.own_id {
                id.value = format!("{}:{kind}", id.value);
            }
            d
        })
        .collect()
}

type RowCheck = (&'static str, Vec<String>, Check);

fn row_checks(
    metric: Metric,
    arguments: Option<&Node>,
    beside: Option<&Node>,
    head: &Head<'_>,
    r: &mut Reader<'_>,
) -> Vec<RowCheck> {
    let column = head.column.map(str::to_owned);
    if metric == Metric::Duplicates {
        let columns = match column {
            Some(c) => {
                no_arguments(arguments, r);
                vec![c]
            }
            None => duplicate_columns(arguments, head, r),
        };
        return if columns.is_empty() { Vec::new() } else { vec![("unique", columns, Check::Unique)] };
    }
    let Some(column) = column else {
        head.incomplete("this metric looks at one column", "move the rule to the property's `quality`", r);
        return Vec::new();
    };
    match metric {
        Metric::Nulls => {
            no_arguments(arguments, r);
            vec![("required", vec![column], Check::Required)]
        }
        Metric::Missing => {
            let Some(mut f) = arguments.and_then(|n| r.fields(n, "a mapping with `missingValues`")) else {
                head.incomplete(
                    "`missingValues` needs to know them",
                    "add `arguments: { missingValues: [null, \"\"] }`",
                    r,
                );
                return Vec::new();
            };
            let values = f.require("missingValues", r).map_or_else(Vec::new, |n| texts_or_nulls(n, r));
            f.finish(r);
            vec![("missing", vec![column], Check::Missing { values })]
        }
        Metric::Invalid => invalid(column, arguments, beside, head, r),
        Metric::Between => {
            let [min, max] = ["min", "max"].map(|name| custom_property(head.node, name));
            let kind = head.property.map_or(ColumnType::String, |p| p.kind);
            between(min, max, kind, r).map(|check| ("range", vec![column], check)).into_iter().collect()
        }
        Metric::Duplicates | Metric::Rows => Vec::new(),
    }
}

fn invalid(
    column: String,
    arguments: Option<&Node>,
    beside: Option<&Node>,
    head: &Head<'_>,
    r: &mut Reader<'_>,
) -> Vec<RowCheck> {
    let mut out = Vec::new();
    let mut fields = arguments.and_then(|n| r.fields(n, "a mapping with `validValues` or `pattern`"));
    let values = beside.or_else(|| fields.as_mut().and_then(|f| f.take("validValues")));
    if let Some(n) = values {
        let values = texts_or_nulls(n, r).into_iter().flatten().collect();
        out.push(("valid_values", vec![column.clone()], Check::OneOf { values }));
    }
    let mut written = false;
    if let Some(n) = fields.as_mut().and_then(|f| f.take("pattern")) {
        written = true;
        if let Some(regex) = r.text(n).and_then(|t| pattern(&t, r)) {
            out.push(("pattern", vec![column.clone()], Check::Pattern { regex }));
        }
    }
    if let Some(f) = fields {
        f.finish(r);
    }
    let allowed = head.property.map_or(&[][..], |p| p.allowed);
    if out.is_empty() && !written && !allowed.is_empty() {
        out.push(("valid_values", vec![column], Check::OneOf { values: allowed.to_vec() }));
    } else if out.is_empty() && !written {
        head.incomplete(
            "`invalidValues` needs to know what is valid",
            "add `arguments: { validValues: […] }` or a `pattern`",
            r,
        );
    }
    out
}

fn custom_property<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Value::List(items) = &node.get("customProperties")?.value else { return None };
    let is_named = |n: &&Node| matches!(n.get("property").map(|p| &p.value), Some(Value::Scalar(s)) if s.text == name);
    items.iter().find(is_named)?.get("value").filter(|n| !n.is_null())
}

fn duplicate_columns(arguments: Option<&Node>, head: &Head<'_>, r: &mut Reader<'_>) -> Vec<String> {
    let Some(mut f) = arguments.and_then(|n| r.fields(n, "a mapping with `properties`")) else {
        head.incomplete("`duplicateValues` needs columns here", "add `arguments: { properties: […] }`", r);
        return Vec::new();
    };
    let names = f.require("properties", r).and_then(|n| r.names(n)).unwrap_or_default();
    f.finish(r);
    names.into_iter().map(|n| n.value).collect()
}

/// Version 3.0 left the names open; those that mean nothing here stay documentation.
fn old_rule(node: &Node, head: &Head<'_>, r: &mut Reader<'_>) -> Option<Spanned<Metric>> {
    let text = r.text(node)?;
    let is_bounded = || ["min", "max"].iter().any(|name| custom_property(head.node, name).is_some());
    let known = OLD_RULES.iter().find(|(word, _)| *word == text.value);
    if let Some((_, metric)) = known.filter(|(_, metric)| *metric != Metric::Between || is_bounded()) {
        return Some(Spanned::new(*metric, text.place));
    }
    let help =
        nearest::help(&text.value, METRICS.iter().map(|(word, _)| *word)).map(|h| format!("write `metric`; {h}"));
    r.error(codes::RULE_NOT_RUN, text.place, format!("the rule {} is not run", quoted(&text.value)), help);
    None
}

fn no_arguments(arguments: Option<&Node>, r: &mut Reader<'_>) {
    if let Some(f) = arguments.and_then(|n| r.fields(n, "a mapping")) {
        f.finish(r);
    }
}

/// Takes what belongs to a rule that cannot be read, so that it is not reported again.
fn take_rest(f: &mut Fields<'_>) {
    for key in ["arguments", "unit", "query", "engine", "implementation"] {
        f.take_entry(key);
    }
    for operator in Operator::ALL {
        f.take_entry(operator.word());
    }
}

/// The operator with its value and unit, if exactly one is written.
fn threshold(f: &mut Fields<'_>, metric: Metric, r: &mut Reader<'_>) -> Option<Threshold> {
    let unit = f.take("unit").and_then(|n| unit(n, metric, r)).unwrap_or(Unit::Rows);
    let mut found: Option<Threshold> = None;
    for operator in Operator::ALL {
        let Some(e) = f.take_entry(operator.word()) else { continue };
        let Some((value, upper)) = operand(&e.value, operator, r) else { continue };
        if found.is_some() {
            let help = Some("`mustBeBetween: [low, high]` says two bounds at once".to_owned());
            r.error(codes::QUALITY_RULE, e.key.place, "a rule has one operator", help);
        }
        found = Some(Threshold { operator, value, upper, unit });
    }
    found
}

/// Any word is allowed by the standard; these mean something.
fn unit(node: &Node, metric: Metric, r: &mut Reader<'_>) -> Option<Unit> {
    let text = r.text(node)?;
    match text.value.as_str() {
        "rows" => Some(Unit::Rows),
        "percent" | "%" if metric == Metric::Rows => {
            let help = Some("remove the unit".to_owned());
            r.error(codes::QUALITY_RULE, text.place, "a measured value has no percentage", help);
            None
        }
        "percent" | "%" => Some(Unit::Percent),
        other => {
            let help = nearest::help(other, ["rows", "percent"]);
            r.error(codes::OPTION_NOT_USED, text.place, format!("the unit {} counts as rows", quoted(other)), help);
            None
        }
    }
}

fn operand(node: &Node, operator: Operator, r: &mut Reader<'_>) -> Option<(f64, Option<f64>)> {
    if !matches!(operator, Operator::MustBeBetween | Operator::MustNotBeBetween) {
        // A query may answer with a boolean.
        if let Value::Scalar(s) = &node.value
            && let ScalarKind::Bool(b) = s.kind
        {
            return Some((f64::from(u8::from(b)), None));
        }
        return Some((r.number(node)?, None));
    }
    match r.list(node)? {
        [low, high] => {
            let (low, high) = (r.number(low)?, r.number(high)?);
            if low > high {
                r.error(codes::CONTRADICTION, node.place, "the smaller number comes first", None);
            }
            Some((low, Some(high)))
        }
        _ => {
            r.error(
                codes::QUALITY_RULE,
                node.place,
                "two numbers are needed here",
                Some("as in `[100, 120]`".to_owned()),
            );
            None
        }
    }
}

/// Whether the threshold says: no row may break the rule.
fn allows_none(t: &Threshold) -> bool {
    match t.operator {
        Operator::MustBe | Operator::MustBeLessOrEqualTo => t.value == 0.0,
        Operator::MustBeLessThan => t.unit == Unit::Rows && t.value > 0.0 && t.value <= 1.0,
        Operator::MustBeBetween => t.value <= 0.0 && t.upper == Some(0.0),
        Operator::MustNotBe
        | Operator::MustBeGreaterThan
        | Operator::MustBeGreaterOrEqualTo
        | Operator::MustNotBeBetween => false,
    }
}

/// One number over the whole dataset. `{object}` is the table, `{property}` the column.
fn sql_rule(f: &mut Fields<'_>, head: &Head<'_>, r: &mut Reader<'_>) -> Option<RuleDraft> {
    let node = f.require("query", r);
    let t = threshold(f, Metric::Rows, r);
    if t.is_none() {
        head.incomplete(
            "the rule does not say what the query's number must be",
            "add an operator, as in `mustBe: 0`",
            r,
        );
    }
    let (node, t) = (node?, t?);
    let text = filled(&r.text(node)?.value, node, r)?;
    let sql = with_names(text.trim_end_matches(|c: char| c == ';' || c.is_whitespace()), head.column);
    match sql::query(&sql.replace("${object}", PLACEHOLDER), r.library) {
        Ok(mut q) => {
            q.tables.retain(|t| t.name != PLACEHOLDER);
            for t in &mut q.tables {
                t.place = node.place_of_inner(t.place);
            }
            let columns = head.column.map(str::to_owned).into_iter().collect();
            let sql = q.text.replace(PLACEHOLDER, "${object}");
            let check = CheckDraft::Query { sql, tables: q.tables, calls: q.calls };
            Some(head.draft("query", columns, check, Scope::Dataset, Some(t), r))
        }
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}

/// As long as `${object}`, so that places stay right.
const PLACEHOLDER: &str = "_object__";

/// The ways in which the versions of the standard write the object and the property.
fn with_names(sql: &str, column: Option<&str>) -> String {
    let mut out = sql.to_owned();
    for object in ["${table}", "${model}", "{{object}}"] {
        out = out.replace(object, "${object}");
    }
    if !out.contains("${object}") {
        out = out.replace("{object}", "${object}").replace("{table}", "${object}");
    }
    if let Some(column) = column {
        let quoted = format!("\"{}\"", column.replace('"', "\"\""));
        for property in ["${property}", "${column}", "{property}", "{column}"] {
            out = out.replace(property, &quoted);
        }
    }
    out
}

/// `engine: alluvium` with a SQL boolean over one row; others stay documentation.
fn custom(f: &mut Fields<'_>, head: &Head<'_>, r: &mut Reader<'_>) -> Option<RuleDraft> {
    let engine = f.require("engine", r).and_then(|n| r.text(n));
    let implementation = f.require("implementation", r);
    let t = threshold(f, Metric::Nulls, r).filter(|t| !allows_none(t));
    let (engine, node) = (engine?, implementation?);
    if engine.value != "alluvium" {
        let help = Some("rules with `engine: alluvium` and a SQL boolean are run".to_owned());
        r.error(
            codes::RULE_NOT_RUN,
            engine.place,
            format!("rules of the engine {} are not run", quoted(&engine.value)),
            help,
        );
        return None;
    }
    let text = filled(&r.text(node)?.value, node, r)?;
    match sql::row_expression(&text, r.library) {
        Ok(e) => {
            let place = |p| node.place_of_inner(p);
            let uses = e.uses.into_iter().map(|u| Spanned::new(u.value, place(u.place))).collect();
            let columns = head.column.map(str::to_owned).into_iter().collect();
            let check = CheckDraft::Expression { sql: e.text, uses, calls: e.calls };
            Some(head.draft("expression", columns, check, Scope::Row, t, r))
        }
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}
