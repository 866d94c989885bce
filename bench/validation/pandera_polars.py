"""Pandera on a Polars frame, lazy: all failures are gathered, each with its row."""

from common import *
import pandera.polars as pa

timestamp = pa.Check(lambda data: data.lazyframe.select(is_time(data.key)), name="type")
CHECKS = {
    "status": pa.Check.isin(STATUS, name="enum"),
    "currency": pa.Check.isin(CURRENCIES, name="enum"),
    "amount": pa.Check.ge(0, name="range"),
} | dict.fromkeys(TIMESTAMPS, timestamp)
COLUMNS = {c: pa.Column(kind, CHECKS.get(c), nullable=False) for c, kind in FIELDS.items()}
SCHEMA = pa.DataFrameSchema(COLUMNS, unique=["event_id"])


def rule(column, check):
    if check == "multiple_fields_uniqueness":
        return "unique:event_id"
    kind = {"not_nullable": "missing", "isin": "enum", "greater_than_or_equal_to": "range"}
    return f"{kind.get(check.partition('(')[0], check)}:{column}"


def validate():
    try:
        SCHEMA.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as broken:
        counted = broken.failure_cases.group_by("column", "check").len()
        return {rule(column, check): count for column, check, count in counted.iter_rows()}
    return {}


frame = events()
timed(validate)
