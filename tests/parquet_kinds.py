"""Parquet files with columns of every kind, and whether a bronze table kept them.

usage: parquet_kinds.py make FILE      writes a file with one column for each kind
       parquet_kinds.py interval FILE  writes a file with an interval inside of another column
       parquet_kinds.py check TABLE    reads the table with three independent readers and compares every value
"""

import datetime as dt
import decimal
import sys

import duckdb
import numpy
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable

D = decimal.Decimal
UTC = dt.timezone.utc
NOON = dt.datetime(2024, 1, 1, 12, 0, 0, 123456)
EARLY = dt.datetime(1965, 3, 4)
NOON_UTC, EARLY_UTC = NOON.replace(tzinfo=UTC), EARLY.replace(tzinfo=UTC)
MOST = 2**64 - 1
WIDE = D("1234567890123456789012345678.0123456789")

# Name: values as they arrive, the type in the table, and the values there when they look different.
KINDS = {
    "ntz": (pa.array([NOON, None, EARLY], pa.timestamp("us")), pa.timestamp("us"), None),
    "ntz_ms": (pa.array([NOON.replace(microsecond=0), None, EARLY], pa.timestamp("ms")), pa.timestamp("us"), None),
    "zoned": (pa.array([NOON_UTC, None, EARLY_UTC], pa.timestamp("us", "Europe/Berlin")), pa.timestamp("us", "UTC"), None),
    "day": (pa.array([dt.date(2024, 1, 1), None, dt.date(1, 1, 1)], pa.date32()), pa.date32(), None),
    "day64": (pa.array([dt.date(2024, 1, 1), None, dt.date(1, 1, 1)], pa.date64()), pa.timestamp("us"),
              [dt.datetime(2024, 1, 1), None, dt.datetime(1, 1, 1)]),
    "time": (pa.array([3_723_000_001, None, 0], pa.time64("us")), pa.string(), ["01:02:03.000001", None, "00:00:00"]),
    "duration": (pa.array([5_000_001, None, -1], pa.duration("us")), pa.int64(), [5_000_001, None, -1]),
    "dec": (pa.array([WIDE, None, D("-0.0000000001")], pa.decimal128(38, 10)), pa.decimal128(38, 10), None),
    "dec76": (pa.array([D("1.5"), None, D("-2")], pa.decimal256(76, 1)), pa.string(), ["1.5", None, "-2.0"]),
    "bytes": (pa.array([b"\x00\xff", None, b""], pa.binary()), pa.binary(), None),
    "fixed_bytes": (pa.array([b"abcd", None, b"efgh"], pa.binary(4)), pa.binary(), None),
    "u8": (pa.array([255, None, 0], pa.uint8()), pa.int16(), None),
    "u32": (pa.array([2**32 - 1, None, 0], pa.uint32()), pa.int64(), None),
    "u64": (pa.array([MOST, None, 0], pa.uint64()), pa.decimal128(20, 0), None),
    "f16": (pa.array(numpy.array([1.5, 0, -2.25], dtype=numpy.float16)), pa.float32(), None),
    "word": (pa.array(["a", None, "b"]).dictionary_encode(), pa.string(), None),
    "nothing": (pa.nulls(3), pa.string(), None),
    "items": (pa.array([[MOST, None], None, []], pa.large_list(pa.uint64())), pa.list_(pa.decimal128(20, 0)), None),
    "pair": (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)), pa.list_(pa.int32()), None),
    "part": (
        pa.array([{"at": NOON, "n": 255}, None, {"at": None, "n": 0}], pa.struct([("at", pa.timestamp("us")), ("n", pa.uint8())])),
        pa.struct([("at", pa.timestamp("us")), ("n", pa.int16())]),
        None,
    ),
    "by_name": (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())), pa.map_(pa.string(), pa.int64()), None),
    "deep": (
        pa.array([[{"x": [("k", [b"v"])]}], None, []], pa.list_(pa.struct([("x", pa.map_(pa.string(), pa.list_(pa.binary())))]))),
        None,
        None,
    ),
}


def make(path):
    columns = {"id": pa.array([1, 2, 3])} | {name: kind[0] for name, kind in KINDS.items()}
    pq.write_table(pa.table(columns), path)


def interval(path):
    duckdb.sql(f"COPY (SELECT 1 AS id, {{'span': INTERVAL '1 month 2 days'}} AS inside) TO '{path}' (FORMAT parquet)")


def plain(value):
    """Readers disagree about what a map is in Python."""
    if isinstance(value, dict):
        return [("", (k, plain(v))) for k, v in value.items()]
    if isinstance(value, tuple):
        return ("", (value[0], plain(value[1])))
    if isinstance(value, (list, polars.Series)):
        return [plain(v) for v in value]
    return value


def check(folder):
    table = DeltaTable(folder)
    if table.protocol().reader_features != ["timestampNtz"]:
        sys.exit(f"times without a zone need a feature of the table, and it has {table.protocol().reader_features}")
    arrow = table.to_pyarrow_table().sort_by("_position")
    by_polars = polars.read_delta(folder).sort("_position")
    for name, (values, kind, other) in KINDS.items():
        expected = plain(other if other is not None else values.to_pylist())
        sql = f'SELECT "{name}" FROM read_parquet({table.file_uris()!r}) ORDER BY _position'
        read = {
            "deltalake": arrow[name].to_pylist(),
            "polars": by_polars[name].to_list(),
            "duckdb": [row[0] for row in duckdb.sql(sql).fetchall()],
        }
        for reader, found in read.items():
            if plain(found) != expected:
                sys.exit(f"{name}: {reader} reads {plain(found)} and not {expected}")
        if kind is not None and arrow.schema.field(name).type != kind:
            sys.exit(f"{name} is {arrow.schema.field(name).type} and not {kind}")
    # Statistics may leave out only files that hold no such row.
    for name in ("ntz", "ntz_ms", "zoned", "day64"):
        for value in arrow[name].drop_null():
            by_arrow = table.to_pyarrow_dataset().to_table(filter=ds.field(name) == value).num_rows
            by_scan = polars.scan_delta(folder).filter(polars.col(name) == value.as_py()).collect().height
            if (by_arrow, by_scan) != (1, 1):
                sys.exit(f"{name} = {value} finds {by_arrow} and {by_scan} rows")


if __name__ == "__main__":
    {"make": make, "interval": interval, "check": check}[sys.argv[1]](sys.argv[2])
