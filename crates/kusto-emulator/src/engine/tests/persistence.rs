use super::*;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn reopened(directory: &Path) -> Cluster {
    Cluster::open(Some(directory), Access::Open).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory.join("extents")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A directory with something of each kind; the rows of `T`.
fn filled(directory: &Path) -> Json {
    let cluster = reopened(directory);
    cluster
        .run(".create table T (a:long, s:string, d:dynamic, g:guid, t:datetime, m:decimal, b:bool, r:real)");
    let row = "1,\"x,y\",\"{\"\"k\"\":1}\",74be27de-1e4e-49d9-b579-fe0b331d3642,2026-01-01,1.50,true,0.5";
    cluster.ingest_text("T", &json!({"tags": ["drop-by:x"]}), format!("{row}\n,,,,,,,\n")).unwrap();
    cluster.run(".create table S (a:long)");
    cluster.run(".ingest inline into table S <| 7");
    cluster.run(".rename table S to S2");
    cluster.run(".alter table S2 policy streamingingestion enable");
    cluster.run(".add database db users ('aadapp=app;t')");
    cluster
        .run(r#".create table T ingestion csv mapping "M" '[{"Column":"a","Properties":{"Ordinal":"0"}}]'"#);
    cluster.content("T")
}

#[test]
fn everything_acknowledged_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let content = filled(directory.path());
    let cluster = reopened(directory.path());
    assert_eq!(cluster.content("T"), content);
    assert_eq!(cluster.content("S2"), json!([[7]]));
    assert_eq!(cluster.tables(), ["S2", "T"]);
    assert!(cluster.engine.streaming_enabled("db", "S2"));
    assert_eq!(cluster.run(".show database db principals").rows, 1);
    assert_eq!(cluster.run(".show table T ingestion mappings").rows, 1);
    assert_eq!(column(&cluster.run(".show table T extents"), "Tags"), [json!("drop-by:x")]);
}

#[test]
fn ids_are_not_repeated_by_a_restart_with_the_same_seed() {
    let directory = tempfile::tempdir().unwrap();
    let first = reopened(directory.path()).engine.new_id();
    assert_ne!(first, reopened(directory.path()).engine.new_id());
}

#[test]
fn a_torn_last_record_is_dropped_wherever_it_was_torn() {
    let directory = tempfile::tempdir().unwrap();
    drop(filled(directory.path()));
    let journal = directory.path().join("journal.jsonl");
    let whole = fs::read(&journal).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [last, last + 1, last + 9, last + 20, whole.len() - 1] {
        fs::write(&journal, &whole[..cut]).unwrap();
        let cluster = reopened(directory.path());
        assert_eq!(cluster.count("T"), 2, "cut at {cut}");
        assert_eq!(cluster.run(".show table T ingestion mappings").rows, 0, "cut at {cut}");
        cluster.run(".create table After (a:long)");
        drop(cluster);
        assert!(reopened(directory.path()).tables().contains(&"After".to_owned()));
    }
}

#[test]
fn damage_in_the_middle_of_the_journal_is_an_error_that_names_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    drop(filled(directory.path()));
    let journal = directory.path().join("journal.jsonl");
    let mut bytes = fs::read(&journal).unwrap();
    let third = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 30;
    bytes[third] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let error = Cluster::open(Some(directory.path()), Access::Open).err().unwrap().to_string();
    assert!(error.contains("journal.jsonl") && error.contains("line 3"), "{error}");
}

#[test]
fn a_directory_of_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(filled(directory.path()));
    let journal = directory.path().join("journal.jsonl");
    let header = br#"{"format":"kusto-emulator-engine","version":99}"#;
    let mut crc = flate2::Crc::new();
    crc.update(header);
    let mut bytes = format!("{:08x} ", crc.sum()).into_bytes();
    bytes.extend(header);
    bytes.push(b'\n');
    fs::write(&journal, bytes).unwrap();
    let error = Cluster::open(Some(directory.path()), Access::Open).err().unwrap();
    assert!(matches!(error, StoreError::Version { .. }), "{error}");
    assert!(error.to_string().contains("99"), "{error}");
}

#[test]
fn a_directory_in_use_is_refused_with_its_path_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let _first = reopened(directory.path());
    let error = Cluster::open(Some(directory.path()), Access::Open).err().unwrap();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
}

#[test]
fn a_damaged_extent_is_an_error_and_not_no_rows() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = reopened(directory.path());
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <| 1");
    drop(cluster);
    let file = files(directory.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let cluster = reopened(directory.path());
    let state = cluster.engine.snapshot();
    let extent = &state.database("db").unwrap().table("T").unwrap().extents[0];
    let error = cluster.engine.extents.columns(extent).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn files_of_extents_go_when_nobody_can_read_them_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = reopened(directory.path());
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <| 1");
    let reader = cluster.engine.snapshot();
    cluster.run(".clear table T data");
    assert_eq!(files(directory.path()).len(), 1);
    drop(reader);
    assert_eq!(files(directory.path()).len(), 0);
    fs::write(directory.path().join("extents").join(format!("{}.jsonl", Uuid::nil())), b"half").unwrap();
    drop(cluster);
    drop(reopened(directory.path()));
    assert_eq!(files(directory.path()).len(), 0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(filled(&data));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("extents"))), (0o700, 0o700));
    assert_eq!(mode(&data.join("journal.jsonl")), 0o600);
    assert!(files(&data).iter().all(|file| mode(file) == 0o600));
}

#[test]
fn a_long_journal_is_compacted_without_loss() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = reopened(directory.path());
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <| 1");
    let long = "x".repeat(1 << 20);
    for _ in 0..20 {
        cluster.run(&format!(".alter table T docstring '{long}'"));
    }
    cluster.run(".alter table T docstring 'short'");
    let length = fs::metadata(directory.path().join("journal.jsonl")).unwrap().len();
    assert!(length < 16 << 20, "{length}");
    drop(cluster);
    let cluster = reopened(directory.path());
    assert_eq!(cluster.content("T"), json!([[1]]));
    assert_eq!(column(&cluster.run(".show tables"), "DocString"), ["short"]);
}

const CHILD: &str = "ENGINE_CHILD_DIRECTORY";

/// The process that is killed: ingests 0, 1, 2, ... and tells when each is acknowledged.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_ingests_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let cluster = reopened(Path::new(&directory));
    cluster.run(".create table T (a:long)");
    for n in 0_u64.. {
        cluster.run(&format!(".ingest inline into table T <| {n}"));
        println!("acknowledged {n}");
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::tests::persistence::child_that_ingests_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged = lines.filter(|line| line.contains("acknowledged ")).take(50).count() as u64;
    child.kill().unwrap();
    child.wait().unwrap();
    let cluster = reopened(directory.path());
    let count = cluster.count("T");
    assert!(acknowledged == 50 && count >= acknowledged, "{acknowledged} acknowledged, {count} found");
    assert_eq!(cluster.content("T"), Json::Array((0..count).map(|n| json!([n])).collect()));
}

#[test]
fn operations_their_details_and_ingestion_failures_survive_a_restart_and_a_torn_line_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = reopened(directory.path());
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long)");
    cluster.run(".ingest inline into table S <| 1");
    let moved = cluster.run(".move async extents all from table S to table D");
    let id = column(&moved, "OperationId")[0].as_str().unwrap().to_owned();
    cluster.work_off();
    cluster.ingest_text("S", &none(), "1,\"open").unwrap_err();
    let shown = |cluster: &Cluster| {
        let commands = [
            ".show operations".to_owned(),
            format!(".show operation {id} details"),
            ".show ingestion failures".into(),
        ];
        commands.map(|command| json_rows(&cluster.run(&command)))
    };
    let before = shown(&cluster);
    assert_eq!(before[2][0][10], json!("Stream_ClosingQuoteMissing"));
    drop(cluster);
    assert_eq!(shown(&reopened(directory.path())), before);
    let path = directory.path().join("operations.jsonl");
    let mut torn = fs::read(&path).unwrap();
    torn.extend(b"{\"Operation\":{\"id\":");
    fs::write(&path, torn).unwrap();
    assert_eq!(shown(&reopened(directory.path())), before);
}

/// What `program` says about `file`.
fn told(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// As the crate's README shows it.
#[test]
#[cfg(unix)]
fn rows_and_journal_open_with_stock_tools() {
    let directory = tempfile::tempdir().unwrap();
    let content = filled(directory.path());
    let (with_t, _): (Vec<_>, Vec<_>) = files(directory.path())
        .into_iter()
        .partition(|file| told("head", &["-n", "1"], file).contains("\"rows\":2"));
    let header: Json = serde_json::from_str(&told("head", &["-n", "1"], &with_t[0])).unwrap();
    assert_eq!(header["columns"][2], json!({"name": "d", "type": "dynamic"}));
    let rows = told("sed", &["-e", "1d", "-e", "$d"], &with_t[0]);
    let rows: Vec<Json> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0][1], content[0][1]);
    assert_eq!(serde_json::from_str::<Json>(rows[0][2].as_str().unwrap()).unwrap(), content[0][2]);
    let journal = told("cut", &["-c", "10-"], &directory.path().join("journal.jsonl"));
    let lines: Vec<Json> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let renamed = |line: &&Json| line["Changes"][0]["RenameTables"]["names"] == json!([["S", "S2"]]);
    assert_eq!(lines.iter().filter(renamed).count(), 1);
    for line in told("cat", &[], &directory.path().join("operations.jsonl")).lines() {
        serde_json::from_str::<Json>(line).unwrap();
    }
}

#[test]
fn the_extremes_of_every_type_come_back_from_the_file_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Cluster::open(Some(directory.path()), Access::Open).unwrap();
    let cluster = open();
    cluster.run(
        ".set T <| union (print l = long(-9223372036854775808), r = real(nan), m = decimal(1e-20), \
         t = datetime(0001-01-01), s = timespan(-10675199.02:48:05.4775807), i = int(-2147483648), x = 'a\\u0001\\\"\\n', \
         d = dynamic({'k': [1, 1.0, null, 'ü']})), (print l = long(9223372036854775807), r = real(-inf), \
         m = decimal(9999999999999999999999999999999999), t = datetime(9999-12-31 23:59:59.9999999), \
         s = timespan(10675199.02:48:05.4775807), i = int(2147483647), x = '', d = dynamic('text')), \
         (print l = long(null), r = real(-0.1), m = decimal(null), t = datetime(null), s = timespan(null), \
         i = int(null), x = 'null', d = dynamic(null))",
    );
    let before = cluster.content("T");
    assert_eq!(before.as_array().unwrap().len(), 3);
    drop(cluster);
    assert_eq!(open().content("T"), before);
}
