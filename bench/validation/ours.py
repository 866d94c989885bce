"""Validates NDJSON files with Alluvium: the silver step of the project in ours/, alone.

usage: ours.py BINARY FILES   validates the first FILES NDJSON files of BENCH_INPUT, three times

The files are loaded into bronze first. What is timed, by the ledger, is the silver step: it reads bronze, checks every rule,
writes the table and the quarantine with each row's reasons, and commits, durably. Prints what the validators beside it print.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TIMES = 3
NAMED = {"required": "missing", "type": "type", "range": "range", "unique": "repeated"}
NAMED |= {"status_known": "enum:status", "currency_known": "enum:currency"}
binary, count = sys.argv[1], int(sys.argv[2])
ours = pathlib.Path(__file__).resolve().parent / "ours"


def alluvium(*args):
    run = subprocess.run([binary, *args, "--format", "json"], cwd=project, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"alluvium {' '.join(args)} ended with {run.returncode}\n{run.stdout}{run.stderr}")
    return run.stdout


def rows(sql):
    return json.loads(alluvium("query", sql))


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


source = pathlib.Path(os.environ["BENCH_INPUT"])
# Beside the input, so that the files can be linked.
with tempfile.TemporaryDirectory(dir=source.parent, prefix="ours-") as folder:
    project = pathlib.Path(folder) / "project"
    shutil.copytree(ours, project)
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
