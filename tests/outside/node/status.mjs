// The status table and the status queues: what the service says of ingestions that asked for it.
//
//     status.mjs <cluster url>

import { Readable } from "node:stream";

import { IngestionProperties, IngestStatusQueues, ReportLevel, ReportMethod, StreamDescriptor } from "azure-kusto-ingest";

import { DATABASE, handOver, ingestClient, queryClient, waitFor } from "./common.mjs";

const url = process.argv[2];
const [client, ingest] = [queryClient(url), ingestClient(url)];
await client.executeMgmt(DATABASE, ".create table Told (n: long)");

function send(table, text, reportMethod) {
    const properties = new IngestionProperties({
        database: DATABASE, table, format: "csv", flushImmediately: true, reportLevel: ReportLevel.FailuresAndSuccesses, reportMethod,
    });
    return ingest.ingestFromStream(new StreamDescriptor(Readable.from([Buffer.from(text)])), properties);
}

const queues = new IngestStatusQueues(ingest);
await send("Told", "1\n2\n", ReportMethod.Queue);
await send("Nowhere", "1\n", ReportMethod.Queue);
const pop = async (queue) => (await waitFor("a message", async () => {
    const found = await queue.pop(1);
    return found.length ? found : null;
}))[0];
const [success, failed] = [await pop(queues.success), await pop(queues.failure)];

async function inTable(table) {
    const result = await send(table, "3\n", ReportMethod.Table);
    const first = await result.getIngestionStatusCollection();
    const last = await waitFor(`the end of ${table}`, async () => {
        const status = await result.getIngestionStatusCollection();
        return status.Status === "Pending" ? null : status;
    });
    const { Status, Database, Table, ErrorCode, FailureStatus, Details } = last;
    // A text in the client's own row, a guid in what the service writes over it.
    const id = (status) => status.IngestionSourceId.value ?? status.IngestionSourceId;
    return { sources: [id(first), id(last)], Status, Database, Table, ErrorCode, FailureStatus, Details };
}

const told = async (action) => {
    try {
        return await action();
    } catch (error) {
        return { refused: error.message };
    }
};
handOver({ success, failed, table: { good: await told(() => inTable("Told")), missing: await told(() => inTable("Nowhere")) } });
