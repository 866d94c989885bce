//! What a backfill asks of the simulated lake beside its steps.

use crate::{
    days,
    executor::Sim,
    fault::{Odds, Rejected, ReplyLost, way},
    tables::{Place, Table, Tables},
};
use alluvium_flow::{Beside, Compared, Extent, StepError, Windowed};
use alluvium_model::{DatasetName, RunId, Window};
use alluvium_store::Claimed;
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) struct SimBeside {
    pub(crate) tables: Arc<Tables>,
    pub(crate) sim: Sim,
    pub(crate) odds: Option<Odds>,
}

impl SimBeside {
    async fn table(&self, place: &Place) -> Result<Table, StepError> {
        way(&self.sim, None).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject * 4)) {
            return Err(StepError::new(Rejected));
        }
        Ok(self.tables.get(place).unwrap_or_default())
    }
}

#[async_trait]
impl Beside for SimBeside {
    async fn survey(
        &self,
        _: Windowed<'_>,
        _: &BTreeMap<DatasetName, i64>,
        windows: &[Window],
    ) -> Result<Vec<Extent>, StepError> {
        Ok(vec![Extent::default(); windows.len()])
    }

    async fn touched(
        &self,
        _: Windowed<'_>,
        changes: &BTreeMap<DatasetName, Claimed>,
        windows: &[Window],
    ) -> Result<Vec<bool>, StepError> {
        let mut touched = Vec::new();
        for (input, range) in changes {
            let changed = self.table(&Place::live(input)).await?.between(range.after, range.upto);
            touched.extend(changed.iter().map(|r| days::of_record(r)));
        }
        Ok(windows.iter().map(|w| touched.contains(w)).collect())
    }

    async fn covers(
        &self,
        of: Windowed<'_>,
        inputs: &BTreeMap<DatasetName, i64>,
        range: Window,
    ) -> Result<bool, StepError> {
        let mut rows = Vec::new();
        for (input, version) in inputs {
            rows.extend(days::rows(&self.table(&Place::live(input)).await?.at(*version), &of.dataset.version));
        }
        Ok(rows.iter().all(|row| days::is_within(row, &[range])))
    }

    async fn compare(&self, of: Windowed<'_>, id: &RunId, windows: &[Window]) -> Result<Vec<Compared>, StepError> {
        let live = self.table(&Place::live(&of.dataset.name)).await?;
        let side = self.table(&Place::beside(&of.dataset.name, id)).await?;
        let rows = |table: &Table, w: &Window| table.within(std::slice::from_ref(w)).len() as u64;
        let compared = |w| Compared { live_rows: rows(&live, w), new_rows: rows(&side, w), measures: Vec::new() };
        Ok(windows.iter().map(compared).collect())
    }

    async fn made(&self, dataset: &DatasetName) -> Result<Vec<RunId>, StepError> {
        self.table(&Place::live(dataset)).await?;
        Ok(self.tables.beside(dataset))
    }

    async fn remove(&self, dataset: &DatasetName, id: &RunId) -> Result<(), StepError> {
        way(&self.sim, self.odds).await;
        self.tables.remove(&Place::beside(dataset, id));
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.lose)) { Err(StepError::new(ReplyLost)) } else { Ok(()) }
    }
}
