//! Whether a reader's schema reads what a writer's schema wrote, as the specification resolves them.

use super::schema::{Avro, Body, Field, Named, Primitive, Type};
use crate::compatibility::{Look, Pairs};

/// One direction: who reads, and who wrote.
pub(super) struct Resolution<'a> {
    pub(super) reader: &'a Avro,
    pub(super) writer: &'a Avro,
    /// Names of readers' and writers' types.
    pairs: Pairs<(String, String)>,
}

impl<'a> Resolution<'a> {
    pub(super) fn new(reader: &'a Avro, writer: &'a Avro) -> Self {
        Self { reader, writer, pairs: Pairs::default() }
    }

    pub(super) fn reads(&mut self, reader: &Type, writer: &Type) -> bool {
        match (reader, writer) {
            (_, Type::Union(all)) => all.iter().all(|w| self.reads(reader, w)),
            (Type::Union(all), _) => all.iter().any(|r| self.reads(r, writer)),
            (Type::Primitive(r), Type::Primitive(w)) => promotes(*r, *w),
            (Type::Array(r), Type::Array(w)) | (Type::Map(r), Type::Map(w)) => self.reads(r, w),
            (Type::Named(r), Type::Named(w)) => self.named(r, w),
            _ => false,
        }
    }

    fn named(&mut self, reader: &str, writer: &str) -> bool {
        let pair = (reader.to_owned(), writer.to_owned());
        let mark = match self.pairs.open(&pair) {
            Look::Known(reads) => return reads,
            Look::Open(mark) => mark,
        };
        let (r, w) = (self.reader.body(reader), self.writer.body(writer));
        let reads = same_name(r, w)
            && match (&r.body, &w.body) {
                (Body::Fixed(r), Body::Fixed(w)) => r == w,
                (Body::Enum { symbols, has_default }, Body::Enum { symbols: written, .. }) => {
                    *has_default || written.iter().all(|s| symbols.contains(s))
                }
                (Body::Record(r), Body::Record(w)) => r.iter().all(|field| match written(field, w) {
                    Some(w) => self.reads(&field.kind, &w.kind),
                    None => has_value(field, self.reader),
                }),
                _ => false,
            };
        self.pairs.close(mark, reads)
    }
}

/// By name, else by an alias of the reader.
pub(super) fn written<'f>(field: &Field, writer: &'f [Field]) -> Option<&'f Field> {
    let by_name = writer.iter().find(|w| w.name == field.name);
    by_name.or_else(|| writer.iter().find(|w| field.aliases.contains(&w.name)))
}

/// What a reader takes for a field that was not written.
pub(super) fn has_value(field: &Field, reader: &Avro) -> bool {
    let of_enum = match &field.kind {
        Type::Named(name) => matches!(reader.body(name).body, Body::Enum { has_default: true, .. }),
        _ => false,
    };
    field.has_default || of_enum
}

/// Namespaces do not count.
pub(super) fn same_name(reader: &Named, writer: &Named) -> bool {
    reader.short() == writer.short() || reader.aliases.contains(&writer.name)
}

fn promotes(reader: Primitive, writer: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    reader == writer
        || matches!(
            (writer, reader),
            (Int, Long | Float | Double) | (Long, Float | Double) | (Float, Double) | (String, Bytes) | (Bytes, String)
        )
}
