//! What a person can do about a refusal: the role that is missing and the command that grants it.
//!
//! Roles per command: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/*.md`, section "Permissions" of
//! each command; role model: `data-explorer/kusto/access-control/role-based-access-control.md`.

use super::Side;
use crate::options::ConnectionOptions;
use crate::{Error, ErrorKind, kql, quote_name, quote_string};

/// A right on a table or a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// May ingest into the table.
    TableIngestor {
        /// The table.
        table: String,
    },
    /// May change, move and drop the table.
    TableAdmin {
        /// The table.
        table: String,
    },
    /// May query the database.
    DatabaseViewer {
        /// The database.
        database: String,
    },
    /// May query the database and create tables.
    DatabaseUser {
        /// The database.
        database: String,
    },
    /// May ingest into all tables of the database.
    DatabaseIngestor {
        /// The database.
        database: String,
    },
    /// May do everything in the database.
    DatabaseAdmin {
        /// The database.
        database: String,
    },
}

impl Role {
    /// Stands for a principal that is not known.
    pub const SOMEBODY: &str = "aadapp=<application id>;<tenant id>";

    /// The role's name as the documentation writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Role::TableIngestor { .. } => "Table Ingestor",
            Role::TableAdmin { .. } => "Table Admin",
            Role::DatabaseViewer { .. } => "Database Viewer",
            Role::DatabaseUser { .. } => "Database User",
            Role::DatabaseIngestor { .. } => "Database Ingestor",
            Role::DatabaseAdmin { .. } => "Database Admin",
        }
    }

    /// The command that gives the role to `principal` (`aadapp=<id>;<tenant>`).
    ///
    /// ```
    /// # use kusto_client::Role;
    /// let role = Role::TableIngestor { table: "Storms".into() };
    /// assert_eq!(role.grant("aadapp=a;t"), ".add table Storms ingestors ('aadapp=a;t')");
    /// ```
    pub fn grant(&self, principal: &str) -> String {
        let (entity, name, role) = match self {
            Role::TableIngestor { table } => ("table", table, "ingestors"),
            Role::TableAdmin { table } => ("table", table, "admins"),
            Role::DatabaseViewer { database } => ("database", database, "viewers"),
            Role::DatabaseUser { database } => ("database", database, "users"),
            Role::DatabaseIngestor { database } => ("database", database, "ingestors"),
            Role::DatabaseAdmin { database } => ("database", database, "admins"),
        };
        format!(".add {entity} {} {role} ({})", quote_name(name), quote_string(principal))
    }

    /// The role that one must have in the database before one can be given this one
    /// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/access-control/role-based-access-control.md`, "Dependencies").
    fn depends_on(&self, database: &str) -> Option<Role> {
        match self {
            Role::TableIngestor { .. } | Role::TableAdmin { .. } => {
                Some(Role::DatabaseUser { database: database.to_owned() })
            }
            _ => None,
        }
    }

    /// Says that the role is missing, and the commands that give it to `principal`, to be run in `database`.
    pub fn advice(&self, database: &str, principal: &str) -> String {
        match self.depends_on(database) {
            Some(first) => format!(
                "This needs the role {}, and {} before it. Somebody who may grant them runs in the database {database} (a \
                 role that is there already does no harm):\n    {}\n    {}",
                self.name(),
                first.name(),
                first.grant(principal),
                self.grant(principal)
            ),
            None => format!(
                "This needs the role {}. Somebody who may grant it runs: {}",
                self.name(),
                self.grant(principal)
            ),
        }
    }
}

/// Adds what is known about mending `error`, which came of running `text`.
pub(super) fn advise(
    error: Error,
    side: Side,
    database: &str,
    text: &str,
    options: &ConnectionOptions,
) -> Error {
    if error.advice().is_some() {
        return error;
    }
    let message = error.message();
    if message.contains("AdminCommandWrongEndpoint")
        || message.contains("appropriate endpoint is most likely")
    {
        return error.with_advice(wrong_endpoint(side, options));
    }
    match error.kind() {
        ErrorKind::SignIn if !options.signs_in() => {
            error.with_advice(
                "The cluster wants a token, and no_auth sends none. Choose a sign-in: `auth` in a pipeline file, or \
                 `;Fed=true` behind the address for whoever `az login` signed in.",
            )
        }
        ErrorKind::SignIn => error.with_advice(
            "The token was refused. Check the tenant, that the key or token has not expired, and this machine's clock.",
        ),
        ErrorKind::Forbidden => {
            error.with_advice(options.advice(&needed(side, database, text), database))
        }
        ErrorKind::NotFound if error.http_status() == Some(404) => {
            error.with_advice("Check that the URL is that of a Kusto cluster and nothing else.")
        }
        _ => error,
    }
}

fn wrong_endpoint(side: Side, options: &ConnectionOptions) -> String {
    match side {
        Side::Engine => format!(
            "This is a command for data management; send it to {} (ingestion_url).",
            options.ingestion_url()
        ),
        Side::DataManagement => format!(
            "The ingestion URL leads to the engine. Set ingestion_url to the address of data management; for {} it \
             is most likely {}.",
            options.cluster_url(),
            crate::endpoint::ingestion_of(&options.0.cluster)
        ),
    }
}

/// The least role with which `text` runs.
fn needed(side: Side, database: &str, text: &str) -> Role {
    let database = database.to_owned();
    if side == Side::DataManagement {
        return match database.as_str() {
            super::NO_DATABASE => Role::DatabaseIngestor { database: "<database>".to_owned() },
            _ => Role::DatabaseIngestor { database },
        };
    }
    if !kql::is_command(text) {
        return Role::DatabaseViewer { database };
    }
    let table = table_of(text);
    match (kql::first_word(text).as_str(), table) {
        (".show", _) => Role::DatabaseViewer { database },
        (".create" | ".create-merge" | ".set" | ".set-or-append", None) => Role::DatabaseUser { database },
        (".create" | ".create-merge", Some(_)) if !text.contains("mapping") => {
            Role::DatabaseUser { database }
        }
        (".ingest" | ".append" | ".create" | ".create-or-alter", Some(table)) => {
            Role::TableIngestor { table }
        }
        (_, Some(table)) => Role::TableAdmin { table },
        (_, None) => Role::DatabaseAdmin { database },
    }
}

/// The name after the first `table` or `into` of a command, quoted or not.
fn table_of(text: &str) -> Option<String> {
    let rest = after(text, "table").or_else(|| after(text, "into"))?;
    kql::entity_name(rest)
}

/// What follows the first `word` that stands by itself.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let mut starts = lower.match_indices(word).map(|(at, _)| at);
    let alone = |at: &usize| {
        let before = lower[..*at].chars().next_back();
        let behind = lower[at + word.len()..].chars().next();
        before.is_some_and(char::is_whitespace) && behind.is_some_and(|c| c.is_whitespace() || c == '[')
    };
    starts.find(alone).map(|at| &text[at + word.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_fits_the_command() {
        let role = |text| needed(Side::Engine, "db", text);
        let table = || "T".to_owned();
        let database = || "db".to_owned();
        assert_eq!(role("T | count"), Role::DatabaseViewer { database: database() });
        assert_eq!(role(".show table T extents"), Role::DatabaseViewer { database: database() });
        assert_eq!(role(".create-merge table T (a:long)"), Role::DatabaseUser { database: database() });
        assert_eq!(role(".ingest inline into table T <| 1"), Role::TableIngestor { table: table() });
        assert_eq!(
            role(".create-or-alter table T ingestion csv mapping 'm' '[]'"),
            Role::TableIngestor { table: table() }
        );
        assert_eq!(role(".drop table ['T'] ifexists"), Role::TableAdmin { table: table() });
        assert_eq!(
            role(r".drop table ['it\'s.T'] ifexists"),
            Role::TableAdmin { table: "it's.T".to_owned() }
        );
        assert_eq!(role(".alter-merge table T policy merge '{}'"), Role::TableAdmin { table: table() });
        assert_eq!(
            role(".alter database db policy merge '{}'"),
            Role::DatabaseAdmin { database: database() }
        );
    }

    #[test]
    fn the_grant_names_the_table_as_it_is_called_however_it_is_written() {
        for (written, granted) in [
            ("T", "T"),
            ("['T']", "T"),
            ("['a.b']", "['a.b']"),
            ("[\"a.b\"]", "['a.b']"),
            ("['it\\'s [here]']", "['it\\'s [here]']"),
            ("[@'c:\\x']", "['c:\\\\x']"),
            ("[ 'a-b' ]", "['a-b']"),
            ("['\\u0041b']", "Ab"),
            ("Ünïcode", "['Ünïcode']"),
        ] {
            for command in [
                format!(".drop table {written} ifexists"),
                format!(".alter\n table\t{written} policy merge '{{}}'"),
                format!(".clear table {written} data"),
            ] {
                let Role::TableAdmin { table } = needed(Side::Engine, "db", &command) else {
                    panic!("{command}")
                };
                let grant = Role::TableAdmin { table }.grant("aadapp=a;t");
                assert_eq!(grant, format!(".add table {granted} admins ('aadapp=a;t')"), "{command}");
            }
        }
        let into = ".ingest into table['my.table'] ('x')";
        assert_eq!(needed(Side::Engine, "db", into), Role::TableIngestor { table: "my.table".into() });
    }

    #[test]
    fn a_missing_right_comes_with_the_command_that_grants_it() {
        let options = ConnectionOptions::builder()
            .cluster_url("https://c.kusto.windows.net")
            .application("id", "key", "tenant")
            .build()
            .unwrap();
        let refused = Error::new(ErrorKind::Forbidden, "run a command", "db", "no");
        let error = advise(refused, Side::Engine, "db", ".drop table ['my T'] ifexists", &options);
        assert!(error.to_string().contains(".add table ['my T'] admins ('aadapp=id;tenant')"), "{error}");
        let refused = Error::new(ErrorKind::Forbidden, "run a query", "db", "no");
        let error = advise(refused, Side::Engine, "my db", "T | count", &options);
        assert!(
            error.to_string().contains(".add database ['my db'] viewers ('aadapp=id;tenant')"),
            "{error}"
        );
    }
}
