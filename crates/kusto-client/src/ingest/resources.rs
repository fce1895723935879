//! What data management lends: containers, queues and status tables with their signatures, and the identity token.
//!
//! Asked once an hour, ahead of need, as the official clients do; older values are used for another hour when asking
//! fails. A signature that storage refuses is thrown away and asked for again, at most once in [`CALM`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use crate::cache::{Cached, Fresh};
use crate::options::ConnectionOptions;
use crate::redact::redact;
use crate::rest::Rest;
use crate::{Error, ErrorKind, Result, Table, endpoint};

/// When to ask again, and until when an older answer may be used.
const REFRESH: Duration = Duration::from_secs(3600);
const DISCARD: Duration = Duration::from_secs(2 * 3600);
/// Between two times that refused signatures are replaced: if fresh ones are refused too, more of them do not help.
const CALM: Duration = Duration::from_secs(10);

/// A container, queue or table with the signature that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// Address without a query.
    pub(crate) address: Url,
    /// The query, without a question mark.
    pub(crate) signature: SecretString,
    /// The storage account, for the ranking.
    pub(crate) account: String,
}

impl Storage {
    pub(crate) fn new(address: &str, signature: SecretString) -> Result<Self> {
        let address =
            Url::parse(address).map_err(|error| garbled(format!("a storage address is no URL: {error}")))?;
        let account = account(&address);
        Ok(Storage { address, signature, account })
    }

    /// Cuts an address from its signature. One that holds a secret elsewhere than in its query is refused, since
    /// addresses are shown.
    fn parse(root: &str) -> Result<Self> {
        let (address, signature) = root.split_once('?').unwrap_or((root, ""));
        let storage = Self::new(address.trim_end_matches('/'), SecretString::from(signature))?;
        let shown = &storage.address;
        if redact(shown.as_str()) != shown.as_str()
            || !shown.username().is_empty()
            || shown.password().is_some()
        {
            return Err(garbled(
                "a storage address holds a signature or a password outside its query".to_owned(),
            ));
        }
        Ok(storage)
    }

    /// The address with its signature: for a request, and for nothing else.
    pub(crate) fn signed(&self) -> Url {
        use secrecy::ExposeSecret;
        let mut url = self.address.clone();
        url.set_query(Some(self.signature.expose_secret()));
        url
    }
}

/// The account is the first label of the host, or the first segment of the path where the host is an address.
fn account(address: &Url) -> String {
    let host = address.host_str().unwrap_or_default();
    match address.host() {
        Some(url::Host::Domain(name)) if !endpoint::is_loopback(address) => {
            name.split('.').next().unwrap_or(host).to_owned()
        }
        _ => address.path_segments().and_then(|mut path| path.next()).unwrap_or(host).to_owned(),
    }
}

/// The answer to `.get ingestion resources`
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/netfx/kusto-ingest-client-rest.md`).
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) containers: Vec<Storage>,
    pub(crate) queues: Vec<Storage>,
    pub(crate) status_tables: Vec<Storage>,
}

impl Resources {
    /// Reads the table of types and addresses; types that are not known are of no concern.
    fn parse(table: &Table, secure: bool) -> Result<Self> {
        let (kind, root) = (table.position("ResourceTypeName")?, table.position("StorageRoot")?);
        let mut resources = Resources::default();
        for row in &table.rows {
            let (Some(kind), Some(root)) = (row[kind].as_str(), row[root].as_str()) else { continue };
            let list = match kind {
                "TempStorage" => &mut resources.containers,
                "SecuredReadyForAggregationQueue" => &mut resources.queues,
                "IngestionsStatusTable" => &mut resources.status_tables,
                _ => continue,
            };
            let storage = Storage::parse(root)?;
            if secure && storage.address.scheme() != "https" {
                let address = &storage.address;
                return Err(garbled(format!(
                    "the storage {address} is not https, as the cluster is; no data goes there"
                )));
            }
            list.push(storage);
        }
        Ok(resources)
    }

    /// The table for status rows. Official clients use the first, too.
    pub(crate) fn status_table(&self) -> Result<&Storage> {
        self.status_tables.first().ok_or_else(|| {
            garbled("data management lends no status table".to_owned()).with_advice(
                "Use Report::None, or ask why `.get ingestion resources` lists no IngestionsStatusTable.",
            )
        })
    }

    /// The newest signature for a storage address.
    pub(crate) fn signature_of(&self, address: &str) -> Option<&SecretString> {
        let address = address.trim_end_matches('/');
        [&self.containers, &self.queues, &self.status_tables]
            .into_iter()
            .flatten()
            .find(|storage| storage.address.as_str().trim_end_matches('/') == address)
            .map(|storage| &storage.signature)
    }
}

fn garbled(message: String) -> Error {
    Error::new(ErrorKind::Protocol, "get ingestion resources", "data management", message)
}

/// Nothing of this kind is lent.
pub(crate) fn lacks(what: &str, options: &ConnectionOptions) -> Error {
    garbled(format!("{} lends no {what}", options.ingestion_url())).with_advice(
        "Check that the ingestion URL leads to data management; a cluster that just started lends after some minutes.",
    )
}

/// Asks data management, and remembers.
#[derive(Debug)]
pub(crate) struct Lender {
    rest: Rest,
    secure: bool,
    resources: Arc<Cached<Resources>>,
    identity: Arc<Cached<SecretString>>,
    /// When a refused signature was last replaced.
    replaced: Mutex<Option<Instant>>,
}

impl Lender {
    pub(crate) fn new(options: &ConnectionOptions, rest: Rest) -> Self {
        let (resources, identity) = (Cached::new("ingestion resources"), Cached::new("identity token"));
        let secure = options.0.ingestion.scheme() == "https" && !endpoint::is_loopback(&options.0.ingestion);
        Lender { rest, secure, resources, identity, replaced: Mutex::default() }
    }

    /// Asks for both, unless they are there.
    pub(crate) async fn prepare(&self) -> Result<()> {
        futures::try_join!(self.resources(), self.identity()).map(drop)
    }

    /// Does `work` with the resources, and once more with fresh ones when storage refuses theirs.
    pub(crate) async fn with_resources<T, F>(&self, work: impl Fn(Arc<Resources>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let held = self.resources().await?;
        let mut result = work(Arc::clone(&held.value)).await;
        if let Err(error) = &result
            && self.is_worn(error)
            && self.replace(held.stamp)
        {
            tracing::info!(%error, "storage refuses; asking for fresh ingestion resources");
            let fresh = self.resources().await?;
            result = work(fresh.value).await;
        }
        result.map_err(|error| match (error.kind(), error.advice()) {
            (ErrorKind::Forbidden, None) => error.with_advice(
                "Fresh signatures are refused, too. Check the network rules of the cluster's storage accounts and \
                 private endpoints, and whether something between rewrites requests.",
            ),
            _ => error,
        })
    }

    async fn resources(&self) -> Result<crate::cache::Held<Resources>> {
        let (rest, secure) = (self.rest.clone(), self.secure);
        let fetch = || async move {
            let table = rest.lend(".get ingestion resources").await?;
            Ok(dated(Resources::parse(&table, secure)?))
        };
        self.resources.get(fetch).await
    }

    /// The opaque token that a message carries to say who sent it.
    pub(crate) async fn identity(&self) -> Result<Arc<SecretString>> {
        let rest = self.rest.clone();
        let fetch = || async move {
            let table = rest.lend(".get kusto identity token").await?;
            let column = table.position("AuthorizationContext")?;
            let token =
                table.rows.first().and_then(|row| row[column].as_str()).filter(|token| !token.is_empty());
            let token = token.ok_or_else(|| garbled("the identity token is empty".to_owned()))?;
            Ok(dated(SecretString::from(token)))
        };
        Ok(self.identity.get(fetch).await?.value)
    }

    /// Whether fresh signatures may mend this: storage refused one, or a container or queue is gone.
    fn is_worn(&self, error: &Error) -> bool {
        let ours = error.operation() != "run a command";
        match error.kind() {
            ErrorKind::Forbidden => ours,
            ErrorKind::NotFound => {
                matches!(error.code(), Some("ContainerNotFound" | "QueueNotFound" | "TableNotFound"))
            }
            _ => false,
        }
    }

    /// Throws the resources with this stamp away, and says whether to try with others: those that somebody else has
    /// asked for since (many uploads see the same signature expire), or new ones, unless the last came just now.
    fn replace(&self, stamp: u64) -> bool {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.resources.holds(stamp) {
            return true;
        }
        let may = replaced.is_none_or(|at| at.elapsed() >= CALM);
        if may {
            *replaced = Some(Instant::now());
            self.resources.refuse(stamp);
        }
        may
    }
}

fn dated<T>(value: T) -> Fresh<T> {
    let now = Instant::now();
    Fresh { value, refresh_at: now + REFRESH, discard_at: now + DISCARD }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::Value;

    use super::*;

    fn table(rows: &[(&str, &str)]) -> Table {
        let column = |name: &str| crate::Column { name: name.to_owned(), column_type: "string".to_owned() };
        Table {
            name: "Table_0".to_owned(),
            columns: vec![column("ResourceTypeName"), column("StorageRoot")],
            rows: rows.iter().map(|(kind, root)| vec![Value::from(*kind), Value::from(*root)]).collect(),
        }
    }

    #[test]
    fn known_types_are_sorted_and_unknown_ones_ignored() {
        let table = table(&[
            ("TempStorage", "https://a.blob.core.windows.net/c?sv=1&sig=x"),
            ("SecuredReadyForAggregationQueue", "https://b.queue.core.windows.net/q?sig=y"),
            ("IngestionsStatusTable", "https://a.table.core.windows.net/t?sig=z"),
            ("SomethingNew", "gopher:nowhere"),
        ]);
        let resources = Resources::parse(&table, true).unwrap();
        assert_eq!(resources.containers[0].account, "a");
        assert_eq!(resources.queues[0].signed().as_str(), "https://b.queue.core.windows.net/q?sig=y");
        let signature = resources.signature_of("https://a.table.core.windows.net/t/").unwrap();
        assert_eq!(signature.expose_secret(), "sig=z");
        assert!(!format!("{resources:?}").contains("sig="));
    }

    #[test]
    fn path_style_addresses_have_the_account_in_the_path() {
        let storage = Storage::parse("http://127.0.0.1:10000/devstoreaccount1/c?sig=x").unwrap();
        assert_eq!(storage.account, "devstoreaccount1");
        let storage = Storage::parse("http://localhost:1/acc/c").unwrap();
        assert_eq!(storage.account, "acc");
    }

    #[test]
    fn data_does_not_leave_a_secure_cluster_over_http() {
        let table = table(&[("TempStorage", "http://a.blob.core.windows.net/c?sig=secret")]);
        let error = Resources::parse(&table, true).unwrap_err();
        assert!(error.to_string().contains("not https") && !error.to_string().contains("secret"), "{error}");
        assert!(Resources::parse(&table, false).is_ok());
    }

    /// As `.get ingestion resources` is answered, and with everything in it damaged.
    #[test]
    fn no_damage_to_an_answer_makes_the_reader_panic_or_takes_storage_without_tls() {
        let examples = [
            r#"{"Tables":[{"TableName":"Table_0","Columns":[{"ColumnName":"ResourceTypeName","ColumnType":"string"},
                {"ColumnName":"StorageRoot","ColumnType":"string"}],"Rows":[
                ["TempStorage","https://a.blob.core.windows.net/c?sv=1&sig=s3cret"],
                ["SecuredReadyForAggregationQueue","https://a.queue.core.windows.net/q?sig=s3cret"],
                ["IngestionsStatusTable","https://a.table.core.windows.net/t?sig=s3cret"],["FailedIngestionsQueue",null]]}]}"#,
            r#"{"Tables":[{"Columns":[{"ColumnName":"StorageRoot"},{"ColumnName":"ResourceTypeName"}],"Rows":[["",""]]}]}"#,
            // Found: a signature that is not in the query was shown with the address.
            r#"{"Tables":[{"Columns":[{"ColumnName":"StorageRoot"},{"ColumnName":"ResourceTypeName"}],
                "Rows":[["https://a.table.core.windows.net/t;sig=s3cret","IngestionsStatusTable"]]}]}"#,
        ];
        crate::fuzz::fuzz("ingestion resources", &examples, |body| {
            let Ok(table) = crate::rest::first_table(body) else { return };
            match Resources::parse(&table, true) {
                Ok(resources) => {
                    let all = [&resources.containers, &resources.queues, &resources.status_tables];
                    for storage in all.into_iter().flatten() {
                        assert_eq!(storage.address.scheme(), "https");
                        assert!(storage.signed().host_str().is_some());
                    }
                    assert!(!format!("{resources:?}").contains("sig=s3cret"));
                }
                Err(error) => assert!(!error.to_string().contains("sig=s3cret"), "{error}"),
            }
        });
    }
}
