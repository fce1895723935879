//! Kusto connection strings: `https://c.r.kusto.windows.net/Db;Fed=true;AppClientId=...;AppKey=...;Authority Id=...`.
//!
//! ```text
//! text ──split──► parts (key, value) ──keywords──► Keyword ──apply──► ConnectionOptionsBuilder ──build──► options
//!                                                                                              text, no secrets ◄──┘
//! ```
//! Rules (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/connection-strings/kusto.md`):
//!
//! 1. Parts are separated by semicolons; empty ones count for nothing. The first may be a bare address, the Data Source;
//!    one segment of a path behind its host is the Initial Catalog, unless that is given by its keyword.
//! 2. Keywords are the same in any case and with any spaces ([`keywords`]). White space around a value does not count.
//! 3. A value with a semicolon or a quote stands between double quotes, with each quote of its own doubled. (Single
//!    quotes do as well, as in ADO.NET, whose model the documentation names.)
//! 4. An unknown keyword is an error that names it and the nearest known one; so is a known one that cannot be acted on,
//!    with what to do instead. An empty value counts as not given.
//! 5. No error shows a secret, nor a keyword that may be the tail of a secret with a semicolon in it.
//! 6. Written back, secrets are `****`; and `****` is refused where a secret is read.
//!
//! What is meant where official clients disagree:
//!
//! | | here | others |
//! |---|---|---|
//! | quotes | taken off | Python, Java, Node keep them as part of the value; .NET takes them off |
//! | `=` within a value | part of the value | Java and Node cut the value there |
//! | `;` at the end | allowed | Python and Node refuse it |
//! | a keyword twice | error | the last one counts |
//! | spaces in keywords | do not count | Node wants them as its table has them |
//! | `Fed=true` and no secret | who is signed in to the Azure command line, in the tenant of Authority Id | a browser window |
//! | no Authority Id with a key or certificate | error | the tenant `organizations`, which no application can sign in to |
//! | User Token beside application keywords | the token counts | the same |
//! | Application Certificate Blob | PEM of key and certificate, or of the key with the thumbprint; in base64, too | Python: PEM of the key, and thumbprint; Go: base64 of PEM or PKCS#12; Java refuses it |

pub(crate) mod keywords;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use self::keywords::{Entry, Keyword, Meaning};
use super::{ConnectionOptionsBuilder, Settings};
use crate::auth::{Application, Auth, Certificate, Proof};
use crate::{Error, ErrorKind, Result};

/// The longest string that is read; a key with a whole chain of certificates has a sixth of it.
const LONGEST: usize = 64 << 10;
/// Stands where a secret was.
const HIDDEN: &str = "****";

/// What a connection string says, checked word by word.
#[derive(Debug, Default)]
pub(super) struct ConnectionString {
    values: Vec<(Keyword, SecretString)>,
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOption, "use the option", "connection_string", message)
}

impl ConnectionString {
    /// Reads a connection string.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > LONGEST {
            return Err(bad(format!("it has {} bytes; {LONGEST} are the most", text.len())));
        }
        let mut string = ConnectionString::default();
        let mut scanner = Scanner { rest: text, part: 0, after_secret: false };
        while let Some((entry, value)) = scanner.next()? {
            string.add(entry, value)?;
        }
        match string.values.is_empty() {
            true => Err(bad("it is empty; write https://<cluster>.<region>.kusto.windows.net;Fed=true")),
            false => Ok(string),
        }
    }

    fn add(&mut self, entry: &'static Entry, value: String) -> Result<()> {
        let name = entry.name;
        let keyword = match entry.meaning {
            Meaning::Used(keyword) => keyword,
            Meaning::Refused(instead) => {
                return Err(bad(format!("the keyword `{name}` is not supported: {instead}")));
            }
        };
        if self.values.iter().any(|(known, _)| *known == keyword) {
            return Err(bad(format!("the keyword `{name}` is given twice, by this or another of its names")));
        }
        if entry.secret && value == HIDDEN {
            return Err(bad(format!(
                "`{name}={HIDDEN}` is what is left when a secret is taken out; put it back"
            )));
        }
        if !value.is_empty() {
            self.values.push((keyword, SecretString::from(value)));
        }
        Ok(())
    }

    fn take(&mut self, keyword: Keyword) -> Option<SecretString> {
        let at = self.values.iter().position(|(known, _)| *known == keyword)?;
        Some(self.values.swap_remove(at).1)
    }

    fn take_text(&mut self, keyword: Keyword) -> Option<String> {
        self.take(keyword).map(|value| value.expose_secret().to_owned())
    }

    fn take_flag(&mut self, keyword: Keyword) -> Result<Option<bool>> {
        let Some(value) = self.take(keyword) else { return Ok(None) };
        match value.expose_secret().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(bad(format!("the value of `{}` must be true or false", keywords::of(keyword).name))),
        }
    }

    /// Sets on `builder` what the string says.
    pub(super) fn apply(mut self, mut builder: ConnectionOptionsBuilder) -> Result<ConnectionOptionsBuilder> {
        if let Some(source) = self.take_text(Keyword::DataSource) {
            let (address, catalog) = address_and_catalog(&source);
            builder = builder.cluster_url(address);
            if let Some(catalog) = catalog {
                builder = builder.database(catalog);
            }
        }
        if let Some(catalog) = self.take_text(Keyword::InitialCatalog) {
            builder = builder.database(catalog);
        }
        if let Some(name) = self.take_text(Keyword::ApplicationName) {
            builder = builder.application_name(name);
        }
        if let Some(name) = self.take_text(Keyword::UserName) {
            builder = builder.user_name(name);
        }
        let federated = self.take_flag(Keyword::Federated)?;
        let tenant = self.take_text(Keyword::Authority);
        match (federated, self.sign_in(tenant.clone())?) {
            (Some(false), Some(_)) => Err(bad(
                "`AAD Federated Security` is false, and yet there are credentials; leave out the one or the other",
            )),
            (_, Some(auth)) => Ok(builder.auth(auth)),
            (Some(false), None) => Ok(builder.no_auth()),
            (Some(true), None) => Ok(builder.auth_unless_chosen(Auth::AzureCli { tenant })),
            (None, None) => Ok(builder),
        }
    }

    /// The sign-in that the credentials stand for, if there are any.
    fn sign_in(&mut self, tenant: Option<String>) -> Result<Option<Auth>> {
        let (user, application) = (self.take(Keyword::UserToken), self.take(Keyword::ApplicationToken));
        let (id, proof) = (self.take_text(Keyword::ApplicationId), self.proof()?);
        if let Some(token) = user.or(application) {
            return Ok(Some(Auth::Token(token)));
        }
        match (id, proof, tenant) {
            (None, None, _) => Ok(None),
            (Some(id), Some(proof), Some(tenant)) => {
                Ok(Some(Auth::Application(Application { id, proof, tenant })))
            }
            (Some(_), Some(_), None) => {
                Err(bad("`Authority Id` is missing: the tenant of the application, by its id or domain"))
            }
            (Some(_), None, _) => Err(bad(
                "`Application Client Id` is given without `Application Key` or `Application Certificate Blob`",
            )),
            (None, Some(_), _) => {
                Err(bad("the `Application Client Id` is missing to which the secret belongs"))
            }
        }
    }

    fn proof(&mut self) -> Result<Option<Proof>> {
        let (key, blob) = (self.take(Keyword::ApplicationKey), self.take(Keyword::CertificateBlob));
        let thumbprint = self.take_text(Keyword::CertificateThumbprint);
        let send_chain = self.take_flag(Keyword::SendX5c)?.unwrap_or(false);
        let Some(blob) = blob else {
            return match (key, thumbprint) {
                (None, Some(_)) => Err(bad(
                    "`Application Certificate Thumbprint` names a certificate in the store of a Windows machine; \
                     give `Application Certificate Blob`, the key in PEM, beside it",
                )),
                (key, _) => Ok(key.map(Proof::Key)),
            };
        };
        if key.is_some() {
            return Err(bad("`Application Key` and `Application Certificate Blob` are both given; give one"));
        }
        let mut certificate = Certificate::from_pem(plain_pem(blob)).send_chain(send_chain);
        if let Some(thumbprint) = thumbprint {
            certificate = certificate.thumbprint(thumbprint);
        }
        Ok(Some(Proof::Certificate(certificate)))
    }
}

/// A PEM as it is, or out of the base64 in which the Go client writes one.
fn plain_pem(blob: SecretString) -> SecretString {
    let text = blob.expose_secret();
    let decoded = (!text.contains("-----BEGIN")).then(|| STANDARD.decode(text).ok()).flatten();
    match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(pem) => SecretString::from(pem),
        None => blob,
    }
}

/// Cuts the only segment of a path off an address. What is no such address stays whole: the check of addresses names it.
fn address_and_catalog(source: &str) -> (String, Option<String>) {
    let whole = || (source.trim_end_matches('/').to_owned(), None);
    let Some((scheme, rest)) = source.split_once("://") else { return whole() };
    let Some((host, path)) = rest.split_once('/') else { return whole() };
    let path = path.trim_end_matches('/');
    if path.is_empty() || path.contains(['/', '?', '#']) {
        return whole();
    }
    let catalog = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    (format!("{scheme}://{host}"), Some(catalog))
}

/// Takes the parts off a connection string, one by one.
struct Scanner<'a> {
    rest: &'a str,
    /// Number of the part at hand, from 1.
    part: usize,
    /// Whether the part before was a secret: what looks like a keyword may be its tail.
    after_secret: bool,
}

impl Scanner<'_> {
    /// The next keyword with its value.
    fn next(&mut self) -> Result<Option<(&'static Entry, String)>> {
        self.rest = self.rest.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.part += 1;
        let bare = self.rest.starts_with("https://") || self.rest.starts_with("http://");
        let segment = self.rest.split(';').next().unwrap_or_default();
        if self.part == 1 && (bare || !segment.contains('=')) {
            self.rest = &self.rest[segment.len()..];
            return Ok(Some((keywords::of(Keyword::DataSource), segment.trim().to_owned())));
        }
        let Some((key, _)) = segment.split_once('=') else { return Err(self.without_value()) };
        let entry = keywords::find(key).ok_or_else(|| self.unknown(key.trim()))?;
        self.rest = &self.rest[key.len() + 1..];
        let value = self.value(entry)?;
        self.after_secret = entry.secret;
        Ok(Some((entry, value)))
    }

    fn value(&mut self, entry: &Entry) -> Result<String> {
        let start = self.rest.trim_start();
        if let Some(quote) = start.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.quoted(&start[1..], quote, entry);
        }
        let value = self.rest.split(';').next().unwrap_or_default();
        self.rest = &self.rest[value.len()..];
        Ok(value.trim().to_owned())
    }

    /// A value between quotes; `text` begins behind the first.
    fn quoted(&mut self, text: &str, quote: char, entry: &Entry) -> Result<String> {
        let (mut value, mut at) = (String::new(), 0);
        let broken = |what: &str| Err(bad(format!("the value of `{}` {what}", entry.name)));
        loop {
            let Some(length) = text[at..].find(quote) else { return broken("lacks its closing quote") };
            value.push_str(&text[at..at + length]);
            at += length + 1;
            if !text[at..].starts_with(quote) {
                break;
            }
            value.push(quote);
            at += 1;
        }
        let behind = text[at..].trim_start();
        if !behind.is_empty() && !behind.starts_with(';') {
            return broken("goes on behind its closing quote; double a quote that belongs to it");
        }
        self.rest = &self.rest[self.rest.len() - behind.len()..];
        Ok(value)
    }

    fn without_value(&self) -> Error {
        bad(format!("part {} has no `=`{}", self.part, self.tail_of_secret()))
    }

    fn unknown(&self, key: &str) -> Error {
        match keywords::nearest(key) {
            Some(entry) => {
                bad(format!("the keyword `{}` is not known; did you mean `{}`?", shown(key), entry.name))
            }
            None if self.after_secret => bad(format!(
                "part {} begins with no keyword that is known{}",
                self.part,
                self.tail_of_secret()
            )),
            None => bad(format!("the keyword `{}` is not known", shown(key))),
        }
    }

    fn tail_of_secret(&self) -> &'static str {
        match self.after_secret {
            true => "; if the secret before it holds a semicolon, put the secret between double quotes",
            false => "",
        }
    }
}

/// A keyword as an error quotes it: without control characters, and short.
fn shown(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Writes options as a connection string, secrets hidden.
pub(super) fn describe(settings: &Settings) -> String {
    let mut text = String::new();
    let mut write = |keyword: Keyword, value: &str| {
        let separator = if text.is_empty() { "" } else { ";" };
        text.push_str(&format!("{separator}{}={}", keywords::of(keyword).name, quote(value)));
    };
    write(Keyword::DataSource, settings.cluster.as_str().trim_end_matches('/'));
    if let Some(database) = &settings.database {
        write(Keyword::InitialCatalog, database);
    }
    write(Keyword::Federated, if matches!(settings.auth, Auth::None) { "False" } else { "True" });
    match &settings.auth {
        Auth::Application(Application { id, proof, tenant }) => {
            write(Keyword::ApplicationId, id);
            match proof {
                Proof::Key(_) => write(Keyword::ApplicationKey, HIDDEN),
                Proof::Certificate(certificate) => {
                    write(Keyword::CertificateBlob, HIDDEN);
                    if certificate.sends_chain() {
                        write(Keyword::SendX5c, "True");
                    }
                }
            }
            write(Keyword::Authority, tenant);
        }
        Auth::Token(_) => write(Keyword::UserToken, HIDDEN),
        Auth::AzureCli { tenant: Some(tenant) } => write(Keyword::Authority, tenant),
        _ => {}
    }
    write(Keyword::ApplicationName, &settings.application);
    write(Keyword::UserName, &settings.user);
    text
}

/// Puts quotes around a value that needs them.
fn quote(value: &str) -> String {
    match value.contains([';', '"', '\'']) || value.trim() != value {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
