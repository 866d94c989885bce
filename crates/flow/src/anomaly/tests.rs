//! Planted anomalies are found, and feeds that only vary by chance, by weekday and by growth are not reported.

use super::{Anomaly, Unusual, Watched, anomalies};
use alluvium_model::{Balance, DatasetName};
use alluvium_store::{DayFigure, Hour, Past, ROWS, ROWS_PER_WINDOW};
use jiff::{Timestamp, civil::Date};

/// The days of a feed, from 1970-01-01, a Thursday.
type Feed = Vec<Balance>;

/// A quarter after the weeks that are learned from.
const DAYS: usize = 84 + 91;
const SEEDS: u64 = 100;

/// Random numbers that are the same each time.
struct Chance(u64);

impl Chance {
    /// SplitMix64.
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.number() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t with four degrees of freedom, with variance one: far values come often.
    fn heavy(&mut self) -> f64 {
        let squares: f64 = (0..4).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 4.0).sqrt() / 2.0_f64.sqrt()
    }
}

/// About so many records a day, fewer at weekends, growing slowly, with a twentieth invalid.
fn feed(seed: u64, typical: f64, spread: f64, chance: fn(&mut Chance) -> f64) -> Feed {
    let mut random = Chance(seed);
    let day = |day: usize| {
        let weekday = if matches!(day % 7, 2 | 3) { 0.3 } else { 1.0 };
        let growth = (day as f64 * 0.002).exp();
        let mean = typical * weekday * growth * (spread * chance(&mut random)).exp();
        let received = (mean + mean.sqrt() * random.normal()).max(0.0).round();
        let bad = received * 0.05 + (received * 0.05 * 0.95).sqrt() * random.normal();
        balance(received, bad.max(0.0).round())
    };
    (0..DAYS).map(day).collect()
}

fn balance(received: f64, quarantined: f64) -> Balance {
    let (received, quarantined) = (received as u64, (quarantined as u64).min(received as u64));
    Balance { received, quarantined, loaded: received - quarantined, ..Balance::default() }
}

fn name() -> DatasetName {
    "silver.visits".parse().expect("a name")
}

/// At noon of the day after the last.
fn found(feed: &Feed) -> Vec<Anomaly> {
    let hour =
        |(day, balance): (usize, &Balance)| Hour { dataset: name(), hour: day as i64 * 24 + 5, balance: *balance };
    let hours: Vec<_> = feed.iter().enumerate().filter(|(_, b)| b.received > 0).map(hour).collect();
    anomalies(&of_hours(hours), Timestamp::from_second(feed.len() as i64 * 86_400 + 43_200).expect("a time"))
}

fn of_hours(hours: Vec<Hour>) -> Past {
    Past { hours, ..Past::default() }
}

fn date(day: usize) -> Date {
    super::days::date(day as i64)
}

fn told(of: &[Anomaly]) -> Vec<(Watched, Unusual, Date, Date)> {
    of.iter().map(|a| (a.measure.clone(), a.kind, a.first, a.last)).collect()
}

/// In how many of the feeds exactly that is found, and in how many anything else.
fn planted(plant: fn(&mut Feed), expected: &[(Watched, Unusual, Date, Date)]) -> (u64, u64) {
    let mut counts = (0, 0);
    for seed in 0..SEEDS {
        let mut feed = feed(seed, 10_000.0, 0.1, Chance::normal);
        plant(&mut feed);
        let found = told(&found(&feed));
        counts.0 += u64::from(expected.iter().all(|e| found.contains(e)));
        counts.1 += u64::from(found.iter().any(|f| !expected.contains(f)));
    }
    counts
}

const DAY: usize = 150;

#[test]
fn a_drop_a_spike_and_a_silence_are_found_on_their_day() {
    let received = |kind, last| [(Watched::Received, kind, date(DAY), date(last))];
    let drop = planted(|f| f[DAY] = balance(f[DAY].received as f64 * 0.35, 0.0), &received(Unusual::Drop, DAY));
    let spike = planted(
        |f| f[DAY] = balance(f[DAY].received as f64 * 2.5, f[DAY].quarantined as f64 * 2.5),
        &received(Unusual::Spike, DAY),
    );
    let silence = planted(|f| f[DAY..DAY + 3].fill(Balance::default()), &received(Unusual::Silence, DAY + 2));
    assert!([drop, spike, silence].iter().all(|c| c.0 >= SEEDS - 1), "{drop:?} {spike:?} {silence:?}");
    assert!([drop, spike, silence].iter().all(|c| c.1 <= 2), "{drop:?} {spike:?} {silence:?}");
}

#[test]
fn a_shift_is_found_once_and_becomes_what_is_expected() {
    let (mut exact, mut other) = (0, 0);
    for seed in 0..SEEDS {
        let mut feed = feed(seed, 10_000.0, 0.1, Chance::normal);
        for day in &mut feed[DAY..] {
            *day = balance(day.received as f64 * 0.6, day.quarantined as f64 * 0.6);
        }
        let found = found(&feed);
        let is = |a: &&Anomaly| a.kind == Unusual::Shift && a.first >= date(DAY - 2) && a.last <= date(DAY + 8);
        exact += u64::from(found.iter().filter(is).count() == 1);
        other += u64::from(found.iter().any(|a| !is(&a)));
    }
    assert!(exact >= 98 && other <= 4, "{exact} found, {other} with something else");
}

#[test]
fn more_invalid_rows_are_found_and_fewer_are_no_news() {
    let worse = planted(|f| f[DAY].quarantined *= 3, &[(Watched::InvalidShare, Unusual::Spike, date(DAY), date(DAY))]);
    assert_eq!(worse.0, SEEDS);
    let better = planted(|f| f[DAY].quarantined = 0, &[]);
    assert!(worse.1 <= 2 && better.1 <= 2, "{worse:?} {better:?}");
}

#[test]
fn quiet_quarters_raise_nothing() {
    type Kind = (&'static str, fn(u64) -> Feed, u64);
    // With the most false alarms in a hundred feeds of 25 weeks.
    let kinds: [Kind; 7] = [
        ("by chance alone", |s| feed(s, 10_000.0, 0.0, Chance::normal), 0),
        ("by a tenth", |s| feed(s, 10_000.0, 0.1, Chance::normal), 2),
        ("by a third", |s| feed(s, 10_000.0, 0.33, Chance::normal), 2),
        ("few rows", |s| feed(s, 20.0, 0.2, Chance::normal), 1),
        ("heavy tails", |s| feed(s, 10_000.0, 0.15, Chance::heavy), 42),
        ("only on weekdays", |s| masked(s, |day| !matches!(day % 7, 2 | 3)), 4),
        ("one day a week", |s| masked(s, |day| day % 7 == 4), 1),
    ];
    for (kind, of, most) in kinds {
        let alarms: Vec<_> = (0..SEEDS).map(|seed| found(&of(seed)).len() as u64).collect();
        let (all, quarters) = (alarms.iter().sum::<u64>(), alarms.iter().filter(|a| **a > 0).count());
        println!("{kind}: {all} false alarms in {quarters} of {SEEDS} quarters");
        assert!(all <= most, "{kind}: {all} false alarms in {quarters} quarters");
    }
}

fn masked(seed: u64, comes: fn(usize) -> bool) -> Feed {
    let whole = feed(seed, 10_000.0, 0.1, Chance::normal);
    whole.into_iter().enumerate().map(|(day, b)| if comes(day) { b } else { Balance::default() }).collect()
}

#[test]
fn what_comes_each_month_is_the_feeds_own_way() {
    let monthly = |day: usize| day % 30 == 10;
    let mut feed = feed(1, 10_000.0, 0.1, Chance::normal);
    for (day, balance) in feed.iter_mut().enumerate().filter(|(day, _)| monthly(*day)) {
        balance.received *= 5;
        balance.loaded = balance.received - balance.quarantined;
        assert!(day < DAYS);
    }
    let found = told(&found(&feed));
    assert_eq!(found.iter().filter(|f| f.2 > date(84)).count(), 0, "{found:?}");
}

#[test]
fn a_feed_by_the_hour_is_silent_before_its_day_is_over() {
    let day = Balance { received: 400, loaded: 400, ..Balance::default() };
    let by_hour = |until: i64| (0..until).map(|hour| Hour { dataset: name(), hour, balance: day }).collect::<Vec<_>>();
    let at = |hour: i64| Timestamp::from_second(hour * 3600 + 60).expect("a time");
    let (noon, today) = (30 * 24 + 12, date(30));
    assert_eq!(anomalies(&of_hours(by_hour(noon)), at(noon + 1)), []);
    let found = anomalies(&of_hours(by_hour(noon)), at(noon + 5));
    assert_eq!(told(&found), [(Watched::Received, Unusual::Silence, today, today)]);
    assert!(found[0].open);
    // After too little of it nothing is known.
    let short: Vec<_> = by_hour(noon).split_off(20 * 24);
    assert_eq!(anomalies(&of_hours(short), at(noon + 5)), []);
}

#[test]
fn a_feed_that_began_with_all_there_was_hides_nothing_later() {
    let found = planted(
        |f| {
            f[..2].iter_mut().for_each(|day| *day = balance(day.received as f64 * 50.0, 0.0));
            f.truncate(61);
            f[60] = balance(f[60].received as f64 * 0.2, 0.0);
        },
        &[(Watched::Received, Unusual::Drop, date(60), date(60))],
    );
    assert!(found.0 >= SEEDS - 1, "{found:?}");
}

/// Figures of a rule, a day each; `None`: no step.
type Figures = Vec<Option<f64>>;

/// At noon of the day after the last.
fn of_figures(rule: &str, days: &Figures) -> Vec<Anomaly> {
    let figure = |(day, value): (usize, &Option<f64>)| {
        let of =
            |v: f64| DayFigure { dataset: name(), rule: rule.into(), day: day as i64, mean: v, sum: v, checked: 5_000 };
        value.map(of)
    };
    let past = Past { figures: days.iter().enumerate().filter_map(figure).collect(), ..Past::default() };
    anomalies(&past, Timestamp::from_second(days.len() as i64 * 86_400 + 43_200).expect("a time"))
}

fn figures(seed: u64, of: fn(usize, &mut Chance) -> f64) -> Figures {
    let mut random = Chance(seed);
    (0..DAYS).map(|day| Some(of(day, &mut random))).collect()
}

/// Less at weekends, growing slowly.
fn weekly(day: usize) -> f64 {
    if matches!(day % 7, 2 | 3) { 0.3 } else { 1.0 }
}

const FEW: u64 = 20;

type Measured = (&'static str, &'static str, fn(usize, &mut Chance) -> f64);

/// What people measure, and how it varies where nothing is wrong.
const MEASURED: [Measured; 12] = [
    ("mean of amounts", "accept:mean(amount)", |_, r| 42.0 + 1.5 * r.normal()),
    ("mean around zero", "accept:mean(delay)", |_, r| 2.0 * r.normal()),
    ("sum that follows the week", "accept:sum(amount)", |day, r| {
        42_000.0 * weekly(day) * (day as f64 * 0.002 + 0.1 * r.normal()).exp()
    }),
    ("95th percentile", "accept:p95(amount)", |_, r| 120.0 * (0.08 * r.normal()).exp()),
    ("greatest, heavy tails", "accept:max(amount)", |_, r| 900.0 * (0.2 * r.heavy()).exp()),
    ("least, always the same", "accept:min(amount)", |_, _| 1.0),
    ("share of nulls", "accept:nulls(customer)", |_, r| (0.02 + 0.004 * r.normal()).max(0.0)),
    ("no nulls", "accept:nulls(id)", |_, _| 0.0),
    ("few different values", "accept:distinct(region)", |_, r| (5.0 + 0.4 * r.normal()).round().min(5.0)),
    ("different values that follow the week", "accept:distinct(customer)", |day, r| {
        3_000.0 * weekly(day) * (0.05 * r.normal()).exp()
    }),
    ("rows of a table that grows", ROWS, |day, r| (1_000.0 + 20.0 * day as f64 + 3.0 * r.normal()).round()),
    ("rows per window", ROWS_PER_WINDOW, |_, r| (48.0 + 2.0 * r.normal()).round()),
];

#[test]
fn figures_of_quiet_quarters_raise_next_to_nothing() {
    let mut counted = Vec::new();
    for (what, rule, of) in MEASURED {
        let alarms: Vec<_> = (0..SEEDS).map(|seed| of_figures(rule, &figures(seed, of)).len()).collect();
        println!("{what}: {} false alarms in a hundred", alarms.iter().sum::<usize>());
        counted.push((what, alarms.iter().sum::<usize>()));
    }
    let most = |what: &str| if what.contains("heavy tails") { 40 } else { 3 };
    let loud: Vec<_> = counted.iter().filter(|(what, alarms)| *alarms > most(what)).collect();
    assert!(loud.is_empty(), "{loud:?}");
}

#[test]
fn a_figure_that_is_far_out_is_found_on_its_day_in_every_measure() {
    // Ten times as much, or a half of all rows without a value.
    let wrong = |rule: &str, usual: f64| match rule {
        "accept:mean(delay)" => 40.0,
        rule if rule.starts_with("accept:nulls") => 0.5,
        "accept:distinct(region)" => 2.0,
        _ => usual * 10.0,
    };
    let mut counted = Vec::new();
    for (what, rule, of) in MEASURED {
        let mut found = 0;
        for seed in 0..FEW {
            let mut days = figures(seed, of);
            days[DAY] = days[DAY].map(|usual| wrong(rule, usual));
            days.truncate(DAY + 1);
            let is = |a: &Anomaly| a.first == date(DAY) && a.open;
            found += u64::from(of_figures(rule, &days).iter().any(is));
        }
        counted.push((what, found));
    }
    let missed: Vec<_> = counted.iter().filter(|(_, found)| *found < FEW).collect();
    assert!(missed.is_empty(), "{missed:?} of {FEW}");
}

#[test]
fn a_gold_table_that_lost_most_of_its_rows_is_a_drop_against_the_day_before() {
    let mut days = figures(1, |day, _| 1_000.0 + day as f64);
    // Days without a step say nothing, and are passed over.
    days[DAY - 1] = None;
    days[DAY] = days[DAY].map(|rows| rows * 0.3);
    days.truncate(DAY + 1);
    let found = of_figures(ROWS, &days);
    assert_eq!(told(&found), [(Watched::Rows, Unusual::Drop, date(DAY), date(DAY))]);
    let said = found[0].to_string();
    assert!(
        said.starts_with("unusual: drop of rows against the day before on 1970-05-31: 30 % where 100 % was"),
        "{said}"
    );
}

#[test]
fn a_lasting_change_of_a_figure_is_told_once() {
    let mut days = figures(7, |_, r| 42.0 + 1.5 * r.normal());
    days[DAY..].iter_mut().for_each(|d| *d = d.map(|v| v * 1.4));
    let found = of_figures("accept:mean(amount)", &days);
    let kinds: Vec<_> = found.iter().map(|a| (a.measure.word(), a.kind)).collect();
    assert_eq!(kinds, [("mean(amount)", Unusual::Shift)], "{found:?}");
}

#[test]
fn figures_of_any_size_are_judged_and_never_panic() {
    for value in [0.0, -0.0, 1e199, -1e199, f64::MIN_POSITIVE] {
        let mut days: Figures = vec![Some(value); DAYS];
        days[3] = Some(-value);
        days[DAY] = Some(1e199);
        for rule in ["accept:mean(a)", "accept:nulls(a)", ROWS, ROWS_PER_WINDOW, "", "accept:"] {
            of_figures(rule, &days);
        }
    }
}
