"""Validates NDJSON files with Alluvium: the project in ours/.

usage: ours.py BINARY FILES [--files | --checking | --writing] [--rules=20]   validates the first FILES NDJSON files of BENCH_INPUT, three times

Without an option the files are loaded into bronze first, and what is timed, by the ledger, is the silver step: it reads bronze, checks
every rule, writes the table and the quarantine with each row's reasons, and commits, durably.

--files times `alluvium contract test` on the files, as a process from its start to its end: it decodes them, checks every rule, and
writes the invalid rows with their reasons to a Parquet file, durably. --checking is the part of this that the validators beside it are timed for,
from the decoded rows to the invalid ones with their reasons: the time of all threads, shared among the cores. --writing is this
and the writing of that file, as if it came after the checking and on one core.

Prints what the validators beside it print.
"""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

TIMES = 3
# Threads that a command has for its work.
MOST_THREADS = 8
NAMED = {"required": "missing", "type": "type", "range": "range", "unique": "repeated"}
NAMED |= {"status_known": "enum:status", "currency_known": "enum:currency"}
NAMED |= {"pattern": "pattern", "length": "length", "refund_is_small": "refund_is_small"}
binary, count, how = sys.argv[1], int(sys.argv[2]), [a for a in sys.argv[3:] if not a.startswith("--rules")]
contract = "orders_20" if "--rules=20" in sys.argv else "orders"
ours = pathlib.Path(__file__).resolve().parent / "ours"


def alluvium(*args):
    run = subprocess.run([binary, *args, "--format", "json"], cwd=project, capture_output=True, text=True)
    # A broken rule is what `contract test` ends with 1 for.
    if run.returncode > (args[0] == "contract"):
        sys.exit(f"alluvium {' '.join(args)} ended with {run.returncode}\n{run.stdout}{run.stderr}")
    return run.stdout


def rows(sql):
    return json.loads(alluvium("query", sql))


def children_cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def named(rule):
    kind, _, column = rule.partition(":")
    return NAMED[kind] if not column else f"{NAMED[kind]}:{column}"


def broken():
    """Rows that each rule sent to the quarantine. Of rows that share an event_id the first stays, which the other validators
    count too: what is repeated has a name of its own."""
    found = rows(
        "SELECT rule, violations FROM state.quality WHERE dataset = 'silver.orders' AND violations > 0 "
        "AND run = (SELECT max(run) FROM state.quality)"
    )
    return {named(r["rule"]): r["violations"] for r in found}


def tested(files):
    """Times of `contract test`, and what it found."""
    times, found = {"wall_s": [], "cpu_s": []}, {}
    for _ in range(TIMES):
        start, used = time.perf_counter(), children_cpu_s()
        told = json.loads(alluvium("contract", "test", contract, *files, "--to", "invalid.parquet"))
        wall, cpu = time.perf_counter() - start, children_cpu_s() - used
        if "--files" not in how:
            checking, writing = told["checking_micros"] / 1e6, told["writing_micros"] / 1e6 * ("--writing" in how)
            wall, cpu = checking / min(os.cpu_count(), MOST_THREADS) + writing, checking + writing
        times["wall_s"].append(round(wall, 4))
        times["cpu_s"].append(round(cpu, 4))
        found = {named(r["rule"]): r["violations"] for r in told["rules"] if r["violations"]}
    return times | {"found": found}


source = pathlib.Path(os.environ["BENCH_INPUT"])
# Beside the input, so that the files can be linked.
with tempfile.TemporaryDirectory(dir=source.parent, prefix="ours-") as folder:
    project = pathlib.Path(folder) / "project"
    shutil.copytree(ours, project)
    silver = project / "datasets/silver/orders.yaml"
    silver.write_text(silver.read_text().replace("contract: orders", f"contract: {contract}"))
    if how:
        print(json.dumps(tested(sorted(source.iterdir())[:count])))
        sys.exit()
    landing = project / "landing" / "orders"
    landing.mkdir(parents=True)
    for file in sorted(source.iterdir())[:count]:
        os.link(file, landing / file.name)
    alluvium("run")
    for _ in range(TIMES - 1):
        alluvium("run", "--rebuild", "silver.orders")
    steps = rows("SELECT wall_micros, cpu_micros FROM state.ledger WHERE dataset = 'silver.orders' ORDER BY run")
    times = {"wall_s": [s["wall_micros"] / 1e6 for s in steps], "cpu_s": [s["cpu_micros"] / 1e6 for s in steps]}
    print(json.dumps(times | {"found": broken()}))
