//! Calls of library functions, written out: the function's expression stands in place of the call, each parameter in it
//! is the argument cast to its type, and the whole is cast to the type of the result.
//!
//! The expression of a function names nothing but its parameters, so no column of the caller can be meant by mistake, and
//! an argument is put in as a tree, so neither can anything inside of it.

use super::{
    built_in::{OVER_A_ROW, OVER_MANY_ROWS, is_built_in},
    origins::{At, Origins, Patch, patched},
    parse::{SqlMistake, UNSTABLE, all_tokens, expression, normalized, place_of},
    size::Size,
    types,
};
use crate::{
    codes,
    diagnostic::quoted,
    library::{Function, Library},
    nearest,
    source_file::Place,
};
use sqlparser::{
    ast::{
        Expr, Function as Call, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Select, SelectItem, VisitMut,
        VisitorMut, visit_expressions,
    },
    tokenizer::{Location, Span, Token, TokenWithSpan},
};
use std::{collections::BTreeSet, fmt::Display, ops::ControlFlow};

/// Of all that is put into one text. Functions that call others twice grow without bound otherwise.
const MOST_PUT: Size = Size { expressions: 2_000, bytes: 64 << 10 };
/// As before, counting what is thrown away again: the inner of calls inside of calls.
const MOST_WORK: Size = MOST_PUT.times(20);

/// Who wrote the SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A file of the project. Each function that it names is looked up.
    Project,
    /// A person who asks. What is no function of the library is the engine's business.
    Asker,
}

#[derive(Debug)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// In one fixed layout, without comments.
    pub(crate) canonical: String,
    pub(crate) origins: Origins,
    /// Functions of the library that it calls itself.
    pub(crate) calls: BTreeSet<String>,
}

/// `written` is the tree of `sql`; `again` parses what comes out. With `names`, a result that is a call and nothing else is
/// named as the call is written. The error has no mistake when a function that is called is wrong itself, which is told
/// where it stands.
pub(super) fn expand<T: VisitMut + Display + Clone>(
    sql: &str,
    written: &T,
    library: &Library,
    by: By,
    names: bool,
    again: impl Fn(&str) -> Result<T, SqlMistake>,
) -> Result<Expanded, Vec<SqlMistake>> {
    let mut tree = written.clone();
    let mut w = Writer::new(library, by, names);
    let _ = VisitMut::visit(&mut tree, &mut w);
    if w.flawed || !w.mistakes.is_empty() {
        return Err(w.mistakes);
    }
    let canonical = tree.to_string();
    let Some(first) = w.spots.first().map(|s| s.place) else {
        let (text, origins) = (sql.to_owned(), Origins::default());
        return Ok(Expanded { text, canonical, origins, calls: w.calls });
    };
    let tokens = all_tokens(sql).map_err(|e| vec![e])?;
    let patches: Option<Vec<Patch>> = w.spots.into_iter().map(|s| s.patch(&tokens)).collect();
    let (text, origins) = patched(sql, patches.ok_or_else(|| vec![unreadable(first)])?);
    match again(&text) {
        Ok(tree) if tree.to_string() == canonical => Ok(Expanded { text, canonical, origins, calls: w.calls }),
        Ok(_) => Err(vec![unreadable(first)]),
        Err(_) => Err(vec![too_much(first)]),
    }
}

/// As [`expand`], of SQL in a file; without a library it stays as it is.
pub(super) fn expand_in<T: VisitMut + Display + Clone>(
    library: Option<&Library>,
    sql: &str,
    written: &T,
    names: bool,
    again: impl Fn(&str) -> Result<T, SqlMistake>,
) -> Result<Expanded, Vec<SqlMistake>> {
    match library {
        Some(library) => expand(sql, written, library, By::Project, names, again),
        None => Ok(Expanded {
            text: sql.to_owned(),
            canonical: written.to_string(),
            origins: Origins::default(),
            calls: BTreeSet::new(),
        }),
    }
}

/// Of a name that is needed from the library.
pub(crate) fn unknown_in_library(name: &str, place: Place, library: &Library) -> SqlMistake {
    let mistake =
        SqlMistake::new(codes::UNKNOWN_FUNCTION, place, format!("the library has no function {}", quoted(name)));
    let names: Vec<&str> = library.names().collect();
    nearest::help(name, names.iter().copied()).into_iter().fold(mistake, SqlMistake::help)
}

fn unreadable(place: Place) -> SqlMistake {
    SqlMistake::new(codes::FUNCTION_SIZE, place, "this call cannot be written out where it stands")
        .help("give it a name in a subquery or a step before")
}

fn too_much(place: Place) -> SqlMistake {
    SqlMistake::new(codes::FUNCTION_SIZE, place, "the functions called here make too long or too deep an expression")
        .help("give the inner part a name in a subquery or a step before")
}

/// An outermost call.
struct Spot {
    /// Of its name.
    place: Place,
    put: String,
    /// The name that a result has by it, where it has none of its own.
    name: Option<Ident>,
}

impl Spot {
    /// `None`: the text around its place is no call.
    fn patch(self, tokens: &[TokenWithSpan]) -> Option<Patch> {
        let from: At = (self.place.line, self.place.column);
        let to = end_of_call(tokens, from)?;
        let name = self.name.map(|n| format!(" AS {n}")).unwrap_or_default();
        Some(Patch { from, to, put: self.put + &name })
    }
}

/// Behind the parenthesis that closes the call whose name starts at `from`.
fn end_of_call(tokens: &[TokenWithSpan], from: At) -> Option<At> {
    let at = |l: Location| (l.line as usize, l.column as usize);
    let name = tokens.partition_point(|t| at(t.span.start) < from);
    let mut rest = tokens.get(name..)?.iter();
    rest.next().filter(|t| at(t.span.start) == from)?;
    let mut rest = rest.skip_while(|t| matches!(t.token, Token::Whitespace(_))).peekable();
    rest.peek().filter(|t| t.token == Token::LParen)?;
    let mut open = 0_usize;
    for t in rest {
        match t.token {
            Token::LParen => open += 1,
            Token::RParen => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at(t.span.end));
        }
    }
    None
}

struct Writer<'a> {
    library: &'a Library,
    by: By,
    names: bool,
    /// How many calls the walk is inside of.
    depth: usize,
    spots: Vec<Spot>,
    /// Results of a query that are a call and nothing else, by place, with the name that they get.
    unnamed: Vec<(Place, Ident)>,
    calls: BTreeSet<String>,
    put: Size,
    work: Size,
    /// It is told once.
    full: bool,
    flawed: bool,
    mistakes: Vec<SqlMistake>,
}

impl<'a> Writer<'a> {
    fn new(library: &'a Library, by: By, names: bool) -> Self {
        Self {
            library,
            by,
            names,
            depth: 0,
            spots: Vec::new(),
            unnamed: Vec::new(),
            calls: BTreeSet::new(),
            put: Size::default(),
            work: Size::default(),
            full: false,
            flawed: false,
            mistakes: Vec::new(),
        }
    }

    /// The name of what may be a function of the library.
    fn of_library(&self, expr: &Expr) -> Option<(String, Place)> {
        let Expr::Function(call) = expr else { return None };
        let (name, place) = bare_name(call)?;
        self.library.knows(&name).then_some((name, place))
    }

    fn look_up(&mut self, expr: &Expr) {
        let Expr::Function(call) = expr else { return };
        let Some((name, place)) = bare_name(call) else { return };
        let known = self.library.knows(&name) || is_built_in(&name) || UNSTABLE.contains(&name.as_str());
        if known || self.by == By::Asker {
            return;
        }
        self.mistakes.push(unknown(&name, place, self.library));
    }

    fn written_out(&mut self, call: &Call, function: &Function, place: Place) -> Result<Expr, SqlMistake> {
        let arguments = arguments(call, function, place)?;
        if self.by == By::Asker {
            arguments.iter().try_for_each(|a| same_each_time(a, function, place))?;
        }
        let parameters = function.parameters.iter().zip(&function.uses);
        let parts = arguments.iter().zip(parameters).map(|(a, (p, uses))| {
            let argument = Size::of(a).plus(types::cast_size(p.kind));
            argument.times(*uses)
        });
        let size = parts.fold(function.size.plus(types::cast_size(function.returns)), Size::plus);
        self.work = self.work.plus(size);
        if !size.fits(MOST_PUT) || !self.work.fits(MOST_WORK) {
            return Err(too_much(place));
        }
        if self.depth == 0 {
            self.put = self.put.plus(size);
            if !self.put.fits(MOST_PUT) {
                return Err(too_much(place));
            }
        }
        let mut put = Put { function, arguments: &arguments };
        let mut body = function.expr.clone();
        let _ = VisitMut::visit(&mut body, &mut put);
        Ok(types::cast(body, function.returns))
    }
}

fn unknown(name: &str, place: Place, library: &Library) -> SqlMistake {
    let mistake = SqlMistake::new(codes::UNKNOWN_FUNCTION, place, format!("there is no function `{name}`"));
    // Who misspells most often means what the project has.
    let near = nearest::nearest(name, library.names());
    match near.or_else(|| nearest::nearest(name, OVER_A_ROW.iter().chain(OVER_MANY_ROWS).copied())) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None => mistake.help("define it in `library/`"),
    }
}

/// Of a call whose function has a name of one part.
pub(super) fn bare_name(call: &Call) -> Option<(String, Place)> {
    let [part] = call.name.0.as_slice() else { return None };
    let ident = part.as_ident()?;
    Some((normalized(ident), place_of(ident.span)))
}

impl VisitorMut for Writer<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in select.projection.iter_mut().filter(|_| self.names) {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let Some((_, place)) = self.of_library(expr) else { continue };
            let alias = Ident { value: expr.to_string(), quote_style: Some('"'), span: Span::empty() };
            self.unnamed.push((place, alias.clone()));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.look_up(expr);
        if self.of_library(expr).is_some() {
            self.depth += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Some((name, place)) = self.of_library(expr) else { return ControlFlow::Continue(()) };
        self.depth -= 1;
        let Some(function) = self.library.get(&name) else {
            self.flawed = true;
            return ControlFlow::Continue(());
        };
        let Expr::Function(call) = &*expr else { return ControlFlow::Continue(()) };
        match self.written_out(call, function, place) {
            Ok(put) => {
                self.calls.insert(name);
                if self.depth == 0 {
                    let at = self.unnamed.iter().position(|(p, _)| *p == place);
                    let name = at.map(|i| self.unnamed.swap_remove(i).1);
                    self.spots.push(Spot { place, put: put.to_string(), name });
                }
                *expr = put;
            }
            Err(mistake) => {
                let full = mistake.code == codes::FUNCTION_SIZE;
                if !full || !self.full {
                    self.mistakes.push(mistake);
                }
                self.full |= full;
            }
        }
        ControlFlow::Continue(())
    }
}

/// The arguments of a plain call: as many as there are parameters, and nothing else.
fn arguments(call: &Call, function: &Function, place: Place) -> Result<Vec<Expr>, SqlMistake> {
    let wrong = |what: String| {
        SqlMistake::new(codes::FUNCTION_CALL, place, what).help(format!("it is `{}`", function.signature()))
    };
    let name = &function.name;
    let plain = !call.uses_odbc_syntax
        && call.filter.is_none()
        && call.over.is_none()
        && call.null_treatment.is_none()
        && call.within_group.is_empty()
        && matches!(call.parameters, FunctionArguments::None);
    let list = match &call.args {
        FunctionArguments::List(list) if plain && list.duplicate_treatment.is_none() && list.clauses.is_empty() => list,
        FunctionArguments::None if plain => return Err(wrong(format!("`{name}` is called with parentheses"))),
        _ => return Err(wrong(format!("`{name}` is called with its arguments and nothing else"))),
    };
    let positional = |a: &FunctionArg| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    };
    let Some(given) = list.args.iter().map(positional).collect::<Option<Vec<Expr>>>() else {
        return Err(wrong(format!("the arguments of `{name}` are expressions, in the order of its parameters")));
    };
    if !function.takes(given.len()) {
        let are = if given.len() == 1 { "is" } else { "are" };
        return Err(wrong(format!("`{name}` takes {}, and {} {are} given", function.arity(), given.len())));
    }
    let left_out = function.parameters.iter().skip(given.len()).filter_map(|p| p.default.as_deref());
    let defaults = left_out.map(expression).collect::<Result<Vec<Expr>, _>>()?;
    Ok(given.into_iter().chain(defaults).collect())
}

/// An argument is evaluated wherever the function uses it.
fn same_each_time(argument: &Expr, function: &Function, place: Place) -> Result<(), SqlMistake> {
    const BY_CHANCE: [&str; 4] = ["random", "rand", "uuid", "gen_random_uuid"];
    let mut found = None;
    let _: ControlFlow<()> = visit_expressions(argument, |e| {
        if let Expr::Function(f) = e
            && let Some((name, _)) = bare_name(f)
            && BY_CHANCE.contains(&name.as_str())
        {
            found = Some(name);
        }
        ControlFlow::Continue(())
    });
    let Some(chance) = found else { return Ok(()) };
    let message = format!("`{}` would ask `{chance}` anew wherever it uses its argument", function.name);
    Err(SqlMistake::new(codes::SQL_UNSTABLE, place, message).help("store the values first"))
}

/// Puts arguments in place of parameters. What was put in is not looked at again.
struct Put<'a> {
    function: &'a Function,
    arguments: &'a [Expr],
}

impl VisitorMut for Put<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = &*expr {
            let name = normalized(name);
            let at = self.function.parameters.iter().position(|p| p.name == name);
            if let Some((argument, parameter)) = at.map(|i| (&self.arguments[i], &self.function.parameters[i])) {
                *expr = types::cast(argument.clone(), parameter.kind);
            }
        }
        types::once(expr);
        ControlFlow::Continue(())
    }
}
