"""100 no-op ops of a Dagster job, executed in process, three times. usage: dagster_ops.py FOLDER"""

import os
import sys
import time

os.environ["DAGSTER_HOME"] = sys.argv[1]
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"

from dagster import DagsterInstance, job, op  # noqa: E402

OPS = 100


@op
def noop():
    return None


@job
def ops():
    for number in range(OPS):
        noop.alias(f"op_{number}")()


for _ in range(3):
    start = time.perf_counter()
    assert ops.execute_in_process(instance=DagsterInstance.get()).success
    print(OPS / (time.perf_counter() - start), flush=True)
