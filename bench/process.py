"""Runs one command and measures it from outside: all its processes, without their help.

Called by run and validate. Never leaves a process behind: what a command leaves running is waited for, then killed.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
# How long a process may outlive the one that started it; Spark's JVM takes about a second.
GRACE_S = 15


class Failed(Exception):
    """The command ended badly or took too long; the text has its last words."""


def prepare():
    """Makes us the parent of processes whose own parent ended first, and a termination the same as an interruption."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def left_behind():
    """What adopted processes used; those that do not end by themselves are killed."""
    found, deadline = [], time.monotonic() + GRACE_S
    while True:
        try:
            pid, _, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid:
            found.append(used)
            continue
        if time.monotonic() > deadline:
            children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children")
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGKILL)
        time.sleep(0.01)


def measured(command, env, log, limit_s):
    """Wall and CPU seconds of a command and all its processes, and the peak memory in MiB of the largest; or Failed.

    The wall time ends with the command itself; CPU time and memory include what it leaves running.
    """
    late = threading.Event()

    def stop():
        late.set()
        os.killpg(child.pid, signal.SIGKILL)

    with open(log, "wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(c) for c in command],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=env,
            cwd=log.parent,
            start_new_session=True,
        )
        timer = threading.Timer(limit_s, stop)
        timer.start()
        try:
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            left_behind()
            raise
        finally:
            timer.cancel()
        wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    everyone = [used, *left_behind()]
    if late.is_set():
        raise Failed(f"took more than {limit_s} s")
    if child.returncode != 0:
        raise Failed(f"ended with {child.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    cpu = sum(u.ru_utime + u.ru_stime for u in everyone)
    peak = max(u.ru_maxrss for u in everyone)
    return {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "rss_mib": peak // 1024}


def fsync_per_second(folder):
    """4 KiB appends, each made durable: what a commit costs at least."""
    n, block = 500, os.urandom(4096)
    with open(folder / "probe", "wb") as f:
        start = time.perf_counter()
        for _ in range(n):
            f.write(block)
            f.flush()
            os.fsync(f.fileno())
        return round(n / (time.perf_counter() - start))
