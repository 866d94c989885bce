"""Pointblank on a Polars frame, with the rows that fail kept for the report: the nearest it has to a quarantine.

With --no-rows it only counts; with --pattern it looks at the text of times instead of parsing them, as many do, and finds less.
"""

from common import *
import pointblank as pb

PATTERN = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T\d\d:\d\d:\d\d\.\d{3}Z$"
TIMES_LAST = [f"type:{c}" for c in TIMESTAMPS]
NAMED = {"col_vals_not_null": "missing", "col_vals_in_set": "enum", "col_vals_ge": "range"}


def rule(step):
    if step.assertion_type == "rows_distinct":
        return "unique:event_id"
    return f"{NAMED[step.assertion_type]}:{step.column}"


def validate():
    plan = pb.Validate(frame).col_vals_not_null(columns=list(FIELDS))
    plan = plan.col_vals_in_set("status", STATUS).col_vals_in_set("currency", CURRENCIES)
    plan = plan.col_vals_ge("amount", 0, na_pass=True).rows_distinct(columns_subset=["event_id"])
    for column in TIMESTAMPS:
        if "--pattern" in sys.argv:
            plan = plan.col_vals_regex(column, PATTERN, na_pass=True)
        else:
            plan = plan.col_vals_expr(is_time(column))
    steps = plan.interrogate(collect_extracts="--no-rows" not in sys.argv).validation_info
    # A step of an expression has no column; the two for the times are the last.
    named = [rule(step) for step in steps[:-2]] + TIMES_LAST
    return {name: int(step.n_failed) for name, step in zip(named, steps)}


frame = events()
timed(validate)
