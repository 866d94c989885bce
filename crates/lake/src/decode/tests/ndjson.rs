//! NDJSON.

use super::{super::rebuild::rebuild_json, *};
use proptest::prelude::*;
use serde_json::Value;

fn ndjson(bytes: &[u8], columns: &[&str]) -> All {
    decode(bytes, &options(Format::Ndjson), &text(columns)).unwrap()
}

#[test]
fn values_become_the_text_they_were() {
    let lines = br#"{"id":1.50,"s":"a\n\u00e9\ud83d\ude00","b":true,"l":[1, {"x":null}],"o":{"k" : 1}}
 { "s" : "x\u0000" , "id" : -12345678901234567890123E+5 }"#;
    let all = ndjson(lines, &["id", "s", "b", "l", "o"]);
    assert_eq!(all.column("id"), ["1.50", "-12345678901234567890123E+5"]);
    assert_eq!(all.column("s"), ["a\né😀", "x\0"]);
    assert_eq!(all.column("b"), ["true", "∅"]);
    assert_eq!(all.column("l"), ["[1, {\"x\":null}]", "∅"]);
    assert_eq!(all.column("o"), ["{\"k\" : 1}", "∅"]);
    assert_eq!(all.column("_rescued"), ["∅", "∅"]);
}

#[test]
fn other_letters_are_the_same_column_unless_it_is_there_itself() {
    let lines = br#"{"ID":1,"n\u0041me":"x"}
{"Id":2,"id":3,"iD":4}
{"id":"5","NAME":null}
{"ID":6,"ID":7}
"#;
    let o = Options { any_case: true, ..options(Format::Ndjson) };
    let all = decode(lines, &o, &text(&["id", "name"])).unwrap();
    assert_eq!(all.column("id"), ["1", "3", "5", "7"]);
    assert_eq!(all.column("name"), ["x", "∅", "∅", "∅"]);
    assert_eq!(
        all.column("_rescued"),
        ["∅", r#"{"Id":2,"iD":4}"#, r#"{"id":"5","name":null}"#, r#"{"_duplicates":{"id":[6]}}"#]
    );
    let counted: Vec<(&str, u64)> = all.drift.recased.iter().map(|(name, (_, n))| (name.as_str(), *n)).collect();
    assert_eq!(counted, [("ID", 2), ("NAME", 1), ("nAme", 1)]);
}

#[test]
fn what_text_cannot_tell_is_rescued() {
    let lines = br#"{"a":"12","b":null,"new":[1],"n\u0065w2":"x"}
{"a":1,"b":2,"a":"x","c":{},"a":3,"c":4}
{"_duplicates":1,"a":"true","b":"not 1"}
"#;
    let all = ndjson(lines, &["a", "b"]);
    assert_eq!(all.column("a"), ["12", "3", "true"]);
    assert_eq!(all.column("b"), ["∅", "2", "not 1"]);
    assert_eq!(
        all.column("_rescued"),
        [
            r#"{"a":"12","b":null,"new":[1],"new2":"x"}"#,
            r#"{"c":4,"_duplicates":{"a":[1,"x"],"c":[{}]}}"#,
            r#"{"__duplicates":1,"a":"true"}"#,
        ]
    );
    let rescues = &all.drift.rescued;
    assert_eq!((rescues["a"].strings, rescues["a"].duplicates, rescues["b"].nulls), (2, 1, 1));
    assert_eq!(all.drift.new_fields["new2"], 1);
    assert_eq!(all.drift.missing, Vec::<String>::new());
}

#[test]
fn bad_lines_keep_their_bytes_and_place() {
    let lines =
        b"{\"a\":1}\r\n[1]\r\n\n \t\n{\"a\":\xFF}\n{\"a\":1}x\n{\"a\":\"\\ud800\"}\n\"s\"\n{\"a\":01}\n{\"a\":2";
    let all = ndjson(lines, &["a"]);
    assert_eq!(all.column("a"), ["1"]);
    assert_eq!(
        all.rejects(),
        [
            (1, "not_an_object"),
            (2, "encoding"),
            (3, "syntax"),
            (4, "encoding"),
            (5, "not_an_object"),
            (6, "syntax"),
            (7, "syntax")
        ]
    );
    for m in &all.malformed {
        assert_eq!(&lines[m.offset as usize..(m.offset + m.length) as usize], m.raw);
    }
    assert_eq!(all.malformed[2].message, "expected the end of the line at byte 7 of the line");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(ndjson(deep.as_bytes(), &["a"]).rejects(), [(0, "syntax")]);
}

#[test]
fn half_read_lines_leave_nothing() {
    let all = ndjson(b"{\"a\":1,\"b\":null,\"c\":5,\"a\":}\n{\"b\":2}\n", &["a", "b"]);
    assert_eq!((all.column("a"), all.column("b")), (vec!["∅"], vec!["2"]));
    assert_eq!(all.drift.missing, ["a"]);
    assert!(all.drift.rescued.is_empty() && all.drift.new_fields.is_empty());
}

#[test]
fn names_are_those_of_the_first_records() {
    let lines = b"{\"b\":1}\nnonsense\n{\"a\":1,\"b\":2,\"\":3,\"B\":4,\"_object\":5,\"x\\ny\":6,\"\\u0063\":7}\n";
    assert_eq!(names(lines, &options(Format::Ndjson)), ["b", "a", "c"]);
    assert_eq!(names(b"", &options(Format::Ndjson)), Vec::<String>::new());
}

#[test]
fn a_hostile_guess_is_no_match() {
    let all = ndjson(b"{\"a\\\":1,\\\"b\":1}\n{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":2}\n", &["a\":1,\"b", "b", "a"]);
    assert_eq!(all.column("a\":1,\"b"), ["1", "∅", "∅"]);
    assert_eq!(all.column("a"), ["∅", "1", "1"]);
}

#[test]
fn too_many_members_are_no_record() {
    let members: Vec<String> = (0..100_001).map(|i| format!("\"k{i}\":0")).collect();
    let o = Options { max_record_bytes: 4 * 1024 * 1024, ..options(Format::Ndjson) };
    let ndjson = |bytes: &[u8], columns| decode(bytes, &o, &text(columns)).unwrap();
    let all = ndjson(format!("{{{}}}\n{{}}", members.join(",")).as_bytes(), &["a"]);
    assert_eq!((all.rejects(), all.batch.num_rows()), (vec![(0, "syntax")], 1));
    let same = vec!["\"a\":0"; 100_001].join(",");
    assert_eq!(ndjson(format!("{{{same}}}").as_bytes(), &["a"]).rejects(), [(0, "syntax")]);
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(-?[0-9]{1,3}|true|null|\\[\\]|\\{\"a\":1\\}|\"x\"| 1|1e5|0x1)".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key(), inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-d]", 1 => "_{0,3}duplicates", 1 => Just("_rescued".to_owned()), 1 => "[a-d\"\\\\é\n]{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_object_is_rebuilt(members in prop::collection::vec((key(), json()), 0..8), ascii in any::<bool>()) {
        let write = |v: &Value| {
            let text = serde_json::to_string(v).unwrap();
            if ascii { text.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect()
            }).collect() } else { text }
        };
        let members: Vec<String> = members.iter().map(|(k, v)| format!("{}: {}", write(&Value::from(k.as_str())), write(v))).collect();
        let line = format!("{{{}}}", members.join(" ,"));
        let all = ndjson(line.as_bytes(), &["a", "b", "c", "a\"", "_duplicates"]);
        prop_assert_eq!(&all.malformed, &Vec::new(), "{}", line);
        let original: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(rebuild_json(&all.batch, 0), original, "{}", line);
    }

    #[test]
    fn any_chunking_gives_the_same(
        lines in prop::collection::vec(prop_oneof![
            Just("{\"a\":1,\"b\":\"x\"}".to_owned()), Just("{\"b\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}".to_owned()),
            Just("[]".to_owned()), Just(String::new()), Just("\r".to_owned()), "\\PC{0,40}",
        ], 0..20),
        sizes in prop::collection::vec(1usize..40, 1..5),
        max in 1u64..60,
        crlf in any::<bool>(),
    ) {
        let o = Options { max_record_bytes: max, batch_rows: 4, ..options(Format::Ndjson) };
        let bytes = lines.join(if crlf { "\r\n" } else { "\n" }).into_bytes();
        let run = |sizes| {
            let read = Pieces { bytes: bytes.clone(), at: 0, sizes, turn: 0 };
            drain(Decoder::of_bytes(read, &o, &text(&["a"])).unwrap()).unwrap()
        };
        let (whole, pieces) = (run(vec![1 << 20]), run(sizes));
        assert_each_once(&pieces);
        prop_assert_eq!(&whole.batch, &pieces.batch);
        prop_assert_eq!(&whole.malformed, &pieces.malformed);
        let counts = |l: &&str| !l.trim_matches([' ', '\t', '\r']).is_empty() || l.len() as u64 > max;
        let joined = String::from_utf8(bytes.clone()).unwrap();
        let records = joined.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).filter(counts).count();
        prop_assert_eq!(whole.malformed.len() + whole.batch.num_rows(), records);
    }
}
