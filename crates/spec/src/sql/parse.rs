//! SQL text to a syntax tree, bounded, in the dialect that the engine reads.

use crate::{
    codes::{self, Code},
    source_file::Place,
};
use sqlparser::{
    ast::{Expr, Function, Ident, ObjectName, Spanned as _, Statement},
    dialect::GenericDialect,
    parser::{Parser, ParserError},
    tokenizer::{Span, Token, TokenWithSpan, Tokenizer},
};

/// Long chains of operators become deep trees, which are walked by recursion.
const MOST_TOKENS: usize = 5_000;
const MOST_BYTES: usize = 256 << 10;
/// What walks of such a tree need at most, without optimisation too. It is memory only as far as it is used.
const STACK_BYTES: usize = 64 << 20;

/// A mistake at a place inside the SQL text.
#[derive(Debug)]
pub(crate) struct SqlMistake {
    pub(crate) code: Code,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl SqlMistake {
    pub(crate) fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self { code, place, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As one in a text whose part that starts at `start` was parsed.
    pub(crate) fn within(mut self, start: Place) -> Self {
        self.place = self.place.within(start);
        self
    }
}

/// For whoever parses SQL and walks its tree: a thread may have a small stack, and a tree may be as deep as its text is long.
pub(super) fn deep<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, work)
}

static DIALECT: GenericDialect = GenericDialect {};

pub(super) fn statement(sql: &str) -> Result<Statement, SqlMistake> {
    let mut parser = parser(tokens(sql)?);
    let mut all = parser.parse_statements().map_err(|e| syntax(&e))?;
    match all.pop() {
        Some(one) if all.is_empty() => Ok(one),
        Some(second) => {
            Err(SqlMistake::new(codes::SQL_STATEMENT, place_of(second.span()), "a second statement starts here"))
        }
        None => Err(SqlMistake::new(codes::SQL_STATEMENT, Place::START, "there is no statement")),
    }
}

pub(super) fn expression(sql: &str) -> Result<Expr, SqlMistake> {
    let mut parser = parser(tokens(sql)?);
    let expr = parser.parse_expr().map_err(|e| syntax(&e))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let message = format!("the expression ends before `{}`", next.token);
        return Err(SqlMistake::new(codes::SQL_SYNTAX, place_of(next.span), message));
    }
    Ok(expr)
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    let tokens = all_tokens(sql)?;
    if tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count() > MOST_TOKENS {
        return Err(too_long());
    }
    Ok(tokens)
}

/// Of a text that holds more than one statement.
pub(super) fn all_tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlMistake> {
    if sql.len() > MOST_BYTES {
        return Err(too_long());
    }
    Tokenizer::new(&DIALECT, sql).tokenize_with_location().map_err(|e| syntax(&ParserError::from(e)))
}

fn too_long() -> SqlMistake {
    SqlMistake::new(codes::SQL_SIZE, Place::START, "the SQL is too long")
}

/// Parses one part of a text after the other.
pub(super) fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&DIALECT).with_tokens_with_locations(tokens)
}

/// The parser tells the place at the end of its message.
pub(super) fn syntax(error: &ParserError) -> SqlMistake {
    let text = match error {
        ParserError::TokenizerError(t) | ParserError::ParserError(t) => t.as_str(),
        ParserError::RecursionLimitExceeded => "nested too deep",
    };
    let (message, place) = match text.rsplit_once(" at Line: ") {
        Some((message, rest)) => {
            let mut numbers = rest.split(", Column: ").map(|n| n.trim().parse::<usize>().unwrap_or(1));
            let line = numbers.next().unwrap_or(1);
            (message, Place { line, column: numbers.next().unwrap_or(1), length: 1 })
        }
        None => (text, Place::START),
    };
    SqlMistake::new(codes::SQL_SYNTAX, place, format!("this is no SQL: {message}"))
}

pub(super) fn place_of(span: Span) -> Place {
    let (line, column) = (span.start.line as usize, span.start.column as usize);
    let length = if span.end.line == span.start.line { (span.end.column as usize).saturating_sub(column) } else { 1 };
    if line == 0 { Place::START } else { Place { line, column: column.max(1), length: length.max(1) } }
}

pub(super) fn place_of_name(name: &ObjectName) -> Place {
    place_of(name.span())
}

/// A name as the engine sees it: lower case unless it is quoted.
pub(super) fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The engine's functions whose result is another one at another time or in another run.
pub(super) const UNSTABLE: [&str; 11] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "today",
    "random",
    "rand",
    "uuid",
    "gen_random_uuid",
];

pub(super) fn function_name(f: &Function) -> String {
    f.name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.to_lowercase()).unwrap_or_default()
}

pub(super) fn check_stable(expr: &Expr) -> Option<SqlMistake> {
    let Expr::Function(f) = expr else { return None };
    let name = function_name(f);
    UNSTABLE.contains(&name.as_str()).then(|| {
        SqlMistake::new(
            codes::SQL_UNSTABLE,
            place_of_name(&f.name),
            format!("`{name}` gives another result at another time"),
        )
        .help("use a column of the data, so that a replay gives the same rows")
    })
}
