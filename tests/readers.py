"""Reads every table below a folder with three independent readers and compares them row for row.

Takes a folder from each line of standard input, and answers with a line of JSON: {"tables": {table: [version, rows]}}, a table named
by its path with dots, or {"differ": what}. Folders that are hidden are passed over.
"""

import collections
import datetime
import json
import pathlib
import sys

import duckdb
import polars
import pyarrow
from deltalake import DeltaTable, QueryBuilder


class Differ(Exception):
    pass


def tables(root):
    for log in sorted(root.rglob("_delta_log")):
        hidden = any(part.startswith(".") for part in log.relative_to(root).parts)
        if not hidden and any(log.glob("*.json")):
            yield log.parent


def by_deltalake(table):
    """Delta's own reader, through its query engine: the one that knows deletion vectors."""
    engine = QueryBuilder().register("t", table)
    return polars.from_arrow(pyarrow.table(engine.execute("SELECT * FROM t").read_all()))


def by_polars(table):
    return polars.read_delta(table)


def by_duckdb(table):
    """DuckDB reads the active files by itself, and leaves out the rows that the deletion vectors name."""
    files = table.file_uris()
    if not files:
        return by_deltalake(table)
    gone = pyarrow.table(table.deletion_vectors()) if has_vectors(table) else None
    rows = f"read_parquet({files!r}, union_by_name = true, filename = true, file_row_number = true)"
    # A column that came after the last file is in none of them.
    there = set(duckdb.sql(f"SELECT * FROM {rows} LIMIT 0").columns)
    names = [(f.name, f.name.replace('"', '""')) for f in table.schema().fields]
    columns = ", ".join(f'"{quoted}"' if name in there else f'NULL AS "{quoted}"' for name, quoted in names)
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
    frame = frame.with_columns(text(column) for column in frame)
    rows = frame.select(polars.concat_str([polars.col(c).fill_null("\0") for c in frame.columns], separator="\x1f").alias("row"))
    return rows["row"].sort()


def text(column):
    if column.dtype.is_nested() or column.dtype == polars.Binary:
        return polars.Series(column.name, [None if v is None else json.dumps(plain(v)) for v in column.to_list()], polars.String)
    if column.dtype.is_float():
        return column.cast(polars.Float64).round(9).cast(polars.String)
    if isinstance(column.dtype, polars.Datetime) and column.dtype.time_zone:
        return column.dt.convert_time_zone("UTC").cast(polars.Int64).cast(polars.String)
    return column.cast(polars.String)


def plain(value):
    """Readers name the fields of a map's entries as they like."""
    if isinstance(value, dict):
        return [plain(v) for v in value.values()]
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(datetime.timezone.utc).isoformat()
    return value if value is None else str(value)


def check_feed(table, expected):
    """Where a change data feed is kept: what came less what went is what is there."""
    if table.metadata().configuration.get("delta.enableChangeDataFeed") != "true":
        return
    feed = polars.from_arrow(pyarrow.table(table.load_cdf(starting_version=0, ending_version=table.version()).read_all()))
    rows = lambda kinds: collections.Counter(canonical(
        feed.filter(polars.col("_change_type").is_in(kinds)).select([f.name for f in table.schema().fields])))
    came, went = rows(["insert", "update_postimage"]), rows(["delete", "update_preimage"])
    came.subtract(went)
    if +came != collections.Counter(expected) or -came:
        raise Differ(f"the change feed gives {came.total()} rows, the table has {len(expected)}")


def read(folder):
    """The version that was read, and its rows."""
    table = DeltaTable(str(folder))
    expected = canonical(by_deltalake(table))
    for reader in (by_polars, by_duckdb):
        rows = canonical(reader(table))
        if not rows.equals(expected):
            rows, expected = rows.to_list(), expected.to_list()
            where = next((i for i, (a, b) in enumerate(zip(expected, rows)) if a != b), min(len(rows), len(expected)))
            raise Differ(f"{reader.__name__} reads {len(rows)} rows, deltalake {len(expected)}; "
                         f"first difference at {where}: {expected[where:where + 1]} and {rows[where:where + 1]}")
    check_feed(table, expected)
    return [table.version(), len(expected)]


def read_all(root):
    found = {}
    for folder in tables(root):
        name = ".".join(folder.relative_to(root).parts)
        try:
            found[name] = read(folder)
        except Exception as error:
            return {"differ": f"{name}: {error!r}"}
    return {"tables": found}


for line in sys.stdin:
    print(json.dumps(read_all(pathlib.Path(line.rstrip("\n")))), flush=True)
