//! Each rule on the rows it is about.

use super::*;
use alluvium_spec::{Bound, Operator, Threshold, Unit};

fn bound(value: &str) -> Option<Bound> {
    Some(Bound { value: value.into(), inclusive: true })
}

fn texts<const N: usize>(values: [&'static str; N]) -> Vec<Option<&'static str>> {
    values.map(|v| (v != "∅").then_some(v)).to_vec()
}

#[test]
fn a_row_is_told_all_that_is_wrong_with_it() {
    let c = contract(
        &[
            ("id", ColumnType::Integer),
            ("amount", DECIMAL),
            ("status", ColumnType::String),
            ("at", ColumnType::Timestamp),
        ],
        vec![
            rule("id", &["id"], Check::Required, Action::Quarantine),
            rule("amount", &["amount"], Check::Range { min: bound("0"), max: None }, Action::Quarantine),
            rule("status", &["status"], Check::OneOf { values: vec!["placed".into(), "paid".into()] }, Action::Drop),
            rule("short", &["status"], Check::Length { min: None, max: Some(6) }, Action::Warn),
            rule("code", &["status"], Check::Pattern { regex: "[a-z]*".into() }, Action::Quarantine),
            rule("whole", &["amount"], Check::MultipleOf { divisor: 0.5 }, Action::Warn),
            rule("early", &[], Check::Expression { sql: "at < '2026-01-01T00:00:00Z'".into() }, Action::Quarantine),
        ],
    );
    let batch = bronze(&[
        ("id", texts(["1", "∅", "x", "4", "5", "6"])),
        ("amount", texts(["1.50", "-1.25", "1.00", "1.00", "2.25", "3.00"])),
        ("status", texts(["paid", "PLACED!", "paid", "gone", "paid", "paid"])),
        ("at", texts(["2025-07-01", "2025-02-30", "∅", "2025-07-01", "2025-07-01", "2026-07-01"])),
    ]);
    let (refined, tally) = refine(&refinery(&silver(vec![]), &c), &batch);
    let kept = ["1|1.50|paid|2025-07-01T00:00:00Z", "5|2.25|paid|2025-07-01T00:00:00Z"];
    assert_eq!(rows(&refined.valid), kept);
    assert_eq!(
        reasons(&refined),
        [
            "1: type:at(at=2025-02-30) id(id=∅) amount(amount=-1.25) status(status=PLACED!) short(status=PLACED!) \
             code(status=PLACED!) whole(amount=-1.25)",
            "2: type:id(id=x)",
            "5: early(at=2026-07-01)",
        ]
    );
    assert_eq!((tally.quarantined, tally.dropped), (3, 1));
    assert_eq!(tally.rules["whole"], RuleCount { checked: 6, violations: 2 });
    assert_eq!(tally.rules["status"].violations, 2);
}

#[test]
fn messages_tell_the_rule_in_words() {
    let c = contract(
        &[("n", ColumnType::Integer)],
        vec![
            rule("r", &["n"], Check::Range { min: bound("1"), max: bound("9") }, Action::Quarantine),
            rule("e", &[], Check::Expression { sql: "100 / n > 1".into() }, Action::Quarantine),
        ],
    );
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &bronze(&[("n", texts(["0"]))]));
    let list = refined.quarantined.unwrap()["reasons"].as_list::<i32>().value(0);
    let messages = list.as_struct().column_by_name("message").unwrap().as_string::<i32>().clone();
    let messages: Vec<&str> = messages.iter().flatten().collect();
    assert_eq!(messages[0], "is not at least 1 and at most 9");
    assert!(messages[1].starts_with("`100 / n > 1` does not hold: "), "{}", messages[1]);
    assert!(messages[1].to_lowercase().contains("divide by zero"), "{}", messages[1]);
}

#[test]
fn missing_values_are_those_listed() {
    let missing =
        |values: &[Option<&str>]| Check::Missing { values: values.iter().map(|v| v.map(str::to_owned)).collect() };
    let c = contract(
        &[("s", ColumnType::String), ("n", ColumnType::Integer)],
        vec![
            rule("s", &["s"], missing(&[None, Some("N/A"), Some("")]), Action::Quarantine),
            rule("n", &["n"], missing(&[Some("N/A"), Some("-1")]), Action::Quarantine),
        ],
    );
    let batch = bronze(&[("s", texts(["a", "N/A", "", "∅", "b"])), ("n", texts(["1", "2", "3", "4", "-1"]))]);
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["a|1"]);
    assert_eq!(reasons(&refined), ["1: s(s=N/A)", "2: s(s=)", "3: s(s=∅)", "4: n(n=-1)"]);
}

#[test]
fn an_unreadable_value_that_is_only_a_warning_is_missing() {
    let c = contract(
        &[("n", ColumnType::Integer), ("m", ColumnType::Integer)],
        vec![
            rule("type:n", &["n"], Check::Type, Action::Warn),
            rule("type:m", &["m"], Check::Type, Action::Warn),
            rule("required:m", &["m"], Check::Required, Action::Quarantine),
        ],
    );
    let batch = bronze(&[("n", texts(["x", "2"])), ("m", texts(["1", "y"]))]);
    let (refined, tally) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(rows(&refined.valid), ["∅|1"]);
    assert_eq!(reasons(&refined), ["1: type:m(m=y) required:m(m=y)"]);
    assert_eq!(tally.rules["type:n"].violations, 1);
}

#[test]
fn fail_rules_stop_the_step_when_their_threshold_breaks() {
    let threshold =
        |percent| Threshold { operator: Operator::MustBeLessThan, value: percent, upper: None, unit: Unit::Percent };
    let mut few = rule("few", &["a"], Check::Required, Action::Fail);
    few.threshold = Some(threshold(30.0));
    let mut some = rule("some", &["a"], Check::Required, Action::Fail);
    some.threshold = Some(threshold(60.0));
    let none = rule("none", &["b"], Check::Required, Action::Fail);
    let c = contract(&[("a", ColumnType::String), ("b", ColumnType::String)], vec![few, some, none]);
    let r = refinery(&silver(vec![]), &c);
    let (refined, mut tally) = refine(&r, &bronze(&[("a", texts(["x", "∅"])), ("b", texts(["y", "y"]))]));
    assert_eq!(refined.valid.num_rows(), 2, "a rule with a threshold only counts");
    let stops = |t: &Tally| r.stops(t).into_iter().map(|s| s.rule).collect::<Vec<_>>();
    assert_eq!(stops(&tally), ["few"]);
    let (refined, second) = refine(&r, &bronze(&[("a", texts(["x", "x"])), ("b", texts(["y", "∅"]))]));
    assert_eq!(reasons(&refined), ["1: none(b=∅)"]);
    tally.merge(&second);
    assert_eq!(stops(&tally), ["none"], "one null of four is few");
    assert_eq!(tally.received, 4);
}

#[test]
fn references_need_complete_keys() {
    let to =
        Check::Reference { dataset: "silver.airports".parse().unwrap(), to: vec!["country".into(), "code".into()] };
    let c = contract(
        &[("country", ColumnType::String), ("dest", ColumnType::Integer)],
        vec![rule("airport", &["country", "dest"], to, Action::Quarantine)],
    );
    let airports = RecordBatch::try_from_iter_with_nullable([
        ("country", Arc::new(StringArray::from(vec![Some("us"), None])) as ArrayRef, true),
        ("code", Arc::new(Int32Array::from(vec![1, 2])), true),
    ])
    .unwrap();
    let batch =
        bronze(&[("country", texts(["us", "us", "∅", "us", "de"])), ("dest", texts(["1", "2", "2", "∅", "1"]))]);
    let r = refinery_with(&silver(vec![]), &c, &[("silver.airports", airports)]);
    let (refined, _) = refine(&r, &batch);
    assert_eq!(rows(&refined.valid), ["us|1", "∅|2", "us|∅"]);
    assert_eq!(reasons(&refined), ["1: airport(country, dest=us, 2)", "4: airport(country, dest=de, 1)"]);
    let (refined, _) = refine(&refinery(&silver(vec![]), &c), &batch);
    assert_eq!(refined.valid.num_rows(), 2, "a dataset without rows has no key");
}

#[test]
fn the_first_of_equal_keys_stays_across_batches() {
    let c = contract(
        &[("a", ColumnType::Integer), ("b", ColumnType::String), ("n", ColumnType::Integer)],
        vec![
            rule("key", &["a", "b"], Check::Unique, Action::Quarantine),
            rule("n", &["n"], Check::Required, Action::Quarantine),
        ],
    );
    let mut s = silver(vec![]);
    let one = bronze(&[
        ("a", texts(["1", "01", "1", "∅", "∅"])),
        ("b", texts(["x", "x", "y", "z", "z"])),
        ("n", texts(["∅", "1", "1", "1", "1"])),
    ]);
    let two = bronze_from(5, &[("a", texts(["1", "1"])), ("b", texts(["x", "w"])), ("n", texts(["1", "1"]))]);
    let r = refinery(&s, &c);
    let (refined, _) = refine(&r, &one);
    assert_eq!(reasons(&refined), ["0: n(n=∅)"], "a row that is not accepted holds no key");
    let (refined, tally) = refine(&r, &two);
    assert_eq!(reasons(&refined), ["5: key(a, b=1, x)"]);
    assert_eq!(tally.rules["key"], RuleCount { checked: 2, violations: 1 });
    // An upsert on the same columns keeps them unique itself.
    s.write = Write::Upsert {
        history: None,
        keys: vec!["b".into(), "a".into()],
        sequence_by: vec![],
        snapshots: false,
        delete_when: None,
        truncate_when: None,
        change_feed: false,
    };
    let (refined, tally) = refine(&refinery(&s, &c), &one);
    assert_eq!(refined.valid.num_rows(), 4);
    assert!(!tally.rules.contains_key("key"));
}

#[test]
fn a_key_that_would_have_to_be_rounded_is_not_found() {
    let to = Check::Reference { dataset: "silver.sizes".parse().unwrap(), to: vec!["size".into()] };
    let c = contract(&[("n", ColumnType::Number)], vec![rule("size", &["n"], to, Action::Quarantine)]);
    let sizes = RecordBatch::try_from_iter([("size", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let r = refinery_with(&silver(vec![]), &c, &[("silver.sizes", sizes)]);
    let (refined, _) = refine(&r, &bronze(&[("n", texts(["1", "1.5", "2.0", "∅"]))]));
    assert_eq!(rows(&refined.valid), ["1.0", "2.0", "∅"]);
}

#[test]
fn batches_with_turns_keep_the_first_in_their_order_on_any_thread() {
    let c = contract(&[("n", ColumnType::Integer)], vec![rule("key", &["n"], Check::Unique, Action::Quarantine)]);
    let r = refinery(&silver(vec![]), &c);
    let turns = Turns::default();
    let given: Vec<Turn<'_>> = (0..4).map(|_| turns.give()).collect();
    let mut found: Vec<(usize, usize)> = std::thread::scope(|s| {
        let refine = |i: usize, turn: Turn<'_>| {
            // A batch that failed before it came to its turn.
            if i == 1 {
                drop(turn);
                return (i, 0);
            }
            let batch = bronze_from(i as i64 * 10, &[("n", texts(["1", "2", "3"]))]);
            (i, r.refine(&batch, Some(turn), &mut Tally::default()).unwrap().valid.num_rows())
        };
        // The last batch is the first to be ready.
        let threads: Vec<_> = given.into_iter().enumerate().rev().map(|(i, t)| s.spawn(move || refine(i, t))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    found.sort();
    assert_eq!(found, [(0, 3), (1, 0), (2, 0), (3, 0)]);
}
