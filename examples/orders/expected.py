#!/usr/bin/env python3
"""Computes expected.json from the sample in landing/ with DuckDB, an engine that has nothing to do with Alluvium.

    pip install duckdb
    python3 expected.py            # writes expected.json
    python3 expected.py --check    # exit code 1 if expected.json says something else
"""
import json
import pathlib
import sys

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
STATUS = "('placed', 'paid', 'shipped', 'delivered', 'cancelled', 'refunded')"
COLUMNS = "{event_id: 'VARCHAR', order_id: 'BIGINT', customer_id: 'BIGINT', status: 'VARCHAR', amount: 'DECIMAL(12,2)', \
currency: 'VARCHAR', country: 'VARCHAR', email: 'VARCHAR', created_at: 'VARCHAR', updated_at: 'VARCHAR'}"


def rows(db, sql):
    cursor = db.execute(sql)
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def compute():
    db = duckdb.connect()
    db.execute(f"""CREATE TABLE raw AS SELECT *, TRY_CAST(created_at AS TIMESTAMP) AS created, TRY_CAST(updated_at AS TIMESTAMP) AS updated
        FROM read_json('{HERE}/landing/orders/*.ndjson.zst', format = 'newline_delimited', columns = {COLUMNS})""")
    rules = {
        "status_known": f"status NOT IN {STATUS}",
        "range:amount": "amount < 0",
        "required:customer_id": "customer_id IS NULL",
        "type:created_at": "created_at IS NOT NULL AND created IS NULL",
    }
    bad = " OR ".join(f"coalesce({r}, false)" for r in rules.values())
    db.execute(f"""CREATE TABLE silver AS SELECT * FROM raw WHERE NOT ({bad})
        QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY updated DESC, event_id DESC) = 1""")
    db.execute("CREATE TABLE kept AS SELECT * FROM silver WHERE status NOT IN ('cancelled', 'refunded')")
    one = lambda sql: db.execute(sql).fetchone()[0]
    return {
        "received": one("SELECT count(*) FROM raw"),
        "distinct_events": one("SELECT count(DISTINCT event_id) FROM raw"),
        "rules": {name: one(f"SELECT count(*) FROM raw WHERE {rule}") for name, rule in rules.items()},
        "quarantined": one(f"SELECT count(*) FROM raw WHERE {bad}"),
        "silver": rows(db, "SELECT count(*) AS rows, sum(amount)::VARCHAR AS amount FROM silver")[0],
        "email_sha256": rows(db, "SELECT order_id, sha256(email) AS email_sha256 FROM silver ORDER BY order_id LIMIT 3"),
        "daily_revenue": rows(db, """SELECT count(*) AS rows, sum(revenue)::VARCHAR AS revenue, count(DISTINCT day) AS windows FROM
            (SELECT created::DATE AS day, country, currency, sum(amount) AS revenue FROM kept GROUP BY ALL)""")[0],
        "top_customers": rows(db, """SELECT customer_id, currency, sum(amount)::VARCHAR AS revenue, count(*) AS orders FROM kept
            GROUP BY ALL ORDER BY sum(amount) DESC, customer_id, currency LIMIT 5"""),
    }


def main():
    text = json.dumps(compute(), indent=1) + "\n"
    path = HERE / "expected.json"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if json.loads(path.read_text()) == json.loads(text) else "expected.json differs from what DuckDB finds")
    path.write_text(text)
    print(f"wrote {path.name}")


main()
