//! Tables and entities.

use serde_json::{Value, json};

use super::wire::{NO_CODE, Server, encoded, table};

async fn made(server: &Server, name: &str) {
    let new = table("POST", "Tables").header("prefer", "return-no-content").json(json!({"TableName": name}));
    server.send(new).await.is("204");
}

fn row(table: &str, partition: &str, row: &str) -> String {
    let part = |text: &str| encoded(&text.replace('\'', "''"));
    format!("{table}(PartitionKey='{}',RowKey='{}')", part(partition), part(row))
}

pub(super) async fn tables(server: &Server) {
    let made = server.send(table("POST", "Tables").json(json!({"TableName": "Made"}))).await.is("201");
    assert_eq!(made.json()["TableName"], "Made");
    server
        .send(table("POST", "Tables").json(json!({"TableName": "Made"})))
        .await
        .is("409 TableAlreadyExists");
    server
        .send(table("POST", "Tables").json(json!({"TableName": "mADE"})))
        .await
        .is("409 TableAlreadyExists");
    let refused = server.send(table("POST", "Tables").json(json!({"TableName": "not-a-name"}))).await;
    server.differs(refused.said().as_str(), "400 InvalidResourceName", "400", NO_CODE);
    self::made(server, "Made2").await;
    let list = async |query: &str| {
        let answer = server.send(table("GET", format!("Tables{query}"))).await.is("200").json();
        let names = answer["value"].as_array().unwrap().iter();
        let names = names.map(|entry| entry["TableName"].as_str().unwrap().to_owned());
        // The local cluster has one of its own.
        names.filter(|name| name.starts_with("Made")).collect::<Vec<_>>()
    };
    assert_eq!(list("").await, ["Made", "Made2"]);
    assert_eq!(list("?$filter=TableName%20eq%20'Made2'").await, ["Made2"]);
    let first = server.send(table("GET", "Tables?$top=1")).await.is("200");
    let next = encoded(first.header("x-ms-continuation-nexttablename"));
    assert_eq!(list(&format!("?NextTableName={next}")).await, ["Made2"]);
    for name in ["Made", "Made2"] {
        server.send(table("DELETE", format!("Tables('{name}')"))).await.is("204");
    }
    let gone = server.send(table("DELETE", "Tables('Made')")).await.said();
    let why = "\"Table Storage error codes\" has TableNotFound for a table that is not there";
    server.differs(gone.as_str(), "404 TableNotFound", "404 ResourceNotFound", why);
    let entity = json!({"PartitionKey": "p", "RowKey": "r"});
    server.send(table("POST", "Made").json(entity)).await.is("404 TableNotFound");
}

pub(super) async fn entities(server: &Server) {
    made(server, "Entities").await;
    let entity = json!({
        "PartitionKey": "p 1", "RowKey": "r%+'x'", "Status": "Pending", "Count": 5, "Share": 0.5, "Open": true, "None": null,
        "Big@odata.type": "Edm.Int64", "Big": "9007199254740993",
        "When@odata.type": "Edm.DateTime", "When": "2026-01-02T03:04:05.0000000Z",
        "Id@odata.type": "Edm.Guid", "Id": "74be27de-1e4e-49d9-b579-fe0b331d3642",
    });
    let inserted = server.send(table("POST", "Entities").json(entity.clone())).await.is("201");
    assert_eq!(inserted.json()["Status"], "Pending");
    server.send(table("POST", "Entities").json(entity)).await.is("409 EntityAlreadyExists");
    let path = row("Entities", "p 1", "r%+'x'");
    let get = async || server.send(table("GET", path.as_str())).await.is("200");
    let got = get().await;
    assert_eq!(got.header("etag"), inserted.header("etag"));
    let got = got.json();
    let expected = json!({"PartitionKey": "p 1", "RowKey": "r%+'x'", "Status": "Pending", "Count": 5, "Share": 0.5, "Open": true, "Big": "9007199254740993", "Id": "74be27de-1e4e-49d9-b579-fe0b331d3642"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&got[name], value, "{name}");
    }
    assert!(got.get("None").is_none() && got["Timestamp"].is_string());
    let merge = |headers: &[(&'static str, &str)], method: &str, body: Value| {
        headers
            .iter()
            .fold(table(method, path.as_str()), |ask, (name, value)| ask.header(name, *value))
            .json(body)
    };
    let merged = server
        .send(merge(&[("if-match", "*")], "MERGE", json!({"Status": "Succeeded", "New": 1})))
        .await
        .is("204");
    let now = get().await.json();
    assert_eq!((&now["Status"], &now["New"], &now["Count"]), (&json!("Succeeded"), &json!(1), &json!(5)));
    let stale = [("if-match", "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")];
    server.send(merge(&stale, "PUT", json!({}))).await.is("412 UpdateConditionNotSatisfied");
    let fresh = merged.header("etag").to_owned();
    server.send(merge(&[("if-match", &fresh)], "PUT", json!({"Only": "x"}))).await.is("204");
    let now = get().await.json();
    assert!(now.get("Count").is_none() && now["Only"] == "x", "replaced as a whole: {now}");
    server
        .send(table("DELETE", path.as_str()).header("if-match", &*fresh))
        .await
        .is("412 UpdateConditionNotSatisfied");
    server.send(table("DELETE", path.as_str()).header("if-match", "*")).await.is("204");
    server.send(table("GET", path.as_str())).await.is("404 ResourceNotFound");
    server.send(table("DELETE", path.as_str()).header("if-match", "*")).await.is("404 ResourceNotFound");
    server.send(merge(&[("if-match", "*")], "PATCH", json!({"a": 1}))).await.is("404 ResourceNotFound");
    server.send(merge(&[], "PATCH", json!({"a": 1}))).await.is("204");
    server.send(merge(&[], "PUT", json!({"b": 1}))).await.is("204");
    assert!(get().await.json().get("a").is_none(), "insert or replace");
    server
        .send(table("POST", "Entities").json(json!({"PartitionKey": "p"})))
        .await
        .is("400 PropertiesNeedValue");
    for odd in [json!([1]), json!({"x": 1})] {
        let odd = json!({"PartitionKey": "p", "RowKey": "odd", "Odd": odd});
        server.send(table("POST", "Entities").json(odd)).await.is("400 InvalidInput");
    }
    let odd = json!({"PartitionKey": "p", "RowKey": "odd", "Odd@odata.type": "Edm.Int64", "Odd": "x"});
    let odd = server.send(table("POST", "Entities").json(odd)).await.said();
    server.differs(odd.as_str(), "400 InvalidInput", "201", "Azurite does not hold a value to its type");
    let slash = server
        .send(table("POST", "Entities").json(json!({"PartitionKey": "a/b", "RowKey": ""})))
        .await
        .said();
    let why = "keys hold no slash; the service says that the value is out of range";
    server.differs(slash.as_str(), "400 OutOfRangeInput", "400 InvalidInput", why);
}

pub(super) async fn queries(server: &Server) {
    made(server, "Queries").await;
    for number in 0..5 {
        let entity = json!({
            "PartitionKey": format!("p{}", number % 2), "RowKey": format!("r{number}"), "Number": number, "Even": number % 2 == 0,
            "Share": f64::from(number) / 2.0 + 0.25, "Name": format!("O'Hara {number}"),
            "Big@odata.type": "Edm.Int64", "Big": (1_i64 << 40 | i64::from(number)).to_string(),
            "When@odata.type": "Edm.DateTime", "When": format!("2026-01-0{}T00:00:00Z", number + 1),
        });
        let insert = table("POST", "Queries").header("prefer", "return-no-content").json(entity);
        server.send(insert).await.is("204");
    }
    let rows = |answer: &Value| {
        let entities = answer["value"].as_array().unwrap().iter();
        entities.map(|entity| entity["RowKey"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (filter, expected) in [
        ("", &["r0", "r2", "r4", "r1", "r3"][..]),
        ("PartitionKey eq 'p1'", &["r1", "r3"]),
        ("PartitionKey eq 'p0' and RowKey gt 'r0' and RowKey le 'r4'", &["r2", "r4"]),
        ("Number ge 3 or Number eq 0", &["r0", "r4", "r3"]),
        ("Even eq true and not (Number eq 2)", &["r0", "r4"]),
        ("Share lt 1", &["r0", "r1"]),
        ("Name eq 'O''Hara 3'", &["r3"]),
        ("Big gt 1099511627778L", &["r4", "r3"]),
        ("When ge datetime'2026-01-04T00:00:00Z'", &["r4", "r3"]),
        ("Missing eq 1", &[]),
    ] {
        let path = format!("Queries()?$filter={}", encoded(filter));
        let path = if filter.is_empty() { "Queries()".to_owned() } else { path };
        let answer = server.send(table("GET", path)).await.is("200").json();
        assert_eq!(rows(&answer), expected, "{filter}");
    }
    let selected = server.send(table("GET", "Queries?$select=RowKey,Number&$top=1")).await.is("200").json();
    assert_eq!(selected["value"][0]["Number"], 0);
    assert!(selected["value"][0].get("Even").is_none());
    let (mut found, mut more, mut parts) = (Vec::new(), String::new(), 0);
    loop {
        let part = server.send(table("GET", format!("Queries()?$top=2{more}"))).await.is("200");
        found.extend(rows(&part.json()));
        parts += 1;
        let (partition, row) =
            (part.header("x-ms-continuation-nextpartitionkey"), part.header("x-ms-continuation-nextrowkey"));
        if partition.is_empty() {
            break;
        }
        more = format!("&NextPartitionKey={}&NextRowKey={}", encoded(partition), encoded(row));
    }
    assert_eq!((found.join(" ").as_str(), parts), ("r0 r2 r4 r1 r3", 3));
    server.send(table("GET", "Queries()?$filter=Number%20is%201")).await.is("400 InvalidInput");
    server.send(table("GET", "Nothing()")).await.is("404 TableNotFound");
}
