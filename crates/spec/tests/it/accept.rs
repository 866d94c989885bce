//! `accept`: what is read of it, and what is a mistake.

use crate::{flights, folder, write};
use alluvium_spec::{Environment, Levels, MeasureKind, load};

const PROJECT: (&str, &str) = ("alluvium.yaml", "name: x\n");

/// What is wrong with this silver dataset of the flights.
fn said(accept: &str) -> String {
    let dir = flights();
    let silver = format!("from: bronze.flights\ncontract: flights\naccept:\n{accept}\n");
    write(dir.path(), "datasets/silver/flights.yaml", silver.as_bytes());
    load(dir.path(), &Environment::default()).map_or_else(|d| d.to_string(), |_| String::new())
}

#[test]
fn every_measure_is_read_in_one_grammar() {
    let dir = flights();
    let silver = "from: bronze.flights
contract: flights
accept:
  invalid: { error_above: 5% }
  rows: { min: 1, warn_below: 100, error_above: 1000000 }
  columns:
    carrier: { nulls: { warn_above: 1% }, distinct: { of_last: 20, error_below: 50%, error_above: 3 } }
    dep_delay: { min: { error_below: -100 }, percentiles: { 95: { warn_above: 60 }, 99.5: { error_above: 600 } } }
  distinct: { columns: [carrier, flight], of_last: 5, error_below: 80% }
  by: [ { column: time_hour, size: 1 day, rows: { error_below: 10 } }, { column: carrier, rows: { of_last: 4, error_below: 50% }, distinct: [ { columns: [flight, origin], error_below: 2 } ], columns: { dep_delay: { mean: { error_above: 30 } } } } ]
  distribution: { dep_delay: { psi: { error_above: 0.25 }, ks: { warn_above: 10% }, reference: { column: time_hour, size: 28 days } } }
  freshness: { column: time_hour, warn_after: 2 hours, error_after: 1 day }
";
    write(dir.path(), "datasets/silver/flights.yaml", silver.as_bytes());
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let accept = &project.datasets[&"silver.flights".parse().expect("a name")].accept;
    let rows = Levels { warn_below: Some(100.0), error_below: Some(1.0), warn_above: None, error_above: Some(1e6) };
    assert_eq!((accept.invalid.error_above, accept.rows), (Some(0.05), rows));
    let columns: Vec<_> = accept.columns.iter().map(|c| (c.column.as_str(), c.kind)).collect();
    let expected = [
        ("carrier", MeasureKind::Nulls),
        ("carrier", MeasureKind::Distinct),
        ("dep_delay", MeasureKind::Min),
        ("dep_delay", MeasureKind::Percentile(95.0)),
        ("dep_delay", MeasureKind::Percentile(99.5)),
        ("carrier", MeasureKind::Distinct),
    ];
    assert_eq!(columns, expected);
    assert_eq!(accept.columns[0].levels, Levels { warn_above: Some(0.01), ..Levels::default() });
    assert_eq!(
        accept.columns[1].levels,
        Levels { error_below: Some(0.5), error_above: Some(3.0), ..Levels::default() }
    );
    assert_eq!((accept.columns[0].of_last, accept.columns[1].of_last), (None, Some(20)));
    assert_eq!((accept.by.len(), accept.by[1].columns[0].kind), (2, MeasureKind::Mean));
    assert_eq!((accept.by[0].rows_of_last, accept.by[1].rows_of_last), (None, Some(4)));
    assert_eq!((&*accept.columns[5].and, accept.columns[5].of_last), (&["flight".to_owned()][..], Some(5)));
    assert_eq!(accept.by[1].columns[1].and, ["origin"]);
    let shape = &accept.distribution[0];
    assert_eq!((shape.psi.error_above, shape.ks.warn_above, shape.min_rows), (Some(0.25), Some(0.1), 500));
    assert!(accept.freshness.as_ref().is_some_and(|f| f.error_after == "1 day".parse().ok()));
}

#[test]
fn the_least_and_the_greatest_of_a_time_have_times_as_levels() {
    let of = |levels: &str| {
        let dir = flights();
        let silver = format!("from: bronze.flights\ncontract: flights\naccept: {{ columns: {{ {levels} }} }}\n");
        write(dir.path(), "datasets/silver/flights.yaml", silver.as_bytes());
        let project = load(dir.path(), &Environment::default()).map_err(|d| d.to_string())?;
        Ok::<_, String>(project.datasets[&"silver.flights".parse().expect("a name")].accept.columns.clone())
    };
    let found = of(
        "time_hour: { nulls: { error_above: 0 }, min: { error_below: 2013-01-01 }, max: { warn_above: '2013-12-31T23:00:00+01:00', error_above: 2014-01-01 } }",
    );
    let found = found.expect("they fit");
    let kinds: Vec<_> = found.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [MeasureKind::Nulls, MeasureKind::First, MeasureKind::Last]);
    assert_eq!(found[1].levels, Levels { error_below: Some(1_356_998_400e6), ..Levels::default() });
    let last = Levels { warn_above: Some(1_388_527_200e6), error_above: Some(1_388_534_400e6), ..Levels::default() };
    assert_eq!(found[2].levels, last);
    for (levels, part) in [
        ("time_hour: { min: { error_below: 5 } }", "is not a number"),
        ("dep_delay: { min: { error_below: 2013-01-01 } }", "neither date nor timestamp"),
        ("time_hour: { min: { error_below: 2013-01-01, error_above: 5 } }", "`5` is no time"),
        ("time_hour: { max: { error_below: 2014-01-01, error_above: 2013-01-01 } }", "no value is within"),
        ("time_hour: { mean: { error_below: 2013-01-01 } }", "expected a number"),
    ] {
        let said = of(levels).expect_err(levels);
        assert!(said.contains(part), "{levels}: {said}");
    }
}

#[test]
fn every_mistake_is_shown_at_its_place() {
    insta::assert_snapshot!(
        "accept_mistakes",
        said(
            "  invalid: { warn_below: 1%, error_above: 5% }
  rows: { min: 2, error_below: 1 }
  volume: { of_last: 2 }
  columns:
    carier: { nulls: { error_above: 5% } }
    carrier: { mean: { error_above: 5 }, nulls: { error_above: 5 } }
    dep_delay: { percentiles: { 100: { error_above: 5 } }, medain: {}, min: { error_below: 9, error_above: 1 } }
  by: { column: carrier, size: 1 day }
  distribution: { dep_delay: { reference: { column: time_huor, size: 0s } } }
  freshness: { column: carrier, warn_after: 2 days, error_after: 1 day }
  totals: { error_above: 0 }"
        )
    );
}

#[test]
fn a_history_is_one_of_whole_columns_and_of_enough_commits() {
    insta::assert_snapshot!(
        "accept_history_mistakes",
        said(
            "  columns: { dep_delay: { sum: { of_last: 2, error_below: 50% }, mean: { of_last: 5, error_below: -1 } } }
  by: { column: time_hour, size: 1 day, rows: { of_last: 5, error_below: 50% } }
  distribution: { dep_delay: { ks: { of_last: 5, error_above: 10% } } }"
        )
    );
}

#[test]
fn columns_that_are_counted_together_are_two_to_sixteen_others() {
    for (distinct, part) in [
        ("{ columns: [carrier], error_below: 1 }", "different values of 1 columns"),
        ("{ columns: [carrier, carrier], error_below: 1 }", "`carrier` is named twice"),
        ("{ columns: [carrier, fligth], error_below: 1 }", "fligth"),
        ("{ columns: [carrier, flight] }", "there is no level in it"),
        ("{ error_below: 1 }", "`columns`"),
        ("[ { columns: [carrier, flight], error_below: -1 } ]", "-1"),
        ("[]", ""),
    ] {
        let said = said(&format!("  distinct: {distinct}"));
        assert!(said.contains(part) && said.is_empty() == part.is_empty(), "{distinct}: {said}");
    }
}

#[test]
fn control_files_are_no_landing_objects() {
    let of = |source: &str| {
        let bronze = format!("source: {source}\naccept: {{ totals: {{ error_above: 0 }} }}\n");
        let dir = folder(&[PROJECT, ("landing/keep", ""), ("datasets/bronze/a.yaml", &bronze)]);
        load(dir.path(), &Environment::default()).map_or_else(|d| d.to_string(), |_| String::new())
    };
    for source in ["{ files: landing/, glob: \"*.csv\" }", "{ files: landing/ }", "{ files: landing/, glob: \"a-*\" }"]
    {
        assert_eq!(of(source), "", "{source}");
    }
    assert!(of("{ files: landing/, glob: \"*.ctl\" }").contains("`glob` takes control files alone"));
    assert!(of("{ http: { types: [a.b] } }").contains("`totals` compares files"));
}
