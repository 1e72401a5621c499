"""The example programs run as the README says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def run(name, *args):
    done = subprocess.run([sys.executable, str(EXAMPLES / name), *args], capture_output=True, text=True, timeout=300, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_digits_reaches_97_percent(tmp_path):
    for module in ("matplotlib", "sklearn", "tqdm"):
        pytest.importorskip(module)
    picture = tmp_path / "digits.png"
    out, progress = run("digits.py", "--output", str(picture))
    assert float(re.search(r"test accuracy ([\d.]+)% on 360 images", out)[1]) >= 97
    assert len(re.findall(r"digit \d: +[\d.]+% of \d+", out)) == 10
    assert "largest gradients: " in out and "100%" in progress
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10000


def test_curvature_agrees_with_closed_forms():
    out, _ = run("curvature.py")
    errors = [float(e) for e in re.findall(r"largest error (\S+)", out)]
    assert len(errors) == 5 and max(errors) < 1e-4


def test_rnn_learns_to_continue_waves():
    out, _ = run("rnn.py")
    errors = [float(e) for e in re.findall(r"step +\d+: mean squared error (\S+)", out)]
    assert errors[0] > 0.5 and errors[-1] < 0.05
    assert float(re.search(r"alone for 10 steps: mean squared error ([\d.]+)", out)[1]) < 0.1


def test_fixed_point_has_the_derivative_of_the_solution():
    out, _ = run("fixed_point.py")
    assert float(re.search(r"difference of the gradients: (\S+)", out)[1]) < 1e-4
    implicit, unrolled = map(int, re.search(r"implicit (\d+), unrolled (\d+)", out).groups())
    assert implicit < unrolled / 2


def test_every_example_says_what_it_does():
    for path in EXAMPLES.glob("*.py"):
        first = path.read_text().splitlines()[0]
        assert re.match(rf"# {path.name} — \w", first), path.name
