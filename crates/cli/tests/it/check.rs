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

#[test]
fn a_folder_that_is_no_project_is_said() {
    let p = Project::new(&[]);
    for args in [&["check"][..], &["check", "nowhere"], &["run"], &["show", "runs"], &["query", "SELECT 1"]] {
        let ran = p.alluvium(args);
        assert_eq!(ran.code, Some(2), "{ran}");
        ran.said("error[E0001]");
    }
}
