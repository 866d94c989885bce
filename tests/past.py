"""Gives a project's state a past: past.py STATE copies each step that refined rows to each of the sixty days before, with about
10,000 rows, and 50 on the last of them."""

import random
import sqlite3
import sys

DAY_MICROS = 86_400_000_000


def main(path):
    state = sqlite3.connect(path)
    state.row_factory = sqlite3.Row
    chance = random.Random(1)
    steps = [dict(row) for row in state.execute("SELECT * FROM steps WHERE kind = 'refine'")]
    number = state.execute("SELECT max(seq) FROM steps").fetchone()[0]
    for step in steps:
        for day in range(1, 61):
            number += 1
            rows = 50 if day == 1 else 10_000 + chance.randrange(-500, 500)
            step |= {"seq": number, "key": f"past-{number}", "received": rows, "loaded": rows, "quarantined": 0, "duplicates": 0}
            step["finished_at"] -= DAY_MICROS
            columns, places = ", ".join(step), ", ".join("?" * len(step))
            state.execute(f"INSERT INTO steps ({columns}) VALUES ({places})", list(step.values()))
    state.commit()


main(sys.argv[1])
