//! `mv-apply`: the elements of each row go through operators of their own, as a table that holds only them.
//!
//! The operators see the row's columns and the elements. What comes out stands beside the row's columns, those of the elements and
//! what the operators add behind. Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/mv-apply-operator.md`.

use super::ast::{MvExpand, Operator, Pipeline, Source};
use super::batch::{Batch, Placed};
use super::builder::{Builder, Frozen};
use super::catalog::{ExtentBatch, TableSource};
use super::error::KqlError;
use super::mv_expand::{Expansion, Plan};
use super::relation::{Relation, Rows};
use crate::data::Schema;
use std::rc::Rc;
use std::sync::Arc;

/// The elements of one row.
#[derive(Debug)]
struct Elements {
    schema: Arc<Schema>,
    batches: Vec<ExtentBatch>,
}

impl TableSource for Elements {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn extents(&self) -> Vec<ExtentBatch> {
        self.batches.clone()
    }
}

fn unattached(batch: Batch) -> ExtentBatch {
    let rows = batch.rows;
    let columns = batch.into_columns();
    ExtentBatch { id: 0, tags: Arc::from([]), ingestion_time: None, columns, rows }
}

/// What is done to each row.
struct Application {
    plan: Arc<Plan>,
    elements: Arc<Schema>,
    pipeline: Pipeline,
    frozen: Frozen,
    /// The row's columns that stay, and the columns of the operators' result that are added.
    kept: Vec<usize>,
    added: Vec<usize>,
}

impl Builder<'_> {
    pub(super) fn mv_apply(
        &self,
        input: Relation,
        expand: &MvExpand,
        operators: &[Operator],
    ) -> Result<Relation, KqlError> {
        let (before, schema, plan) = self.expansion("mv-apply", input, expand)?;
        let elements = Arc::new(schema);
        let pipeline = Pipeline { source: Source::Given, operators: operators.to_vec() };
        let nothing = Elements { schema: Arc::clone(&elements), batches: Vec::new() };
        let result = self.over(Arc::new(nothing)).pipeline(&pipeline)?.schema;
        let kept: Vec<usize> = (0..before.schema.len()).filter(|at| !plan.expands(*at)).collect();
        let mut columns: Vec<_> = kept.iter().map(|at| before.schema.columns[*at].clone()).collect();
        let is_new = |at: &usize| !columns.iter().any(|column| column.name == result.columns[*at].name);
        let added: Vec<usize> = (0..result.len()).filter(is_new).collect();
        columns.extend(added.iter().map(|at| result.columns[*at].clone()));
        let frozen = self.frozen();
        let application = Rc::new(Application { plan, elements, pipeline, frozen, kept, added });
        let rows = before.rows.flat_map(move |batch| -> Rows {
            let application = Rc::clone(&application);
            match batch {
                Ok(batch) => {
                    Box::new((0..batch.rows).map(move |row| application.to_row(&batch.slice(row, 1))))
                }
                error => Box::new(std::iter::once(error)),
            }
        });
        Ok(Relation::new(Schema::new(columns), rows))
    }
}

impl Application {
    fn to_row(&self, row: &Batch) -> Result<Batch, KqlError> {
        let expansion = Expansion::new(row.clone(), Arc::clone(&self.plan));
        let batches = expansion.map(|batch| batch.map(unattached)).collect::<Result<_, _>>()?;
        let elements = Elements { schema: Arc::clone(&self.elements), batches };
        let builder = self.frozen.builder();
        let found = builder.over(Arc::new(elements)).pipeline(&self.pipeline)?;
        let found = super::relation::gather("mv-apply", &found.schema, found.rows, self.frozen.max_memory)?;
        let repeated = row.select(&Arc::new(vec![0; found.rows]));
        let beside = repeated.rearranged(self.kept.iter().map(|at| Placed::Old(*at)).collect());
        let added = found.rearranged(self.added.iter().map(|at| Placed::Old(*at)).collect());
        Ok(beside.beside(&added))
    }
}
