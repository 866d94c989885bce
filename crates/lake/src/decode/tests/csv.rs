//! CSV and TSV.

use super::*;
use proptest::prelude::*;

fn csv(bytes: &[u8]) -> All {
    decode_own(bytes, &options(Format::Csv)).unwrap()
}

#[test]
fn reads_fields_as_received() {
    let all = csv(b"\xEF\xBB\xBFid,name,note\r\n1,\"a,\"\"b\"\"\r\nc\",\n\r\n007,\xC3\xA9,x \0y\n8,5\" pipe,\"\"");
    assert_eq!(all.column("id"), ["1", "007", "8"]);
    assert_eq!(all.column("name"), ["a,\"b\"\r\nc", "é", "5\" pipe"]);
    assert_eq!(all.column("note"), ["", "x \0y", ""]);
    assert_eq!(all.positions(), [0, 1, 2]);
    assert_eq!(all.column("_rescued"), ["∅", "∅", "∅"]);
    assert_eq!(all.drift, Drift::default());
}

#[test]
fn bad_records_keep_their_bytes_and_place() {
    let bytes = b"a,b\n1,2\n3\n4,5,6\r\n\xFF,7\n\"x\"y,1\n8,9\n\"open,\n";
    let all = csv(bytes);
    assert_eq!(all.column("a"), ["1", "8"]);
    assert_eq!(all.positions(), [0, 5]);
    assert_eq!(all.rejects(), [(1, "fields"), (2, "fields"), (3, "encoding"), (4, "syntax"), (6, "syntax")]);
    let raw: Vec<&[u8]> = all.malformed.iter().map(|m| m.raw.as_slice()).collect();
    assert_eq!(raw, [&b"3"[..], b"4,5,6", b"\xFF,7", b"\"x\"y,1", b"\"open,\n"]);
    for m in &all.malformed {
        assert_eq!(&bytes[m.offset as usize..(m.offset + m.length) as usize], m.raw);
    }
}

#[test]
fn columns_are_matched_by_name_and_the_rest_is_rescued() {
    let all = decode(b"b,x,a,x,\n1,2,3,\"4\"\"\",5\n", &options(Format::Csv), &text(&["a", "b", "c"])).unwrap();
    assert_eq!((all.column("a"), all.column("b"), all.column("c")), (vec!["3"], vec!["1"], vec!["∅"]));
    assert_eq!(all.column("_rescued"), [r#"{"x":"2","x_2":"4\"","column_5":"5"}"#]);
    assert_eq!(all.drift.missing, ["c"]);
    assert_eq!(
        all.drift.new_fields.into_iter().collect::<Vec<_>>(),
        [("column_5".to_owned(), 1), ("x".to_owned(), 1), ("x_2".to_owned(), 1)]
    );
    assert_eq!(all.drift.renamed, [("x".to_owned(), "x_2".to_owned()), (String::new(), "column_5".to_owned())]);
}

#[test]
fn options_name_columns_and_separators() {
    let given = CsvOptions { delimiter: Some(b'|'), quote: b'\'', columns: Some(vec!["a".into(), "b".into()]) };
    let o = Options { csv: &given, ..options(Format::Csv) };
    let all = decode_own(b"1|'x|y'\n2|\"z\n", &o).unwrap();
    assert_eq!(all.column("b"), ["x|y", "\"z"]);
    let tsv = decode_own(b"a\tb\n1,5\t2\n", &options(Format::Tsv)).unwrap();
    assert_eq!(tsv.column("a"), ["1,5"]);
    for (delimiter, quote) in [(b'"', b'"'), (b'\n', b'"'), (0xE9, b'"'), (b',', b'\r')] {
        let bad = CsvOptions { delimiter: Some(delimiter), quote, columns: None };
        let refused = discover(file(b"a\n"), &Options { csv: &bad, ..options(Format::Csv) });
        assert!(matches!(refused, Err(DecodeError::Options { .. })));
    }
}

#[test]
fn empty_objects_have_no_records() {
    for bytes in [&b""[..], b"\n\r\n", b"a,b\n", b"a,b", b"\xEF\xBB\xBF"] {
        let all = csv(bytes);
        assert_eq!((all.batches, all.malformed.len()), (0, 0));
    }
    assert_eq!(names(b"a,b", &options(Format::Csv)), ["a", "b"]);
}

#[test]
fn a_bad_header_is_an_error_of_the_object() {
    let o = Options { max_record_bytes: 100, ..options(Format::Csv) };
    let long = "x".repeat(101);
    for bytes in [&b"a,\xFF\n1,2\n"[..], b"\"a,b\n1,2\n", b"\"a\"b\n", long.as_bytes()] {
        assert!(matches!(discover(file(bytes), &o), Err(DecodeError::Header { .. })));
        assert!(matches!(decode(bytes, &o, &text(&["a"])), Err(DecodeError::Header { .. })));
    }
    let wide = ",".repeat(10_000);
    assert!(matches!(discover(file(wide.as_bytes()), &options(Format::Csv)), Err(DecodeError::TooWide { .. })));
}

#[test]
fn batches_end_by_rows_and_by_bytes() {
    let o = Options { batch_rows: 10, ..options(Format::Csv) };
    let all = decode_own(format!("a\n{}", "1\n".repeat(25)).as_bytes(), &o).unwrap();
    assert_eq!((all.batches, all.batch.num_rows()), (3, 25));
    let row = "y".repeat(1024 * 1024);
    let all = csv(format!("a\n{}", format!("{row}\n").repeat(40)).as_bytes());
    assert_eq!((all.batches, all.batch.num_rows()), (3, 40));
}

/// Fields by an independent reader of the same grammar.
fn with_csv_core(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv_core::Reader::new();
    let (mut records, mut rest) = (Vec::new(), bytes);
    let (mut out, mut ends) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 2]);
    loop {
        let (mut written, mut fields) = (0, 0);
        loop {
            let (result, read, wrote, ended) = reader.read_record(rest, &mut out[written..], &mut ends[fields..]);
            (rest, written, fields) = (&rest[read..], written + wrote, fields + ended);
            match result {
                csv_core::ReadRecordResult::Record => break,
                csv_core::ReadRecordResult::End => return records,
                csv_core::ReadRecordResult::InputEmpty => {}
                _ => unreachable!("the buffers are large enough"),
            }
        }
        let starts = std::iter::once(0).chain(ends[..fields].iter().copied());
        records.push(starts.zip(&ends[..fields]).map(|(s, e)| out[s..*e].to_vec()).collect());
    }
}

fn csvish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(b",".to_vec()), 3 => Just(b"\n".to_vec()), 1 => Just(b"\r".to_vec()), 1 => Just(b"\r\n".to_vec()),
        3 => Just(b"\"".to_vec()), 1 => Just(b"\"\"".to_vec()), 4 => "[a-z]{1,20}".prop_map(String::into_bytes),
        1 => Just(vec![0]), 1 => Just("é".as_bytes().to_vec()), 1 => Just(vec![0xFF]),
        1 => (30usize..90).prop_map(|n| vec![b'x'; n]),
    ];
    prop::collection::vec(token, 0..60).prop_map(|t| t.concat())
}

fn in_pieces(bytes: &[u8], sizes: Vec<usize>, max: u64) -> All {
    let o = Options { max_record_bytes: max, batch_rows: 3, ..options(Format::Csv) };
    let read = Pieces { bytes: [b"a,b\n", bytes].concat(), at: 0, sizes, turn: 0 };
    drain(Decoder::of_bytes(read, &o, &text(&["b", "c"])).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn agrees_with_csv_core(bytes in csvish()) {
        let all = in_pieces(&bytes, vec![1 << 20], 1 << 20);
        assert_each_once(&all);
        let theirs = with_csv_core(&bytes);
        let ours = all.malformed.len() + if all.batches > 0 { all.batch.num_rows() } else { 0 };
        prop_assert_eq!(ours, theirs.len());
        if all.batches > 0 {
            for (row, position) in all.positions().into_iter().enumerate() {
                let theirs = &theirs[position as usize];
                prop_assert_eq!(theirs.len(), 2);
                prop_assert_eq!(all.column("b")[row].as_bytes(), theirs[1].as_slice());
                let rescued: serde_json::Value = serde_json::from_str(all.column("_rescued")[row]).unwrap();
                prop_assert_eq!(rescued["a"].as_str().unwrap().as_bytes(), theirs[0].as_slice());
            }
        }
        for m in all.malformed.iter().filter(|m| m.reason.code() == "fields") {
            prop_assert_ne!(theirs[m.position as usize].len(), 2);
        }
    }

    #[test]
    fn any_chunking_and_any_limit_find_the_same_records(bytes in csvish(), sizes in prop::collection::vec(1usize..50, 1..5), max in 1u64..60) {
        let whole = in_pieces(&bytes, vec![1 << 20], max.max(3));
        let pieces = in_pieces(&bytes, sizes, max.max(3));
        assert_each_once(&pieces);
        prop_assert_eq!(&whole.batch, &pieces.batch);
        prop_assert_eq!(&whole.malformed, &pieces.malformed);
        // The limit changes what becomes of a record, never where records begin.
        let unlimited = in_pieces(&bytes, vec![1 << 20], 1 << 20);
        let count = |a: &All| a.malformed.len() + a.batch.num_rows();
        prop_assert_eq!(count(&whole), count(&unlimited));
        for m in whole.malformed.iter().filter(|m| m.reason.code() == "too_long") {
            prop_assert!(m.length > max);
            let start = m.offset as usize - 4;
            prop_assert_eq!(&bytes[start..start + m.length as usize], m.raw.as_slice());
        }
    }
}

#[test]
fn the_order_and_the_letters_of_a_header_are_told() {
    let o = Options { any_case: true, ..options(Format::Csv) };
    let all = decode(b"B,a,x\n1,2,3\n4,5,6\n", &o, &text(&["a", "b"])).unwrap();
    assert_eq!((all.column("a"), all.column("b")), (vec!["2", "5"], vec!["1", "4"]));
    assert_eq!(all.drift.recased.get("B"), Some(&("b".to_owned(), 2)));
    assert_eq!(all.drift.reordered, Some(("b".to_owned(), "a".to_owned())));
    let as_before = decode(b"B,a\n1,2\n", &options(Format::Csv), &text(&["a", "b"])).unwrap();
    assert_eq!((as_before.column("b"), as_before.column("_rescued")), (vec!["∅"], vec![r#"{"B":"1"}"#]));
    assert_eq!(as_before.drift.reordered, None);
}
