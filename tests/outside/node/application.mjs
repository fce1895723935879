// Signs in by application key, with the client's own library, and uses it.
//
//     application.mjs <cluster url> <tenant> <application> <key> <wrong key>

import { Client, KustoConnectionStringBuilder } from "azure-kusto-data";

import { DATABASE, handOver, query } from "./common.mjs";

const [url, tenant, application, key, wrong] = process.argv.slice(2);
// The client does not hand the directory of the cluster's metadata to the library that signs in.
process.env.AZURE_AUTHORITY_HOST = url;
const named = (key) => new Client(KustoConnectionStringBuilder.withAadApplicationKeyAuthentication(url, application, key, tenant));

let refused = null;
try {
    await query(named(wrong), "print 1");
} catch (error) {
    refused = error.message;
}
const who = [...(await query(named(key), "print who = current_principal()")).rows()][0].who;
handOver({ who, refused, database: DATABASE });
