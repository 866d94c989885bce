//! Contracts as they are written: each change is named, with the direction that it breaks and the way out.

use super::{mend::mended, shown};
use alluvium_spec::{Mode, Shape, compare, read_contract};

fn read(properties: &str) -> Shape {
    document(&format!("  - name: t\n    properties:\n{properties}"))
}

fn document(schema: &str) -> Shape {
    let head = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n";
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.odcs.yaml");
    std::fs::write(&path, format!("{head}{schema}")).expect("a file");
    read_contract(&path).map(|c| c.shape).expect("a contract")
}

fn diff(old: &str, new: &str) -> Vec<String> {
    shown(&compare(&read(old), &read(new)))
}

#[test]
fn fields_follow_the_table_of_the_registry() {
    let one = "      - { name: a, logicalType: integer }\n";
    let optional = format!("{one}      - {{ name: b, logicalType: string }}\n");
    let required = format!("{one}      - {{ name: b, logicalType: string, required: true }}\n");
    assert_eq!(diff(one, &optional), ["t.b field added: - -> optional string, breaks nothing"]);
    assert_eq!(diff(&optional, one), ["t.b field removed: optional string -> -, breaks nothing"]);
    assert_eq!(diff(one, &required), ["t.b field added: - -> required string, breaks backward"]);
    assert_eq!(diff(&required, one), ["t.b field removed: required string -> -, breaks forward"]);
    assert_eq!(diff(&optional, &required), ["t.b required: - -> true, breaks backward"]);
    assert_eq!(diff(&required, &optional), ["t.b required: true -> -, breaks forward"]);
}

#[test]
fn renames_are_told_by_id_or_by_case() {
    let old = "      - { name: a, id: x, logicalType: integer, required: true }\n      - { name: Carrier, logicalType: string }\n";
    let new = "      - { name: b, id: x, logicalType: integer }\n      - { name: carrier, logicalType: string }\n";
    assert_eq!(
        diff(old, new),
        ["t.b field renamed: a -> b, breaks forward", "t.carrier field renamed: Carrier -> carrier, breaks nothing"]
    );
}

#[test]
fn types_widen_as_far_as_their_texts_are_read() {
    let of = |kind: &str| format!("      - {{ name: a, {kind} }}\n");
    let int = "logicalType: integer, physicalType: int";
    let decimal = |p: u8, s: u8| format!("logicalType: number, physicalType: 'decimal({p}, {s})'");
    for (old, new, breaks) in [
        (int, "logicalType: integer", "forward"),
        ("logicalType: integer", "logicalType: number", "forward"),
        ("logicalType: integer", &decimal(19, 0), "forward"),
        ("logicalType: integer", &decimal(20, 2), "both"),
        (int, &decimal(12, 2), "forward"),
        (&decimal(10, 2), &decimal(12, 3), "forward"),
        (&decimal(10, 2), &decimal(12, 1), "both"),
        ("logicalType: date", "logicalType: timestamp", "forward"),
        ("logicalType: string", "logicalType: date", "both"),
        ("logicalType: integer", "logicalType: string", "both"),
        ("logicalType: boolean", "logicalType: integer", "both"),
        ("logicalType: object", "logicalType: array", "both"),
    ] {
        let found = diff(&of(old), &of(new));
        assert_eq!(found.len(), 1, "{old} {new}: {found:?}");
        assert!(found[0].ends_with(&format!("breaks {breaks}")), "{old} {new}: {found:?}");
    }
    // A narrow range fits a narrow type.
    let ranged = "logicalType: integer, logicalTypeOptions: { minimum: 0, maximum: 9 }";
    let narrow = format!("{int}, logicalTypeOptions: {{ minimum: 0, maximum: 9 }}");
    assert_eq!(diff(&of(ranged), &of(&narrow)), ["t.a type: integer -> integer (int), breaks nothing"]);
}

#[test]
fn limits_are_told_one_by_one() {
    let of = |options: &str| format!("      - {{ name: a, logicalType: integer, logicalTypeOptions: {options} }}\n");
    assert_eq!(
        diff(&of("{ minimum: 0, maximum: 9 }"), &of("{ exclusiveMinimum: 4, maximum: 20 }")),
        ["t.a minimum: 0 -> above 4, breaks backward", "t.a maximum: 9 -> 20, breaks forward"]
    );
    assert_eq!(
        diff(&of("{ exclusiveMinimum: 4 }"), &of("{ minimum: 5 }")),
        ["t.a minimum: above 4 -> 5, breaks nothing"]
    );
    assert_eq!(diff(&of("{ multipleOf: 4 }"), &of("{ multipleOf: 2 }")), ["t.a multipleOf: 4 -> 2, breaks forward"]);
    let of = |rest: &str| format!("      - {{ name: a, logicalType: string, {rest} }}\n");
    let values = |list: &str| {
        of(&format!("quality: [{{ metric: invalidValues, arguments: {{ validValues: [{list}] }}, mustBe: 0 }}]"))
    };
    assert_eq!(diff(&values("A, B"), &values("B, C")), ["t.a validValues: [A, B] -> [B, C], breaks both"]);
    assert_eq!(diff(&values("A, B"), &values("A")), ["t.a validValues: [A, B] -> [A], breaks backward"]);
    let pattern = of("logicalTypeOptions: { pattern: '[A-Z]+' }");
    assert_eq!(
        diff(&values("A, B"), &pattern),
        ["t.a pattern: - -> [A-Z]+, breaks nothing", "t.a validValues: [A, B] -> -, breaks forward"]
    );
    assert_eq!(diff(&values("A, b"), &pattern)[0], "t.a pattern: - -> [A-Z]+, breaks backward");
}

#[test]
fn nested_fields_and_arrays_have_paths() {
    let of = |street: &str, tag: &str| {
        format!(
            "      - name: address\n        logicalType: object\n        properties:\n          - {{ name: street, logicalType: string, {street} }}\n      \
             - name: tags\n        logicalType: array\n        logicalTypeOptions: {{ maxItems: 3 }}\n        items:\n          logicalType: object\n          properties:\n            - {{ name: key, {tag} }}\n"
        )
    };
    let old = of("required: false", "logicalType: string");
    let new = of("required: true", "logicalType: integer").replace("maxItems: 3", "maxItems: 2");
    assert_eq!(
        diff(&old, &new),
        [
            "t.address.street required: - -> true, breaks backward",
            "t.tags maxItems: 3 -> 2, breaks backward",
            "t.tags[].key type: string -> integer, breaks both"
        ]
    );
}

#[test]
fn a_rule_that_warns_breaks_nobody() {
    let of = |action: &str| {
        format!(
            "      - name: a\n        logicalType: integer\n        quality:\n          - {{ metric: nullValues, mustBe: 0, customProperties: [{{ property: action, value: {action} }}] }}\n"
        )
    };
    let none = "      - { name: a, logicalType: integer }\n";
    assert_eq!(diff(none, &of("warn")), Vec::<String>::new());
    assert_eq!(diff(none, &of("drop")), ["t.a required: - -> true, breaks backward"]);
    assert_eq!(diff(&of("warn"), &of("fail")), ["t.a required: - -> true, breaks backward"]);
}

#[test]
fn keys_and_rules_over_tables_are_told() {
    let of = |keys: &[&str], more: &str| {
        let field = |n| {
            format!(
                "      - {{ name: {n}, logicalType: integer, required: true, primaryKey: {} }}\n",
                keys.contains(&n)
            )
        };
        document(&format!("  - name: t\n    properties:\n{}{}{}{more}", field("a"), field("b"), field("c")))
    };
    let found = shown(&compare(&of(&["a"], ""), &of(&["a", "b"], "")));
    assert_eq!(
        found,
        ["t rule added: - -> unique a, b, breaks nothing", "t.a rule removed: unique a -> -, breaks forward"]
    );
    let rule = |sql: &str| {
        of(&[], &format!("    quality:\n      - {{ type: custom, engine: alluvium, implementation: '{sql}' }}\n"))
    };
    assert_eq!(shown(&compare(&rule("a <  b"), &rule("a < b"))), Vec::<String>::new());
    assert_eq!(
        shown(&compare(&rule("a < b"), &rule("a < c"))),
        [
            "t rule added: - -> expression a < c, breaks backward",
            "t rule removed: expression a < b -> -, breaks forward"
        ]
    );
    let few = |share: u8| {
        read(&format!(
            "      - name: a\n        logicalType: integer\n        quality:\n          - {{ metric: nullValues, mustBeLessThan: {share}, unit: percent }}\n"
        ))
    };
    assert!(compare(&few(5), &few(5)).changes.is_empty());
    assert_eq!(compare(&few(5), &few(9)).changes.len(), 2);
}

#[test]
fn objects_of_one_name_belong_together() {
    let of = |names: &[&str]| {
        let one = |n: &&str| format!("  - name: {n}\n    properties:\n      - {{ name: a, logicalType: integer }}\n");
        document(&names.iter().map(one).collect::<String>())
    };
    assert_eq!(
        shown(&compare(&of(&["x", "y"]), &of(&["y", "z"]))),
        ["x object removed: - -> -, breaks forward", "z object added: - -> -, breaks nothing"]
    );
    assert_eq!(shown(&compare(&of(&["x"]), &of(&["y"]))), Vec::<String>::new());
}

#[test]
fn a_change_that_breaks_says_the_way_out() {
    let old = read("      - { name: a, logicalType: integer, logicalTypeOptions: { minimum: 0 } }\n");
    let new = read(
        "      - { name: a, logicalType: integer, logicalTypeOptions: { minimum: 5 } }\n      - { name: b, logicalType: string, required: true }\n",
    );
    let found = compare(&old, &new);
    let fixes: Vec<String> = found.breaking(Mode::Backward).filter_map(|c| found.fix(c, Mode::Backward)).collect();
    assert_eq!(fixes, ["keep `minimum` 0", "leave out `required`: optional fields can be added"]);
    assert!(found.is_compatible(Mode::Forward) && found.changes.iter().all(|c| found.fix(c, Mode::Forward).is_none()));
    let mended = mended(&old, &new, Mode::Backward);
    assert_eq!(mended.objects[0].fields.len(), 2);
    assert!(compare(&old, &mended).is_compatible(Mode::Backward));
}

#[test]
fn the_mode_is_part_of_the_contract() {
    let with = |value: &str| {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.odcs.yaml");
        let text = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\ncustomProperties:\n  - {{ property: alluvium.compatibility, value: {value} }}\n"
        );
        std::fs::write(&path, text).expect("a file");
        read_contract(&path)
    };
    assert_eq!(with("FULL_TRANSITIVE").expect("a contract").shape.mode, Some(Mode::FullTransitive));
    let found = with("FULLY").expect_err("a mistake");
    assert_eq!(found.0[0].code, "E0010");
    assert!(found.to_string().contains("did you mean `FULL`?"), "{found}");
}
