"""What a call costs: mxform against the peers that are installed, on work so small that only overhead counts.

    python bench/overhead.py [--rounds 15] [--python NAME=PATH ...] [--json FILE]

Each peer runs in a process of its own (`--python mlx=/path/to/python` for one that lives in another
environment). The parent asks them in turn, round after round, so that noise falls on all alike; a figure is the
median over rounds of the mean time of a call. Prints a table with the ratio of the best peer (without NumPy,
which has no graph to build) to mxform: above 1, mxform is ahead.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

PEERS = ["mxform", "mlx", "jax", "torch", "numpy"]
WORKER = Path(__file__).with_name("overhead_worker.py")


class Worker:
    """A peer's process; answers `time(row)` with seconds per call, or None if it has no such row."""

    def __init__(self, peer, python):
        self.peer = peer
        self.process = subprocess.Popen(
            [python, str(WORKER), peer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hello = self.process.stdout.readline()
        self.info = json.loads(hello) if hello else None

    def time(self, row):
        self.process.stdin.write(row + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else None

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(workers, rows, rounds):
    samples = {row: {w.peer: [] for w in workers} for row in rows}
    for _ in range(rounds):
        for row in rows:
            for w in workers:
                seconds = w.time(row)
                if seconds is not None:
                    samples[row][w.peer].append(seconds)
    return {r: {p: statistics.median(s) for p, s in by.items() if s} for r, by in samples.items()}


def table(medians, peers):
    lines = ["| row (µs per call) | " + " | ".join(peers) + " | best peer / mxform |"]
    lines.append("|" + "---|" * (len(peers) + 2))
    for row, by in medians.items():
        cells = [f"{by[p] * 1e6:.2f}" if p in by else "–" for p in peers]
        rivals = [t for p, t in by.items() if p not in ("mxform", "numpy")]
        ratio = f"{min(rivals) / by['mxform']:.2f}" if rivals and "mxform" in by else "–"
        lines.append(f"| {row} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter of a peer")
    parser.add_argument("--json", type=Path, help="also write the medians here")
    args = parser.parse_args()
    pythons = dict(p.split("=", 1) for p in args.python)
    workers = [Worker(p, pythons.get(p, sys.executable)) for p in PEERS]
    missing = [w.peer for w in workers if w.info is None]
    workers = [w for w in workers if w.info is not None]
    if "mxform" in missing:
        sys.exit("mxform is not installed in this environment")
    rows = workers[0].info["rows"]
    medians = measure(workers, rows, args.rounds)
    for w in workers:
        w.close()
    print(table(medians, [w.peer for w in workers]))
    print("versions:", ", ".join(f"{w.peer} {w.info['version']}" for w in workers))
    if missing:
        print("not installed:", ", ".join(missing))
    if args.json:
        args.json.write_text(json.dumps({"seconds": medians, "versions": {w.peer: w.info["version"] for w in workers}}, indent=1))


if __name__ == "__main__":
    main()
