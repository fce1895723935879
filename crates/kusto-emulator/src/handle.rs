//! What the owner of an emulator does behind its clients' backs: look, move, spoil, grant and revoke.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::assumptions::Assumptions;
use crate::dm::Statistics;
use crate::emulator::operator;
use crate::engine::{EngineError, Principal, RequestContext, RequestProperties};
use crate::error::EmulatorError;
use crate::faults::{FaultHits, FaultRule, Mischief};
use crate::holds::HeldRequest;
use crate::http::{Front, control};
use crate::requests::Request;
use crate::signin::{Credential, ManagedIdentity};
use crate::storage::Account;

/// A role for a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Everything.
    AllDatabasesAdmin,
    /// A role on a database.
    Database {
        /// Which one.
        database: String,
        /// `admins`, `users`, `viewers`, `unrestrictedviewers`, `ingestors` or `monitors`, as in `.add database`.
        role: String,
    },
    /// A role on a table, which must exist.
    Table {
        /// The table's database.
        database: String,
        /// Which table.
        table: String,
        /// `admins` or `ingestors`, as in `.add table`.
        role: String,
    },
}

impl Grant {
    /// A role on a database, by the word of `.add database`: `users`, `ingestors`, ...
    pub fn database(database: impl Into<String>, role: impl Into<String>) -> Self {
        Self::Database { database: database.into(), role: role.into() }
    }

    /// A role on a table, by the word of `.add table`: `ingestors` or `admins`.
    pub fn table(database: impl Into<String>, table: impl Into<String>, role: impl Into<String>) -> Self {
        Self::Table { database: database.into(), table: table.into(), role: role.into() }
    }
}

/// Reaches into a running emulator; clones reach into the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    front: Front,
    stop: CancellationToken,
    runtime: runtime::Handle,
}

impl Handle {
    pub(crate) fn new(front: Front, stop: CancellationToken, runtime: runtime::Handle) -> Self {
        Self { front, stop, runtime }
    }

    /// Now, on the emulator's clock.
    pub fn now(&self) -> Timestamp {
        self.front.clock.now()
    }

    /// Waits until data management has done everything that is due at the clock's present moment, and every released
    /// request is done: move a manual clock, then call this, and what the move made due has happened. Requests that are
    /// held are not waited for.
    pub async fn settle(&self) {
        self.front.settle().await;
    }

    /// [`Handle::settle`] for code that is not asynchronous.
    ///
    /// # Panics
    /// When called from asynchronous code.
    pub fn settle_blocking(&self) {
        self.runtime.block_on(self.settle());
    }

    /// What came in, and what became of it.
    pub fn statistics(&self) -> Statistics {
        self.front.data_management.statistics()
    }

    /// The requests so far, in order of arrival; the last [`crate::REMEMBERED_REQUESTS`] of them.
    pub fn requests(&self) -> Vec<Request> {
        self.front.requests.all()
    }

    /// How many requests there were.
    pub fn request_count(&self) -> u64 {
        self.front.requests.count()
    }

    /// Forgets the requests so far; numbers go on.
    pub fn forget_requests(&self) {
        self.front.requests.forget();
    }

    /// Puts a rule in force, behind those there are; the result counts what it hits.
    pub fn add_fault(&self, rule: FaultRule) -> FaultHits {
        self.front.add_fault(rule)
    }

    /// Takes all rules out of force.
    pub fn clear_faults(&self) {
        self.front.clear_faults();
    }

    /// The requests that a rule holds ([`crate::Fault::Hold`]), in the order in which they came.
    pub fn held(&self) -> Vec<HeldRequest> {
        self.front.faults.holds().held()
    }

    /// Waits until at least `count` requests are held.
    pub async fn until_held(&self, count: usize) {
        self.front.faults.holds().until_held(count).await;
    }

    /// Lets a held request go on; false if there is none with that id. [`Handle::settle`] waits for its end.
    pub fn release(&self, id: u64) -> bool {
        control::release(&self.front, Some(id), false) > 0
    }

    /// Lets all go on; how many.
    pub fn release_all(&self) -> usize {
        control::release(&self.front, None, false)
    }

    /// Ends a held request without an effect, as if its node had gone away; false if there is none with that id.
    pub fn let_die(&self, id: u64) -> bool {
        control::release(&self.front, Some(id), true) > 0
    }

    /// What the service does when the node that does the work goes away and another one takes its place: held requests die
    /// without an effect, blobs that gather are gathered anew, operations in progress are `Abandoned`.
    pub fn fail_over(&self) {
        control::fail_over(&self.front);
    }

    /// The answers to what is not documented.
    pub fn assumptions(&self) -> Assumptions {
        self.front.engine.assumptions()
    }

    /// Changes them from now on.
    pub fn assume(&self, assumptions: Assumptions) {
        self.front.engine.assume(assumptions);
    }

    /// Merges the extents of a table, as far as its policy and tags allow, at once. Returns how many extents there are
    /// fewer.
    ///
    /// # Errors
    /// If rows cannot be read or written.
    pub fn merge(&self, database: &str, table: &str) -> Result<usize, EmulatorError> {
        let merged = self.front.engine.merge(Some(database), Some(table));
        merged.map_err(|error| refused("merge extents", &error))
    }

    /// Takes every role from a principal (`aadapp=<id>;<tenant>`), everywhere and at once.
    ///
    /// # Errors
    /// If the name is none.
    pub fn revoke_roles(&self, principal: &str) -> Result<(), EmulatorError> {
        let principal = Principal::parse(principal).map_err(|error| refused("revoke", &error))?;
        self.front.engine.forget_principal(&principal);
        Ok(())
    }

    /// Lets an application sign in with this key, and gives its principal roles. An id that is known gets the new key.
    /// Returns the principal's name, `aadapp=<id>;<tenant>`. Keys are not kept over restarts, roles are.
    ///
    /// # Errors
    /// If a role cannot be given, for instance on a table that does not exist.
    pub fn add_app(&self, id: &str, key: &str, grants: &[Grant]) -> Result<String, EmulatorError> {
        self.front.sign_in.add_key(id, key);
        let principal = self.front.sign_in.principal(id).fqn();
        self.grant(&principal, grants)?;
        Ok(principal)
    }

    /// Makes the key of an application one that has expired.
    pub fn expire_key(&self, id: &str) {
        self.front.sign_in.expire_key(id);
    }

    /// Lets an application sign in with a certificate (in DER, RSA), beside what it has, and gives its principal roles.
    /// Returns the principal's name. Certificates are not kept over restarts.
    ///
    /// # Errors
    /// If a role cannot be given.
    pub fn add_certificate(&self, id: &str, der: &[u8], grants: &[Grant]) -> Result<String, EmulatorError> {
        self.add_credential(id, Credential::Certificate(der.to_vec()), grants)
    }

    /// Lets an application sign in with the tokens of a workload (`system:serviceaccount:<namespace>:<name>`), and gives
    /// its principal roles. Returns the principal's name. [`Handle::workload_token`] makes the tokens.
    ///
    /// # Errors
    /// If a role cannot be given.
    pub fn add_federated(&self, id: &str, subject: &str, grants: &[Grant]) -> Result<String, EmulatorError> {
        self.add_credential(id, Credential::Federated(subject.to_owned()), grants)
    }

    fn add_credential(
        &self,
        id: &str,
        credential: Credential,
        grants: &[Grant],
    ) -> Result<String, EmulatorError> {
        self.front.sign_in.add_credential(id, credential);
        let principal = self.front.sign_in.principal(id).fqn();
        self.grant(&principal, grants)?;
        Ok(principal)
    }

    /// A token of a workload: what a Kubernetes cluster puts into the file that `AZURE_FEDERATED_TOKEN_FILE` names.
    pub fn workload_token(&self, subject: &str) -> String {
        self.front.sign_in.workload_token(subject)
    }

    /// Adds a user-assigned managed identity beside the system-assigned one, and gives it roles. Returns its name.
    ///
    /// # Errors
    /// If a role cannot be given.
    pub fn add_managed_identity(
        &self,
        identity: ManagedIdentity,
        grants: &[Grant],
    ) -> Result<String, EmulatorError> {
        let principal = self.front.sign_in.principal(&identity.client_id).fqn();
        self.front.sign_in.add_identity(identity);
        self.grant(&principal, grants)?;
        Ok(principal)
    }

    /// The connection string of each storage account: with its key, a secret.
    pub fn storage_connection_strings(&self) -> Vec<String> {
        let front = &self.front;
        let protocol = if front.base.starts_with("https:") { "https" } else { "http" };
        let connection = |account: &Account| {
            let (name, key) = (&account.name, STANDARD.encode(&account.key));
            format!(
                "DefaultEndpointsProtocol={protocol};AccountName={name};AccountKey={key};BlobEndpoint={}/{name};\
                 QueueEndpoint={}/{name};TableEndpoint={}/{name};",
                front.blob_base, front.queue_base, front.table_base
            )
        };
        front.storage.accounts().iter().map(connection).collect()
    }

    /// The name of the system-assigned managed identity's principal.
    pub fn system_identity(&self) -> String {
        self.front.sign_in.system_identity().fqn()
    }

    /// The value of the header `X-IDENTITY-HEADER` (and of the variable `IDENTITY_HEADER`) for managed identities.
    pub fn identity_header(&self) -> &str {
        self.front.sign_in.identity_header()
    }

    /// Gives roles to a principal (`aadapp=<id>;<tenant>`).
    ///
    /// # Errors
    /// If a role cannot be given.
    pub fn grant(&self, principal: &str, grants: &[Grant]) -> Result<(), EmulatorError> {
        let quoted = |name: &str| format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"));
        for grant in grants {
            match grant {
                Grant::AllDatabasesAdmin => {
                    let parsed =
                        Principal::parse(principal).and_then(|who| self.front.engine.add_cluster_admin(&who));
                    parsed.map_err(|error| refused("add AllDatabasesAdmin", &error))?;
                }
                Grant::Database { database, role } => {
                    let command = format!(".add database {} {role} ('{principal}')", quoted(database));
                    self.command(database, &command)?;
                }
                Grant::Table { database, table, role } => {
                    let command = format!(".add table {} {role} ('{principal}')", quoted(table));
                    self.command(database, &command)?;
                }
            }
        }
        Ok(())
    }

    /// Makes every token worthless that this principal has got so far.
    ///
    /// # Errors
    /// If the name is none.
    pub fn revoke_tokens(&self, principal: &str) -> Result<(), EmulatorError> {
        let principal = Principal::parse(principal).map_err(|error| refused("revoke", &error))?;
        self.front.sign_in.revoke(&principal);
        Ok(())
    }

    /// Runs a control command with every right, without HTTP, and returns its rows as JSON arrays.
    ///
    /// # Errors
    /// The service's reason for refusing it.
    pub fn command(&self, database: &str, command: &str) -> Result<Vec<Json>, EmulatorError> {
        let answer =
            self.front.engine.execute(&self.context(), database, command, &RequestProperties::default());
        answer.map(|table| rows(&table)).map_err(|error| refused(command, &error))
    }

    /// Runs a query with every right, without HTTP, and returns the rows of its first table as JSON arrays.
    ///
    /// # Errors
    /// The service's reason for refusing it.
    pub fn query(&self, database: &str, query: &str) -> Result<Vec<Json>, EmulatorError> {
        let answer = self.front.engine.query(&self.context(), database, query, &RequestProperties::default());
        answer
            .map(|tables| tables.first().map(rows).unwrap_or_default())
            .map_err(|error| refused(query, &error))
    }

    /// What is held dies, and nothing is held any more.
    pub(crate) fn end_holds(&self) {
        self.front.faults.holds().close();
    }

    /// Asks the emulator to stop; [`crate::Emulator::wait`] then returns.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Completes when the emulator was asked to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    fn context(&self) -> RequestContext {
        let activity_id = self.front.storage.new_id();
        RequestContext {
            principal: operator(self.front.sign_in.tenant()),
            client_request_id: format!("operator;{activity_id}"),
            activity_id,
            mischief: Mischief::default(),
        }
    }
}

fn rows(table: &crate::data::ResultTable) -> Vec<Json> {
    let row = |index| {
        let mut text = String::new();
        table.write_row_json(index, &mut text);
        serde_json::from_str(&text).unwrap_or(Json::Null)
    };
    (0..table.rows).map(row).collect()
}

fn refused(text: &str, error: &EngineError) -> EmulatorError {
    EmulatorError::Refused { text: text.to_owned(), reason: error.to_string() }
}
