// Two files, a query and a command, with properties that other clients are given too: what is sent is recorded.
//
//     golden.mjs <url> <directory with rows.csv and rows.json> <source id> <source id>

import path from "node:path";

import { Client } from "azure-kusto-data";
import { DataFormat, FileDescriptor, IngestClient, IngestionProperties, JsonColumnMapping, ReportLevel, ReportMethod } from "azure-kusto-ingest";

import { connection, DATABASE, handOver } from "./common.mjs";

const [url, directory, first, second] = process.argv.slice(2);
const named = connection(url);
[named.applicationNameForTracing, named.userNameForTracing] = ["golden", "tester"];

const ingest = new IngestClient(named);
await ingest.ingestFromFile(new FileDescriptor(path.join(directory, "rows.csv"), first), new IngestionProperties({
    database: DATABASE, table: "Golden", format: DataFormat.CSV,
    additionalTags: ["free"], dropByTags: ["day-1"], ingestByTags: ["part-1"], ingestIfNotExists: JSON.stringify(["part-1"]),
    ingestionMappingReference: "given", ignoreFirstRecord: true, flushImmediately: true, reportLevel: ReportLevel.DoNotReport,
    additionalProperties: { creationTime: "2020-02-03T00:00:00Z" },
}));
await ingest.ingestFromFile(new FileDescriptor(path.join(directory, "rows.json"), second), new IngestionProperties({
    database: DATABASE, table: "Golden", format: DataFormat.MULTIJSON,
    ingestionMappingColumns: [JsonColumnMapping.withPath("id", "$.id", "long"), JsonColumnMapping.withPath("name", "$.name", "string")],
    reportLevel: ReportLevel.FailuresAndSuccesses, reportMethod: ReportMethod.Table,
}));

const client = new Client(named);
await client.executeQuery(DATABASE, "print golden = 1");
await client.executeMgmt(DATABASE, ".show tables");
handOver({});
