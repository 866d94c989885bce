"""Great Expectations on a pandas frame, counts and a few of the failing values. Times are checked by a pattern, so it finds less."""

from common import *

os.environ["GX_ANALYTICS_ENABLED"] = "false"
import logging

import great_expectations as gx
import great_expectations.expectations as gxe


def suite():
    """Expectations by the rule that each stands for."""
    named = {f"missing:{c}": gxe.ExpectColumnValuesToNotBeNull(column=c) for c in FIELDS}
    named |= {f"enum:{c}": gxe.ExpectColumnValuesToBeInSet(column=c, value_set=v) for c, v in KNOWN.items()}
    named |= {"range:amount": gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0)}
    named |= {f"type:{c}": gxe.ExpectColumnValuesToMatchRegex(column=c, regex=PATTERN) for c in TIMESTAMPS}
    named |= {"unique:event_id": gxe.ExpectColumnValuesToBeUnique(column="event_id")}
    if MORE:
        refunded = {"row_condition": 'status == "refunded"', "condition_parser": "pandas"}
        named |= {"pattern:email": gxe.ExpectColumnValuesToMatchRegex(column="email", regex=EMAIL)}
        length = {"min_value": 1, "max_value": LONGEST_STATUS}
        named |= {"length:status": gxe.ExpectColumnValueLengthsToBeBetween(column="status", **length)}
        named |= {"range:customer_id": gxe.ExpectColumnValuesToBeBetween(column="customer_id", max_value=MOST_CUSTOMERS)}
        named |= {"refund_is_small": gxe.ExpectColumnValuesToBeBetween(column="amount", max_value=MOST_REFUNDED, **refunded)}
    for name, expectation in named.items():
        expectation.meta = {"rule": name}
    return gx.ExpectationSuite("orders", expectations=list(named.values()))


def validate():
    results = batch.validate(expectations, result_format="SUMMARY").results
    return {r.expectation_config.meta["rule"]: r.result["unexpected_count"] for r in results}


logging.disable(logging.WARNING)
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
asset = context.data_sources.add_pandas("memory").add_dataframe_asset("events")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": events().to_pandas()})
expectations = suite()
timed(validate)
