#!/usr/bin/env python3
"""Computes expected.json from the landing files with DuckDB, an engine that has nothing to do with Alluvium.

    pip install duckdb
    python3 expected.py            # writes expected.json
    python3 expected.py --check    # exit code 1 if expected.json says something else

Names of rules are those of the contracts. Counts of a rule are over all rows checked, those of other rules included.
"""
import json
import pathlib
import sys

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
TABLES = ("airlines", "airports", "planes", "weather", "flights")
KEYS = {
    "airlines": "carrier",
    "airports": "faa",
    "planes": "tailnum",
    "weather": "origin, time_hour",
    "flights": "year, month, day, carrier, flight, origin",
}
RULES = {
    "reference:dest": "dest NOT IN (SELECT faa FROM airports)",
    "reference:origin": "origin NOT IN (SELECT faa FROM airports)",
    "reference:carrier": "carrier NOT IN (SELECT carrier FROM airlines)",
    "reference:tailnum": "tailnum NOT IN (SELECT tailnum FROM planes)",
    "clock_times": "NOT (dep_time % 100 < 60 AND arr_time % 100 < 60)",
    "schedule_agrees": "hour * 100 + minute <> sched_dep_time",
    "arrived_after_departure": "dep_time IS NULL AND arr_time IS NOT NULL",
    "plausible_delay": "dep_delay NOT BETWEEN -30 AND 600",
    "plausible_speed": "distance * 60 > 650 * air_time",
    "plausible_distance": "distance < 50",
}
VISIBILITY = """CASE WHEN w.visib IS NULL THEN 'no report' WHEN w.visib < 1 THEN 'under 1 mile'
    WHEN w.visib < 3 THEN '1 to 3 miles' WHEN w.visib < 10 THEN '3 to 10 miles' ELSE '10 miles' END"""


def rows(db, sql):
    cursor = db.execute(sql)
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def one(db, sql):
    return db.execute(sql).fetchone()[0]


def load(db):
    """The raw files as typed tables; NA is null, and 2400 is midnight."""
    for table in TABLES:
        types = "{'time_hour': 'TIMESTAMP'}" if table in ("flights", "weather") else "{}"
        files = HERE / "landing" / table / "*.csv.gz"
        option = f", types = {types}" if types != "{}" else ""
        db.execute(f"CREATE TABLE {table} AS SELECT * FROM read_csv('{files}', nullstr = ['NA', ''], sample_size = -1{option})")
    db.execute("CREATE TABLE as_received AS SELECT * FROM flights")
    db.execute("ALTER TABLE flights ADD COLUMN flight_date DATE")
    db.execute("UPDATE flights SET flight_date = make_date(year, month, day)")
    for column in ("dep_time", "arr_time"):
        db.execute(f"UPDATE flights SET {column} = 0 WHERE {column} = 2400")


def gold(db, silver):
    """What the four gold tables hold, over the silver flights in the table `silver`."""
    measures = "count(*) AS flights, count(*) - count(dep_time) AS cancelled, avg(dep_delay) AS mean_delay"
    db.execute(f"CREATE OR REPLACE TABLE daily AS SELECT origin, flight_date, {measures} FROM {silver} GROUP BY ALL")
    db.execute(f"CREATE OR REPLACE TABLE hourly AS SELECT origin, time_hour, {measures} FROM {silver} GROUP BY ALL")
    totals = "count(*) AS rows, sum(flights)::BIGINT AS flights, sum(cancelled)::BIGINT AS cancelled, \
        round(sum(mean_delay), 6) AS sum_of_mean_delay, count(*) - count(mean_delay) AS mean_delay_null"
    return {
        "daily_delays": {
            **rows(db, f"SELECT count(DISTINCT flight_date) AS windows, {totals} FROM daily")[0],
            "samples": rows(db, """SELECT origin, flight_date::VARCHAR AS flight_date, flights, cancelled, mean_delay
                FROM daily WHERE flight_date IN ('2013-01-01', '2013-02-09', '2013-07-10', '2013-12-31')
                ORDER BY flight_date, origin"""),
        },
        "hourly_delays": {
            **rows(db, f"SELECT count(DISTINCT time_hour::DATE) AS windows, {totals} FROM hourly")[0],
            "samples": rows(db, """SELECT origin, strftime(time_hour, '%Y-%m-%dT%H:%M:%SZ') AS time_hour, flights, cancelled,
                mean_delay FROM hourly WHERE time_hour IN ('2013-03-08 14:00:00', '2014-01-01 04:00:00')
                ORDER BY time_hour, origin"""),
        },
        "airline_punctuality": rows(db, f"""SELECT carrier, a.name AS airline, count(*) AS flights,
            count(*) - count(dep_time) AS cancelled, avg(arr_delay) AS mean_arrival_delay,
            count(*) FILTER (arr_delay >= 15) AS late_arrivals
            FROM {silver} JOIN airlines a USING (carrier) GROUP BY ALL ORDER BY carrier"""),
        "weather_delays": rows(db, f"""SELECT {VISIBILITY} AS visibility, count(*) AS flights,
            count(*) - count(f.dep_time) AS cancelled, avg(f.dep_delay) AS mean_delay
            FROM {silver} f LEFT JOIN clean_weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
            GROUP BY ALL ORDER BY visibility"""),
    }


def silver_sums(db, silver):
    return rows(db, f"""SELECT count(*) AS rows, sum(distance)::BIGINT AS distance, sum(air_time)::BIGINT AS air_time,
        sum(dep_delay)::BIGINT AS dep_delay, sum(arr_delay)::BIGINT AS arr_delay, count(*) - count(dep_time) AS dep_time_null,
        count(*) - count(arr_time) AS arr_time_null, count(*) - count(tailnum) AS tailnum_null,
        count(*) FILTER (dep_time = 0) AS dep_time_midnight, count(*) FILTER (arr_time = 0) AS arr_time_midnight,
        count(DISTINCT carrier) AS carriers, min(flight_date)::VARCHAR AS first_date, max(flight_date)::VARCHAR AS last_date
        FROM {silver}""")[0]


def compute():
    db = duckdb.connect()
    load(db)
    db.execute("CREATE TABLE clean_weather AS SELECT * FROM weather WHERE wind_speed IS NULL OR (wind_speed >= 0 AND wind_speed < 250)")
    db.execute(f"CREATE TABLE clean_flights AS SELECT * FROM flights WHERE NOT ({RULES['reference:dest']})")
    counts = {t: one(db, f"SELECT count(*) FROM {t}") for t in TABLES}
    for table, keys in KEYS.items():
        assert one(db, f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {table})") == counts[table], table
    warnings = {name: one(db, f"SELECT count(*) FROM flights WHERE {rule}") for name, rule in RULES.items()}
    windows = lambda column: one(db, f"SELECT count(DISTINCT {column}::DATE) FROM flights WHERE {RULES['reference:dest']}")
    more = f"read_csv('{HERE / 'later/airports-more.csv.gz'}')"
    return {
        "bronze": {t: {"files": len(list((HERE / "landing" / t).iterdir())), "rows": counts[t]} for t in TABLES},
        "rules": {"flights": warnings, "weather": {"wind_below_a_tornado": counts["weather"] - one(db, "SELECT count(*) FROM clean_weather")}},
        "first_run": {
            "silver": {
                **{t: counts[t] for t in ("airlines", "airports", "planes")},
                "weather": one(db, "SELECT count(*) FROM clean_weather"),
                "flights": one(db, "SELECT count(*) FROM clean_flights"),
            },
            "quarantine": {
                "weather": counts["weather"] - one(db, "SELECT count(*) FROM clean_weather"),
                "flights": counts["flights"] - one(db, "SELECT count(*) FROM clean_flights"),
                "flights_by_dest": {r["dest"]: r["n"] for r in rows(db, f"SELECT dest, count(*) AS n FROM flights WHERE {RULES['reference:dest']} GROUP BY dest ORDER BY dest")},
            },
            "silver_flights": silver_sums(db, "clean_flights"),
            "gold": gold(db, "clean_flights"),
        },
        "after_replay": {
            "silver": {"airports": counts["airports"] + one(db, f"SELECT count(*) FROM {more}"), "flights": counts["flights"]},
            "quarantine": {"flights": one(db, f"SELECT count(*) FROM flights WHERE {RULES['reference:dest']} AND dest NOT IN (SELECT faa FROM {more})")},
            "windows_touched": {"daily_delays": windows("flight_date"), "hourly_delays": windows("time_hour")},
            "silver_flights": silver_sums(db, "flights"),
            "gold": gold(db, "flights"),
        },
    }


def main():
    text = json.dumps(compute(), indent=1) + "\n"
    path = HERE / "expected.json"
    if "--check" in sys.argv[1:]:
        sys.exit(0 if json.loads(path.read_text()) == json.loads(text) else "expected.json differs from what DuckDB finds")
    path.write_text(text)
    print(f"wrote {path.name}")


main()
