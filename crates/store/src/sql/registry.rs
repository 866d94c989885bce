//! Versions of contracts and schemas by subject, and when each was in force.
//!
//! Called by `store.rs` of this folder, inside a transaction. Who writes takes the registry's only row first, so that two who register
//! at once come one after the other; it changes seldom. Whether a version may be registered is decided elsewhere.

use super::{
    Row, Session,
    codec::{Cells, micros},
};
use crate::{InForce, NewSchema, Registered, Registry, SchemaVersion, StoreError};
use jiff::Timestamp;

const TAKE: &str = "SELECT revision, last_id FROM registry FOR UPDATE";

/// Of one subject, or of all.
pub(super) async fn read(tx: &mut Session<'_>, subject: Option<&str>) -> Result<Registry, StoreError> {
    let sql = "SELECT revision, mode FROM registry";
    let row = tx.row(sql, &[]).await?.ok_or_else(|| StoreError::unknown("registry", 1))?;
    let (revision, default_mode) = (Cells(&row).count("revision")?, Cells(&row).optional_text("mode")?);
    let (all, one) = (i64::from(subject.is_none()), subject.unwrap_or_default());
    let of = [all.into(), one.into()];
    let sql = "SELECT subject, mode FROM subjects WHERE ($1 = 1 OR subject = $2) AND mode IS NOT NULL ORDER BY subject";
    let modes = tx.rows(sql, &of).await?;
    let modes = modes.iter().map(|row| Ok((Cells(row).text("subject")?, Cells(row).text("mode")?)));
    let modes = modes.collect::<Result<_, StoreError>>()?;
    let sql = "SELECT v.subject, v.number, v.schema, s.language, s.identity, s.fingerprint, s.text, v.registered_at,
                      v.accepted, v.deleted_at
               FROM schema_versions AS v JOIN schemas AS s ON s.id = v.schema
               WHERE $1 = 1 OR v.subject = $2 ORDER BY v.subject, v.number";
    let versions = tx.rows(sql, &of).await?.iter().map(version).collect::<Result<_, _>>()?;
    let sql = "SELECT subject, number, from_micros, until_micros FROM schemas_in_force
               WHERE $1 = 1 OR subject = $2 ORDER BY subject, turn";
    let in_force = tx.rows(sql, &of).await?.iter().map(in_force).collect::<Result<_, _>>()?;
    Ok(Registry { revision, default_mode, modes, versions, in_force })
}

/// Every version that has this content.
pub(super) async fn by_id(tx: &mut Session<'_>, id: u32) -> Result<Vec<SchemaVersion>, StoreError> {
    let sql = "SELECT v.subject, v.number, v.schema, s.language, s.identity, s.fingerprint, s.text, v.registered_at,
                      v.accepted, v.deleted_at
               FROM schema_versions AS v JOIN schemas AS s ON s.id = v.schema
               WHERE v.schema = $1 ORDER BY v.subject, v.number";
    tx.rows(sql, &[i64::from(id).into()]).await?.iter().map(version).collect()
}

pub(super) async fn register(
    tx: &mut Session<'_>,
    new: &[NewSchema],
    under: u64,
    now: Timestamp,
) -> Result<Registered, StoreError> {
    let Some(mut held) = Held::take(tx, under).await? else { return Ok(Registered::Moved) };
    let mut answers = Vec::with_capacity(new.len());
    for schema in new {
        answers.push(held.register(tx, schema, now).await?);
    }
    held.end(tx).await?;
    Ok(Registered::Done(answers))
}

/// `false`: somebody changed the registry meanwhile, and nothing was changed.
pub(super) async fn set_mode(
    tx: &mut Session<'_>,
    subject: Option<&str>,
    mode: Option<&str>,
    under: u64,
) -> Result<bool, StoreError> {
    let Some(mut held) = Held::take(tx, under).await? else { return Ok(false) };
    let mode = mode.map_or(super::Arg::Text("".into()), super::Arg::from);
    match subject {
        None => {
            tx.execute("UPDATE registry SET mode = nullif($1, '')", &[mode]).await?;
        }
        Some(subject) => {
            let sql = "INSERT INTO subjects (subject, last_number, mode) VALUES ($1, 0, nullif($2, ''))
                       ON CONFLICT (subject) DO UPDATE SET mode = excluded.mode";
            tx.execute(sql, &[subject.into(), mode]).await?;
        }
    }
    held.changed = true;
    held.end(tx).await?;
    Ok(true)
}

/// `false`: somebody changed the registry meanwhile, and nothing was changed.
pub(super) async fn delete(
    tx: &mut Session<'_>,
    subject: &str,
    numbers: &[u32],
    for_good: bool,
    under: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(mut held) = Held::take(tx, under).await? else { return Ok(false) };
    for number in numbers {
        let which = [subject.into(), i64::from(*number).into(), micros(now).into()];
        let sql = "UPDATE schema_versions SET deleted_at = $3
                   WHERE subject = $1 AND number = $2 AND deleted_at IS NULL";
        tx.execute(sql, &which).await?;
        let sql = "UPDATE schemas_in_force SET until_micros = $3
                   WHERE subject = $1 AND number = $2 AND until_micros IS NULL";
        tx.execute(sql, &which).await?;
        if for_good {
            let which = &which[..2];
            tx.execute("DELETE FROM schemas_in_force WHERE subject = $1 AND number = $2", which).await?;
            tx.execute("DELETE FROM schema_versions WHERE subject = $1 AND number = $2", which).await?;
        }
    }
    if for_good {
        let sql = "DELETE FROM schemas WHERE id NOT IN (SELECT schema FROM schema_versions)";
        tx.execute(sql, &[]).await?;
    }
    // What is left of the subject goes on under its newest version.
    let sql = "SELECT number FROM schema_versions WHERE subject = $1 AND deleted_at IS NULL
               ORDER BY number DESC LIMIT 1";
    if let Some(row) = tx.row(sql, &[subject.into()]).await?
        && current(tx, subject).await?.is_none()
    {
        put_in_force(tx, subject, Cells(&row).small("number")?, now).await?;
    }
    held.changed = true;
    held.end(tx).await?;
    Ok(true)
}

/// The registry, taken until the transaction ends.
struct Held {
    revision: i64,
    last_id: i64,
    changed: bool,
}

impl Held {
    /// `None`: it is at another revision.
    async fn take(tx: &mut Session<'_>, under: u64) -> Result<Option<Self>, StoreError> {
        let row = tx.row(TAKE, &[]).await?.ok_or_else(|| StoreError::unknown("registry", 1))?;
        let cells = Cells(&row);
        let held = Self { revision: cells.integer("revision")?, last_id: cells.integer("last_id")?, changed: false };
        Ok((held.revision.cast_unsigned() == under).then_some(held))
    }

    async fn register(
        &mut self,
        tx: &mut Session<'_>,
        new: &NewSchema,
        now: Timestamp,
    ) -> Result<(u32, u32), StoreError> {
        let subject = new.subject.as_str();
        let id = self.id(tx, new).await?;
        let sql = "SELECT number FROM schema_versions
                   WHERE subject = $1 AND schema = $2 AND deleted_at IS NULL ORDER BY number DESC LIMIT 1";
        let known = tx.row(sql, &[subject.into(), id.into()]).await?;
        let number = match known {
            Some(row) => Cells(&row).small("number")?,
            None => self.add(tx, new, id, now).await?,
        };
        if current(tx, subject).await? != Some(number) {
            put_in_force(tx, subject, number, now).await?;
            self.changed = true;
        }
        Ok((number, small(id)?))
    }

    /// That of the content, known or new.
    async fn id(&mut self, tx: &mut Session<'_>, new: &NewSchema) -> Result<i64, StoreError> {
        let sql = "SELECT id FROM schemas WHERE language = $1 AND identity = $2";
        if let Some(row) = tx.row(sql, &[new.language.as_str().into(), new.identity.as_str().into()]).await? {
            return Cells(&row).integer("id");
        }
        self.last_id += 1;
        self.changed = true;
        let sql = "INSERT INTO schemas (id, language, identity, fingerprint, text) VALUES ($1, $2, $3, $4, $5)";
        let args = [
            self.last_id.into(),
            new.language.as_str().into(),
            new.identity.as_str().into(),
            new.fingerprint.as_str().into(),
            new.text.as_str().into(),
        ];
        tx.execute(sql, &args).await?;
        Ok(self.last_id)
    }

    async fn add(&mut self, tx: &mut Session<'_>, new: &NewSchema, id: i64, now: Timestamp) -> Result<u32, StoreError> {
        let subject = new.subject.as_str();
        let sql = "INSERT INTO subjects (subject, last_number) VALUES ($1, 1)
                   ON CONFLICT (subject) DO UPDATE SET last_number = subjects.last_number + 1";
        tx.execute(sql, &[subject.into()]).await?;
        let row = tx.row("SELECT last_number FROM subjects WHERE subject = $1", &[subject.into()]).await?;
        let row = row.ok_or_else(|| StoreError::unknown("subject", subject))?;
        let number = Cells(&row).small("last_number")?;
        let sql = "INSERT INTO schema_versions (subject, number, schema, registered_at, accepted)
                   VALUES ($1, $2, $3, $4, $5)";
        let args =
            [subject.into(), i64::from(number).into(), id.into(), micros(now).into(), i64::from(new.accepted).into()];
        tx.execute(sql, &args).await?;
        self.changed = true;
        Ok(number)
    }

    async fn end(self, tx: &mut Session<'_>) -> Result<(), StoreError> {
        if self.changed {
            let sql = "UPDATE registry SET revision = $1, last_id = $2";
            tx.execute(sql, &[(self.revision + 1).into(), self.last_id.into()]).await?;
        }
        Ok(())
    }
}

async fn current(tx: &mut Session<'_>, subject: &str) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT number FROM schemas_in_force WHERE subject = $1 AND until_micros IS NULL";
    tx.row(sql, &[subject.into()]).await?.map(|row| Cells(&row).small("number")).transpose()
}

/// In place of the one that is. Clocks of two machines may differ: no range ends before it began.
async fn put_in_force(tx: &mut Session<'_>, subject: &str, number: u32, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT CAST(coalesce(max(turn), 0) AS BIGINT) AS turn,
                      CAST(coalesce(max(coalesce(until_micros, from_micros)), $2) AS BIGINT) AS last
               FROM schemas_in_force WHERE subject = $1";
    let row = tx.row(sql, &[subject.into(), micros(now).into()]).await?;
    let row = row.ok_or_else(|| StoreError::unknown("subject", subject))?;
    let (turn, last) = (Cells(&row).integer("turn")?, Cells(&row).integer("last")?);
    let at = micros(now).max(last);
    let sql = "UPDATE schemas_in_force SET until_micros = $2 WHERE subject = $1 AND until_micros IS NULL";
    tx.execute(sql, &[subject.into(), at.into()]).await?;
    let sql = "INSERT INTO schemas_in_force (subject, turn, number, from_micros) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[subject.into(), (turn + 1).into(), i64::from(number).into(), at.into()]).await?;
    Ok(())
}

fn small(id: i64) -> Result<u32, StoreError> {
    u32::try_from(id).map_err(|e| StoreError::Unreadable { column: "id", source: Box::new(e) })
}

fn version(row: &Row) -> Result<SchemaVersion, StoreError> {
    let cells = Cells(row);
    Ok(SchemaVersion {
        subject: cells.text("subject")?,
        number: cells.small("number")?,
        id: cells.small("schema")?,
        language: cells.text("language")?,
        identity: cells.text("identity")?,
        fingerprint: cells.text("fingerprint")?,
        text: cells.text("text")?,
        registered_at: cells.time("registered_at")?,
        accepted: cells.integer("accepted")? != 0,
        deleted_at: cells.optional_time("deleted_at")?,
    })
}

fn in_force(row: &Row) -> Result<InForce, StoreError> {
    let cells = Cells(row);
    Ok(InForce {
        subject: cells.text("subject")?,
        number: cells.small("number")?,
        from: cells.time("from_micros")?,
        until: cells.optional_time("until_micros")?,
    })
}
