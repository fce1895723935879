"""Loads files as they are into tables that are there already, and waits until all rows are in.

    load.py <cluster url> <list of files as JSON>

Each entry: {"path", "table", "format", "columns", "rows"}; columns are [name, type], in the order of the fields.
"""

import json
import pathlib
import sys

from azure.kusto.data.data_format import DataFormat
from azure.kusto.ingest import ColumnMapping, IngestionProperties

from common import DATABASE, hand_over, ingest_client, query_client, wait_for_rows

url, files = sys.argv[1], json.loads(pathlib.Path(sys.argv[2]).read_text())
client, ingest = query_client(url), ingest_client(url)


def fields(path):
    """The names of all members of the objects of a file, in the order in which they come up."""
    text, found, at = pathlib.Path(path).read_text("utf-8-sig"), {}, 0
    while text[at:].strip():
        value, at = json.JSONDecoder().raw_decode(text, len(text) - len(text[at:].lstrip()))
        for row in value if isinstance(value, list) else [value]:
            found.update(dict.fromkeys(row))
    return list(found)


def mapping(file):
    """A csv goes by position; members of objects go to the columns by a mapping such as a user would write."""
    if file["format"] == "csv":
        return None
    paths = [f"$['{name}']" for name in fields(file["path"])]
    assert len(paths) == len(file["columns"]), (file["path"], paths, file["columns"])
    return [ColumnMapping(name, kind, path=path) for (name, kind), path in zip(file["columns"], paths)]


for file in files:
    ingest.ingest_from_file(file["path"], IngestionProperties(
        DATABASE, file["table"], data_format=DataFormat[file["format"].upper()], column_mappings=mapping(file),
        ignore_first_record=file["format"] == "csv"))
for file in files:
    wait_for_rows(client, file["table"], file["rows"])
hand_over({})
