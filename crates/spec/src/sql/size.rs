//! How large an expression is. What [`super::expand`] writes out is bounded in expressions and in bytes, since one
//! expression can be a text of any length. Measured before anything is copied.

use sqlparser::ast::{Expr, visit_expressions};
use std::{
    fmt::{self, Write as _},
    ops::ControlFlow,
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) expressions: usize,
    /// As it is printed.
    pub(crate) bytes: usize,
}

impl Size {
    pub(crate) fn of(expr: &Expr) -> Self {
        let mut expressions = 0;
        let _: ControlFlow<()> = visit_expressions(expr, |_| {
            expressions += 1;
            ControlFlow::Continue(())
        });
        let mut printed = Printed(0);
        // Counting never fails.
        let _ = write!(printed, "{expr}");
        Self { expressions, bytes: printed.0 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            expressions: self.expressions.saturating_add(other.expressions),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(crate) const fn times(self, n: usize) -> Self {
        Self { expressions: self.expressions.saturating_mul(n), bytes: self.bytes.saturating_mul(n) }
    }

    pub(crate) fn fits(self, most: Self) -> bool {
        self.expressions <= most.expressions && self.bytes <= most.bytes
    }
}

/// Counts what is written to it.
struct Printed(usize);

impl fmt::Write for Printed {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::expression;

    #[test]
    fn a_long_text_is_one_expression_and_many_bytes() {
        let size = |sql: &str| Size::of(&expression(sql).expect("an expression"));
        assert_eq!(size("a  + 1"), Size { expressions: 3, bytes: 5 });
        assert_eq!(size(&format!("'{}'", "é".repeat(500))), Size { expressions: 1, bytes: 1_002 });
        let most = Size { expressions: 10, bytes: 100 };
        assert!(most.fits(most));
        assert!(!size("a").times(11).fits(most) && !size("a").plus(Size { expressions: 0, bytes: 100 }).fits(most));
        assert!(!size("a").times(usize::MAX).plus(most).fits(most));
    }
}
