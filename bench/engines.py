"""What is measured: Alluvium and its peers, each with a working folder of its own.

Called by run and validate. An engine is delivered files, names the command that brings its tables up to date, and tells where they are.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from home import HERE, python

ROOT = HERE.parent
US = "alluvium"
# Script in peers/ to virtual environment in requirements/.
PEERS = {
    "duckdb_native": "duckdb",
    "duckdb_delta": "duckdb",
    "datafusion_delta": "datafusion",
    "sail_delta": "sail",
    "polars_delta": "polars",
    "dlt_dbt": "dlt_dbt",
    "pyspark_parquet": "pyspark",
}
NEEDS_JAVA = {"pyspark_parquet"}
# The others read NDJSON only.
ANY_FORMAT = {"duckdb_native", "polars_delta"}
GROUPS = {
    "none": [],
    "fast": ["duckdb_native", "duckdb_delta", "datafusion_delta", "polars_delta"],
    # Spark takes longer than all the others together.
    "default": [p for p in PEERS if p != "pyspark_parquet"],
    "all": list(PEERS),
}


def binary_arguments(ap):
    ap.add_argument("--binary", type=pathlib.Path, help="the alluvium to measure; default: what cargo builds")
    ap.add_argument("--no-build", action="store_true")


def build(args):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    if not args.no_build and not args.binary:
        subprocess.run(["cargo", "build", "--release", "-p", "alluvium"], cwd=ROOT, check=True)
    binary = (args.binary or target / "release" / US).resolve()
    if not binary.exists():
        sys.exit(f"there is no {binary}")
    return binary


class Alluvium:
    """The project examples/orders, without its sample; input arrives as hard links."""

    def __init__(self, work, files, binary):
        self.work, self.files, self.binary, self.delivered = work, files, binary, 0
        keep = shutil.ignore_patterns("landing", "lake", ".alluvium")
        shutil.copytree(ROOT / "examples/orders", work, ignore=keep, dirs_exist_ok=True)
        (work / "landing/orders").mkdir(parents=True)

    def deliver(self, count):
        for file in self.files[self.delivered : count]:
            place = self.work / "landing/orders" / file.name
            try:
                os.link(file, place)
            except OSError:
                shutil.copyfile(file, place)
        self.delivered = count

    def command(self, _count):
        return [self.binary, "run", self.work]

    def tables(self):
        dev = self.work / "lake/dev"
        quarantine = [p.parent for p in sorted(dev.glob("quarantine/**/_delta_log"))]
        named = {"bronze": "bronze/orders", "silver": "silver/orders", "revenue": "gold/daily_revenue", "top": "gold/top_customers"}
        return {name: str(dev / path) for name, path in named.items()} | {"quarantine": [str(q) for q in quarantine]}


class Peer:
    """A script of peers/; it reads the input where it is."""

    def __init__(self, name, work):
        self.name, self.work, self.python = name, work, python(PEERS[name])

    def deliver(self, _count):
        pass

    def command(self, count):
        return [self.python, HERE / "peers" / f"{self.name}.py", self.work, count]

    def tables(self):
        named = {t: t for t in ("bronze", "quarantine", "silver")} | {"revenue": "gold_revenue", "top": "gold_top"}
        if self.name == "dlt_dbt":
            named["bronze"] = "raw.orders"
        if self.name in ("duckdb_native", "dlt_dbt"):
            return {"database": str(self.work / "db.duckdb")} | named
        if self.name == "pyspark_parquet":
            named["silver"] = (self.work / "silver.current").read_text()
        return {name: str(self.work / path) for name, path in named.items()}


def engine(name, work, files, binary):
    """A new engine in the folder `work`, which is made."""
    work.mkdir()
    return Alluvium(work, files, binary) if name == US else Peer(name, work)
