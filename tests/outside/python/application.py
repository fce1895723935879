"""Signs in by application key, with the client's own library, and uses it.

    application.py <cluster url> <tenant> <application> <key> <wrong key>
"""

import io
import sys

from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoAuthenticationError
from azure.kusto.ingest import IngestionProperties, QueuedIngestClient

from common import DATABASE, count, hand_over, wait_for_rows

url, tenant, application, key, wrong = sys.argv[1:]


def named(key):
    return KustoConnectionStringBuilder.with_aad_application_key_authentication(url, application, key, tenant)


client = KustoClient(named(key))
who = client.execute_query(DATABASE, "print current_principal()").primary_results[0][0][0]
QueuedIngestClient(named(key)).ingest_from_stream(io.BytesIO(b"1\n2\n"), IngestionProperties(DATABASE, "T", flush_immediately=True))
wait_for_rows(client, "T", 2)
try:
    KustoClient(named(wrong)).execute_query(DATABASE, "print 1")
    refused = None
except KustoAuthenticationError as error:
    refused = str(error)
hand_over({"who": who, "rows": count(client, "T"), "refused": refused})
