//! Alerts, and what the state tells of troubles. Who writes takes the only row of `alerting` first, so that of two who saw the same
//! one tells it.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, Word, micros},
    lanes,
    sets::{open, over},
};
use crate::{Alert, AlertChange, AlertKind, Alerts, DeadGroup, Ending, StoreError, Topic, Troubles, Waiting, Warned};
use alluvium_model::DatasetName;
use jiff::Timestamp;

impl Word for AlertKind {
    const WORDS: &'static [(Self, &'static str)] = Self::WORDS;
}

/// Open ones, and those that were resolved at that time or later.
pub(super) async fn since(tx: &mut Session<'_>, resolved_since: Timestamp) -> Result<Alerts, StoreError> {
    let row = tx.row("SELECT revision FROM alerting", &[]).await?.ok_or_else(|| StoreError::unknown("alerting", 1))?;
    let revision = Cells(&row).count("revision")?;
    let sql = "SELECT id, key, kind, subject, code, summary, opened_at, resolved_at FROM alerts
               WHERE resolved_at IS NULL OR resolved_at >= $1 ORDER BY seq";
    let rows = tx.rows(sql, &[micros(resolved_since).into()]).await?;
    Ok(Alerts { revision, alerts: rows.iter().map(record_of).collect::<Result<_, _>>()? })
}

fn record_of(row: &Row) -> Result<Alert, StoreError> {
    let cells = Cells(row);
    Ok(Alert {
        id: cells.text("id")?,
        key: cells.text("key")?,
        kind: cells.word("kind")?,
        subject: cells.text("subject")?,
        code: cells.optional_text("code")?,
        summary: cells.text("summary")?,
        opened_at: cells.time("opened_at")?,
        resolved_at: cells.optional_time("resolved_at")?,
    })
}

/// `false`: somebody told something meanwhile, and nothing was changed.
pub(super) async fn change(
    tx: &mut Session<'_>,
    changes: &[AlertChange],
    under: u64,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let row = tx.row("SELECT revision FROM alerting FOR UPDATE", &[]).await?;
    let row = row.ok_or_else(|| StoreError::unknown("alerting", 1))?;
    if Cells(&row).count("revision")? != under {
        return Ok(false);
    }
    for change in changes {
        let Alert { id, key, kind, subject, code, summary, opened_at, resolved_at } = &change.alert;
        let changed = match resolved_at {
            None => {
                let sql = "INSERT INTO alerts (id, key, kind, subject, code, summary, opened_at)
                           VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7) ON CONFLICT DO NOTHING";
                let args = [
                    id.as_str().into(),
                    key.as_str().into(),
                    kind.word().into(),
                    subject.as_str().into(),
                    code.as_deref().unwrap_or_default().into(),
                    summary.as_str().into(),
                    micros(*opened_at).into(),
                ];
                tx.execute(sql, &args).await?
            }
            Some(end) => {
                let sql = "UPDATE alerts SET resolved_at = $2 WHERE id = $1 AND resolved_at IS NULL";
                tx.execute(sql, &[id.as_str().into(), micros(*end).into()]).await?
            }
        };
        if changed == 1 {
            let ending = Ending { id: change.event_id.clone(), committed: None, publish: change.publish.clone() };
            lanes::tell(tx, &Topic::Alerts, &ending, at).await?;
        }
    }
    tx.execute("UPDATE alerting SET revision = revision + 1", &[]).await?;
    Ok(true)
}

/// What the view of dead letters tells, by way of the indexes of what is dead and what is open. A code has five characters.
const DEAD: &str = concat!(
    "SELECT dataset, code, count(*) AS letters, min(reason) AS reason
    FROM (SELECT l.dataset, l.reason, CASE WHEN substr(l.reason, 6, 2) = ': ' THEN substr(l.reason, 1, 5) END AS code
          FROM (SELECT e.dataset, coalesce(e.reason, '') AS reason FROM events AS e WHERE e.state = 'dead'
                UNION ALL
                SELECT s.dataset, coalesce(s.error, '') AS reason FROM steps AS s
                WHERE s.state NOT IN ",
    over!(),
    " AND s.state = 'dead' AND s.kind <> 'backfill') AS l) AS c
    GROUP BY dataset, code ORDER BY dataset, code"
);

/// By way of the indexes of what is pending and what is open.
const WAITING: &str = concat!(
    "SELECT dataset, CAST(sum(objects) AS bigint) AS objects, CAST(sum(steps) AS bigint) AS steps, min(since) AS since
    FROM (SELECT e.dataset, count(*) AS objects, 0 AS steps, min(e.received_at) AS since FROM events AS e
          WHERE e.state = 'pending' GROUP BY e.dataset
          UNION ALL
          SELECT s.dataset, 0 AS objects, count(*) AS steps, min(s.planned_at) AS since FROM steps AS s
          WHERE s.state NOT IN ",
    over!(),
    " AND s.state IN ",
    open!(),
    " AND s.kind <> 'backfill' GROUP BY s.dataset) AS w
    GROUP BY dataset ORDER BY dataset"
);

pub(super) async fn troubles(tx: &mut Session<'_>, datasets: &[DatasetName]) -> Result<Troubles, StoreError> {
    let mut troubles = Troubles::default();
    for row in tx.rows(DEAD, &[]).await? {
        let cells = Cells(&row);
        let (code, reason) = (cells.optional_text("code")?, cells.text("reason")?);
        let message = match &code {
            Some(code) => reason[code.len() + 2..].to_owned(),
            None => reason,
        };
        let (dataset, letters) = (cells.dataset("dataset")?, cells.count("letters")?);
        troubles.dead.push(DeadGroup { dataset, code, letters, message });
    }
    for row in tx.rows(WAITING, &[]).await? {
        let cells = Cells(&row);
        troubles.waiting.push(Waiting {
            dataset: cells.dataset("dataset")?,
            objects: cells.count("objects")?,
            steps: cells.count("steps")?,
            since: cells.time("since")?,
        });
    }
    let names = || datasets.iter().map(ToString::to_string);
    // Commits of a backfill are to another table, and a replay says nothing about what arrives.
    let sql = "SELECT n.dataset, s.finished_by AS ended_by, s.run, s.finished_at AS at
               FROM (SELECT value ->> 0 AS dataset FROM json_each($1)) AS n JOIN steps AS s ON s.seq =
                   (SELECT l.seq FROM steps AS l
                    WHERE l.dataset = n.dataset AND l.committed IS NOT NULL AND l.kind <> 'backfill'
                          AND l.kind NOT IN ('replay_quarantine', 'discard') AND l.state = 'done'
                    ORDER BY l.committed DESC LIMIT 1)";
    let mut newest = Vec::new();
    for row in tx.rows(sql, &[Arg::column(names())]).await? {
        let cells = Cells(&row);
        let dataset = cells.dataset("dataset")?;
        newest.push((dataset.to_string(), cells.text("ended_by")?, cells.text("run")?));
        troubles.committed.insert(dataset, cells.time("at")?);
    }
    // A run that planned steps may share them with a worker, and one that was killed leaves them to the next.
    let sql = "WITH n AS (SELECT value ->> 0 AS dataset, value ->> 1 AS ended_by, value ->> 2 AS run
                          FROM json_each($1))
               SELECT s.dataset, q.rule, max(q.note) AS note
               FROM (SELECT e.key, e.dataset FROM n
                         JOIN steps AS e ON e.finished_by = n.ended_by AND e.dataset = n.dataset
                     WHERE e.state = 'done'
                     UNION
                     SELECT p.key, p.dataset FROM n JOIN steps AS p ON p.run = n.run AND p.dataset = n.dataset
                     WHERE p.state = 'done') AS s
                    JOIN quality AS q ON q.step = s.key
               WHERE q.passed = 0 AND (q.rule LIKE 'accept:%' OR q.action = 'warn')
               GROUP BY s.dataset, q.rule ORDER BY s.dataset, q.rule";
    for row in tx.rows(sql, &[Arg::list(&newest)]).await? {
        let cells = Cells(&row);
        troubles.warned.push(Warned {
            dataset: cells.dataset("dataset")?,
            rule: cells.text("rule")?,
            note: cells.optional_text("note")?,
        });
    }
    Ok(troubles)
}
