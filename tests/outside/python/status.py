"""The status queues: what the service says of ingestions that asked for it.

    status.py <cluster url>
"""

import io
import sys
import uuid

from azure.kusto.data.data_format import DataFormat
from azure.kusto.ingest import IngestionProperties, ReportLevel, ReportMethod, StreamDescriptor
from azure.kusto.ingest.status import KustoIngestStatusQueues

from common import DATABASE, hand_over, ingest_client, query_client, wait_for

url = sys.argv[1]
client, ingest = query_client(url), ingest_client(url)
queues = KustoIngestStatusQueues(ingest)
client.execute_mgmt(DATABASE, ".create table Told (n: long)")


def send(table, text, level, data_format=DataFormat.CSV):
    source = uuid.uuid4()
    properties = IngestionProperties(
        DATABASE, table, data_format=data_format, report_level=level, report_method=ReportMethod.Queue, flush_immediately=True)
    ingest.ingest_from_stream(StreamDescriptor(io.BytesIO(text), source_id=source), properties)
    return str(source)


def told(queue, source):
    """The message on this source; others are put aside, as several ingestions end in any order."""
    for message in queue.pop(10):
        aside[message.IngestionSourceId] = message
    return aside.get(source)


aside = {}
empty_at_first = [queues.success.is_empty(), queues.failure.is_empty()]
good = send("Told", b"1\n2\n", ReportLevel.FailuresAndSuccesses)
silent = send("Told", b"3\n", ReportLevel.DoNotReport)
failures_only = send("Told", b"4\n", ReportLevel.FailuresOnly)
wait_for("a success to look at", lambda: queues.success.peek(1))
success = wait_for("the success", lambda: told(queues.success, good))
missing = send("Nowhere", b"1\n", ReportLevel.FailuresOnly)
broken = send("Told", b'{"n": 1', ReportLevel.FailuresAndSuccesses, DataFormat.MULTIJSON)
failed = {name: wait_for(f"the failure of {name}", lambda: told(queues.failure, source)) for name, source in
          [("missing", missing), ("broken", broken)]}
wait_for("all rows", lambda: client.execute_query(DATABASE, "Told | count").primary_results[0][0][0] == 4)

fields = ["OperationId", "Database", "Table", "IngestionSourceId", "IngestionSourcePath", "RootActivityId"]
further = ["FailedOn", "Details", "ErrorCode", "FailureStatus", "OriginatesFromUpdatePolicy", "ShouldRetry"]
hand_over({
    "empty_at_first": empty_at_first,
    "sources": {"good": good, "missing": missing, "broken": broken},
    "success": {name: getattr(success, name) for name in fields + ["SucceededOn"]},
    "failures": {name: {field: getattr(message, field) for field in fields + further} for name, message in failed.items()},
    "others": [source for source in aside if source in (silent, failures_only)],
    "empty_at_last": [queues.success.is_empty(), queues.failure.is_empty()],
})
