"""1,000 no-op tasks of Luigi, each with a file as its marker, three times. usage: luigi_tasks.py FOLDER"""

import sys
import time

import luigi

TASKS = 1_000


class Noop(luigi.Task):
    round = luigi.IntParameter()
    number = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(f"{sys.argv[1]}/{self.round}/{self.number}")

    def run(self):
        with self.output().open("w") as marker:
            marker.write("done")


for turn in range(3):
    start = time.perf_counter()
    luigi.build([Noop(turn, n) for n in range(TASKS)], local_scheduler=True, log_level="ERROR")
    print(TASKS / (time.perf_counter() - start), flush=True)
