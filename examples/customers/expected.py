#!/usr/bin/env python3
"""Computes expected.json from landing/ with DuckDB, an engine that has nothing to do with Alluvium.

    pip install duckdb
    python3 expected.py            # writes expected.json
    python3 expected.py --check    # exit code 1 if expected.json says something else
"""
import json
import pathlib
import sys

import duckdb

HERE = pathlib.Path(__file__).resolve().parent


def rows(db, sql):
    cursor = db.execute(sql)
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def compute():
    db = duckdb.connect()
    db.execute(f"""CREATE TABLE raw AS SELECT customer_id, city, lower(plan) AS plan, phone, op, updated_at
        FROM read_csv('{HERE}/landing/customers/*.csv', header = true, columns = {{customer_id: 'BIGINT', city: 'VARCHAR',
        plan: 'VARCHAR', phone: 'VARCHAR', op: 'VARCHAR', updated_at: 'TIMESTAMP'}})""")
    db.execute("CREATE TABLE valid AS SELECT * FROM raw WHERE plan IN ('free', 'team', 'business')")
    # One event a customer and time; a new version where plan or city changed, or after a deletion.
    db.execute("""CREATE TABLE events AS
        SELECT DISTINCT *, lead(updated_at) OVER w AS next, op = 'D' AS deleted,
            coalesce(lag(op = 'D') OVER w OR (lag(plan) OVER w, lag(city) OVER w) IS DISTINCT FROM (plan, city), true) AS fresh
        FROM (SELECT DISTINCT * FROM valid) WINDOW w AS (PARTITION BY customer_id ORDER BY updated_at)""")
    db.execute("CREATE TABLE numbered AS SELECT *, sum(fresh::INT) OVER (PARTITION BY customer_id ORDER BY updated_at) AS n FROM events WHERE NOT deleted")
    db.execute("""CREATE TABLE versions AS SELECT customer_id, n, arg_max(city, updated_at) AS city, arg_max(plan, updated_at) AS plan,
        arg_max(phone, updated_at) AS phone, min(updated_at) AS start_at, arg_max(coalesce(next, 'infinity'), updated_at) AS end_at
        FROM numbered GROUP BY customer_id, n""")
    text = lambda c: f"strftime({c}, '%Y-%m-%dT%H:%M:%SZ')"
    one = lambda sql: db.execute(sql).fetchone()[0]
    return {
        "received": one("SELECT count(*) FROM raw"),
        "quarantined": one("SELECT count(*) FROM raw WHERE plan NOT IN ('free', 'team', 'business')"),
        "duplicates": one("SELECT count(*) FROM valid") - one("SELECT count(*) FROM events"),
        "versions": rows(db, f"""SELECT customer_id, city, plan, phone, {text('start_at')} AS _start_at,
            CASE WHEN isfinite(end_at) THEN {text('end_at')} END AS _end_at FROM versions ORDER BY customer_id, start_at"""),
        "plans_now": rows(db, """SELECT plan, city, count(*) AS customers FROM versions WHERE NOT isfinite(end_at)
            GROUP BY ALL ORDER BY plan, city"""),
        "plan_starts": rows(db, """SELECT strftime(start_at::DATE, '%Y-%m-%d') AS day, plan, count(*) AS started,
            count(*) FILTER (WHERE isfinite(end_at)) AS ended FROM versions GROUP BY ALL ORDER BY day, plan"""),
    }


def main():
    text = json.dumps(compute(), indent=1) + "\n"
    path = HERE / "expected.json"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if json.loads(path.read_text()) == json.loads(text) else "expected.json differs from what DuckDB finds")
    path.write_text(text)
    print(f"wrote {path.name}")


main()
