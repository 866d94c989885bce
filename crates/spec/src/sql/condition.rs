//! `when` in SQL's words: comparisons of numbers and measures with AND, OR and NOT, and nothing else of SQL.

use super::parse::{SqlMistake, expression, normalized, place_of};
use crate::{
    codes,
    condition::{Calculation, Comparison, Condition, Measure, Term, Truth},
    nearest,
    source_file::Place,
};
use sqlparser::ast::{BinaryOperator, Expr, Spanned as _, UnaryOperator, Value};

/// Trees are walked by recursion, and a longer one says nothing that a person would read.
const MOST_BYTES: usize = 2_000;
const SHAPE: &str =
    "a condition compares numbers and measures, as in `received >= 1000 AND quarantined * 100 < received`";

pub(crate) fn condition(sql: &str) -> Result<Condition, Vec<SqlMistake>> {
    if sql.len() > MOST_BYTES {
        let message = format!("a condition has up to {MOST_BYTES} bytes");
        return Err(vec![SqlMistake::new(codes::SQL_SIZE, Place::START, message)]);
    }
    let expr = expression(sql).map_err(|e| vec![e])?;
    let mut reading = Reading::default();
    let truth = reading.truth(&expr);
    let Some(holds) = truth.filter(|_| reading.mistakes.is_empty()) else { return Err(reading.mistakes) };
    let mut named = Vec::new();
    holds.measures(&mut named);
    if named.is_empty() {
        let mistake =
            SqlMistake::new(codes::CONDITION, place(&expr), "this is the same whatever waits: it names no measure");
        return Err(vec![mistake.help(format!("measures are: {}", words()))]);
    }
    Ok(Condition { text: sql.to_owned(), holds })
}

fn place(expr: &Expr) -> Place {
    place_of(expr.span())
}

fn words() -> String {
    Measure::ALL.map(|(_, word)| word).join(", ")
}

#[derive(Default)]
struct Reading {
    mistakes: Vec<SqlMistake>,
}

impl Reading {
    fn refuse<T>(&mut self, at: Place, message: String, help: impl Into<String>) -> Option<T> {
        self.mistakes.push(SqlMistake::new(codes::CONDITION, at, message).help(help));
        None
    }

    fn truth(&mut self, expr: &Expr) -> Option<Truth> {
        match expr {
            Expr::Nested(inner) => self.truth(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Some(Truth::Not(Box::new(self.truth(expr)?))),
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                // Both, so that the mistakes of both are shown.
                let (left, right) = (self.truth(left), self.truth(right));
                let (left, right) = (Box::new(left?), Box::new(right?));
                Some(if *op == BinaryOperator::And { Truth::And(left, right) } else { Truth::Or(left, right) })
            }
            Expr::BinaryOp { left, op, right } if comparison(op).is_some() => {
                let how = comparison(op)?;
                let (first, second) = (self.term(left), self.term(right));
                self.compared(expr, first?, how, second?)
            }
            Expr::Identifier(_) | Expr::Value(_) | Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => {
                // A word that is no measure is the mistake, wherever it stands.
                let before = self.mistakes.len();
                self.term(expr);
                if self.mistakes.len() == before {
                    return self.refuse(place(expr), "this is a number, and no condition".to_owned(), SHAPE);
                }
                None
            }
            _ => self.refuse(place(expr), format!("`{expr}` cannot stand in a condition"), SHAPE),
        }
    }

    /// When the age alone stands against a bound, it is known when time turns the condition, and nobody has to look again and
    /// again.
    fn compared(&mut self, expr: &Expr, left: Term, how: Comparison, right: Term) -> Option<Truth> {
        let ages = |term: &Term| {
            let mut named = Vec::new();
            term.measures(&mut named);
            named.contains(&Measure::AgeSeconds)
        };
        let alone = |term: &Term| *term == Term::Measure(Measure::AgeSeconds);
        let fine = match (ages(&left), ages(&right)) {
            (false, false) => true,
            (true, false) => alone(&left),
            (false, true) => alone(&right),
            (true, true) => false,
        };
        if !fine {
            let message = "`age_seconds` stands alone on its side of a comparison".to_owned();
            return self.refuse(place(expr), message, "write it as `age_seconds >= 3600`");
        }
        if (ages(&left) || ages(&right)) && matches!(how, Comparison::Equal | Comparison::NotEqual) {
            let message = "an age is never exactly a number".to_owned();
            return self.refuse(place(expr), message, "write it as `age_seconds >= 3600`");
        }
        Some(Truth::Compare(left, how, right))
    }

    fn term(&mut self, expr: &Expr) -> Option<Term> {
        match expr {
            Expr::Nested(inner) => self.term(inner),
            Expr::Identifier(name) => {
                let word = normalized(name);
                match Measure::ALL.iter().find(|(_, w)| *w == word) {
                    Some((measure, _)) => Some(Term::Measure(*measure)),
                    None => {
                        let help = nearest::help(&word, Measure::ALL.map(|(_, w)| w)).unwrap_or_else(words);
                        self.refuse(place(expr), format!("`{word}` is no measure of what waits"), help)
                    }
                }
            }
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => Some(Term::Number(number)),
                    _ => self.refuse(place(expr), format!("`{text}` is no number that can be used"), SHAPE),
                },
                other => self.refuse(place(expr), format!("`{other}` is no number"), SHAPE),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(Term::Negative(Box::new(self.term(expr)?))),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.term(expr),
            Expr::BinaryOp { left, op, right } if calculation(op).is_some() => {
                let how = calculation(op)?;
                let (left, right) = (self.term(left), self.term(right));
                Some(Term::Calculated(Box::new(left?), how, Box::new(right?)))
            }
            Expr::BinaryOp { op, .. } if comparison(op).is_some() => {
                self.refuse(place(expr), "this is a condition, and no number".to_owned(), SHAPE)
            }
            _ => self.refuse(place(expr), format!("`{expr}` cannot stand in a condition"), SHAPE),
        }
    }
}

fn comparison(op: &BinaryOperator) -> Option<Comparison> {
    Some(match op {
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        _ => return None,
    })
}

fn calculation(op: &BinaryOperator) -> Option<Calculation> {
    Some(match op {
        BinaryOperator::Plus => Calculation::Add,
        BinaryOperator::Minus => Calculation::Subtract,
        BinaryOperator::Multiply => Calculation::Multiply,
        BinaryOperator::Divide => Calculation::Divide,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Measured;
    use alluvium_model::Balance;
    use std::time::Duration;

    fn read(sql: &str) -> Condition {
        condition(sql).unwrap_or_else(|e| panic!("{sql}: {}", e[0].message))
    }

    fn waits(received: u64, quarantined: u64, age: u64) -> Measured {
        let balance = Balance { received, quarantined, loaded: received - quarantined, ..Balance::default() };
        Measured { balance, steps: 2, age: Duration::from_secs(age) }
    }

    #[test]
    fn it_means_what_it_means_in_sql() {
        let seen = waits(1_000, 9, 60);
        for (sql, holds) in [
            ("received >= 1000 AND quarantined * 100 < received", true),
            ("RECEIVED > 1000", false),
            ("received > 1000 OR steps = 2", true),
            ("NOT received > 1000 AND steps <> 3", true),
            ("NOT (received > 1000 OR steps = 2)", false),
            ("quarantined / received < 0.01", true),
            ("quarantined / received < 0.009", false),
            ("received - loaded = quarantined", true),
            ("-received + 2e3 = +1000", true),
            ("2 + steps * 2 = 6 AND (2 + steps) * 2 = 8", true),
            ("age_seconds >= 60 AND 61 > age_seconds", true),
            ("dropped + dead + duplicates + late = 0", true),
        ] {
            assert_eq!(read(sql).holds(&seen), holds, "{sql}");
        }
    }

    #[test]
    fn what_has_no_value_is_neither_true_nor_false() {
        let nothing = Measured::default();
        for sql in ["quarantined / received < 0.01", "NOT quarantined / received < 0.01", "received = received / 0"] {
            assert!(!read(sql).holds(&nothing), "{sql}");
        }
        assert!(read("quarantined / received < 0.01 OR steps = 0").holds(&nothing));
        assert!(!read("NOT (quarantined / received < 0.01 AND steps = 0)").holds(&nothing));
        assert!(read("NOT (quarantined / received < 0.01 AND steps = 1)").holds(&nothing), "one of them is false");
    }

    #[test]
    fn it_is_known_when_time_turns_it() {
        let turns = |sql: &str, age| read(sql).turns_at(&waits(10, 1, age));
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(turns("received > 100 OR age_seconds >= 3600", 60), seconds(3_600));
        assert_eq!(turns("received > 100", 60), None);
        assert_eq!(turns("age_seconds >= 30", 60), None, "it holds from then on");
        assert_eq!(turns("NOT 60 >= age_seconds", 60), Some(Duration::from_micros(60_000_001)), "just after it");
        assert_eq!(turns("age_seconds > received * 9 OR age_seconds > 1e300", 60), seconds(90));
        assert_eq!(turns("age_seconds > received / 0", 60), None);
        // Whoever looks then sees another truth, or knows a later time.
        let late = Measured { age: Duration::from_secs(3_600), ..waits(10, 1, 0) };
        assert!(read("age_seconds >= 3600").holds(&late));
    }

    #[test]
    fn it_tells_what_it_saw() {
        let seen = read("steps > 1 AND quarantined * 2 < received AND received > 1").values(&waits(10, 1, 0));
        assert_eq!(seen, [(Measure::Received, 10.0), (Measure::Quarantined, 1.0), (Measure::Steps, 2.0)]);
    }

    #[test]
    fn nothing_else_of_sql_is_read() {
        for (sql, column) in [
            ("received", 1),
            ("received + 1", 1),
            ("received > 1 AND quarantined", 18),
            ("recieved > 1", 1),
            ("count(*) > 1", 1),
            ("received > '1'", 12),
            ("received IS NULL", 1),
            ("received BETWEEN 1 AND 2", 1),
            ("received IN (1, 2)", 1),
            ("received > (SELECT 1)", 13),
            ("received % 2 = 1", 1),
            ("silver.a > 1", 1),
            ("(received > 1) > 1", 2),
            ("TRUE", 1),
            ("1 < 2", 1),
            ("age_seconds * 2 > 60", 1),
            ("age_seconds > age_seconds", 1),
            ("age_seconds = 60", 1),
            ("received > 1e999", 12),
        ] {
            let mistakes = condition(sql).expect_err(sql);
            assert_eq!(
                (mistakes[0].code.id, mistakes[0].place.column),
                ("E0207", column),
                "{sql}: {}",
                mistakes[0].message
            );
        }
        assert_eq!(condition("received >").expect_err("half")[0].code.id, "E0201");
        assert_eq!(condition(&"x".repeat(2_001)).expect_err("long")[0].code.id, "E0206");
        assert_eq!(condition("recieved > quarantine").expect_err("two").len(), 2, "all at once");
    }
}
