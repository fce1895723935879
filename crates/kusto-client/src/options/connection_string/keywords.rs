//! The keywords of connection strings: all that any official client or the documentation knows, under every name.
//!
//! Names and aliases: `Azure/azure-kusto-python azure-kusto-data/azure/kusto/data/kcsb.json`, the same file in
//! `Azure/azure-kusto-java`, the older set of `Azure/azure-kusto-node
//! packages/azure-kusto-data/src/connectionBuilderBase.ts`, and `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/api/connection-strings/kusto.md`.

/// A keyword that this client acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    DataSource,
    InitialCatalog,
    Federated,
    ApplicationId,
    ApplicationKey,
    CertificateBlob,
    CertificateThumbprint,
    SendX5c,
    ApplicationToken,
    UserToken,
    Authority,
    ApplicationName,
    UserName,
}

/// What a keyword is good for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Used(Keyword),
    /// Known, but nothing here can act on it; the text says what to do instead.
    Refused(&'static str),
}

/// One keyword with its other names.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name that official clients write.
    pub(crate) name: &'static str,
    /// Other names, in lower case and without spaces.
    aliases: &'static [&'static str],
    /// Whether its value must never be shown.
    pub(crate) secret: bool,
    pub(crate) meaning: Meaning,
}

const fn used(keyword: Keyword, name: &'static str, aliases: &'static [&'static str]) -> Entry {
    Entry { name, aliases, secret: false, meaning: Meaning::Used(keyword) }
}

const fn secret(keyword: Keyword, name: &'static str, aliases: &'static [&'static str]) -> Entry {
    Entry { name, aliases, secret: true, meaning: Meaning::Used(keyword) }
}

const fn refused(name: &'static str, aliases: &'static [&'static str], instead: &'static str) -> Entry {
    Entry { name, aliases, secret: false, meaning: Meaning::Refused(instead) }
}

const LEAVE_OUT: &str = "leave it out: it changes how other clients read answers, not what this one does";
const STORE: &str =
    "it names a certificate in the store of a Windows machine; give the certificate itself, as a PEM file";
const PERSON: &str = "people sign in by `az login`: leave User ID and Password out, and use azure_cli";

/// Every keyword there is.
pub(crate) const KEYWORDS: &[Entry] = &[
    used(Keyword::DataSource, "Data Source", &["server", "addr", "address", "networkaddress"]),
    used(Keyword::InitialCatalog, "Initial Catalog", &["database"]),
    used(
        Keyword::Federated,
        "AAD Federated Security",
        &["federatedsecurity", "federated", "fed", "aadfed", "microsoftentraidfederatedsecurity"],
    ),
    used(Keyword::ApplicationId, "Application Client Id", &["appclientid"]),
    secret(Keyword::ApplicationKey, "Application Key", &["appkey"]),
    secret(Keyword::CertificateBlob, "Application Certificate Blob", &["applicationcertificateprivatekey"]),
    used(Keyword::CertificateThumbprint, "Application Certificate Thumbprint", &["appcert"]),
    used(
        Keyword::SendX5c,
        "Application Certificate SendX5c",
        &[
            "applicationcertificatex5c",
            "sendx5c",
            "applicationcertificatesendpubliccertificate",
            "sendcertificatechain",
        ],
    ),
    secret(Keyword::ApplicationToken, "Application Token", &["apptoken"]),
    secret(Keyword::UserToken, "User Token", &["usrtoken"]),
    used(Keyword::Authority, "Authority Id", &["tenantid", "tid", "tenant", "authority", "domainhint"]),
    used(Keyword::ApplicationName, "Application Name for Tracing", &["traceappname"]),
    used(Keyword::UserName, "User Name for Tracing", &["traceusername"]),
    refused("User ID", &["user", "uid", "loginhint", "aaduserid"], PERSON),
    Entry { name: "Password", aliases: &["pwd"], secret: true, meaning: Meaning::Refused(PERSON) },
    refused("Application Certificate Issuer Distinguished Name", &["applicationcertificateissuer"], STORE),
    refused("Application Certificate Subject Distinguished Name", &["applicationcertificatesubject"], STORE),
    refused("Data Source Uri", &["serveruri", "clusteruri"], "write Data Source"),
    refused(
        "dSTS Federated Security",
        &["dstsfed", "dststokentype"],
        "that sign-in exists within Microsoft only",
    ),
    refused(
        "EnforceMfa",
        &[],
        "leave it out: the cluster's own sign-in metadata says whether two factors are asked",
    ),
    refused(
        "Azure Region",
        &["region"],
        "leave it out: tokens come from the login endpoint of the cluster's cloud",
    ),
    refused("Namespace", &["ns"], "leave it out, and name the cluster by its full address in Data Source"),
    refused(
        "ManagedServiceIdentity",
        &["embeddedmanagedidentity"],
        "no connection string can carry it; use managed_identity beside the string",
    ),
    refused("Client Version for Tracing", &["traceclientversion"], "leave it out: this client tells its own"),
    refused("Streaming", &[], LEAVE_OUT),
    refused("Uncompressed", &[], LEAVE_OUT),
    refused("Accept", &[], LEAVE_OUT),
    refused(
        "Query Consistency",
        &[],
        "leave it out: queries here are strongly consistent, the service's default",
    ),
];

/// A keyword as it is compared: lower case, no white space.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

impl Entry {
    fn is_called(&self, plain_text: &str) -> bool {
        plain(self.name) == plain_text || self.aliases.contains(&plain_text)
    }
}

/// Finds a keyword by any of its names, whatever the case and the spaces.
pub(crate) fn find(text: &str) -> Option<&'static Entry> {
    let text = plain(text);
    KEYWORDS.iter().find(|entry| entry.is_called(&text))
}

/// The entry of a keyword that is acted on.
pub(crate) fn of(keyword: Keyword) -> &'static Entry {
    let entry = KEYWORDS.iter().find(|entry| entry.meaning == Meaning::Used(keyword));
    entry.expect("every keyword has its entry; a test looks for each")
}

/// The keyword that was probably meant: at most a third of its letters differ.
pub(crate) fn nearest(text: &str) -> Option<&'static Entry> {
    let text = plain(text);
    if text.is_empty() || text.len() > 60 {
        return None;
    }
    let distance = |entry: &Entry| {
        let names = entry.aliases.iter().map(|alias| (*alias).to_owned()).chain([plain(entry.name)]);
        let near = names.filter_map(|name| {
            let differ = strsim::damerau_levenshtein(&text, &name);
            (differ * 3 <= name.len()).then_some(differ)
        });
        near.min()
    };
    KEYWORDS
        .iter()
        .filter_map(|entry| Some((distance(entry)?, entry)))
        .min_by_key(|(far, _)| *far)
        .map(|(_, entry)| entry)
}
