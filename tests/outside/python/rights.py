"""Ingests and queries as an application that may just do that, by a token and by a callback that gives one.

    rights.py <cluster url> <token url> <application> <key>
"""

import io
import sys

from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
from azure.kusto.ingest import IngestionProperties

from common import DATABASE, count, hand_over, ingest_client, query_client, token_of, wait_for_rows

url, application = sys.argv[1], sys.argv[2:]
token = token_of(*application)
ingest_client(url, token).ingest_from_stream(io.BytesIO(b"1\n2\n"), IngestionProperties(DATABASE, "T", flush_immediately=True))
wait_for_rows(query_client(url, token), "T", 2)
by_callback = KustoConnectionStringBuilder.with_token_provider(url, lambda: token_of(*application))
hand_over({
    "by_token": count(query_client(url, token), "T"),
    "by_callback": count(KustoClient(by_callback), "T"),
    "who": KustoClient(by_callback).execute_query(DATABASE, "print current_principal()").primary_results[0][0][0],
})
