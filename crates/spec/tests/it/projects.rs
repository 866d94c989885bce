//! A whole project is read as it is meant.

use crate::{fixture, flights};
use alluvium_model::{StatePlace, Tls};
use alluvium_spec::{Check, Environment, Kind, Project, Write, load};

fn project() -> Project {
    load(&fixture("flights"), &Environment::default()).unwrap_or_else(|d| panic!("{d}"))
}

fn state_file(p: &Project) -> &std::path::Path {
    match &p.state {
        StatePlace::File(path) => path,
        StatePlace::Postgres(url) => panic!("{url}"),
    }
}

#[test]
fn a_project_without_mistakes_loads() {
    let p = project();
    assert_eq!(p.name, "flights");
    assert!(p.lake.ends_with("lake/dev") && p.lake.is_absolute());
    assert!(state_file(&p).ends_with(".alluvium/dev.db"));
    assert_eq!(p.limits.record.0, 1 << 20);
    let order: Vec<String> = p.order.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(order.join(" "), @"bronze.airlines bronze.airports bronze.flights bronze.planes silver.airlines silver.airports silver.planes silver.flights gold.daily_delays gold.carriers");
}

#[test]
fn environments_and_the_command_line_move_lake_and_state() {
    let mut e = Environment { name: "prod".to_owned(), ..Environment::default() };
    let p = load(&fixture("flights"), &e).unwrap_or_else(|d| panic!("{d}"));
    assert!(p.lake.ends_with("lake-prod/prod"));
    assert!(state_file(&p).ends_with(".alluvium/prod.db"));
    e.lake = Some("/elsewhere".to_owned());
    e.state = Some("/elsewhere/s.db".to_owned());
    let p = load(&fixture("flights"), &e).unwrap_or_else(|d| panic!("{d}"));
    assert_eq!((p.lake.to_str(), state_file(&p).to_str()), (Some("/elsewhere/prod"), Some("/elsewhere/s.db")));
    for bad in ["prd", "../x", ""] {
        let said = load(&fixture("flights"), &Environment { name: bad.to_owned(), ..Environment::default() });
        assert!(said.expect_err("unknown").0.iter().any(|d| d.code == "E0015"), "{bad}");
    }
}

#[test]
fn the_lake_may_be_in_an_object_store_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = |line: &str, environment: &Environment| {
        std::fs::write(folder.path().join("alluvium.yaml"), format!("name: p\n{line}\n")).expect("written");
        load(folder.path(), environment)
    };
    let said = |line: &str| asked(line, &Environment::default());
    let p = said("lake: s3://bucket/lakes/p\nlimits: { cache: 1GiB }").unwrap_or_else(|d| panic!("{d}"));
    assert_eq!(p.remote.expect("an object store").to_string(), "s3://bucket/lakes/p/dev");
    assert!(p.lake.ends_with(".alluvium/copies/s3/bucket/lakes/p/dev"), "{}", p.lake.display());
    assert_eq!(p.limits.cache.0, 1 << 30);
    let own = Environment { lake: Some("gs://other".to_owned()), ..Environment::default() };
    let p = asked("lake: lake", &own).unwrap_or_else(|d| panic!("{d}"));
    assert_eq!(p.remote.expect("an object store").to_string(), "gs://other/dev");
    assert!(said("lake: lake").unwrap_or_else(|d| panic!("{d}")).remote.is_none());
    for (line, word) in [
        ("lake: sg://bucket/p", "did you mean `gs`?"),
        ("lake: s3://bucket:9000/p", "AWS_ENDPOINT_URL"),
        ("lake: s3://bucket/../p", "a prefix is made of names"),
        ("environments: { dev: { lake: 's3://key:se@cret@bucket/p' } }", "AWS_ACCESS_KEY_ID"),
    ] {
        let shown = said(line).expect_err(line);
        assert!(shown.0.iter().all(|d| d.code == "E0009") && shown.to_string().contains(word), "{shown}");
        assert!(!shown.to_string().contains("cret"), "{shown}");
    }
}

#[test]
fn files_may_arrive_in_a_bucket() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("datasets/bronze")).expect("created");
    let said = |source: &str| {
        std::fs::write(folder.path().join("alluvium.yaml"), "name: p\nlake: s3://bucket/lakes/p\n").expect("written");
        std::fs::write(folder.path().join("datasets/bronze/a.yaml"), format!("source: {{ {source} }}\n"))
            .expect("written");
        load(folder.path(), &Environment::default())
    };
    for (source, url, bucket, account, prefix) in [
        ("files: s3://bucket/orders/", "s3://bucket/orders", "bucket", None, "orders/"),
        ("files: gs://bucket, glob: '**/*.csv'", "gs://bucket", "bucket", None, ""),
        (
            "files: 'abfss://in@acc.dfs.core.windows.net/a/b'",
            "abfss://in@acc.dfs.core.windows.net/a/b",
            "in",
            Some("acc"),
            "a/b/",
        ),
    ] {
        let p = said(source).unwrap_or_else(|d| panic!("{d}"));
        let dataset = p.datasets.values().next().expect("a dataset");
        let remote = dataset.bronze().and_then(|b| b.files.remote.as_ref());
        assert_eq!(remote.map(ToString::to_string).as_deref(), Some(url));
        assert_eq!(dataset.folder(), None);
        let notified = dataset.notified().expect("its own bucket's");
        assert_eq!((&*notified.bucket, notified.account.as_deref(), &*notified.prefix), (bucket, account, prefix));
    }
    for (source, word) in [
        ("files: s3://bucket/orders/*.csv", "glob: \"*.csv\""),
        ("files: ftp://bucket/orders", "no object store"),
        ("files: s3://bucket/../orders", "a prefix is made of names"),
        ("files: 's3://key:se@cret*@bucket/a'", "AWS_ACCESS_KEY_ID"),
        ("files: s3://bucket/lakes/p/dev/bronze", "lie inside each other"),
        ("files: s3://bucket/in, notified_by: { bucket: bucket }", "names the bucket already"),
    ] {
        let shown = said(source).expect_err(source).to_string();
        assert!(shown.contains(word), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }
}

#[test]
fn the_state_may_be_a_database_and_its_password_is_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |line: &str| {
        std::fs::write(folder.path().join("alluvium.yaml"), format!("name: p\n{line}\n")).expect("written");
        load(folder.path(), &Environment::default())
    };
    let url = "state: \"postgres://me:${ALLUVIUM_PW}@db/state?schema={env}&sslmode=disable\"";
    match said(url).unwrap_or_else(|d| panic!("{d}")).state {
        StatePlace::Postgres(url) => {
            assert_eq!((&*url.schema, url.password.as_deref(), url.tls), ("dev", Some("ALLUVIUM_PW"), Tls::Off));
        }
        StatePlace::File(path) => panic!("{}", path.display()),
    }
    for (line, code, word) in [
        ("state: postgres://me@db/state", "E0109", "one schema"),
        ("state: \"postgres://me:hunter2@db/state?schema={env}\"", "E0009", "not written into a file"),
        ("state: \"postgres://me:hunter2@db?schema={env}\"", "E0009", "is `postgres://"),
        ("state: \"postgres://me:${HOME}@db/state?schema={env}\"", "E0009", "start with ALLUVIUM_"),
        ("state: \"mysql://db/{env}\"", "E0011", "not available"),
    ] {
        let found = said(line).expect_err(line);
        let shown = format!("{found} {found:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(found.0.iter().any(|d| d.code == code && d.message.contains(word)), "{line}: {shown}");
    }
}

#[test]
fn silver_and_gold_are_read_as_written() {
    let p = project();
    let flights = &p.datasets[&"silver.flights".parse().expect("a name")];
    let silver = flights.silver().expect("silver");
    insta::assert_json_snapshot!("silver_flights_steps", silver.steps);
    assert!(
        matches!(&silver.write, Write::Upsert { keys, sequence_by, .. } if keys.len() == 6 && sequence_by == &["time_hour"])
    );
    assert_eq!(flights.accept.invalid.error_above, Some(0.05));
    let gold = &p.datasets[&"gold.daily_delays".parse().expect("a name")];
    let Kind::Gold(g) = &gold.kind else { panic!("gold") };
    assert_eq!(g.sql_line, 5);
    assert!(g.sql.ends_with("GROUP BY 1, 2"));
    let names: Vec<String> = gold.consumes().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["silver.airports", "silver.flights"]);
    let looked: Vec<String> = p.lookups_of(flights).iter().map(ToString::to_string).collect();
    assert_eq!(looked, ["silver.airlines", "silver.airports", "silver.planes"]);
}

#[test]
fn a_history_tracks_what_it_is_told_in_the_contracts_order() {
    let tracked = |written: &str| {
        let dir = crate::flights();
        let path = dir.path().join("datasets/silver/flights.yaml");
        let text = std::fs::read_to_string(&path).expect("text").replace("stored_as: scd1", written);
        std::fs::write(&path, text).expect("written");
        let p = load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
        let flights = &p.datasets[&"silver.flights".parse().expect("a name")];
        let contract = p.contract_of(flights).expect("a contract");
        flights.silver().expect("silver").write.tracked(contract)
    };
    assert!(tracked("stored_as: scd1").is_empty());
    let all = tracked("stored_as: scd2");
    assert!(all.contains(&"dest".to_owned()) && !all.contains(&"time_hour".to_owned()), "{all:?}");
    assert!(!all.contains(&"carrier".to_owned()), "a key: {all:?}");
    assert_eq!(tracked("stored_as: scd2, track_history_on: [time_hour, dest]"), ["dest", "time_hour"]);
    let but = tracked("stored_as: scd2, track_history_on: { except: [dest] }");
    assert_eq!(but, all.iter().filter(|c| *c != "dest").cloned().collect::<Vec<_>>());
}

#[test]
fn bronze_expects_what_its_silver_needs_under_the_sources_names() {
    let p = project();
    let Kind::Bronze(b) = &p.datasets[&"bronze.flights".parse().expect("a name")].kind else { panic!("bronze") };
    insta::assert_snapshot!(b.expected.join(" "), @"year month day carrier flight origin dest tail dep_delay time_hour extra legs minute");
}

#[test]
fn a_contract_with_every_part_compiles() {
    let p = project();
    let c = &p.contracts["flights"];
    assert_eq!(c.primary_key, ["year", "month", "day", "carrier", "flight", "origin"]);
    let rules: Vec<String> = c
        .rules
        .iter()
        .map(|r| {
            let check = serde_json::to_string(&r.check).expect("json");
            let threshold = r.threshold.map(|t| format!(" {t:?}")).unwrap_or_default();
            format!(
                "{:>3} {} [{}] {:?}/{:?} {check}{threshold}",
                r.line,
                r.id,
                r.columns.join(","),
                r.action,
                r.severity
            )
        })
        .collect();
    insta::assert_snapshot!("flights_rules", rules.join("\n"));
    let airports: Vec<&str> = p.contracts["airports"].rules.iter().map(|r| r.id.as_str()).collect();
    insta::assert_snapshot!(airports.join(" "), @"type:faa required:faa length:faa unique:faa type:lat type:name required:name valid_values:name");
    insta::assert_snapshot!("flights_notes", p.notes.to_string());
    assert!(c.rules.iter().any(|r| matches!(&r.check, Check::Query { inputs, .. } if inputs.len() == 1)));
}

#[test]
fn a_landing_folder_outside_is_read_only_where_it_is_allowed() {
    let dir = flights();
    let outside = tempfile::tempdir().expect("a folder");
    let shown = outside.path().canonicalize().expect("canonical");
    let source = format!("source: {{ files: {}/drops }}\n", shown.display());
    crate::write(dir.path(), "datasets/bronze/flights.yaml", source.as_bytes());
    let said = load(dir.path(), &Environment::default()).expect_err("outside");
    assert_eq!(said.0.iter().filter(|d| d.code == "E0013").count(), 1, "{said}");
    let settings = format!("name: flights\nallow_paths: [{}]\n", shown.display());
    crate::write(dir.path(), "alluvium.yaml", settings.as_bytes());
    load(dir.path(), &Environment::default()).unwrap_or_else(|d| panic!("{d}"));
}

#[test]
fn every_example_of_the_repository_loads() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for entry in std::fs::read_dir(examples).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.join("alluvium.yaml").exists() {
            load(&path, &Environment::default()).unwrap_or_else(|d| panic!("{}\n{d}", path.display()));
        }
    }
}
