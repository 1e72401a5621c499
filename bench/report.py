"""Tables and charts from a result (the dictionary that `Table.result` returns and `--json` writes).

    python -m bench.report RUN.json [EARLIER.json ...] [--docs docs/performance.md] [--chart FILE]

prints the first run's table with the ratios of the others beside it; `--docs` puts it between the marks in that file.
"""

import argparse
import json
from pathlib import Path

from bench.rows import PEERS

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

UNITS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def amount(value, unit):
    if unit == "s":
        for scale, name in UNITS:
            if value >= scale or name == "ns":
                return f"{three(value / scale)} {name}"
    if unit == "bytes":
        return f"{three(value / 1e6)} MB"
    return three(value)


def three(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


CACHED = 20e6  # a row that moves no more than this is served by the last cache


def peak_flops(result):
    """The speed of float32 products: NumPy's, or that of the fastest large product of the table."""
    best = result["machine"]["flops_per_second"]
    for row in result["rows"]:
        if row["name"].startswith("matmul 1024") and row["peers"]:
            best = max(best, row["flops"] / min(f["min"] for f in row["peers"].values()))
    return best


def limit(row, result):
    """The least seconds the row can take on this machine, and what bounds it; None if not known."""
    machine, bounds = result["machine"], []
    if not machine:
        return None
    if row.get("flops"):
        bounds.append((row["flops"] / peak_flops(result) / (2 if row["bf16"] else 1), "arithmetic"))
    if row.get("bytes"):
        speed = machine["cached_bytes_per_second" if row["bytes"] < CACHED else "read_bytes_per_second"]
        bounds.append((row["bytes"] / max(speed, machine["copy_bytes_per_second"]), "memory"))
    return max(bounds) if bounds else None


def cell(row, peer):
    figure = row["peers"].get(peer)
    if figure is None:
        return "✗" if peer in row["errors"] else "–"
    by = row.get("by", "median")
    text = ("~" if by == "min" else "") + amount(figure[by], row["unit"])
    return f"**{text}**" if peer == row.get("best_peer") else text


def verdict(row):
    if "ratio" not in row:
        return ["–", "–", "–"]
    earlier = f" ({', '.join(map(three, row['earlier']))})" if "earlier" in row else ""
    return [f"{three(row['ratio'])}{earlier}", f"{row['bar']:g}", "yes" if row["pass"] else "no"]


def combine(results):
    """The first result, each row with the ratios of all; rows only in later ones are appended."""
    first = {row["row"]: row for row in results[0]["rows"]}
    for result in results[1:]:
        for row in result["rows"]:
            mine = first.setdefault(row["row"], row)
            if mine is not row and "ratio" in row:
                mine.setdefault("earlier", []).append(row["ratio"])
    order = sorted(first.values(), key=lambda row: (int(row["row"].rstrip("abcdefgh")), row["row"]))
    return results[0] | {"rows": order}


def share_quiet(row):
    samples = sum(f["samples"] for f in row["peers"].values())
    return f"{sum(f['quiet'] * f['samples'] for f in row['peers'].values()) / samples:.0%}" if samples else "–"


def markdown(result):
    peers = [p for p in PEERS if p in result["versions"]]
    head = ["row", *peers, "best peer / mxform", "bar", "reached", "quiet", "limit / mxform"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in result["rows"]:
        bound = limit(row, result)
        own = row["peers"].get("mxform")
        near = f"{bound[0] / own[row.get('by', 'median')]:.0%} ({bound[1]})" if bound and own else "–"
        cells = [f"{row['row']} {row['name']}", *[cell(row, p) for p in peers], *verdict(row), share_quiet(row), near]
        lines.append("| " + " | ".join(cells) + " |")
    rated = [row for row in result["rows"] if "ratio" in row]
    lines += ["", f"{sum(row['pass'] for row in rated)} of {len(rated)} rows reach their bar."]
    lines += ["", about(result)]
    return "\n".join(lines) + "\n"


def about(result):
    m = result["machine"]
    versions = ", ".join(f"{p} {v}" for p, v in result["versions"].items() if p != "inductor")
    if not m:
        return f"Versions: {versions}."
    return (
        f"{m['cpu']}, {m['cpus']} CPUs, {m['system']}, Python {m['python']}, {m['date']}. {versions}. Measured in the same run: "
        f"copy {m['copy_bytes_per_second'] / 1e9:.0f} GB/s, read {m['read_bytes_per_second'] / 1e9:.0f} GB/s, "
        f"copy of 4 MB {m['cached_bytes_per_second'] / 1e9:.0f} GB/s, float32 products {peak_flops(result) / 1e9:.0f} GFLOP/s."
    )


def chart(result, path):
    """A horizontal bar for each row: the best peer's time divided by mxform's, on a logarithmic axis."""
    try:
        import matplotlib
    except ImportError:
        print("no chart: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in result["rows"] if "ratio" in row][::-1]
    figure, axes = pyplot.subplots(figsize=(9, 0.8 + 0.26 * len(rows)))
    colors = ["#2a7f62" if row["pass"] else "#c44536" for row in rows]
    axes.barh(range(len(rows)), [row["ratio"] - 1 for row in rows], left=1, color=colors, height=0.7)
    axes.plot([row["bar"] for row in rows], range(len(rows)), "k|", markersize=8, label="bar")
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row['row']} {row['name']}" for row in rows], fontsize=8)
    for i, row in enumerate(rows):
        axes.text(max(row["ratio"], row["bar"], 1) * 1.07, i, f"{three(row['ratio'])} ({row['best_peer']})", va="center", fontsize=7)
    axes.set_xlabel("best peer's time / mxform's time (above 1, mxform is faster)")
    axes.set_xlim(right=axes.get_xlim()[1] * 2)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def insert(path, text):
    """Put text between the marks of a Markdown file."""
    before, rest = path.read_text().split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--chart", type=Path)
    args = parser.parse_args(argv)
    result = combine([json.loads(path.read_text()) for path in args.runs])
    text = markdown(result)
    print(text, end="")
    if args.docs:
        insert(args.docs, text)
    if args.chart:
        chart(result, args.chart)


if __name__ == "__main__":
    main()
