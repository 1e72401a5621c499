"""checks_export.py — a row as an exported function: what comes back from the file is the function, also when transformed.

Shapeless exports are right or refused: at every other case of the row with as many dimensions the imported function
gives what the row gives, or raises ValueError. Start at check_export.
"""

import os
import tempfile

import mxform as mx
from checks import Report, assert_same, inexact_part, random_like
from helpers import agree
from specs import name_of


def all_agree(got, want, what):
    assert len(got) == len(want), f"{what} gives {len(got)} arrays, expected {len(want)}"
    for k, (g, w) in enumerate(zip(got, want)):
        assert name_of(g) == name_of(w) and g.shape == w.shape, f"{what} output {k} is {g.dtype}{g.shape}, expected {w.dtype}{w.shape}"
        assert agree(g, w), f"{what} output {k} differs"


def through_file(f, args, **kw):
    handle, path = tempfile.mkstemp(suffix=".mlxfn")
    os.close(handle)
    try:
        mx.export_function(path, f, *args, **kw)
        return mx.import_function(path)
    finally:
        os.remove(path)


def compare_export(spec, case, dtype):
    args = spec.to_mx(case, spec.make(case, dtype), dtype)
    f = through_file(lambda *xs: spec.call(case, *xs), args)
    all_agree(f(*args), spec.call(case, *args), "imported")


def compare_derivatives(spec, case):
    """The derivative of what was imported, and the import of a derivative."""
    args = spec.to_mx(case, spec.make(case, spec.main), spec.main)
    g, xs = inexact_part(spec, case, args, spec.main)
    if not xs:
        return
    h = through_file(lambda *ys: g(*ys), xs)
    cts, ts = random_like(spec, g(*xs), "export"), random_like(spec, xs, "export")
    want = mx.vjp(g, xs, cts)[1]
    # Cotangents that meet are added in the order of the graph, which may differ.
    assert_same(mx.vjp(h, xs, cts)[1], want, "vjp of the imported")
    assert_same(mx.jvp(h, xs, ts)[1], mx.jvp(g, xs, ts)[1], "jvp of the imported")
    pull = through_file(lambda *ys: mx.vjp(g, list(ys), cts)[1], xs)
    all_agree(pull(*xs), want, "imported vjp")


def compare_batch(spec, case):
    args = spec.to_mx(case, spec.make(case, spec.main), spec.main)
    batch = [mx.stack([a, a]) for a in args]
    f = through_file(lambda *xs: spec.call(case, *xs), args)
    want = mx.vmap(lambda *xs: spec.call(case, *xs))(*batch)
    all_agree(mx.vmap(f)(*batch), want if isinstance(want, (tuple, list)) else (want,), "vmap of the imported")


def check_export(spec):
    """Import of export is the identity, for every case and dtype; transformations see through it."""
    report = Report(spec)
    for n, case in enumerate(spec.cases):
        for dtype in spec.dtypes if n == 0 else (spec.main,):
            report.run(f"{dtype} {case}", compare_export, spec, case, dtype)
        if n < 3:
            report.run(f"derivatives {case}", compare_derivatives, spec, case)
        if n < 2 and case.args and spec.ref is not None:
            report.run(f"batch {case}", compare_batch, spec, case)
    report.close()


def compare_shapeless(spec, case, others):
    args = spec.to_mx(case, spec.make(case, spec.main), spec.main)
    try:
        f = through_file(lambda *xs: spec.call(case, *xs), args, shapeless=True)
    except ValueError as e:
        if "shapeless=True: " in str(e):
            return
        raise
    all_agree(f(*args), spec.call(case, *args), "imported shapeless")
    for other in others:
        xs = spec.to_mx(other, spec.make(other, spec.main), spec.main)
        if [x.ndim for x in xs] != [x.ndim for x in args]:
            continue
        try:
            got = f(*xs)
        except ValueError:
            continue
        all_agree(got, spec.call(case, *xs), f"imported shapeless at {other}")


def check_shapeless(spec):
    report = Report(spec)
    for case in spec.cases[:6]:
        same = [c for c in spec.cases + spec.kinks if repr(c.static) == repr(case.static) and len(c.args) == len(case.args)]
        report.run(f"{case}", compare_shapeless, spec, case, same)
    report.close()
