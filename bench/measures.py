"""Rows that are not the time of a call in a warm process: import, wheel size, first calls, peak memory, threads.

`sample(row, peer, python)` takes one sample in a process of its own; run.py asks for them in turn like the others.
`python -m bench.measures WHAT PEER [ROW]` is that process and prints the number.
"""

import gc
import importlib
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
import timeit
import zlib
from pathlib import Path

from bench import quiet
from bench.peers import MODULES, Peer

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = {"mlx": ("mlx", "mlx-cpu"), "jax": ("jax", "jaxlib"), "torch": ("torch",), "numpy": ("numpy",), "mxform": ("mxform",)}
PIECE = 1 << 20  # large files are compressed in samples of this many bytes


def sample(row, peer, python):
    """One sample of a row for one peer, measured in a new process; an error if that fails."""
    what, of = row.kind.split(":") if ":" in row.kind else (row.kind, "")
    with tempfile.TemporaryDirectory() as empty:
        # Compilers find nothing that an earlier run has left on the disk.
        env = os.environ | {"TMPDIR": empty, "TORCHINDUCTOR_CACHE_DIR": empty, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        command = [python, "-m", "bench.measures", what, peer, of]
        if what == "import":
            command = [python, "-c", IMPORT.format(MODULES[peer])]
            env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package comes with its bytecode
            subprocess.run(command, capture_output=True, cwd=ROOT, env=env)
        with quiet.Watch() as watch:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["not installed"])[-1]}
    value = json.loads(done.stdout.strip().splitlines()[-1])
    watch.others -= (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (quiet.CPUS * watch.wall)
    calm = watch.others <= quiet.ALLOWED + quiet.UNIT / watch.wall
    return {"seconds": value, "best": value, "quiet": calm, "others": watch.others}


# Without anything of ours, for that imports NumPy.
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


# --- the size of the wheels: every file compressed as a wheel compresses it, large ones by samples


def files_of(peer):
    try:
        for name in DISTRIBUTIONS[peer]:
            for file in importlib.metadata.distribution(name).files or []:
                yield Path(file.locate())
    except importlib.metadata.PackageNotFoundError:  # a build directory
        yield from Path(importlib.import_module(MODULES[peer]).__file__).parent.rglob("*")


def compressed(path):
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= 8 * PIECE:
            return len(zlib.compress(file.read(), 6))
        pieces = 0
        for i in range(8):
            file.seek((size - PIECE) * i // 7)
            pieces += len(zlib.compress(file.read(PIECE), 6))
    return pieces * size / (8 * PIECE)


def wheel_bytes(peer, _):
    return sum(compressed(p) for p in files_of(peer) if p.is_file() and "__pycache__" not in p.parts)


# --- in a warmed-up process


def program_of(peer, number):
    """A row's program and inputs, in a library that has run something small before."""
    from bench.peers import map_tree
    from bench.rows import all_rows

    row = next(r for r in all_rows() if r.number == number)
    if row.program(peer.name) is None:
        sys.exit(1)
    args = map_tree(lambda a: peer.array(a, row.dtype), row.layout_of(peer.name)(row.inputs()))
    f = row.program(peer.name)(peer.lib, peer.jit)

    def run():
        result = f(*args)
        wait = peer.waiter(result)
        if wait:
            wait(result)

    return run


def first_seconds(name, number):
    return timeit.timeit(program_of(Peer(name), number), number=1)


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def release(peer):
    gc.collect()
    if peer.name in ("mxform", "mlx"):
        peer.lib.clear_cache()
    import ctypes

    ctypes.CDLL(None).malloc_trim(0)


def memory_bytes(name, number):
    """The most memory of five calls above what the process holds between calls: inputs, code, nothing cached."""
    peer = Peer(name)
    run = program_of(peer, number)
    run()
    run()
    release(peer)
    before = status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    for _ in range(5):
        run()
    return max(status("VmHWM") - before, 1)


def one_thread_seconds(name, number):
    os.sched_setaffinity(0, {0})
    return call_seconds(name, number)


def call_seconds(name, number):
    run = program_of(Peer(name), number)
    for _ in range(3):
        run()
    took = []
    for _ in range(20):
        quiet.await_quiet()
        took.append(timeit.timeit(run, number=1))
    return min(took)


def threads_ratio(name, number):
    """The time of a call with one thread divided by that with all, each in a process of its own."""
    counts = {v: "1" for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MXFORM_NUM_THREADS")}
    took = {}
    for what, env in (("one", os.environ | counts), ("all", os.environ)):
        command = [sys.executable, "-m", "bench.measures", what, name, number]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        if done.returncode:
            sys.exit(done.stderr)
        took[what] = json.loads(done.stdout.strip().splitlines()[-1])
    return took["one"] / took["all"]


MEASURES = {
    "wheel": wheel_bytes, "first": first_seconds, "memory": memory_bytes,
    "threads": threads_ratio, "one": one_thread_seconds, "all": call_seconds,
}

if __name__ == "__main__":
    measure, of_peer, of_row = sys.argv[1:4]
    try:
        print(json.dumps(MEASURES[measure](of_peer, of_row)))
    except ImportError:
        sys.exit(1)
