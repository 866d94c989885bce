//! A large object in pieces gives what it gives as a whole.

use super::{
    super::{
        pieces::{Piece, PieceDecoder, Pieces},
        source::Source,
    },
    *,
};
use arrow::compute::{sort_to_indices, take_record_batch};
use proptest::prelude::*;
use std::io::Cursor;

/// Pieces of about `piece_bytes`, decoded in turn by two decoders.
fn in_pieces(bytes: &[u8], o: &Options<'_>, columns: &SchemaRef, piece_bytes: usize) -> (All, usize) {
    let mut pieces = Pieces::of(Source::from_read(Cursor::new(bytes.to_vec())), o, piece_bytes).unwrap();
    let mut decoders = [PieceDecoder::new(o, columns).unwrap(), PieceDecoder::new(o, columns).unwrap()];
    let (mut batches, mut malformed, mut piece, mut count) = (Vec::new(), Vec::new(), Piece::default(), 0);
    while pieces.next(&mut piece).unwrap() {
        let decoder = &mut decoders[count % 2];
        count += 1;
        decoder.load(&mut piece);
        while let Some(decoded) = decoder.next().unwrap() {
            batches.push(decoded.batch);
            malformed.extend(decoded.malformed);
        }
    }
    let batch = concat_batches(&super::super::rows::output_schema(columns), &batches).unwrap();
    let order = sort_to_indices(batch.column_by_name("_position").unwrap(), None, None).unwrap();
    malformed.sort_by_key(|m: &Malformed| m.position);
    let mut drift = Drift::default();
    let mut parts = decoders.iter().filter_map(PieceDecoder::drift);
    if let Some(first) = parts.next() {
        drift = first.clone();
        parts.for_each(|d| drift.merge(d));
    }
    (
        All {
            batch: take_record_batch(&batch, &order).unwrap(),
            malformed,
            drift,
            batches: batches.len(),
            capacity: 0,
        },
        count,
    )
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..9u32).prop_map(|i| format!("{{\"a\":{i},\"b\":\"x\"}}")),
        2 => (0..9u32).prop_map(|i| format!("{{\"b\":null,\"new{i}\":\"1\"}}")),
        1 => "[ \t\r]{0,3}",
        1 => "[\\[{]1?",
        1 => " {1,2}[{]\"a\":1[}]\r?",
        1 => (60..90usize).prop_map(|n| " ".repeat(n)),
        1 => (60..900usize).prop_map(|n| format!("{{\"a\":\"{}\"}}", "y".repeat(n))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn the_same_rows_positions_and_defects(
        lines in prop::collection::vec(line(), 0..60),
        ends in any::<bool>(),
        mark in any::<bool>(),
        piece_bytes in 1..300usize,
    ) {
        let text = format!("{}{}{}", if mark { "\u{feff}" } else { "" }, lines.join("\n"), if ends { "\n" } else { "" });
        let o = Options { max_record_bytes: 64, batch_rows: 7, ..options(Format::Ndjson) };
        let columns = text_columns();
        let whole = decode(text.as_bytes(), &o, &columns).unwrap();
        let (split, _) = in_pieces(text.as_bytes(), &o, &columns, piece_bytes);
        prop_assert_eq!(&split.malformed, &whole.malformed);
        prop_assert_eq!(&split.drift, &whole.drift);
        // A whole object without records has no batch, and so no columns.
        if whole.batch.num_columns() > 0 {
            prop_assert_eq!(&split.batch, &whole.batch);
        } else {
            prop_assert_eq!(split.batch.num_rows(), 0);
        }
    }
}

fn text_columns() -> SchemaRef {
    text(&["a", "b", "never"])
}

#[test]
fn a_long_object_comes_in_bounded_pieces() {
    let mut bytes: Vec<u8> = (0..60_000).flat_map(|i| format!("{{\"a\":{i}}}\n").into_bytes()).collect();
    let long = bytes.len();
    bytes.extend(std::iter::repeat_n(b'z', 3 << 20));
    bytes.extend_from_slice(b"\n{\"a\":-1}");
    let o = options(Format::Ndjson);
    let (all, pieces) = in_pieces(&bytes, &o, &text(&["a"]), 64 * 1024);
    assert_eq!(pieces, long.div_ceil(64 * 1024) + 2);
    assert_eq!(all.batch.num_rows(), 60_001);
    assert_eq!(all.positions().last(), Some(&60_001));
    let m = &all.malformed[0];
    assert_eq!((m.position, m.offset, m.length), (60_000, long as u64, 3 << 20));
}

#[test]
fn a_damaged_stream_is_told_where_it_is_read() {
    let zipped = zstd::encode_all(&b"{\"a\":1}\n".repeat(200_000)[..], 1).unwrap();
    let o = options(Format::Ndjson);
    let mut pieces = Pieces::open(file(&zipped[..zipped.len() / 2]), &o).unwrap();
    let mut piece = Piece::default();
    let end = loop {
        match pieces.next(&mut piece) {
            Ok(true) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Err(DecodeError::Truncated { .. })), "{end:?}");
}
