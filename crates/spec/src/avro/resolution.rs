//! Whether a reader's schema reads what a writer's schema wrote, as the specification resolves them.

use super::schema::{Avro, Body, Field, Logical, Named, Primitive, Type};
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
            (Type::Primitive(r, a), Type::Primitive(w, b)) => promotes(*r, *w) && matches(a.as_ref(), b.as_ref()),
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
        let reads = self.bodies(self.reader.body(reader), self.writer.body(writer));
        self.pairs.close(mark, reads)
    }

    fn bodies(&mut self, r: &Named, w: &Named) -> bool {
        same_name(r, w)
            && match (&r.body, &w.body) {
                (Body::Fixed(r, a), Body::Fixed(w, b)) => r == w && matches(a.as_ref(), b.as_ref()),
                (Body::Enum { symbols, has_default }, Body::Enum { symbols: written, .. }) => {
                    *has_default || written.iter().all(|s| symbols.contains(s))
                }
                (Body::Record(r), Body::Record(w)) => r.iter().all(|field| match written(field, w) {
                    Some(w) => self.reads(&field.kind, &w.kind),
                    None => field.has_default,
                }),
                _ => false,
            }
    }
}

/// Two decimals match if precision and scale do. Of other logical types the specification demands nothing: their values are
/// read as the types beneath.
pub(super) fn matches(reader: Option<&Logical>, writer: Option<&Logical>) -> bool {
    match (reader, writer) {
        (Some(r @ Logical::Decimal { .. }), Some(w @ Logical::Decimal { .. })) => r == w,
        _ => true,
    }
}

/// By name, else by an alias of the reader.
pub(super) fn written<'f>(field: &Field, writer: &'f [Field]) -> Option<&'f Field> {
    let by_name = writer.iter().find(|w| w.name == field.name);
    by_name.or_else(|| writer.iter().find(|w| field.aliases.contains(&w.name)))
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
