//! The table: made for the source if asked to, never altered, and bound to the source's fields by name.

use kusto_client::{ErrorKind as ServiceErrorKind, Service, ServiceExt, quote_name};
use serde::Deserialize;

use crate::convert::BoundColumn;
use crate::error::{Error, ErrorKind, Result};
use crate::names::{column_name, column_names, folded};
use crate::sample::{Sample, SourceField};
use crate::types::ColumnType;

/// A table of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Its database.
    pub database: String,
    /// Its name.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<TableColumn>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
}

/// The table that a pipeline writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// As it is now.
    pub schema: TableSchema,
    /// The command that made it, if it was missing.
    pub created: Option<String>,
}

impl TableSchema {
    /// The table that suits these fields: names by [`names`](crate::names), types as inferred.
    pub fn for_fields(database: &str, table: &str, fields: &[SourceField]) -> Self {
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        let types = fields.iter().map(|field| field.inferred);
        let columns = column_names(&names).into_iter().zip(types);
        let columns = columns.map(|(name, column_type)| TableColumn { name, column_type }).collect();
        TableSchema { database: database.to_owned(), table: table.to_owned(), columns }
    }

    /// The command that creates it. On a table that exists it does nothing
    /// (`data-explorer/kusto/management/create-table-command.md`).
    pub fn create_command(&self) -> String {
        let column = |column: &TableColumn| format!("{}: {}", quote_name(&column.name), column.column_type);
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        format!(".create table {} ({})", quote_name(&self.table), columns.join(", "))
    }

    /// Reads the schema of a table; `None` when there is no such table.
    ///
    /// # Errors
    /// [`ErrorKind::Sink`] when the service cannot be asked or refuses, [`ErrorKind::Schema`] when a column has a type
    /// that is not known.
    pub async fn read(service: &dyn Service, database: &str, table: &str) -> Result<Option<Self>> {
        let command = format!(".show table {} schema as json", quote_name(table));
        let answer = match service.command_at_start(database, &command).await {
            Ok(answer) => answer,
            Err(error) if is_missing_table(&error) => return Ok(None),
            Err(error) if is_missing(&error) => return Err(no_database(database, error)),
            Err(error) => return Err(service_error(format!("read the schema of {database}.{table}"), error)),
        };
        let place =
            answer.position("Schema").map_err(|error| service_error("read a schema".into(), error))?;
        let text = answer.rows.first().and_then(|row| row.get(place)).and_then(|cell| cell.as_str());
        let parsed: Option<Shown> = text.and_then(|text| serde_json::from_str(text).ok());
        let shown = parsed.ok_or_else(|| {
            Error::new(
                ErrorKind::Sink,
                format!("the service's schema of {database}.{table} cannot be read: {text:?}"),
            )
        })?;
        let columns = shown.columns.into_iter().map(|column| column.known(table)).collect::<Result<_>>()?;
        Ok(Some(TableSchema { database: database.to_owned(), table: table.to_owned(), columns }))
    }

    /// Reads the table, or makes it for these fields if `create` says so.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] when the table is missing and not to be created, or there is no field to make it of.
    pub async fn prepare(
        service: &dyn Service,
        database: &str,
        table: &str,
        fields: &[SourceField],
        create: bool,
    ) -> Result<Prepared> {
        if let Some(schema) = Self::read(service, database, table).await? {
            return Ok(Prepared { schema, created: None });
        }
        let wanted = Self::for_fields(database, table, fields);
        let command = wanted.create_command();
        if fields.is_empty() {
            return Err(Error::new(
                ErrorKind::Schema,
                format!("there is no table {database}.{table}, and the source has no fields to make one of"),
            )
            .with_advice("create the table, or give the source at least a header"));
        }
        if !create {
            let text = format!("there is no table {database}.{table}");
            return Err(Error::new(ErrorKind::Schema, text)
                .with_advice(format!("set `create = true`, or create it, for example with\n  {command}")));
        }
        let answer = service.command_at_start(database, &command).await;
        answer.map_err(|error| service_error(format!("create the table {database}.{table}"), error))?;
        let schema = Self::read(service, database, table).await?.ok_or_else(|| {
            Error::new(ErrorKind::Sink, format!("{database}.{table} was created and then was not there"))
        })?;
        Ok(Prepared { schema, created: Some(command) })
    }

    /// The columns for the fields of a sample: by name, or by position where fields have no names.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] naming the fields without a column, and the columns there are.
    pub fn bind(&self, sample: &Sample) -> Result<Vec<BoundColumn>> {
        let columns = match sample.named {
            true => self.by_name(&sample.fields),
            false => self.by_position(&sample.fields),
        }?;
        let bound = sample.fields.iter().zip(columns).map(|(field, column)| BoundColumn {
            field: field.name.clone(),
            column: column.name.clone(),
            column_type: column.column_type,
        });
        Ok(bound.collect())
    }

    fn by_position(&self, fields: &[SourceField]) -> Result<Vec<&TableColumn>> {
        if fields.len() <= self.columns.len() {
            return Ok(self.columns.iter().take(fields.len()).collect());
        }
        let (found, there) = (fields.len(), self.columns.len());
        Err(self.lacking(format!("the source has {found} fields, and {} has {there} columns", self.name())))
    }

    fn by_name(&self, fields: &[SourceField]) -> Result<Vec<&TableColumn>> {
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        let numbered = column_names(&names);
        let mut bound = Vec::new();
        let mut missing = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            match self.column_for(&field.name, index, &numbered[index], &bound) {
                Some(column) => bound.push((field, column)),
                None => missing.push(format!("{:?}", field.name)),
            }
        }
        if !missing.is_empty() {
            let text = format!("{} has no column for {} of the source", self.name(), missing.join(", "));
            return Err(self.lacking(text));
        }
        self.each_once(&bound)?;
        Ok(bound.into_iter().map(|(_, column)| column).collect())
    }

    /// The first column by the rules of [`names`](crate::names) that no field before has; if all are taken, the first.
    fn column_for(
        &self,
        field: &str,
        index: usize,
        numbered: &str,
        bound: &[(&SourceField, &TableColumn)],
    ) -> Option<&TableColumn> {
        let exact = |name: &str| self.columns.iter().find(|column| column.name == name);
        let plain = column_name(field, index);
        let found = [exact(field), exact(numbered), exact(&plain), self.alike(field)];
        let free = |column: &&TableColumn| bound.iter().all(|(_, taken)| taken.name != column.name);
        found.into_iter().flatten().find(free).or_else(|| found.into_iter().flatten().next())
    }

    /// The only column with the same letters and digits.
    fn alike(&self, field: &str) -> Option<&TableColumn> {
        let wanted = folded(field);
        let mut alike = self.columns.iter().filter(|column| folded(&column.name) == wanted);
        alike.next().filter(|_| alike.next().is_none() && !wanted.is_empty())
    }

    fn each_once(&self, bound: &[(&SourceField, &TableColumn)]) -> Result<()> {
        for (index, (field, column)) in bound.iter().enumerate() {
            if let Some((other, _)) = bound[..index].iter().find(|(_, taken)| taken.name == column.name) {
                let text = format!(
                    "the fields {:?} and {:?} of the source would both go to the column {} of {}",
                    other.name,
                    field.name,
                    column.name,
                    self.name()
                );
                return Err(
                    Error::new(ErrorKind::Schema, text).with_advice("rename one of them in the source")
                );
            }
        }
        Ok(())
    }

    fn lacking(&self, text: String) -> Error {
        let columns: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        Error::new(ErrorKind::Schema, text).with_advice(format!(
            "its columns are {}; a table that exists is never altered: add the columns with `.alter-merge table`, \
             leave the fields out of the source, or write to another table",
            columns.join(", ")
        ))
    }

    fn name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }
}

fn is_missing_table(error: &kusto_client::Error) -> bool {
    let (message, code) = (error.message(), error.code().unwrap_or_default());
    let database =
        message.contains("'Database'") || message.contains("Database '") || code.contains("Database");
    is_missing(error) && !database
}

/// What was asked for is not there: the table, or else the database. A 404 without a word of the service is an address
/// where there is no cluster.
fn is_missing(error: &kusto_client::Error) -> bool {
    let code = error.code().unwrap_or_default();
    let says_so = code.contains("EntityNotFound") || code.contains("NotExist");
    match error.kind() {
        ServiceErrorKind::NotFound => says_so || error.http_status() != Some(404),
        ServiceErrorKind::BadRequest => says_so,
        _ => false,
    }
}

fn no_database(database: &str, error: kusto_client::Error) -> Error {
    Error::new(ErrorKind::Schema, format!("there is no database {database}: {error}"))
        .with_advice("correct `database`, or create it where the cluster is administered; `.show databases` lists those there are")
        .with_source(error)
}

pub(crate) fn service_error(doing: String, error: kusto_client::Error) -> Error {
    let kind = match error.kind() {
        ServiceErrorKind::InvalidOption | ServiceErrorKind::UntrustedHost => ErrorKind::Options,
        _ => ErrorKind::Sink,
    };
    Error::new(kind, format!("could not {doing}: {error}")).with_source(error)
}

/// The part of `.show table T schema as json` that is read
/// (`data-explorer/kusto/management/show-table-schema-command.md`).
#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "OrderedColumns")]
    columns: Vec<ShownColumn>,
}

#[derive(Deserialize)]
struct ShownColumn {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "CslType")]
    csl_type: String,
}

impl ShownColumn {
    fn known(self, table: &str) -> Result<TableColumn> {
        let column_type = ColumnType::from_name(&self.csl_type).ok_or_else(|| {
            let text =
                format!("column {} of {table} has the type {}, which is not known", self.name, self.csl_type);
            Error::new(ErrorKind::Schema, text)
        })?;
        Ok(TableColumn { name: self.name, column_type })
    }
}
