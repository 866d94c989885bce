//! Names of environment variables that hold what no file may hold.
//!
//! Called by the readers of sinks and of sources. The value is read where it is used, and never here.

use crate::{
    codes,
    diagnostic::quoted,
    yaml::{Node, Reader, Value},
};
use serde::Serialize;

/// A project reads no other variables: not all that a process was given is meant for it.
const PREFIX: &str = "ALLUVIUM_";
const FORM: &str = "write it as `{ env: ALLUVIUM_HOOK_SECRET }`; a secret itself never stands in a file";

/// A secret, by the environment variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    pub variable: String,
}

/// One, as `{ env: NAME }`, or a list of them.
pub(crate) fn read_all(node: &Node, r: &mut Reader<'_>) -> Option<Vec<Secret>> {
    let secrets: Vec<Secret> = match &node.value {
        Value::List(items) => items.iter().map(|n| read(n, r)).collect::<Option<_>>()?,
        Value::Map(_) | Value::Scalar(_) => vec![read(node, r)?],
    };
    if secrets.is_empty() {
        r.error(codes::INVALID_VALUE, node.place, "there is no secret", Some(FORM.to_owned()));
        return None;
    }
    Some(secrets)
}

pub(crate) fn read(node: &Node, r: &mut Reader<'_>) -> Option<Secret> {
    if let Value::Scalar(_) = &node.value {
        // What stands there may be the secret: the line is not shown.
        r.error(
            codes::INVALID_VALUE,
            crate::source_file::Place::WHOLE,
            "a secret is named, and not written",
            Some(FORM.to_owned()),
        );
        return None;
    }
    let mut f = r.fields(node, "a mapping such as `{ env: ALLUVIUM_HOOK_SECRET }`")?;
    let name = f.require("env", r).and_then(|n| r.name(n));
    f.finish(r);
    let name = name?;
    let rest = name.value.strip_prefix(PREFIX).unwrap_or_default();
    let fits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !fits {
        let help = format!("its name is `{PREFIX}` and then capital letters, digits and `_`");
        r.error(
            codes::INVALID_VALUE,
            name.place,
            format!("{} is no variable that a project may read", quoted(&name.value)),
            Some(help),
        );
        return None;
    }
    Some(Secret { variable: name.value })
}
