//! Steps one after another: what each sees of those before it.

use super::*;
use alluvium_spec::{Columns, Enrich, NullIf};
use arrow::array::{
    BooleanArray, Date32Array, Float64Array, TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};

fn named(names: &[&str]) -> Columns {
    Columns::Named(names.iter().map(|n| (*n).to_owned()).collect())
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn without_steps_the_contract_is_cast_and_checked() {
    let c = contract(&[("a", ColumnType::Integer), ("b", ColumnType::String)], vec![]);
    let batch = bronze(&[("a", vec![Some("1"), Some("x"), None]), ("other", vec![Some("o"); 3])]);
    let (refined, tally) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["1|∅", "∅|∅"]);
    assert_eq!(reasons(&refined), ["1: type:a(a=x)"]);
    assert_eq!(tally.rules["type:a"], RuleCount { checked: 3, violations: 1 });
    assert!(!tally.rules.contains_key("type:b"), "a column that is not there was not read");
}

#[test]
fn normalize_in_the_order_of_its_fields() {
    let c = contract(
        &[
            ("carrier", ColumnType::String),
            ("day", ColumnType::Date),
            ("state", ColumnType::String),
            ("seats", ColumnType::Integer),
        ],
        vec![],
    );
    let step = normalize(|n| {
        n.rename = pairs(&[("Carrier Code", "carrier")]);
        n.trim = Columns::All;
        n.null_if = vec![
            NullIf { columns: Columns::All, values: vec!["NA".into()] },
            NullIf { columns: named(&["seats"]), values: vec!["-1".into()] },
        ];
        n.lower = named(&["state"]);
        n.upper = named(&["carrier"]);
        n.map = [("state".to_owned(), pairs(&[("open", "o"), ("shut", "s")]))].into();
        n.parse = pairs(&[("day", "%d/%m/%Y")]);
        n.default = pairs(&[("day", "2000-01-01"), ("state", "?"), ("seats", "0")]);
    });
    let batch = bronze(&[
        ("Carrier Code", vec![Some(" ua"), Some("NA "), Some("B6")]),
        ("day", vec![Some("31/12/2025"), None, Some("2025-12-31")]),
        ("state", vec![Some("OPEN"), Some(" na"), None]),
        ("seats", vec![Some("-1"), Some("12 "), Some("1.5")]),
    ]);
    let (refined, _) = refine(&refinery(&silver(vec![step]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["UA|2025-12-31|o|0", "∅|2000-01-01|na|12"]);
    assert_eq!(reasons(&refined), ["2: type:day(day=2025-12-31) type:seats(seats=1.5)"]);
}

#[test]
fn names_can_be_exchanged_and_a_source_may_change_its_mind() {
    let c = contract(&[("a", ColumnType::String), ("b", ColumnType::String), ("dest", ColumnType::String)], vec![]);
    let step = normalize(|n| n.rename = pairs(&[("a", "b"), ("b", "a"), ("destination", "dest")]));
    let batch = bronze(&[
        ("a", vec![Some("1"), Some("2")]),
        ("b", vec![Some("3"), Some("4")]),
        ("destination", vec![Some("x"), None]),
        ("dest", vec![None, Some("y")]),
    ]);
    let (refined, _) = refine(&refinery(&silver(vec![step]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["3|1|x", "4|2|y"]);
}

#[test]
fn typed_columns_are_cast_without_loss() {
    let c = contract(
        &[
            ("i", ColumnType::Int32),
            ("n", ColumnType::Integer),
            ("d", DECIMAL),
            ("day", ColumnType::Date),
            ("at", ColumnType::Timestamp),
            ("s", ColumnType::String),
            ("f", ColumnType::Number),
        ],
        vec![],
    );
    let batch = typed_bronze(
        0,
        vec![
            ("i", Arc::new(Int64Array::from(vec![Some(1), Some(1 << 40), None, Some(4), Some(5)])) as ArrayRef),
            ("n", Arc::new(Float64Array::from(vec![-0.0, 2.0, 2.5, f64::NAN, 5.0]))),
            ("d", Arc::new(Float64Array::from(vec![0.1, 0.105, 1e300, 4.0, 5.0]))),
            ("day", Arc::new(Date32Array::from(vec![0, 1, 2, 3, 4]))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![1000, 1001, 3000, 4000, 5000]))),
            ("s", Arc::new(UInt64Array::from(vec![1, 2, 3, u64::MAX, 5]))),
            ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::INFINITY), Some(f64::NAN), None, Some(5.0)]))),
        ],
    );
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(
        rows(&refined.valid),
        [
            "1|0|0.10|1970-01-01|1970-01-01T00:00:00.000001Z|1|1.5",
            "5|5|5.00|1970-01-05|1970-01-01T00:00:00.000005Z|5|5.0"
        ]
    );
    assert_eq!(
        reasons(&refined),
        [
            "1: type:i(i=1099511627776) type:d(d=0.105) type:at(at=1970-01-01T00:00:00.000001001) type:f(f=inf)",
            "2: type:n(n=2.5) type:d(d=1e300) type:f(f=NaN)",
            "3: type:n(n=NaN)"
        ]
    );
}

/// As a text that names them would be.
#[test]
fn days_and_times_that_no_calendar_names_are_none() {
    let c = contract(&[("day", ColumnType::Date), ("at", ColumnType::Timestamp)], vec![]);
    let days = vec![-719_162, 2_932_896, 0, 2_932_897, i32::MAX, i32::MIN];
    let times = vec![-62_135_596_800_000_000, 253_402_300_799_999_999, i64::MIN, 253_402_300_800_000_000, i64::MAX, 0];
    let batch = typed_bronze(
        0,
        vec![
            ("day", Arc::new(Date32Array::from(days)) as ArrayRef),
            ("at", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))),
        ],
    );
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["0001-01-01|0001-01-01T00:00:00Z", "9999-12-31|9999-12-31T23:59:59.999999Z"]);
    let broken = |rule: &str| reasons(&refined).iter().filter(|r| r.contains(rule)).count();
    assert_eq!((reasons(&refined).len(), broken("type:day"), broken("type:at")), (4, 3, 3));
}

/// The library has no text for these, and fails where it is asked for one.
#[test]
fn days_and_times_that_have_no_text_are_none() {
    let c = contract(&[("day", ColumnType::String), ("at", ColumnType::String)], vec![]);
    let batch = typed_bronze(
        0,
        vec![
            ("day", Arc::new(Date32Array::from(vec![0, i32::MAX, i32::MIN, 1, 2])) as ArrayRef),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 2, i64::MAX, i64::MIN]).with_timezone("UTC"))
                    as ArrayRef,
            ),
        ],
    );
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid).len(), 1);
    let broken = |rule: &str| reasons(&refined).iter().filter(|r| r.contains(rule)).count();
    assert_eq!((reasons(&refined).len(), broken("type:day"), broken("type:at")), (4, 2, 2));
    // As an expression asks for it.
    let text = crate::refine::text::to_text(&batch["at"]).unwrap();
    assert_eq!(text.iter().flatten().count(), 3);
}

#[test]
fn what_has_no_way_back_from_a_number_is_none() {
    let c = contract(&[("f", ColumnType::Number), ("g", ColumnType::Number)], vec![]);
    // The nearest numbers are beyond 64 bits, where the way back ends.
    let batch = typed_bronze(
        0,
        vec![
            ("f", Arc::new(Int64Array::from(vec![1, i64::MAX, 3])) as ArrayRef),
            ("g", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX]))),
        ],
    );
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["1.0|1.0"]);
    assert_eq!(reasons(&refined), ["1: type:f(f=9223372036854775807)", "2: type:g(g=18446744073709551615)"]);
}

#[test]
fn normalize_leaves_typed_columns_alone_but_fills_them() {
    let c = contract(&[("n", ColumnType::Integer), ("s", ColumnType::String)], vec![]);
    let step = normalize(|n| {
        n.trim = Columns::All;
        n.null_if = vec![NullIf { columns: Columns::All, values: vec!["1".into()] }];
        n.default = pairs(&[("n", "7"), ("s", "none")]);
    });
    let n: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let s: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let (refined, _) = refine(&refinery(&silver(vec![step]), &c), &typed_bronze(0, vec![("n", n), ("s", s)]));
    assert_eq!(rows(&refined.valid), ["1|1", "7|none"]);
}

#[test]
fn what_bronze_rescued_comes_back() {
    let c = contract(&[("a", ColumnType::Integer), ("b", ColumnType::Integer)], vec![]);
    let rescued: ArrayRef =
        Arc::new(StringArray::from(vec![None, Some(r#"{"B": "2", "a": 9}"#), Some(r#"{"B": []}"#)]));
    let a: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), None, Some("3")]));
    let step = normalize(|n| n.rename = pairs(&[("B", "b")]));
    let batch = typed_bronze(0, vec![("a", a), ("_rescued", rescued)]);
    let (refined, _) = refine(&refinery(&silver(vec![step]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["1|∅", "9|2"]);
    assert_eq!(reasons(&refined), ["2: type:b(b=[])"]);
}

#[test]
fn enrich_takes_columns_which_are_then_checked() {
    let c = contract(
        &[("carrier", ColumnType::String), ("airline", ColumnType::String), ("founded", ColumnType::Integer)],
        vec![rule("known", &["airline"], Check::Required, Action::Quarantine)],
    );
    let enrich = Step::Enrich(Enrich {
        lookup: "silver.airlines".parse().unwrap(),
        on: vec![("carrier".into(), "code".into())],
        take: vec![("airline".into(), "name".into()), ("founded".into(), "year".into())],
    });
    let airlines = RecordBatch::try_from_iter([
        ("code", Arc::new(StringArray::from(vec!["UA", "B6", "B6"])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec!["United", "JetBlue", "Jet Blue"]))),
        ("year", Arc::new(StringArray::from(vec!["1926", "1998", "n/a"]))),
    ])
    .unwrap();
    let s = silver(vec![Step::Validate, enrich]);
    assert_eq!(
        lookup_needs(&s, &c).into_iter().collect::<Vec<_>>(),
        [("silver.airlines".parse().unwrap(), ["code", "name", "year"].map(str::to_owned).into())]
    );
    let batch = bronze(&[("carrier", vec![Some("UA"), Some("B6"), Some("ZZ"), None])]);
    let r = refinery_with(&s, &c, &[("silver.airlines", airlines)]);
    let (refined, tally) = refine(&r, &batch);
    assert_eq!(rows(&refined.valid), ["UA|United|1926"]);
    // "Jet Blue" sorts before "JetBlue".
    let want = ["1: type:founded(founded=n/a)", "2: known(airline=∅)", "3: known(airline=∅)"];
    assert_eq!(reasons(&refined), want);
    assert_eq!(tally.rules["known"], RuleCount { checked: 4, violations: 2 });
    let (refined, _) = refine(&refinery(&s, &c), &batch);
    assert_eq!(refined.valid.num_rows(), 0, "a lookup without rows knows nobody");
}

#[test]
fn sql_before_and_after_the_cast() {
    let c = contract(
        &[("name", ColumnType::String), ("minutes", ColumnType::Integer), ("hours", ColumnType::Number)],
        vec![rule("long", &["minutes"], Check::Range { min: None, max: None }, Action::Quarantine)],
    );
    let s = silver(vec![
        sql("SELECT *, first || ' ' || input.last AS name FROM input WHERE first <> 'nobody'"),
        Step::Validate,
        sql("SELECT name, minutes, CASE WHEN minutes > 0 THEN minutes / 60.0 END AS hours FROM input AS i"),
    ]);
    let batch = bronze(&[
        ("first", vec![Some("Ada"), Some("nobody"), None, Some("Bo")]),
        ("last", vec![Some("L."), Some("x"), Some("y"), Some("D.")]),
        ("minutes", vec![Some("90"), Some("1"), Some("2"), Some("-1")]),
    ]);
    let (refined, tally) = refine(&refinery(&s, &c), &batch);
    assert_eq!(rows(&refined.valid), ["Ada L.|90|1.5", "Bo D.|-1|∅"]);
    assert_eq!(tally.dropped, 2);
}

#[test]
fn a_row_on_which_an_expression_fails_waits_in_quarantine() {
    let c = contract(&[("a", ColumnType::Integer), ("b", ColumnType::Integer)], vec![]);
    let s = silver(vec![Step::Validate, sql("SELECT a, 12 / a AS b FROM input WHERE 10 / (a - 1) < 100")]);
    let texts = ["3", "0", "1", "4"].map(Some).to_vec();
    let (refined, tally) = refine(&refinery(&s, &c), &bronze(&[("a", texts)]));
    assert_eq!(rows(&refined.valid), ["3|4", "4|3"]);
    assert_eq!(reasons(&refined), ["2: sql:2(=∅)", "1: sql:2(=∅)"]);
    assert_eq!(tally.rules["sql:2"].violations, 2);
}

#[test]
fn a_changed_column_is_checked_again() {
    let positive = Check::Range { min: Some(alluvium_spec::Bound { value: "1".into(), inclusive: true }), max: None };
    let c = contract(&[("a", ColumnType::Integer)], vec![rule("positive", &["a"], positive, Action::Quarantine)]);
    let s = silver(vec![Step::Validate, sql("SELECT a - 5 AS a FROM input")]);
    let (refined, tally) = refine(&refinery(&s, &c), &bronze(&[("a", ["0", "3", "9"].map(Some).to_vec())]));
    assert_eq!(rows(&refined.valid), ["4"]);
    assert_eq!(reasons(&refined), ["0: positive(a=0)", "1: positive(a=-2)"]);
    assert_eq!(tally.rules["positive"], RuleCount { checked: 3, violations: 2 });
}

#[test]
fn deletes_are_marked_and_stay() {
    let c = contract(&[("k", ColumnType::Integer), ("op", ColumnType::String)], vec![]);
    let mut s = silver(vec![]);
    s.write = Write::Upsert {
        history: None,
        keys: vec!["k".into()],
        sequence_by: vec![],
        snapshots: false,
        delete_when: Some("op = 'D'".into()),
        truncate_when: None,
        change_feed: false,
    };
    let batch = bronze(&[("k", ["1", "2", "3"].map(Some).to_vec()), ("op", vec![Some("D"), Some("U"), None])]);
    let (refined, _) = refine(&refinery(&s, &c), &batch);
    let deletes: Vec<bool> = refined.deletes.unwrap().iter().map(Option::unwrap).collect();
    assert_eq!(deletes, [true, false, false]);
    assert_eq!(refined.valid.num_rows(), 3);
}

#[test]
fn truncates_and_deletes_are_decided_of_the_rows_that_stay() {
    let c = contract(&[("k", ColumnType::Integer), ("op", ColumnType::String)], vec![]);
    let mut s = silver(vec![]);
    s.write = Write::Upsert {
        history: None,
        keys: vec!["k".into()],
        sequence_by: vec!["k".into()],
        snapshots: false,
        delete_when: Some("10 / k > 2 AND op = 'D'".into()),
        truncate_when: Some("20 / (k - 1) > 0 AND op <> 'D'".into()),
        change_feed: false,
    };
    let ops = ["U", "U", "D", "U", "U"].map(Some).to_vec();
    let batch = bronze(&[("k", ["0", "1", "2", "3", "99"].map(Some).to_vec()), ("op", ops)]);
    let (refined, tally) = refine(&refinery(&s, &c), &batch);
    assert_eq!(rows(&refined.valid), ["2|D", "3|U", "99|U"]);
    let told = |mask: &Option<BooleanArray>| mask.as_ref().map(|m| m.iter().flatten().collect::<Vec<_>>());
    assert_eq!(told(&refined.deletes), Some(vec![true, false, false]));
    assert_eq!(told(&refined.truncates), Some(vec![false, true, false]));
    assert_eq!((tally.valid, tally.quarantined), (3, 2));
}

#[test]
fn the_system_columns_follow_the_rows() {
    let c = contract(&[("a", ColumnType::Integer)], vec![]);
    let batch = bronze_from(10, &[("a", ["1", "x", "3"].map(Some).to_vec())]);
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    let positions = refined.valid["_position"].as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(positions.values(), &[10, 12]);
    assert_eq!(refined.valid["_event_id"].as_string::<i32>().value(1), "event-1");
    let empty = batch.slice(0, 0);
    assert_eq!(refine(&refinery(&silver(vec![]), &c), &empty).0.valid.num_rows(), 0);
}

#[test]
fn a_sum_that_overflows_fails_on_its_row() {
    let c = contract(&[("a", ColumnType::Integer), ("b", ColumnType::Integer)], vec![]);
    let s = silver(vec![Step::Validate, sql("SELECT a, a + 1 AS b FROM input")]);
    let texts = ["9223372036854775807", "1"].map(Some).to_vec();
    let (refined, _) = refine(&refinery(&s, &c), &bronze(&[("a", texts)]));
    assert_eq!(rows(&refined.valid), ["1|2"]);
    assert_eq!(reasons(&refined), ["0: sql:2(=∅)"]);
}

#[test]
fn a_column_under_another_name_takes_its_type() {
    let c = contract(&[("a", ColumnType::Integer), ("b", ColumnType::String), ("c", DECIMAL)], vec![]);
    let s = silver(vec![
        Step::Validate,
        sql("SELECT a, a AS b, concat(a, '.5') AS c FROM input"),
        normalize(|n| drop(n.default.insert("c".into(), "0.00".into()))),
        sql("SELECT *, trim(c) AS c FROM input"),
    ]);
    let (refined, _) = refine(&refinery(&s, &c), &bronze(&[("a", ["1", "x"].map(Some).to_vec())]));
    assert_eq!(rows(&refined.valid), ["1|1|1.50"]);
    let s = silver(vec![Step::Validate, normalize(|n| n.rename = pairs(&[("a", "b")]))]);
    let (refined, _) =
        refine(&refinery(&s, &c), &bronze(&[("a", vec![Some("1"), None]), ("b", vec![None, Some("x")])]));
    assert_eq!(rows(&refined.valid), ["∅|1|∅", "∅|x|∅"]);
}
