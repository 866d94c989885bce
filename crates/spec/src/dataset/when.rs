//! `when` of a dataset: the condition under which it takes what waits.
//!
//! Called by the readers of silver and gold. It decides no rows and is no part of the definition version.

use crate::{
    condition::Condition,
    sql,
    yaml::{Fields, Reader},
};

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Condition> {
    let node = f.take("when")?;
    let text = r.text(node)?;
    match sql::condition(&text.value) {
        Ok(condition) => Some(condition),
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}
