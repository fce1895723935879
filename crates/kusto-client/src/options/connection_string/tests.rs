use std::collections::HashSet;

use super::*;
use crate::ConnectionOptions;

const CLUSTER: &str = "https://c.westeurope.kusto.windows.net";

fn read(text: &str) -> ConnectionOptions {
    ConnectionOptions::from_connection_string(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    let error = ConnectionOptions::from_connection_string(text).expect_err(text);
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    error.to_string()
}

fn application(options: &ConnectionOptions) -> (&str, &str, &str) {
    let Auth::Application(Application { id, proof: Proof::Key(key), tenant }) = &options.0.auth else {
        panic!("{options:?}")
    };
    (id, key.expose_secret(), tenant)
}

#[test]
fn every_keyword_has_its_entry_and_no_name_is_in_two() {
    let mut names = HashSet::new();
    for entry in keywords::KEYWORDS {
        assert!(keywords::find(entry.name).is_some_and(|found| found.name == entry.name), "{}", entry.name);
        let used = keywords::KEYWORDS.iter().filter(|other| other.meaning == entry.meaning);
        let Meaning::Used(keyword) = entry.meaning else { continue };
        assert_eq!(used.count(), 1, "{}", entry.name);
        assert!(names.insert(keywords::of(keyword).name));
    }
}

/// The names of `kcsb.json` that the Python, Java and Go clients act on, with those of the Node client and the
/// documentation.
#[test]
fn every_name_of_every_client_is_known_in_any_case_and_with_any_spaces() {
    let names = "Data Source, Server, Addr, Address, Network Address, Initial Catalog, Database, AAD Federated Security, \
        Federated Security, Federated, Fed, AADFed, Microsoft Entra ID Federated Security, Application Client Id, \
        AppClientId, Application Key, AppKey, Application Certificate Blob, Application Certificate PrivateKey, \
        Application Certificate Thumbprint, AppCert, Application Certificate SendX5c, Application Certificate x5c, \
        SendX5c, Application Certificate Send Public Certificate, Send Certificate Chain, Application Token, AppToken, \
        User Token, UsrToken, UserToken, Authority Id, TenantId, Tenant, tid, Authority, Domain Hint, \
        Application Name for Tracing, TraceAppName, User Name for Tracing, TraceUserName, User ID, UID, User, \
        AAD User ID, Login Hint, Password, Pwd, Application Certificate Issuer Distinguished Name, \
        Application Certificate Issuer, Application Certificate Subject Distinguished Name, \
        Application Certificate Subject, dSTS Federated Security, DstsFed, DstsTokenType, Data Source Uri, ServerUri, \
        ClusterUri, Streaming, Uncompressed, EnforceMfa, Accept, Query Consistency, Azure Region, Region, Namespace, NS";
    for name in names.split(", ").map(str::trim) {
        let spaced: String = name.chars().flat_map(|c| [' ', c]).collect();
        for spelling in [name.to_owned(), name.to_uppercase(), name.to_lowercase().replace(' ', ""), spaced] {
            assert!(keywords::find(&spelling).is_some(), "{spelling}");
        }
    }
}

#[test]
fn an_application_is_read_in_every_spelling() {
    for text in [
        "https://c.westeurope.kusto.windows.net/Db;Fed=true;AppClientId=a;AppKey=k=1==;Authority Id=t",
        " Data Source = https://c.westeurope.kusto.windows.net/ ; database=Db ;appkey =k=1==; APPCLIENTID=a;tid= t;",
        "server=https://c.westeurope.kusto.windows.net;Initial Catalog=\"Db\";Application Key='k=1==';\
         Application Client Id=a;TenantId=t;;aad federated security=TRUE",
        "Application Client Id=a;Addr=https://c.westeurope.kusto.windows.net/Other;Database=Db;AppKey=k=1==;Tenant=t",
    ] {
        let options = read(text);
        assert_eq!(options.cluster_url(), format!("{CLUSTER}/"), "{text}");
        assert_eq!(options.database(), Some("Db"), "{text}");
        assert_eq!(application(&options), ("a", "k=1==", "t"), "{text}");
    }
}

#[test]
fn quotes_keep_semicolons_and_quotes_together() {
    let key = |value: &str| {
        let options = read(&format!("{CLUSTER};AppClientId=a;AppKey={value};tid=t"));
        application(&options).1.to_owned()
    };
    assert_eq!(key(r#""a;b""#), "a;b");
    assert_eq!(key(r#""a""b" "#), r#"a"b"#);
    assert_eq!(key("'a;\"b'"), "a;\"b");
    assert_eq!(key("a\"b'c"), "a\"b'c", "within a bare value they are letters");
    assert_eq!(key("\" a \""), " a ");
}

#[test]
fn each_sign_in_that_a_string_can_carry_is_read() {
    let auth = |rest: &str| format!("{:?}", read(&format!("{CLUSTER};{rest}")).0.auth);
    assert_eq!(auth("User Token=x"), "token");
    assert_eq!(auth("Fed=True;AppToken=x;AppClientId=a;AppKey=k"), "token", "a token overrides the rest");
    assert_eq!(auth("Fed=true"), "Azure command line");
    assert_eq!(auth("Fed=true;Authority Id=contoso.com"), "Azure command line, tenant contoso.com");
    assert_eq!(auth("Fed=false"), "no_auth");
    let builder = ConnectionOptions::builder().connection_string(format!("{CLUSTER};Fed=true"));
    let options = builder.managed_identity().build().unwrap();
    assert_eq!(format!("{:?}", options.0.auth), "system-assigned managed identity");
    let none = ConnectionOptions::builder().connection_string(CLUSTER).build().unwrap_err();
    assert!(none.to_string().contains("none was chosen"), "{none}");
}

#[test]
fn names_for_tracing_are_taken_over() {
    let options = read(&format!("{CLUSTER};Fed=true;TraceAppName=my app;User Name for Tracing=me"));
    assert_eq!((options.0.application.as_str(), options.0.user.as_str()), ("my app", "me"));
}

#[test]
fn what_cannot_be_understood_is_named_with_what_to_do() {
    for (rest, words) in [
        ("Fedd=true", vec!["`Fedd`", "did you mean `AAD Federated Security`"]),
        ("Tenent=t", vec!["`Tenent`", "`Authority Id`"]),
        ("Colour=blue", vec!["`Colour` is not known"]),
        ("Accept=true", vec!["`Accept` is not supported", "leave it out"]),
        ("User ID=me;Password=pw", vec!["`User ID`", "az login"]),
        ("Fed=maybe", vec!["`AAD Federated Security`", "true or false"]),
        ("Fed=true;federated=true", vec!["`AAD Federated Security`", "twice"]),
        ("Fed=false;AppToken=x", vec!["is false", "credentials"]),
        ("AppClientId=a;tid=t", vec!["without `Application Key`"]),
        ("AppClientId=a;AppKey=k", vec!["`Authority Id` is missing"]),
        ("AppKey=k;tid=t", vec!["`Application Client Id` is missing"]),
        ("AppClientId=a;AppKey=;tid=t", vec!["without `Application Key`"]),
        ("AppClientId=a;AppKey=****;tid=t", vec!["****", "put it back"]),
        ("AppClientId=a;AppCert=AB;tid=t", vec!["Thumbprint", "Application Certificate Blob"]),
        ("Fed", vec!["part 2 has no `=`"]),
        ("AppKey=\"k", vec!["`Application Key` lacks its closing quote"]),
        ("AppKey=\"k\"x;tid=t", vec!["goes on behind its closing quote"]),
    ] {
        let text = refused(&format!("{CLUSTER};{rest}"));
        for word in words {
            assert!(text.contains(word), "`{word}` is missing for `{rest}`: {text}");
        }
    }
    assert!(refused("").contains("empty") && refused(" ; ;").contains("empty"));
    assert!(refused("https://c.kusto.windows.net/a/b;Fed=true").contains("goes on after the host"));
    assert!(refused("c.kusto.windows.net;Fed=true").contains("https://c.kusto.windows.net"));
    assert!(refused("https://ingest-c.kusto.windows.net;Fed=true").contains("address of data management"));
    assert!(refused(&"x".repeat(LONGEST + 1)).contains("bytes"));
}

#[test]
fn no_error_shows_the_tail_of_a_secret_that_holds_a_semicolon() {
    for tail in ["s3cret", "s3cret=more", "AppKey2=s3cret"] {
        let text = refused(&format!("{CLUSTER};AppClientId=a;AppKey=first;{tail}"));
        assert!(!text.contains("s3cret"), "{text}");
    }
    let text = refused(&format!("{CLUSTER};AppKey=first;s3cret=more"));
    assert!(text.contains("between double quotes"), "{text}");
}

#[test]
fn options_go_back_to_a_string_without_secrets() {
    let text = read(&format!("{CLUSTER}/Db;AppClientId=a;AppKey=s3cret;tid=t;TraceAppName=\"x;y\""))
        .connection_string();
    assert_eq!(
        text,
        "Data Source=https://c.westeurope.kusto.windows.net;Initial Catalog=Db;AAD Federated Security=True;\
         Application Client Id=a;Application Key=****;Authority Id=t;Application Name for Tracing=\"x;y\";\
         User Name for Tracing=[none]"
    );
    assert!(refused(&text).contains("put it back"), "the placeholder is no key");
    let again = read(&text.replace("****", "k"));
    assert_eq!(again.connection_string(), text);
    for rest in ["Fed=false", "Fed=true", "Fed=true;tid=t", "Fed=true;User Name for Tracing=\" a\"\"b \""] {
        let text = read(&format!("{CLUSTER};{rest}")).connection_string();
        assert_eq!(read(&text).connection_string(), text, "{rest}");
    }
}

const EXAMPLES: &[&str] = &[
    "https://c.westeurope.kusto.windows.net/Db;Fed=true;AppClientId=a;AppKey=s3cret-1;Authority Id=t",
    "Data Source=https://c.kusto.windows.net;Application Client Id=a;Application Key=\"s3cret-1;x\";tid=contoso.com;",
    "server=http://127.0.0.1:8080;Fed=False;TraceAppName=\"a;\"\"b\";User Name for Tracing='me'",
    "https://c.kusto.windows.net;AppClientId=a;Application Certificate Blob=-----BEGIN PRIVATE KEY-----\ns3cret-1\n\
     -----END PRIVATE KEY-----;AppCert=aa;SendX5c=true;tid=t",
    "https://c.kusto.windows.net;Fed=true;UserToken=s3cret-1",
    "https://c.kusto.windows.net;Accept=true;Streaming=false;User ID=me;Password=s3cret-1",
    ";;=;\"=\"",
    "\u{130}=1;Data\u{a0}Source=x",
];

#[test]
fn no_damage_to_a_string_makes_the_reader_panic_or_changes_what_goes_around() {
    crate::fuzz::fuzz("connection string", EXAMPLES, |text| {
        let text = String::from_utf8_lossy(text);
        let read =
            ConnectionString::parse(&text).and_then(|it| it.apply(ConnectionOptions::builder())?.build());
        let Ok(options) = read else { return };
        let written = options.connection_string();
        let token = matches!(options.0.auth, Auth::Application(_) | Auth::Token(_));
        if token {
            assert!(written.contains(HIDDEN), "{written}");
        } else {
            let again = ConnectionOptions::from_connection_string(&written).unwrap();
            assert_eq!(again.connection_string(), written);
        }
    });
}

/// The letters of an intact secret are in no error, however the rest is damaged.
#[test]
fn no_error_shows_a_secret_whatever_stands_around_it() {
    crate::fuzz::fuzz("connection string with a secret", EXAMPLES, |text| {
        let text = String::from_utf8_lossy(text);
        let secret = |part: &str| part.trim().to_ascii_lowercase().starts_with("appkey=s3cret-1");
        if !text.split(';').any(secret) || text.matches("s3cret-1").count() > 1 || text.contains('"') {
            return;
        }
        if let Err(error) = ConnectionOptions::from_connection_string(&*text) {
            let quoted = error.to_string();
            let in_address = text.split(';').next().is_some_and(|first| first.contains("s3cret-1"));
            assert!(in_address || !quoted.contains("s3cret-1"), "{quoted}");
        }
    });
}
