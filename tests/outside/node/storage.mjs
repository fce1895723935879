// What the official Node clients for blob, queue and table storage see: node storage.mjs <connection string>
//
// Uses the account's key and signatures made with it, and prints one JSON value. Nothing in it depends on the moment or
// the server's choice of ids, so that two servers can be compared.

import {
  AccountSASPermissions,
  AnonymousCredential,
  BlobSASPermissions,
  BlobServiceClient,
  BlockBlobClient,
  ContainerClient,
  ContainerSASPermissions,
} from "@azure/storage-blob";
import { QueueClient, QueueSASPermissions, QueueServiceClient } from "@azure/storage-queue";
import { odata, TableClient, TableServiceClient } from "@azure/data-tables";

const NAMES = ["a b.csv", "plus+percent%41.csv", "dir/sub/x.csv", "dir/y.csv", "café ü世.csv", "q'(1)&=#?.csv"];
const soon = () => new Date(Date.now() + 3600_000);

/** Status and code of an error; "fine" if there is none. */
async function refused(call) {
  try {
    await call();
  } catch (error) {
    if (error.statusCode === undefined) throw error;
    const table = error.details?.odataError?.code;
    return [error.statusCode, table ?? error.code ?? null];
  }
  return "fine";
}

async function all(iterator, what) {
  const found = [];
  for await (const one of iterator) found.push(what(one));
  return found;
}

async function text(client) {
  return (await client.downloadToBuffer()).toString();
}

async function blobs(connection) {
  const service = BlobServiceClient.fromConnectionString(connection);
  const found = {};
  const container = service.getContainerClient("node-blobs");
  await container.create({ metadata: { purpose: "test" } });
  found["container metadata"] = (await container.getProperties()).metadata;
  found["container again"] = await refused(() => container.create());
  for (const name of NAMES) {
    await container.getBlockBlobClient(name).upload(name, Buffer.byteLength(name), { metadata: { rows: "1" } });
  }
  found["names"] = {};
  for (const name of NAMES) found["names"][name] = await text(container.getBlobClient(name));
  found["list"] = await all(container.listBlobsFlat({ includeMetadata: true }), (blob) => [
    blob.name,
    blob.properties.contentLength,
    blob.metadata,
  ]);
  found["prefix"] = await all(container.listBlobsFlat({ prefix: "dir/" }), (blob) => blob.name);
  found["hierarchy"] = await all(container.listBlobsByHierarchy("/"), (item) => [item.kind, item.name]);
  found["pages"] = await all(container.listBlobsFlat().byPage({ maxPageSize: 4 }), (page) => page.segment.blobItems.length);
  found["not there"] = await refused(() => container.getBlobClient("nothing").getProperties());
  const once = { conditions: { ifNoneMatch: "*" } };
  found["exists already"] = await refused(() => container.getBlockBlobClient(NAMES[0]).upload("x", 1, once));

  const large = container.getBlockBlobClient("large");
  const data = Buffer.alloc(300_000, "0123456789");
  await large.uploadData(data, {
    blockSize: 64 * 1024,
    maxSingleShotSize: 64 * 1024,
    concurrency: 2,
    blobHTTPHeaders: { blobContentType: "text/csv" },
  });
  const back = await large.downloadToBuffer(0, undefined, { blockSize: 100_000, concurrency: 2 });
  found["large is the same"] = back.equals(data);
  found["large"] = [(await large.getProperties()).contentLength, (await large.getProperties()).contentType];
  found["blocks"] = (await large.getBlockList("all")).committedBlocks.length;
  found["part"] = (await large.downloadToBuffer(5, 3)).toString();
  await large.setMetadata({ rows: "7" });
  const { etag } = await large.getProperties();
  found["metadata"] = (await large.getProperties()).metadata;
  found["other etag"] = await refused(() => large.upload("x", 1, { conditions: { ifMatch: '"0x1"' } }));
  found["not modified"] = await refused(() => large.download(0, undefined, { conditions: { ifNoneMatch: etag } }));
  await large.upload("new", 3, { conditions: { ifMatch: etag } });
  await large.stageBlock(btoa("b1"), "one ", 4);
  await large.stageBlock(btoa("b2"), "two", 3);
  found["staged"] = (await large.getBlockList("uncommitted")).uncommittedBlocks.map((block) => [block.name, block.size]);
  await large.commitBlockList([btoa("b2"), btoa("b1")]);
  found["block list"] = await text(large);

  const anonymous = new AnonymousCredential();
  let url = await container
    .getBlobClient(NAMES[5])
    .generateSasUrl({ permissions: BlobSASPermissions.parse("r"), expiresOn: soon(), cacheControl: "no-cache" });
  const signed = new BlockBlobClient(url, anonymous);
  found["blob sas"] = [await text(signed), (await signed.getProperties()).cacheControl];
  found["blob sas writes"] = await refused(() => signed.upload("x", 1));
  url = await container.generateSasUrl({ permissions: ContainerSASPermissions.parse("wl"), expiresOn: soon() });
  const holder = new ContainerClient(url, anonymous);
  await holder.getBlockBlobClient("by sas").upload("x", 1);
  found["container sas"] = (await all(holder.listBlobsFlat(), (blob) => blob.name)).includes("by sas");
  found["container sas reads"] = await refused(() => text(holder.getBlobClient("by sas")));
  found["container sas deletes"] = await refused(() => holder.delete());
  url = service.generateAccountSasUrl(soon(), AccountSASPermissions.parse("l"), "s");
  const lister = new BlobServiceClient(url, anonymous);
  found["account sas"] = await all(lister.listContainers({ prefix: "node-" }), (item) => item.name);
  found["account sas makes"] = await refused(() => lister.getContainerClient("node-other").create());
  found["nobody"] = await refused(() => new ContainerClient(container.url, anonymous).getProperties());
  await container.getBlobClient("large").delete();
  found["deleted"] = await refused(() => container.getBlobClient("large").delete());
  await container.delete();
  found["no container"] = await refused(() => container.getProperties());
  return found;
}

async function queues(connection) {
  const service = QueueServiceClient.fromConnectionString(connection);
  const found = {};
  const queue = service.getQueueClient("node-queue");
  await queue.create({ metadata: { purpose: "test" } });
  found["metadata"] = (await queue.getProperties()).metadata;
  await queue.sendMessage("first &lt;&amp;&gt; é");
  await queue.sendMessage("second", { messageTimeToLive: 600 });
  await queue.sendMessage("hidden", { visibilityTimeout: 600 });
  found["count"] = (await queue.getProperties()).approximateMessagesCount;
  found["peeked"] = (await queue.peekMessages({ numberOfMessages: 5 })).peekedMessageItems.map(
    (message) => message.messageText,
  );
  const got = (await queue.receiveMessages({ visibilityTimeout: 60 })).receivedMessageItems[0];
  found["got"] = [got.messageText, got.dequeueCount];
  await queue.updateMessage(got.messageId, got.popReceipt, "changed", 0);
  found["old receipt"] = await refused(() => queue.deleteMessage(got.messageId, got.popReceipt));
  const again = (await queue.receiveMessages({ numberOfMessages: 5 })).receivedMessageItems;
  found["again"] = again.map((message) => message.messageText).sort();
  for (const message of again) await queue.deleteMessage(message.messageId, message.popReceipt);
  found["nothing left"] = (await queue.receiveMessages()).receivedMessageItems.length;
  const url = await queue.generateSasUrl({ permissions: QueueSASPermissions.parse("a"), expiresOn: soon() });
  const signed = new QueueClient(url);
  await signed.sendMessage("by sas");
  found["sas reads"] = await refused(() => signed.receiveMessages());
  found["queues"] = await all(service.listQueues({ prefix: "node-" }), (item) => item.name);
  await queue.delete();
  found["gone"] = await refused(() => queue.sendMessage("x"));
  return found;
}

/** An entity without what differs from run to run. */
function plain(entity) {
  const own = Object.entries(entity).filter(([name]) => !["etag", "odata.metadata", "timestamp"].includes(name));
  return Object.fromEntries(
    own.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]).sort(),
  );
}

async function tables(connection) {
  const options = { allowInsecureConnection: true };
  const service = TableServiceClient.fromConnectionString(connection, options);
  const table = TableClient.fromConnectionString(connection, "nodetable", options);
  const found = {};
  await table.createTable();
  for (let number = 0; number < 5; number++) {
    await table.createEntity({
      partitionKey: `p${number % 2}`,
      rowKey: `r ${number}%+'x'`,
      number,
      even: number % 2 === 0,
      share: number / 2 + 0.25,
      big: BigInt(2 ** 40 + number),
      when: new Date(Date.UTC(2026, 0, 1 + number)),
    });
  }
  found["exists"] = await refused(() => table.createEntity({ partitionKey: "p0", rowKey: "r 0%+'x'" }));
  found["entity"] = plain(await table.getEntity("p1", "r 1%+'x'"));
  const rows = (filter) => all(table.listEntities({ queryOptions: { filter } }), (entity) => entity.rowKey);
  for (const filter of [
    odata`partitionKey eq ${"p0"}`.replace("partitionKey", "PartitionKey"),
    odata`number gt ${1} and even eq ${true}`,
    odata`share ge ${1.25} or RowKey eq ${"r 0%+'x'"}`,
    odata`when lt ${new Date(Date.UTC(2026, 0, 3))}`,
    odata`big ge ${BigInt(2 ** 40 + 3)}L`.replace("LL", "L"),
  ]) {
    found[filter] = await rows(filter);
  }
  found["pages"] = await all(table.listEntities().byPage({ maxPageSize: 2 }), (page) => page.length);
  await table.updateEntity({ partitionKey: "p0", rowKey: "r 0%+'x'", added: "x" }, "Merge");
  found["merged"] = plain(await table.getEntity("p0", "r 0%+'x'"));
  await table.upsertEntity({ partitionKey: "p0", rowKey: "r 0%+'x'", only: "y" }, "Replace");
  const replaced = await table.getEntity("p0", "r 0%+'x'");
  found["replaced"] = plain(replaced);
  const stale = { etag: "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"" };
  found["stale"] = await refused(() => table.updateEntity({ partitionKey: "p0", rowKey: "r 0%+'x'" }, "Replace", stale));
  await table.deleteEntity("p0", "r 0%+'x'", { etag: replaced.etag });
  found["gone"] = await refused(() => table.getEntity("p0", "r 0%+'x'"));
  found["tables"] = (await all(service.listTables(), (item) => item.name)).filter((name) => name === "nodetable");
  await table.deleteTable();
  found["no table"] = await refused(() => table.createEntity({ partitionKey: "p", rowKey: "r" }));
  return found;
}

const connection = process.argv[2];
console.log(
  JSON.stringify(
    { blobs: await blobs(connection), queues: await queues(connection), tables: await tables(connection) },
    null,
    1,
  ),
);
