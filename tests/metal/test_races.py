"""ThreadSanitizer with the machine's threads as its fibers: it finds every planted race, at its line, and nothing in sound kernels.

Its library must be there before all others, so that one process with LD_PRELOAD runs the kernels (this file as a program) and
prints what was said of each.
"""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from machine import Fault, Machine, compiler, missing
from test_faults import BARRIER, RUNNING, SHARED, SOUND, line_of, source

SCHEDULES = [0, 1, 12345]

# Found by the machine's own checks alone: a barrier that names other memory orders all of it for ThreadSanitizer.
NOT_FOUND = {"barrier_for_other_memory"}
RACES = {name: body for name, (body, message, *_) in RUNNING.items() if {"race", "nothing orders threadgroups"} & set(message.split("|")) and name not in NOT_FOUND}
RACES.update({
    "barrier_that_names_no_memory": SHARED + "s[t] = in[t];\nthreadgroup_barrier(mem_flags::mem_none);\nout[i] = s[63 - t];  // here",
    "simd_sum_is_no_barrier": SHARED + "s[t] = in[t];\nfloat v = simd_sum(in[t]);\nout[i] = v + s[t ^ 1];  // here",
    "race_with_an_atomic": ("device atomic_uint* n = (device atomic_uint*)out;\natomic_fetch_add_explicit(n, 1u, memory_order_relaxed);  // here\n"
                            "if (i == 70) out[0] = 1.0f;"),
    "race_after_a_barrier": (SHARED + "s[t] = in[t];\n" + BARRIER + "s[t % 8] = in[i];  // here\n"),
})
QUIET = {**SOUND,
         "atomics_across_threadgroups": ("device atomic_uint* n = (device atomic_uint*)out;\n"
                                         "atomic_fetch_add_explicit(n + i % 3, 1u, memory_order_relaxed);"),
         "more_threads_than_fibers": "float a[5] = {};\nfor (int n = 0; n < 5; ++n) a[(n + int(t)) % 5] = in[i] + n;\nout[i] = a[t % 5];"}


def library_of_tsan():
    """The file, or None."""
    if missing():
        return None
    found = subprocess.run([compiler(), "-print-file-name=libtsan.so"], capture_output=True, text=True).stdout.strip()
    return found if os.path.isabs(found) else None


def say_all():
    machine = Machine(checked=True)
    said = {}
    for name, body in {**RACES, **QUIET}.items():
        threads = 5000 if name == "more_threads_than_fibers" else 128
        for schedule in SCHEDULES:
            values, out = np.arange(threads, dtype=np.float32), np.zeros(threads, np.float32)
            said[f"{name} {schedule}"] = ""
            try:
                machine.library(source(body)).run("k", [values, out], threads, 64, schedule=schedule)
            except Fault as fault:
                said[f"{name} {schedule}"] = str(fault)
    print(json.dumps(said))


@pytest.fixture(scope="module")
def said():
    library = library_of_tsan()
    if not library:
        pytest.skip(missing() or "the compiler has no libtsan.so")
    options = "ignore_interceptors_accesses=1 suppress_equal_stacks=0 suppress_equal_addresses=0 exitcode=0"
    env = {**os.environ, "LD_PRELOAD": library, "TSAN_OPTIONS": options}
    done = subprocess.run([sys.executable, os.path.abspath(__file__)], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["in_order", "reversed", "random"])
@pytest.mark.parametrize("name", RACES)
def test_a_race_is_found_at_its_line(said, name, schedule):
    told = said[f"{name} {schedule}"]
    assert "ThreadSanitizer: data race" in told and "kernel k" in told, told
    assert f"source.metal:{line_of(source(RACES[name]))}" in told, told


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["in_order", "reversed", "random"])
@pytest.mark.parametrize("name", QUIET)
def test_a_sound_kernel_is_not_complained_about(said, name, schedule):
    assert said[f"{name} {schedule}"] == ""


if __name__ == "__main__":
    say_all()
