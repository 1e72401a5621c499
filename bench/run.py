"""The benchmark: mxform against MLX, JAX, PyTorch (eager and inductor) and NumPy.

    python -m bench [--rows PATTERN] [--rounds N] [--python NAME=PATH ...] [--json FILE] [--out FILE]

Each peer runs in a process of its own. The results of a row are compared first; then the parent asks the peers in
turn, round after round over all rows, so that noise falls on all alike. A figure is the median of the samples during
which nothing else used the machine; where fewer than three were quiet it is the minimum, marked with ~. `--python
peers=PATH` names the environment of all peers but mxform. Rows are in rows_*.py, tables and charts in report.py.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `python bench/run.py`
    sys.path.insert(0, str(ROOT))

from bench import machine, measures, report
from bench.rows import PEERS, select
from bench.samples import SLOW, Table

# Inductor's own pool of compiling processes would only keep the machine busy.
ENVIRONMENT = dict(os.environ) | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}


class Process:
    """A peer's process, started again if it dies. `ask` returns its answer, or an error."""

    def __init__(self, peer, python):
        self.peer, self.python = peer, python
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.python, "-m", "bench.worker", self.peer], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=ENVIRONMENT,
        )
        hello = self.process.stdout.readline()
        self.version = json.loads(hello)["version"] if hello else None

    def ask(self, do, row, **more):
        try:
            self.process.stdin.write(json.dumps({"do": do, "row": row, **more}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        self.process.wait()
        code = self.process.returncode
        self.start()
        return {"error": f"the process ended with code {code}"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prepare(rows, processes, table, say):
    def go(process):
        for row in rows:
            answer = process.ask("prepare", row.number)
            table.prepared(row, process.peer, answer)
            if "error" in answer:
                say(f"{row.title}: {process.peer}: {answer['error']}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(go, processes))
    for row in rows:
        for problem in table.compare(row):
            say(problem)
    say(f"all prepared, {time.strftime('%H:%M:%S')}")


def measure(rows, processes, table, args, say):
    how = {"seconds": args.seconds, "wait": args.wait}
    for n in range(args.rounds):
        for row in rows:
            for process in processes:
                if not table.wanted(row, process.peer) or (n % 3 and table.slowness(row, process.peer) > SLOW):
                    continue
                answer = process.ask("sample", row.number, **how)
                if "error" in answer:  # the process was lost and its rows with it
                    again = process.ask("prepare", row.number)
                    if "error" not in again:
                        answer = process.ask("sample", row.number, **how)
                table.sampled(row, process.peer, answer)
        table.machine = machine.faster(table.machine, machine.speeds())
        say(f"round {n + 1} of {args.rounds}, {time.strftime('%H:%M:%S')}")


def measure_processes(rows, peers, pythons, table, rounds, say):
    """The rows that need a new process for each sample; a third of the rounds, for each takes seconds."""
    for row in rows:
        for n in range(1 if row.kind == "wheel" else max(1, rounds // 3)):
            for peer in peers:
                if peer in row.skip or peer in table.errors[row.number]:
                    continue
                answer = measures.sample(row, peer, pythons[peer])
                table.samples[row.number].setdefault(peer, [])
                table.sampled(row, peer, answer)
        say(f"{row.title}, {time.strftime('%H:%M:%S')}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="*", help="numbers or titles, with * and commas: 4,9b,*matmul*")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.03, help="length of a sample")
    parser.add_argument("--wait", type=float, default=0.05, help="wait so long for a quiet machine before a sample")
    parser.add_argument("--one-cpu", action="store_true",
                        help="CPU time on one CPU for each library, where other work keeps the machine busy")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="interpreter of a peer")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--out", type=Path, help="write the table here, as Markdown")
    parser.add_argument("--chart", type=Path, help="write a bar chart here, as PNG (needs matplotlib)")
    parser.add_argument("--quiet", action="store_true", help="say nothing about the progress")
    args = parser.parse_args(argv)
    say = (lambda text: None) if args.quiet else (lambda text: print(text, file=sys.stderr, flush=True))

    named = dict(p.split("=", 1) for p in args.python)
    peers = args.peers.split(",")
    pythons = {p: named.get(p, sys.executable if p == "mxform" else named.get("peers", sys.executable)) for p in peers}
    rows = select(args.rows)
    if not rows:
        parser.error(f"no row matches {args.rows}")
    if args.one_cpu:
        ENVIRONMENT["BENCH_ONE_CPU"] = "1"
    processes = []
    for peer in peers:
        process = Process(peer, pythons[peer])
        if process.version is None:
            say(f"{peer} is not installed")
        else:
            processes.append(process)
    table = Table(rows, {p.peer: p.version for p in processes})
    timed = [row for row in rows if row.kind == "time"]
    prepare(timed, processes, table, say)
    measure(timed, processes, table, args, say)
    for process in processes:
        process.close()
    alone = [row for row in rows if row.kind != "time"]
    measure_processes(alone, list(table.versions), pythons, table, args.rounds, say)
    table.machine = machine.describe() | table.machine
    result = table.result()
    print(report.markdown(result), end="")
    if args.out:
        args.out.write_text(report.markdown(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))
    if args.chart:
        report.chart(result, args.chart)


if __name__ == "__main__":
    main()
