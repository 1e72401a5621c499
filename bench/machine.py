"""The machine: what it is, and how fast it moves data and multiplies, by NumPy in one thread per CPU."""

import os
import platform
import threading
import time

import numpy as np


def cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def together(work, n):
    """The time that n threads take to do their work, started together."""
    gate = threading.Barrier(n + 1)

    def go(i):
        gate.wait()
        work(i)

    threads = [threading.Thread(target=go, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    gate.wait()
    start = time.perf_counter()
    for t in threads:
        t.join()
    return time.perf_counter() - start


def copying(n, n_bytes, repeats):
    """Bytes per second read and written by copies of n_bytes per thread, into memory that is already there."""
    source = [np.ones(n_bytes // 4, np.float32) for _ in range(n)]
    target = [np.zeros(n_bytes // 4, np.float32) for _ in range(n)]
    best = min(together(lambda i: np.copyto(target[i], source[i]), n) for _ in range(repeats))
    return 2 * n * n_bytes / best


def reading(n, n_bytes, repeats):
    """Bytes per second read by dot products over n_bytes per thread."""
    source = [np.ones(n_bytes // 4, np.float32) for _ in range(n)]
    best = min(together(lambda i: np.dot(source[i], source[i]), n) for _ in range(repeats))
    return n * n_bytes / best


def multiplying(repeats, size=1536):
    """Floating-point operations per second of a large float32 product."""
    a = np.ones((size, size), np.float32)
    np.dot(a, a)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        np.dot(a, a)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def speeds(repeats=3):
    cpus = os.cpu_count() or 1
    return {
        "copy_bytes_per_second": copying(cpus, 32 << 20, repeats),
        "read_bytes_per_second": reading(cpus, 32 << 20, repeats),
        "cached_bytes_per_second": copying(cpus, 2 << 20, 4 * repeats),
        "flops_per_second": multiplying(repeats),
    }


def faster(a, b):
    """The larger of each speed: other work on the machine only ever lowers them."""
    return {k: max(v, a.get(k, 0)) for k, v in b.items()}


def describe():
    return {
        "cpu": cpu_name(),
        "cpus": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
