"""Every way into a table that the client has: one table per way. Prints what the client said of each.

    ingest.py <cluster url> <directory with rows.csv and rows.json> [<only this way>]
"""

import gzip
import io
import pathlib
import sys
import zipfile

import pandas
from azure.kusto.data.data_format import DataFormat
from azure.kusto.ingest import BlobDescriptor, ColumnMapping, FileDescriptor, IngestionProperties, StreamDescriptor
from azure.storage.blob import ContainerClient

from common import DATABASE, hand_over, ingest_client, query_client, wait_for_rows

url, directory, only = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
client, ingest = query_client(url), ingest_client(url)
csv, json, lines = directory / "rows.csv", directory / "rows.json", directory / "lines.json"
rows = len(pandas.read_json(json))
lines.write_text(pandas.read_json(json).astype({"at": str}).to_json(orient="records", lines=True))

COLUMNS = {"id": "long", "name": "string", "at": "datetime", "x": "real", "ok": "bool", "more": "dynamic"}
WAYS = {}


def way(function):
    """Makes a way of a function that sends the rows to a table of its name, and tells what the client said."""
    WAYS[function.__name__] = function
    return function


def comma(name, **further):
    return IngestionProperties(DATABASE, name, ignore_first_record=True, **further)


def objects(name, data_format, **further):
    return IngestionProperties(DATABASE, name, data_format=data_format, **further)


def upload(name, data):
    """A blob of the user's own, beside the client, with the official storage package."""
    found = client.execute_mgmt(DATABASE, ".get ingestion resources").primary_results[0]
    container = next(row["StorageRoot"] for row in found if row["ResourceTypeName"] == "TempStorage")
    blob = ContainerClient.from_container_url(container).get_blob_client(name)
    blob.upload_blob(data)
    return blob.url


def create_mapping(name, kind, properties):
    columns = ",".join('{"column":"%s","Properties":%s}' % (column, text) for column, text in properties.items())
    client.execute_mgmt(DATABASE, f".create table {name} ingestion {kind} mapping 'given' '[{columns}]'")


@way
def File(name):
    return ingest.ingest_from_file(str(csv), comma(name))


@way
def PackedFile(name):
    packed = directory / "packed.csv.gz"
    packed.write_bytes(gzip.compress(csv.read_bytes()))
    return ingest.ingest_from_file(FileDescriptor(str(packed), csv.stat().st_size), comma(name))


@way
def ZippedFile(name):
    zipped = directory / "zipped.csv.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(csv, "rows.csv")
    return ingest.ingest_from_file(str(zipped), comma(name))


@way
def Stream(name):
    return ingest.ingest_from_stream(io.BytesIO(csv.read_bytes()), comma(name))


@way
def TextStream(name):
    return ingest.ingest_from_stream(io.StringIO(csv.read_text()), comma(name))


@way
def PackedStream(name):
    packed = StreamDescriptor(io.BytesIO(gzip.compress(csv.read_bytes())), is_compressed=True)
    return ingest.ingest_from_stream(packed, comma(name))


@way
def Blob(name):
    blob = upload("own/rows of ours.csv", csv.read_bytes())
    return ingest.ingest_from_blob(BlobDescriptor(blob, csv.stat().st_size), comma(name))


@way
def PackedBlob(name):
    return ingest.ingest_from_blob(BlobDescriptor(upload("rows.csv.gz", gzip.compress(csv.read_bytes()))), comma(name))


@way
def Json(name):
    return ingest.ingest_from_file(str(lines), objects(name, DataFormat.JSON))


@way
def MultiJson(name):
    return ingest.ingest_from_file(str(json), objects(name, DataFormat.MULTIJSON))


@way
def JsonByReference(name):
    create_mapping(name, "json", {column: '{"Path":"$.%s"}' % column for column in COLUMNS})
    return ingest.ingest_from_file(str(lines), objects(name, DataFormat.JSON, ingestion_mapping_reference="given"))


@way
def JsonInline(name):
    mapping = [ColumnMapping(column, kind, path=f"$.{column}") for column, kind in COLUMNS.items()]
    return ingest.ingest_from_file(str(json), objects(name, DataFormat.MULTIJSON, column_mappings=mapping))


@way
def CsvByReference(name):
    create_mapping(name, "csv", {column: '{"Ordinal":"%d"}' % at for at, column in enumerate(COLUMNS)})
    return ingest.ingest_from_file(str(csv), comma(name, ingestion_mapping_reference="given"))


@way
def CsvInline(name):
    mapping = [ColumnMapping(column, kind, ordinal=at) for at, (column, kind) in enumerate(COLUMNS.items())]
    return ingest.ingest_from_file(str(csv), comma(name, column_mappings=mapping))


@way
def FrameAsJson(name):
    return ingest.ingest_from_dataframe(pandas.read_json(json).astype({"at": str}), IngestionProperties(DATABASE, name))


@way
def FrameAsCsv(name):
    frame = pandas.read_csv(csv, keep_default_na=False, dtype=str)
    return ingest.ingest_from_dataframe(frame, IngestionProperties(DATABASE, name), data_format=DataFormat.CSV)


@way
def Tagged(name):
    """Twice the same part, of which one is skipped, and then another part."""
    properties = comma(
        name, additional_tags=["free"], drop_by_tags=["day-1"], ingest_by_tags=["part-1"], ingest_if_not_exists=["part-1"],
        flush_immediately=True, additional_properties={"creationTime": "2020-02-03T00:00:00Z"})
    ingest.ingest_from_file(str(csv), properties)
    wait_for_rows(client, name, rows)
    ingest.ingest_from_file(str(csv), properties)
    properties.ingest_by_tags, properties.ingest_if_not_exists = ["part-2"], ["part-2"]
    answer = ingest.ingest_from_file(str(csv), properties)
    wait_for_rows(client, name, 2 * rows)
    return answer


schema = ", ".join(f"{column}: {kind}" for column, kind in COLUMNS.items())
chosen = {name: WAYS[name] for name in only or WAYS}
for name in chosen:
    client.execute_mgmt(DATABASE, f".create table {name} ({schema})")
answers = {name: send(name) for name, send in chosen.items()}
for name in chosen:
    wait_for_rows(client, name, rows)
hand_over({name: {"status": answer.status.value, "database": answer.database, "table": answer.table}
           for name, answer in answers.items()})
