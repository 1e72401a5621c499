"""test_fuzz_files.py — damaged files never crash, hang, or take memory that they do not account for (fuzz_files.py).

MXFORM_LONG=1 reads 100 000 of them, from a new seed each time; a failure prints the command that repeats it.
"""

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")
if not Path("/proc/self/statm").exists():
    pytest.skip("the memory limit needs /proc", allow_module_level=True)

import fuzz_files

LONG = os.environ.get("MXFORM_LONG") == "1"
TOTAL = 100_000 if LONG else 24_000
SEED = str(random.SystemRandom().randrange(10**9)) if LONG else "0"


@pytest.mark.parametrize("name", fuzz_files.FORMATS)
def test_damaged_files_are_refused_or_read(name, tmp_path):
    count = TOTAL // len(fuzz_files.FORMATS)
    progress = tmp_path / "progress"
    command = [sys.executable, fuzz_files.__file__, name, str(count), SEED, "0", str(progress)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + count)
    if done.returncode < 0 or "Fatal" in done.stderr or "Timeout" in done.stderr:
        last = struct.unpack("<q", progress.read_bytes())[0]
        pytest.fail(f"ended by signal {-done.returncode} at: python fuzz_files.py {name} 1 {SEED} {last}\n{done.stderr[-3000:]}")
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    print(name, result)
    # Not everything may be refused at the door.
    assert result["inputs"] == count and result["loaded"] > count / 50 and result["refused"] > count / 10


def test_the_harness_finds_what_it_looks_for(monkeypatch):
    """A reader that trusts a size, one that raises something else, and one that hangs."""
    def trusting(data):
        return fuzz_files.mx.zeros((1 << 24,)) + 1

    def careless(data):
        return data[10**9]

    def slow(data):
        fuzz_files.time.sleep(0.1)

    monkeypatch.setattr(fuzz_files, "SECONDS", 0.05)
    try:
        for load, words in ((trusting, "memory"), (careless, "IndexError"), (slow, "s")):
            fuzz_files.register("bad", [b"seed"], load)
            with pytest.raises((AssertionError, IndexError)) as e:
                fuzz_files.attempt("bad", b"data", False)
            assert words in f"{type(e.value).__name__} {e.value}"
    finally:
        del fuzz_files.FORMATS["bad"]
