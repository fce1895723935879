"""What the official Python clients for blob, queue and table storage see: python storage.py <connection string>

Uses the account's key and signatures made with it, and prints one JSON value. Nothing in it depends on the moment or the
server's choice of ids, so that two servers can be compared.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError
from azure.data.tables import EntityProperty, EdmType, TableServiceClient, UpdateMode
from azure.data.tables import TableSasPermissions, TableClient, generate_table_sas
from azure.core import MatchConditions
from azure.core.credentials import AzureSasCredential, AzureNamedKeyCredential
from azure.storage.blob import (
    AccessPolicy,
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ContentSettings,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
    AccountSasPermissions,
    ResourceTypes,
)
from azure.storage.queue import QueueClient, QueueSasPermissions, QueueServiceClient, generate_queue_sas

NAMES = ["a b.csv", "plus+percent%41.csv", "dir/sub/x.csv", "dir/y.csv", "caf\u00e9 \u00fc\u4e16.csv", "q'(1)&=#?.csv"]


def refused(call):
    """Status and code of an error; "fine" if there is none."""
    try:
        call()
    except HttpResponseError as error:
        code = error.error_code if hasattr(error, "error_code") else None
        return [error.status_code, getattr(code, "value", code)]
    return "fine"


def soon():
    return datetime.now(timezone.utc) + timedelta(hours=1)


def blobs(connection):
    service = BlobServiceClient.from_connection_string(connection, max_single_put_size=64 * 1024, max_block_size=64 * 1024)
    found = {}
    container = service.create_container("python-blobs", metadata={"purpose": "test"})
    found["container metadata"] = container.get_container_properties().metadata
    found["container again"] = refused(container.create_container)
    found["container name"] = refused(lambda: service.create_container("Upper"))
    for name in NAMES:
        container.upload_blob(name, name.encode(), metadata={"rows": "1"})
    found["names"] = {name: container.download_blob(name).readall().decode() for name in NAMES}
    found["exists already"] = refused(lambda: container.upload_blob(NAMES[0], b"x"))
    found["not there"] = refused(lambda: container.download_blob("nothing"))
    listed = container.list_blobs(results_per_page=2, include=["metadata"])
    found["list"] = [[blob.name, blob.size, blob.metadata] for blob in listed]
    found["list of prefix"] = [blob.name for blob in container.list_blobs(name_starts_with="dir/")]
    found["walk"] = [item.name for item in container.walk_blobs(delimiter="/")]
    found["pages"] = [len(list(page)) for page in container.list_blobs(results_per_page=4).by_page()]

    blob = container.get_blob_client("large")
    data = bytes(range(256)) * 1024
    blob.upload_blob(
        data, content_settings=ContentSettings(content_type="text/csv", content_language="de"), max_concurrency=2
    )
    properties = blob.get_blob_properties()
    found["large"] = [
        properties.size,
        properties.content_settings.content_type,
        properties.content_settings.content_language,
    ]
    found["large is the same"] = blob.download_blob(max_concurrency=2).readall() == data
    found["part"] = list(blob.download_blob(offset=255, length=3).readall())
    found["blocks"] = [len(part) for part in blob.get_block_list("all")]
    blob.set_blob_metadata({"rows": "7"})
    blob.set_http_headers(ContentSettings(content_type="text/plain"))
    properties = blob.get_blob_properties()
    found["described"] = [properties.metadata, properties.content_settings.content_type]
    etag = properties.etag
    found["other etag"] = refused(
        lambda: blob.upload_blob(b"x", overwrite=True, etag="0x1", match_condition=MatchConditions.IfNotModified)
    )
    blob.upload_blob(b"new", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
    found["not modified"] = refused(
        lambda: blob.download_blob(etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfModified)
    )
    past = datetime.now(timezone.utc) - timedelta(days=1)
    found["modified since"] = refused(lambda: blob.get_blob_properties(if_unmodified_since=past))
    blob.stage_block("b1", b"one ")
    blob.stage_block("b2", b"two")
    blob.commit_block_list([BlobBlock("b2"), BlobBlock("b1")])
    found["block list"] = blob.download_blob().readall().decode()
    empty = container.upload_blob("empty", b"")
    found["empty"] = empty.download_blob().readall().decode()

    key = {"account_name": service.account_name, "account_key": service.credential.account_key}
    sas = generate_blob_sas(
        service.account_name,
        container.container_name,
        NAMES[1],
        account_key=key["account_key"],
        permission=BlobSasPermissions(read=True),
        expiry=soon(),
        content_type="text/special",
    )
    signed = BlobClient(service.url, container.container_name, NAMES[1], credential=AzureSasCredential(sas))
    download = signed.download_blob()
    found["blob sas"] = [download.readall().decode(), download.properties.content_settings.content_type]
    found["blob sas writes"] = refused(lambda: signed.upload_blob(b"x", overwrite=True))
    sas = generate_container_sas(
        **{"account_name": key["account_name"], "account_key": key["account_key"]},
        container_name=container.container_name,
        permission=ContainerSasPermissions(write=True, list=True),
        expiry=soon(),
    )
    signed = ContainerClient(service.url, container.container_name, credential=sas)
    signed.upload_blob("by sas", b"x")
    found["container sas"] = "by sas" in [blob.name for blob in signed.list_blobs()]
    found["container sas deletes"] = refused(lambda: signed.delete_blob("by sas"))
    container.set_container_access_policy({"p1": AccessPolicy(permission="r", expiry=soon())})
    sas = generate_container_sas(
        service.account_name, container.container_name, account_key=key["account_key"], policy_id="p1"
    )
    signed = ContainerClient(service.url, container.container_name, credential=sas)
    found["policy"] = signed.download_blob("by sas").readall().decode()
    found["policy writes"] = refused(lambda: signed.upload_blob("other", b"x"))
    found["policies"] = [
        [policy.id, policy.access_policy.permission]
        for policy in container.get_container_access_policy()["signed_identifiers"]
    ]
    sas = generate_account_sas(
        service.account_name, key["account_key"], ResourceTypes(service=True), AccountSasPermissions(list=True), soon()
    )
    signed = BlobServiceClient(service.url, credential=sas)
    found["account sas"] = [item.name for item in signed.list_containers(name_starts_with="python-")]
    found["account sas makes"] = refused(lambda: signed.create_container("python-other"))
    wrong = BlobServiceClient(service.url, credential={"account_name": service.account_name, "account_key": "d3Jvbmc="})
    found["wrong key"] = refused(lambda: list(wrong.list_containers()))

    found["containers"] = [item.name for item in service.list_containers(name_starts_with="python-", include_metadata=True)]
    container.delete_blob("empty")
    found["deleted"] = refused(lambda: container.delete_blob("empty"))
    container.delete_container()
    found["no container"] = refused(lambda: list(container.list_blobs()))
    return found


def queues(connection):
    service = QueueServiceClient.from_connection_string(connection)
    found = {}
    queue = service.create_queue("python-queue", metadata={"purpose": "test"})
    found["metadata"] = queue.get_queue_properties().metadata
    queue.send_message("first <&> \u00e9")
    queue.send_message("second", time_to_live=600)
    queue.send_message("hidden", visibility_timeout=600)
    found["count"] = queue.get_queue_properties().approximate_message_count
    found["peeked"] = [message.content for message in queue.peek_messages(max_messages=5)]
    message = queue.receive_message(visibility_timeout=60)
    found["got"] = [message.content, message.dequeue_count]
    old = message.pop_receipt
    updated = queue.update_message(message, visibility_timeout=0, content="changed")
    found["old receipt"] = refused(lambda: queue.delete_message(message.id, old))
    found["again"] = sorted(
        message.content for message in queue.receive_messages(messages_per_page=5, visibility_timeout=60)
    )
    found["nothing left"] = [message.content for message in queue.receive_messages()]
    queue.clear_messages()
    found["cleared"] = queue.get_queue_properties().approximate_message_count
    queue.set_queue_metadata({"purpose": "other"})
    found["metadata again"] = queue.get_queue_properties().metadata
    found["other metadata"] = refused(lambda: service.create_queue("python-queue", metadata={"purpose": "third"}))
    sas = generate_queue_sas(
        service.account_name,
        "python-queue",
        service.credential.account_key,
        permission=QueueSasPermissions(add=True),
        expiry=soon(),
    )
    signed = QueueClient(service.url, "python-queue", credential=sas)
    signed.send_message("by sas")
    found["sas reads"] = refused(lambda: signed.receive_message())
    found["long"] = refused(lambda: queue.send_message("x" * 65537))
    found["queues"] = [item.name for item in service.list_queues(name_starts_with="python-")]
    queue.delete_queue()
    found["gone"] = refused(lambda: queue.send_message("x"))
    return found


def plain(entity):
    """An entity without what differs from run to run."""
    return {name: str(value) for name, value in sorted(entity.items())}


def tables(connection):
    service = TableServiceClient.from_connection_string(connection)
    found = {}
    table = service.create_table("pythontable")
    found["table again"] = refused(lambda: service.create_table("pythontable"))
    for number in range(5):
        table.create_entity(
            {
                "PartitionKey": f"p{number % 2}",
                "RowKey": f"r {number}%+'x'" if number == 4 else f"r{number}",
                "Number": number,
                "Even": number % 2 == 0,
                "Share": number / 2,
                "Big": EntityProperty(2**40 + number, EdmType.INT64),
                "When": datetime(2026, 1, 1 + number, tzinfo=timezone.utc),
            }
        )
    found["exists"] = refused(lambda: table.create_entity({"PartitionKey": "p0", "RowKey": "r0"}))
    found["entity"] = plain(table.get_entity("p0", "r 4%+'x'"))
    found["all"] = [entity["RowKey"] for entity in table.list_entities()]
    found["pages"] = [len(list(page)) for page in table.list_entities(results_per_page=2).by_page()]
    for query in [
        "PartitionKey eq 'p0'",
        "Number gt 1 and Even eq true",
        "Even or Number eq 1",
        "not (Number lt 3)",
        f"Big ge {2**40 + 3}L",
        "When lt datetime'2026-01-03T00:00:00Z'",
        "Share eq 1.5 or RowKey eq 'r 4%+''x'''",
    ]:
        found[query] = [entity["RowKey"] for entity in table.query_entities(query)]
    found["selected"] = [sorted(entity) for entity in table.query_entities("Number eq 1", select=["RowKey", "Number"])]
    table.update_entity({"PartitionKey": "p0", "RowKey": "r0", "New": "x"}, mode=UpdateMode.MERGE)
    found["merged"] = plain(
        {name: value for name, value in table.get_entity("p0", "r0").items() if name in ("New", "Number")}
    )
    table.upsert_entity({"PartitionKey": "p0", "RowKey": "r0", "Only": "y"}, mode=UpdateMode.REPLACE)
    entity = table.get_entity("p0", "r0")
    found["replaced"] = sorted(entity)
    table.upsert_entity({"PartitionKey": "p9", "RowKey": "r9", "New": 1})
    found["stale"] = refused(
        lambda: table.update_entity(
            {"PartitionKey": "p0", "RowKey": "r0"},
            mode=UpdateMode.REPLACE,
            etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"",
            match_condition=MatchConditions.IfNotModified,
        )
    )
    table.update_entity(
        {"PartitionKey": "p0", "RowKey": "r0", "Now": 1},
        mode=UpdateMode.REPLACE,
        etag=entity.metadata["etag"],
        match_condition=MatchConditions.IfNotModified,
    )
    found["missing"] = refused(lambda: table.update_entity({"PartitionKey": "no", "RowKey": "no"}))
    table.delete_entity("p9", "r9")
    found["gone"] = refused(lambda: table.get_entity("p9", "r9"))
    credential = AzureNamedKeyCredential(service.account_name, service.credential.named_key.key)
    sas = generate_table_sas(
        credential, "pythontable", permission=TableSasPermissions(read=True), expiry=soon(), start_pk="p1", end_pk="p1"
    )
    signed = TableClient(service.url, "pythontable", credential=AzureSasCredential(sas))
    found["sas"] = [entity["RowKey"] for entity in signed.list_entities()]
    found["sas elsewhere"] = refused(lambda: signed.create_entity({"PartitionKey": "p1", "RowKey": "new"}))
    found["no filter"] = refused(lambda: list(table.query_entities("Number is 1")))
    found["tables"] = [item.name for item in service.query_tables("TableName eq 'pythontable'")]
    service.delete_table("pythontable")
    found["no table"] = refused(lambda: table.create_entity({"PartitionKey": "p", "RowKey": "r"}))
    return found


if __name__ == "__main__":
    given = sys.argv[1]
    print(json.dumps({"blobs": blobs(given), "queues": queues(given), "tables": tables(given)}, indent=1))
