// What the programs share: clients, waiting, and the way in which results are handed over.

import { Client, KustoConnectionStringBuilder } from "azure-kusto-data";
import { IngestClient } from "azure-kusto-ingest";

export const DATABASE = "Samples";

// Longer than anything takes on a busy machine.
const PATIENCE = 240_000;

export function connection(url, token) {
    return token
        ? KustoConnectionStringBuilder.withAccessToken(url, token)
        : new KustoConnectionStringBuilder(url);
}

export const queryClient = (url, token) => new Client(connection(url, token));
export const ingestClient = (url, token) => new IngestClient(connection(url, token));

export async function query(client, text, properties) {
    return (await client.executeQuery(DATABASE, text, properties)).primaryResults[0];
}

export async function count(client, table) {
    return (await query(client, `['${table}'] | count`))[0].Count;
}

export async function waitFor(what, condition) {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
        const found = await condition();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`waited ${PATIENCE} ms in vain for ${what}`);
}

export const waitForRows = (client, table, rows) =>
    waitFor(`${rows} rows in ${table}`, async () => (await count(client, table)) >= rows);

export async function tokenOf(tokenUrl, application, key) {
    const body = new URLSearchParams({
        grant_type: "client_credentials",
        client_id: application,
        client_secret: key,
        scope: "https://kusto.kusto.windows.net/.default",
    });
    const answer = await fetch(tokenUrl, { method: "POST", body });
    if (!answer.ok) throw new Error(`${tokenUrl}: ${answer.status}`);
    return (await answer.json()).access_token;
}

// Ends the process too: the clients keep connections open.
export function handOver(result) {
    process.stdout.write(JSON.stringify(result), () => process.exit(0));
}
