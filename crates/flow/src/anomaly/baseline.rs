//! What a day should have been, from the days before it: a level, a weekday's part, and how far days differ.
//!
//! All of it by medians, so that the unusual days of the past hide none of today's.

use super::Unusual;
use std::f64::consts::FRAC_PI_2;

/// Days that are remembered.
pub(super) const MEMORY: usize = 84;
/// Days of the level: it follows what grows.
const LEVEL: usize = 28;
const WEEK: usize = 7;
/// Below so many days nothing is expected.
pub(super) const LEARNING: usize = 28;
/// A day is unusual from so many times the usual distance on, which heavy tails hardly reach. Figures are many, and greatest values have
/// such tails.
const FAR: f64 = 5.5;
const FAR_FIGURE: f64 = 7.0;
/// And so much farther than all but one of the judged days that were usual. Days of learning do not count: a feed often begins
/// with all there was before.
const FARTHER: f64 = 1.3;
/// Or so many days in a row, on one side, from so many times on, on average and each.
const SHIFT_DAYS: usize = 5;
const SHIFT_MEAN: f64 = 2.5;
const SHIFT_EACH: f64 = 1.25;
/// A distance that came so often before, or nearly so, is the feed's own way, as a batch each month.
const OWN_WAY: usize = 2;
const NEARLY: f64 = 0.6;
/// Of a median of absolute distances to a standard deviation, with what a median of seven takes away.
const MAD_TO_SIGMA: f64 = 1.4826 * 1.1;
/// Variance of a median against that of a mean.
const MEDIAN_VARIANCE: f64 = FRAC_PI_2;

/// How a value is seen, so that its distances are alike whatever its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// By its logarithm; a quarter more, or a fifth less, is the least that is worth a word.
    Count,
    /// Of so many trials; only more of it is, by a hundredth at least.
    Share,
    /// Of either sign, `unit` being its usual size: as it is near zero, and by its logarithm far from it. A fifth more or less is worth a word.
    Number { unit: f64 },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub value: f64,
    /// Of a share: what it is a share of.
    pub of: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub kind: Unusual,
    /// Places in the series.
    pub first: usize,
    pub last: usize,
    pub seen: f64,
    pub expected: f64,
    pub between: (f64, f64),
}

impl Scale {
    fn up(self, x: f64) -> f64 {
        match self {
            Self::Count => x.ln_1p(),
            Self::Share => x.clamp(0.0, 1.0).sqrt().asin(),
            Self::Number { unit } => (x / unit).asinh(),
        }
    }

    fn down(self, y: f64) -> f64 {
        match self {
            Self::Count => y.max(0.0).exp_m1(),
            Self::Share => y.clamp(0.0, FRAC_PI_2).sin().powi(2),
            Self::Number { unit } => y.sinh() * unit,
        }
    }

    /// Standard deviation by chance alone, and the least that is ever believed.
    fn floor(self, expected: f64, of: f64) -> f64 {
        match self {
            Self::Count => (1.0 / (1.0 + self.down(expected)).sqrt()).hypot(0.03),
            Self::Share => (0.5 / of.max(1.0).sqrt()).hypot(0.005),
            Self::Number { .. } => 0.03,
        }
    }

    fn matters(self, seen: f64, expected: f64) -> bool {
        match self {
            Self::Count => (seen - expected).abs() > 0.25_f64.ln_1p(),
            Self::Share => self.down(seen) - self.down(expected) > 0.01,
            Self::Number { unit } => {
                let (seen, expected) = (self.down(seen), self.down(expected));
                (seen - expected).abs() > 0.2 * expected.abs().max(unit * 0.1)
            }
        }
    }

    fn far(self) -> f64 {
        if matches!(self, Self::Number { .. }) { FAR_FIGURE } else { FAR }
    }

    /// Whether something came: a count or a share of nothing tells that nothing did.
    fn came(self, y: f64) -> bool {
        matches!(self, Self::Number { .. }) || y > 0.0
    }

    /// What can be expected.
    fn within(self, y: f64) -> f64 {
        if matches!(self, Self::Number { .. }) { y } else { y.max(0.0) }
    }
}

/// What a day is compared with.
struct Expected {
    at: f64,
    sigma: f64,
    /// Distance from which on it is unusual: what lies far out, and farther than other days did.
    far: f64,
}

struct Series<'a> {
    scale: Scale,
    /// A day that says nothing, as the share of no rows, is `None`.
    days: &'a [Option<Day>],
    seen: Vec<Option<f64>>,
    /// Distance of each judged day, and the same in standard deviations.
    off: Vec<f64>,
    far: Vec<f64>,
    outlier: Vec<bool>,
    /// Outliers that are the feed's own way.
    own: Vec<bool>,
    /// The level counts from here on.
    since: usize,
}

/// The unusual days of a series of consecutive days, in order.
pub(super) fn findings(scale: Scale, days: &[Option<Day>]) -> Vec<Finding> {
    let mut series = Series {
        scale,
        days,
        seen: days.iter().map(|d| d.map(|d| scale.up(d.value))).collect(),
        off: vec![0.0; days.len()],
        far: vec![0.0; days.len()],
        outlier: vec![false; days.len()],
        own: vec![false; days.len()],
        since: 0,
    };
    let mut found = Vec::new();
    for day in 0..days.len() {
        series.judge(day, &mut found);
    }
    found
}

impl Series<'_> {
    fn judge(&mut self, day: usize, found: &mut Vec<Finding>) {
        let (Some(seen), Some(value)) = (self.seen[day], self.days[day]) else { return };
        let Some(expected) = self.expected(day, value.of) else { return };
        self.off[day] = seen - expected.at;
        self.far[day] = self.off[day] / expected.sigma;
        if !self.scale.matters(seen, expected.at) {
            return;
        }
        let finding = |kind, first| Finding {
            kind,
            first,
            last: day,
            seen: value.value,
            expected: self.scale.down(expected.at),
            between: (self.scale.down(expected.at - expected.far), self.scale.down(expected.at + expected.far)),
        };
        if let Some(first) = self.shift(day) {
            let shift = finding(Unusual::Shift, first);
            found.retain(|f| f.first < first || f.kind == Unusual::Silence);
            found.push(shift);
            self.outlier[first..=day].fill(false);
            self.far[first..=day].fill(0.0);
            self.since = first;
        } else if self.off[day].abs() > expected.far {
            let kind = match (self.scale, value.value) {
                (Scale::Count, 0.0) => Unusual::Silence,
                _ if self.far[day] < 0.0 => Unusual::Drop,
                _ => Unusual::Spike,
            };
            self.outlier[day] = true;
            self.own[day] = kind != Unusual::Silence && self.own_way(day);
            if self.own[day] {
                return;
            }
            match found.last_mut().filter(|f| f.kind == kind && f.last + 1 == day) {
                Some(before) => *before = finding(kind, before.first),
                None => found.push(finding(kind, day)),
            }
        }
    }

    /// The days that are remembered and say something.
    fn history(&self, day: usize) -> impl DoubleEndedIterator<Item = (usize, f64)> + '_ {
        let usual = |i: usize| self.seen[i].filter(|_| !self.outlier[i]).map(|y| (i, y));
        (day.saturating_sub(MEMORY)..day).filter_map(usual)
    }

    fn expected(&self, day: usize, of: f64) -> Option<Expected> {
        let history: Vec<_> = self.history(day).collect();
        if history.len() < LEARNING {
            return None;
        }
        // Each week around a day has every weekday once: what is left is the weekday's part, and chance.
        let around = |i: usize| {
            let week = i.saturating_sub(WEEK / 2)..(i + WEEK / 2 + 1).min(day);
            let (mut values, mut known) = ([0.0; WEEK], 0);
            for seen in week.filter_map(|k| self.seen[k].filter(|_| !self.outlier[k])) {
                values[known] = seen;
                known += 1;
            }
            middle(&mut values[..known])
        };
        let off: Vec<_> = history.iter().map(|(i, y)| (i % WEEK, y - around(*i).unwrap_or(*y))).collect();
        let mut season = [0.0; WEEK];
        let mut weeks = [0; WEEK];
        for (weekday, part) in season.iter_mut().enumerate() {
            let of_it = || off.iter().filter(|(w, _)| *w == weekday).map(|(_, o)| *o);
            weeks[weekday] = of_it().count();
            *part = median(of_it()).unwrap_or(0.0);
        }
        // Days on which nothing ever comes are alike, and tell nothing about those on which something does.
        let comes: Vec<_> =
            off.iter().zip(&history).filter(|(_, (_, y))| self.scale.came(*y)).map(|(off, _)| *off).collect();
        let apart: Vec<_> = comes.iter().map(|(w, o)| (o - season[*w]).abs()).collect();
        // The fewer the weeks, the more of the chance the weekdays' parts have taken.
        let weekdays = (0..WEEK).filter(|w| comes.iter().any(|(of, _)| of == w)).count();
        let free = (apart.len() as f64 / apart.len().saturating_sub(weekdays).max(1) as f64).sqrt();
        let chance = median(apart.iter().copied()).unwrap_or(0.0) * MAD_TO_SIGMA * free;
        let mut judged: Vec<_> = history.iter().map(|(i, _)| self.off[*i].abs()).collect();
        judged.sort_unstable_by(|a, b| b.total_cmp(a));
        let recent: Vec<_> = history
            .iter()
            .rev()
            .filter(|(i, _)| *i >= self.since)
            .take(LEVEL)
            .map(|(i, y)| y - season[i % WEEK])
            .collect();
        let level = median(recent.iter().copied())?;
        let at = self.scale.within(level + season[day % WEEK]);
        // Of the day itself, of its weekday's part and of the level.
        let parts = 1.0 + MEDIAN_VARIANCE / weeks[day % WEEK].max(1) as f64 + MEDIAN_VARIANCE / recent.len() as f64;
        let sigma = chance.hypot(self.scale.floor(at, of)) * parts.sqrt();
        Some(Expected { at, sigma, far: (self.scale.far() * sigma).max(FARTHER * judged[1]) })
    }

    /// The first of the days that together lie aside, the given one being the last. A silence is none.
    fn shift(&self, day: usize) -> Option<usize> {
        let judged = || (self.since..=day).rev().filter(|i| self.days[*i].is_some()).take(SHIFT_DAYS);
        let side = self.far[day].signum();
        let aside =
            |i: usize| self.far[i] * side >= SHIFT_EACH && self.days[i].is_some_and(|d| self.scale.came(d.value));
        let sum: f64 = judged().map(|i| self.far[i] * side).sum();
        let wide = judged().count() == SHIFT_DAYS && sum >= SHIFT_MEAN * SHIFT_DAYS as f64;
        (wide && judged().all(aside)).then(|| judged().last()).flatten()
    }

    /// Whether such days came before; of days that follow each other, the first one decides.
    fn own_way(&self, day: usize) -> bool {
        let begins = |i: usize| self.outlier[i] && (i == 0 || !self.outlier[i - 1]);
        if !begins(day) {
            return self.own[day - 1];
        }
        let like = |i: &usize| begins(*i) && self.off[*i] / self.off[day] >= NEARLY;
        (day.saturating_sub(MEMORY)..day).filter(like).count() >= OWN_WAY
    }
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    middle(&mut values.collect::<Vec<_>>())
}

fn middle(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let before = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    Some(before.map_or(*middle, |b| f64::midpoint(b, *middle)))
}
