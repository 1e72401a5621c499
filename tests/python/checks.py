"""checks.py — one generic checker per promise: each takes a row of specs.py and raises with all that it found wrong.

Here: how arrays are compared, values against the NumPy reference, layouts, compile and checkpoint. Derivatives are in
checks_derivatives.py, batches in checks_vmap.py. Start at Report and assert_agree.
"""

import itertools

import numpy as np

import mxform as mx
from specs import COMPLEX, EPS, LAYOUTS, TINY, inexact, name_of, to_mx, to_np, widen


class Report:
    """Collects what goes wrong, so that one failing case does not hide the next."""

    def __init__(self, spec):
        self.spec, self.found = spec, []

    def run(self, label, check, *args):
        try:
            check(*args)
        except Exception as e:  # noqa: BLE001: a crash in one case is a finding like any other
            kind = "" if isinstance(e, AssertionError) else type(e).__name__ + ": "
            self.found.append(f"{label}: {kind}{str(e).strip()[:400]}")

    def close(self):
        if self.found:
            more = f"\n  ... and {len(self.found) - 8} more" if len(self.found) > 8 else ""
            raise AssertionError(f"{self.spec.name}: {len(self.found)} findings\n  " + "\n  ".join(self.found[:8]) + more)


# ---- comparing

def assert_close(got, want, rtol, what="", atol=0.0):
    """Arrays agree: shapes, NaNs, infinities, and values to rtol of the larger magnitude plus atol."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what} shape is {got.shape}, expected {want.shape}"
    if got.dtype.kind not in "fc" and want.dtype.kind not in "fc":
        assert np.array_equal(got, want), f"{what} got {got.tolist()}, expected {want.tolist()}"
        return
    with np.errstate(all="ignore"):
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        error = np.where(same, 0, np.abs(got.astype(np.complex128) - want.astype(np.complex128)))
        ok = same | (error <= rtol * np.abs(want) + atol)
    if not ok.all():
        i = np.unravel_index(np.argmax(~ok), ok.shape)
        raise AssertionError(f"{what} at {tuple(map(int, i))}: got {got[i]!r}, expected {want[i]!r} (error {error[i]:.3g})")


def assert_agree(got, want, rtol, what=""):
    """As assert_close, with errors relative to the largest element: for sums and for what was differentiated."""
    want = np.asarray(want)
    finite = np.abs(want[np.isfinite(want)]) if want.dtype.kind in "fc" else np.zeros(0)
    assert_close(got, want, rtol, what, atol=rtol * max(1.0, finite.max(initial=0.0)))


def loose(dtype):
    """Tolerance for two ways to the same result."""
    return 256 * EPS[dtype] if dtype in EPS else 0.0


def assert_same(got, want, what, scale=1.0):
    """Two tuples of mx arrays agree in dtype, shape and, but for rounding, in value."""
    assert len(got) == len(want), f"{what} gives {len(got)} arrays, expected {len(want)}"
    for k, (g, w) in enumerate(zip(got, want)):
        label = f"{what} output {k}" if len(want) > 1 else what
        assert name_of(g) == name_of(w), f"{label} dtype is {name_of(g)}, expected {name_of(w)}"
        assert_agree(to_np(g), to_np(w), scale * loose(name_of(w)), label)


# ---- rows as functions to differentiate

def inexact_part(spec, case, args, dtype):
    """The row as a function of its differentiable arguments, with its differentiable outputs; and those arguments."""
    where = spec.differentiable(case, dtype)

    def g(*xs):
        full = list(args)
        for i, x in zip(where, xs):
            full[i] = x
        return tuple(o for o in spec.call(case, *full) if inexact(name_of(o)))

    if not g(*[args[i] for i in where]):
        return g, []
    return g, [args[i] for i in where]


def random_like(spec, arrays, *salt):
    rng = spec.rng(*salt)
    out = []
    for m in arrays:
        v = rng.uniform(0.5, 1.5, m.shape) * rng.choice([-1.0, 1.0], m.shape)
        if name_of(m) in COMPLEX:
            v = v + 1j * rng.uniform(-1, 1, m.shape)
        out.append(to_mx(v, name_of(m)))
    return out


def inner(xs, ys):
    """Re<x, y> and the sum of magnitudes, which says how exact it can be."""
    terms = [np.real(np.conj(to_np(x)) * to_np(y)).astype(np.float64).reshape(-1) for x, y in zip(xs, ys)]
    terms = np.concatenate(terms) if terms else np.zeros(0)
    return terms.sum(), np.abs(terms).sum()


def pushed(g, ts):
    return lambda *xs: tuple(mx.jvp(g, list(xs), ts)[1])


def pulled(g, cts):
    return lambda *xs: tuple(mx.vjp(g, list(xs), cts)[1])


def subsets(n):
    return [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]


# ---- values

def expected(spec, case, values, dtype):
    """Reference outputs, computed wide and rounded to the dtypes that the row promises."""
    wide = [widen(v, d) for v, d in zip(values, spec.arg_dtypes(case, dtype))]
    if not inexact(dtype) and all(inexact(d) for d in spec.out_dtypes(dtype, 1)):  # NumPy would compute uint8 in float16
        wide = [w.astype(np.float64) if x.dtype is None else w for w, x in zip(wide, case.args)]
    with np.errstate(all="ignore"):
        out = spec.ref(*wide, **case.static)
    out = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    return out, spec.out_dtypes(dtype, len(out))


def compare_value(spec, case, values, dtype, args):
    got = spec.call(case, *args)
    if spec.ref is None:
        again = spec.call(case, *args)
        for g, h, d in zip(got, again, spec.out_dtypes(dtype, len(got))):
            assert name_of(g) == d, f"dtype is {name_of(g)}, expected {d}"
            assert np.array_equal(to_np(g), to_np(h)), "the same arguments give different values"
        return
    want, dtypes = expected(spec, case, values, dtype)
    assert len(got) == len(want), f"{len(got)} outputs, expected {len(want)}"
    for g, w, d in zip(got, want, dtypes):
        assert name_of(g) == d, f"dtype is {name_of(g)}, expected {d}"
        if not inexact(d):
            with np.errstate(all="ignore"):
                assert_close(to_np(g), np.asarray(w).astype(to_np(g).dtype), 0)
            continue
        w = np.asarray(w)
        if d == "float16" or d == "float32":  # what overflows is infinite
            with np.errstate(all="ignore"):
                w = np.where(np.isinf(w.astype(d)), w.astype(d), w)
        rtol = max(spec.ulp, 0.51 if d in ("float16", "bfloat16") else 0) * EPS[d]
        finite = np.abs(w[np.isfinite(w)])
        # The error of a sum grows with what is summed, though the sum itself may be small.
        summed = max((v.size for v in values), default=1) if spec.sums else 1
        sizes = [finite, *(np.abs(v[np.isfinite(v)]) for v in values if v.dtype.kind in "fc")]
        atol = TINY[d] + (rtol * max(s.max(initial=0.0) for s in sizes) * max(1, summed / 32) if spec.sums or d in COMPLEX else 0)
        if d in COMPLEX:  # a product that overflows may be infinite, or infinity minus infinity
            with np.errstate(all="ignore"):
                w = np.where(np.abs(w) < 1e37, w, to_np(g))
        # A reference in float64 is itself only good to its own rounding.
        assert_close(to_np(g), w, rtol + (2 * EPS["float64"] if d == "float64" and spec.ulp else 0), atol=atol)


def check_value(spec):
    """Value, dtype and shape against the reference, for every dtype, case and edge."""
    report = Report(spec)
    for dtype in spec.dtypes:
        for case in spec.cases + spec.kinks:
            values = spec.make(case, dtype)
            report.run(f"{dtype} {case}", compare_value, spec, case, values, dtype, spec.to_mx(case, values, dtype))
        if dtype in ("float32", "float64"):
            for case in spec.edges:
                values = spec.make(case, dtype)
                report.run(f"{dtype} edges {case}", compare_value, spec, case, values, dtype, spec.to_mx(case, values, dtype))
    report.close()


def check_large(spec):
    """The same at sizes where kernels block, vectorize and share work among threads, in every layout."""
    report = Report(spec)
    for dtype in [d for d in ("float32", "float64", "float16", "int32", "uint8", "bool_", "complex64") if d in spec.dtypes]:
        for case in spec.big:
            values = spec.make(case, dtype)
            report.run(f"{dtype} {case}", compare_value, spec, case, values, dtype, spec.to_mx(case, values, dtype))
            if dtype == spec.dtypes[0] or dtype == "uint8":
                for layout in LAYOUTS:
                    values, arrays = relaid(spec, case, dtype, layout)
                    report.run(f"{layout} {dtype} {case}", compare_value, spec, case, values, dtype, arrays)
    report.close()


# ---- layouts

def relaid(spec, case, dtype, layout):
    """Arguments with the same meaning and other strides; NumPy values and mx arrays."""
    values, arrays = [], []
    for x, v, d in zip(case.args, spec.make(case, dtype), spec.arg_dtypes(case, dtype)):
        # One index for all would be out of range, or a repeat where a row has none.
        keep = v.ndim == 0 or v.size == 0 or (layout == "broadcast" and x.dtype not in (None, "bool_"))
        v, m = (v, to_mx(v, d)) if keep else LAYOUTS[layout](v, d)
        values.append(v)
        arrays.append(m)
    return values, arrays


def check_layouts(spec):
    """Transposed, reversed, strided and broadcast arguments give what contiguous ones give; so do their derivatives."""
    report = Report(spec)
    for layout in LAYOUTS:
        for n, dtype in enumerate(spec.dtypes):
            for case in spec.cases if n == 0 else spec.cases[:2]:
                values, arrays = relaid(spec, case, dtype, layout)
                report.run(f"{layout} {dtype} {case}", compare_value, spec, case, values, dtype, arrays)
        for case in spec.cases if spec.order or spec.fd is False else []:
            values, arrays = relaid(spec, case, spec.main, layout)
            report.run(f"vjp {layout} {case}", compare_pullback, spec, case, values, arrays)
    report.close()


def compare_pullback(spec, case, values, arrays):
    g, xs = inexact_part(spec, case, arrays, spec.main)
    if not xs:
        return
    plain = spec.to_mx(case, values, spec.main)
    h, ys = inexact_part(spec, case, plain, spec.main)
    cts = random_like(spec, g(*xs), "layout")
    assert_same(mx.vjp(g, xs, cts)[1], mx.vjp(h, ys, cts)[1], "vjp")


# ---- compile and checkpoint

def check_compile(spec):
    """compile(f) = f for every case and dtype in turn, and so for its transformations."""
    report = Report(spec)
    for case in spec.cases:
        compiled = mx.compile(lambda *args, case=case: spec.call(case, *args))
        for dtype in spec.dtypes[:3]:
            for example in range(2):
                args = spec.to_mx(case, spec.make(case, dtype, example=example), dtype)
                report.run(f"{dtype} {case}", compare_call, compiled, spec, case, args)
        report.run(f"transformed {case}", compare_compiled_transforms, spec, case)
    # One function without fixed shapes sees all cases with the same static parameters in turn.
    for static in {repr(case.static): case for case in spec.cases}.values():
        same = [case for case in spec.cases if repr(case.static) == repr(static.static)]
        shapeless = mx.compile(lambda *args: spec.call(static, *args), shapeless=True)
        for case in same + same[::-1]:
            args = spec.to_mx(case, spec.make(case, spec.main), spec.main)
            report.run(f"shapeless {case}", compare_call, shapeless, spec, case, args)
    report.close()


def compare_call(f, spec, case, args):
    assert_same(f(*args), spec.call(case, *args), "compiled", scale=0.05)


def compare_compiled_transforms(spec, case):
    dtype = spec.main
    args = spec.to_mx(case, spec.make(case, dtype), dtype)
    g, xs = inexact_part(spec, case, args, dtype)
    if xs:
        cts, ts = random_like(spec, g(*xs), "ct"), random_like(spec, xs, "t")
        pull, push = mx.vjp(g, xs, cts)[1], mx.jvp(g, xs, ts)[1]
        c = mx.compile(g)
        assert_same(mx.vjp(c, xs, cts)[1], pull, "vjp of compiled")
        assert_same(mx.jvp(c, xs, ts)[1], push, "jvp of compiled")
        assert_same(mx.compile(pulled(g, cts))(*xs), pull, "compiled vjp")
        assert_same(mx.compile(pushed(g, ts))(*xs), push, "compiled jvp")
    if case.args:
        from checks_vmap import Examples
        examples = Examples(spec, case, dtype, tuple(range(len(case.args))), 2)
        axes = examples.axes(0)
        batch = examples.batch(axes)
        f = lambda *a: spec.call(case, *a)  # noqa: E731
        plain = mx.vmap(f, in_axes=axes)(*batch)
        assert_same(mx.vmap(mx.compile(f), in_axes=axes)(*batch), plain, "vmap of compiled")
        assert_same(mx.compile(mx.vmap(f, in_axes=axes))(*batch), plain, "compiled vmap")


def check_checkpoint(spec):
    """checkpoint(f) has f's values and derivatives."""
    report = Report(spec)
    for case in spec.cases + spec.kinks:
        report.run(f"{case}", compare_checkpoint, spec, case)
    report.close()


def compare_checkpoint(spec, case):
    dtype = spec.main
    args = spec.to_mx(case, spec.make(case, dtype), dtype)
    f = lambda *a: spec.call(case, *a)  # noqa: E731
    kept = mx.checkpoint(f)
    assert_same(kept(*args), f(*args), "checkpointed")
    where = spec.differentiable(case, dtype)
    g, xs = inexact_part(spec, case, args, dtype)
    if not xs:
        return

    def h(*xs):
        full = list(args)
        for i, x in zip(where, xs):
            full[i] = x
        return tuple(o for o in kept(*full) if inexact(name_of(o)))

    cts, ts = random_like(spec, g(*xs), "ct"), random_like(spec, xs, "t")
    assert_same(mx.vjp(h, xs, cts)[1], mx.vjp(g, xs, cts)[1], "vjp of checkpointed")
    assert_same(mx.jvp(h, xs, ts)[1], mx.jvp(g, xs, ts)[1], "jvp of checkpointed")
    assert_same(mx.vjp(pulled(h, cts), xs, ts)[1], mx.vjp(pulled(g, cts), xs, ts)[1], "vjp of vjp of checkpointed")
