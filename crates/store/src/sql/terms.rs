//! What a step needs beside its lease: slots of concurrency keys, and a place in a rate.
//!
//! Called by `leases.rs` of this folder, and for calls by `inbox.rs` and `store.rs`; inside the transaction that gives the lease, so that a slot and the step that holds
//! it change together. A slot counts while the lease of its step holds: nobody has to free those of a process that died.

use super::{
    Row, Session,
    codec::{Cells, micros, number},
};
use crate::{Claim, Rate, Slot, StoreError, Terms, Watch};
use alluvium_model::StepKey;
use jiff::Timestamp;

/// A step that was refused and does not ask again within this time has lost its place among those that wait.
const KEEPS_PLACE_MICROS: i64 = 5_000_000;

/// Takes all of it, or tells what is missing.
pub(super) async fn take(
    tx: &mut Session<'_>,
    step: &StepKey,
    seq: i64,
    terms: &Terms,
    watch: &Watch<'_>,
) -> Result<Option<Claim>, StoreError> {
    let slots: Vec<(String, &Slot)> = terms.slots.iter().map(|s| (format!("slot {}", s.key), s)).collect();
    let rate: Option<(String, &Rate)> = terms.rate.as_ref().map(|r| (name_of(r), r));
    let asker = Asker { step, seq, now: micros(watch.now) };
    let keys: Vec<&str> = slots.iter().map(|(k, _)| k.as_str()).chain(rate.iter().map(|(k, _)| k.as_str())).collect();
    if keys.is_empty() {
        return Ok(None);
    }
    tx.take_keys(&keys).await?;
    for (key, slot) in &slots {
        let taken = holders(tx, key, watch).await?.saturating_add(asker.before(tx, key).await?);
        if taken >= i64::from(slot.limit) {
            asker.wait(tx, key).await?;
            return Ok(Some(Claim::Full { key: slot.key.clone() }));
        }
    }
    if let Some((key, rate)) = &rate {
        let before = asker.before(tx, key).await?;
        if let Some(until) = begin_after(tx, rate, asker.now, before).await? {
            asker.wait(tx, key).await?;
            return Ok(Some(Claim::Throttled { key: rate.key.clone(), until }));
        }
    }
    for (key, _) in &slots {
        let sql = "INSERT INTO slots (key, step) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[key.as_str().into(), step.as_str().into()]).await?;
    }
    tx.execute("DELETE FROM waiting WHERE step = $1", &[step.as_str().into()]).await?;
    Ok(None)
}

/// Until the transaction ends nobody else takes a place in these rates.
pub(super) async fn take_rates(tx: &mut Session<'_>, rates: impl Iterator<Item = &Rate>) -> Result<(), StoreError> {
    let keys: Vec<String> = rates.map(name_of).collect();
    if keys.is_empty() { Ok(()) } else { tx.take_keys(&keys).await }
}

/// For who waits in no row, as calls do: takes a place, or tells when there is one.
pub(super) async fn pace(tx: &mut Session<'_>, rate: &Rate, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    take_rates(tx, std::iter::once(rate)).await?;
    begin_now(tx, std::slice::from_ref(rate), now).await
}

/// As [`pace`], of rates that the transaction has taken: a place in each of them, or in none.
pub(super) async fn begin_now(
    tx: &mut Session<'_>,
    rates: &[Rate],
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let (mut begun, mut free) = (Vec::with_capacity(rates.len()), None::<i64>);
    for rate in rates {
        let key = name_of(rate);
        match begin(rate, full_at(tx, &key).await?, micros(now), 0) {
            Ok(full_at) => begun.push((key, full_at)),
            Err(until) => free = free.max(Some(until)),
        }
    }
    if free.is_some() {
        return Ok(free.map(time_of));
    }
    for (key, full_at) in begun {
        write(tx, &key, full_at).await?;
    }
    Ok(None)
}

async fn begin_after(
    tx: &mut Session<'_>,
    rate: &Rate,
    now: i64,
    before: i64,
) -> Result<Option<Timestamp>, StoreError> {
    let key = name_of(rate);
    match begin(rate, full_at(tx, &key).await?, now, before) {
        Ok(full_at) => write(tx, &key, full_at).await.map(|()| None),
        Err(until) => Ok(Some(time_of(until))),
    }
}

async fn write(tx: &mut Session<'_>, key: &str, full_at: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO rates (key, full_at) VALUES ($1, $2)
               ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at";
    tx.execute(sql, &[key.into(), full_at.into()]).await?;
    Ok(())
}

fn time_of(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

fn name_of(rate: &Rate) -> String {
    format!("rate {}", rate.key)
}

/// A step that asks for a key.
struct Asker<'a> {
    step: &'a StepKey,
    seq: i64,
    now: i64,
}

impl Asker<'_> {
    /// How many that were planned before it wait for the key. Who waits until a time that no clock of today would give was told
    /// by one that has been set back since.
    async fn before(&self, tx: &mut Session<'_>, key: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) AS waiting FROM waiting WHERE key = $1 AND seq < $2 AND until > $3 AND until <= $4";
        let latest = self.now.saturating_add(KEEPS_PLACE_MICROS);
        let row = tx.row(sql, &[key.into(), self.seq.into(), self.now.into(), latest.into()]).await?;
        row.map_or(Ok(0), |row| Cells(&row).integer("waiting"))
    }

    async fn wait(&self, tx: &mut Session<'_>, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM waiting WHERE key = $1 AND until <= $2";
        tx.execute(sql, &[key.into(), self.now.into()]).await?;
        let sql = "INSERT INTO waiting (key, step, seq, until) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (key, step) DO UPDATE SET seq = excluded.seq, until = excluded.until";
        let until = self.now.saturating_add(KEEPS_PLACE_MICROS);
        tx.execute(sql, &[key.into(), self.step.as_str().into(), self.seq.into(), until.into()]).await?;
        Ok(())
    }
}

async fn holders(tx: &mut Session<'_>, key: &str, watch: &Watch<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT l.host, l.process, l.started_ticks, l.until FROM slots AS s JOIN leases AS l ON l.step = s.step
               WHERE s.key = $1";
    let holds = |row: &Row| Ok(watch.holds(&Cells(row).owner()?, Cells(row).time("until")?));
    let held: Vec<bool> = tx.rows(sql, &[key.into()]).await?.iter().map(holds).collect::<Result<_, StoreError>>()?;
    Ok(number(held.into_iter().filter(|h| *h).count()))
}

async fn full_at(tx: &mut Session<'_>, key: &str) -> Result<i64, StoreError> {
    let row = tx.row("SELECT full_at FROM rates WHERE key = $1", &[key.into()]).await?;
    row.map_or(Ok(i64::MIN), |row| Cells(&row).integer("full_at"))
}

/// When the rate would be whole again after one more began now, or, in the place of the error, when that one may begin. `before`
/// others wait, and each of them has its turn first.
fn begin(rate: &Rate, full_at: i64, now: i64, before: i64) -> Result<i64, i64> {
    let (limit, burst) = (i64::from(rate.limit.max(1)), i64::from(rate.burst.max(1)));
    let each = (rate.period.micros() / limit).max(1);
    let most = each.saturating_mul(burst);
    // A clock that was set back does not make anybody wait longer than a whole burst.
    let from = full_at.clamp(now, now.saturating_add(most)).saturating_add(each.saturating_mul(before));
    let begun = from.saturating_add(each);
    let free = begun.saturating_sub(most);
    if free <= now { Ok(begun) } else { Err(free) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Span;

    fn rate(limit: u32, burst: u32) -> Rate {
        Rate { key: "k".into(), limit, period: Span::from_secs(60), burst }
    }

    /// The seconds at which attempts begin, when somebody always asks.
    fn begun(rate: &Rate, from: i64, seconds: i64) -> Vec<i64> {
        let (mut full_at, mut all) = (i64::MIN, Vec::new());
        for second in from..from + seconds {
            while let Ok(next) = begin(rate, full_at, second * 1_000_000, 0) {
                full_at = next;
                all.push(second);
            }
        }
        all
    }

    #[test]
    fn a_rate_lets_its_limit_pass_in_each_period() {
        assert_eq!(begun(&rate(3, 1), 0, 90), [0, 20, 40, 60, 80]);
        assert_eq!(begun(&rate(3, 2), 100, 61), [100, 100, 120, 140, 160]);
    }

    #[test]
    fn who_has_to_wait_is_told_how_long() {
        let slow = rate(1, 1);
        let full_at = begin(&slow, i64::MIN, 0, 0).unwrap();
        assert_eq!(begin(&slow, full_at, 1_000_000, 0), Err(60_000_000));
        assert_eq!(begin(&slow, full_at, 1_000_000, 1), Err(120_000_000), "another one is first");
        assert_eq!(begin(&slow, full_at, 60_000_000, 0), Ok(120_000_000));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_up() {
        let slow = rate(1, 1);
        let hour = 3_600_000_000;
        let full_at = begin(&slow, i64::MIN, hour, 0).unwrap();
        assert_eq!(begin(&slow, full_at, 0, 0), Err(60_000_000));
    }
}
