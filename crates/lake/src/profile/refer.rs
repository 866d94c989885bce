//! Datasets of the project whose keys a column holds.

use super::{rows, scan::Looked};
use crate::{engine::LakeEngine, error::LakeError, refine, silver, table::Place};
use alluvium_model::{DatasetName, Layer};
use alluvium_spec::{
    Project,
    infer::{ColumnFacts, Known, Referred},
};
use arrow::array::Array;
use hashbrown::HashSet;

/// Fewer different values are among the keys by chance.
const ENOUGH: usize = 3;
/// Shorter values, and numbers, are among the keys of many datasets: there the name has to speak for it as well.
const LONG: u64 = 3;

pub(super) async fn find(
    engine: &LakeEngine,
    project: &Project,
    contract: &str,
    looked: &mut Looked,
) -> Result<(), LakeError> {
    // The different values of each column, once a dataset asks for them.
    let mut different: Vec<Option<HashSet<u64>>> = vec![None; looked.facts.columns.len()];
    for (dataset, key) in keyed(project, contract) {
        let Some(version) = engine.tables.head(&Place::Dataset(dataset.clone())).await? else { continue };
        let batches = match silver::lookup(engine, project, &dataset, version, vec![key.clone()]).await {
            Ok(batches) => batches,
            // A reference could not be checked either.
            Err(LakeError::LookupTooLarge { .. }) => continue,
            Err(e) => return Err(e),
        };
        let mut keys = HashSet::new();
        for batch in &batches {
            let text = refine::to_text(batch.column(0))
                .map_err(|source| LakeError::Refine { dataset: dataset.clone(), source })?;
            keys.extend((0..text.len()).filter(|r| text.is_valid(*r)).map(|r| rows::hash(text.value(r))));
        }
        for (place, values) in different.iter_mut().enumerate() {
            let column = &looked.facts.columns[place];
            let Some(named) = may_refer(column, &dataset, &key) else { continue };
            let values = values.get_or_insert_with(|| match &column.known {
                Known::All(values) => values.keys().map(|v| rows::hash(v)).collect(),
                Known::Many => looked.rows.different(place),
            });
            if values.len() < ENOUGH || !values.iter().all(|v| keys.contains(v)) {
                continue;
            }
            let found = Referred {
                dataset: dataset.clone(),
                column: key.clone(),
                found: values.len() as u64,
                keys: keys.len() as u64,
            };
            let better = |old: &Referred| {
                let of_old = may_refer(column, &old.dataset, &old.column) == Some(true);
                (!named, found.keys, &found.dataset) < (!of_old, old.keys, &old.dataset)
            };
            if column.refers.as_ref().is_none_or(better) {
                looked.facts.columns[place].refers = Some(found);
            }
        }
    }
    Ok(())
}

/// Silver datasets with a key of one column, which SQL can name as it is.
fn keyed(project: &Project, contract: &str) -> Vec<(DatasetName, String)> {
    let plain = |c: &str| c.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let of = |d: &alluvium_spec::Dataset| {
        let name = d.contract.as_deref().filter(|c| *c != contract)?;
        match project.contracts.get(name)?.primary_key.as_slice() {
            [key] if plain(key) => Some(key.clone()),
            _ => None,
        }
    };
    let silver = project.datasets.iter().filter(|(n, _)| n.layer() == Layer::Silver && n.name() != contract);
    silver.filter_map(|(n, d)| Some((n.clone(), of(d)?))).collect()
}

/// Whether the column is named like the key or like the dataset; `None`: it holds what no key is.
fn may_refer(c: &ColumnFacts, dataset: &DatasetName, key: &str) -> Option<bool> {
    let integers = c.numbers.not_integer.values == 0;
    let measured = !integers && c.numbers.not_number.values == 0;
    let timed = c.times.not_timestamp.values == 0;
    if c.values == 0 || measured || timed || c.not_json.values == 0 {
        return None;
    }
    let name = c.name.to_lowercase();
    let singular = dataset.name().strip_suffix('s').unwrap_or(dataset.name());
    // Every table can have an `id`, so the name of the dataset has to be beside it.
    let alike = (key.len() > 2 && name.ends_with(&key.to_lowercase())) || name.contains(singular);
    let long = c.longest >= LONG && !integers;
    (alike || long).then_some(alike)
}
