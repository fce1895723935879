"""Values of every type, as the client and pandas read them.

    queries.py <cluster url>
"""

import sys
from datetime import timedelta

from azure.kusto.data import ClientRequestProperties
from azure.kusto.data.helpers import dataframe_from_result_table

from common import DATABASE, hand_over, query_client

client = query_client(sys.argv[1])

TYPES = {
    "bool": ["true", "false", "bool(null)"],
    "int": ["int(-2147483648)", "int(2147483647)", "int(null)"],
    "long": ["long(-9223372036854775808)", "9223372036854775807", "long(null)"],
    "real": ["0.1", "-1.5e300", "real(nan)", "real(+inf)", "real(-inf)", "real(null)", "2.0"],
    "decimal": ["decimal(1.23456789012345678901)", "decimal(-3)", "decimal(null)"],
    "datetime": [
        "datetime(2020-03-04T14:05:01.3109965Z)", "datetime(0001-01-01)", "datetime(9999-12-31T23:59:59.9999999Z)",
        "datetime(null)",
    ],
    "timespan": ["timespan(1.02:03:04.5678901)", "-1d", "90s", "timespan(0)", "timespan(null)"],
    "guid": ["guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", "guid(null)"],
    "string": ["'plain'", "'Zürich \\t \"quoted\" \\\\ ☃'", "''"],
    "dynamic": [
        "dynamic({'a': [1, 2.5, 'x', null, true], 'b': {'c': {}}})", "dynamic([])", "dynamic(7)", "dynamic('text')",
        "dynamic(null)",
    ],
}


def one(query, properties=None):
    return client.execute_query(DATABASE, query, properties).primary_results[0]


def described(value):
    return [type(value).__name__, str(value)]


values, columns, frames = {}, {}, {}
for kind, literals in TYPES.items():
    parts = ", ".join(f"(print at={at}, v={literal})" for at, literal in enumerate(literals))
    query = f"union {parts} | order by at asc"
    table = one(query)
    columns[kind] = [column.column_type for column in table.columns]
    values[kind] = [described(row["v"]) for row in table]
    # A frame reads a column of whole numbers with a null by way of floats, and refuses what does not survive that.
    whole = "| where isnotnull(v)" if kind == "long" else ""
    frame = dataframe_from_result_table(one(query + whole), nullable_bools=True)
    frames[kind] = [str(frame["v"].dtype), [str(value) for value in frame["v"]]]

properties = ClientRequestProperties()
properties.application, properties.user = "outside", "tester"
properties.client_request_id = "outside;parameters"
properties.set_option(ClientRequestProperties.request_timeout_option_name, timedelta(minutes=1))
properties.set_parameter("n", 5)
properties.set_parameter("text", "it's \"so\"")
properties.set_parameter("day", "datetime(2020-02-02)")
properties.set_parameter("flag", True)
declared = "declare query_parameters(n: long, text: string, day: datetime, flag: bool = false, left: int = 3);"
parameters = [described(value) for value in one(f"{declared} print n + 1, text, day + 1d, flag, left", properties)[0].to_list()]

v1 = client.execute_mgmt(DATABASE, ".show tables")
whole = client.execute_query(DATABASE, "range x from 1 to 3 step 1")

streamed = []
for table in client.execute_streaming_query(DATABASE, "range x from 1 to 20000 step 1 | extend s = strcat('row ', x)").iter_primary_results():
    rows = list(table)
    streamed.append([[column.column_name for column in table.columns], len(rows), rows[-1].to_list(), table.rows_count])

empty = one("range x from 1 to 0 step 1 | project x, y = 'never'")

hand_over({
    "values": values,
    "columns": columns,
    "frames": frames,
    "parameters": parameters,
    "tables": [[column.column_name for column in v1.primary_results[0].columns], v1.primary_results[0].rows_count],
    "whole": [[row.to_list() for row in table] for table in whole.primary_results],
    "errors_count": whole.errors_count,
    "kinds": [table.table_kind.value for table in whole],
    "streamed": streamed,
    "empty": [[column.column_name for column in empty.columns], empty.rows_count],
})
