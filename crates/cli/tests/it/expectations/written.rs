//! What a user writes for a case: a property of a contract, a rule over a row, or what is accepted.

use super::cases::{Case, Reason, list, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub const NOTHING: Reason = "nothing is asked";

pub struct Written {
    pub contract: Value,
    pub silver: Value,
    pub accept: Option<Value>,
}

impl Written {
    pub fn of(case: &Case<'_>) -> Result<Self, Reason> {
        let mut accept = accept(case)?;
        let (property, row) = (property(case), row(case));
        let set = &case.given["value_set"];
        let in_set = case.expectation.ends_with("be_in_set") && case.given.get("value_set").is_some();
        if in_set && (set.is_null() || case.expectation.contains("_not_") && list(set).is_empty()) {
            return Err(NOTHING);
        }
        if let Some(mostly) = case.given["mostly"].as_f64() {
            accept = Some(tolerance(mostly));
        }
        let mut properties = vec![json!({ "name": "pk_index", "logicalType": "integer" })];
        let columns: BTreeSet<&str> = case.columns().into_iter().collect();
        for column in &columns {
            let mut all = json!({ "name": column, "logicalType": case.kind(column).expect("one type") });
            if case.given["column"] == *column
                && let (Some(all), Some(more)) = (all.as_object_mut(), property.as_ref().and_then(Value::as_object))
            {
                all.extend(more.clone());
            }
            properties.push(all);
        }
        let mut quality = Vec::new();
        if let Some(row) = row {
            quality.push(json!({ "type": "custom", "engine": "alluvium", "id": "row", "implementation": row }));
        }
        if case.expectation == "compound_columns_to_be_unique" {
            let of = case.columns();
            quality.push(json!({ "metric": "duplicateValues", "arguments": { "properties": of }, "mustBe": 0 }));
        }
        if let Some(query) = of_times(case) {
            quality.push(json!({ "type": "sql", "query": query, "mustBe": 0 }));
        }
        let name = format!("c{}", case.number);
        let contract = json!({
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": name, "version": "1.0.0",
            "status": "active", "schema": [{ "name": name, "properties": properties, "quality": quality }],
        });
        let forms = columns.iter().filter(|c| case.is_time(c));
        let forms: Map<_, _> = forms.filter_map(|c| Some(((*c).to_owned(), json!(case.form(c)?)))).collect();
        let mut steps = vec![json!("validate")];
        if !forms.is_empty() {
            steps.insert(0, json!({ "normalize": { "parse": forms } }));
        }
        let from = format!("bronze.d{}", case.set);
        let silver = json!({ "from": from, "contract": name, "steps": steps, "write": "append" });
        Ok(Self { contract, silver, accept })
    }

    /// The silver dataset with what it accepts.
    pub fn judged(&self) -> Value {
        let mut judged = self.silver.clone();
        if let Some(accept) = &self.accept {
            judged["accept"] = accept.clone();
        }
        judged
    }
}

/// What the column's property says beside its type.
fn property(case: &Case<'_>) -> Option<Value> {
    let given = case.given;
    let options = |of: [(&str, Option<Value>); 2]| {
        let of: Map<_, _> = of.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
        json!({ "logicalTypeOptions": of })
    };
    let some = |key: &str| Some(given[key].clone()).filter(|v| !v.is_null());
    Some(match case.expectation {
        "column_values_to_be_unique" => json!({ "unique": true }),
        "column_values_to_not_be_null" => json!({ "required": true }),
        name if name.starts_with("column_values_to_be_between") => {
            let column = text(&given["column"]);
            let bound = |key| match some(key)? {
                Value::String(t) if case.is_time(column) => Some(json!(case.iso(column, &t))),
                other => Some(other),
            };
            let key = |strict: &str, at, beyond| if given[strict] == true { beyond } else { at };
            options([
                (key("strict_min", "minimum", "exclusiveMinimum"), bound("min_value")),
                (key("strict_max", "maximum", "exclusiveMaximum"), bound("max_value")),
            ])
        }
        "column_value_lengths_to_be_between" => {
            options([("minLength", some("min_value")), ("maxLength", some("max_value"))])
        }
        "column_value_lengths_to_equal" => options([("minLength", some("value")), ("maxLength", some("value"))]),
        "column_values_to_match_regex" => {
            // A pattern of a contract is for the whole text; theirs may lie anywhere in it.
            let pattern = format!("(?s:.*)(?:{})(?s:.*)", text(&given["regex"]));
            options([("pattern", Some(json!(pattern))), ("minLength", None)])
        }
        "column_values_to_be_in_set"
        | "column_distinct_values_to_be_in_set"
        | "column_distinct_values_to_equal_set"
            if !case.is_time(text(&given["column"])) =>
        {
            let arguments = json!({ "validValues": given["value_set"] });
            json!({ "quality": [{ "metric": "invalidValues", "arguments": arguments, "mustBe": 0 }] })
        }
        _ => return None,
    })
}

/// The SQL that is true of a row.
fn row(case: &Case<'_>) -> Option<String> {
    let given = case.given;
    let columns = case.columns();
    let names: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
    let in_set = || {
        let values: Vec<String> = list(&given["value_set"]).iter().map(|v| literal(case, columns[0], v)).collect();
        format!("{} IN ({})", names[0], values.join(", "))
    };
    Some(match case.expectation {
        "column_values_to_be_null" => format!("{} IS NULL", names[0]),
        "column_values_to_be_in_set" if case.is_time(columns[0]) => in_set(),
        "column_values_to_not_be_in_set" => format!("NOT {}", in_set()),
        "column_values_to_match_regex_list" => matches(case, "regex_list", "~"),
        "column_values_to_not_match_regex" => format!("NOT {}", matches(case, "regex", "~")),
        "column_values_to_not_match_regex_list" => format!("NOT {}", matches(case, "regex_list", "~")),
        "column_values_to_match_like_pattern" => matches(case, "like_pattern", "LIKE"),
        "column_values_to_match_like_pattern_list" => matches(case, "like_pattern_list", "LIKE"),
        "column_values_to_not_match_like_pattern" => format!("NOT {}", matches(case, "like_pattern", "LIKE")),
        "column_values_to_not_match_like_pattern_list" => format!("NOT {}", matches(case, "like_pattern_list", "LIKE")),
        "multicolumn_sum_to_equal" => format!("{} = {}", names.join(" + "), given["sum_total"]),
        "select_column_values_to_be_unique_within_record" => names.join(" <> "),
        name if name.starts_with("column_pair_values") => pair(case),
        _ => return None,
    })
}

/// Whether the least or the greatest time lies elsewhere, as a number.
fn of_times(case: &Case<'_>) -> Option<String> {
    let measure = match case.expectation {
        "column_max_to_be_between" => "max",
        "column_min_to_be_between" => "min",
        _ => return None,
    };
    let column = text(&case.given["column"]);
    let bound = |key: &str, operator: &str| {
        let bound = Some(&case.given[key]).filter(|v| v.is_string())?;
        Some(format!("{measure}({}) {operator} {}", quoted(column), literal(case, column, bound)))
    };
    let both: Vec<String> = [bound("min_value", ">="), bound("max_value", "<=")].into_iter().flatten().collect();
    let within = both.join(" AND ");
    (!both.is_empty()).then(|| format!("SELECT CASE WHEN {within} THEN 0 ELSE 1 END FROM ${{object}}"))
}

/// The column matches a pattern, one of several, or all.
fn matches(case: &Case<'_>, key: &str, operator: &str) -> String {
    let column = case.columns()[0];
    let of = match &case.given[key] {
        Value::Array(several) => several.as_slice(),
        one => std::slice::from_ref(one),
    };
    let each = of.iter().map(|p| format!("{} {operator} {}", quoted(column), literal(case, column, p)));
    let word = if case.given["match_on"] == "all" { " AND " } else { " OR " };
    format!("({})", each.collect::<Vec<_>>().join(word))
}

/// A rule over two columns, and which rows it leaves alone.
fn pair(case: &Case<'_>) -> String {
    let given = case.given;
    let (a, b) = (text(&given["column_A"]), text(&given["column_B"]));
    let (left, right) = (quoted(a), quoted(b));
    let rule = match case.expectation {
        "column_pair_values_to_be_equal" => format!("{left} = {right}"),
        "column_pair_values_to_be_in_set" => {
            let one =
                |p: &Value| format!("({left} = {} AND {right} = {})", literal(case, a, &p[0]), literal(case, b, &p[1]));
            format!("({})", list(&given["value_pairs_set"]).iter().map(one).collect::<Vec<_>>().join(" OR "))
        }
        _ if given["or_equal"] == true => format!("{left} >= {right}"),
        _ => format!("{left} > {right}"),
    };
    match given["ignore_row_if"].as_str() {
        Some("either_value_is_missing") => format!("{left} IS NULL OR {right} IS NULL OR {rule}"),
        Some("both_values_are_missing") | None => {
            format!("({left} IS NULL AND {right} IS NULL) OR coalesce({rule}, false)")
        }
        Some(other) => panic!("rows that are left alone: {other}"),
    }
}

/// The figure that is accepted.
fn accept(case: &Case<'_>) -> Result<Option<Value>, Reason> {
    let given = case.given;
    let between = levels(&given["min_value"], &given["max_value"]);
    let measure = match case.expectation {
        "column_max_to_be_between" => "max",
        "column_min_to_be_between" => "min",
        "column_mean_to_be_between" => "mean",
        "column_sum_to_be_between" => "sum",
        "column_unique_value_count_to_be_between" => "distinct",
        "column_median_to_be_between" | "table_row_count_to_be_between" => "",
        "table_row_count_to_equal" => return Ok(Some(json!({ "rows": levels(&given["value"], &given["value"]) }))),
        "column_quantile_values_to_be_between" => return Ok(Some(quantiles(given))),
        "column_distinct_values_to_equal_set" => {
            let distinct = levels(&json!(list(&given["value_set"]).len()), &Value::Null);
            let columns = json!({ text(&given["column"]): { "distinct": distinct } });
            return Ok(Some(json!({ "invalid": { "error_above": 0 }, "columns": columns })));
        }
        _ => return Ok(None),
    };
    match between.values().next() {
        None => return Err(NOTHING),
        // A rule of SQL measures it.
        Some(Value::String(_)) => return Ok(Some(json!({ "rows": { "error_below": 0 } }))),
        Some(_) => {}
    }
    Ok(Some(match case.expectation {
        "table_row_count_to_be_between" => json!({ "rows": between }),
        "column_median_to_be_between" => {
            json!({ "columns": { text(&given["column"]): { "percentiles": { "50": between } } } })
        }
        _ => json!({ "columns": { text(&given["column"]): { measure: between } } }),
    }))
}

fn quantiles(given: &Value) -> Value {
    let (mut measures, mut percentiles) = (Map::new(), Map::new());
    let of = &given["quantile_ranges"];
    for (at, range) in list(&of["quantiles"]).iter().zip(list(&of["value_ranges"])) {
        let levels = Value::from(levels(&range[0], &range[1]));
        match at.as_f64().expect("a share") {
            0.0 => measures.insert("min".to_owned(), levels),
            1.0 => measures.insert("max".to_owned(), levels),
            at => percentiles.insert(format!("{:.0}", at * 100.0), levels),
        };
    }
    if !percentiles.is_empty() {
        measures.insert("percentiles".to_owned(), percentiles.into());
    }
    json!({ "columns": { text(&given["column"]): measures } })
}

/// How many rows may be wrong, which is no matter of the contract.
fn tolerance(mostly: f64) -> Value {
    json!({ "invalid": { "error_above": format!("{:.0}%", (1.0 - mostly) * 100.0) } })
}

/// Between which a figure lies.
fn levels(low: &Value, high: &Value) -> Map<String, Value> {
    let both = [("error_below", low), ("error_above", high)];
    both.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v.clone())).collect()
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

fn literal(case: &Case<'_>, column: &str, value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(t) if case.is_time(column) => format!("TIMESTAMP '{}'", case.iso(column, t)),
        Value::String(t) => format!("'{}'", t.replace('\'', "''")),
        other => other.to_string(),
    }
}
