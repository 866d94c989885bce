"""What the benchmarks keep between runs, in BENCH_HOME: virtual environments, input files and the generator's truth.

Called by run and validate. Installs and generates only what is missing.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOME = pathlib.Path(os.environ.get("BENCH_HOME") or pathlib.Path.home() / "alluvium-bench").resolve()
FILE_ROWS = 100_000
# One generated file cut into these many, so the manifest's truth after one file holds for all of them.
SMALL_FILES = 1_000


def say(text):
    print(text, file=sys.stderr, flush=True)


def python(name):
    """The interpreter of a virtual environment, built if it is not there."""
    folder, requirements = HOME / "venv" / name, HERE / "requirements" / f"{name}.txt"
    marker = folder / "complete"
    if not marker.exists() or marker.read_text() != requirements.read_text():
        say(f"installing {name}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(pip, check=True)
        marker.write_text(requirements.read_text())
    return folder / "bin/python"


def java():
    """Sees to a Java runtime: the one there is, or Debian's."""
    if shutil.which("java"):
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        sys.exit("pyspark_parquet needs Java 17 or later; install it, or leave this peer out")
    say("installing default-jre-headless")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "default-jre-headless"], check=True, stdout=subprocess.DEVNULL)


def input_files(fmt, count):
    """Paths of the first `count` files, and the manifest; generated if any is missing."""
    data = HOME / "data"
    files = [data / fmt / f"orders-{i:05d}.{fmt}" for i in range(count)]
    manifest = data / "manifest.json"
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    if str(count) not in known or not all(f.exists() for f in files):
        say(f"generating {count} files")
        command = [python("gen"), HERE / "gen_orders.py", "--files", str(count), "--formats", fmt, "--out", data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        # The generator tells only of the files it wrote; the longer runs of another format stay true.
        known |= json.loads(manifest.read_text())
        manifest.write_text(json.dumps(known, indent=1))
    return files, known


def small_files(file):
    """Paths of the pieces of one NDJSON file, of equal size and as old as the file; cut if any is missing."""
    folder = file.parent.parent / "small"
    files = [folder / f"orders-{i:05d}{file.suffix}" for i in range(SMALL_FILES)]
    if not all(f.exists() for f in files):
        folder.mkdir(exist_ok=True)
        lines = file.read_bytes().splitlines(keepends=True)
        size, age = len(lines) // SMALL_FILES, file.stat().st_mtime_ns
        for i, piece in enumerate(files):
            piece.write_bytes(b"".join(lines[i * size : (i + 1) * size]))
            # In order, a microsecond apart: dlt goes on from the youngest file it has seen.
            os.utime(piece, ns=(age + i * 1_000, age + i * 1_000))
    return files
