//! Functions of `library/`: what is refused, what calls become, and whose definition they are part of.

use crate::{folder, write};
use alluvium_model::DatasetName;
use alluvium_spec::{Check, Environment, Kind, Project, Step, Write, load, read};
use std::{collections::BTreeMap, path::Path};

const LIBRARY: &str = "-- Times of the clock, as 517 for 5:17.
CREATE FUNCTION minutes(clock INT) RETURNS INT
RETURN clock / 100 * 60 + clock % 100;

CREATE FUNCTION late(planned INT, actual INT) RETURNS INT
RETURN minutes(actual) - minutes(planned);

CREATE FUNCTION is_code(code TEXT) RETURNS BOOLEAN AS code ~ '^[A-Z]{3}$';
";
const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: trips
version: 1.0.0
status: active
schema:
  - name: trips
    properties:
      - { name: id, logicalType: integer, primaryKey: true, required: true }
      - { name: origin, logicalType: string }
      - { name: planned, logicalType: integer }
      - { name: actual, logicalType: integer }
      - { name: late, logicalType: integer }
      - { name: day, logicalType: date }
    quality:
      - { name: known_origin, type: custom, engine: alluvium, implementation: is_code(origin) }
      - { name: none_early, type: sql, query: \"SELECT count(*) FROM {object} WHERE late(planned, actual) < -600\", mustBe: 0 }
";
const SILVER: &str = "from: bronze.trips
contract: trips
steps:
  - validate
  - sql: |
      SELECT *,
        late(planned, actual) AS late
      FROM input
write:
  keys: [id]
  delete_when: late(planned, actual) > 5000
";
const GOLD: &str = "/* window: { column: day, size: 1 day } */
SELECT day, sum(late(planned,
                     actual)) AS late, count(*) AS trips
FROM silver.trips GROUP BY day
";

fn project() -> tempfile::TempDir {
    folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("library/clock.sql", LIBRARY),
        ("contracts/trips.odcs.yaml", CONTRACT),
        ("datasets/bronze/trips.yaml", "source: { files: landing/trips/ }\n"),
        ("datasets/silver/trips.yaml", SILVER),
        ("datasets/gold/days.sql", GOLD),
        ("datasets/gold/count.sql", "SELECT count(*) AS n FROM silver.trips\n"),
    ])
}

fn loaded(root: &Path) -> Project {
    load(root, &Environment::default()).unwrap_or_else(|d| panic!("{d}"))
}

fn said(root: &Path) -> String {
    read(root, &Environment::default()).found.to_string()
}

#[test]
fn calls_are_written_out_wherever_sql_stands() {
    let dir = project();
    let p = loaded(dir.path());
    let silver = p.datasets[&"silver.trips".parse::<DatasetName>().expect("a name")].silver().expect("silver");
    let Step::Sql { query, line } = &silver.steps[1] else { panic!("{:?}", silver.steps) };
    let late = "CAST(CAST(CAST(actual AS INT) / 100 * 60 + CAST(actual AS INT) % 100 AS INT) - \
        CAST(CAST(planned AS INT) / 100 * 60 + CAST(planned AS INT) % 100 AS INT) AS INT)";
    assert_eq!(*query, format!("SELECT *,\n  {late} AS late\nFROM input\n"));
    assert_eq!(*line, 6);
    let Write::Upsert { delete_when: Some(condition), .. } = &silver.write else { panic!("{:?}", silver.write) };
    assert!(condition.starts_with("CAST(CAST(CAST(actual") && condition.ends_with(") > 5000"), "{condition}");
    let rules = &p.contracts["trips"].rules;
    let rule = |id: &str| rules.iter().find(|r| r.id == id).unwrap_or_else(|| panic!("{rules:?}"));
    let Check::Expression { sql } = &rule("known_origin").check else { panic!("{rules:?}") };
    assert_eq!(sql, "CAST(CAST(origin AS VARCHAR) ~ '^[A-Z]{3}$' AS BOOLEAN)");
    assert_eq!(rule("known_origin").columns, ["origin"]);
    let Check::Query { sql, .. } = &rule("none_early").check else { panic!("{rules:?}") };
    assert!(sql.starts_with("SELECT count(*) FROM ${object} WHERE CAST(") && sql.ends_with(" < -600"), "{sql}");
    let Kind::Gold(gold) = &p.datasets[&"gold.days".parse::<DatasetName>().expect("a name")].kind else { panic!() };
    assert!(gold.sql.starts_with("SELECT day, sum(CAST(") && gold.sql.contains(") AS late, count(*) AS trips\nFROM"));
    // A place behind the call is the one that was written, and one inside of it that of the call.
    let from = gold.sql.lines().next().expect("a line").find("trips").expect("there") + 1;
    assert_eq!(gold.origins.written(1, from, 5), (2, 52, 5));
    assert_eq!(gold.origins.written(1, 40, 3), (1, 17, 1));
    assert_eq!(gold.origins.written(2, 6, 12), (3, 6, 12));
}

#[test]
fn who_uses_a_function_is_known() {
    let dir = project();
    let p = loaded(dir.path());
    let used = |name: &str| {
        let f = p.library.get(name).unwrap_or_else(|| panic!("no {name}"));
        f.used_by.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(used("minutes"), ["silver.trips", "gold.days"], "through `late`");
    assert_eq!(used("late"), ["silver.trips", "gold.days"]);
    assert_eq!(used("is_code"), ["silver.trips"], "by the contract");
    assert_eq!(
        p.library.get("late").map(|f| f.signature()).as_deref(),
        Some("late(planned INT, actual INT) RETURNS INT")
    );
}

/// Names of the datasets whose version differs after `from` is replaced by `to` in the library.
fn changed(from: &str, to: &str) -> Vec<String> {
    let dir = project();
    let versions =
        |root: &Path| -> BTreeMap<_, _> { loaded(root).datasets.into_iter().map(|(n, d)| (n, d.version)).collect() };
    let before = versions(dir.path());
    assert!(LIBRARY.contains(from), "{from}");
    write(dir.path(), "library/clock.sql", LIBRARY.replace(from, to).as_bytes());
    versions(dir.path()).iter().filter(|(n, v)| before[*n] != **v).map(|(n, _)| n.to_string()).collect()
}

#[test]
fn a_changed_function_changes_its_users_and_nobody_else() {
    assert_eq!(changed("[A-Z]{3}", "[A-Z]{4}"), ["silver.trips"]);
    assert_eq!(changed("* 60 +", "* 60 + 0 +"), ["silver.trips", "gold.days"], "through `late`");
    assert_eq!(changed("RETURNS INT\nRETURN minutes", "RETURNS BIGINT\nRETURN minutes"), ["silver.trips", "gold.days"]);
    let none: Vec<String> = Vec::new();
    assert_eq!(changed("-- Times of the clock, as 517 for 5:17.", "/* Times */\n\n"), none);
    assert_eq!(changed("clock / 100 * 60 + clock % 100", "clock/100*60\n -- and\n + clock%100"), none);
    assert_eq!(changed("clock", "hhmm"), none, "a parameter's name");
    assert_eq!(changed("minutes", "minutes_of_day"), none, "a function's name, of one that only functions call");
    let more = "CREATE FUNCTION unused() RETURNS INT RETURN 1;\nCREATE FUNCTION is_code";
    assert_eq!(changed("CREATE FUNCTION is_code", more), none);
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let dir = project();
    let library = "CREATE FUNCTION minutes(clock INT) RETURNS INT RETURN clok * 60;
CREATE FUNCTION upper(a TEXT) RETURNS TEXT RETURN lower(a);
CREATE FUNCTION not(a TEXT) RETURNS TEXT RETURN lower(a);
CREATE FUNCTION ping(a INT) RETURNS INT RETURN pong(a);
CREATE FUNCTION pong(a INT) RETURNS INT
  RETURN ping(a) + 1;
CREATE FUNCTION calls_ping(a INT) RETURNS INT RETURN ping(a);
CREATE FUNCTION twice(a INT) RETURNS INT RETURN 2 * a;
CREATE FUNCTION wrong(a INT) RETURNS INT RETURN
  twice(a, a) + twise(a);
CREATE FUNCTION reads(a TEXT) RETURNS TEXT RETURN (SELECT a FROM 'x.csv');
SELECT 1;
";
    write(dir.path(), "library/clock.sql", library.as_bytes());
    write(dir.path(), "library/more.sql", b"CREATE FUNCTION twice(a TEXT) RETURNS TEXT RETURN a;\n");
    write(dir.path(), "library/notes.sqlx", b"");
    write(
        dir.path(),
        "library/clock.test.yaml",
        b"twise: [{ given: [1], expect: 2 }]\nping: [{ given: [], expect: 2 }]\n",
    );
    write(dir.path(), "datasets/silver/trips.yaml", SILVER.replace("late(planned", "twicee(planned").as_bytes());
    write(
        dir.path(),
        "contracts/trips.odcs.yaml",
        CONTRACT.replace("is_code(origin)", "upper(origni) = 'X'").as_bytes(),
    );
    insta::assert_snapshot!(said(dir.path()));
}

#[test]
fn a_call_that_does_not_fit_is_told_at_its_place() {
    let dir = project();
    let gold = "SELECT day,
  late(planned) AS a, late(DISTINCT planned, actual) AS b, late(planned => 1, actual => 2) AS c,
  sum(late(planned, actual) OVER ()) AS d, is_code(*) AS e, lat(planned, actual) AS f, late(planed, 5) AS g
FROM silver.trips
";
    write(dir.path(), "datasets/gold/days.sql", gold.as_bytes());
    insta::assert_snapshot!(said(dir.path()));
}

#[test]
fn who_calls_a_wrong_function_is_not_wrong_for_that() {
    let dir = project();
    write(dir.path(), "library/clock.sql", LIBRARY.replace("clock % 100", "clok % 100").as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert_eq!(found.0.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(), [("E0107", 3)], "{found}");
}

#[test]
fn nothing_of_the_caller_is_caught_in_a_function() {
    let dir = project();
    // The caller's `planned` is the second argument; a replacement one after the other would take it for the parameter.
    let sql = "SELECT day, late(actual, planned) AS late, late(minutes(actual), 5) AS more FROM silver.trips\n";
    write(dir.path(), "datasets/gold/days.sql", sql.as_bytes());
    let p = loaded(dir.path());
    let Kind::Gold(gold) = &p.datasets[&"gold.days".parse::<DatasetName>().expect("a name")].kind else { panic!() };
    let minutes = |clock: &str| format!("CAST(CAST({clock} AS INT) / 100 * 60 + CAST({clock} AS INT) % 100 AS INT)");
    let again = format!("CAST({0} / 100 * 60 + {0} % 100 AS INT)", minutes("actual"));
    let late = format!("CAST({} - {} AS INT) AS late", minutes("planned"), minutes("actual"));
    let more = format!("CAST({} - {again} AS INT) AS more", minutes("5"));
    assert_eq!(gold.sql, format!("SELECT day, {late}, {more} FROM silver.trips"));
}

#[test]
fn functions_that_grow_without_bound_are_refused() {
    let dir = project();
    let mut library = LIBRARY.to_owned() + "CREATE FUNCTION g0(a INT) RETURNS INT RETURN a + a;\n";
    for i in 1..30 {
        library += &format!("CREATE FUNCTION g{i}(a INT) RETURNS INT RETURN g{}(a) + g{}(a);\n", i - 1, i - 1);
    }
    write(dir.path(), "library/clock.sql", library.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert!(found.0.iter().all(|d| d.code == "E0269") && found.has_errors(), "{found}");
    // Deep instead of wide.
    let nested = format!("SELECT {}1{} AS n FROM silver.trips\n", "minutes(".repeat(60), ")".repeat(60));
    write(dir.path(), "library/clock.sql", LIBRARY.as_bytes());
    write(dir.path(), "datasets/gold/days.sql", nested.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert!(found.0.iter().all(|d| ["E0269", "E0201"].contains(&d.code)) && found.has_errors(), "{found}");
    let wide = format!("SELECT {} AS n FROM silver.trips\n", vec!["late(planned, actual)"; 400].join(" + "));
    write(dir.path(), "datasets/gold/days.sql", wide.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert_eq!(found.0.iter().map(|d| d.code).collect::<Vec<_>>(), ["E0269"], "{found}");
}

/// One expression may be a text of any length.
#[test]
fn long_texts_are_bounded_as_many_expressions_are() {
    let one = |bytes: usize| format!("CREATE FUNCTION long() RETURNS TEXT RETURN '{}';\n", "x".repeat(bytes));
    let calls: String = (0..900).map(|i| format!("CREATE FUNCTION f{i:03}() RETURNS TEXT RETURN long();\n")).collect();
    let (gold, day) = ("datasets/gold/days.sql", "SELECT day FROM silver.trips\n");
    let dir = project();
    write(dir.path(), gold, day.as_bytes());
    let codes = |library: &str| -> Vec<(&'static str, String)> {
        write(dir.path(), "library/long.sql", library.as_bytes());
        let found = read(dir.path(), &Environment::default()).found;
        found.0.iter().map(|d| (d.code, d.file.display().to_string())).collect()
    };
    // A function may be long by itself; where it is called it counts.
    assert!(codes(&one(200_000)).is_empty());
    let refused = codes(&(one(200_000) + &calls));
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|(code, _)| *code == "E0269"), "{refused:?}");
    // Each of them fits, and all together do not.
    assert_eq!(codes(&(one(60_000) + &calls)), [("E0003", "library/long.sql".to_owned())]);
    // In one statement; inside of another call, too.
    let file = || ("E0269", gold.to_owned());
    let library = one(20_000) + "CREATE FUNCTION same(a TEXT) RETURNS TEXT RETURN a;\n";
    write(dir.path(), gold, b"SELECT long() || long() || long() AS n FROM silver.trips\n");
    assert!(codes(&library).is_empty());
    for many in [vec!["long()"; 500].join(" || "), format!("same({})", vec!["long()"; 500].join(" || "))] {
        write(dir.path(), gold, format!("SELECT {many} AS n FROM silver.trips\n").as_bytes());
        assert_eq!(codes(&library), [file()]);
    }
}

/// What is put into one statement, and what is computed on the way, to the call.
#[test]
fn the_bound_of_a_statement_is_met_by_its_last_call() {
    let dir = project();
    let codes = |bytes: usize, sql: &str| -> Vec<&'static str> {
        let long = format!("CREATE FUNCTION long() RETURNS TEXT RETURN '{}';\n", "x".repeat(bytes));
        let library = long + "CREATE FUNCTION same(a TEXT) RETURNS TEXT RETURN a;\n";
        write(dir.path(), "library/long.sql", library.as_bytes());
        write(dir.path(), "datasets/gold/days.sql", format!("SELECT {sql} AS n FROM silver.trips\n").as_bytes());
        read(dir.path(), &Environment::default()).found.0.iter().map(|d| d.code).collect()
    };
    // Each is a thousand bytes, and a cast around them; 64 KiB are 63 of them.
    let calls = |n: usize| vec!["long()"; n].join(" || ");
    assert!(codes(1_000, &calls(63)).is_empty());
    for more in [64, 70] {
        assert_eq!(codes(1_000, &calls(more)), ["E0269"], "{more}");
    }
    // Each level is 60,000 bytes of work, of which all but the outermost are thrown away again.
    let nested = |n: usize| format!("{}long(){}", "same(".repeat(n), ")".repeat(n));
    assert!(codes(60_000, &nested(20)).is_empty());
    assert_eq!(codes(60_000, &nested(22)), ["E0269"]);
}

/// Tests run on threads with a small stack, as those of a service.
#[test]
fn a_statement_of_very_many_operators_is_read() {
    let dir = project();
    write(dir.path(), "library/same.sql", b"CREATE FUNCTION same(a TEXT) RETURNS TEXT RETURN a;\n");
    let sql = format!("SELECT same(origin) || {} AS n FROM silver.trips\n", vec!["origin"; 2_400].join(" || "));
    write(dir.path(), "datasets/gold/days.sql", sql.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert!(!found.has_errors(), "{found}");
}

/// Reading such a file took minutes when each walk began anew.
#[test]
fn a_library_of_very_many_functions_is_refused() {
    let ring = |functions: usize| -> String {
        (0..functions)
            .map(|i| format!("CREATE FUNCTION f{i:04}() RETURNS INT RETURN f{:04}();\n", (i + 1) % functions))
            .collect()
    };
    let dir = folder(&[("alluvium.yaml", "name: x\n"), ("library/all.sql", &ring(1_000))]);
    let found = read(dir.path(), &Environment::default()).found;
    assert_eq!(found.0.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(), [("E0269", 1)], "{found}");
    assert!(found.0[0].message.ends_with("f0008 → f0009 → 990 more → f0000"), "{found}");
    write(dir.path(), "library/all.sql", ring(4_500).as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert_eq!(found.0.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(), [("E0003", 1_001)], "{found}");
    let chain = ring(1_000).replace("RETURN f0000()", "RETURN 1");
    write(dir.path(), "library/all.sql", chain.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    assert!(!found.has_errors(), "{found}");
}

#[test]
fn a_query_of_a_person_calls_functions_too() {
    let dir = project();
    let library = loaded(dir.path()).library;
    let written = library.query("SELECT late(1, id), late(2, 3) FROM silver.trips").expect("a query");
    assert!(
        written.ends_with(" AS \"late(2, 3)\" FROM silver.trips") && written.contains(" AS \"late(1, id)\", "),
        "{written}"
    );
    for same in ["SELECT nothing_known(1)", "SELECT FROM WHERE", "SELECT now(), random()"] {
        assert_eq!(library.query(same).expect("left alone"), same);
    }
    let refused = library.query("SELECT\n late(1)").expect_err("a mistake");
    assert_eq!((refused.0[0].code, refused.0[0].line, refused.0[0].column), ("E0267", 2, 2));
    assert_eq!(library.query("SELECT minutes(random() * 5)").expect_err("a mistake").0[0].code, "E0205");
}

#[test]
fn cases_belong_to_functions() {
    let dir = project();
    let cases = "late:\n  - { given: [517, 515], expect: -2 }\n  - { given: [null, 515], expect: null }\n";
    write(dir.path(), "library/clock.test.yaml", cases.as_bytes());
    let p = loaded(dir.path());
    let late = p.library.get("late").expect("late");
    assert_eq!(late.cases.len(), 2);
    let (call, expected) = p.library.call(late, &late.cases[1]).expect("a call");
    assert!(call.starts_with("SELECT CAST(") && call.contains("NULL"), "{call}");
    assert_eq!(expected, "CAST(NULL AS INT)");
    let wrong = "late:\n  - { given: [517], expect: 2 }\n  - { given: [517, [1]], expect: 2 }\n  - { given: [1, 2] }\n  - { gven: [1, 2], expect: 1 }\n";
    write(dir.path(), "library/clock.test.yaml", wrong.as_bytes());
    let found = read(dir.path(), &Environment::default()).found;
    let seen: Vec<_> = found.0.iter().map(|d| (d.code, d.line)).collect();
    assert_eq!(seen, [("E0267", 2), ("E0005", 3), ("E0008", 4), ("E0267", 5), ("E0007", 5)], "{found}");
}

const MEASURES: &str =
    "CREATE FUNCTION weighted(x DOUBLE, w DOUBLE DEFAULT 1) RETURNS DOUBLE RETURN sum(x * w) / sum(w);
CREATE FUNCTION mostly(x DOUBLE) RETURNS BOOLEAN RETURN weighted(x) > 0;
CREATE FUNCTION plus(a INT, b INT DEFAULT -1, c TEXT DEFAULT 'o''x') RETURNS INT RETURN a + b + length(c);
";

#[test]
fn functions_over_groups_are_called_where_groups_are() {
    let dir = project();
    write(dir.path(), "library/measures.sql", MEASURES.as_bytes());
    let gold = "SELECT day, weighted(late, planned) AS a, weighted(late) AS b, mostly(late) AS c FROM silver.trips GROUP BY day\n";
    write(dir.path(), "datasets/gold/days.sql", gold.as_bytes());
    let p = loaded(dir.path());
    let Kind::Gold(gold) = &p.datasets[&"gold.days".parse::<DatasetName>().expect("a name")].kind else { panic!() };
    let weighted = |w: &str| {
        let (x, w) = ("CAST(late AS DOUBLE)", format!("CAST({w} AS DOUBLE)"));
        format!("CAST(sum({x} * {w}) / sum({w}) AS DOUBLE)")
    };
    let mostly = format!(
        "CAST({} > 0 AS BOOLEAN)",
        weighted("1").replace("CAST(late AS DOUBLE)", "CAST(CAST(late AS DOUBLE) AS DOUBLE)")
    );
    let mostly = mostly.replace("CAST(CAST(late AS DOUBLE) AS DOUBLE)", "CAST(late AS DOUBLE)");
    let expected = format!("SELECT day, {} AS a, {} AS b, {mostly} AS c FROM", weighted("planned"), weighted("1"));
    assert!(gold.sql.starts_with(&expected), "{}", gold.sql);
    let over = |name: &str| p.library.get(name).map(|f| f.aggregates);
    assert_eq!(["weighted", "mostly", "plus", "late"].map(over), [Some(true), Some(true), Some(false), Some(false)]);
}

#[test]
fn over_one_row_there_is_no_group() {
    let dir = project();
    write(dir.path(), "library/measures.sql", MEASURES.as_bytes());
    write(
        dir.path(),
        "datasets/silver/trips.yaml",
        SILVER.replace("late(planned, actual) AS", "mostly(planned) AS").as_bytes(),
    );
    write(
        dir.path(),
        "contracts/trips.odcs.yaml",
        CONTRACT.replace("is_code(origin)", "weighted(planned) > 1").as_bytes(),
    );
    let found = read(dir.path(), &Environment::default()).found;
    let seen: Vec<_> = found.0.iter().map(|d| (d.code, d.file.display().to_string(), d.message.as_str())).collect();
    let over = |file: &str, name: &'static str| ("E0204", file.to_owned(), name);
    let wanted = [
        over("contracts/trips.odcs.yaml", "`weighted` works over many rows"),
        over("datasets/silver/trips.yaml", "`mostly` works over many rows"),
    ];
    assert_eq!(seen, wanted, "{found}");
    // A rule over the table has all of its rows.
    let rule = "SELECT count(*) FROM {object} WHERE late(planned, actual) < -600\", mustBe: 0";
    let measured = "SELECT weighted(planned) FROM {object}\", mustBeLessThan: 9";
    write(dir.path(), "datasets/silver/trips.yaml", SILVER.as_bytes());
    write(dir.path(), "contracts/trips.odcs.yaml", CONTRACT.replace(rule, measured).as_bytes());
    let p = loaded(dir.path());
    let rule = p.contracts["trips"].rules.iter().find(|r| r.id == "none_early").expect("a rule");
    assert!(
        matches!(&rule.check, Check::Query { sql, .. } if sql.starts_with("SELECT CAST(sum(CAST(planned")),
        "{rule:?}"
    );
}

#[test]
fn arguments_that_are_left_out_have_their_default() {
    let dir = project();
    write(dir.path(), "library/measures.sql", MEASURES.as_bytes());
    let p = loaded(dir.path());
    let plus = "plus(a INT, b INT DEFAULT -1, c TEXT DEFAULT 'o''x') RETURNS INT";
    assert_eq!(p.library.get("plus").map(|f| f.signature()).as_deref(), Some(plus));
    let written = |call: &str| p.library.query(&format!("SELECT {call} AS n")).expect("a query");
    let out = |a: &str, b: &str, c: &str| {
        format!("SELECT CAST(CAST({a} AS INT) + CAST({b} AS INT) + length(CAST({c} AS VARCHAR)) AS INT) AS n")
    };
    assert_eq!(written("plus(1)"), out("1", "-1", "'o''x'"));
    assert_eq!(written("plus(1, 2)"), out("1", "2", "'o''x'"));
    assert_eq!(written("plus(1, 2, 'y')"), out("1", "2", "'y'"));
    let refused =
        |call: &str| p.library.query(&format!("SELECT {call} AS n")).expect_err("a mistake").0[0].message.clone();
    assert_eq!(refused("plus()"), "`plus` takes 1 to 3 arguments, and 0 are given");
    assert_eq!(refused("plus(1, 2, 3, 4)"), "`plus` takes 1 to 3 arguments, and 4 are given");
}

#[test]
fn cases_are_as_the_function_is() {
    let dir = project();
    write(dir.path(), "library/measures.sql", MEASURES.as_bytes());
    let many = vec!["[1]"; 101].join(", ");
    let cases = format!(
        "weighted:
  - {{ rows: [[1, 2], [null, 4]], expect: 2 }}
  - {{ rows: [], expect: null }}
  - {{ given: [1, 2], expect: 2 }}
  - {{ rows: [[1], [1, 2]], expect: 2 }}
  - {{ rows: [[1, 2, 3]], expect: 2 }}
  - {{ rows: [{many}], expect: 1 }}
  - {{ given: [1], rows: [[1]], expect: 1 }}
  - {{ rows: [1], expect: 1 }}
plus:
  - {{ rows: [[1]], expect: 1 }}
  - {{ given: [1], expect: 2 }}
"
    );
    write(dir.path(), "library/clock.test.yaml", cases.as_bytes());
    let reading = read(dir.path(), &Environment::default());
    let seen: Vec<_> = reading.found.0.iter().map(|d| (d.code, d.line)).collect();
    let call = |line: usize| ("E0267", line);
    assert_eq!(seen, [call(4), call(5), call(6), call(7), call(8), ("E0005", 9), call(11)], "{}", reading.found);
    let weighted = reading.project.library.get("weighted").expect("a function");
    let (asked, _) = reading.project.library.call(weighted, &weighted.cases[0]).expect("a call");
    let table = "FROM (SELECT x0, CAST(x1 AS VARCHAR) AS x1, CAST(x2 AS VARCHAR) AS x2 FROM (VALUES (0, '1', '2'), (0, NULL, '4')) AS given(x0, x1, x2)) AS given";
    assert!(asked.ends_with(table), "{asked}");
}

#[test]
fn the_values_of_all_cases_are_bounded() {
    let dir = project();
    let long = "x".repeat(50_000);
    let case = format!("  - {{ given: [{long}], expect: null }}\n");
    let file = |cases: usize| format!("is_code:\n{}", case.repeat(cases));
    let codes = |files: usize| -> Vec<(&'static str, String)> {
        (0..files).for_each(|n| write(dir.path(), &format!("library/{n}.test.yaml"), file(10).as_bytes()));
        let found = read(dir.path(), &Environment::default()).found;
        found.0.iter().map(|d| (d.code, d.file.display().to_string())).collect()
    };
    assert_eq!(codes(8), []);
    assert_eq!(codes(10), [("E0003", "library/8.test.yaml".to_owned())]);
}
