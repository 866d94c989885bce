//! The shape of the real data: nulls written `NA`, lower case codes, white space, dangling references, clock times
//! that are none.

use super::*;
use alluvium_spec::{Bound, Columns, Enrich, NullIf};

fn flights() -> (Silver, Contract) {
    let bound = |v: &str| Some(Bound { value: v.into(), inclusive: true });
    let to = |dataset: &str, column: &str| Check::Reference {
        dataset: dataset.parse().unwrap(),
        to: vec![column.to_owned()],
    };
    let c = contract(
        &[
            ("carrier", ColumnType::String),
            ("flight", ColumnType::Int32),
            ("tailnum", ColumnType::String),
            ("dest", ColumnType::String),
            ("dep_time", ColumnType::Int32),
            ("dep_delay", ColumnType::Number),
            ("time_hour", ColumnType::Timestamp),
            ("airline", ColumnType::String),
        ],
        vec![
            rule("required:carrier", &["carrier"], Check::Required, Action::Quarantine),
            rule("dep_time", &["dep_time"], Check::Range { min: bound("0"), max: bound("2359") }, Action::Warn),
            rule("clock", &[], Check::Expression { sql: "dep_time % 100 < 60".into() }, Action::Quarantine),
            rule("plane", &["tailnum"], to("silver.planes", "tailnum"), Action::Warn),
            rule("airport", &["dest"], to("silver.airports", "faa"), Action::Quarantine),
            rule("tailnum", &["tailnum"], Check::Pattern { regex: "[A-Z0-9]{5,6}".into() }, Action::Quarantine),
        ],
    );
    let s = silver(vec![
        normalize(|n| {
            n.trim = Columns::All;
            n.null_if = vec![NullIf { columns: Columns::All, values: vec!["NA".into(), String::new()] }];
            n.upper = Columns::Named(vec!["carrier".into(), "dest".into()]);
        }),
        Step::Validate,
        Step::Enrich(Enrich {
            lookup: "silver.airlines".parse().unwrap(),
            on: vec![("carrier".into(), "carrier".into())],
            take: vec![("airline".into(), "name".into())],
        }),
    ]);
    (s, c)
}

fn table(columns: &[(&str, &[&str])]) -> RecordBatch {
    let column = |(n, v): &(&'static str, &[&str])| (*n, Arc::new(StringArray::from(v.to_vec())) as ArrayRef);
    let columns: Vec<(&'static str, &[&str])> =
        columns.iter().map(|(n, v)| (Box::leak(n.to_string().into_boxed_str()) as &'static str, *v)).collect();
    RecordBatch::try_from_iter(columns.iter().map(column)).unwrap()
}

#[test]
fn messy_flights() {
    let (s, c) = flights();
    let r = refinery_with(
        &s,
        &c,
        &[
            ("silver.airlines", table(&[("carrier", &["UA", "B6"]), ("name", &["United", "JetBlue"])])),
            ("silver.planes", table(&[("tailnum", &["N14228"])])),
            ("silver.airports", table(&[("faa", &["IAH", "BOS"])])),
        ],
    );
    let lines = [
        "UA,1545,N14228,IAH,517,2,2013-01-01T10:00:00Z",
        " ua ,1714,N24211,iah,533,4,2013-01-01T10:00:00Z",
        "B6,725,NA,SJU,544,-1,2013-01-01T10:00:00Z",
        "B6,1,N14228,BOS,NA,NA,2013-01-01T10:00:00Z",
        "NA,461,N668DN,ATL,554.5,x,2013-13-01T11:00:00Z",
        "UA,2,D942DN,IAH,2400,0,2013-01-01T10:00:00Z",
        "UA,3,bad tail,IAH,1260,0,2013-01-01T10:00:00Z",
        "ZZ,4,,BOS,1,NaN,2013-01-01 10:00",
    ];
    let names = ["carrier", "flight", "tailnum", "dest", "dep_time", "dep_delay", "time_hour"];
    let cell = |line: &'static str, i: usize| line.split(',').nth(i);
    let columns: Vec<(&str, Vec<Option<&str>>)> =
        names.iter().enumerate().map(|(i, n)| (*n, lines.iter().map(|l| cell(l, i)).collect())).collect();
    let (refined, tally) = refine(&r, &bronze(&columns));
    assert_eq!(
        rows(&refined.valid),
        [
            "UA|1545|N14228|IAH|517|2.0|2013-01-01T10:00:00Z|United",
            "UA|1714|N24211|IAH|533|4.0|2013-01-01T10:00:00Z|United",
            "B6|1|N14228|BOS|∅|∅|2013-01-01T10:00:00Z|JetBlue",
            "UA|2|D942DN|IAH|2400|0.0|2013-01-01T10:00:00Z|United",
        ]
    );
    assert_eq!(
        reasons(&refined),
        [
            "2: airport(dest=SJU)",
            "4: type:dep_time(dep_time=554.5) type:dep_delay(dep_delay=x) type:time_hour(time_hour=2013-13-01T11:00:00Z) \
             required:carrier(carrier=∅) plane(tailnum=N668DN) airport(dest=ATL)",
            "6: clock(dep_time=1260) plane(tailnum=bad tail) tailnum(tailnum=bad tail)",
            "7: type:dep_delay(dep_delay=NaN)",
        ]
    );
    assert_eq!((tally.received, tally.valid, tally.quarantined, tally.dropped), (8, 4, 4, 0));
    assert_eq!(tally.rules["plane"], RuleCount { checked: 8, violations: 4 });
}
