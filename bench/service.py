#!/usr/bin/env python3
"""A service while nothing arrives, and from a file's arrival to gold.

bench/service.py BINARY [--drops 100] [--rows 1000] [--idle 30] [--workers 0] [--backfill]

Begins `BINARY serve` over a project of its own, waits until it rests, and reads its CPU time and memory over some idle
seconds. Then files of so many rows are moved into the landing folder, one after the other, and the time until gold's commit
is there is taken from the table's log. The source settles in 0 s: the service waits 20 ms for more files.

With --backfill a year of a million rows lies in the tables, and while the files arrive that year of gold is made anew by day in a process
of its own, compared and dropped, again and again; so that the two figures beside each other tell what a backfill costs live work.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
schema:
  - name: visits
    properties:
      - { name: id, logicalType: integer, required: true, primaryKey: true }
      - { name: day, logicalType: date, required: true }
      - { name: amount, logicalType: integer }
"""
FILES = {
    "alluvium.yaml": "name: service\n",
    "datasets/bronze/visits.yaml": 'source: { files: landing/, glob: "*.csv", settle: 0s }\n',
    "datasets/silver/visits.yaml": "from: bronze.visits\ncontract: visits\nwrite: { keys: [id] }\n",
    "datasets/gold/days.sql": "/* window: { column: day, size: 1 day } */\n"
    "SELECT day, count(*) AS visits, sum(amount) AS amount FROM silver.visits GROUP BY day\n",
    "contracts/visits.odcs.yaml": CONTRACT,
}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the process is gone")


def adds_rows(entry):
    return any("add" in json.loads(line) for line in entry.read_text().splitlines())


def newest(log):
    return max((int(e.stem) for e in log.glob("*.json") if e.stem.isdigit()), default=-1)


def share(values, part):
    return sorted(values)[int((len(values) - 1) * part)]


def idle(name, pid, seconds):
    before = cpu_seconds(pid)
    time.sleep(seconds)
    used = (cpu_seconds(pid) - before) / seconds * 100
    print(f"{name}: {used:.2f} % CPU over {seconds} s, {memory_mib(pid):.1f} MiB resident")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--drops", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=30)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--backfill", action="store_true")
    asked = parser.parse_args()
    binary = asked.binary.resolve()
    with tempfile.TemporaryDirectory(prefix="alluvium-service-") as folder:
        root = pathlib.Path(folder)
        for path, text in FILES.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "landing").mkdir()
        commands = [["serve", "--listen", "127.0.0.1:0"]] + [["worker"]] * asked.workers
        running = [
            subprocess.Popen([binary, *c], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for c in commands
        ]
        try:
            time.sleep(3)
            for command, process in zip(commands, running):
                idle(f"{command[0]}, before any file", process.pid, asked.idle)
            if asked.backfill:
                arrive(root, "history", history())
                tell("with a year in the tables", drops(root, asked, 0), asked)
                stop, made = threading.Event(), []
                beside = threading.Thread(target=backfills, args=(binary, root, stop, made))
                beside.start()
                tell("beside a backfill", drops(root, asked, asked.drops), asked)
                stop.set()
                beside.join()
                print(f"backfills of 365 days meanwhile: {len(made)}, {sum(made) / max(len(made), 1):.1f} s each")
            else:
                tell("file to gold", drops(root, asked, 0), asked)
            time.sleep(3)
            for command, process in zip(commands, running):
                idle(f"{command[0]}, after the files", process.pid, asked.idle)
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(timeout=60)


def tell(what, took, asked):
    print(
        f"{what}, {asked.drops} files of {asked.rows} rows, {asked.workers} workers: "
        f"p50 {share(took, 0.5) * 1e3:.0f} ms, p99 {share(took, 0.99) * 1e3:.0f} ms, "
        f"most {max(took) * 1e3:.0f} ms"
    )


def history():
    days = [time.strftime("%Y-%m-%d", time.gmtime(1_672_531_200 + d * 86_400)) for d in range(365)]
    return (f"{1_000_000_000 + i},{days[i % 365]},{i % 100}\n" for i in range(1_000_000))


def backfills(binary, root, stop, made):
    asked = ["backfill", "gold.days", "--from", "2023-01-01", "--to", "2024-01-01", "--window", "1 day"]
    while not stop.is_set():
        start = time.monotonic()
        subprocess.run([binary, *asked], cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        made.append(time.monotonic() - start)
        subprocess.run([binary, "backfill", "gold.days", "--drop"], cwd=root, check=True, stdout=subprocess.DEVNULL)


def arrive(root, name, rows):
    """Seconds from the arrival of a file to gold's commit."""
    log = root / "lake/dev/gold/days/_delta_log"
    aside = root / f"next-{name}.csv"
    aside.write_text("id,day,amount\n" + "".join(rows))
    before = newest(log) if log.exists() else -1
    start = time.monotonic()
    aside.rename(root / f"landing/{name}.csv")
    # Its first version makes the table; rows come with a later one.
    while not log.exists() or not any(adds_rows(log / f"{v:020}.json") for v in range(before + 1, newest(log) + 1)):
        if time.monotonic() - start > 60:
            raise SystemExit("gold did not follow")
        time.sleep(0.001)
    return time.monotonic() - start


def drops(root, asked, first_file):
    took = []
    for n in range(first_file, first_file + asked.drops):
        first = n * asked.rows
        took.append(arrive(root, n, (f"{first + i},2024-01-{1 + n % 28:02},{i % 100}\n" for i in range(asked.rows))))
    return took


if __name__ == "__main__":
    main()
