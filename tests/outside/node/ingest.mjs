// Every way into a table that the client has: one table per way. Prints what the client said of each.
//
//     ingest.mjs <cluster url> <directory with rows.csv and rows.json>

import fs from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import zlib from "node:zlib";

import { BlobClient, ContainerClient } from "@azure/storage-blob";
import {
    BlobDescriptor, CompressionType, CsvColumnMapping, DataFormat, FileDescriptor, IngestionProperties, JsonColumnMapping, StreamDescriptor,
} from "azure-kusto-ingest";

import { DATABASE, handOver, ingestClient, queryClient, waitForRows } from "./common.mjs";

const [url, directory] = process.argv.slice(2);
const [client, ingest] = [queryClient(url), ingestClient(url)];
const [csv, json, lines] = ["rows.csv", "rows.json", "lines.json"].map((name) => path.join(directory, name));
const objects = JSON.parse(fs.readFileSync(json, "utf8"));
fs.writeFileSync(lines, objects.map((row) => JSON.stringify(row)).join("\n"));

const COLUMNS = { id: "long", name: "string", at: "datetime", x: "real", ok: "bool", more: "dynamic" };
const names = Object.keys(COLUMNS);
const comma = (table, further) => new IngestionProperties({ database: DATABASE, table, format: DataFormat.CSV, ignoreFirstRecord: true, ...further });
const documents = (table, format, further) => new IngestionProperties({ database: DATABASE, table, format, ...further });

// A blob of the user's own, beside the client, with the official storage package.
async function upload(name, data) {
    const found = (await client.executeMgmt(DATABASE, ".get ingestion resources")).primaryResults[0];
    const container = [...found.rows()].find((row) => row.ResourceTypeName === "TempStorage").StorageRoot;
    const blob = new ContainerClient(container).getBlockBlobClient(name);
    await blob.uploadData(data);
    const there = await new BlobClient(blob.url).getProperties();
    if (there.contentLength !== data.length) throw new Error(`${name} has ${there.contentLength} bytes`);
    return blob.url;
}

async function createMapping(table, kind, properties) {
    const columns = names.map((column, at) => ({ column, Properties: properties(column, at) }));
    await client.executeMgmt(DATABASE, `.create table ${table} ingestion ${kind} mapping 'given' '${JSON.stringify(columns)}'`);
}

const WAYS = {
    File: (table) => ingest.ingestFromFile(csv, comma(table)),
    PackedFile: (table) => {
        const packed = path.join(directory, "packed.csv.gz");
        fs.writeFileSync(packed, zlib.gzipSync(fs.readFileSync(csv)));
        return ingest.ingestFromFile(new FileDescriptor(packed), comma(table));
    },
    Stream: (table) => ingest.ingestFromStream(fs.createReadStream(csv), comma(table)),
    PackedStream: (table) => ingest.ingestFromStream(
        new StreamDescriptor(Readable.from([zlib.gzipSync(fs.readFileSync(csv))]), null, "gz"), comma(table)),
    Blob: async (table) => ingest.ingestFromBlob(
        new BlobDescriptor(await upload("own/rows of ours.csv", fs.readFileSync(csv)), fs.statSync(csv).size), comma(table)),
    PackedBlob: async (table) => ingest.ingestFromBlob(await upload("rows.csv.gz", zlib.gzipSync(fs.readFileSync(csv))), comma(table)),
    Json: (table) => ingest.ingestFromFile(lines, documents(table, DataFormat.JSON)),
    MultiJson: (table) => ingest.ingestFromFile(json, documents(table, DataFormat.MULTIJSON)),
    JsonByReference: async (table) => {
        await createMapping(table, "json", (column) => ({ Path: `$.${column}` }));
        return ingest.ingestFromFile(lines, documents(table, DataFormat.JSON, { ingestionMappingReference: "given" }));
    },
    JsonInline: (table) => ingest.ingestFromFile(json, documents(table, DataFormat.MULTIJSON, {
        ingestionMappingColumns: names.map((column) => JsonColumnMapping.withPath(column, `$.${column}`, COLUMNS[column])),
    })),
    CsvByReference: async (table) => {
        await createMapping(table, "csv", (_, at) => ({ Ordinal: `${at}` }));
        return ingest.ingestFromFile(csv, comma(table, { ingestionMappingReference: "given" }));
    },
    CsvInline: (table) => ingest.ingestFromFile(csv, comma(table, {
        ingestionMappingColumns: names.map((column, at) => CsvColumnMapping.withOrdinal(column, at, COLUMNS[column])),
    })),
    Tagged: async (table) => {
        // Twice the same part, of which one is skipped, and then another part.
        const part = (name) => comma(table, {
            additionalTags: ["free"], dropByTags: ["day-1"], ingestByTags: [name], ingestIfNotExists: JSON.stringify([name]),
            flushImmediately: true, additionalProperties: { creationTime: "2020-02-03T00:00:00Z" },
        });
        await ingest.ingestFromFile(csv, part("part-1"));
        await waitForRows(client, table, objects.length);
        await ingest.ingestFromFile(csv, part("part-1"));
        const answer = await ingest.ingestFromFile(csv, part("part-2"));
        await waitForRows(client, table, 2 * objects.length);
        return answer;
    },
};

if (CompressionType.GZIP !== ".gz") throw new Error("the client has changed");
const schema = names.map((name) => `${name}: ${COLUMNS[name]}`).join(", ");
const answers = {};
for (const [table, send] of Object.entries(WAYS)) {
    await client.executeMgmt(DATABASE, `.create table ${table} (${schema})`);
    const { Status, Database, Table } = await (await send(table)).getIngestionStatusCollection();
    answers[table] = { Status, Database, Table };
}
for (const table of Object.keys(WAYS)) await waitForRows(client, table, objects.length);
handOver(answers);
