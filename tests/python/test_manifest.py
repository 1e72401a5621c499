"""test_manifest.py — every public name of MLX 0.32 is here, with its parameters and defaults.

The names and signatures are facts in tests/golden/api_manifest.json. What differs is in the two tables below, with the
reason: DIFFERENT for signatures that are not MLX's, ADDED for keyword-only parameters that come on top.
"""

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mxform as mx

MANIFEST = json.loads((Path(__file__).parents[1] / "golden" / "api_manifest.json").read_text())
ENTRIES = [(module, name, entry) for module, names in MANIFEST.items() if isinstance(names, dict) for name, entry in names.items()]

# name: (our signature, reason)
DIFFERENT = {
    "arange": ("(start=None, stop=None, step=None, dtype=None, *, stream=None, device=None)", "one signature for MLX's two overloads"),
    "clip": ("(a, /, a_min=None, a_max=None, *, stream=None)", "the array API standard allows either bound to be left out"),
    "save_gguf": ("(file, arrays, metadata=None)", "MLX takes the call without metadata, against its own text"),
}

# name: ({keyword-only parameters}, reason)
ADDED = {
    **dict.fromkeys("zeros zeros_like ones ones_like full full_like eye linspace arange asarray from_dlpack".split(),
                    ({"device"}, "the array API standard names a device")),
    **dict.fromkeys(["fft.fftfreq", "fft.rfftfreq"], ({"dtype", "device"}, "the array API standard has them")),
    "astype": ({"copy", "device"}, "the array API standard has them"),
    "reshape": ({"copy"}, "the array API standard has it"),
    **dict.fromkeys(["sum", "prod"], ({"dtype"}, "the array API standard has it")),
    **dict.fromkeys(["var", "std"], ({"correction"}, "the array API standard's name of ddof")),
    **dict.fromkeys(["sort", "argsort"], ({"descending", "stable"}, "the array API standard has them")),
    "searchsorted": ({"sorter"}, "the array API standard has it"),
    "diff": ({"prepend", "append"}, "the array API standard has them"),
    "linalg.qr": ({"mode"}, "the array API standard has it"),
    "linalg.svd": ({"full_matrices"}, "the array API standard has it"),
    "linalg.pinv": ({"rtol"}, "the array API standard has it"),
    **dict.fromkeys(["grad", "value_and_grad"], ({"has_aux"}, "as in JAX")),
    "vmap": ({"axis_size", "chunk_size"}, "as in JAX and torch.func"),
}
# Names that MLX makes aliases and that are functions of their own here.
OWN = {**dict.fromkeys(["cumulative_sum", "cumulative_prod"], "the array API standard gives them parameters of their own")}


def resolve(path):
    """The object called `mxform.linalg.norm`."""
    o = mx
    for part in path.split(".")[1:]:
        o = getattr(o, part)
    return o


def parameters(o):
    """Kind, name and default of each parameter. Methods of pybind11's classes have a signature in their docstring only."""
    try:
        found = inspect.signature(o)
    except ValueError:
        scope = {}
        exec(f"from __future__ import annotations\ndef {o.__doc__.splitlines()[0]}: pass", {}, scope)
        found = inspect.signature(scope[o.__name__])
    return [(p.kind, p.name, p.default) for p in found.parameters.values()]


def expected(signature):
    """The same for a signature in the manifest; dtypes are written bare."""
    names = {name: getattr(mx, name) for name in ("float32", "bfloat16", "int32", "uint32", "float16")}
    scope = {}
    exec(f"def f{signature}: pass", {**names, "inf": float("inf")}, scope)
    return [(p.kind, p.name, p.default) for p in inspect.signature(scope["f"]).parameters.values()]


def same_default(a, b):
    if a is inspect.Parameter.empty or b is inspect.Parameter.empty:
        return a is b
    return (list(a) == list(b)) if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) else type(a) is type(b) and a == b


def mismatch(ours, theirs, added):
    """What differs, or None. `added` are our own keyword-only parameters."""
    extra = {name for kind, name, _ in ours if kind is inspect.Parameter.KEYWORD_ONLY and name in added}
    rest = [p for p in ours if p[1] not in extra]
    if [p[:2] for p in rest if p[1] != "self"] != [p[:2] for p in theirs if p[1] != "self"]:
        return f"{[p[1] for p in rest]} instead of {[p[1] for p in theirs]}, or other kinds"
    for (_, name, a), (_, _, b) in zip(rest, theirs):
        if not same_default(a, b):
            return f"{name} defaults to {a!r} instead of {b!r}"
    unused = set(added) - extra
    return f"does not have {sorted(unused)}, which the table lists" if unused else None


@pytest.mark.parametrize("module, name, entry", ENTRIES, ids=[f"{m}.{n}" for m, n, _ in ENTRIES])
def test_a_name_of_mlx_is_here(module, name, entry):
    path = f"{module}.{name}"
    kind = entry[0]
    try:
        o = resolve(path)
    except AttributeError:
        pytest.fail(f"{path} is missing")
    if name in OWN:
        return
    if kind.startswith("alias of "):
        of = kind.removeprefix("alias of ")
        assert o is resolve(f"{module}.{of}") or o == resolve(f"{module}.{of}"), f"{path} is not {of}"
    elif kind in ("Dtype", "DtypeCategory", "DeviceType", "float"):
        assert type(o).__name__ == kind, f"{path} is a {type(o).__name__}"
    elif kind == "None":
        assert o is None
    elif kind in ("class", "enum"):
        assert isinstance(o, type), f"{path} is no class"


CALLS = [(f"{m}.{n}", e[1:]) for m, n, e in ENTRIES if e[0] in ("function", "method")]


@pytest.mark.parametrize("path, signatures", CALLS, ids=[path for path, _ in CALLS])
def test_a_signature_is_mlxs(path, signatures):
    o = resolve(path)
    short = path.removeprefix("mxform.")
    if short in DIFFERENT:
        assert str(inspect.signature(o)) == DIFFERENT[short][0], f"{path}: the table lists another signature"
        return
    found = [mismatch(parameters(o), expected(s), ADDED.get(short, ((), ""))[0]) for s in signatures]
    assert None in found, f"{path}{inspect.signature(o)}: {found[0]}"


def test_the_tables_have_no_strangers():
    known = {path.removeprefix("mxform.") for path, _ in CALLS}
    assert not set(DIFFERENT) - known and not set(ADDED) - known
    assert all(reason for _, reason in [*DIFFERENT.values(), *ADDED.values()])


def test_the_comparison_sees_a_difference():
    def f(a, /, axis=None, *, stream=None): ...
    ours = parameters(f)
    assert mismatch(ours, expected("(a, /, axis=None, *, stream=None)"), ()) is None
    assert mismatch(ours, expected("(a, axis=None, *, stream=None)"), ())
    assert mismatch(ours, expected("(a, /, axis=0, *, stream=None)"), ())
    assert mismatch(ours, expected("(a, /, axis=None, keepdims=False, *, stream=None)"), ())
    assert mismatch(ours, expected("(a, /, axis=None)"), ("stream",)) is None


@pytest.mark.parametrize("module", mx._MODULES)
def test_names_of_modules_imported_later(module):
    assert set(mx._MODULES[module]) == set(importlib.import_module(f"mxform.{module}").__all__)


def test_importing_leaves_the_rest_for_later():
    code = ("import sys, mxform as mx; late = {'enum', 'mxform.io', 'mxform.export', 'mxform.debug'} & set(sys.modules); "
            "print(sorted(late), 'cpu' in dir(mx), 'save' in dir(mx), mx.cpu, mx.floating, mx.save.__name__)")
    shown = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True,
                           env={**os.environ, "PYTHONPATH": str(Path(mx.__file__).parents[1])}).stdout
    assert shown == "[] True True DeviceType.cpu DtypeCategory.floating save\n"


def test_star_import_has_every_name():
    names = {}
    exec("from mxform import *", names)
    assert {n for n in dir(mx) if not n.startswith("_")} <= set(names)
    assert names["grad"] is mx.grad and names["cpu"] is mx.cpu and names["compile"] is mx.compile


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'mxform' has no attribute 'nothing'"):
        mx.nothing
    with pytest.raises(ImportError):
        exec("from mxform import nothing")
