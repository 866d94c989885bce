"""Gives a project's state a past: past.py STATE copies each step that refined rows, or made gold, to each of the sixty days before, with about
10,000 rows, and 50 on the last of them; and what it measured, as it was, and a fifth of that on the last of them."""

import random
import sqlite3
import sys

DAY_MICROS = 86_400_000_000


def main(path):
    state = sqlite3.connect(path)
    state.row_factory = sqlite3.Row
    chance = random.Random(1)
    steps = [dict(row) for row in state.execute("SELECT * FROM steps WHERE kind IN ('refine', 'curate')")]
    number = state.execute("SELECT max(seq) FROM steps").fetchone()[0]
    figures = {step["key"]: measured(state, step["key"]) for step in steps}
    for step in steps:
        own = figures[step["key"]]
        for day in range(1, 61):
            number += 1
            rows = 50 if day == 1 else 10_000 + chance.randrange(-500, 500)
            step |= {"seq": number, "key": f"past-{number}", "received": rows, "loaded": rows, "quarantined": 0, "duplicates": 0}
            step["finished_at"] -= DAY_MICROS
            insert(state, "steps", step)
            for row in own:
                figure = row["figure"] * (0.2 if day == 1 else chance.uniform(0.97, 1.03))
                insert(state, "quality", row | {"step": step["key"], "figure": figure})
    state.commit()


def measured(state, step):
    return [dict(row) for row in state.execute("SELECT * FROM quality WHERE figure IS NOT NULL AND step = ?", [step])]


def insert(state, table, row):
    columns, places = ", ".join(row), ", ".join("?" * len(row))
    state.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(row.values()))


main(sys.argv[1])
