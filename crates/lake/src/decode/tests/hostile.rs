//! Bytes meant, or happening, to do harm, whatever the format.

use super::*;
use alluvium_model::{Fault, RetryClass};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::collections::HashSet;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn lines(n: usize) -> Vec<u8> {
    (0..n).flat_map(|i| format!("{{\"a\":{i}}}\n").into_bytes()).collect()
}

fn ndjson(bytes: &[u8]) -> Result<All, DecodeError> {
    decode(bytes, &options(Format::Ndjson), &text(&["a"]))
}

#[test]
fn compression_is_seen_by_its_magic() {
    let plain = ndjson(&lines(500)).unwrap();
    let members = [gzip(&lines(500)[..1_000]), gzip(&lines(500)[1_000..])].concat();
    let frame = |b: &[u8]| zstd::encode_all(b, 1).unwrap();
    let skippable = b"\x50\x2A\x4D\x18\x03\x00\x00\x00abc";
    let frames = [skippable.to_vec(), frame(&lines(500)[..1_000]), frame(&lines(500)[1_000..])].concat();
    for compressed in [members, frames] {
        let all = ndjson(&compressed).unwrap();
        assert_eq!((&all.batch, all.malformed.len()), (&plain.batch, 0));
        assert_eq!(names(&compressed, &options(Format::Ndjson)), ["a"]);
    }
}

#[test]
fn every_cut_of_a_compressed_object_is_truncated() {
    let first = gzip(&lines(20));
    let two = [first.clone(), gzip(&lines(300))].concat();
    for end in 2..two.len() {
        match ndjson(&two[..end]) {
            Ok(_) => assert_eq!(end, first.len(), "only a whole member may end the stream"),
            Err(e) => assert!(matches!(e, DecodeError::Truncated { .. }), "{end}: {e:?}"),
        }
    }
    let frame = zstd::encode_all(&lines(300)[..], 1).unwrap();
    for end in 4..frame.len() {
        let cut = ndjson(&frame[..end]);
        assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{end}: {:?}", cut.err());
    }
}

#[test]
fn damage_in_a_compressed_object_is_an_error() {
    let mut damaged = gzip(&lines(2_000));
    let crc = damaged.len() - 6;
    damaged[crc] ^= 1;
    assert!(matches!(ndjson(&damaged), Err(DecodeError::Corrupt { .. })));
    let trailing = [gzip(&lines(3)), b"trailing bytes".to_vec()].concat();
    assert!(matches!(ndjson(&trailing), Err(DecodeError::Corrupt { .. })));
    let mut frame = zstd::encode_all(&lines(2_000)[..], 1).unwrap();
    frame[5] ^= 0xFF;
    assert!(ndjson(&frame).is_err());
}

#[test]
fn other_encodings_and_containers_are_refused() {
    let utf16: Vec<u8> =
        std::iter::once(0xFEFF).chain("a,b\n1,2\n".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = std::iter::once(0xFEFF).chain("a,b\n".encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = "\u{FEFF}a,b\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for (bytes, encoding) in [(&utf16, "UTF-16"), (&big, "UTF-16"), (&utf32, "UTF-32"), (&gzip(&utf16), "UTF-16")] {
        let refused = discover(file(bytes), &options(Format::Csv));
        assert!(matches!(refused, Err(DecodeError::Encoding { encoding: e }) if e == encoding));
    }
    for bytes in [&b"PK\x03\x04..."[..], b"\xFD7zXZ\0...", b"PAR1\x15..."] {
        assert!(matches!(discover(file(bytes), &options(Format::Csv)), Err(DecodeError::WrongFormat { .. })));
    }
}

#[test]
fn a_directory_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Csv, Format::Ndjson, Format::Parquet] {
        let refused = discover(File::open(folder.path()).unwrap(), &options(format));
        assert!(matches!(refused, Err(DecodeError::NotAFile)));
    }
}

#[test]
fn a_failing_disk_is_worth_another_try() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from_raw_os_error(5))
        }
    }
    let error = Decoder::of_bytes(Failing, &options(Format::Csv), &text(&["a"])).err().unwrap();
    assert_eq!((error.code(), error.class()), ("D0010", RetryClass::Transient));
}

#[test]
fn codes_differ() {
    let errors = [
        DecodeError::Truncated { what: "x", source: None },
        DecodeError::Corrupt { what: "x", source: None },
        DecodeError::NotAFile,
        DecodeError::Encoding { encoding: "x" },
    ];
    assert_eq!(errors.iter().map(Fault::code).collect::<HashSet<_>>().len(), errors.len());
}

/// So many bytes of one kind between two texts, made as they are read.
fn long(before: &'static [u8], fill: u8, n: u64, after: &'static [u8]) -> impl Read + Send {
    before.chain(std::io::repeat(fill).take(n)).chain(after)
}

#[test]
fn a_line_of_100_mb_takes_little_memory() {
    const LONG: u64 = 100 * 1024 * 1024;
    let bound = 4 * 1024 * 1024;
    let read = long(b"{\"a\":1}\n{\"a\":\"", b'x', LONG, b"\"}\r\n{\"a\":2}\n");
    let all = drain(Decoder::of_bytes(read, &options(Format::Ndjson), &text(&["a"])).unwrap()).unwrap();
    assert_eq!((all.column("a"), all.rejects()), (vec!["1", "2"], vec![(1, "too_long")]));
    let m = &all.malformed[0];
    assert_eq!((m.offset, m.length, m.raw.len()), (8, LONG + 8, 64 * 1024));
    assert!(all.capacity < bound, "{}", all.capacity);

    let read = long(b"a,b\n1,2\n", b'x', LONG, b",\"\n\"\r\n3,4\n");
    let all = drain(Decoder::of_bytes(read, &options(Format::Csv), &text(&["a", "b"])).unwrap()).unwrap();
    assert_eq!((all.column("a"), all.rejects()), (vec!["1", "3"], vec![(1, "too_long")]));
    assert_eq!((all.malformed[0].offset, all.malformed[0].length), (8, LONG + 4));
    assert!(all.capacity < bound, "{}", all.capacity);

    // A quote that is never closed takes all that follows: one record, too long.
    let read = long(b"a,b\n1,2\n\"", b'\n', LONG, b"");
    let all = drain(Decoder::of_bytes(read, &options(Format::Csv), &text(&["a", "b"])).unwrap()).unwrap();
    assert_eq!((all.column("a"), all.rejects()), (vec!["1"], vec![(1, "too_long")]));
    assert!(all.capacity < bound, "{}", all.capacity);

    let read = long(b"a,b\n", b',', LONG, b"\n1,2\n");
    let all = drain(Decoder::of_bytes(read, &options(Format::Csv), &text(&["a", "b"])).unwrap()).unwrap();
    assert_eq!((all.column("a"), all.rejects()), (vec!["1"], vec![(0, "too_long")]));
}

#[test]
fn decoders_go_to_other_threads() {
    let decoder = open(file(&lines(10)), &options(Format::Ndjson), &text(&["a"])).unwrap();
    assert_send(&decoder);
    let all = std::thread::spawn(|| drain(decoder).unwrap()).join().unwrap();
    assert_eq!(all.batch.num_rows(), 10);
}

#[test]
fn columns_that_are_no_text_are_refused() {
    let columns = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let refused = decode(b"{}", &options(Format::Ndjson), &columns);
    assert!(matches!(refused, Err(DecodeError::ColumnType { column }) if column == "a"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        magic in prop_oneof![
            4 => Just(&b""[..]), 1 => Just(&b"\x1F\x8B\x08\0"[..]), 1 => Just(&b"\x28\xB5\x2F\xFD"[..]), 1 => Just(&b"PAR1"[..]),
            1 => Just(&b"a,b\n"[..]), 1 => Just(&b"{\"a\":"[..]),
        ],
        parquet_tail in any::<bool>(),
    ) {
        let tail: &[u8] = if parquet_tail { b"\x10\0\0\0PAR1" } else { b"" };
        let bytes = [magic, &bytes, tail].concat();
        for format in [Format::Csv, Format::Tsv, Format::Ndjson, Format::Parquet] {
            if let Ok(all) = decode_own(&bytes, &options(format)) {
                assert_each_once(&all);
            }
            if let Ok(all) = decode(&bytes, &options(format), &text(&["a"])) {
                assert_each_once(&all);
            }
        }
    }
}
