"""What the client raises, and what it tells of it.

    errors.py <cluster url> [<token url> <application> <key>]

With an application (which has no roles) the cluster is one that wants sign-in.
"""

import io
import sys

from azure.kusto.data.data_format import DataFormat
from azure.kusto.data.exceptions import KustoApiError, KustoMultiApiError
from azure.kusto.data import ClientRequestProperties
from azure.kusto.ingest import IngestionProperties, KustoStreamingIngestClient, ManagedStreamingIngestClient

from common import DATABASE, api_error, connection, hand_over, ingest_client, query_client, token_of

url = sys.argv[1]
token = token_of(*sys.argv[2:]) if len(sys.argv) > 2 else None
client = query_client(url, token)


def failure(action):
    try:
        return {"class": None, "result": repr(action())}
    except KustoApiError as error:
        return api_error(error)
    except KustoMultiApiError as error:
        return {"class": "KustoMultiApiError", "codes": [one.code for one in error.get_api_errors()],
                "descriptions": [one.description for one in error.get_api_errors()]}
    except Exception as error:
        return {"class": type(error).__name__, "text": str(error)}


def limited():
    properties = ClientRequestProperties()
    properties.set_option("truncationmaxrecords", 10)
    return client.execute_query(DATABASE, "range x from 1 to 100 step 1", properties)


rows = IngestionProperties(DATABASE, "T", data_format=DataFormat.CSV)
result = {
    "column": failure(lambda: client.execute_query(DATABASE, "T | where nowhere > 1")),
    "table": failure(lambda: client.execute_query(DATABASE, "Nowhere | count")),
    "syntax": failure(lambda: client.execute_query(DATABASE, "T | wher x ==")),
    "database": failure(lambda: client.execute_query("Nowhere", "print 1")),
    "limit": failure(limited),
    "command": failure(lambda: client.execute_mgmt(DATABASE, ".drop table Nowhere")),
    "unknown command": failure(lambda: client.execute_mgmt(DATABASE, ".levitate table T")),
    "command as query": failure(lambda: client.execute_query(DATABASE, "T | extend")),
    "create": failure(lambda: client.execute_mgmt(DATABASE, ".create table Mine (x: long)")),
    "streaming": failure(lambda: KustoStreamingIngestClient(connection(url, token)).ingest_from_stream(io.BytesIO(b"1\n"), rows)),
    "managed": failure(lambda: ManagedStreamingIngestClient(connection(url, token), connection(url, token)).ingest_from_stream(io.BytesIO(b"1\n"), rows)),
}
if token:
    result["queued"] = failure(lambda: ingest_client(url, token).ingest_from_stream(io.BytesIO(b"1\n"), rows))
    result["nobody"] = failure(lambda: query_client(url).execute_query(DATABASE, "print 1"))
    result["wrong token"] = failure(lambda: query_client(url, "eyJ0b2tlbiI6Im5vbmUifQ.e30.c2ln").execute_query(DATABASE, "print 1"))
hand_over(result)
