//! `CREATE FUNCTION name(a TYPE, …) RETURNS TYPE RETURN expression`, any number of them in a file of the library.

use super::{
    built_in::is_aggregate,
    expand::{By, Expanded, bare_name, expand},
    parse::{SqlMistake, all_tokens, deep, expression, function_name, normalized, parser, place_of, syntax},
    row, types,
};
use crate::{
    codes,
    contract::ColumnType,
    library::{Library, Parameter},
    source_file::{Place, Spanned},
};
use sqlparser::{
    ast::{Expr, Ident, UnaryOperator, Value, Visit, Visitor, visit_expressions},
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Location, Token, TokenWithSpan},
};
use std::{collections::BTreeSet, ops::ControlFlow};

const MOST_PARAMETERS: usize = 20;
const MOST_NAME: usize = 60;
const SHAPE: &str = "write `CREATE FUNCTION name(a TYPE, …) RETURNS TYPE RETURN expression;`";

/// The expression of a function, calls of other functions written out: as text and as a tree. Places are those of `sql`.
pub(crate) fn body(sql: &str, expr: &Expr, library: &Library) -> Result<(Expanded, Expr), Vec<SqlMistake>> {
    deep(|| {
        let expanded = expand(sql, expr, library, By::Project, false, expression)?;
        let tree = expression(&expanded.text).map_err(|m| vec![m])?;
        Ok((expanded, tree))
    })
}

/// Whether the expression, in which no function of the library is called, is over the rows of a group.
pub(crate) fn aggregates(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |e| match e {
        Expr::Function(f) if is_aggregate(&function_name(f)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[derive(Debug)]
pub(crate) struct FunctionDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returns: ColumnType,
    /// The expression as written.
    pub(crate) body: String,
    /// Where it starts.
    pub(crate) start: Place,
    /// With places in `body`.
    pub(crate) expr: Expr,
}

impl FunctionDraft {
    /// Names of all functions that it calls.
    pub(crate) fn calls(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let _: ControlFlow<()> = visit_expressions(&self.expr, |e| {
            if let Expr::Function(call) = e {
                names.extend(bare_name(call).map(|(name, _)| name));
            }
            ControlFlow::Continue(())
        });
        names
    }

    /// How often each parameter is named.
    pub(crate) fn uses_of(&self, expanded: &Expr) -> Vec<usize> {
        let mut uses = vec![0; self.parameters.len()];
        let _: ControlFlow<()> = visit_expressions(expanded, |e| {
            if let Expr::Identifier(ident) = e {
                let name = normalized(ident);
                let at = self.parameters.iter().position(|p| p.name == name);
                at.into_iter().for_each(|i| uses[i] += 1);
            }
            ControlFlow::Continue(())
        });
        uses
    }

    /// Whether its name, where it is called, is read as a call and not as a word of SQL.
    pub(crate) fn can_be_called(&self) -> bool {
        let arguments = vec!["1"; self.parameters.len()].join(", ");
        let call = expression(&format!("{}({arguments})", self.name.value));
        matches!(&call, Ok(Expr::Function(f)) if bare_name(f).is_some_and(|(name, _)| name == self.name.value))
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    pub(crate) sound: Vec<FunctionDraft>,
    /// Names of those with mistakes, as far as they can be read.
    pub(crate) flawed: Vec<String>,
    pub(crate) mistakes: Vec<SqlMistake>,
}

pub(crate) fn functions(sql: &str) -> Functions {
    deep(|| {
        let mut found = Functions::default();
        let tokens = match all_tokens(sql) {
            Ok(tokens) => tokens,
            Err(mistake) => {
                found.mistakes.push(mistake);
                return found;
            }
        };
        let mut cursor = Cursor::new(sql);
        for statement in tokens.split(|t| t.token == Token::SemiColon) {
            let words = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
            let (Some(first), Some(last)) = (statement.iter().find(words), statement.iter().rev().find(words)) else {
                continue;
            };
            let mut reading = Reading { cursor: &mut cursor, mistakes: Vec::new(), name: None, end: last.span.end };
            let function = reading.function(statement, first);
            let Reading { mut mistakes, name, .. } = reading;
            match function {
                Some(function) if mistakes.is_empty() => found.sound.push(function),
                _ => found.flawed.extend(name),
            }
            found.mistakes.append(&mut mistakes);
        }
        found
    })
}

struct Reading<'a, 't> {
    cursor: &'a mut Cursor<'t>,
    mistakes: Vec<SqlMistake>,
    /// As soon as it is known.
    name: Option<String>,
    /// Of the statement.
    end: Location,
}

impl Reading<'_, '_> {
    fn refuse<T>(&mut self, place: Place, message: impl Into<String>, help: &str) -> Option<T> {
        self.mistakes.push(SqlMistake::new(codes::FUNCTION, place, message).help(help));
        None
    }

    fn function(&mut self, statement: &[TokenWithSpan], first: &TokenWithSpan) -> Option<FunctionDraft> {
        let mut p = parser(statement.to_vec());
        if !p.parse_keyword(Keyword::CREATE) || !p.parse_keyword(Keyword::FUNCTION) {
            return self.refuse(place_of(first.span), "a library holds functions and nothing else", SHAPE);
        }
        let name = self.name(&mut p)?;
        self.name = Some(name.value.clone());
        let parameters = self.parameters(&mut p)?;
        if !p.parse_keyword(Keyword::RETURNS) {
            return self.unexpected(&mut p, "`RETURNS` and the type of the result are missing");
        }
        let returns = self.data_type(&mut p)?;
        let as_text = match p.peek_token().token {
            Token::Word(w) if w.keyword == Keyword::AS => true,
            Token::Word(w) if w.keyword == Keyword::RETURN => false,
            _ => return self.unexpected(&mut p, "after the type of the result comes `RETURN` and an expression"),
        };
        p.next_token();
        let from = p.peek_token();
        if from.token == Token::EOF {
            return self.unexpected(&mut p, "the function has no expression");
        }
        let start = place_of(from.span);
        let body = self.cursor.between(from.span.start, self.end);
        let expr = expression(&body).map_err(|m| self.mistakes.push(m.within(start))).ok()?;
        if as_text && matches!(&expr, Expr::Value(v) if is_text(&v.value)) {
            return self.refuse(start, "the expression stands in quotes", "write it without them");
        }
        let draft = FunctionDraft { name, parameters, returns, body, start, expr };
        self.check(&draft);
        Some(draft)
    }

    fn name(&mut self, p: &mut Parser<'_>) -> Option<Spanned<String>> {
        let ident = self.identifier(p, "a function needs a name")?;
        if p.peek_token().token == Token::Period {
            return self.refuse(place_of(ident.span), "a function has a name of one part", SHAPE);
        }
        Some(Spanned::new(normalized(&ident), place_of(ident.span)))
    }

    fn parameters(&mut self, p: &mut Parser<'_>) -> Option<Vec<Parameter>> {
        if !p.consume_token(&Token::LParen) {
            return self.unexpected(p, "parameters stand in parentheses, also where there are none");
        }
        let mut all: Vec<Parameter> = Vec::new();
        if p.consume_token(&Token::RParen) {
            return Some(all);
        }
        loop {
            let ident = self.identifier(p, "a parameter needs a name")?;
            let (name, place) = (normalized(&ident), place_of(ident.span));
            let kind = self.data_type(p)?;
            if all.iter().any(|other| other.name == name) {
                return self.refuse(place, format!("two parameters are named `{name}`"), "rename one of them");
            }
            let default = if p.parse_keyword(Keyword::DEFAULT) { Some(self.default_value(p)?) } else { None };
            if default.is_none() && all.last().is_some_and(|last| last.default.is_some()) {
                let message = format!("`{name}` has no default, and a parameter before it has one");
                return self.refuse(place, message, "parameters with defaults come last");
            }
            all.push(Parameter { name, kind, default, place });
            if all.len() > MOST_PARAMETERS {
                let message = format!("a function has up to {MOST_PARAMETERS} parameters");
                return self.refuse(place, message, "split it");
            }
            if p.consume_token(&Token::RParen) {
                return Some(all);
            }
            if !p.consume_token(&Token::Comma) {
                return self.unexpected(p, "a parameter is a name and a type");
            }
        }
    }

    /// A value as it is written: what it is decides the parameter's type.
    fn default_value(&mut self, p: &mut Parser<'_>) -> Option<String> {
        let place = self.here(p);
        let value = |expr: &Expr| match expr {
            Expr::Value(v) => {
                matches!(v.value, Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null)
            }
            _ => false,
        };
        let plain = |expr: &Expr| match expr {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => value(expr),
            other => value(other),
        };
        match p.parse_expr() {
            Ok(expr) if plain(&expr) => Some(expr.to_string()),
            _ => self.refuse(
                place,
                "a default is one plain value",
                "write a number, a text in quotes, TRUE, FALSE or NULL",
            ),
        }
    }

    /// Lower case letters, digits and underscores.
    fn identifier(&mut self, p: &mut Parser<'_>, missing: &str) -> Option<Ident> {
        let next = p.peek_token();
        let Token::Word(word) = &next.token else { return self.unexpected(p, missing) };
        let name = word.value.to_lowercase();
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if word.quote_style.is_some() || !plain || name.len() > MOST_NAME {
            let help = "names are letters, digits and underscores, without quotes";
            return self.refuse(place_of(next.span), format!("`{}` is no name that can be used", next.token), help);
        }
        match p.parse_identifier() {
            Ok(ident) => Some(ident),
            Err(e) => {
                self.mistakes.push(syntax(&e));
                None
            }
        }
    }

    fn data_type(&mut self, p: &mut Parser<'_>) -> Option<ColumnType> {
        let place = self.here(p);
        let written = match p.parse_data_type() {
            Ok(written) => written,
            Err(_) => return self.refuse(place, "a type is missing here", types::WORDS),
        };
        match types::of(&written) {
            Some(kind) => Some(kind),
            None => self.refuse(place, format!("`{written}` is no type of a function"), types::WORDS),
        }
    }

    fn unexpected<T>(&mut self, p: &mut Parser<'_>, message: &str) -> Option<T> {
        let place = self.here(p);
        self.refuse(place, message, SHAPE)
    }

    /// The next word, or the end of the statement.
    fn here(&self, p: &Parser<'_>) -> Place {
        let next = p.peek_token();
        if next.token == Token::EOF {
            Place { line: self.end.line as usize, column: self.end.column as usize, length: 1 }
        } else {
            place_of(next.span)
        }
    }

    /// The expression is one over a row, of parameters alone, and uses each.
    fn check(&mut self, draft: &FunctionDraft) {
        let row = row::check(&draft.expr);
        let at = |place: Place| place.within(draft.start);
        self.mistakes.extend(row.mistakes.into_iter().map(|m| m.within(draft.start)));
        let names = || draft.parameters.iter().map(|p| p.name.as_str());
        for used in row.uses.iter().filter(|u| !names().any(|n| n == u.value)) {
            let message = format!("`{}` is no parameter of `{}`", used.value, draft.name.value);
            let mistake = SqlMistake::new(codes::UNKNOWN_COLUMN, at(used.place), message);
            let help = crate::nearest::help(&used.value, names());
            self.mistakes.push(help.into_iter().fold(mistake, SqlMistake::help));
        }
        // One that is misspelt is no second mistake.
        let misspelt = row.uses.iter().any(|u| !names().any(|n| n == u.value));
        for unused in
            draft.parameters.iter().filter(|_| !misspelt).filter(|p| !row.uses.iter().any(|u| u.value == p.name))
        {
            let message = format!("the parameter `{}` is not used", unused.name);
            self.mistakes.push(SqlMistake::new(codes::FUNCTION, unused.place, message).help("remove it"));
        }
        let mut parts = Parts::default();
        let _ = draft.expr.visit(&mut parts);
        for (place, what) in parts.0 {
            self.mistakes
                .push(SqlMistake::new(codes::FUNCTION, at(place), what).help("a parameter is one plain value"));
        }
    }
}

/// What could bring names into the expression that are not its parameters.
#[derive(Default)]
struct Parts(Vec<(Place, &'static str)>);

impl Visitor for Parts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        use sqlparser::ast::Spanned as _;
        match expr {
            Expr::CompoundIdentifier(_) => {
                self.0.push((place_of(expr.span()), "a name of several parts cannot stand here"))
            }
            Expr::Lambda(_) => self.0.push((place_of(expr.span()), "`->` cannot stand here")),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::SingleQuotedString(_) | Value::DollarQuotedString(_) | Value::DoubleQuotedString(_))
}

/// A place in a text that moves on and never back: all functions of a file are found in one walk.
struct Cursor<'t> {
    text: &'t str,
    byte: usize,
    /// As the tokenizer counts.
    line: u64,
    column: u64,
}

impl<'t> Cursor<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, byte: 0, line: 1, column: 1 }
    }

    /// The text from one place to another. Neither is before the last that was asked for.
    fn between(&mut self, from: Location, to: Location) -> String {
        let (from, to) = (self.byte_at(from), self.byte_at(to));
        self.text[from..to].to_owned()
    }

    fn byte_at(&mut self, place: Location) -> usize {
        for c in self.text[self.byte..].chars() {
            if (self.line, self.column) >= (place.line, place.column) {
                break;
            }
            self.byte += c.len_utf8();
            (self.line, self.column) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_any_number_of_functions() {
        let sql = "-- a note\nCREATE FUNCTION Twice(a BIGINT) RETURNS BIGINT\nRETURN a * 2;\n\n\
            create function vat() returns decimal(4, 2) as 0.19; -- the end\n";
        let found = functions(sql);
        assert!(found.mistakes.is_empty(), "{:?}", found.mistakes);
        let names: Vec<&str> = found.sound.iter().map(|f| f.name.value.as_str()).collect();
        assert_eq!(names, ["twice", "vat"]);
        let more =
            functions("CREATE FUNCTION f(a INT, b INT DEFAULT -1, c TEXT DEFAULT 'x') RETURNS INT RETURN a + b || c");
        let defaults: Vec<_> = more.sound[0].parameters.iter().map(|p| p.default.as_deref()).collect();
        assert_eq!(defaults, [None, Some("-1"), Some("'x'")]);
        let (twice, vat) = (&found.sound[0], &found.sound[1]);
        assert_eq!((twice.body.as_str(), twice.start.line, twice.start.column), ("a * 2", 3, 8));
        assert_eq!((vat.body.as_str(), vat.returns), ("0.19", ColumnType::Decimal { precision: 4, scale: 2 }));
    }

    #[test]
    fn expressions_are_found_behind_other_letters_and_mistakes() {
        let sql = "CREATE FUNCTION a() RETURNS TEXT RETURN 'é→' || '\n x'; CREATE FUNCTION b(x) RETURN x;\n/* ü */ \
            CREATE FUNCTION c() RETURNS TEXT RETURN 'ö'; CREATE FUNCTION d() RETURNS INT RETURN 1";
        let found = functions(sql);
        let bodies: Vec<&str> = found.sound.iter().map(|f| f.body.as_str()).collect();
        assert_eq!(bodies, ["'é→' || '\n x'", "'ö'", "1"]);
        assert_eq!(found.flawed, ["b"]);
    }

    #[test]
    fn only_a_function_over_its_parameters_passes() {
        let mut shown = String::new();
        for sql in [
            "DROP TABLE x",
            "CREATE OR REPLACE FUNCTION f() RETURNS INT RETURN 1",
            "CREATE MACRO f(a) AS a",
            "CREATE FUNCTION \"F\"() RETURNS INT RETURN 1",
            "CREATE FUNCTION s.f() RETURNS INT RETURN 1",
            "CREATE FUNCTION f(a) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT[]) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a FLOAT) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT, a INT) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT DEFAULT 1, b INT) RETURNS INT RETURN a + b",
            "CREATE FUNCTION f(a INT DEFAULT random()) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT DEFAULT) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT DEFAULT - b) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT) RETURN a",
            "CREATE FUNCTION f(a INT) RETURNS INT",
            "CREATE FUNCTION f(a INT) RETURNS TABLE(b INT) RETURN a",
            "CREATE FUNCTION f(a INT) RETURNS INT LANGUAGE SQL RETURN a",
            "CREATE FUNCTION f(a INT) RETURNS INT AS 'SELECT 1'",
            "CREATE FUNCTION f(a INT) RETURNS INT AS $$ SELECT 1 $$",
            "CREATE FUNCTION f(a INT) RETURNS INT\nRETURN a + b",
            "CREATE FUNCTION f(a INT, b INT) RETURNS INT RETURN a",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN a +",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN a STRICT",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN a.b",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN (SELECT max(x) FROM silver.b WHERE y = a)",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN lag(a)",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN unnest([a])",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN abs(a) FILTER (WHERE a > 1)",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN sum(a) OVER ()",
            "CREATE FUNCTION f(a INT) RETURNS DOUBLE RETURN random() * a",
            "CREATE FUNCTION f(a INT) RETURNS INT RETURN a; DELETE FROM silver.b",
            "CREATE FUNCTION f(a TEXT) RETURNS TEXT RETURN a; COPY x TO 'y'",
        ] {
            let found = functions(sql);
            let m = found.mistakes.first().unwrap_or_else(|| panic!("no mistake in {sql}"));
            let text = sql.lines().nth(m.place.line - 1).unwrap_or_default();
            let at: String = text.chars().skip(m.place.column - 1).take(12).collect();
            shown += &format!("{sql}\n  {} at `{at}`: {}\n", m.code.id, m.message);
        }
        insta::assert_snapshot!(shown);
        assert_eq!(functions("CREATE FUNCTION f(a INT) RETURNS INT RETURN b").flawed, ["f"]);
        assert!(functions(&format!("CREATE FUNCTION f() RETURNS INT RETURN {}1", "(".repeat(5_000))).sound.is_empty());
    }
}
