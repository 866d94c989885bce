//! Parts that ODCS allows at many places: tags, custom properties, links, plain documentation.

use crate::{
    codes,
    compatibility::Mode,
    contract::Action,
    diagnostic::quoted,
    nearest,
    source_file::Spanned,
    yaml::{Fields, Node, Reader, Value},
};

/// Before the names of custom properties that mean something here.
pub(super) const PREFIX: &str = "alluvium.";
/// What happens to a row that breaks a rule; of a property, a rule, a relationship or an object.
pub(super) const ACTION: &str = "action";
/// What a new version may change; of a document.
pub(super) const COMPATIBILITY: &str = "compatibility";

/// How a column is shown to those who may not see it; of a property. Nothing is masked in this version.
pub(super) const MASKING: &str = "masking";

pub(super) const ACTIONS: [(&str, Action); 4] =
    [("warn", Action::Warn), ("quarantine", Action::Quarantine), ("drop", Action::Drop), ("fail", Action::Fail)];

/// Keys with a text (any scalar) that only people read.
pub(super) fn texts(f: &mut Fields<'_>, keys: &[&'static str], r: &mut Reader<'_>) {
    for key in keys {
        if let Some(n) = f.take(key) {
            r.text(n);
        }
    }
}

pub(super) fn booleans(f: &mut Fields<'_>, keys: &[&'static str], r: &mut Reader<'_>) {
    for key in keys {
        if let Some(n) = f.take(key) {
            r.boolean(n);
        }
    }
}

/// `tags`, `customProperties` and `authoritativeDefinitions`.
pub(super) fn annotations(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    tags(f, r);
    custom(f, r);
    links(f, r);
}

pub(super) fn annotations_with_action(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Spanned<Action>> {
    tags(f, r);
    links(f, r);
    action(f, r)
}

pub(super) fn tags(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    let Some(n) = f.take("tags") else { return };
    for tag in r.list(n).unwrap_or_default() {
        r.text(tag);
    }
}

pub(super) fn annotations_with_mode(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Mode> {
    tags(f, r);
    links(f, r);
    own(f, COMPATIBILITY, &Mode::ALL, r).map(|m| m.value)
}

pub(super) fn custom(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    each_custom(f, r, |name, _, r| strange(name, None, r));
}

pub(super) fn action(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Spanned<Action>> {
    own(f, ACTION, &ACTIONS, r)
}

/// Under the prefix the name takes our words only. Without it others may use it for theirs, which stay documentation.
fn own<T: Copy>(
    f: &mut Fields<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
    r: &mut Reader<'_>,
) -> Option<Spanned<T>> {
    let (mut prefixed, mut bare) = (None, None);
    each_custom(f, r, |name, value, r| {
        if name.value.strip_prefix(PREFIX) == Some(key) {
            prefixed = match value {
                Some(n) => r.choice(n, words),
                None => {
                    let message = format!("{} has no value", quoted(&name.value));
                    r.error(codes::MISSING_KEY, name.place, message, None);
                    None
                }
            };
        } else if name.value == key {
            bare = value.and_then(|n| word(n, words));
        } else {
            strange(name, Some(key), r);
        }
    });
    prefixed.or(bare)
}

pub(super) fn word<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Option<Spanned<T>> {
    let Value::Scalar(s) = &node.value else { return None };
    words.iter().find(|(word, _)| *word == s.text).map(|(_, value)| Spanned::new(*value, node.place))
}

/// The prefix is ours, so that a name under it which means nothing at this place is a mistake.
fn strange(name: &Spanned<String>, known: Option<&str>, r: &mut Reader<'_>) {
    let Some(own) = name.value.strip_prefix(PREFIX) else { return };
    if own == MASKING {
        let message =
            format!("{} is not available yet in this version: columns are shown as they are", quoted(&name.value));
        let help = Some("leave out what nobody may see, by a `sql` step".to_owned());
        r.error(codes::NOT_AVAILABLE, name.place, message, help);
    } else {
        let known: Vec<String> = known.into_iter().map(|k| format!("{PREFIX}{k}")).collect();
        let help = nearest::help(&name.value, known.iter().map(String::as_str));
        r.error(codes::UNKNOWN_KEY, name.place, format!("{} means nothing here", quoted(&name.value)), help);
    }
}

fn each_custom(
    f: &mut Fields<'_>,
    r: &mut Reader<'_>,
    mut see: impl FnMut(&Spanned<String>, Option<&Node>, &mut Reader<'_>),
) {
    let Some(n) = f.take("customProperties") else { return };
    for item in r.list(n).unwrap_or_default() {
        let Some(mut f) = r.fields(item, "a mapping with `property` and `value`") else { continue };
        let name = f.require("property", r).and_then(|n| r.name(n));
        texts(&mut f, &["id", "description", "vendor"], r);
        let value = f.take("value");
        f.finish(r);
        if let Some(name) = name {
            see(&name, value, r);
        }
    }
}

pub(super) fn links(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    let Some(n) = f.take("authoritativeDefinitions") else { return };
    for item in r.list(n).unwrap_or_default() {
        let Some(mut f) = r.fields(item, "a mapping with `url` and `type`") else { continue };
        for key in ["url", "type"] {
            if let Some(n) = f.require(key, r) {
                r.text(n);
            }
        }
        texts(&mut f, &["id", "description"], r);
        f.finish(r);
    }
}
