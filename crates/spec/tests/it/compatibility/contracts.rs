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

/// Where no type is said inside of a column any value is taken, a number of a text's form, too.
#[test]
fn a_type_inside_is_a_promise() {
    let of = |zip: &str| format!("      - {{ name: o, logicalType: object, properties: [{{ name: zip{zip} }}] }}\n");
    let enums = ", enum: [{ value: a }, { value: b }]";
    for (new, told) in [
        (", logicalType: string", "string, breaks backward"),
        (", logicalType: integer", "integer, breaks backward"),
        (", logicalType: object", "object, breaks backward"),
        (", logicalType: array, items: { logicalType: string }", "array, breaks backward"),
        (", physicalType: bigint", "integer, breaks backward"),
    ] {
        assert_eq!(diff(&of(""), &of(new)), [format!("t.o.zip type: any -> {told}")], "{new}");
    }
    for same in [", physicalType: varchar", ", physicalType: jsonb"] {
        assert_eq!(diff(&of(""), &of(same)), Vec::<String>::new(), "{same}");
    }
    assert_eq!(diff(&of(""), &of(enums)), ["t.o.zip validValues: - -> [a, b], breaks backward"]);
    let typed = format!(", logicalType: string{enums}");
    assert_eq!(diff(&of(enums), &of(&typed)), ["t.o.zip type: any -> string, breaks backward"]);
    assert_eq!(diff(&of(", required: true"), &of("")), ["t.o.zip required: true -> -, breaks forward"]);
    let found = compare(&read(&of("")), &read(&of(", logicalType: string")));
    let fix = found.fix(&found.changes[0], Mode::Backward);
    assert_eq!(fix.as_deref(), Some("leave out the type: any value could be there before"));
    // A column is text where nothing is said.
    assert_eq!(diff("      - { name: a }\n", "      - { name: a, logicalType: string }\n"), Vec::<String>::new());
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
    assert_eq!(
        shown(&compare(&few(5), &few(9))),
        [
            "t.a rule changed: rule \"required\" mustBeLessThan 5 percent -> rule \"required\" mustBeLessThan 9 percent, breaks forward"
        ]
    );
}

/// The rules of fields that an object names as required act as the object says.
#[test]
fn an_object_that_warns_requires_nothing() {
    let of = |action: &str, required: bool| {
        format!(
            "      - name: o\n        logicalType: object\n        customProperties: [{{ property: alluvium.action, value: {action} }}]\n        \
             logicalTypeOptions: {{ required: [zip] }}\n        properties:\n          \
             - {{ name: zip, logicalType: string, required: {required}, customProperties: [{{ property: action, value: drop }}] }}\n"
        )
    };
    assert_eq!(diff(&of("warn", false), &of("warn", true)), ["t.o.zip required: - -> true, breaks backward"]);
    assert_eq!(diff(&of("warn", false), &of("drop", false)), ["t.o.zip required: - -> true, breaks backward"]);
    assert_eq!(diff(&of("drop", false), &of("drop", true)), Vec::<String>::new());
}

#[test]
fn a_required_field_that_is_not_declared_is_a_rule() {
    let of = |required: &str, action: &str| {
        let options = format!("logicalTypeOptions: {{ required: [{required}] }}");
        format!(
            "      - name: o\n        logicalType: object\n        customProperties: [{{ property: alluvium.action, value: {action} }}]\n        \
             {options}\n      - name: list\n        logicalType: array\n        items: {{ logicalType: object, {options}, properties: [{{ name: a, logicalType: string }}] }}\n"
        )
    };
    assert_eq!(
        diff(&of("a", "drop"), &of("a, z, z", "drop")),
        [
            "t.list rule added: - -> required list[].z, breaks backward",
            "t.o rule added: - -> required o.z, breaks backward"
        ]
    );
    assert_eq!(diff(&of("z", "drop"), &of("z", "warn")), ["t.o rule removed: required o.z -> -, breaks forward"]);
    assert_eq!(diff(&of("z", "drop"), &of("z", "quarantine")), Vec::<String>::new());
    // So it is where nothing but a physical type says that an object stands there.
    let jsonb = |required: &str| {
        format!(
            "      - name: o\n        logicalType: object\n        properties:\n          \
             - {{ name: x, physicalType: jsonb, logicalTypeOptions: {{ required: [{required}] }} }}\n"
        )
    };
    assert_eq!(diff(&jsonb(""), &jsonb("z")), ["t.o rule added: - -> required o.x.z, breaks backward"]);
}

/// How the change of one rule of a column is told: `changed`, `added` or `removed`, and what it breaks.
fn told(old: &str, new: &str) -> Vec<String> {
    let of =
        |rules: &str| read(&format!("      - name: a\n        logicalType: integer\n        quality: [{rules}]\n"));
    let short = |line: String| {
        let what = line.split(": ").next().unwrap_or_default().trim_start_matches("t.a ").to_owned();
        format!("{what}, {}", line.rsplit(", ").next().unwrap_or_default())
    };
    shown(&compare(&of(old), &of(new))).into_iter().map(short).collect()
}

#[test]
fn a_rule_with_another_number_is_one_change() {
    let nulls = |t: &str| format!("{{ metric: nullValues, {t} }}");
    for (old, new, breaks) in [
        ("mustBeLessThan: 5", "mustBeLessThan: 10", "breaks forward"),
        ("mustBeLessThan: 10", "mustBeLessThan: 5", "breaks backward"),
        ("mustBeLessThan: 5", "mustBeLessOrEqualTo: 4", "breaks nothing"),
        ("mustBeGreaterThan: 5", "mustBeGreaterOrEqualTo: 6", "breaks nothing"),
        ("mustBeBetween: [2, 4]", "mustBeBetween: [3, 5]", "breaks both"),
        ("mustNotBe: 3", "mustNotBeBetween: [2, 4]", "breaks backward"),
        ("mustBeLessThan: 5, unit: percent", "mustBeLessOrEqualTo: 4, unit: '%'", "breaks backward"),
        ("mustBeLessThan: 5", "mustBeLessThan: 5, unit: percent", "breaks both"),
    ] {
        assert_eq!(told(&nulls(old), &nulls(new)), [format!("rule changed, {breaks}")], "{old} -> {new}");
    }
}

#[test]
fn what_other_rules_leave_is_known_of_a_rule() {
    let (few, none) = ("{ metric: nullValues, mustBeLessThan: 5 }", "{ metric: nullValues, mustBe: 0 }");
    assert_eq!(told(none, few), ["required, breaks forward", "rule added, breaks nothing"]);
    assert_eq!(told(few, none), ["required, breaks backward", "rule removed, breaks nothing"]);
    assert_eq!(told(none, &format!("{none}, {few}")), ["rule added, breaks nothing"]);
    assert_eq!(told("", few), ["rule added, breaks backward"]);
    // Two bounds of one count.
    let least = "{ metric: nullValues, mustBeGreaterThan: 1 }";
    let between = "{ metric: nullValues, mustBeBetween: [2, 4] }";
    assert_eq!(
        told(&format!("{few}, {least}"), between),
        ["rule removed, breaks nothing", "rule changed, breaks nothing"]
    );
    // Values that are fewer, and so more rows outside.
    let of =
        |values: &str, t: &str| format!("{{ metric: invalidValues, arguments: {{ validValues: [{values}] }}, {t} }}");
    let (two, three) = ("1, 2", "1, 2, 3");
    assert_eq!(told(&of(two, "mustBeLessThan: 5"), &of(three, "mustBeLessThan: 5")), ["rule changed, breaks forward"]);
    assert_eq!(
        told(&of(two, "mustBeGreaterThan: 5"), &of(three, "mustBeGreaterThan: 5")),
        ["rule changed, breaks backward"]
    );
    assert_eq!(told(&of(two, "mustBe: 5"), &of(three, "mustBe: 5")), ["rule changed, breaks both"]);
    // Of more columns fewer rows are alike.
    let same = |columns: &str, most: u8| {
        let rule =
            format!("{{ metric: duplicateValues, arguments: {{ properties: [{columns}] }}, mustBeLessThan: {most} }}");
        document(&format!(
            "  - name: t\n    properties:\n      - {{ name: a, logicalType: integer }}\n      - {{ name: b, logicalType: integer }}\n    quality: [{rule}]\n"
        ))
    };
    let breaks = |old, new| {
        let found = compare(&old, &new);
        (found.is_compatible(Mode::Backward), found.is_compatible(Mode::Forward))
    };
    assert_eq!(breaks(same("a", 5), same("'a', b", 5)), (true, false));
    assert_eq!(breaks(same("'a', b", 5), same("a", 5)), (false, true));
    assert_eq!(breaks(same("a", 5), same("'a', b", 4)), (false, false));
}

#[test]
fn the_answer_of_a_query_is_any_number() {
    let sql = |t: &str| format!("{{ type: sql, query: 'SELECT min(a) FROM ${{object}}', {t} }}");
    assert_eq!(
        told(&sql("mustBeGreaterThan: 5"), &sql("mustBeGreaterOrEqualTo: 6")),
        ["rule changed, breaks backward"]
    );
    assert_eq!(told(&sql("mustBeLessThan: 5"), &sql("mustBeBetween: [0, 4]")), ["rule changed, breaks backward"]);
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
