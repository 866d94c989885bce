"""100 no-op tasks of an Airflow DAG, executed in process as `airflow dags test` does, three times. usage: airflow_tasks.py FOLDER"""

import contextlib
import os
import pathlib
import sys
import time

os.environ |= {
    "AIRFLOW_HOME": sys.argv[1],
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}

from airflow.sdk import dag, task  # noqa: E402
from airflow.utils.db import initdb  # noqa: E402

TASKS = 100


@task
def noop(number):
    return number


@dag(schedule=None)
def tasks():
    for number in range(TASKS):
        noop.override(task_id=f"task_{number}")(number)


runs = tasks()
if __name__ == "__main__":
    # Airflow reads the DAG from its own folder once more, and logs to standard output.
    pathlib.Path(sys.argv[1], "dags").mkdir()
    pathlib.Path(sys.argv[1], "dags", "tasks.py").symlink_to(pathlib.Path(__file__).resolve())
    with contextlib.redirect_stdout(sys.stderr):
        initdb()
    for _ in range(3):
        start = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            assert runs.test().state == "success"
        print(TASKS / (time.perf_counter() - start), flush=True)
