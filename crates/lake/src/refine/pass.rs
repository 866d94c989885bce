//! One `validate`: cast, check every rule, and let the rows that broke one leave with all their reasons.

use super::{
    RefineError,
    cast::{Format, cast},
    frame::Frame,
    inside::Inside,
    lookup::Lookup,
    quarantine::Rejected,
    rules::{Rule, Seen, Test},
    text::shown,
    turn::Turn,
    types::arrow_type,
};
use alluvium_spec::{Action, ColumnType};
use arrow::{
    array::{ArrayRef, new_null_array},
    buffer::BooleanBuffer,
};
use std::cell::RefCell;

#[derive(Debug)]
pub(super) struct Pass {
    pub casts: Vec<CastOp>,
    /// Indices of the rules checked here.
    pub rules: Vec<usize>,
    /// Indices of the trees of which rules are checked here.
    pub trees: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct CastOp {
    pub column: String,
    pub kind: ColumnType,
    pub format: Option<Format>,
    /// A later step makes the column: it may stay away for now.
    pub optional: bool,
    /// Index of the rule that a failed cast breaks.
    pub rule: usize,
}

/// What the passes of a step share.
pub(super) struct Shared<'a> {
    pub rules: &'a [Rule],
    pub trees: &'a [Inside],
    pub lookups: &'a [Option<Lookup>],
    pub seen: &'a Seen,
    pub seed: &'a [u8; 16],
    /// The batch's place among the others, where their order matters.
    pub turn: RefCell<Option<Turn<'a>>>,
}

/// The rows that leave a batch, and what was counted on it.
#[derive(Debug)]
pub(super) struct Exits {
    pub rejected: Rejected,
    pub dropped: u64,
    /// Left out because they came late.
    pub late: u64,
    /// Of the rejected ones, those that only came late.
    pub late_aside: u64,
    /// By rule: rows checked, violations.
    pub counts: Vec<(u64, u64)>,
}

/// The rows that broke a rule.
#[derive(Debug)]
pub(super) struct Violation {
    pub rule: usize,
    pub mask: BooleanBuffer,
    /// More about single rows, in ascending order.
    pub notes: Vec<(usize, Why)>,
}

/// More about why a row breaks a rule.
#[derive(Debug)]
pub(super) struct Why {
    pub note: String,
    pub value: Told,
}

/// The value that a reason tells.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// That of the rule's columns.
    OfColumns,
    /// One inside of the column, if there is one.
    Inside(Option<String>),
}

impl Why {
    pub fn of_columns((row, note): (usize, String)) -> (usize, Self) {
        (row, Self { note, value: Told::OfColumns })
    }
}

impl Violation {
    pub fn of_rows(rule: usize, rows: usize, notes: Vec<(usize, String)>) -> Self {
        let notes: Vec<(usize, Why)> = notes.into_iter().map(Why::of_columns).collect();
        let mask = BooleanBuffer::collect_bool(rows, |r| notes.binary_search_by_key(&r, |(row, _)| *row).is_ok());
        Self { rule, mask, notes }
    }
}

impl Exits {
    pub fn new(rules: usize) -> Self {
        Self { rejected: Rejected::default(), dropped: 0, late: 0, late_aside: 0, counts: vec![(0, 0); rules] }
    }

    /// Counts the violations and removes the rows that may not stay. `before` has the columns as they were before
    /// their cast, for the reasons.
    pub fn send_away(
        &mut self,
        frame: &mut Frame,
        violations: &[Violation],
        before: &[(&str, ArrayRef)],
        rules: &[Rule],
    ) -> Result<(), RefineError> {
        for violation in violations {
            self.counts[violation.rule].1 += violation.mask.count_set_bits() as u64;
        }
        let union = |wanted: &dyn Fn(&Rule) -> bool| {
            let masks = violations.iter().filter(|v| wanted(&rules[v.rule])).map(|v| &v.mask);
            masks.fold(None::<BooleanBuffer>, |all, m| Some(all.map_or_else(|| m.clone(), |a| &a | m)))
        };
        let Some(leaving) = union(&Rule::removes) else { return Ok(()) };
        let kept_aside = union(&|r| r.removes() && r.action != Action::Drop);
        if let Some(kept_aside) = &kept_aside {
            for row in kept_aside.set_indices() {
                self.reject(frame, row, violations, before, rules);
            }
        }
        let aside = kept_aside.map_or(0, |k| k.count_set_bits());
        self.dropped += (leaving.count_set_bits() - aside) as u64;
        frame.retain(&!&leaving)
    }

    fn reject(
        &mut self,
        frame: &Frame,
        row: usize,
        violations: &[Violation],
        before: &[(&str, ArrayRef)],
        rules: &[Rule],
    ) {
        self.rejected.begin(frame.origin_of(row));
        for violation in violations.iter().filter(|v| v.mask.value(row)) {
            let rule = &rules[violation.rule];
            let column = |name: &str| {
                let raw = before.iter().find(|(n, _)| *n == name).map(|(_, c)| c);
                raw.or_else(|| frame.get(name)).and_then(|c| shown(c, row))
            };
            let why = violation.notes.binary_search_by_key(&row, |(r, _)| *r).ok().map(|i| &violation.notes[i].1);
            let value = match (why.map_or(&Told::OfColumns, |w| &w.value), rule.columns.as_slice()) {
                (Told::Inside(value), _) => value.clone(),
                (Told::OfColumns, [one]) => column(one),
                (Told::OfColumns, many) => {
                    let values: Vec<Option<String>> = many.iter().map(|c| column(c)).collect();
                    let any = values.iter().any(Option::is_some);
                    any.then(|| values.iter().map(|v| v.as_deref().unwrap_or("null")).collect::<Vec<_>>().join(", "))
                }
            };
            let message = why.map(|why| format!("{}: {}", rule.message, why.note));
            let message = message.as_deref().unwrap_or(&rule.message);
            self.rejected.reason(&rule.id, &rule.columns.join(", "), value.as_deref(), message);
        }
    }

    pub fn checked(&mut self, rule: usize, rows: usize) {
        let checked = &mut self.counts[rule].0;
        // A rule that is checked again, after a step, sees rows that were counted before.
        if *checked == 0 {
            *checked += rows as u64;
        }
    }
}

impl Pass {
    pub fn run(&self, frame: &mut Frame, shared: &Shared<'_>, exits: &mut Exits) -> Result<(), RefineError> {
        let mut before = Vec::with_capacity(self.casts.len());
        let mut violations = self.cast(frame, &mut before, exits)?;
        let unread: Vec<usize> =
            (0..violations.len()).filter(|v| shared.rules[violations[*v].rule].removes()).collect();
        for &index in &self.rules {
            let rule = &shared.rules[index];
            if rule.columns.iter().any(|c| frame.get(c).is_none()) {
                continue;
            }
            exits.checked(index, frame.rows());
            let Some(mut broken) = rule.check(frame, shared.lookups)? else { continue };
            // A value that could not be read is told once, not again as a missing one.
            for failed in unread.iter().map(|v| &violations[*v]) {
                if rule.columns.contains(&shared.rules[failed.rule].columns[0]) {
                    broken.mask = &broken.mask & &!&failed.mask;
                }
            }
            if broken.mask.count_set_bits() > 0 {
                let notes = broken.notes.into_iter().map(Why::of_columns).collect();
                violations.push(Violation { rule: index, mask: broken.mask, notes });
            }
        }
        violations.extend(self.inside(frame, shared)?);
        violations.extend(self.unique(frame, shared, &violations)?);
        exits.send_away(frame, &violations, &before, shared.rules)
    }

    /// Casts in place; what could not be cast comes back as violations.
    fn cast<'a>(
        &'a self,
        frame: &mut Frame,
        before: &mut Vec<(&'a str, ArrayRef)>,
        exits: &mut Exits,
    ) -> Result<Vec<Violation>, RefineError> {
        let mut violations = Vec::new();
        for op in &self.casts {
            let Some(column) = frame.get(&op.column).cloned() else {
                if !op.optional {
                    frame.set(&op.column, new_null_array(&arrow_type(op.kind), frame.rows()));
                }
                continue;
            };
            let done = cast(&column, op.kind, op.format.as_ref())?;
            exits.checked(op.rule, frame.rows());
            if let Some(mask) = done.failed {
                violations.push(Violation { rule: op.rule, mask, notes: Vec::new() });
            }
            frame.set(&op.column, done.array);
            before.push((&op.column, column));
        }
        Ok(violations)
    }

    /// The rules of what is inside of columns.
    fn inside(&self, frame: &Frame, shared: &Shared<'_>) -> Result<Vec<Violation>, RefineError> {
        let mut violations = Vec::new();
        for tree in self.trees.iter().map(|t| &shared.trees[*t]) {
            let Some(column) = frame.get(&tree.column) else { continue };
            let found = tree.check(column, shared.rules, shared.lookups)?;
            violations.extend(found.into_iter().filter(|v| v.rule == tree.cast || self.rules.contains(&v.rule)));
        }
        Ok(violations)
    }

    /// The `unique` rules, among the rows that stay.
    fn unique(
        &self,
        frame: &Frame,
        shared: &Shared<'_>,
        violations: &[Violation],
    ) -> Result<Vec<Violation>, RefineError> {
        let mut rules = Vec::new();
        let mut keys = Vec::new();
        for &index in &self.rules {
            let rule = &shared.rules[index];
            if let Test::Unique(hasher) = &rule.test {
                rules.push(index);
                keys.push(hasher.keys(frame, &rule.columns, shared.seed)?);
            }
        }
        if rules.is_empty() {
            return Ok(Vec::new());
        }
        let leaving: Vec<&BooleanBuffer> =
            violations.iter().filter(|v| shared.rules[v.rule].removes()).map(|v| &v.mask).collect();
        let removes: Vec<bool> = rules.iter().map(|r| shared.rules[*r].removes()).collect();
        let claim = || shared.seen.claim(&keys, &removes, |row| !leaving.iter().any(|m| m.value(row)));
        let broken = match shared.turn.take() {
            Some(turn) => turn.run(claim),
            None => claim(),
        };
        let of = |(at, rule): (usize, &usize)| {
            let rows: Vec<(usize, String)> =
                broken.iter().filter(|(_, r)| *r == at).map(|(row, _)| (*row, String::new())).collect();
            let found = Violation::of_rows(*rule, frame.rows(), rows);
            (!found.notes.is_empty()).then_some(Violation { notes: Vec::new(), ..found })
        };
        Ok(rules.iter().enumerate().filter_map(of).collect())
    }
}
