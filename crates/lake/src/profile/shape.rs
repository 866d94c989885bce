//! Whether values are built alike: the same kinds of characters in the same order.

use std::fmt::Write;

/// Longer values, or values of more parts, have no form that is worth to be told.
const MOST_BYTES: usize = 40;
const MOST_PARTS: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Characters of some classes: how few, how many.
    Run {
        classes: u8,
        least: usize,
        most: usize,
    },
    Literal(u8),
}

const UPPER: u8 = 1;
const LOWER: u8 = 2;
const DIGIT: u8 = 4;

/// What all values so far have in common.
#[derive(Debug, Default)]
pub(super) enum Shape {
    #[default]
    Unseen,
    /// Where every class is a part of its own, and where letters and digits are one.
    Alike {
        fine: Option<Vec<Part>>,
        coarse: Option<Vec<Part>>,
    },
    Different,
}

impl Shape {
    pub fn observe(&mut self, text: &str) {
        if matches!(self, Self::Different) {
            return;
        }
        let (fine, coarse) = (parts(text, false), parts(text, true));
        *self = match std::mem::take(self) {
            Self::Unseen => Self::Alike { fine, coarse },
            Self::Alike { fine: a, coarse: b } => Self::Alike { fine: joined(a, fine), coarse: joined(b, coarse) },
            Self::Different => Self::Different,
        };
        if matches!(self, Self::Alike { fine: None, coarse: None }) {
            *self = Self::Different;
        }
    }

    /// A regular expression, where the values have a form that others would miss: parts of one class each, or of one length.
    pub fn pattern(&self) -> Option<String> {
        let Self::Alike { fine, coarse } = self else { return None };
        let fixed = |parts: &[Part]| parts.iter().all(|p| !matches!(p, Part::Run { least, most, .. } if least != most));
        let telling = |parts: &[Part]| {
            let code = |p: &Part| matches!(p, Part::Run { classes, .. } if classes & LOWER == 0);
            parts.iter().any(code) && (fixed(parts) || parts.len() > 1)
        };
        let fine = fine.as_deref().filter(|p| telling(p));
        let coarse = coarse.as_deref().filter(|p| telling(p) && fixed(p));
        fine.or(coarse).map(written)
    }
}

fn parts(text: &str, coarse: bool) -> Option<Vec<Part>> {
    if text.is_empty() || text.len() > MOST_BYTES {
        return None;
    }
    let mut out: Vec<Part> = Vec::new();
    for b in text.bytes() {
        let class = match b {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => DIGIT,
            b'-' | b'_' | b'.' | b'/' | b':' | b'#' => {
                out.push(Part::Literal(b));
                continue;
            }
            _ => return None,
        };
        match out.last_mut() {
            Some(Part::Run { classes, least, most }) if coarse || *classes == class => {
                (*classes, *least, *most) = (*classes | class, *least + 1, *most + 1);
            }
            _ => out.push(Part::Run { classes: class, least: 1, most: 1 }),
        }
    }
    (out.len() <= MOST_PARTS).then_some(out)
}

fn joined(a: Option<Vec<Part>>, b: Option<Vec<Part>>) -> Option<Vec<Part>> {
    let (a, b) = (a?, b?);
    if a.len() != b.len() {
        return None;
    }
    a.into_iter()
        .zip(b)
        .map(|parts| match parts {
            (Part::Literal(x), Part::Literal(y)) if x == y => Some(Part::Literal(x)),
            (Part::Run { classes: c, least: l, most: m }, Part::Run { classes: d, least: k, most: n }) => {
                Some(Part::Run { classes: c | d, least: l.min(k), most: m.max(n) })
            }
            _ => None,
        })
        .collect::<Option<Vec<Part>>>()
}

fn written(parts: &[Part]) -> String {
    let mut out = String::new();
    for p in parts {
        match p {
            Part::Literal(b) => {
                if *b == b'.' {
                    out.push('\\');
                }
                out.push(char::from(*b));
            }
            Part::Run { classes, least, most } => {
                out.push('[');
                for (class, text) in [(UPPER, "A-Z"), (LOWER, "a-z"), (DIGIT, "0-9")] {
                    out.push_str(if classes & class != 0 { text } else { "" });
                }
                out.push(']');
                let _ = match (least, most) {
                    (1, 1) => Ok(()),
                    (l, m) if l == m => write!(out, "{{{l}}}"),
                    (l, m) => write!(out, "{{{l},{m}}}"),
                };
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<String> {
        let mut shape = Shape::default();
        texts.iter().for_each(|t| shape.observe(t));
        shape.pattern()
    }

    #[test]
    fn only_what_is_built_alike_has_a_pattern() {
        for (texts, want) in [
            (&["007", "123"][..], Some("[0-9]{3}")),
            (&["AB-12", "XY-1"], Some("[A-Z]{2}-[0-9]{1,2}")),
            (&["9E", "AA", "B6"], Some("[A-Z0-9]{2}")),
            (&["v1.2", "v10.3"], Some("[a-z][0-9]{1,2}\\.[0-9]")),
            (&["N10156", "N102UW"], Some("[A-Z0-9]{6}")),
            (&["Oslo", "Lyon"], Some("[A-Z][a-z]{3}")),
            (&["oslo", "lima"], None),
            (&["N1", "N102UW"], None),
            (&["a b", "c d"], None),
            (&["é"], None),
            (&["AB", "A-B"], None),
            (&[], None),
        ] {
            assert_eq!(of(texts).as_deref(), want, "{texts:?}");
        }
    }
}
