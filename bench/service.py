#!/usr/bin/env python3
"""A service while nothing arrives, and from a file's arrival to gold.

bench/service.py BINARY [--drops 100] [--rows 1000] [--idle 30] [--workers 0] [--backfill | --events N]

Begins `BINARY serve` over a project of its own, waits until it rests, and reads its CPU time and memory over some idle
seconds. Then files of so many rows are moved into the landing folder, one after the other, and the time until gold's commit
is there is taken from the table's log. The source settles in 0 s: the service waits 20 ms for more files.

With --backfill a year of a million rows lies in the tables, and while the files arrive that year of gold is made anew by day, by a command
that the service helps, compared and dropped, again and again; so that the two figures beside each other tell what a backfill costs live work.

With --events N no files arrive. So many CloudEvents are pushed over connections that stay open: one a request over one connection, one a
request over 64, and 100 a request over 8; each sends the next request when the last one is answered. Told are the events that were
acknowledged a second, the time of a request, how often the service asked to wait (429), and the most memory that it had. The syncs a
second that the disk does are measured before, because that is what one connection waits for.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
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

PUSHED = {"datasets/bronze/pushed.yaml": "source: { http: { types: [bench.visit] } }\n"}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, what="VmRSS:"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
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
    parser.add_argument("--events", type=int, default=0)
    asked = parser.parse_args()
    port = free_port()
    binary = asked.binary.resolve()
    with tempfile.TemporaryDirectory(prefix="alluvium-service-") as folder:
        root = pathlib.Path(folder)
        for path, text in (FILES | (PUSHED if asked.events else {})).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "landing").mkdir()
        commands = [["serve", "--listen", f"127.0.0.1:{port}"]] + [["worker"]] * asked.workers
        running = [
            subprocess.Popen([binary, *c], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for c in commands
        ]
        try:
            time.sleep(3)
            for command, process in zip(commands, running):
                idle(f"{command[0]}, before any file", process.pid, asked.idle)
            if asked.events:
                print(f"disk: {syncs(root):.0f} syncs a second, one after the other")
                for connections, each in [(1, 1), (64, 1), (8, 100)]:
                    pushed(port, running[0].pid, asked.events, connections, each)
            elif asked.backfill:
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


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def syncs(root, seconds=2):
    with open(root / "syncs", "wb", buffering=0) as file:
        start, count = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - start)


def event(number):
    return (
        f'{{"specversion":"1.0","id":"{number}","source":"/bench","type":"bench.visit","time":"2024-01-01T00:00:00Z",'
        f'"data":{{"id":{number},"day":"2024-01-{1 + number % 28:02}","amount":{number % 100}}}}}'
    )


def answer(connection):
    """Status and the seconds of Retry-After, with the body read to its end."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            raise SystemExit("the service closed a connection")
        got += more
    head, body = got.split(b"\r\n\r\n", 1)
    lines = head.decode().lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    missing = int(fields["content-length"]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(missing))
    return int(lines[0].split()[1]), int(fields.get("retry-after", 0))


def push_over_one(port, first, count, each):
    """The seconds of each request that was taken, and how often the service asked to wait."""
    took, waits = [], 0
    kind = "application/cloudevents+json" if each == 1 else "application/cloudevents-batch+json"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(first, first + count, each):
            events = [event(n) for n in range(start, min(start + each, first + count))]
            body = events[0] if each == 1 else "[" + ",".join(events) + "]"
            head = f"POST /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            request = (head + body).encode()
            while True:
                began = time.monotonic()
                connection.sendall(request)
                status, after = answer(connection)
                if status == 202:
                    took.append(time.monotonic() - began)
                    break
                if status != 429:
                    raise SystemExit(f"the service answered {status}")
                waits += 1
                time.sleep(after)
    return took, waits


def push_over_many(port, parts, each):
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as threads:
        return list(threads.map(lambda part: push_over_one(port, *part, each), parts))


def pushed(port, pid, events, connections, each):
    # Ids that no other case sends.
    base = connections * 1_000_000_000 + each * 100_000_000
    share_of_one = max(events // connections, each)
    parts = [(base + n * share_of_one, share_of_one) for n in range(connections)]
    # One interpreter would be the limit, and not the service.
    senders = min(4, connections)
    # From here on the most memory is counted anew.
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    start = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(senders) as processes:
        asked = [processes.submit(push_over_many, port, parts[n::senders], each) for n in range(senders)]
        done = [one for a in asked for one in a.result()]
    seconds = time.monotonic() - start
    took = [t for one, _ in done for t in one]
    print(
        f"{share_of_one * connections} events, {each} a request over {connections} connections: "
        f"{share_of_one * connections / seconds:.0f} events/s acknowledged, a request p50 {share(took, 0.5) * 1e3:.1f} ms, "
        f"p99 {share(took, 0.99) * 1e3:.1f} ms, most {max(took) * 1e3:.0f} ms, {sum(w for _, w in done)} times told to wait; "
        f"most memory {memory_mib(pid, 'VmHWM:'):.0f} MiB"
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
