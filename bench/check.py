"""Compares tables with the generator's truth. Called by bench/run with JSON on standard input; answers with JSON.

In: {"tables": {"database": FILE} or {"bronze": FOLDER, …, "quarantine": [FOLDER, …]}, "truth": one entry of manifest.json}
Out: {"wrong": [text, …], "state": what changes when a table does}
"""

import json
import sys
from decimal import Decimal

import duckdb
from deltalake import DeltaTable


def relations(db, tables):
    """SQL for each table's rows, and the tables' state."""
    if "database" in tables:
        db.execute(f"ATTACH '{tables['database']}' AS d (READ_ONLY)")
        names = {"bronze": "bronze", "silver": "silver", "revenue": "gold_revenue", "top": "gold_top", "quarantine": "quarantine"}
        state = {n: db.execute(f"SELECT bit_xor(hash(t)), count(*) FROM d.{t} t").fetchone() for n, t in names.items()}
        return {n: f"d.{t}" for n, t in names.items()}, state
    sql, state = {}, {}
    for name, folders in tables.items():
        folders = [folders] if isinstance(folders, str) else folders
        opened = [DeltaTable(f) for f in folders]
        files = [u.removeprefix("file://") for t in opened for u in t.file_uris()]
        listed = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
        sql[name] = f"read_parquet([{listed}], union_by_name = true)" if files else "(SELECT NULL WHERE false)"
        state[name] = [t.version() for t in opened]
    return sql, state


def main():
    request = json.load(sys.stdin)
    truth = request["truth"]
    db = duckdb.connect()
    sql, state = relations(db, request["tables"])
    one = lambda query: db.execute(query).fetchone()[0]
    found = {
        "rows of bronze": one(f"SELECT count(*) FROM {sql['bronze']}"),
        "rows of quarantine": one(f"SELECT count(*) FROM {sql['quarantine']}"),
        "rows of silver": one(f"SELECT count(*) FROM {sql['silver']}"),
        "amounts of silver": one(f"SELECT sum(amount)::DECIMAL(38, 2) FROM {sql['silver']}"),
        "revenue of gold": one(f"SELECT sum(revenue)::DECIMAL(38, 2) FROM {sql['revenue']}"),
        "top customers": one(f"SELECT count(*) FROM {sql['top']}"),
    }
    expected = {
        "rows of bronze": truth["rows"],
        "rows of quarantine": truth["invalid"],
        "rows of silver": truth["silver_orders"],
        "amounts of silver": Decimal(str(truth["silver_amount_sum"])),
        "revenue of gold": Decimal(str(truth["gold_revenue_sum"])),
        "top customers": 100,
    }
    wrong = [f"{what}: {found[what]} instead of {expected[what]}" for what in expected if found[what] != expected[what]]
    print(json.dumps({"wrong": wrong, "state": state}, default=str))


main()
