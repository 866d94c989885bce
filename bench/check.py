"""Compares tables with the generator's truth. Called by bench/run with JSON on standard input; answers with JSON.

In: {"tables": {"bronze": TABLE, "silver": …, "revenue": …, "top": …, "quarantine": …}, "truth": one entry of manifest.json}
    A TABLE is a folder or a list of them, Delta or plain Parquet; or with a "database": FILE beside them a name in it.
Out: {"wrong": [text, …], "state": what changes when a table does, "files": number of data files, null in a database}
"""

import json
import pathlib
import sys
from decimal import Decimal

import duckdb
import pyarrow
from deltalake import DeltaTable, QueryBuilder


def data_files(folder):
    """The live data files of a folder, and what changes when they do."""
    if DeltaTable.is_deltatable(folder):
        table = DeltaTable(folder)
        return [u.removeprefix("file://") for u in table.file_uris()], table.version()
    files = sorted(pathlib.Path(folder).glob("*.parquet"))
    return [str(f) for f in files], [(f.name, f.stat().st_mtime_ns) for f in files]


def has_vectors(folder):
    """Whether a file list alone would count rows that are gone."""
    return DeltaTable.is_deltatable(folder) and "deletionVectors" in (DeltaTable(folder).protocol().reader_features or [])


def relations(db, tables):
    """SQL for each table's rows, the tables' state, and the number of their data files."""
    if database := tables.pop("database", None):
        db.execute(f"ATTACH '{database}' AS d (READ_ONLY)")
        sql = {name: f"d.{table}" for name, table in tables.items()}
        state = {name: db.execute(f"SELECT bit_xor(hash(t)), count(*) FROM {table} t").fetchone() for name, table in sql.items()}
        return sql, state, None
    sql, state, count = {}, {}, 0
    for name, folders in tables.items():
        found = [data_files(f) for f in ([folders] if isinstance(folders, str) else folders)]
        files = [f for live, _ in found for f in live]
        listed = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
        sql[name] = f"read_parquet([{listed}], union_by_name = true)" if files else "(SELECT NULL WHERE false)"
        if any(has_vectors(f) for f in ([folders] if isinstance(folders, str) else folders)):
            sql[name] = name
            engine = QueryBuilder().register("t", DeltaTable(folders))
            db.register(name, pyarrow.table(engine.execute("SELECT * FROM t").read_all()))
        state[name] = [changes for _, changes in found]
        count += len(files)
    return sql, state, count


def main():
    request = json.load(sys.stdin)
    truth = request["truth"]
    db = duckdb.connect()
    sql, state, files = relations(db, request["tables"])
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
    print(json.dumps({"wrong": wrong, "state": state, "files": files}, default=str))


main()
