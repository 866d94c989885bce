//! From files to the contract that is proposed for them.

use super::{Look, Looked, scan::Scan};
use alluvium_model::{DatasetName, Layer};
use alluvium_spec::{
    ColumnType, CsvOptions,
    infer::{Naming, Proposal, propose},
};
use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

const CSV: CsvOptions = CsvOptions { delimiter: None, quote: b'"', columns: None };

fn looked(files: &[(&str, &str)], sample: Option<u64>) -> Looked {
    looked_at(files, sample, true)
}

fn looked_at(files: &[(&str, &str)], sample: Option<u64>, free: bool) -> Looked {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| dir.path().join(name)).collect();
    paths.iter().zip(files).for_each(|(path, (_, text))| std::fs::write(path, text).unwrap());
    let name = DatasetName::new(Layer::Silver, "things").unwrap();
    let look = Look { files: paths, format: None, csv: CSV, free, sample };
    Scan { name, look, max_record_bytes: 1 << 20 }.run().unwrap()
}

fn of(looked: &Looked) -> Proposal {
    let naming = Naming { project: "p", contract: "things", reads: None, folder: Some("landing/"), glob: None };
    propose(&looked.facts, &naming, &|c| looked.rows.unique(c), &BTreeMap::new()).unwrap()
}

fn proposed(name: &str, text: &str) -> Proposal {
    of(&looked(&[(name, text)], None))
}

fn kinds(p: &Proposal) -> Vec<(&str, ColumnType)> {
    p.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect()
}

/// One column of CSV.
fn kind(values: &[&str]) -> ColumnType {
    named("x", values).columns[0].kind
}

fn named(name: &str, values: &[&str]) -> Proposal {
    let mut text = format!("{name},other\n");
    values.iter().for_each(|v| writeln!(text, "\"{}\",1", v.replace('"', "\"\"")).unwrap());
    proposed("a.csv", &text)
}

#[test]
fn a_column_has_the_narrowest_type_that_loses_nothing() {
    use ColumnType::{Boolean, Date, Decimal, Integer, Json, Number, String, Time, Timestamp};
    for (values, want) in [
        (&["1", "-2", "9223372036854775807"][..], Integer),
        (&["1", "9223372036854775808"], Decimal { precision: 38, scale: 0 }),
        (&["1", &"9".repeat(39)], String),
        (&["007", "12"], String),
        (&["0", "0.5"], Number),
        (&["+4912345678", "12"], String),
        (&["1.50", "2.25"], Decimal { precision: 18, scale: 2 }),
        (&["1.5", "2.25", "1e3"], Number),
        (&["0.12345678901234567", "1"], Decimal { precision: 38, scale: 17 }),
        (&["10.357019999999999", "1"], Number),
        (&["inf", "1"], String),
        (&["true", "FALSE"], Boolean),
        (&["yes", "no"], Boolean),
        (&["f", "f"], String),
        (&["0", "1"], Integer),
        (&["2024-02-29", "2023-01-01"], Date),
        (&["2023-02-29", "2023-01-01"], String),
        (&["2024-02-29", "2023-01-01T10:00:00+02:00"], Timestamp),
        (&["31/12/2024", "01/02/2024"], Date),
        (&["01/02/2024", "03/04/2024"], String),
        (&["12:30:00", "00:00:01.5"], Time),
        (&["9:30", "23:59"], Time),
        (&["{\"a\":1}", "[1]"], Json),
        (&["{\"a\":1}", "x"], String),
        (&["1", "x"], String),
        (&["", "NA"], String),
        (&["NA", "4", "-"], Integer),
    ] {
        assert_eq!(kind(values), want, "{values:?}");
    }
    // Eight digits are a day where the name says so.
    assert_eq!(kind(&["20240131", "20240201"]), Integer);
    assert_eq!(named("order_date", &["20240131", "20240201"]).columns[0].kind, Date);
}

#[test]
fn what_a_dataset_has_to_do_is_said_in_its_own_words() {
    let text = "First Name,n,day,code\n ann ,NA,31/12/2024,A\nbob,2,01/02/2024,NA\n";
    let p = proposed("a.csv", text);
    assert_eq!(
        p.silver,
        "from: bronze.things
contract: things
steps:
  - normalize:
      rename: { \"First Name\": first_name }
      trim: \"*\"
      null_if: [NA]
      parse: { day: \"%d/%m/%Y\" }
  - validate
write: append
"
    );
    assert_eq!(p.bronze.as_deref(), Some("source: { files: \"landing/\" }\n"));
    assert!(p.text.contains("# 1 record has none, written `NA`."), "{}", p.text);
}

#[test]
fn a_word_that_is_a_value_elsewhere_becomes_null_only_where_it_is_none() {
    let mut text = "id,continent\n".to_owned();
    for i in 0..40 {
        writeln!(text, "{i},{}", ["NA", "EU"][i % 2]).unwrap();
    }
    let p = proposed("a.csv", &text);
    assert!(p.columns[1].required && p.text.contains("validValues: [EU, NA]"), "{}", p.text);
    assert!(!p.silver.contains("null_if"), "{}", p.silver);
    let with_numbers = text.replace("\n4,", "\nNA,");
    let p = proposed("a.csv", &with_numbers);
    assert!(p.silver.contains("null_if: [NA]") && !p.columns[1].required, "{}", p.silver);
}

#[test]
fn ndjson_keeps_what_its_source_wrote_as_text() {
    let text =
        "{\"zip\":\"01234\",\"n\":\"12\",\"x\":1.5,\"in\":{\"a\":[{\"b\":1},{\"b\":null,\"c\":\"t\"}],\"d\":true}}
{\"zip\":\"99999\",\"n\":\"7\",\"x\":null,\"in\":{\"a\":[],\"d\":false}}
";
    let p = proposed("a.ndjson", text);
    use ColumnType::{Json, Number, String};
    assert_eq!(kinds(&p), [("zip", String), ("n", String), ("x", Number), ("in", Json)]);
    let inside = "      - name: in
        logicalType: object
        physicalType: json
        required: true
        properties:
          - name: a
            logicalType: array
            items:
              logicalType: object
              properties:
                - name: b
                  logicalType: integer
                - name: c
                  logicalType: string
          - name: d
            logicalType: boolean
";
    assert!(p.text.contains(inside), "{}", p.text);
    // A key that comes late is a column as well.
    let late =
        format!("{}{{\"late\":5}}\n", "{\"pad\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n".repeat(30_000));
    let looked = looked(&[("a.ndjson", &late)], None);
    let names: Vec<&str> = looked.facts.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["pad", "late"]);
    assert_eq!((looked.facts.columns[1].values, looked.facts.columns[1].nulls), (1, 30_000));
}

#[test]
fn a_key_is_one_column_or_the_fewest_together() {
    let mut text = "amount,order_id,line,sku\n".to_owned();
    for i in 0..300 {
        writeln!(text, "{}.25,{},{},S{:03}", i, 1000 + i / 3, i % 3, i % 50).unwrap();
    }
    assert_eq!(proposed("a.csv", &text).key, ["order_id", "line"]);
    let single = text.replacen("line", "n", 1).lines().enumerate().fold(String::new(), |mut out, (i, l)| {
        writeln!(out, "{l},{}", if i == 0 { "uid".to_owned() } else { i.to_string() }).unwrap();
        out
    });
    assert_eq!(proposed("a.csv", &single).key, ["uid"]);
    // Few records are different by chance.
    assert!(proposed("a.csv", "a,b\n1,x\n2,y\n").key.is_empty());
    assert_eq!(proposed("a.csv", "id,b\n1,x\n2,y\n").key, ["id"]);
}

#[test]
fn forms_patterns_ranges_and_persons() {
    let mut text = "email,sku,hour,delay,lat,ref\n".to_owned();
    for i in 0..60 {
        let ip = format!("192.0.2.{i}");
        writeln!(text, "u{i}@example.org,SK-{:04},{},{},{}.5,{ip}", i * 7, i % 24, i - 20, i % 90).unwrap();
    }
    let p = proposed("a.csv", &text);
    for said in [
        "logicalTypeOptions: { format: email }",
        "logicalTypeOptions: { pattern: \"[A-Z]{2}-[0-9]{4}\" }",
        "logicalTypeOptions: { minimum: 0, maximum: 23 }",
        "logicalTypeOptions: { minimum: -50, maximum: 100 }",
        "logicalTypeOptions: { minimum: -90, maximum: 90 }",
        "logicalTypeOptions: { format: ipv4 }",
        "# Likely personal: the values are e-mail addresses.",
    ] {
        assert!(p.text.contains(said), "{said}: {}", p.text);
    }
    let personal: Vec<&str> = p.columns.iter().filter(|c| c.personal).map(|c| c.name.as_str()).collect();
    assert_eq!(personal, ["email", "ref"]);
}

#[test]
fn what_a_person_is_known_by_goes_into_no_text() {
    // Numbers of cards have check digits, which these have.
    let cards = ["4111111111111111", "4012888888881881", "5555555555554444", "378282246310005"];
    let mut text = "id,card,phone,dob,salary,first_name,gender,contact\n".to_owned();
    for i in 0..40 {
        let phone = format!("+4915112345{i:03}");
        let born = format!("19{}-03-{:02}", 60 + i % 30, i % 28 + 1);
        let contact = if i % 8 == 0 { format!("u{i}@example.org") } else { "Bernadette".to_owned() };
        writeln!(text, "{i},{},{phone},{born},{},Annegret,t,{contact}", cards[i % 4], 51_234 + i).unwrap();
    }
    text.push_str("40,no card,none known,n/k,51299,Annegret,t,Bernadette\n");
    let p = proposed("a.csv", &text);
    let personal: Vec<&str> = p.columns.iter().filter(|c| c.personal).map(|c| c.name.as_str()).collect();
    assert_eq!(personal, ["card", "phone", "dob", "salary", "first_name", "gender"], "{}", p.text);
    let all = format!("{}{:?}", p.text, p.columns);
    for told in [
        "4111",
        "37828",
        "+4915",
        "no card",
        "none known",
        "n/k",
        "196",
        "512",
        "50000",
        "Annegret",
        "Bernadette",
        "@example",
    ] {
        assert!(!all.contains(told), "{told}: {all}");
    }
    assert_eq!(kinds(&p)[4], ("salary", ColumnType::Integer));
    // What is nobody's is told.
    assert!(p.text.contains("# All 41 values are integers, 0 to 40."), "{}", p.text);
    assert!(proposed("a.csv", "dob\n1971-02-03\n1980-04-05\n").text.contains("# All 2 values are dates.\n"));
}

#[test]
fn names_inside_of_json_that_are_values_go_into_no_text() {
    let lines = |one: &dyn Fn(usize) -> String| {
        (0..40).map(|i| format!("{{\"id\":{i},\"x\":{}}}\n", one(i))).collect::<String>()
    };
    let people = [
        "ottokar",
        "bogumil",
        "evamaria",
        "kimberly",
        "leopold",
        "maximilian",
        "patrizia",
        "raymund",
        "samuel",
        "zoelie",
    ];
    let rare = |i: usize| format!("{{\"{}{}\": {{\"score\": 1}}}}", people[i % 10], ["a", "b", "c", "d"][i / 10]);
    let many = |_: usize| {
        let all: Vec<String> = (0..120).map(|k| format!("\"{}x{}\": 1", people[k % 10], k / 10)).collect();
        format!("{{{}}}", all.join(","))
    };
    for (what, text) in [
        ("an address", lines(&|i| format!("{{\"ottokar{i}@example.org\": {{\"score\": 1}}, \"zoelie\": 2}}"))),
        ("a telephone", lines(&|i| format!("[{{\"+49 30 12345{i:02}\": \"ottokar\"}}]"))),
        ("a number", lines(&|i| format!("{{\"deep\": {{\"user-90{i:03}\": true}}}}"))),
        ("names of which few are there at once", lines(&rare)),
        ("very many names", lines(&many)),
    ] {
        let p = proposed("a.ndjson", &text);
        for told in people.into_iter().chain(["example", "+49", "user-90", "score"]) {
            assert!(!p.text.contains(told), "{what}: {told} in {}", p.text);
        }
        assert!(p.text.contains("# Looked up by names that seem to be values"), "{what}: {}", p.text);
    }
    // Fields that are there are told.
    let plain =
        proposed("a.ndjson", &lines(&|i| format!("{{\"street\": \"a{i}\", \"line_2\": null, \"@type\": \"x\"}}")));
    for name in ["street", "line_2", "@type"] {
        assert!(plain.text.contains(name), "{}", plain.text);
    }
}

#[test]
fn each_file_is_read_with_its_delimiter_and_several_have_no_dataset() {
    let (comma, semicolon) = (("a.csv", "a,b\n1,x\n"), ("b.csv", "a;b\n2;y\n3;z\n"));
    for files in [[comma, semicolon], [semicolon, comma]] {
        let l = looked(&files, None);
        assert_eq!((l.facts.columns.len(), l.facts.records, l.facts.malformed.len()), (2, 3, 0));
        assert_eq!((l.facts.delimiter, l.csv.delimiter), (None, None));
        assert_eq!(l.facts.delimiters, BTreeMap::from([(b',', 1), (b';', 1)]));
        let p = of(&l);
        assert!(p.bronze.is_none() && p.text.contains("have several: `,` in 1, `;` in 1."), "{}", p.text);
    }
    // A file with nothing in it takes any.
    let l = looked(&[("a.csv", ""), semicolon, ("c.csv", "a\n4\n")], None);
    assert_eq!((l.facts.delimiter, l.facts.delimiters.len(), l.facts.columns.len()), (Some(b';'), 0, 2));
    // A dataset that names none reads with what the file's name says.
    let l = looked_at(&[semicolon], None, false);
    assert_eq!((l.facts.columns.len(), l.csv.delimiter, l.facts.unread_delimiter), (1, None, Some(b';')));
    let bronze = DatasetName::new(Layer::Bronze, "things").unwrap();
    let naming = Naming { project: "p", contract: "things", reads: Some(&bronze), folder: None, glob: None };
    let p = propose(&l.facts, &naming, &|c| l.rows.unique(c), &BTreeMap::new()).unwrap();
    assert!(p.bronze.is_none() && p.text.contains("it may need `delimiter: \";\"`."), "{}", p.text);
    let naming = Naming { reads: None, ..naming };
    let p = propose(&l.facts, &naming, &|c| l.rows.unique(c), &BTreeMap::new()).unwrap();
    assert!(p.bronze.is_none() && p.text.contains("have no folder and pattern in common"), "{}", p.text);
}

#[test]
fn the_order_of_records_and_files_makes_no_difference_but_to_the_order_of_columns() {
    let mut rows: Vec<String> = (0..3_000).map(|i| format!("{i},{},w{}\n", i % 7, i * 31 % 2_500)).collect();
    let text = |rows: &[String]| format!("id,n,word\n{}", rows.concat());
    let before = proposed("a.csv", &text(&rows));
    rows.reverse();
    let (first, second) = rows.split_at(1_700);
    let after = of(&looked(&[("a.csv", &text(second)), ("b.csv", &text(first))], None));
    assert_eq!(before.text.replace("1 file,", "2 files,"), after.text);
}

#[test]
fn many_values_are_not_kept_and_a_sample_ends_early() {
    let text = (0..5_000).fold("id,word\n".to_owned(), |mut out, i| {
        writeln!(out, "{i},word number {i}").unwrap();
        out
    });
    let all = looked(&[("a.csv", &text)], None);
    assert!(matches!(all.facts.columns[1].known, alluvium_spec::infer::Known::Many));
    assert_eq!((all.facts.records, all.facts.sampled), (5_000, false));
    let some = looked(&[("a.csv", &text)], Some(100));
    assert_eq!((some.facts.records, some.facts.sampled, some.facts.columns[1].values), (100, true, 100));
    let exact = looked(&[("a.csv", &text)], Some(5_000));
    assert!(!exact.facts.sampled);
}

#[test]
fn hostile_files_are_told_and_never_break_the_text() {
    // A mark of UTF-8, ragged rows, names and values that want to be YAML.
    let text =
        "\u{feff}id,\"a: [b]\",\"x\n- y\",_object,ID\n1,\"# no\nkey: 1\",\"`q`\",o,1\n2\n3,}{,'\u{2028}\u{202e},p,2\n";
    let l = looked(&[("a.csv", text)], None);
    assert_eq!(l.facts.malformed.get("fields"), Some(&1));
    let p = of(&l);
    let names: Vec<&str> = p.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["id", "a:_[b]", "x_-_y", "_object_2", "ID_2"]);
    assert!(p.text.contains("# 1 more could not be read (fields), and are no part of it."), "{}", p.text);
    assert_eq!(p.contract.columns.len(), 5);
    // Nothing in them.
    assert!(looked(&[("a.csv", "")], None).facts.columns.is_empty());
    assert_eq!(kinds(&proposed("a.csv", "a,b\n")).len(), 2);
    // Another delimiter than the name says.
    let l = looked(&[("a.csv", "a;b\n1;x\n2;y\n")], None);
    assert_eq!(l.facts.delimiter, Some(b';'));
    assert!(of(&l).bronze.unwrap().contains("delimiter: \";\""));
    // The same name in other letters is put aside by bronze.
    let l = looked(&[("a.csv", "Id\n1\n"), ("b.csv", "ID,n\n2,3\n")], None);
    let p = of(&l);
    assert_eq!(kinds(&p).len(), 2);
    assert!(p.text.contains("Some files call it `ID`") && !p.columns[0].required, "{}", p.text);
}
