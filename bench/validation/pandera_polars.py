"""Pandera on a Polars frame, lazy: all failures are gathered, each with its row."""

from common import *
import pandera.polars as pa

timestamp = pa.Check(lambda data: data.lazyframe.select(is_time(data.key)), name="type")
CHECKS = {
    "status": pa.Check.isin(STATUS, name="enum"),
    "currency": pa.Check.isin(CURRENCIES, name="enum"),
    "amount": pa.Check.ge(0, name="range"),
} | dict.fromkeys(TIMESTAMPS, timestamp)
small = pa.Check(lambda data: data.lazyframe.select((pl.col("status") != "refunded") | (pl.col("amount") <= MOST_REFUNDED)), name="refund_is_small")
if MORE:
    CHECKS |= {
        "email": pa.Check.str_matches(EMAIL),
        "status": [CHECKS["status"], pa.Check.str_length(1, LONGEST_STATUS)],
        "customer_id": pa.Check.le(MOST_CUSTOMERS),
    }
COLUMNS = {c: pa.Column(kind, CHECKS.get(c), nullable=False) for c, kind in FIELDS.items()}
SCHEMA = pa.DataFrameSchema(COLUMNS, checks=small if MORE else None, unique=["event_id"])


def rule(column, check):
    if check == "multiple_fields_uniqueness":
        return "unique:event_id"
    if check == "refund_is_small":
        return check
    kind = {"not_nullable": "missing", "isin": "enum", "greater_than_or_equal_to": "range", "less_than_or_equal_to": "range"}
    kind |= {"str_matches": "pattern", "str_length": "length"}
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
