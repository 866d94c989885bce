"""Measurements as Markdown tables. Called by run and validate; does no measuring."""

import statistics

from engines import US
from home import SMALL_FILES

KINDS = {
    "bulk": "bulk load",
    "rerun": "run again",
    "incr": "one more file",
    "one": "the events as one file",
    "many": f"the events as {SMALL_FILES:,} files",
}
MEASURES = {"wall_s": "wall s", "cpu_s": "CPU s", "rss_mib": "peak MiB"}


def grid(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(c) for c in line) + " |" for line in lines]


def medians(results, size, kind):
    """By engine: the median of each measure over the rounds that ended well, and how many those were."""
    found = {}
    for engine in dict.fromkeys(r["engine"] for r in results):
        rounds = [r for r in results if (r["engine"], r["size"], r["kind"]) == (engine, size, kind) and "wall_s" in r]
        if rounds:
            found[engine] = {m: statistics.median(r[m] for r in rounds) for m in MEASURES} | {"rounds": len(rounds)}
    return found


def verdict(results, engine, size, kind):
    wrong = {w for r in results if (r["engine"], r["size"], r["kind"]) == (engine, size, kind) for w in r["wrong"]}
    return "; ".join(sorted(wrong)) or "as the manifest"


def cell(median, engine, measure):
    """A median, with ours divided by it in brackets, so less than 1 is better for us; nothing if no round ended well."""
    if engine not in median:
        return "-"
    value = median[engine][measure]
    text = f"{value:.0f}" if measure == "rss_mib" else f"{value:.2f}"
    return text if engine == US or US not in median or not value else f"{text} ({median[US][measure] / value:.2f})"


def by_size(results, sizes, kinds):
    """One table for each size and kind."""
    lines = []
    for size in sizes:
        for kind in kinds:
            engines = dict.fromkeys(r["engine"] for r in results if (r["size"], r["kind"]) == (size, kind))
            if not engines:
                continue
            median = medians(results, size, kind)
            rounds = max((m["rounds"] for m in median.values()), default=0)
            lines.append(f"\n**{size / 10:g} M events, {KINDS[kind]}** (medians of {rounds}; in brackets: ours / theirs)\n")
            rows = [[e, *(cell(median, e, m) for m in MEASURES), verdict(results, e, size, kind)] for e in engines]
            lines += grid(["engine", *MEASURES.values(), "result"], rows)
    return lines


def curve(results, sizes):
    """How one more file costs more as the tables grow: wall seconds by size, and the last size's time over the first's."""
    if len(sizes) < 2:
        return []
    medians_by_size = {size: medians(results, size, "incr") for size in sizes}
    engines = [e for e in medians_by_size[sizes[0]] if all(e in m for m in medians_by_size.values())]
    if not engines:
        return []
    lines = ["\n**One more file, by the events already there**: wall s / CPU s / peak MiB\n"]
    rows = []
    for engine in engines:
        steps = [medians_by_size[size][engine] for size in sizes]
        cells = [f"{m['wall_s']:.2f} / {m['cpu_s']:.2f} / {m['rss_mib']:.0f}" for m in steps]
        rows.append([engine, *cells, f"{steps[-1]['wall_s'] / steps[0]['wall_s']:.1f}"])
    last = f"wall, {sizes[-1] / 10:g} M / {sizes[0] / 10:g} M"
    return lines + grid(["engine", *(f"{size / 10:g} M" for size in sizes), last], rows)


def many(results):
    """What a file costs beside its events: the same events as one file and as many."""
    one, pieces = medians(results, 1, "one"), medians(results, 1, "many")
    rows = []
    for engine in dict.fromkeys(r["engine"] for r in results if r["kind"] == "many"):
        figures = ["-"] * 6
        if engine in one and engine in pieces:
            m, whole = pieces[engine], one[engine]["wall_s"]
            each, more = m["wall_s"] / SMALL_FILES, (m["wall_s"] - whole) / (SMALL_FILES - 1) * 1000
            measures = (cell(pieces, engine, measure) for measure in MEASURES)
            figures = [f"{whole:.2f}", *measures, f"{each:.4f}", f"{more:.2f}"]
        files = {r["files"] for r in results if (r["engine"], r["kind"]) == (engine, "many") and r.get("files")}
        rows.append([engine, *figures, ", ".join(map(str, sorted(files))) or "-", verdict(results, engine, 1, "many")])
    if not rows:
        return []
    header = ["engine", "as one file, wall s", *MEASURES.values(), "s/file", "more than as one file, ms/file"]
    title = f"\n**{SMALL_FILES:,} files of 100 events in one run** (medians; in brackets: ours / theirs)\n"
    return [title, *grid([*header, "data files in the tables", "result"], rows)]
