//! The `normalize` step: names, white space, case, nulls, values, defaults.
//!
//! Works on text. A typed column is left as it is, except that it can be renamed and that a default fills its nulls. A
//! column to which nothing applies is not copied.

use super::{
    Place, RefineError,
    cast::{Format, cast_constant},
    expression::not_allowed,
    frame::Frame,
    scope::{Scope, State},
    text::{is_text, to_text, value_bytes},
};
use alluvium_spec::{ColumnType, Columns, Contract, Normalize, NullIf};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, Scalar, StringArray, StringBuilder, UInt32Array},
    buffer::{BooleanBuffer, Buffer, NullBuffer},
    compute::{CastOptions, cast_with_options, is_null, kernels::zip::zip, take},
    datatypes::DataType,
};
use hashbrown::HashMap;
use std::{collections::BTreeSet, sync::Arc};

#[derive(Debug)]
pub(super) struct NormalizeOp {
    rename: Vec<(String, String)>,
    trim: Columns,
    null_if: Vec<NullIf>,
    lower: Columns,
    upper: Columns,
    map: Vec<(String, HashMap<String, String>)>,
    default: Vec<Default>,
}

#[derive(Debug)]
struct Default {
    column: String,
    text: ArrayRef,
    /// In the type that the column was cast to before this step.
    typed: Option<ArrayRef>,
}

impl NormalizeOp {
    /// Checks the step and moves `scope` behind it. The second value names the columns that it changes.
    pub fn compile(
        step: &Normalize,
        contract: &Contract,
        scope: &mut Scope,
        place: &Place,
    ) -> Result<(Self, BTreeSet<String>), Vec<RefineError>> {
        let mut changed = BTreeSet::new();
        let mut errors = rename_in(step, scope, place, &mut changed);
        let lists = [&step.trim, &step.lower, &step.upper].into_iter();
        for columns in lists.chain(step.null_if.iter().map(|n| &n.columns)) {
            match columns {
                Columns::None => {}
                Columns::All => changed.extend(scope.columns.keys().cloned()),
                Columns::Named(names) => errors.extend(names.iter().filter_map(|n| known(n, scope, place))),
            }
            if let Columns::Named(names) = columns {
                changed.extend(names.iter().cloned());
            }
        }
        errors.extend(step.map.keys().chain(step.default.keys()).filter_map(|n| known(n, scope, place)));
        changed.extend(step.map.keys().chain(step.default.keys()).cloned());
        for (column, format) in &step.parse {
            errors.extend(set_format(column, format, contract, scope, place).err());
        }
        let mut defaults = Vec::new();
        for (column, text) in &step.default {
            match default(column, text, contract, scope, place) {
                Ok(d) => defaults.push(d),
                Err(e) => errors.push(e),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        check_again(scope, &changed, &defaults);
        let pairs = |m: &std::collections::BTreeMap<String, String>| m.clone().into_iter().collect::<HashMap<_, _>>();
        let op = Self {
            rename: step.rename.clone().into_iter().collect(),
            trim: step.trim.clone(),
            null_if: step.null_if.clone(),
            lower: step.lower.clone(),
            upper: step.upper.clone(),
            map: step.map.iter().map(|(c, m)| (c.clone(), pairs(m))).collect(),
            default: defaults,
        };
        Ok((op, changed))
    }

    pub fn apply(&self, frame: &mut Frame) -> Result<(), RefineError> {
        self.rename(frame)?;
        for (name, column) in frame.columns_mut() {
            if is_text(column.data_type()) && self.concerns(name) {
                *column = Arc::new(self.clean(name, to_text(column)?)?);
            }
        }
        self.default.iter().try_for_each(|d| d.fill(frame))
    }

    fn concerns(&self, name: &str) -> bool {
        self.trim.include(name)
            || self.lower.include(name)
            || self.upper.include(name)
            || self.null_if.iter().any(|n| n.columns.include(name))
            || self.map.iter().any(|(c, _)| c == name)
    }

    fn clean(&self, name: &str, mut text: StringArray) -> Result<StringArray, RefineError> {
        if self.trim.include(name) {
            text = trim(text);
        }
        let nulls = self.null_if.iter().filter(|n| n.columns.include(name));
        let nulls: Vec<&str> = nulls.flat_map(|n| n.values.iter().map(String::as_str)).collect();
        if !nulls.is_empty() {
            text = null_if(text, &nulls);
        }
        if self.lower.include(name) {
            text = recase(text, |b| b.is_ascii_uppercase(), <[u8]>::make_ascii_lowercase, str::to_lowercase);
        }
        if self.upper.include(name) {
            text = recase(text, |b| b.is_ascii_lowercase(), <[u8]>::make_ascii_uppercase, str::to_uppercase);
        }
        if let Some((_, values)) = self.map.iter().find(|(c, _)| c == name) {
            text = replace(text, |v| values.get(v).map(String::as_str));
        }
        Ok(text)
    }

    /// All at once, so that two names can be exchanged. Where bronze has a column of the new name too (a source that
    /// changed its mind), it fills what the old name leaves null.
    fn rename(&self, frame: &mut Frame) -> Result<(), RefineError> {
        let moved: Vec<(&String, ArrayRef)> =
            self.rename.iter().filter_map(|(from, to)| Some((to, frame.remove(from)?))).collect();
        for (to, column) in moved {
            let column = match frame.get(to) {
                Some(other) if column.null_count() > 0 => first_of(&column, other)?,
                _ => column,
            };
            frame.set(to, column);
        }
        Ok(())
    }
}

impl Default {
    fn fill(&self, frame: &mut Frame) -> Result<(), RefineError> {
        let failed = RefineError::arrow("filling in a default");
        let filled = match frame.get(&self.column) {
            None => {
                let one = self.typed.as_ref().unwrap_or(&self.text);
                take(one, &UInt32Array::from(vec![0; frame.rows()]), None).map_err(&failed)?
            }
            Some(column) if column.null_count() == 0 => return Ok(()),
            Some(column) => {
                let fill = self.fitting(column.data_type());
                let column = if fill.is_some() { Arc::clone(column) } else { Arc::new(to_text(column)?) };
                let fill = Scalar::new(fill.unwrap_or_else(|| Arc::clone(&self.text)));
                zip(&is_null(&column).map_err(&failed)?, &fill, &column).map_err(&failed)?
            }
        };
        frame.set(&self.column, filled);
        Ok(())
    }

    /// The default in the column's own type; `None` if it has no such value.
    fn fitting(&self, kind: &DataType) -> Option<ArrayRef> {
        if let Some(typed) = self.typed.as_ref().filter(|t| t.data_type() == kind) {
            return Some(Arc::clone(typed));
        }
        let safe = CastOptions { safe: true, ..CastOptions::default() };
        cast_with_options(&self.text, kind, &safe).ok().filter(|c| c.null_count() == 0)
    }
}

fn known(name: &str, scope: &mut Scope, place: &Place) -> Option<RefineError> {
    if scope.knows(name) {
        scope.read(name);
        return None;
    }
    let (place, nearest) = (Box::new(place.clone().column(name)), scope.nearest(name));
    Some(RefineError::UnknownColumn { place, column: name.to_owned(), nearest })
}

fn rename_in(step: &Normalize, scope: &mut Scope, place: &Place, changed: &mut BTreeSet<String>) -> Vec<RefineError> {
    let mut errors = Vec::new();
    let mut moved = Vec::new();
    for (from, to) in &step.rename {
        if scope.open || scope.columns.contains_key(from) {
            scope.read(from);
        } else {
            errors.extend(known(from, scope, place));
        }
        if !scope.knows(to) && !step.rename.contains_key(to) {
            errors.extend(known(to, scope, place));
        }
        if step.rename.values().filter(|t| *t == to).count() > 1 {
            let place = Box::new(place.clone().column(from));
            errors.push(RefineError::DuplicateColumn { place, column: to.clone() });
        }
        changed.extend([from.clone(), to.clone()]);
        moved.extend(scope.columns.get(from).cloned().map(|state| (to.clone(), state)));
    }
    for from in step.rename.keys() {
        scope.columns.remove(from);
    }
    for (to, state) in moved {
        // Two columns of different types become one text.
        let state = match (scope.columns.get(&to), state) {
            (Some(State::Cast(there)), State::Cast(here)) if *there == here => State::Cast(here),
            (Some(State::Cast(_) | State::Computed(_)), _) => State::Raw(None),
            (Some(State::Raw(_)), State::Cast(_) | State::Computed(_)) => State::Raw(None),
            (_, state) => state,
        };
        scope.columns.insert(to, state);
    }
    errors
}

fn set_format(
    column: &str,
    format: &str,
    contract: &Contract,
    scope: &mut Scope,
    place: &Place,
) -> Result<(), RefineError> {
    let place = place.clone().column(column);
    let Some(kind) = kind_of(contract, column) else {
        let nearest = super::scope::nearest(column, contract.columns.iter().map(|c| &c.name));
        return Err(RefineError::UnknownColumn { place: Box::new(place), column: column.to_owned(), nearest });
    };
    if !matches!(kind, ColumnType::Date | ColumnType::Timestamp | ColumnType::Time) {
        return Err(RefineError::NotApplicable { place: Box::new(place), what: "parse", kind });
    }
    match scope.columns.get_mut(column) {
        Some(State::Raw(slot)) => {
            *slot = Some(Format::new(format, kind).ok_or_else(|| RefineError::BadFormat {
                place: Box::new(place),
                format: format.to_owned(),
                kind,
            })?);
            Ok(())
        }
        _ => Err(not_allowed(&place, "parse after the column was cast or computed".into())),
    }
}

/// A default is written as the contract would have it, whatever the format of the source.
fn default(
    column: &str,
    text: &str,
    contract: &Contract,
    scope: &Scope,
    place: &Place,
) -> Result<Default, RefineError> {
    let constant = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let plain = |typed| Ok(Default { column: column.to_owned(), text: constant(text), typed });
    let Some(kind) = kind_of(contract, column) else {
        return plain(None);
    };
    let bad = || RefineError::BadValue { place: Box::new(place.clone().column(column)), value: text.to_owned(), kind };
    match scope.columns.get(column) {
        Some(State::Raw(Some(format))) => {
            let written = match format.reads(text.as_bytes(), kind) {
                true => text.to_owned(),
                false => format.in_this_format(text, kind).ok_or_else(bad)?,
            };
            Ok(Default { column: column.to_owned(), text: constant(&written), typed: None })
        }
        Some(State::Cast(_)) => plain(Some(cast_constant(text, kind).ok_or_else(bad)?)),
        _ => {
            cast_constant(text, kind).ok_or_else(bad)?;
            plain(None)
        }
    }
}

fn kind_of(contract: &Contract, column: &str) -> Option<ColumnType> {
    contract.columns.iter().find(|c| c.name == column).map(|c| c.kind)
}

/// A text that has to have a form (a time, JSON) is cast again after a change, and so is a computed column with a
/// default, which may have become text.
fn check_again(scope: &mut Scope, changed: &BTreeSet<String>, defaults: &[Default]) {
    for (name, state) in scope.columns.iter_mut().filter(|(n, _)| changed.contains(*n)) {
        let formed = matches!(state, State::Cast(ColumnType::Time | ColumnType::Json));
        let filled = matches!(state, State::Computed(_)) && defaults.iter().any(|d| d.column == *name);
        if formed || filled {
            *state = State::Raw(None);
        }
    }
}

fn first_of(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef, RefineError> {
    let same = first.data_type() == second.data_type();
    let text = |a: &ArrayRef| -> Result<ArrayRef, RefineError> {
        Ok(if same { Arc::clone(a) } else { Arc::new(to_text(a)?) })
    };
    let (first, second) = (text(first)?, text(second)?);
    let failed = RefineError::arrow("joining a renamed column");
    let missing: BooleanArray = is_null(&first).map_err(&failed)?;
    zip(&missing, &second, &first).map_err(&failed)
}

fn trim(text: StringArray) -> StringArray {
    let (offsets, data) = (text.value_offsets(), text.value_data());
    // ASCII white space or the start of a longer character, at either end.
    let suspect = |b: u8| b <= b' ' || b >= 0x7F;
    let touched = offsets.windows(2).any(|ends| {
        let (from, to) = (ends[0] as usize, ends[1] as usize);
        from < to && (suspect(data[from]) || suspect(data[to - 1]))
    });
    if !touched {
        return text;
    }
    let short = |v: &str| v.trim().len() != v.len();
    match text.iter().flatten().any(short) {
        true => rebuild(&text, |v, out| out.append_value(v.trim())),
        false => text,
    }
}

/// Only the validity changes; the bytes stay where they are.
fn null_if(text: StringArray, values: &[&str]) -> StringArray {
    let (offsets, data) = (text.value_offsets(), text.value_data());
    let hit = |row: usize| {
        let value = &data[offsets[row] as usize..offsets[row + 1] as usize];
        values.iter().any(|v| v.as_bytes() == value)
    };
    let hits = BooleanBuffer::collect_bool(text.len(), hit);
    if hits.count_set_bits() == 0 {
        return text;
    }
    let valid = text.nulls().map_or_else(|| !&hits, |n| n.inner() & &!&hits);
    StringArray::new(text.offsets().clone(), text.values().clone(), Some(NullBuffer::new(valid)))
}

/// Changes case in place of a copy of the bytes where all is ASCII, and not at all where nothing would change.
fn recase(
    text: StringArray,
    changes: impl Fn(&u8) -> bool,
    ascii: impl Fn(&mut [u8]),
    unicode: impl Fn(&str) -> String,
) -> StringArray {
    let bytes = value_bytes(&text);
    if !bytes.is_ascii() {
        return rebuild(&text, |v, out| out.append_value(unicode(v)));
    }
    if !bytes.iter().any(changes) {
        return text;
    }
    let mut data = text.value_data().to_vec();
    ascii(&mut data);
    StringArray::new(text.offsets().clone(), Buffer::from_vec(data), text.nulls().cloned())
}

fn replace<'a>(text: StringArray, with: impl Fn(&str) -> Option<&'a str>) -> StringArray {
    match text.iter().flatten().any(|v| with(v).is_some()) {
        true => rebuild(&text, |v, out| out.append_value(with(v).unwrap_or(v))),
        false => text,
    }
}

fn rebuild(text: &StringArray, each: impl Fn(&str, &mut StringBuilder)) -> StringArray {
    let mut out = StringBuilder::with_capacity(text.len(), value_bytes(text).len());
    for value in text {
        match value {
            Some(v) => each(v, &mut out),
            None => out.append_null(),
        }
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[Option<&str>]) -> StringArray {
        values.iter().copied().collect()
    }

    #[test]
    fn trims_white_space_of_any_script() {
        let text = texts(&[Some(" a "), Some("b"), None, Some("\u{3000}c\u{a0}"), Some("é"), Some("")]);
        let want = texts(&[Some("a"), Some("b"), None, Some("c"), Some("é"), Some("")]);
        assert_eq!(trim(text.clone()), want);
        assert_eq!(trim(text.slice(1, 3)), want.slice(1, 3));
        let clean = texts(&[Some("a"), Some("é")]);
        assert_eq!(trim(clean.clone()).values().as_ptr(), clean.values().as_ptr(), "nothing is copied");
    }

    #[test]
    fn null_if_keeps_the_bytes() {
        let text = texts(&[Some("NA"), Some("NAB"), Some(""), None]);
        assert_eq!(null_if(text.clone(), &["NA", ""]), texts(&[None, Some("NAB"), None, None]));
        assert_eq!(null_if(text.slice(1, 2), &["NA", ""]), texts(&[Some("NAB"), None]));
    }

    #[test]
    fn case_changes_for_ascii_and_beyond() {
        let up = |t| recase(t, |b| b.is_ascii_lowercase(), <[u8]>::make_ascii_uppercase, str::to_uppercase);
        assert_eq!(up(texts(&[Some("ua"), None, Some("B6")]).slice(0, 2)), texts(&[Some("UA"), None]));
        assert_eq!(up(texts(&[Some("straße")])), texts(&[Some("STRASSE")]));
    }
}
