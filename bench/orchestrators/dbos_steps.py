"""1,000 no-op steps of one durable workflow of DBOS on SQLite, three times. usage: dbos_steps.py FOLDER"""

import sys
import time

from dbos import DBOS

STEPS = 1_000
url = f"sqlite:///{sys.argv[1]}/dbos.sqlite"
DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})


@DBOS.step()
def noop(number):
    return number


@DBOS.workflow()
def steps(count):
    for number in range(count):
        noop(number)


DBOS.launch()
for _ in range(3):
    start = time.perf_counter()
    steps(STEPS)
    print(STEPS / (time.perf_counter() - start), flush=True)
DBOS.destroy()
