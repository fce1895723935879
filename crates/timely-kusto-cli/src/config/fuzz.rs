//! Damaged configuration files: read, or refused in a few lines that name the file and show nothing secret. See
//! [`pipelines::testing::fuzz`] for how a run is repeated and made longer.

use std::path::Path;

use pipelines::testing::fuzz::fuzz;

use super::tests::GOOD;
use super::*;

/// Damaged inputs in a usual run.
const ROUNDS: u64 = 1_500;

/// Every section and way to sign in, with what may stand in them.
const EXAMPLES: [&str; 6] = [
    GOOD,
    "[job]\nname='a'\nstate=\"s\"\n[source]\nkind='generator'\nrows=1_000\nseed=0xff\npartitions=3\n[connection]\ncluster=\"emulator\"\n[sink]\nmode='write-ahead'\ndatabase='D'\ntable='T'\nlog_bytes='10GiB'\nmax_value_bytes=\"1MiB\"\n",
    "job = { name = \"a\", state = \"s\" }\nsource = { kind = \"file\", path = \"a.json.gz\", record_bytes = \"1MB\" }\nconnection = { cluster = \"https://c.kusto.windows.net\", auth = { kind = \"application\", app_id = \"a\", tenant_id = \"t\", app_key = { env = \"NO_SUCH_VARIABLE\" } } }\nsink = { database = \"D\", table = \"T\", delivery = \"queued\", format = \"json\" }\n",
    "[job]\nname='a'\nstate='s'\ncheckpoint_interval='1h 30min'\n[source]\nkind='file'\npath=['a.csv']\n[connection]\ncluster='https://c.kusto.windows.net/D;Fed=true;Authority Id=t'\n[connection.auth]\nkind='certificate'\napp_id='a'\ntenant_id='t'\ncertificate='no-such.pem'\nthumbprint='00'\nsend_chain=true\n[sink]\ndatabase='D'\ntable='T'\nretry_backoff='1ms'\nretry_attempts=3\n",
    "[connection]\ncluster='https://c.kusto.windows.net'\ningestion='https://ingest-c.kusto.windows.net'\ntrusted_hosts=['h']\nauthority='http://127.0.0.1:1'\nauth={kind='managed-identity',client_id='c'}\n",
    "[connection.auth]\nkind='workload-identity'\nclient_id='c'\ntoken_file='f'\n[sink]\ncompression_level=9\nadditional_tags=[\"a\"]\nflush_immediately=true\n",
];

const WORDS: [&str; 36] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    "a.",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\u0000",
    "\\ud800",
    "\\",
    "#",
    "\n",
    ",",
    "\0",
    "İ",
    "𝄞",
    "-",
    "_",
    "inf",
    "nan",
    "0x",
    "1e999",
    "99999999999999999999",
    "2020-01-01T00:00:00Z",
    "true",
    "[connection]\n",
    "[sink]\n",
    ";AppKey=",
    "cluster = ",
    "{ a = ",
];

/// What is said about a file with this text, if it is refused.
fn refusal(text: &str) -> Option<String> {
    read_text(Path::new("pipeline.toml"), text).err().map(|error| error.to_string())
}

#[test]
fn a_damaged_configuration_is_read_or_refused_in_a_few_words_that_name_the_file() {
    fuzz("configuration", ROUNDS, &EXAMPLES.map(str::as_bytes), &WORDS, |input, _| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let Some(error) = refusal(text) else { return };
        assert!(error.starts_with("pipeline.toml"), "{error}");
        assert!(error.len() <= 4_000 + 4 * text.len(), "{} bytes of error", error.len());
    });
}

#[test]
fn a_secret_in_a_damaged_configuration_is_not_in_the_refusal() {
    let key = "k3y~that-nobody.may_see";
    let (before, after) =
        ("[job]\nname='a'\nstate='s'\n[source]\nkind='generator'\n[connection]\ncluster=", "\n[sink]\n");
    let strings: [&[u8]; 3] = [
        b"https://c.kusto.windows.net/D;Fed=true;AppClientId=a;tid=t;AppKey=KEY",
        b"https://c.kusto.windows.net/D;Fed=true;AppClientId=a;AppKey=KEY;Authority Id=t",
        b"Data Source=https://c.kusto.windows.net;Initial Catalog=D;Application Client Id=a;Application Key=\\\"KEY\\\";tid=t",
    ];
    let words = [";", "=", "\\\"", "'", " ", "/", "Fed", "AppKey=", "Password=", "[", "http://", "%", "İ"];
    fuzz("connection string", ROUNDS, &strings, &words, |input, _| {
        let Ok(string) = std::str::from_utf8(input) else { return };
        let Some((_, behind)) = string.split_once("Key=") else { return };
        if string.matches("KEY").count() != 1 {
            return; // the damage put it elsewhere, too
        }
        if !behind.trim_start_matches("\\\"").starts_with("KEY") {
            return; // the damage made something else of it
        }
        let text = format!("{before}\"{}\"{after}", string.replace("KEY", key));
        let error = refusal(&text).expect("it lacks the sink's table");
        assert!(!error.contains(key), "{error}");
    });
}

#[test]
fn a_key_behind_a_forgotten_semicolon_is_not_in_the_refusal() {
    for string in [
        "https://c.kusto.windows.net AppClientId=a;AppKey=s3cr3t;tid=t",
        "https://c.kusto.windows.net;Fed=true AppKey=s3cr3t",
        "https://c.kusto.windows.net;AppClientId=a;tid=t AppKey=s3cr3t",
        "https://c.kusto.windows.net/D AppKey=s3cr3t",
        "c.kusto.windows.net AppKey=s3cr3t",
        "Data Source=https:/Key=s3cr3t;Authority Id=t",
        "https://c.kusto.windows.net;AppClientId=a AppKey=s3cr3t;tid=t",
        "https://c.kuspKey=s3cr3t.windows.net",
    ] {
        let text = super::tests::with_connection(&format!("cluster = {string:?}"));
        let error = refusal(&text).unwrap_or_else(|| panic!("{string} is taken"));
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}
