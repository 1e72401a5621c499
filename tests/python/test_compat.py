"""test_compat.py — programs written for MLX, run on mxform by changing the import, against the same run on MLX itself.

The programs are the files of compat/: they use MLX's published Python packages (mlx.nn, mlx.optimizers, mlx.utils) and
mlx-lm, with `mlx.core` replaced by mxform in one process and left alone in the other. Install `mxform[compat]` to run it.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "compat"
# How far the two runs may drift apart, relative to the largest number of a list; training amplifies rounding.
PROGRAMS = {"draws": 2e-5, "layers": 1e-3, "mlp": 2e-3, "convnet": 5e-3, "transformer": 2e-3, "language_model": 2e-2, "architectures": 2e-2}
NEEDS = dict.fromkeys(["language_model", "architectures"], ("mlx", "mlx_lm"))


def missing(packages):
    absent = [p for p in packages if importlib.util.find_spec(p) is None]
    if not absent and importlib.util.find_spec("mlx.core") is None:
        absent = ["mlx.core"]
    return absent


def run(which, program, folder):
    done = subprocess.run([sys.executable, str(FOLDER / "run.py"), which, program, str(folder)], capture_output=True, text=True,
                          env=dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error"), timeout=600)
    if done.returncode != 0 and which == "mlx" and "ImportError" in done.stderr:
        pytest.skip(f"MLX is installed but does not start here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, f"{program} on {which}:\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def differences(got, want, tolerance, path=""):
    """Where two results differ: numbers within tolerance of the largest beside them, integers and strings exactly."""
    if isinstance(want, dict):
        assert got.keys() == want.keys(), f"{path}: {sorted(got)} instead of {sorted(want)}"
        return [d for k in want for d in differences(got[k], want[k], tolerance, f"{path}/{k}")]
    if isinstance(want, list):
        if len(got) != len(want):
            return [f"{path}: {len(got)} entries instead of {len(want)}"]
        scale = max([1.0, *(abs(w) for w in want if isinstance(w, float) and abs(w) < 1e30)])
        return [d for i, (g, w) in enumerate(zip(got, want)) for d in differences(g, w, tolerance * scale, f"{path}/{i}")]
    if isinstance(want, float) and isinstance(got, float):
        same = got == want or (got != got and want != want) or abs(got - want) <= tolerance
        return [] if same else [f"{path}: {got} instead of {want}"]
    return [] if got == want and type(got) is type(want) else [f"{path}: {got!r} instead of {want!r}"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_written_for_mlx_gives_the_same_on_mxform(program, tmp_path):
    absent = missing(NEEDS.get(program, ("mlx",)))
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed: pip install 'mxform[compat]'")
    want = run("mlx", program, tmp_path)
    got = run("mxform", program, tmp_path)
    found = differences(got, want, PROGRAMS[program])
    assert not found, f"{len(found)} differences\n" + "\n".join(found[:20])


def test_the_comparison_sees_a_difference():
    want = {"losses": [1.0, 0.5], "tokens": [3, 4]}
    assert not differences({"losses": [1.0, 0.5004], "tokens": [3, 4]}, want, 1e-3)
    assert differences({"losses": [1.0, 0.51], "tokens": [3, 4]}, want, 1e-3)
    assert differences({"losses": [1.0, 0.5], "tokens": [3, 5]}, want, 1e-3)
    assert differences({"losses": [1.0], "tokens": [3, 4]}, want, 1e-3)
    assert differences({"losses": [1.0, float("nan")], "tokens": [3, 4]}, want, 1e-3)
