//! For any rows: none is lost, and how they are split into batches does not matter.

use super::*;
use alluvium_spec::Bound;
use arrow::compute::concat_batches;
use proptest::prelude::*;

/// Steps and rules of every kind but `unique`.
fn definition() -> (Silver, Contract) {
    let at_least = |v: &str| Some(Bound { value: v.into(), inclusive: true });
    let c = contract(
        &[
            ("id", ColumnType::Integer),
            ("amount", DECIMAL),
            ("status", ColumnType::String),
            ("at", ColumnType::Timestamp),
            ("ratio", ColumnType::Number),
        ],
        vec![
            rule("id", &["id"], Check::Required, Action::Quarantine),
            rule("amount", &["amount"], Check::Range { min: at_least("0"), max: None }, Action::Drop),
            rule("status", &["status"], Check::OneOf { values: vec!["a".into(), "b".into()] }, Action::Quarantine),
            rule("length", &["status"], Check::Length { min: None, max: Some(3) }, Action::Warn),
            rule("ratio", &[], Check::Expression { sql: "ratio < 10".into() }, Action::Quarantine),
        ],
    );
    let s = silver(vec![
        normalize(|n| {
            n.trim = alluvium_spec::Columns::All;
            n.default.insert("status".into(), "a".into());
        }),
        sql("SELECT * FROM input WHERE id <> '13' OR id IS NULL"),
        Step::Validate,
        sql("SELECT *, 100 / id AS ratio FROM input"),
    ]);
    (s, c)
}

type Row = (Option<String>, Option<String>, Option<String>, Option<String>);

fn row() -> impl Strategy<Value = Row> {
    let one = |options: &'static [&'static str]| {
        prop_oneof![
            4 => prop::sample::select(options).prop_map(|s| Some(s.to_owned())),
            1 => any::<Option<String>>(),
        ]
    };
    (
        one(&["1", "0", "13", " 7", "99999999999999999999", "x"]),
        one(&["1.50", "-2", "1.234", "", "99999999999"]),
        one(&["a", "b", "c ", "zzzz", ""]),
        one(&["2025-07-01T00:00:00Z", "2025-02-30", "2025-07-01", "soon"]),
    )
}

fn batch(rows: &[Row], first: usize) -> RecordBatch {
    let column = |f: fn(&Row) -> &Option<String>| rows.iter().map(|r| f(r).as_deref()).collect::<Vec<_>>();
    bronze_from(
        first as i64,
        &[
            ("id", column(|r| &r.0)),
            ("amount", column(|r| &r.1)),
            ("status", column(|r| &r.2)),
            ("at", column(|r| &r.3)),
        ],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_row_is_lost_and_splits_do_not_matter(rows in prop::collection::vec(row(), 1..60), cut in 0_usize..60) {
        let (s, c) = definition();
        let refinery = refinery(&s, &c);
        let (whole, tally) = refine(&refinery, &batch(&rows, 0));
        prop_assert_eq!(tally.received, rows.len() as u64);
        prop_assert_eq!(tally.valid, whole.valid.num_rows() as u64);
        prop_assert_eq!(tally.quarantined, whole.quarantined.as_ref().map_or(0, RecordBatch::num_rows) as u64);

        let cut = cut.min(rows.len());
        let (left, mut both) = refine(&refinery, &batch(&rows[..cut], 0));
        let (right, second) = refine(&refinery, &batch(&rows[cut..], cut));
        both.merge(&second);
        prop_assert_eq!(&both, &tally);
        let valid = concat_batches(&refinery.output_schema(), [&left.valid, &right.valid]).unwrap();
        prop_assert_eq!(&valid, &whole.valid);
        let told = |parts: &[&Refined]| {
            let mut all: Vec<String> = parts.iter().flat_map(|r| reasons(r)).collect();
            all.sort();
            all
        };
        prop_assert_eq!(told(&[&left, &right]), told(&[&whole]));

        // What waits in quarantine can be given again and waits again, for the same reasons.
        if let Some(q) = &whole.quarantined {
            let again = unquarantine(q, &batch(&rows, 0).schema()).unwrap();
            let (replayed, _) = refine(&refinery, &again);
            prop_assert_eq!(replayed.valid.num_rows(), 0);
            prop_assert_eq!(told(&[&replayed]), told(&[&whole]));
        }
    }
}
