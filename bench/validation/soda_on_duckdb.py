"""Soda on a table of DuckDB in memory, by a contract in its own words. It only counts.

With --pattern it checks the text of times, which is its own rule for them, instead of casting them by an expression, and finds less.
"""

from common import *

os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"
import duckdb
from soda_core.common.yaml import ContractYamlSource
from soda_core.contracts.contract_verification import ContractVerificationSession
from soda_duckdb import DuckDBDataSource


def check(kind, rule, **how):
    # The qualifier tells two of a kind on one column apart.
    return {kind: {"name": rule, "qualifier": rule, **how}}


def contract():
    """Checks named by the rule that each stands for, as JSON, which is YAML too."""
    checks = {c: [check("missing", f"missing:{c}")] for c in FIELDS}
    checks["event_id"].append(check("duplicate", AGAIN))
    for column, values in KNOWN.items():
        checks[column].append(check("invalid", f"enum:{column}", valid_values=values))
    checks["amount"].append(check("invalid", "range:amount", valid_min=0))
    of_rows = []
    for column in TIMESTAMPS:
        if "--pattern" in sys.argv:
            checks[column].append(check("invalid", f"type:{column}", valid_format={"name": "time", "regex": PATTERN}))
        else:
            broken = f"{column} IS NOT NULL AND try_cast({column} AS TIMESTAMP) IS NULL"
            of_rows.append(check("failed_rows", f"type:{column}", expression=broken))
    if MORE:
        checks["email"].append(check("invalid", "pattern:email", valid_format={"name": "address", "regex": EMAIL}))
        checks["status"].append(check("invalid", "length:status", valid_min_length=1, valid_max_length=LONGEST_STATUS))
        checks["customer_id"].append(check("invalid", "range:customer_id", valid_max=MOST_CUSTOMERS))
        large = f"status = 'refunded' AND amount > {MOST_REFUNDED}"
        of_rows.append(check("failed_rows", "refund_is_small", expression=large))
    columns = [{"name": column, "checks": each} for column, each in checks.items()]
    # Soda refuses an empty list of checks.
    return json.dumps({"dataset": "memory/main/events", "columns": columns} | ({"checks": of_rows} if of_rows else {}))


def table():
    """A connection that has the events as a table; the frame is gone before the clock starts."""
    frame, db = events(), duckdb.connect()
    db.execute("CREATE TABLE events AS FROM frame")
    return db


def validate():
    verified = ContractVerificationSession.execute([ContractYamlSource.from_str(written)], data_source_impls=[source])
    if verified.has_errors:
        sys.exit(verified.get_errors_str())
    return {r.check.name: r.threshold_value for r in verified.results[0].check_results}


source = DuckDBDataSource.from_existing_cursor(table(), name="memory")
written = contract()
timed(validate, unique=AGAIN)
