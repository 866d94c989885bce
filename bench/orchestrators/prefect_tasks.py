"""100 no-op tasks of a Prefect flow, with its own server in the background, three times. usage: prefect_tasks.py FOLDER"""

import os
import sys
import time

os.environ |= {
    "PREFECT_HOME": sys.argv[1],
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "DO_NOT_TRACK": "1",
}

from prefect import flow, task  # noqa: E402

TASKS = 100


@task
def noop(number):
    return number


@flow
def tasks():
    for number in range(TASKS):
        noop(number)


@flow
def first():
    return 1


first()
for _ in range(3):
    start = time.perf_counter()
    tasks()
    print(TASKS / (time.perf_counter() - start), flush=True)
