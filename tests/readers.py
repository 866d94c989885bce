"""Reads every table of a lake with three independent readers and compares them row for row.

usage: readers.py LAKE    (the folder of one environment: LAKE/<layer>/<dataset>)
Prints one JSON object: table -> rows. Exits with 1 and a message when readers disagree.
"""

import collections
import json
import pathlib
import sys

import duckdb
import polars
import pyarrow
from deltalake import DeltaTable, QueryBuilder


def tables(lake):
    for log in sorted(lake.rglob("_delta_log")):
        if not any(part.startswith(".") for part in log.relative_to(lake).parts):
            yield log.parent


def by_deltalake(folder):
    """Delta's own reader, through its query engine: the one that knows deletion vectors."""
    engine = QueryBuilder().register("t", DeltaTable(str(folder)))
    return polars.from_arrow(pyarrow.table(engine.execute("SELECT * FROM t").read_all()))


def by_polars(folder):
    return polars.read_delta(str(folder))


def by_duckdb(folder):
    """DuckDB reads the active files by itself, and leaves out the rows that the deletion vectors name."""
    table = DeltaTable(str(folder))
    files = table.file_uris()
    if not files:
        return by_deltalake(folder)
    gone = pyarrow.table(table.deletion_vectors()) if has_vectors(table) else None
    columns = ", ".join(f'"{f.name}"' for f in table.schema().fields)
    rows = f"read_parquet({files!r}, union_by_name = true, filename = true, file_row_number = true)"
    if gone is None or gone.num_rows == 0:
        return duckdb.sql(f"SELECT {columns} FROM {rows}").pl()
    return duckdb.sql(f"""
        WITH mask AS (SELECT parse_path(filepath)[-1] AS file, selection_vector AS keep FROM gone)
        SELECT {columns} FROM {rows} AS r LEFT JOIN mask ON parse_path(r.filename)[-1] = mask.file
        WHERE mask.file IS NULL OR coalesce(mask.keep[r.file_row_number + 1], true)""").pl()


def has_vectors(table):
    return "deletionVectors" in (table.protocol().reader_features or [])


def canonical(frame):
    """One text a row, sorted: what a row says does not depend on the reader's types for it."""
    text = [
        polars.col(name).cast(polars.Float64).round(9).cast(polars.String) if dtype.is_float() else
        polars.col(name).dt.convert_time_zone("UTC").cast(polars.Int64).cast(polars.String)
        if isinstance(dtype, polars.Datetime) and dtype.time_zone else
        polars.col(name).map_elements(lambda v: json.dumps(v if v is None else list(v), default=str), return_dtype=polars.String)
        if isinstance(dtype, polars.List) else
        polars.col(name).cast(polars.String)
        for name, dtype in frame.schema.items()
    ]
    rows = frame.select(polars.concat_str([t.fill_null("\0") for t in text], separator="\x1f").alias("row"))
    return rows["row"].sort().to_list()


def check_feed(name, folder, expected):
    """Where a change data feed is kept: what came less what went is what is there."""
    table = DeltaTable(str(folder))
    if table.metadata().configuration.get("delta.enableChangeDataFeed") != "true":
        return
    feed = polars.from_arrow(pyarrow.table(table.load_cdf(starting_version=0).read_all()))
    rows = lambda kinds: collections.Counter(canonical(
        feed.filter(polars.col("_change_type").is_in(kinds)).select([f.name for f in table.schema().fields])))
    came, went = rows(["insert", "update_postimage"]), rows(["delete", "update_preimage"])
    came.subtract(went)
    if +came != collections.Counter(expected) or -came:
        sys.exit(f"{name}: the change feed gives {came.total()} rows, the table has {len(expected)}")


def main():
    lake = pathlib.Path(sys.argv[1])
    found = {}
    for folder in tables(lake):
        name = ".".join(folder.relative_to(lake).parts)
        expected = canonical(by_deltalake(folder))
        for reader in (by_polars, by_duckdb):
            rows = canonical(reader(folder))
            if rows != expected:
                where = next((i for i, (a, b) in enumerate(zip(expected, rows)) if a != b), min(len(rows), len(expected)))
                sys.exit(f"{name}: {reader.__name__} reads {len(rows)} rows, deltalake {len(expected)}; "
                         f"first difference at {where}: {expected[where:where + 1]} and {rows[where:where + 1]}")
        check_feed(name, folder, expected)
        found[name] = len(expected)
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
