"""What the programs share: clients, waiting, and the way in which results are handed over."""

import json
import sys
import time

import requests
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoServiceError
from azure.kusto.ingest import QueuedIngestClient

DATABASE = "Samples"

# Longer than anything takes on a busy machine.
PATIENCE = 240


def connection(url, token=None):
    if token:
        return KustoConnectionStringBuilder.with_aad_application_token_authentication(url, token)
    return KustoConnectionStringBuilder.with_no_authentication(url)


def token_of(token_url, application, key):
    """A token by the grant that the client's own application sign-in uses."""
    answer = requests.post(token_url, data={
        "grant_type": "client_credentials", "client_id": application, "client_secret": key,
        "scope": "https://kusto.kusto.windows.net/.default",
    })
    answer.raise_for_status()
    return answer.json()["access_token"]


def query_client(url, token=None):
    return KustoClient(connection(url, token))


def ingest_client(url, token=None):
    return QueuedIngestClient(connection(url, token))


def count(client, table):
    return client.execute_query(DATABASE, f"['{table}'] | count").primary_results[0][0][0]


def wait_for(what, condition):
    """Asks again and again until there is an answer other than None or False."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited {PATIENCE} s in vain for {what}")


def wait_for_rows(client, table, rows):
    wait_for(f"{rows} rows in {table}", lambda: count(client, table) >= rows)


def api_error(error):
    """The fields of the service's error, as this client reads them."""
    one = error.get_api_error()
    return {
        "class": type(error).__name__,
        "code": one.code,
        "message": one.message,
        "type": one.type,
        "description": one.description,
        "permanent": one.permanent,
        "context": sorted(one.context or {}),
        "status": error.http_response.status_code if error.http_response is not None else None,
        "semantic": error.is_semantic_error(),
        "service_error": isinstance(error, KustoServiceError),
    }


def hand_over(result):
    json.dump(result, sys.stdout, ensure_ascii=False, default=str)
