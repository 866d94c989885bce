//! Whether a column's values lie where those of the table lie: PSI and KS, over profiles of both.

use super::{
    columns::unfit,
    found::{Found, Measured, percent, plainly},
    pass::{self, Pass, Seen, Unfit},
    profile::Profile,
};
use crate::{engine::LakeEngine, error::LakeError, files::Files, session, table::Table};
use alluvium_spec::{Distribution, Levels, TimeWindow};
use arrow::{datatypes::Schema, error::ArrowError};
use std::sync::Arc;

/// Parts of the reference that PSI compares.
const PARTS: usize = 10;
/// In place of a part without values, of which no logarithm can be taken.
const LEAST_SHARE: f64 = 1e-4;

/// What is asked of the staged rows.
pub(super) struct Plan<'a> {
    of: &'a Distribution,
    place: Result<usize, Unfit>,
}

pub(super) fn plan<'a>(all: &'a [Distribution], schema: &Schema, pass: &mut Pass) -> Vec<Plan<'a>> {
    let plan = |of: &'a Distribution| {
        let place = pass::number(schema, &of.column).map(|n| pass.ask(pass::profile_of(&n)));
        Plan { of, place }
    };
    all.iter().map(plan).collect()
}

/// Against the table as it was before the step.
pub(super) async fn judge(
    engine: &LakeEngine,
    table: &Table,
    plans: &[Plan<'_>],
    seen: &Seen,
    found: &mut Found,
) -> Result<(), LakeError> {
    let rows = Arc::new(session::provider(table)?);
    let schema = table.schema()?;
    for Plan { of, place } in plans {
        match both(engine, of, place.clone().map(|p| seen.profile(p, 0)), (&schema, &rows)).await? {
            Ok(Some((staged, reference))) => say(of, &staged, &reference, found),
            Ok(None) => {}
            Err(why) => {
                let rule = format!("accept:distribution({})", of.column);
                unfit(rule, "consistency", &[of.psi, of.ks], &why, found);
            }
        }
    }
    Ok(())
}

/// The profiles of the step and of what it is compared with; `None`: one of them has too few values.
async fn both(
    engine: &LakeEngine,
    of: &Distribution,
    staged: Result<Result<Profile, ArrowError>, Unfit>,
    (schema, rows): (&Schema, &Arc<Files>),
) -> Result<Result<Option<(Profile, Profile)>, Unfit>, LakeError> {
    let staged = match staged {
        Ok(staged) => staged?,
        Err(why) => return Ok(Err(why)),
    };
    if staged.values() < of.min_rows {
        return Ok(Ok(None));
    }
    let reference = reference(engine, of, schema, rows).await?;
    Ok(reference.map(|r| (r.values() >= of.min_rows).then_some((staged, r))))
}

fn say(of: &Distribution, staged: &Profile, reference: &Profile, found: &mut Found) {
    let measured = |word: &str, figure: String, levels: &Levels, value: f64| Measured {
        rule: format!("accept:{word}({})", of.column),
        dimension: "consistency",
        checked: staged.values(),
        violations: u64::from(levels.beyond(value).is_some()),
        note: format!(
            "`{}` of {} rows has {figure} against {} rows of the table",
            of.column,
            staged.values(),
            reference.values()
        ),
        figure: None,
    };
    if !of.psi.is_none() {
        let value = psi(reference, staged);
        found.judge(measured("psi", format!("PSI {value:.3}"), &of.psi, value), of.psi.beyond(value), plainly);
    }
    if !of.ks.is_none() {
        let value = ks(reference, staged);
        let shown = format!("KS {:.2} %", value * 100.0);
        found.judge(measured("ks", shown, &of.ks, value), of.ks.beyond(value), percent);
    }
}

/// The table's values, or those of its newest rows.
async fn reference(
    engine: &LakeEngine,
    of: &Distribution,
    schema: &Schema,
    rows: &Arc<Files>,
) -> Result<Result<Profile, Unfit>, LakeError> {
    // A column that came with the step has no values before it.
    let Ok(number) = pass::number(schema, &of.column) else { return Ok(Ok(Profile::default())) };
    let of = match &of.reference {
        None => String::new(),
        Some(TimeWindow { column, size }) => {
            let moment = match pass::moment(schema, column) {
                Ok(moment) => moment,
                Err(why) => return Ok(Err(why)),
            };
            let mut newest = Pass::default();
            let place = newest.ask(format!("max({moment})"));
            let Some(newest) = newest.look(engine, rows, "").await?.moment(place, 0)? else {
                return Ok(Ok(Profile::default()));
            };
            format!("WHERE {moment} > {}", pass::moment_at(newest.saturating_sub(size.micros())))
        }
    };
    let mut all = Pass::default();
    let place = all.ask(pass::profile_of(&number));
    Ok(Ok(all.look(engine, rows, &of).await?.profile(place, 0)?))
}

/// Over parts of the reference, each up to the first value that has the next tenth of it below; the last one is what lies above the ninth.
fn psi(reference: &Profile, staged: &Profile) -> f64 {
    let mut parts: Vec<(f64, f64)> = Vec::with_capacity(PARTS);
    let (mut before, mut next) = ((0.0, 0.0), 1);
    let upto = reference.beside(staged);
    for (r, s) in &upto {
        // A share of exactly so many tenths may be a hair less.
        if next < PARTS && *r + 1e-12 >= next as f64 / PARTS as f64 {
            parts.push((r - before.0, s - before.1));
            before = (*r, *s);
            while next < PARTS && *r + 1e-12 >= next as f64 / PARTS as f64 {
                next += 1;
            }
        }
    }
    parts.push((1.0 - before.0, 1.0 - before.1));
    let share = |s: f64| s.max(LEAST_SHARE);
    parts.iter().map(|(r, s)| (share(*s) - share(*r)) * (share(*s) / share(*r)).ln()).sum()
}

fn ks(reference: &Profile, staged: &Profile) -> f64 {
    reference.beside(staged).iter().map(|(r, s)| (r - s).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(values: &[f64]) -> Profile {
        let mut profile = Profile::default();
        values.iter().for_each(|v| profile.add(*v));
        profile
    }

    /// Values up to `v`, as a share.
    fn upto(values: &[f64], v: f64) -> f64 {
        values.iter().filter(|x| **x <= v).count() as f64 / values.len() as f64
    }

    /// As it is written in books: by the values themselves.
    fn plain(reference: &[f64], staged: &[f64]) -> (f64, f64) {
        let mut sorted = reference.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut edges: Vec<f64> = (1..10).map(|i| sorted[(reference.len() * i).div_ceil(10) - 1]).collect();
        edges.dedup();
        let shares = |values: &[f64]| {
            let at: Vec<f64> = edges.iter().map(|e| upto(values, *e)).chain([1.0]).collect();
            at.iter().scan(0.0, |before, a| Some(a - std::mem::replace(before, *a))).map(|s| s.max(1e-4)).collect()
        };
        let (r, s): (Vec<f64>, Vec<f64>) = (shares(reference), shares(staged));
        let psi = r.iter().zip(&s).map(|(r, s)| (s - r) * (s / r).ln()).sum();
        let all = reference.iter().chain(staged);
        (psi, all.map(|v| (upto(reference, *v) - upto(staged, *v)).abs()).fold(0.0, f64::max))
    }

    /// Numbers that look like chance, and are always the same.
    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        (0..count).map(|_| (0..12).map(|_| next()).sum::<f64>() - 6.0).collect()
    }

    #[track_caller]
    fn alike(reference: &[f64], staged: &[f64], by: f64) -> (f64, f64) {
        let (r, s) = (profile(reference), profile(staged));
        let (ours, plain) = ((psi(&r, &s), ks(&r, &s)), plain(reference, staged));
        assert!((ours.0 - plain.0).abs() <= by && (ours.1 - plain.1).abs() <= by, "{ours:?} is not {plain:?}");
        ours
    }

    #[test]
    fn both_are_what_the_values_themselves_give() {
        // Different values that all have a bin of their own.
        let calm = alike(&noise(2000, 1), &noise(1500, 2), 1e-9);
        assert!(calm.0 < 0.03 && calm.1 < 0.06, "{calm:?}");
        let moved: Vec<f64> = noise(1500, 3).iter().map(|v| v + 0.8).collect();
        let moved = alike(&noise(2000, 1), &moved, 1e-9);
        assert!(moved.0 > 0.4 && moved.1 > 0.25, "{moved:?}");
        // Few different values, one of them new.
        let few = |weights: [usize; 4]| -> Vec<f64> {
            weights.iter().enumerate().flat_map(|(v, n)| std::iter::repeat_n(v as f64, *n)).collect()
        };
        alike(&few([500, 300, 200, 0]), &few([480, 310, 210, 0]), 1e-9);
        let new = alike(&few([500, 300, 200, 0]), &few([300, 200, 100, 400]), 1e-9);
        assert!(new.0 > 1.0, "{new:?}");
    }

    #[test]
    fn beyond_the_bins_they_are_near_it() {
        let moved: Vec<f64> = noise(20_000, 5).iter().map(|v| v.mul_add(1.3, 0.1)).collect();
        alike(&noise(20_000, 4), &moved, 0.005);
    }
}
