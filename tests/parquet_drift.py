"""Parquet files whose fields differ from each other.

usage: parquet_drift.py KIND FILE
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq

PART = {"a": 1, "b": 2}
KINDS = {
    "plain": {"id": pa.array([1, 2]), "n": pa.array([10, 20]), "part": pa.array([PART, PART])},
    "new": {"id": pa.array([3, 4]), "n": pa.array([30, 40]), "part": pa.array([PART, PART]), "extra": pa.array([True, None])},
    "missing": {"id": pa.array([3, 4]), "part": pa.array([PART, PART])},
    "retyped": {"id": pa.array([3, 4]), "n": pa.array(["30", "forty"]), "part": pa.array([PART, PART])},
    "reordered": {"n": pa.array([30, 40]), "id": pa.array([3, 4]), "part": pa.array([PART, PART])},
    "recased": {"id": pa.array([3, 4]), "N": pa.array([30, 40]), "part": pa.array([PART, PART])},
    "inside": {"id": pa.array([3, 4]), "n": pa.array([30, 40]), "part": pa.array([PART | {"c": 3}, None])},
}

pq.write_table(pa.table(KINDS[sys.argv[1]]), sys.argv[2])
