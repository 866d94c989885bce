"""Whether others read what `contract export` writes, and refuse the rows that the contract refuses.

usage: exports.py SCHEMA.json SCHEMA.avsc TABLE.sql ROWS.ndjson

Prints the positions of the rows that JSON Schema refuses, then of those that DuckDB's table refuses, each as one line.
The rows that are valid are written and read back as Avro.
"""

import datetime as dt
import decimal
import io
import json
import sys

import duckdb
import fastavro
import jsonschema

schema_path, avro_path, sql_path, rows_path = sys.argv[1:]
rows = [json.loads(line) for line in open(rows_path, encoding="utf-8")]

schema = json.load(open(schema_path, encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
refused = [i for i, row in enumerate(rows) if not validator.is_valid(row)]
print(" ".join(map(str, refused)))

table = open(sql_path, encoding="utf-8").read()
named = schema["title"]
broken = []
for i, row in enumerate(rows):
    db = duckdb.connect()
    db.execute(table)
    values = [json.dumps(v) if isinstance(v, (dict, list)) else v for v in row.values()]
    columns = ", ".join(f'"{name}"' for name in row)
    try:
        db.execute(f'INSERT INTO "{named}" ({columns}) VALUES ({", ".join("?" * len(row))})', values)
    except (duckdb.ConstraintException, duckdb.ConversionException):
        broken.append(i)
print(" ".join(map(str, broken)))

avro = fastavro.parse_schema(json.load(open(avro_path, encoding="utf-8")))


def value(kind, v):
    """A value of JSON as the type that the schema says."""
    if isinstance(kind, list):
        return None if v is None else value(next(k for k in kind if k != "null"), v)
    logical = kind.get("logicalType") if isinstance(kind, dict) else None
    if logical == "decimal":
        return decimal.Decimal(str(v))
    if logical == "date":
        return dt.date.fromisoformat(v)
    if logical == "timestamp-micros":
        return dt.datetime.fromisoformat(v)
    return v


valid = [row for i, row in enumerate(rows) if i not in refused]
typed = [{f["name"]: value(f["type"], row.get(f["name"])) for f in avro["fields"]} for row in valid]
file = io.BytesIO()
fastavro.writer(file, avro, typed)
file.seek(0)
assert list(fastavro.reader(file)) == typed, "Avro changed a row"
