//! A backfill beside its live table: rows and sums of each window, and what differs.
//!
//! Memory is a few numbers for each window and column.

use super::ranges::window_of;
use crate::{
    engine::LakeEngine,
    error::LakeError,
    ingest,
    lanes::{self, Shared},
    meter::Meter,
    scan::{self, Source},
    table::{Place, Table},
    windows,
};
use alluvium_flow::{Compared, Measure, Windowed};
use alluvium_model::{RunId, Window};
use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Field, Float64Type, Schema, SchemaRef, TimestampMicrosecondType},
};
use std::sync::Arc;

/// Sums of floating-point numbers differ by the order in which they were added.
const CLOSE: f64 = 1e-9;

/// The sum of a column over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sum {
    /// Digits after the point, and the number without it.
    Exact {
        sum: i128,
        scale: i8,
    },
    Float(f64),
    /// More than can be held: how much is not known.
    Beyond,
}

/// What one table has of each window.
#[derive(Debug, Clone)]
struct Totals {
    rows: Vec<u64>,
    /// By column, then by window.
    sums: Vec<Vec<Sum>>,
}

pub(super) async fn compare(
    engine: &LakeEngine,
    of: Windowed<'_>,
    id: &RunId,
    windows: &[Window],
) -> Result<Vec<Compared>, LakeError> {
    let name = &of.dataset.name;
    let column = &window_of(of.gold)?.column;
    let new = engine.tables.open(&Place::Beside(name.clone(), id.clone())).await?;
    let new = new.ok_or(LakeError::Worker("what a backfill made is there until it is swapped"))?;
    let live = engine.tables.open(&Place::Dataset(name.clone())).await?;
    let of_new = numbers(&new, column)?;
    let of_live = match &live {
        Some(live) => numbers(live, column)?,
        None => Vec::new(),
    };
    let ours = totals(engine, Some(&new), column, &of_new, windows).await?;
    let both: Vec<Field> =
        of_new.iter().filter_map(|f| of_live.iter().find(|l| l.name() == f.name())).cloned().collect();
    let theirs = totals(engine, live.as_ref(), column, &both, windows).await?;
    let compared = |w: usize| {
        let measure = |(c, field): (usize, &Field)| {
            let new = ours.sums[c][w];
            let live = both.iter().position(|f| f.name() == field.name()).map(|c| theirs.sums[c][w]);
            let differs = live.is_none_or(|live| !live.is_close(new));
            let column = field.name().clone();
            differs.then(|| Measure { column, live: live.map(|l| l.to_string()), new: new.to_string() })
        };
        let measures = of_new.iter().enumerate().filter_map(measure).collect();
        Compared { live_rows: theirs.rows[w], new_rows: ours.rows[w], measures }
    };
    Ok((0..windows.len()).map(compared).collect())
}

/// Columns of numbers, apart from the window's own.
fn numbers(table: &Table, window: &str) -> Result<Vec<Field>, LakeError> {
    let schema = ingest::plain_schema(table.schema()?.as_ref());
    let fields = schema.fields().iter().filter(|f| f.data_type().is_numeric() && f.name() != window);
    Ok(fields.map(|f| f.as_ref().clone()).collect())
}

async fn totals(
    engine: &LakeEngine,
    table: Option<&Table>,
    window: &str,
    columns: &[Field],
    windows: &[Window],
) -> Result<Totals, LakeError> {
    let start = |f: &Field| vec![Sum::nothing(f.data_type()); windows.len()];
    let nothing = Totals { rows: vec![0; windows.len()], sums: columns.iter().map(start).collect() };
    let Some(table) = table else { return Ok(nothing) };
    let stored = ingest::plain_schema(table.schema()?.as_ref());
    // A live table of an older definition need not have the column.
    let Ok(of_window) = stored.field_with_name(window) else { return Ok(nothing) };
    let wanted: Vec<Field> = std::iter::once(of_window).chain(columns).cloned().collect();
    let sources = table.sources()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let meter = engine.tables.meter.clone();
    let adding =
        Adding { sources, wanted: Arc::new(Schema::new(wanted)), windows: windows.to_vec(), nothing: nothing.clone() };
    let work = move |shared: &Shared| adding.up(&meter, shared);
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or(nothing))
}

/// What a lane adds up.
struct Adding {
    sources: Vec<Source>,
    /// The window's column, then those of the sums.
    wanted: SchemaRef,
    windows: Vec<Window>,
    nothing: Totals,
}

impl Adding {
    fn up(&self, meter: &Meter, shared: &Shared) -> Result<Totals, LakeError> {
        let mut totals = self.nothing.clone();
        for source in &self.sources {
            for unit in scan::units(std::slice::from_ref(source))? {
                for batch in unit.read(&self.wanted, meter)? {
                    let batch = batch?;
                    let micros = windows::micros(batch.column(0))?;
                    let micros = micros.as_primitive::<TimestampMicrosecondType>().iter();
                    let place = |m: Option<i64>| m.and_then(|m| windows::index_of(&self.windows, m));
                    let places: Vec<Option<usize>> = micros.map(place).collect();
                    places.iter().flatten().for_each(|w| totals.rows[*w] += 1);
                    for (c, sums) in totals.sums.iter_mut().enumerate() {
                        add(sums, batch.column(c + 1), &places)?;
                    }
                }
                shared.advance(unit.rows)?;
            }
        }
        Ok(totals)
    }
}

fn add(sums: &mut [Sum], values: &ArrayRef, places: &[Option<usize>]) -> Result<(), LakeError> {
    let present = |i: &usize| !values.is_null(*i);
    if let DataType::Decimal128(..) = values.data_type() {
        let numbers = values.as_primitive::<Decimal128Type>();
        for i in (0..values.len()).filter(present) {
            if let Some(w) = places[i] {
                sums[w].add_exact(numbers.value(i));
            }
        }
    } else if values.data_type().is_integer() {
        let numbers = cast(values, &DataType::Decimal128(38, 0))?;
        let numbers = numbers.as_primitive::<Decimal128Type>();
        for i in (0..values.len()).filter(present) {
            if let Some(w) = places[i] {
                sums[w].add_exact(numbers.value(i));
            }
        }
    } else {
        let numbers = cast(values, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        for i in (0..values.len()).filter(present) {
            if let Some(w) = places[i] {
                sums[w].add_float(numbers.value(i));
            }
        }
    }
    Ok(())
}

impl Sum {
    fn nothing(kind: &DataType) -> Self {
        match kind {
            DataType::Decimal128(_, scale) => Self::Exact { sum: 0, scale: *scale },
            kind if kind.is_integer() => Self::Exact { sum: 0, scale: 0 },
            _ => Self::Float(0.0),
        }
    }

    fn add_exact(&mut self, value: i128) {
        if let Self::Exact { sum, .. } = self {
            match sum.checked_add(value) {
                Some(both) => *sum = both,
                None => *self = Self::Beyond,
            }
        }
    }

    fn add_float(&mut self, value: f64) {
        if let Self::Float(sum) = self {
            *sum += value;
        }
    }

    fn is_close(self, other: Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) if a.is_nan() && b.is_nan() => true,
            (Self::Float(a), Self::Float(b)) => a == b || (a - b).abs() <= CLOSE * a.abs().max(b.abs()),
            // Types that changed: as people read them.
            (Self::Exact { scale: a, .. }, Self::Exact { scale: b, .. }) if a != b => self.float() == other.float(),
            (Self::Float(_), Self::Exact { .. }) | (Self::Exact { .. }, Self::Float(_)) => {
                Self::Float(self.float()).is_close(Self::Float(other.float()))
            }
            (Self::Exact { sum: a, .. }, Self::Exact { sum: b, .. }) => a == b,
            (Self::Beyond, _) | (_, Self::Beyond) => false,
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Exact { sum, scale } => sum as f64 / 10_f64.powi(i32::from(scale)),
            Self::Float(f) => f,
            Self::Beyond => f64::INFINITY,
        }
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact { sum, scale } if *scale > 0 => {
                let unit = 10_u128.pow(u32::from(scale.unsigned_abs()));
                let (sign, whole) = (if *sum < 0 { "-" } else { "" }, sum.unsigned_abs());
                write!(f, "{sign}{}.{:0width$}", whole / unit, whole % unit, width = usize::from(scale.unsigned_abs()))
            }
            Self::Exact { sum, .. } => write!(f, "{sum}"),
            Self::Float(sum) => write!(f, "{sum}"),
            Self::Beyond => f.write_str("too large a sum"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, gives_way, ids},
        remote::faulty::without_copies,
    };

    #[tokio::test]
    async fn reading_leaves_its_task_to_others_meanwhile() {
        let world = World::new();
        for n in 0..3 {
            world.append(&World::silver(), &format!("step{n}"), &ids(&[n, n + 10])).await;
        }
        let table = world.table(&World::silver()).await;
        let windows = [Window { from: 0, to: 10 }, Window { from: 10, to: 12 }];
        let columns = [Field::new("id", DataType::Int64, true)];
        let meter = &world.engine.tables.meter;
        let added = gives_way(meter, totals(&world.engine, Some(&table), "id", &columns, &windows));
        let totals = added.expect("added up");
        assert_eq!(totals.rows, [3, 2]);
        let exact = |sum| Sum::Exact { sum, scale: 0 };
        assert_eq!(totals.sums, [[exact(3), exact(21)]]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_in_an_object_store_come_together() {
        let (store, world) = without_copies(12).await;
        let table = world.table(&World::silver()).await;
        let windows = [Window { from: 0, to: 100 }];
        let totals = totals(&world.engine, Some(&table), "id", &[], &windows).await.expect("added up");
        assert_eq!(totals.rows, [12]);
        assert!(store.down.most() > 1, "one after another");
    }

    #[test]
    fn sums_are_told_as_their_columns_are_written() {
        let decimal = |sum| Sum::Exact { sum, scale: 2 };
        assert_eq!(["-0.05", "12.30"], [decimal(-5), decimal(1_230)].map(|s| s.to_string()).each_ref().map(|s| &**s));
        assert_eq!(Sum::Exact { sum: -7, scale: 0 }.to_string(), "-7");
    }

    #[test]
    fn only_floats_may_be_a_little_apart() {
        assert!(Sum::Float(0.1 + 0.2).is_close(Sum::Float(0.3)));
        assert!(!Sum::Float(0.3).is_close(Sum::Float(0.300_001)));
        assert!(Sum::Float(f64::NAN).is_close(Sum::Float(f64::NAN)));
        let exact = |sum| Sum::Exact { sum, scale: 0 };
        assert!(!exact(1_000_000_000_000).is_close(exact(1_000_000_000_001)));
        assert!(exact(3).is_close(Sum::Exact { sum: 300, scale: 2 }));
        let mut full = exact(i128::MAX);
        full.add_exact(1);
        assert_eq!(full, Sum::Beyond);
        assert!(!full.is_close(full) && !full.is_close(exact(1)), "two sums that are not known");
    }
}
