//! `alluvium check`.

use crate::harness::Project;

#[test]
fn a_project_without_mistakes_is_counted() {
    let ran = Project::shop().done(&["check"]);
    assert_eq!(ran.stdout, "ok: 5 datasets, 2 contracts\n");
    assert_eq!(ran.stderr, "");
}

#[test]
fn all_mistakes_come_at_once_with_their_place() {
    let p = Project::shop();
    p.edit("datasets/silver/orders.yaml", "trim", "trmi");
    p.edit("datasets/silver/customers.yaml", "bronze.customers", "bronze.custmers");
    let ran = p.alluvium(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
    ran.said("--> datasets/silver/orders.yaml:4:18");
    ran.said("did you mean `trim`?");
    ran.said("--> datasets/silver/customers.yaml:1:7");
    ran.said("did you mean `bronze.customers`?");
    ran.said("^^^^");
    ran.said("2 mistakes");
    let json = p.json(&["check"]);
    assert_eq!(json["ok"], false);
    assert_eq!(json["diagnostics"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["diagnostics"][1]["line"], 4);
    assert_eq!(p.alluvium(&["check", "--format", "json"]).code, Some(2));
}

#[test]
fn expressions_are_typed_against_the_contracts() {
    let p = Project::shop();
    p.edit("datasets/gold/daily.sql", "sum(amount)", "sum(amuont)");
    let ran = p.alluvium(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("--> datasets/gold/daily.sql:4:");
    ran.said("amuont");
    assert_eq!(p.alluvium(&["run"]).code, Some(2), "nothing runs with a mistake in it");
    assert!(!p.path(".alluvium").exists());
}

/// File, code and line of each mistake and warning.
#[track_caller]
fn found(p: &Project) -> Vec<(String, String, u64)> {
    let json = p.json(&["check"]);
    let one = |d: &serde_json::Value| {
        let text = |field: &str| d[field].as_str().expect("a text").to_owned();
        (text("file"), text("code"), d["line"].as_u64().expect("a line"))
    };
    json["diagnostics"].as_array().expect("diagnostics").iter().map(one).collect()
}

fn at(file: &str, code: &str, line: u64) -> (String, String, u64) {
    (file.to_owned(), code.to_owned(), line)
}

#[test]
fn mistakes_of_files_and_of_their_sql_come_together() {
    let p = Project::shop();
    p.edit("alluvium.yaml", "name: shop", "name: shop\nlimts: {}");
    p.edit("datasets/silver/customers.yaml", "validate", "validat");
    p.edit("datasets/gold/daily.sql", "sum(amount)", "sum(amuont)");
    p.put("datasets/gold/names.sql", b"SELECT nmae FROM silver.customers\n");
    // Its columns are not known while the query of the other one is wrong: that is no second mistake.
    p.put("datasets/gold/follows.sql", b"SELECT anything FROM gold.daily\n");
    let all = [
        at("alluvium.yaml", "E0007", 2),
        at("datasets/gold/daily.sql", "L0103", 4),
        at("datasets/gold/names.sql", "L0103", 1),
        at("datasets/silver/customers.yaml", "E0010", 3),
    ];
    let mut seen = found(&p);
    seen.dedup_by_key(|d| d.0.clone());
    assert_eq!(seen, all);
    for command in ["check", "run"] {
        let ran = p.alluvium(&[command]);
        assert_eq!(ran.code, Some(2), "{ran}");
        for (file, ..) in &all {
            ran.said(&format!("--> {file}:"));
        }
        assert!(!ran.stderr.contains("follows"), "{ran}");
    }
}

#[test]
fn what_rests_on_a_wrong_contract_is_not_wrong_for_that() {
    let p = Project::shop();
    p.edit("contracts/orders.odcs.yaml", "name: amount", "name: amuont");
    p.edit("contracts/orders.odcs.yaml", "status: active", "status: active\nstatsu: active");
    assert_eq!(found(&p), [at("contracts/orders.odcs.yaml", "E0007", 7)]);
    p.edit("contracts/orders.odcs.yaml", "statsu: active\n", "");
    assert_eq!(found(&p), [at("datasets/gold/daily.sql", "L0103", 4)]);
}

#[test]
fn a_folder_that_is_no_project_is_said() {
    let empty = Project::new(&[("sub/note.txt", "")]);
    let commands: [&[&str]; 6] = [
        &["check"],
        &["run"],
        &["show", "runs"],
        &["show", "quarantine"],
        &["query", "SELECT 1"],
        &["replay", "quarantine", "silver.orders"],
    ];
    let no_project = ["has no alluvium.yaml", "--> sub/alluvium.yaml", "alluvium init"];
    let nowhere = ["there is no folder `./nowhere`", "--> ./nowhere", "check the path"];
    let a_file = ["`./sub/note.txt` is a file", "--> ./sub/note.txt", "check the path"];
    for command in commands {
        for (dir, said) in [("./sub", no_project), ("./nowhere", nowhere), ("./sub/note.txt", a_file)] {
            let ran = empty.alluvium(&[command, &[dir]].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{command:?}\n{ran}");
            ran.said("error[E0001]");
            said.iter().for_each(|text| ran.said(text));
        }
    }
    assert_eq!(std::fs::read_dir(empty.root()).expect("a folder").count(), 1, "nothing was made");
    let ran = Project::shop().alluvium(&["run", "datasets"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    ran.said("did you mean the project above it");
}
