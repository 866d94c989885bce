//! YAML text to a tree of nodes. Called for every project file.
//!
//! The text is hostile: depth, number of nodes and what aliases copy are bounded, so a small file cannot grow.

use super::node::{Entry, Node, Scalar, ScalarKind, Style, Value};
use crate::{
    codes::{self, Code},
    diagnostic::{Sink, quoted},
    source_file::{Place, SourceFile, Spanned},
};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, Tag};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

const MOST_DEPTH: usize = 64;
const MOST_NODES: usize = 200_000;
/// Bytes of text that aliases may copy in one file.
const MOST_COPIED: usize = 4 << 20;

/// Parses `text`, which is `file`'s text or a part of it at its own place. Reports the first mistake and returns `None`,
/// since what follows a syntax error has no reliable place.
pub(crate) fn parse(text: &str, file: &SourceFile, sink: &mut Sink) -> Option<Node> {
    match Builder::default().run(text) {
        Ok(node) => Some(node),
        Err(e) => {
            sink.report(e.code, file, e.place, e.message, e.help.map(str::to_owned));
            None
        }
    }
}

struct Refused {
    code: Code,
    place: Place,
    message: String,
    help: Option<&'static str>,
}

fn refused(code: Code, place: Place, message: impl Into<String>, help: Option<&'static str>) -> Refused {
    Refused { code, place, message: message.into(), help }
}

/// What an anchor stands for, with its cost, so that a copy can be refused before it is made.
struct Anchored {
    node: Node,
    height: usize,
    nodes: usize,
    bytes: usize,
}

enum Open {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<Spanned<String>> },
}

struct Frame {
    open: Open,
    anchor: usize,
    place: Place,
    /// Of the highest child so far.
    height: usize,
    nodes_before: usize,
    bytes_before: usize,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    bytes: usize,
    copied: usize,
    root: Option<Node>,
}

impl Builder {
    fn run(mut self, text: &str) -> Result<Node, Refused> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MOST_DEPTH,
            block_nesting_limit: MOST_DEPTH,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|e| syntax(&e))?;
            self.event(event, &span)?;
        }
        let empty = Scalar { text: String::new(), kind: ScalarKind::Null, style: Style::Plain };
        Ok(self.root.unwrap_or(Node { value: Value::Scalar(empty), place: Place::START }))
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Refused> {
        let place = place_of(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), place),
            Event::SequenceStart(_, anchor, tag) => {
                let place = Place { length: 1, ..place };
                check_tag(tag.as_deref(), place)?;
                self.open(Open::List(Vec::new()), anchor, place)
            }
            Event::MappingStart(_, anchor, tag) => {
                let place = Place { length: 1, ..place };
                check_tag(tag.as_deref(), place)?;
                self.open(Open::Map { entries: Vec::new(), keys: HashSet::new(), key: None }, anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, place),
            Event::DocumentStart(..) if self.root.is_some() => Err(refused(
                codes::YAML,
                place,
                "a second YAML document starts here",
                Some("one file holds one definition"),
            )),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Refused> {
        let forced_text = check_tag(tag, place)? == Some("str");
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
            _ => Style::Quoted,
        };
        let kind = match style {
            Style::Plain if !forced_text => ScalarKind::of_plain(&text),
            _ => ScalarKind::Text,
        };
        self.count(1, place)?;
        let (nodes_before, bytes_before) = (self.nodes - 1, self.bytes);
        self.bytes += text.len();
        let node = Node { value: Value::Scalar(Scalar { text: text.into_owned(), kind, style }), place };
        self.done(node, anchor, 1, nodes_before, bytes_before)
    }

    fn open(&mut self, open: Open, anchor: usize, place: Place) -> Result<(), Refused> {
        if self.stack.len() >= MOST_DEPTH {
            return Err(too_deep(place));
        }
        self.count(1, place)?;
        let (nodes_before, bytes_before) = (self.nodes - 1, self.bytes);
        self.stack.push(Frame { open, anchor, place, height: 0, nodes_before, bytes_before });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Refused> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.open {
            Open::List(items) => Value::List(items),
            Open::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node { value, place: frame.place };
        self.done(node, frame.anchor, frame.height + 1, frame.nodes_before, frame.bytes_before)
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(), Refused> {
        let Some(a) = self.anchors.get(&id) else {
            return Err(refused(codes::YAML, place, "this alias stands inside what it names", None));
        };
        self.copied += a.bytes;
        if self.stack.len() + a.height > MOST_DEPTH {
            return Err(too_deep(place));
        }
        if self.copied > MOST_COPIED || self.nodes + a.nodes > MOST_NODES {
            return Err(too_many(place));
        }
        let (node, height) = (a.node.clone(), a.height);
        let (nodes_before, bytes_before) = (self.nodes, self.bytes);
        self.nodes += a.nodes;
        self.bytes += a.bytes;
        self.done(node, 0, height, nodes_before, bytes_before)
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Refused> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES { Err(too_many(place)) } else { Ok(()) }
    }

    /// A node is complete: it goes into what is open around it, and under its anchor's name.
    fn done(&mut self, node: Node, anchor: usize, height: usize, nodes: usize, bytes: usize) -> Result<(), Refused> {
        if anchor != 0 {
            let anchored =
                Anchored { node: node.clone(), height, nodes: self.nodes - nodes, bytes: self.bytes - bytes };
            self.copied += anchored.bytes;
            if self.copied > MOST_COPIED {
                return Err(too_many(node.place));
            }
            self.anchors.insert(anchor, anchored);
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { entries, keys, key } => match key.take() {
                Some(key) => entries.push(Entry { key, value: node }),
                None => *key = Some(as_key(node, keys)?),
            },
        }
        Ok(())
    }
}

fn as_key(node: Node, keys: &mut HashSet<String>) -> Result<Spanned<String>, Refused> {
    let Value::Scalar(s) = node.value else {
        return Err(refused(codes::YAML, node.place, "a key has to be a text", None));
    };
    if s.text == "<<" && s.style == Style::Plain {
        return Err(refused(
            codes::YAML_FEATURE,
            node.place,
            "merge keys (`<<`) are not read",
            Some("write the keys out"),
        ));
    }
    if !keys.insert(s.text.clone()) {
        let message = format!("the key {} is written twice", quoted(&s.text));
        return Err(refused(codes::DUPLICATE_KEY, node.place, message, Some("keep one of them")));
    }
    Ok(Spanned::new(s.text, node.place))
}

/// The core schema's tag on a node, if any; other tags are refused.
fn check_tag(tag: Option<&Tag>, place: Place) -> Result<Option<&str>, Refused> {
    match tag {
        None => Ok(None),
        Some(t) if t.handle() == "tag:yaml.org,2002:" => Ok(Some(t.suffix())),
        Some(t) if t.handle() == "!" && t.suffix().is_empty() => Ok(Some("str")),
        Some(_) => {
            Err(refused(codes::YAML_FEATURE, place, "tags are not read", Some("remove the tag (the word after `!`)")))
        }
    }
}

fn syntax(error: &granit_parser::ScanError) -> Refused {
    let place = Place { line: error.marker().line().max(1), column: error.marker().col() + 1, length: 1 };
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(place),
        _ => refused(codes::YAML, place, format!("this is no YAML: {}", error.info()), None),
    }
}

fn too_deep(place: Place) -> Refused {
    refused(codes::TOO_LARGE, place, format!("nested deeper than {MOST_DEPTH} levels"), None)
}

fn too_many(place: Place) -> Refused {
    refused(codes::TOO_LARGE, place, "the file holds too many values, aliases counted each time", None)
}

fn place_of(span: &Span) -> Place {
    let (line, column) = (span.start.line().max(1), span.start.col() + 1);
    let length = if span.end.line() == span.start.line() { (span.end.col() + 1).saturating_sub(column) } else { 1 };
    Place { line, column, length: length.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, String) {
        let file = SourceFile::new("t.yaml", text);
        let mut sink = Sink::default();
        let node = parse(text, &file, &mut sink);
        (node, sink.finish().to_string())
    }

    #[test]
    fn values_know_their_places() {
        let (node, said) = read("a: 1\nb:\n  - 'x y'\n  - k\nq: |\n  SELECT 1\n");
        assert_eq!(said, "");
        let node = node.expect("a tree");
        let Some(Value::List(items)) = node.get("b").map(|n| &n.value) else { panic!("a list") };
        assert_eq!(items[0].place, Place { line: 3, column: 5, length: 5 });
        let place = |text: &str, line, column| {
            let node = read(text).0.expect("a tree");
            let inner = Place { line, column, length: 1 };
            let node = node.get("q").expect("a scalar");
            let p = node.place_of_inner(inner);
            (node.first_text_line(), p.line, p.column)
        };
        assert_eq!(place("q: |\n  SELECT 1\n  FROM x", 2, 6), (2, 3, 8));
        assert_eq!(place("q: |-\n\n\n  SELECT 1\n", 3, 1), (2, 4, 3));
        assert_eq!(place("q: SELECT 1\n", 1, 8), (1, 1, 11));
        assert_eq!(place("q: 'SELECT 1'\n", 1, 8), (1, 1, 12));
        assert_eq!(place("q: >\n  SELECT\n  1\n", 1, 8), (2, 2, 3));
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let row = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{row}]\n"));
        }
        assert!(read(&bomb).1.starts_with("error[E0003]"));
        let mut chain = String::from("a0: &a0 [x]\n");
        for i in 1..200 {
            chain.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert!(read(&chain).1.starts_with("error[E0003]: nested deeper"));
        let long = "y".repeat(100_000);
        let copies = "*a,".repeat(1_000);
        assert!(read(&format!("a: &a {long}\nb: [{copies}]\n")).1.starts_with("error[E0003]"));
        assert!(read("a: &a [*a]\n").0.is_none());
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert!(read("a: 1\na: 2\n").1.starts_with("error[E0006]"));
        assert!(read("a: !secret x\n").1.starts_with("error[E0018]"));
        assert!(read("<<: {a: 1}\n").1.starts_with("error[E0018]"));
        assert!(read("a: 1\n---\nb: 2\n").1.starts_with("error[E0004]"));
        assert!(read(&"[".repeat(100_000)).1.starts_with("error[E000"));
        assert!(read("").0.is_some_and(|n| n.is_null()));
    }
}
