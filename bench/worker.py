"""One peer's process. Reads requests from stdin, a JSON object a line, and answers each with one line.

    {"do": "prepare", "row": "4a"}                   -> {"digest": [...], "seconds": s}, {"absent": true} or {"error": text}
    {"do": "sample", "row": "4a", "seconds": 0.03, "wait": 0.05}
        -> {"seconds": per call, "best": ..., "quiet": bool, ...}
    {"do": "drop", "row": "4a"}                      -> {}

A sample repeats the call until it lasts about the seconds asked for.
"""

import gc
import json
import os
import statistics
import sys
import time
import timeit

import numpy as np

from bench import quiet
from bench.peers import Peer, leaves, map_tree
from bench.rows import all_rows

# One CPU and CPU time: for a machine that is busy with other work. Set before the libraries count the CPUs.
ONE_CPU = os.environ.get("BENCH_ONE_CPU") == "1"
if ONE_CPU:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
TIMER = time.process_time if ONE_CPU else time.perf_counter
BATCHES = 16  # a sample is the median of so many timings
POINTS = 2048  # elements of a result that are compared


def digest(row, peer, result):
    """Numbers that two peers with the same result share: sizes, and elements spread over each array."""
    out = []
    arrays = [row.canonical_of(peer.name)(peer.numpy(leaf)) for leaf in leaves(result)]
    for a in arrays:
        if row.digest:
            out.append([float(v) for v in row.digest(a)])
            continue
        flat = np.ascontiguousarray(a).reshape(-1)
        picked = flat[:: max(1, flat.size // POINTS)][:POINTS]
        if picked.dtype.kind == "c":
            picked = np.concatenate([picked.real, picked.imag])
        out.append([float(flat.size), *(float(v) for v in picked)])
    return out


class Worker:
    def __init__(self, name):
        self.peer = Peer(name)
        self.rows = {row.number: row for row in all_rows()}
        self.runs = {}

    def prepare(self, number):
        row = self.rows[number]
        program = row.program(self.peer.name)
        if program is None:
            return {"absent": True}
        inputs = row.layout_of(self.peer.name)(row.inputs())
        args = map_tree(lambda a: self.peer.array(a, row.dtype), inputs)
        f = program(self.peer.lib, self.peer.jit)
        result = f(*args)
        if row.whole:
            run = result
            result = run()
            if result is None:  # mx.eval returns nothing
                result = args[0] + args[1]
        else:
            wait = self.peer.waiter(result)
            run = (lambda: wait(f(*args))) if wait else (lambda: f(*args))
        found = digest(row, self.peer, result)
        del result
        seconds = timeit.timeit(run, number=1, timer=TIMER)
        if not row.once:
            for _ in range(3):
                if seconds < 0.2:
                    seconds = min(seconds, timeit.timeit(run, number=1, timer=TIMER))
        self.runs[number] = [run, max(seconds, 1e-8)]
        gc.collect()
        gc.freeze()
        return {"digest": found, "seconds": seconds}

    def sample(self, number, seconds, wait):
        run, guess = self.runs[number]
        calls = max(1, min(1_000_000, round(seconds / guess)))
        quiet.await_quiet(wait)
        if not self.rows[number].once:
            run()
        batches = min(calls, BATCHES)
        with quiet.Watch() as watch:
            took = [timeit.timeit(run, number=calls // batches, timer=TIMER) / (calls // batches) for _ in range(batches)]
        self.runs[number][1] = max(min(statistics.mean(took), 4 * guess), guess / 4, 1e-8)
        quiet.settle()
        return {"seconds": statistics.median(took), "best": min(took), "calls": calls, "others": watch.others, "quiet": watch.quiet or ONE_CPU}

    def answer(self, request):
        do, number = request["do"], request["row"]
        if do == "prepare":
            return self.prepare(number)
        if do == "sample":
            return self.sample(number, request["seconds"], request["wait"])
        self.runs.pop(number, None)
        return {}


def main():
    # Libraries may print; the answers keep stdout for themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        worker = Worker(sys.argv[1])
    except ImportError:
        return
    answers.write(json.dumps({"version": worker.peer.version}) + "\n")
    for line in sys.stdin:
        try:
            found = worker.answer(json.loads(line))
        except Exception as error:  # a row that a library cannot run is a result too
            found = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        answers.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
