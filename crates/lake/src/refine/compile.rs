//! Compiles the steps of a silver dataset against its contract. Needs no data; tells all mistakes at once.

use super::{
    Place, RefineError,
    enrich::EnrichOp,
    expression::{Planner, RowExpr, contract_columns, not_allowed},
    inside::{Inside, trees},
    late::LateOp,
    normalize::NormalizeOp,
    pass::{CastOp, Pass},
    rules::{Rule, RuleCompiler, Test},
    schedule::{Changes, schedule},
    scope::{Scope, State},
    sql::{SqlOp, mentions},
    types::output_schema,
};
use alluvium_model::DatasetName;
use alluvium_spec::{Action, Check, Column, Contract, Enrich, Silver, Step, Write};
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};

/// For each dataset that rules and `enrich` look up, the columns needed.
pub type LookupNeeds = BTreeMap<DatasetName, BTreeSet<String>>;

/// What has to be read before the refinery can be bound.
pub fn lookup_needs(silver: &Silver, contract: &Contract) -> LookupNeeds {
    let mut needs = LookupNeeds::new();
    for step in &silver.steps {
        if let Step::Enrich(e) = step {
            let columns = e.on.iter().chain(&e.take).map(|(_, there)| there.clone());
            needs.entry(e.lookup.clone()).or_default().extend(columns);
        }
    }
    for rule in &contract.rules {
        if let Check::Reference { dataset, to } = rule.check.of_value() {
            needs.entry(dataset.clone()).or_default().extend(to.iter().cloned());
        }
    }
    needs
}

/// The steps of a silver dataset, checked and planned. Shared by the steps of a run; bind it to execute.
#[derive(Debug)]
pub struct Compiled {
    pub(super) ops: Vec<Op>,
    pub(super) rules: Vec<Rule>,
    pub(super) trees: Vec<Inside>,
    pub(super) lookups: Vec<LookupSpec>,
    /// The columns, under the source's own names, that the steps and the contract can read from bronze.
    pub(super) sources: BTreeSet<String>,
    /// With the index of the rule under which its failures are counted.
    pub(super) delete_when: Option<(RowExpr, usize)>,
    pub(super) truncate_when: Option<(RowExpr, usize)>,
    pub(super) late: Option<LateOp>,
    pub(super) schema: SchemaRef,
}

#[derive(Debug)]
pub(super) enum Op {
    Normalize(NormalizeOp),
    Validate(Pass),
    Enrich(EnrichOp),
    Sql(SqlOp),
}

/// A hash table to prepare.
#[derive(Debug)]
pub(super) struct LookupSpec {
    pub dataset: DatasetName,
    pub on: Vec<String>,
    pub take: Vec<String>,
}

impl Compiled {
    /// Type-checks every expression, bound, format and name.
    pub fn new(silver: &Silver, contract: &Contract) -> Result<Self, Vec<RefineError>> {
        let planner = Planner::new();
        let mut compiler = Compiler::new(silver, contract, &planner);
        compiler.declare_rules(silver);
        for (index, step) in silver.steps.iter().enumerate() {
            compiler.step(index, step);
        }
        if !matches!(silver.steps.last(), Some(Step::Validate)) {
            compiler.validate();
        }
        compiler.finish(silver)
    }

    /// The contract's columns, typed and in order, then `_event_id` and `_position`.
    pub fn output_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

struct Compiler<'a> {
    contract: &'a Contract,
    planner: &'a Planner,
    scope: Scope,
    ops: Vec<Op>,
    /// One for each op.
    changes: Changes,
    /// Columns that an op gives values of their own: one set for each op.
    makes: Vec<BTreeSet<String>>,
    rules: Vec<Rule>,
    lookups: Vec<LookupSpec>,
    errors: Vec<RefineError>,
}

impl<'a> Compiler<'a> {
    fn new(silver: &Silver, contract: &'a Contract, planner: &'a Planner) -> Self {
        Self {
            contract,
            planner,
            scope: Scope::new(contract, mentioned(silver)),
            ops: Vec::new(),
            changes: Vec::new(),
            makes: Vec::new(),
            rules: Vec::new(),
            lookups: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// First the casts, one rule for each column of the contract in its order; then the rest.
    fn declare_rules(&mut self, silver: &Silver) {
        self.rules = self.contract.columns.iter().map(|c| cast_rule(self.contract, c)).collect();
        let compiler = RuleCompiler { contract: self.contract, silver, planner: self.planner };
        for declared in &self.contract.rules {
            match compiler.compile(declared, self.lookups.len()) {
                Ok(None) => {}
                Ok(Some(rule)) => {
                    if let Check::Reference { dataset, to } = declared.check.of_value() {
                        let spec = LookupSpec { dataset: dataset.clone(), on: to.clone(), take: Vec::new() };
                        self.lookups.push(spec);
                    }
                    self.rules.push(rule);
                }
                Err(mut errors) => self.errors.append(&mut errors),
            }
        }
    }

    fn step(&mut self, index: usize, step: &Step) {
        let place = Place::step(index);
        let done = match step {
            Step::Validate => {
                self.validate();
                return;
            }
            Step::Normalize(n) => NormalizeOp::compile(n, self.contract, &mut self.scope, &place)
                .map(|(op, changed)| (Op::Normalize(op), changed, BTreeSet::new())),
            Step::Enrich(e) => self.enrich(e, &place).map(|(op, made)| (Op::Enrich(op), made.clone(), made)),
            Step::Sql { query, .. } => {
                let id = format!("sql:{}", index + 1);
                let message = "an expression failed".to_owned();
                let rule = self.rules.len();
                self.rules.push(Rule::elsewhere(id, None, Action::Quarantine, message));
                SqlOp::compile(query, &mut self.scope, self.planner, &place, rule).map(|(op, changed)| {
                    let makes = op.makes().map(str::to_owned).collect();
                    (Op::Sql(op), changed, makes)
                })
            }
        };
        match done {
            Ok((op, changed, makes)) => {
                self.ops.push(op);
                self.changes.push(Some(changed));
                self.makes.push(makes);
            }
            Err(mut errors) => self.errors.append(&mut errors),
        }
    }

    /// Casts what is not cast yet. From here on only known columns are in sight.
    fn validate(&mut self) {
        let mut casts = Vec::new();
        for (rule, column) in self.contract.columns.iter().enumerate() {
            let state = self.scope.columns.insert(column.name.clone(), State::Cast(column.kind));
            let format = match state {
                Some(State::Cast(kind)) if kind == column.kind => continue,
                Some(State::Raw(format)) => format,
                Some(State::Cast(_) | State::Computed(_)) | None => None,
            };
            let (name, kind) = (column.name.clone(), column.kind);
            casts.push(CastOp { column: name, kind, format, optional: false, rule });
        }
        self.scope.open = false;
        self.ops.push(Op::Validate(Pass { casts, rules: Vec::new(), trees: Vec::new() }));
        self.changes.push(None);
        self.makes.push(BTreeSet::new());
    }

    fn enrich(&mut self, step: &Enrich, place: &Place) -> Result<(EnrichOp, BTreeSet<String>), Vec<RefineError>> {
        let mut errors = Vec::new();
        for (here, _) in &step.on {
            if self.scope.knows(here) {
                self.scope.read(here);
            } else {
                errors.push(self.unknown(here, place));
            }
        }
        let mut made = BTreeSet::new();
        for (here, _) in &step.take {
            if here.starts_with('_') {
                let what = format!("the column name `{here}` (names with a leading _ belong to the lake)");
                errors.push(not_allowed(place, what));
            } else if self.contract.columns.iter().all(|c| c.name != *here) && !self.scope.mentioned.contains(here) {
                // Nothing would ever read it.
                errors.push(self.unknown(here, place));
            }
            if !made.insert(here.clone()) {
                let place = Box::new(place.clone());
                errors.push(RefineError::DuplicateColumn { place, column: here.clone() });
            }
            self.scope.columns.insert(here.clone(), State::Raw(None));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let (on, there): (Vec<String>, Vec<String>) = step.on.iter().cloned().unzip();
        let (take, taken): (Vec<String>, Vec<String>) = step.take.iter().cloned().unzip();
        let slot = self.lookups.len();
        self.lookups.push(LookupSpec { dataset: step.lookup.clone(), on: there, take: taken });
        Ok((EnrichOp { slot, on, take }, made))
    }

    fn unknown(&self, column: &str, place: &Place) -> RefineError {
        let (place, nearest) = (Box::new(place.clone().column(column)), self.scope.nearest(column));
        RefineError::UnknownColumn { place, column: column.to_owned(), nearest }
    }

    fn finish(mut self, silver: &Silver) -> Result<Compiled, Vec<RefineError>> {
        let (deletes, truncates) = match &silver.write {
            Write::Append => (None, None),
            Write::Upsert { delete_when, truncate_when, .. } => (delete_when.as_deref(), truncate_when.as_deref()),
        };
        let delete_when = self.condition("delete_when", deletes);
        let truncate_when = self.condition("truncate_when", truncates);
        let late = silver.watermark.as_ref().map(|watermark| {
            let (op, rule) = LateOp::new(watermark, self.rules.len());
            self.rules.push(rule);
            op
        });
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        for (index, rule) in self.rules.iter().enumerate() {
            for at in schedule(rule, &self.changes) {
                if let Op::Validate(pass) = &mut self.ops[at] {
                    pass.rules.push(index);
                }
            }
        }
        let trees = trees(self.contract, &self.rules);
        for (at, op) in self.ops.iter_mut().enumerate() {
            if let Op::Validate(pass) = op {
                let due = |tree: &Inside| pass.rules.iter().any(|r| self.rules[*r].is_inside(&tree.column));
                pass.trees = (0..trees.len()).filter(|t| due(&trees[*t])).collect();
                for cast in &mut pass.casts {
                    cast.optional = self.makes[at..].iter().any(|m| m.contains(&cast.column));
                }
            }
        }
        Ok(Compiled {
            ops: self.ops,
            rules: self.rules,
            trees,
            lookups: self.lookups,
            sources: self.scope.sources,
            delete_when,
            truncate_when,
            late,
            schema: output_schema(self.contract),
        })
    }

    /// A condition of `write`, and the rule that its failures break.
    fn condition(&mut self, key: &'static str, sql: Option<&str>) -> Option<(RowExpr, usize)> {
        match self.planner.condition(sql?, &contract_columns(self.contract), &Place::write(key)) {
            Ok(expression) => {
                let message = "the condition failed".to_owned();
                self.rules.push(Rule::elsewhere(key.to_owned(), None, Action::Quarantine, message));
                Some((expression, self.rules.len() - 1))
            }
            Err(mut errors) => {
                self.errors.append(&mut errors);
                None
            }
        }
    }
}

/// Every name that a step reads.
fn mentioned(silver: &Silver) -> BTreeSet<String> {
    let of = |step: &Step| match step {
        Step::Sql { query, .. } => mentions(query),
        Step::Enrich(e) => e.on.iter().map(|(here, _)| here.clone()).collect(),
        Step::Normalize(n) => n.rename.keys().cloned().collect(),
        Step::Validate => BTreeSet::new(),
    };
    silver.steps.iter().flat_map(of).collect()
}

/// The contract's own `type` rule for the column; without one, what cannot be cast is quarantined.
fn cast_rule(contract: &Contract, column: &Column) -> Rule {
    let message = format!("cannot be read as {}", super::error::kind_name(column.kind));
    let declared =
        contract.rules.iter().find(|r| matches!(r.check, Check::Type) && r.columns.first() == Some(&column.name));
    let (id, action, threshold) = match declared {
        Some(r) => (r.id.clone(), r.action, r.threshold),
        None => (format!("type:{}", column.name), Action::Quarantine, None),
    };
    Rule { id, columns: vec![column.name.clone()], action, threshold, message, test: Test::Elsewhere }
}
