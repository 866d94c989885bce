"""Reads every table of a lake with three independent readers and compares them row for row.

usage: readers.py LAKE    (the folder of one environment: LAKE/<layer>/<dataset>)
Prints one JSON object: table -> rows. Exits with 1 and a message when readers disagree.
"""

import json
import pathlib
import sys

import duckdb
import polars
from deltalake import DeltaTable


def tables(lake):
    for log in sorted(lake.rglob("_delta_log")):
        if not any(part.startswith(".") for part in log.relative_to(lake).parts):
            yield log.parent


def by_deltalake(folder):
    return polars.from_arrow(DeltaTable(str(folder)).to_pyarrow_table())


def by_polars(folder):
    return polars.read_delta(str(folder))


def by_duckdb(folder):
    table = DeltaTable(str(folder))
    files = table.file_uris()
    if not files:
        return by_deltalake(folder)
    columns = ", ".join(f'"{f.name}"' for f in table.schema().fields)
    return duckdb.sql(f"SELECT {columns} FROM read_parquet({files!r}, union_by_name = true)").pl()


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
        found[name] = len(expected)
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
