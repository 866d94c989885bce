//! Values that bronze had put aside when a silver dataset's definition did not name them, once more under the definition that does.
//!
//! Called by `request.rs`. The table is made anew as a whole, in one commit: so each value lands once, whatever the write.

use crate::{Flow, FlowError, Options, Signal, Summary, Tried, drain::look_error};
use alluvium_model::{DatasetName, RunId};
use alluvium_spec::{Dataset, Kind};
use alluvium_store::Value;
use std::collections::BTreeSet;

/// Steps that make rows of a silver dataset, as the state calls them.
const MAKES_ROWS: [&str; 3] = ["refine", "rebuild", "replay_quarantine"];

impl Flow<'_> {
    /// Does nothing where nothing was put aside that the definition names, or where all rows were made under this definition.
    pub(super) async fn replay_rescued(
        &self,
        run: &RunId,
        name: &DatasetName,
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let dataset = self.project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        let silver = dataset.silver().ok_or_else(|| FlowError::NotSilver(name.clone()))?;
        tried.datasets.insert(name.clone());
        self.work_open_steps(run, dataset, summary).await?;
        let wanted = match self.project.datasets.get(&silver.from).map(|d| &d.kind) {
            Some(Kind::Bronze(bronze)) => bronze.expected.as_slice(),
            Some(Kind::Silver(_) | Kind::Gold(_)) | None => &[],
        };
        let mut fields = self.engine.rescued(silver, wanted).await.map_err(|e| look_error(name, e))?;
        if !self.has_older_rows(dataset).await? {
            fields.clear();
        }
        let anew = !fields.is_empty();
        self.report.signal(Signal::Rescued { dataset: name.clone(), fields });
        if anew {
            let options = Options { rebuild: BTreeSet::from([name.clone()]), ..Options::default() };
            self.dataset(run, dataset, &options, summary).await?;
        }
        self.follow(run, tried, summary).await
    }

    /// Whether rows of the table, as it is since it was last made anew, were made under another definition than the present one.
    async fn has_older_rows(&self, dataset: &Dataset) -> Result<bool, FlowError> {
        let tables = self.store.tables(&self.watch()).await?;
        let Some(steps) = tables.iter().find(|t| t.name == "steps") else { return Ok(false) };
        let place = |name: &str| steps.columns.iter().position(|(c, _)| *c == name);
        let (Some(of), Some(kind), Some(state), Some(version)) =
            (place("dataset"), place("kind"), place("state"), place("version"))
        else {
            return Ok(false);
        };
        let text = |row: &[Value], at: usize| match &row[at] {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        };
        let mut older = false;
        for row in &steps.rows {
            let kind = text(row, kind);
            if text(row, of) != dataset.name.to_string() || text(row, state) != "done" || !MAKES_ROWS.contains(&&*kind)
            {
                continue;
            }
            let other = text(row, version) != dataset.version.to_string();
            older = if kind == "rebuild" { other } else { older || other };
        }
        Ok(older)
    }
}
