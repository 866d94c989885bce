"""Counts with DuckDB the rows of NDJSON files that break each rule. Called by bench/validate; answers with JSON.

usage: truth.py 16|20 FILE …   so many rules
"""

import json
import sys

import duckdb

TEXT = ["event_id", "status", "currency", "country", "email", "created_at", "updated_at"]
COLUMNS = dict.fromkeys(TEXT, "VARCHAR") | {"order_id": "BIGINT", "customer_id": "BIGINT", "amount": "DECIMAL(12, 2)"}
TIMESTAMPS = ["created_at", "updated_at"]
KNOWN = {
    "status": "placed paid shipped delivered cancelled refunded",
    "currency": "USD EUR GBP BRL JPY INR CAD AUD SEK PLN MXN ARS ZAR KRW TRY CHF",
}
BROKEN = {f"missing:{c}": f"{c} IS NULL" for c in COLUMNS}
BROKEN |= {f"enum:{c}": f"{c} NOT IN {tuple(values.split())}" for c, values in KNOWN.items()}
BROKEN |= {f"type:{c}": f"{c} IS NOT NULL AND try_cast({c} AS TIMESTAMP) IS NULL" for c in TIMESTAMPS}
BROKEN |= {"range:amount": "amount < 0"}
if sys.argv[1] == "20":
    BROKEN |= {"pattern:email": "NOT regexp_full_match(email, 'user([0-9]{1,6}|1[0-8][0-9]{5})@example[.]com')", "length:status": "length(status) NOT BETWEEN 1 AND 9"}
    BROKEN |= {"range:customer_id": "customer_id > 1950000", "refund_is_small": "status = 'refunded' AND amount > 100"}

db = duckdb.connect()
read = "read_json(?, format = 'newline_delimited', columns = " + repr(COLUMNS) + ")"
db.execute(f"CREATE TABLE events AS FROM {read}", [sys.argv[2:]])
counts = ", ".join(f"count(*) FILTER ({broken})" for broken in BROKEN.values())
found = dict(zip(BROKEN, db.execute(f"SELECT {counts} FROM events").fetchone()))
repeated = "SELECT sum(n) FROM (SELECT count(*) AS n FROM events GROUP BY event_id HAVING n > 1)"
found["unique:event_id"] = int(db.execute(repeated).fetchone()[0] or 0)
found["again:event_id"] = int(db.execute("SELECT count(event_id) - count(DISTINCT event_id) FROM events").fetchone()[0])
valid = " AND ".join(f"NOT coalesce({broken}, false)" for broken in BROKEN.values())
# Whose first row stays: of the rows that break no other rule, those that come again.
kept = f"SELECT count(*) - count(DISTINCT event_id) FROM events WHERE {valid}"
found["repeated:event_id"] = int(db.execute(kept).fetchone()[0])
print(json.dumps(found))
