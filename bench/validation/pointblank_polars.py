"""Pointblank on a Polars frame, with the rows that fail kept for the report: the nearest it has to a quarantine.

With --no-rows it only counts; with --pattern it looks at the text of times instead of parsing them, as many do, and finds less.
"""

from common import *
import pointblank as pb

# A step of an expression has no column; these are the last.
EXPRESSIONS = (["length:status", "refund_is_small"] if MORE else []) + [f"type:{c}" for c in TIMESTAMPS]
NAMED = {"col_vals_not_null": "missing", "col_vals_in_set": "enum", "col_vals_ge": "range", "col_vals_le": "range"}
NAMED |= {"col_vals_regex": "pattern"}


def rule(step):
    if step.assertion_type == "rows_distinct":
        return "unique:event_id"
    return f"{NAMED[step.assertion_type]}:{step.column}"


def validate():
    plan = pb.Validate(frame).col_vals_not_null(columns=list(FIELDS))
    plan = plan.col_vals_in_set("status", STATUS).col_vals_in_set("currency", CURRENCIES)
    plan = plan.col_vals_ge("amount", 0, na_pass=True).rows_distinct(columns_subset=["event_id"])
    if MORE:
        plan = plan.col_vals_regex("email", EMAIL).col_vals_le("customer_id", MOST_CUSTOMERS, na_pass=True)
        plan = plan.col_vals_expr(pl.col("status").str.len_chars().is_between(1, LONGEST_STATUS))
        plan = plan.col_vals_expr((pl.col("status") != "refunded") | (pl.col("amount") <= MOST_REFUNDED))
    for column in TIMESTAMPS:
        if "--pattern" in sys.argv:
            plan = plan.col_vals_regex(column, PATTERN, na_pass=True)
        else:
            plan = plan.col_vals_expr(is_time(column))
    steps = plan.interrogate(collect_extracts="--no-rows" not in sys.argv).validation_info
    named = [rule(step) for step in steps[: -len(EXPRESSIONS)]] + EXPRESSIONS
    return {name: int(step.n_failed) for name, step in zip(named, steps)}


frame = events()
timed(validate)
