//! Figures of columns: how they are asked for, and what is said of them.

use super::{
    before::{Figures, Usual},
    found::{Found, Measured, figure, moment, percent, plainly, ratio},
    pass::{self, Pass, Seen, Unfit},
};
use alluvium_spec::{Beyond, ColumnMeasure, Levels, MeasureKind};
use arrow::{datatypes::Schema, error::ArrowError};

/// A measure, and where its answer is.
pub(super) struct Asked<'a> {
    pub(super) measure: &'a ColumnMeasure,
    pub(super) place: Result<usize, Unfit>,
}

/// What is asked of a set of rows.
pub(super) struct Plan<'a> {
    /// Where the number of rows is.
    pub(super) rows: usize,
    pub(super) asked: Vec<Asked<'a>>,
}

pub(super) fn plan<'a>(measures: &'a [ColumnMeasure], schema: &Schema, pass: &mut Pass) -> Plan<'a> {
    let rows = pass.ask("count(*)".to_owned());
    let asked = measures.iter().map(|measure| {
        let place = expression(measure, schema).map(|e| pass.ask(e));
        Asked { measure, place }
    });
    Plan { rows, asked: asked.collect() }
}

fn expression(measure: &ColumnMeasure, schema: &Schema) -> Result<String, Unfit> {
    let column = &measure.column;
    if !measure.and.is_empty() {
        return together(measure, schema);
    }
    Ok(match measure.kind {
        MeasureKind::Nulls => format!("count({})", pass::any(schema, column)?),
        MeasureKind::Distinct => pass::distinct_of(&pass::single(schema, column)?),
        MeasureKind::Min => format!("min({})", pass::number(schema, column)?),
        MeasureKind::Max => format!("max({})", pass::number(schema, column)?),
        MeasureKind::First => format!("min({})", pass::moment(schema, column)?),
        MeasureKind::Last => format!("max({})", pass::moment(schema, column)?),
        MeasureKind::Sum => pass::sum(schema, column)?,
        // Not `count` of the number: the engine names it without its cast, as the count that `nulls` asks for, and refuses two of one name.
        MeasureKind::Mean => {
            let (sum, number) = (pass::sum(schema, column)?, pass::number(schema, column)?);
            format!("{sum} / count(*) FILTER (WHERE {number} IS NOT NULL)")
        }
        MeasureKind::Percentile(_) => pass::profile_of(&pass::number(schema, column)?),
    })
}

/// One text of several columns, none of which is null: different values give different ones.
fn together(measure: &ColumnMeasure, schema: &Schema) -> Result<String, Unfit> {
    let names = std::iter::once(&measure.column).chain(&measure.and);
    let parts = names.map(|name| {
        let text = format!("arrow_cast({}, 'Utf8')", pass::single(schema, name)?);
        Ok(format!("CAST(character_length({text}) AS VARCHAR) || ':' || {text}"))
    });
    Ok(pass::distinct_of(&format!("({})", parts.collect::<Result<Vec<_>, Unfit>>()?.join(" || "))))
}

/// A figure.
pub(super) struct Answer {
    pub(super) value: f64,
    violations: Option<u64>,
}

impl Asked<'_> {
    /// `None`: there is no value of which it could be told.
    pub(super) fn answer(
        &self,
        place: usize,
        rows: u64,
        seen: &Seen,
        row: usize,
    ) -> Result<Option<Answer>, ArrowError> {
        let value = match self.measure.kind {
            MeasureKind::Nulls => {
                let nulls = rows.saturating_sub(seen.count(place, row)?);
                let value = nulls as f64 / rows as f64;
                return Ok((rows > 0).then_some(Answer { value, violations: Some(nulls) }));
            }
            MeasureKind::Percentile(p) => seen.profile(place, row)?.percentile(p),
            MeasureKind::Distinct if rows == 0 => None,
            MeasureKind::First | MeasureKind::Last => seen.moment(place, row)?.map(|micros| micros as f64),
            _ => seen.number(place, row)?,
        };
        Ok(value.map(|value| Answer { value, violations: None }))
    }

    /// The sentence that has the figure.
    pub(super) fn note(&self, value: f64, rows: u64) -> String {
        let (name, shown) = (self.names("`, `"), self.shown(value));
        match self.measure.kind {
            MeasureKind::Nulls => format!("{:.2} % of {rows} rows have no `{name}`", value * 100.0),
            MeasureKind::Distinct => format!("{rows} rows have {shown} different `{name}`"),
            MeasureKind::First => format!("the first `{name}` of {rows} rows is {shown}"),
            MeasureKind::Last => format!("the last `{name}` of {rows} rows is {shown}"),
            MeasureKind::Min => format!("the least `{name}` of {rows} rows is {shown}"),
            MeasureKind::Max => format!("the greatest `{name}` of {rows} rows is {shown}"),
            MeasureKind::Sum => format!("the sum of `{name}` of {rows} rows is {shown}"),
            MeasureKind::Mean => format!("the mean of `{name}` of {rows} rows is {shown}"),
            MeasureKind::Percentile(p) => format!("percentile {p} of `{name}` of {rows} rows is {shown}"),
        }
    }

    pub(super) fn words(&self, b: Beyond) -> String {
        match self.measure.kind {
            _ if self.measure.of_last.is_some() => ratio(b),
            MeasureKind::Nulls => percent(b),
            MeasureKind::First | MeasureKind::Last => format!("{} {}", b.side(), self.shown(b.limit)),
            _ => plainly(b),
        }
    }

    fn shown(&self, value: f64) -> String {
        if self.measure.kind.is_time() { moment(value) } else { figure(value) }
    }

    /// The figure in words, and the level that it passed; the commits before remember it as `key`.
    pub(super) fn verdict(&self, value: f64, rows: u64, before: &[Figures], key: &str) -> (String, Option<Beyond>) {
        let ColumnMeasure { of_last, levels, .. } = self.measure;
        judged(self.note(value, rows), value, (*of_last, levels), before, key)
    }

    pub(super) fn rule(&self) -> String {
        format!("{}({})", self.measure.kind.word(), self.names(", "))
    }

    fn names(&self, between: &str) -> String {
        let more = self.measure.and.iter().flat_map(|name| [between, name.as_str()]);
        std::iter::once(self.measure.column.as_str()).chain(more).collect()
    }

    pub(super) const fn dimension(&self) -> &'static str {
        match self.measure.kind {
            MeasureKind::Nulls => "completeness",
            MeasureKind::Distinct => "coverage",
            _ => "accuracy",
        }
    }
}

/// What cannot be measured is beyond its levels.
pub(super) fn unfit(rule: String, dimension: &'static str, levels: &[Levels], why: &Unfit, found: &mut Found) {
    let is_error = levels.iter().any(|l| l.error_above.is_some() || l.error_below.is_some());
    let note = format!("{rule} cannot be measured: {why}");
    let of = Measured { rule, dimension, checked: 0, violations: 1, note: note.clone(), figure: None };
    found.say(of, Some((is_error, note)));
}

/// The figure in words, and the level that it passed. `before`: what the commits before measured, newest first; where that is too little
/// to compare with, nothing is passed.
pub(super) fn judged(
    note: String,
    value: f64,
    (of_last, levels): (Option<u64>, &Levels),
    before: &[Figures],
    key: &str,
) -> (String, Option<Beyond>) {
    let Some(last) = of_last else { return (note, levels.beyond(value)) };
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    let usual = Usual::of(before.iter().take(last).filter_map(|f| f.get(key).copied()).collect());
    let Some((share, told)) = usual.map(|u| u.share(value)) else { return (note, None) };
    (format!("{note}, {told}"), levels.beyond(share))
}

impl Plan<'_> {
    pub(super) fn judge(&self, seen: &Seen, before: &[Figures], found: &mut Found) -> Result<(), ArrowError> {
        let rows = seen.count(self.rows, 0)?;
        for asked in &self.asked {
            let rule = format!("accept:{}", asked.rule());
            let levels = asked.measure.levels;
            match &asked.place {
                Err(why) => unfit(rule, asked.dimension(), &[levels], why, found),
                Ok(place) => {
                    let Some(Answer { value, violations }) = asked.answer(*place, rows, seen, 0)? else {
                        continue;
                    };
                    // JSON has no others, and times are not compared with those of other commits.
                    let figure = (value.is_finite() && !asked.measure.kind.is_time()).then_some(value);
                    found.figures.extend(figure.map(|f| (asked.rule(), f)));
                    let (note, beyond) = asked.verdict(value, rows, before, &asked.rule());
                    let violations = violations.unwrap_or(u64::from(beyond.is_some()));
                    let of = Measured { rule, dimension: asked.dimension(), checked: rows, violations, note, figure };
                    found.judge(of, beyond, |b| asked.words(b));
                }
            }
        }
        Ok(())
    }
}
