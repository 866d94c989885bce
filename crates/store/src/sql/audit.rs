//! Calls that were refused, the newest so many of them.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes. How often it is written is its caller's bound.

use super::{
    Arg, Session,
    codec::{Word, micros, signed},
};
use crate::{Refusal, RefusalKind, StoreError};
use serde::Serialize;

impl Word for RefusalKind {
    const WORDS: &'static [(Self, &'static str)] = Self::WORDS;
}

#[derive(Serialize)]
struct Line<'a>(i64, &'a str, &'a str, &'a str, &'a str, Option<&'a str>, i64);

impl<'a> Line<'a> {
    fn new(r: &'a Refusal) -> Self {
        Self(micros(r.at), RefusalKind::word(r.kind), &r.path, &r.peer, &r.reason, r.id.as_deref(), signed(r.times))
    }
}

pub(super) async fn write(tx: &mut Session<'_>, refusals: &[Refusal], keep: u32) -> Result<(), StoreError> {
    let lines: Vec<Line<'_>> = refusals.iter().map(Line::new).collect();
    tx.execute(
        "INSERT INTO audit (at, kind, path, peer, reason, id, times)
         SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
                CAST(value ->> 6 AS BIGINT)
         FROM json_each($1) ORDER BY key",
        &[Arg::list(&lines)],
    )
    .await?;
    let sql = "DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - $1";
    tx.execute(sql, &[i64::from(keep).into()]).await?;
    Ok(())
}
