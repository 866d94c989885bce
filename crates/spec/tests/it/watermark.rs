//! Watermarks and freshness: what can be written, and what is wrong with what cannot.

use crate::{flights, folder, write};
use alluvium_spec::{Environment, Late, Watermark, load};

#[test]
fn a_watermark_is_read_with_its_defaults() {
    let dir = flights();
    let of = |yaml: &str| {
        let silver = format!("from: bronze.flights\ncontract: flights\nwatermark: {yaml}\n");
        write(dir.path(), "datasets/silver/flights.yaml", silver.as_bytes());
        let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
        project.datasets[&"silver.flights".parse().expect("a name")].silver().expect("silver").watermark.clone()
    };
    let column = "time_hour".to_owned();
    let least = Watermark {
        column: column.clone(),
        allowed_lateness: "0s".parse().expect("a span"),
        late: Late::Recompute,
        idle_timeout: None,
    };
    assert_eq!(of("{ column: time_hour }"), Some(least));
    let full =
        Watermark { column, allowed_lateness: "2 days".parse().expect("a span"), late: Late::Drop, idle_timeout: None };
    assert_eq!(of("{ column: time_hour, allowed_lateness: 2 days, late: drop }"), Some(full.clone()));
    let idle = Watermark { idle_timeout: "1 hour".parse().ok(), late: Late::Recompute, ..full };
    assert_eq!(of("{ column: time_hour, lateness: 2 days, idle_timeout: 1 hour }"), Some(idle));
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let dir = flights();
    let put = |path: &str, text: &str| write(dir.path(), path, text.as_bytes());
    put("datasets/bronze/flights.yaml", "source: { files: landing/, settle: 5m }\nfreshness: 5 minutes\n");
    put(
        "datasets/bronze/planes.yaml",
        "source: { files: landing/, schedule: { cron: \"0 6 * * *\" } }\nfreshness: 1 hour\n",
    );
    put("datasets/bronze/airlines.yaml", "source: { files: landing/ }\nfreshness: soon\nwatermark: { column: day }\n");
    put(
        "datasets/silver/flights.yaml",
        "from: bronze.flights\ncontract: flights\nwatermark: { column: time_huor, allowed_lateness: -1 day, late: quarantin }\n",
    );
    put(
        "datasets/silver/planes.yaml",
        "from: bronze.planes\ncontract: planes\nwatermark: { lateness: 1 day, allowed_lateness: 2 days, idle_timeout: 0s }\nlate: drop\n",
    );
    put(
        "datasets/silver/airlines.yaml",
        "from: bronze.airlines\ncontract: airlines\nwatermark: { column: name }\ncluster_by: [nmae]\n",
    );
    put("datasets/silver/airports.yaml", "from: bronze.airports\ncontract: airports\nwatermark: { column: nmae }\n");
    put("datasets/gold/carriers.sql", "/* watermark: { column: day } */ SELECT carrier FROM silver.airlines\n");
    let said = load(dir.path(), &Environment::default()).expect_err("mistakes");
    insta::assert_snapshot!("watermark_mistakes", said.to_string());
}

#[test]
fn pushed_events_can_be_collected_too() {
    let dir = folder(&[
        ("alluvium.yaml", "name: x\n"),
        ("datasets/bronze/orders.yaml", "source: { http: { types: [a.b] } }\nfreshness: 30s\n"),
    ]);
    let project = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
    let dataset = &project.datasets[&"bronze.orders".parse().expect("a name")];
    assert_eq!(dataset.freshness().map(|f| f.to_string()), Some("30s".to_owned()));
}
