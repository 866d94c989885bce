//! Late rows, and how far the event time has come.

use super::*;
use alluvium_spec::{Late, Watermark};
use jiff::Timestamp;

/// Two days before the rows arrive.
const WATERMARK: &str = "2025-06-29T12:00:00Z";

fn columns(kind: ColumnType) -> Contract {
    contract(
        &[("id", ColumnType::Integer), ("at", kind)],
        vec![rule("positive", &["id"], Check::Expression { sql: "id > 0".into() }, Action::Quarantine)],
    )
}

fn late(kind: ColumnType, late: Late, watermark: Option<&str>) -> Refinery {
    let watermark_of =
        Watermark { column: "at".into(), allowed_lateness: "1 day".parse().unwrap(), late, idle_timeout: None };
    let silver = Silver { watermark: Some(watermark_of), ..silver(vec![Step::Validate]) };
    let watermark = watermark.map(|w| w.parse::<Timestamp>().unwrap());
    let binding = Binding { lookups: BTreeMap::new(), stamp: stamp(), watermark };
    Refinery::bind(compiled(&silver, &columns(kind)), binding, &SeededEntropy::new(7)).unwrap()
}

/// On the bound, before it, without a time, invalid and late, ahead of its arrival (`2025-07-01T12:00:00Z`), in time.
fn rows_at(times: [&str; 6]) -> RecordBatch {
    let ids = vec![Some("1"), Some("2"), Some("3"), Some("-4"), Some("5"), Some("6")];
    bronze(&[("id", ids), ("at", times.iter().map(|t| (!t.is_empty()).then_some(*t)).collect())])
}

fn mixed() -> RecordBatch {
    let before = "2025-06-28T11:59:59.999999Z";
    rows_at(["2025-06-28T12:00:00Z", before, "", before, "2999-01-01T00:00:00Z", "2025-06-30T00:00:00Z"])
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch["id"].as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
}

#[test]
fn a_late_row_goes_where_the_policy_says() {
    let of = |policy| {
        let (refined, tally) = refine(&late(ColumnType::Timestamp, policy, Some(WATERMARK)), &mixed());
        assert_eq!(tally.rules["late:at"], RuleCount { checked: 5, violations: 1 }, "invalid rows are not judged");
        assert_eq!(tally.ahead, 1);
        assert_eq!(tally.reached, Some("2025-06-30T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond()));
        (ids(&refined.valid), reasons(&refined), tally)
    };
    let (valid, aside, tally) = of(Late::Recompute);
    assert_eq!((valid, aside.len()), (vec![1, 2, 3, 5, 6], 1));
    assert_eq!((tally.late, tally.late_aside, tally.quarantined), (0, 0, 1));

    let (valid, aside, tally) = of(Late::Quarantine);
    assert_eq!(valid, [1, 3, 5, 6]);
    assert_eq!(aside, ["3: positive(id=-4)", "1: late:at(at=2025-06-28T11:59:59.999999Z)"]);
    assert_eq!((tally.late, tally.late_aside, tally.quarantined), (0, 1, 2));

    let (valid, aside, tally) = of(Late::Drop);
    assert_eq!((valid, aside.len()), (vec![1, 3, 5, 6], 1));
    assert_eq!((tally.late, tally.dropped, tally.quarantined), (1, 0, 1));

    let refinery = late(ColumnType::Timestamp, Late::Fail, Some(WATERMARK));
    let mut tally = Tally::default();
    refinery.refine(&mixed(), None, &mut tally).unwrap();
    assert_eq!(refinery.stops(&tally).iter().map(|s| &s.rule).collect::<Vec<_>>(), ["late:at"]);
}

#[test]
fn without_a_watermark_nothing_is_late() {
    let (refined, tally) = refine(&late(ColumnType::Timestamp, Late::Drop, None), &mixed());
    assert_eq!(ids(&refined.valid), [1, 2, 3, 5, 6]);
    assert_eq!(tally.rules.get("late:at"), None);
    assert!(tally.reached.is_some(), "and it begins with these rows");
}

#[test]
fn a_day_is_its_midnight_and_the_reason_names_the_watermark() {
    let days = rows_at(["2025-06-29", "2025-06-28", "", "2025-06-27", "2025-07-02", "2025-07-01"]);
    let (refined, tally) = refine(&late(ColumnType::Date, Late::Quarantine, Some(WATERMARK)), &days);
    assert_eq!(ids(&refined.valid), [1, 3, 5, 6]);
    assert_eq!(tally.reached, Some("2025-07-01T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond()));
    let quarantined = refined.quarantined.unwrap();
    let list = quarantined["reasons"].as_list::<i32>().value(1);
    let message = list.as_struct().column_by_name("message").unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!(message, "is late: the watermark was 2025-06-29T12:00:00Z, 1d allowed");
}

#[test]
fn how_rows_are_split_into_batches_decides_nothing() {
    let refinery = late(ColumnType::Timestamp, Late::Drop, Some(WATERMARK));
    let (_, whole) = refine(&refinery, &mixed());
    let mut parts = Tally::default();
    for row in (0..6).rev() {
        let (_, tally) = refine(&refinery, &mixed().slice(row, 1));
        parts.merge(&tally);
    }
    assert_eq!(parts, whole);
}
