"""Arguments, input files and stage times, shared by all peers.

usage: PEER.py WORK FILES   brings the tables in the folder WORK up to date with the first FILES files of BENCH_INPUT

The tables stay, so a second call does only what is new. Prints one line of JSON: wall and CPU seconds of each stage.
What the whole process used is measured from outside, by bench/run.
"""

import json
import os
import sys
import time

INPUT = os.environ["BENCH_INPUT"]
FMT = os.environ.get("FMT", "ndjson")
WORK, COUNT = os.path.abspath(sys.argv[1]), int(sys.argv[2])
FILES = sorted(f"{INPUT}/{name}" for name in os.listdir(INPUT))[:COUNT]
SRC_STATUS = ["placed", "paid", "shipped", "delivered", "cancelled", "refunded"]
CURRENCIES = "USD EUR GBP BRL JPY INR CAD AUD SEK PLN MXN ARS ZAR KRW TRY CHF".split()
os.makedirs(WORK, exist_ok=True)


class Stages:
    """`with stages("bronze"): …` times a stage; `done` prints what was timed."""

    def __init__(self):
        self.times = {}

    def __call__(self, name):
        self.name = name
        return self

    def __enter__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.times[self.name] = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}

    def done(self):
        print(json.dumps({"stages": self.times}), flush=True)
