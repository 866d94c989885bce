//! Parts that ODCS allows at many places: tags, custom properties, links, plain documentation.

use crate::{
    compatibility::Mode,
    contract::Action,
    source_file::Spanned,
    yaml::{Fields, Reader},
};

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

/// As [`annotations`]; a custom property `action` says what happens to a row that breaks the rule.
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

/// As [`annotations`], of a whole document; a custom property `compatibility` says what a new version may change.
pub(super) fn annotations_with_mode(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Mode> {
    tags(f, r);
    links(f, r);
    let mut found = None;
    each_custom(f, r, |name, value, r| {
        if name == "compatibility"
            && let Some(n) = value
        {
            found = r.choice(n, &Mode::ALL).map(|m| m.value);
        }
    });
    found
}

pub(super) fn custom(f: &mut Fields<'_>, r: &mut Reader<'_>) {
    each_custom(f, r, |_, _, _| {});
}

pub(super) fn action(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Spanned<Action>> {
    let mut found = None;
    each_custom(f, r, |name, value, r| {
        if name == "action"
            && let Some(n) = value
        {
            found = r.choice(n, &ACTIONS);
        }
    });
    found
}

fn each_custom(
    f: &mut Fields<'_>,
    r: &mut Reader<'_>,
    mut see: impl FnMut(&str, Option<&crate::yaml::Node>, &mut Reader<'_>),
) {
    let Some(n) = f.take("customProperties") else { return };
    for item in r.list(n).unwrap_or_default() {
        let Some(mut f) = r.fields(item, "a mapping with `property` and `value`") else { continue };
        let name = f.require("property", r).and_then(|n| r.name(n));
        texts(&mut f, &["id", "description", "vendor"], r);
        let value = f.take("value");
        f.finish(r);
        if let Some(name) = name {
            see(&name.value, value, r);
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
