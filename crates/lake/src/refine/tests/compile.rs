//! Definitions that are wrong are told, each at its place.

use super::*;
use alluvium_model::Fault;
use alluvium_spec::{Bound, Columns};
use std::error::Error;

fn mistakes(silver: &Silver, contract: &Contract) -> Vec<RefineError> {
    Refinery::compile(silver, contract).map(|_| ()).expect_err("the definition is wrong")
}

fn flights() -> Contract {
    contract(
        &[("carrier", ColumnType::String), ("delay", ColumnType::Integer), ("Tail", ColumnType::String)],
        vec![rule("early", &[], Check::Expression { sql: "delay > -60".into() }, Action::Warn)],
    )
}

fn one(errors: &[RefineError]) -> &RefineError {
    assert_eq!(errors.len(), 1, "{errors:?}");
    &errors[0]
}

#[test]
fn all_mistakes_at_once_each_with_its_place() {
    let mut c = flights();
    c.rules = vec![
        rule("a", &[], Check::Expression { sql: "carier = 'UA' AND dely > 1".into() }, Action::Warn),
        rule("b", &["delay"], Check::Pattern { regex: "(".into() }, Action::Warn),
        rule(
            "c",
            &["delay"],
            Check::Range { min: Some(Bound { value: "soon".into(), inclusive: true }), max: None },
            Action::Warn,
        ),
        rule("d", &["carrier"], Check::Pattern { regex: "(".into() }, Action::Warn),
        rule("e", &[], Check::Expression { sql: "delay + 1".into() }, Action::Warn),
        rule("f", &["nobody"], Check::Required, Action::Warn),
        rule("g", &[], Check::Expression { sql: "tail IS NULL".into() }, Action::Warn),
    ];
    let mut s = silver(vec![
        normalize(|n| n.upper = Columns::Named(vec!["carrer".into()])),
        Step::Validate,
        sql("SELECT *, delay +\n dlay AS x FROM input"),
    ]);
    s.write = Write::Upsert {
        history: None,
        keys: vec!["carrier".into()],
        sequence_by: vec![],
        snapshots: false,
        delete_when: Some("delay =".into()),
        truncate_when: None,
        change_feed: false,
    };
    let errors = mistakes(&s, &c);
    let told: Vec<String> = errors
        .iter()
        .map(|e| format!("{} {e} @{}", e.code(), e.place().and_then(|p| p.offset).map_or(-1, |o| o as i64)))
        .collect();
    assert_eq!(
        told,
        [
            "Q0001 rule `a`: there is no column `carier`; did you mean `carrier`? @0",
            "Q0001 rule `a`: there is no column `dely`; did you mean `delay`? @18",
            "Q0008 rule `b`, column `delay`: a pattern does not apply to an integer @-1",
            "Q0006 rule `c`, column `delay`: `soon` cannot be read as an integer @-1",
            "Q0007 rule `d`, column `carrier`: the pattern is not a regular expression that can be used @-1",
            "Q0005 rule `e`: the expression gives Int64, a boolean is needed @-1",
            "Q0001 rule `f`: there is no column `nobody` @-1",
            "Q0001 rule `g`: there is no column `tail`; did you mean `\"Tail\"`? @0",
            "Q0001 step 1, column `carrer`: there is no column `carrer`; did you mean `carrier`? @-1",
            "Q0001 step 3: there is no column `dlay`; did you mean `delay`? @19",
            "Q0002 delete_when: this is not SQL that can be read @7",
        ]
    );
}

#[test]
fn only_expressions_over_one_row() {
    for (query, what) in [
        ("SELECT count(*) AS n FROM input", "aggregate"),
        ("SELECT carrier, count(*) AS n FROM input GROUP BY carrier", "GROUP BY"),
        ("SELECT row_number() OVER (ORDER BY delay) AS n FROM input", "window"),
        ("SELECT (SELECT max(delay) FROM input) AS n FROM input", "subquery"),
        ("SELECT carrier FROM input WHERE carrier IN (SELECT name FROM other)", "subquery"),
        ("SELECT carrier FROM input WHERE EXISTS (SELECT 1)", "subquery"),
        ("SELECT random() AS n FROM input", "same answer"),
        ("SELECT now() AS n FROM input", "same answer"),
        ("SELECT uuid() AS n FROM input", "same answer"),
        ("SELECT DISTINCT carrier FROM input", "DISTINCT"),
        ("SELECT carrier FROM input ORDER BY carrier", "ORDER BY"),
        ("SELECT carrier FROM input LIMIT 1", "LIMIT"),
        ("SELECT i.carrier FROM input i JOIN input j ON true", "join"),
        ("SELECT carrier FROM input, input AS j", "join"),
        ("SELECT carrier FROM silver.flights", "FROM input"),
        ("SELECT carrier FROM (SELECT * FROM input) AS i", "FROM input"),
        ("SELECT 1 AS n", "FROM input"),
        ("SELECT carrier FROM input UNION ALL SELECT carrier FROM input", "union"),
        ("WITH x AS (SELECT 1) SELECT carrier FROM input", "WITH"),
        ("SELECT carrier FROM input TABLESAMPLE (10 PERCENT)", "input"),
        ("SELECT carrier FROM input QUALIFY true", "QUALIFY"),
        ("SELECT carrier FROM input; DROP TABLE x", "what follows"),
        ("SELECT carrier AS _event_id FROM input", "_event_id"),
        ("SELECT unnest([1, 2]) AS n FROM input", "UNNEST"),
    ] {
        let errors = mistakes(&silver(vec![sql(query)]), &flights());
        let error = one(&errors);
        assert!(matches!(error, RefineError::NotAllowed { .. }), "{query}: {error:?}");
        assert!(error.to_string().contains(what), "{query}: {error}");
        assert_eq!(error.place().unwrap().part, Part::Step(0));
    }
}

#[test]
fn other_mistakes_in_a_select() {
    let kind = |query: &str| mistakes(&silver(vec![Step::Validate, sql(query)]), &flights()).remove(0);
    assert!(matches!(kind("SELECT delay + 1 FROM input"), RefineError::Unnamed { .. }));
    assert!(matches!(kind("SELECT delay, carrier AS delay FROM input"), RefineError::DuplicateColumn { .. }));
    assert!(matches!(kind("SELECT carrier FROM input WHERE delay"), RefineError::NotBoolean { .. }));
    assert!(matches!(kind("SELECT carrier - DATE '2020-01-01' AS x FROM input"), RefineError::Plan { .. }));
    let nested = format!("SELECT {}1{} AS x FROM input", "(".repeat(5000), ")".repeat(5000));
    assert!(matches!(kind(&nested), RefineError::Syntax { .. }));
    assert!(matches!(
        kind(&format!("SELECT '{}' AS x FROM input", "x".repeat(70_000))),
        RefineError::NotAllowed { .. }
    ));
    let error = kind("SELECT delay +* 2 AS x FROM input");
    assert!(matches!(error, RefineError::Syntax { .. }));
    assert_eq!(error.place().unwrap().offset, Some(14));
    assert!(error.source().is_some());
}

#[test]
fn every_error_has_a_code_of_its_own_and_a_remedy() {
    let errors = mistakes(&silver(vec![sql("SELECT 1 FROM input"), sql("SELECT")]), &flights());
    for error in &errors {
        assert!(error.code().starts_with("Q00") && !error.remedy().is_empty());
    }
    assert_ne!(errors[0].code(), errors[1].code());
}

#[test]
fn formats_and_defaults_have_to_fit() {
    let c = contract(&[("day", ColumnType::Date), ("n", ColumnType::Integer)], vec![]);
    let bad = |change: fn(&mut Normalize)| mistakes(&silver(vec![normalize(change)]), &c).remove(0);
    assert!(matches!(bad(|n| drop(n.parse.insert("day".into(), "%d/%m".into()))), RefineError::BadFormat { .. }));
    assert!(matches!(bad(|n| drop(n.parse.insert("n".into(), "%d".into()))), RefineError::NotApplicable { .. }));
    assert!(matches!(bad(|n| drop(n.parse.insert("x".into(), "%d".into()))), RefineError::UnknownColumn { .. }));
    assert!(matches!(bad(|n| drop(n.default.insert("n".into(), "many".into()))), RefineError::BadValue { .. }));
    assert!(matches!(bad(|n| drop(n.default.insert("x".into(), "1".into()))), RefineError::UnknownColumn { .. }));
    assert!(matches!(bad(|n| drop(n.rename.insert("old".into(), "new".into()))), RefineError::UnknownColumn { .. }));
}

#[test]
fn it_knows_what_it_reads_from_bronze() {
    let s = silver(vec![
        normalize(|n| drop(n.rename.insert("Carrier Code".into(), "carrier".into()))),
        sql("SELECT *, upper(raw_tail) AS \"Tail\" FROM input"),
    ]);
    let compiled = compiled(&s, &flights());
    let sources: Vec<&str> = compiled.sources.iter().map(String::as_str).collect();
    assert_eq!(sources, ["Carrier Code", "Tail", "carrier", "delay", "raw_tail"]);
}

#[test]
fn workers_share_it() {
    fn shared<T: Send + Sync>() {}
    shared::<Compiled>();
    shared::<Refinery>();
}
