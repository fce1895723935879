"""Two files, a query and a command, with properties that other clients are given too: what is sent is recorded.

    golden.py <url> <directory with rows.csv and rows.json> <source id> <source id>
"""

import pathlib
import sys

from azure.kusto.data.data_format import DataFormat
from azure.kusto.ingest import ColumnMapping, FileDescriptor, IngestionProperties, QueuedIngestClient, ReportLevel
from azure.kusto.data import KustoClient

from common import DATABASE, connection, hand_over

url, directory, first, second = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
named = connection(url)
named.application_for_tracing, named.user_name_for_tracing = "golden", "tester"

ingest = QueuedIngestClient(named)
ingest.ingest_from_file(FileDescriptor(str(directory / "rows.csv"), source_id=first), IngestionProperties(
    DATABASE, "Golden", additional_tags=["free"], drop_by_tags=["day-1"], ingest_by_tags=["part-1"], ingest_if_not_exists=["part-1"],
    ingestion_mapping_reference="given", ignore_first_record=True, flush_immediately=True,
    additional_properties={"creationTime": "2020-02-03T00:00:00Z"}))
mapping = [ColumnMapping("id", "long", path="$.id"), ColumnMapping("name", "string", path="$.name")]
ingest.ingest_from_file(FileDescriptor(str(directory / "rows.json"), source_id=second), IngestionProperties(
    DATABASE, "Golden", data_format=DataFormat.MULTIJSON, column_mappings=mapping, report_level=ReportLevel.FailuresAndSuccesses))

client = KustoClient(named)
client.execute_query(DATABASE, "print golden = 1")
client.execute_mgmt(DATABASE, ".show tables")
hand_over({})
