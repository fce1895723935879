// Values of every type, as the client reads them; parameters, several tables, and the failures that it reports.
//
//     queries.mjs <cluster url> [<token url> <application> <key>]
//
// With an application (which has no roles) the cluster is one that wants sign-in.

import fs from "node:fs";

import { ClientRequestProperties } from "azure-kusto-data";
import { IngestionProperties, ManagedStreamingIngestClient, StreamingIngestClient } from "azure-kusto-ingest";

import { connection, DATABASE, handOver, query, queryClient, tokenOf } from "./common.mjs";

const [url, ...application] = process.argv.slice(2);
const token = application.length ? await tokenOf(...application) : null;
const client = queryClient(url, token);

const TYPES = {
    bool: ["true", "false", "bool(null)"],
    int: ["int(-2147483648)", "int(2147483647)", "int(null)"],
    long: ["9007199254740991", "-9007199254740991", "long(null)"],
    real: ["0.1", "-1.5e300", "real(nan)", "real(+inf)", "real(-inf)", "real(null)"],
    decimal: ["decimal(1.23456789012345678901)", "decimal(null)"],
    datetime: ["datetime(2020-03-04T14:05:01.3109965Z)", "datetime(0001-01-01)", "datetime(9999-12-31T23:59:59.9999999Z)", "datetime(null)"],
    timespan: ["timespan(1.02:03:04.5678901)", "-1d", "90s", "timespan(null)"],
    guid: ["guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", "guid(null)"],
    string: ["'plain'", "'Zürich \\t \"quoted\" \\\\ ☃'", "''"],
    dynamic: ["dynamic({\"a\": [1, 2.5, \"x\", null, true], \"b\": {\"c\": {}}})", "dynamic([])", "dynamic(7)", "dynamic(null)"],
};

async function failure(action) {
    try {
        await action();
        return null;
    } catch (error) {
        const body = error.response?.data?.error;
        return {
            status: error.response?.status, code: body?.code, type: body?.["@type"], description: body?.["@message"], permanent: body?.["@permanent"],
            text: error.message,
        };
    }
}

async function values() {
    const found = {};
    for (const [kind, literals] of Object.entries(TYPES)) {
        const parts = literals.map((literal, at) => `(print at=${at}, v=${literal})`).join(", ");
        const table = await query(client, `union ${parts} | order by at asc`);
        found[kind] = { type: table.columns[1].type, values: [...table.rows()].map((row) => row.v ?? null) };
    }
    return found;
}

async function parameters() {
    const properties = new ClientRequestProperties();
    properties.clientRequestId = "outside;parameters";
    properties.setTimeout(60_000);
    properties.setParameter("n", 5);
    properties.setParameter("text", "it's \"so\"");
    const declared = "declare query_parameters(n: long, text: string, left: int = 3);";
    return [...(await query(client, `${declared} print n + 1, text, left`, properties))[0].values()];
}

const rows = new IngestionProperties({ database: DATABASE, table: "T", format: "csv" });
fs.writeFileSync("one.csv", "1\n");
const failures = {
    column: await failure(() => query(client, "T | where nowhere > 1")),
    table: await failure(() => query(client, "Nowhere | count")),
    database: await failure(() => client.executeQuery("Nowhere", "print 1")),
    command: await failure(() => client.executeMgmt(DATABASE, ".drop table Nowhere")),
    streaming: await failure(() => new StreamingIngestClient(connection(url, token)).ingestFromFile("one.csv", rows)),
};
if (token) {
    failures.nobody = await failure(() => query(queryClient(url), "print 1"));
    handOver({ failures });
} else {
    const managed = new ManagedStreamingIngestClient(connection(url), connection(url));
    const limited = new ClientRequestProperties();
    limited.setOption("truncationmaxrecords", 10);
    failures.limit = await failure(() => query(client, "range x from 1 to 100 step 1", limited));
    const v1 = await client.executeQueryV1(DATABASE, "print a = 1, b = 'two'");
    handOver({
        values: await values(),
        parameters: await parameters(),
        v1: [...v1.primaryResults[0].rows()].map((row) => row.toJSON()),
        empty: (await query(client, "range x from 1 to 0 step 1 | project x, y = 'never'")).columns.map((column) => column.name),
        // Falls back to a queue, whatever the refusal says of being permanent.
        managed: (await (await managed.ingestFromFile("one.csv", rows)).getIngestionStatusCollection()).Status,
        failures,
    });
}
