"""The events in memory, and the clock, shared by all validators.

usage: VALIDATOR.py FILES [--rules=20]   validates the first FILES NDJSON files of BENCH_INPUT, three times

What is timed is the validation alone: reading the files and building the data frame comes before. Prints one line of JSON:
wall and CPU seconds of each time, and how many rows were found to break each rule, named as in `RULES`.
"""

import json
import os
import sys
import time

import polars as pl

TIMES = 3
STATUS = ["placed", "paid", "shipped", "delivered", "cancelled", "refunded"]
CURRENCIES = "USD EUR GBP BRL JPY INR CAD AUD SEK PLN MXN ARS ZAR KRW TRY CHF".split()
KNOWN = {"status": STATUS, "currency": CURRENCIES}
FIELDS = dict.fromkeys("event_id order_id customer_id status amount currency country email created_at updated_at".split(), pl.String)
FIELDS |= {"order_id": pl.Int64, "customer_id": pl.Int64, "amount": pl.Float64}
TIMESTAMPS = ["created_at", "updated_at"]
# What many check times with; it lets 30 February pass.
PATTERN = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T\d\d:\d\d:\d\d\.\d{3}Z$"
RULES = [f"missing:{c}" for c in FIELDS] + ["enum:status", "enum:currency", "range:amount"]
RULES += [f"type:{c}" for c in TIMESTAMPS]
# Two ways to count rows that share an event_id: all of them, or all but one.
UNIQUE, AGAIN = "unique:event_id", "again:event_id"
MORE = "--rules=20" in sys.argv
EMAIL = r"^user([0-9]{1,6}|1[0-8][0-9]{5})@example\.com$"
LONGEST_STATUS, MOST_CUSTOMERS, MOST_REFUNDED = 9, 1_950_000, 100
if MORE:
    RULES += ["pattern:email", "length:status", "range:customer_id", "refund_is_small"]


def events():
    folder, count = os.environ["BENCH_INPUT"], int(sys.argv[1])
    files = sorted(f"{folder}/{name}" for name in os.listdir(folder))[:count]
    return pl.read_ndjson(files, schema=FIELDS).rechunk()


def is_time(column):
    """Whether the column is a time or null. Parsed, since a pattern would let 30 February pass; in two steps, since Polars
    parses whole seconds four times as fast as fractions."""
    text = pl.col(column)
    seconds = text.str.head(19).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
    return text.is_null() | (seconds.is_not_null() & text.str.tail(5).str.contains(r"^\.\d{3}Z$"))


def timed(validate, unique=UNIQUE):
    """Calls `validate`, which answers with the rows that break each rule (those without any may be left out); `unique` is the way
    in which it counts rows that share an event_id."""
    wall, cpu = [], []
    for _ in range(TIMES):
        start, used = time.perf_counter(), time.process_time()
        found = validate()
        wall.append(round(time.perf_counter() - start, 4))
        cpu.append(round(time.process_time() - used, 4))
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "found": {rule: found.get(rule, 0) for rule in [*RULES, unique]}}), flush=True)
