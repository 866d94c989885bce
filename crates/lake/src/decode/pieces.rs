//! A large NDJSON object in pieces of whole lines, so that several threads decode it side by side. Called by the bronze
//! step: one [`Pieces`] an object, behind a lock; one [`PieceDecoder`] a thread and object.
//!
//! The bytes are read once and in order; a piece knows where it begins and how many records came before it, so that what is
//! decoded from it has the positions and offsets that it has in the object.

use super::{
    decoder::{Decoded, Options},
    drift::Drift,
    error::DecodeError,
    lines::{Lines, LongLine},
    ndjson::{self, Ndjson},
    source::Source,
};
use arrow::datatypes::SchemaRef;
use std::fs::File;

/// About the text of one batch.
const PIECE_BYTES: usize = 2 * 1024 * 1024;

/// Reads the object from its start.
pub struct Pieces {
    lines: Lines,
    piece_bytes: usize,
    /// Records before the next piece.
    position: u64,
}

/// Some lines of an object. The buffer is worth using again for the next piece.
#[derive(Default)]
pub struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Of the first byte in the decompressed object.
    pub(super) offset: u64,
    pub(super) position: u64,
    /// The one line of this piece, in place of `bytes`, when it is longer than a record may be.
    pub(super) too_long: Option<LongLine>,
}

impl Pieces {
    pub fn open(file: File, o: &Options<'_>) -> Result<Self, DecodeError> {
        Self::of(Source::open(file)?, o, PIECE_BYTES)
    }

    pub(super) fn of(source: Source, o: &Options<'_>, piece_bytes: usize) -> Result<Self, DecodeError> {
        Ok(Self { lines: ndjson::lines(source, o)?, piece_bytes, position: 0 })
    }

    /// Reads the next piece; `false` after the last.
    pub fn next(&mut self, into: &mut Piece) -> Result<bool, DecodeError> {
        into.position = self.position;
        into.bytes.clear();
        into.too_long = None;
        if let Some(offset) = self.lines.take_whole(self.piece_bytes, &mut into.bytes)? {
            into.offset = offset;
            self.position += ndjson::records(&into.bytes, self.lines.limit_bytes());
            return Ok(!into.bytes.is_empty());
        }
        into.too_long = Some(self.lines.skip()?);
        self.position += 1;
        Ok(true)
    }
}

/// Decodes pieces of one object, in any order.
pub struct PieceDecoder {
    ndjson: Ndjson,
    rows: u64,
}

impl PieceDecoder {
    pub fn new(o: &Options<'_>, columns: &SchemaRef) -> Result<Self, DecodeError> {
        Ok(Self { ndjson: Ndjson::open(Source::empty(), o, columns)?, rows: 0 })
    }

    /// Takes the piece's text. What came before must have been decoded to its end.
    pub fn load(&mut self, piece: &mut Piece) {
        self.ndjson.load(piece);
    }

    /// The next records of the piece; `None` after the last.
    pub fn next(&mut self) -> Result<Option<Decoded>, DecodeError> {
        let decoded = self.ndjson.next()?;
        self.rows += decoded.as_ref().map_or(0, |d| d.batch.num_rows() as u64);
        Ok(decoded)
    }

    /// How the pieces differ from the expected columns; `None` where they had no rows.
    pub fn drift(&self) -> Option<&Drift> {
        (self.rows > 0).then(|| self.ndjson.drift())
    }
}
