"""checks_derivatives.py — checkers of derivatives: differences, and <ct, J t> = <J^T ct, t>, through nested jvp and vjp.

Start at `linearize`, the recursion over orders of differentiation.
"""

import numpy as np

import mxform as mx
from checks import Report, assert_agree, assert_same, inexact_part, inner, pulled, pushed, random_like, subsets
from specs import EPS, name_of, to_mx, to_np


def moved(xs, ts, h):
    return [to_mx(to_np(x) + h * to_np(t), name_of(x)) for x, t in zip(xs, ts)]


def linearize(report, spec, g, xs, order, tol, path, differences):
    """Both modes at xs agree with each other (and with differences), then so do their derivatives, to `order`."""
    ys = g(*xs)
    ts, cts = random_like(spec, xs, path, "t"), random_like(spec, ys, path, "ct")
    try:
        tangents, cotangents = mx.jvp(g, xs, ts)[1], mx.vjp(g, xs, cts)[1]
        for got, like, word in ((tangents, ys, "tangent"), (cotangents, xs, "cotangent")):
            assert len(got) == len(like), f"{len(got)} {word}s, expected {len(like)}"
            for m, n in zip(got, like):
                assert tuple(m.shape) == tuple(n.shape) and name_of(m) == name_of(n), \
                    f"{word} is {name_of(m)} {tuple(m.shape)}, expected {name_of(n)} {tuple(n.shape)}"
                assert np.isfinite(to_np(m)).all(), f"{word} is not finite: {to_np(m).tolist()}"
        if differences:
            h = 1e-5
            up, down = g(*moved(xs, ts, h)), g(*moved(xs, ts, -h))
            for t, u, d in zip(tangents, up, down):
                assert_agree(to_np(t), (to_np(u) - to_np(d)) / (2 * h), 2e-6, "jvp against differences")
        forward, size = inner(cts, tangents)
        backward, other = inner(cotangents, ts)
        assert abs(forward - backward) <= tol * max(size, other, 1.0), \
            f"<ct, jvp(t)> = {forward!r} but <vjp(ct), t> = {backward!r}"
    except Exception as e:  # noqa: BLE001
        kind = "" if isinstance(e, AssertionError) else type(e).__name__ + ": "
        report.found.append(f"{path}: {kind}{str(e).strip()[:400]}")
        return
    if order > 1:
        linearize(report, spec, pushed(g, ts), xs, order - 1, tol, path + " jvp", differences)
        linearize(report, spec, pulled(g, cts), xs, order - 1, tol, path + " vjp", differences)


def check_derivatives(spec):
    """jvp = differences; <ct, jvp(t)> = <vjp(ct), t>; and again for jvp∘jvp, jvp∘vjp, vjp∘jvp, vjp∘vjp, to the row's order."""
    report = Report(spec)
    dtype = spec.main
    for cases, differences in ((spec.cases, spec.fd and dtype == "float64" and spec.ref is not None), (spec.kinks, False)):
        for case in cases:
            values = spec.make(case, dtype)
            try:
                g, xs = inexact_part(spec, case, spec.to_mx(case, values, dtype), dtype)
                if xs:
                    order = max(1, min(spec.order, spec.kink_order) if cases is spec.kinks else spec.order)
                    linearize(report, spec, g, xs, order, spec.tol, f"{case}", differences)
            except Exception as e:  # noqa: BLE001
                report.found.append(f"{case}: {type(e).__name__}: {e}")
    report.close()


def check_complex(spec):
    """Complex: the tangent is the directional derivative of the reference, and both modes are adjoint, twice."""
    report = Report(spec)
    dtype = "complex64"
    for case in spec.cases:
        values = spec.make(case, dtype)
        report.run(f"{case}", compare_complex_tangent, spec, case, values)
        try:
            g, xs = inexact_part(spec, case, spec.to_mx(case, values, dtype), dtype)
            if xs:
                linearize(report, spec, g, xs, spec.complex_order if spec.order else 1, 1e-4, f"{case}", False)
        except Exception as e:  # noqa: BLE001
            report.found.append(f"{case}: {type(e).__name__}: {e}")
    report.close()


def compare_complex_tangent(spec, case, values):
    dtype = "complex64"
    g, xs = inexact_part(spec, case, spec.to_mx(case, values, dtype), dtype)
    where = spec.differentiable(case, dtype)
    if not xs or spec.order == 0:
        return
    ts = random_like(spec, xs, "complex", repr(case))
    tangents = mx.jvp(g, xs, ts)[1]
    h, sides = 1e-6, []
    for sign in (h, -h):
        wide = [v.astype(np.complex128) if i in where else v for i, v in enumerate(values)]
        for i, t in zip(where, ts):
            wide[i] = wide[i] + sign * to_np(t)
        out = spec.ref(*wide, **case.static)
        sides.append([np.asarray(o) for o in (out if isinstance(out, (tuple, list)) else (out,)) if np.asarray(o).dtype.kind in "fc"])
    for t, u, d in zip(tangents, *sides):
        assert_agree(to_np(t), (u - d) / (2 * h), 2e-4, "jvp against differences")


def check_zero_derivative(spec):
    """What has no derivative has zero tangents and cotangents of the right shape, or says that it has none."""
    report = Report(spec)
    for case in spec.cases:
        values = spec.make(case, spec.main)
        args = spec.to_mx(case, values, spec.main)
        where = spec.differentiable(case, spec.main)
        if not where:
            continue
        report.run(f"{case}", compare_zero, spec, case, args, where)
    report.close()


def compare_zero(spec, case, args, where):
    def g(*xs):
        full = list(args)
        for i, x in zip(where, xs):
            full[i] = x
        return spec.call(case, *full)

    xs = [args[i] for i in where]
    ys = g(*xs)
    for t, y in zip(mx.jvp(g, xs, random_like(spec, xs, "zero"))[1], ys):
        assert tuple(t.shape) == tuple(y.shape), f"tangent has shape {tuple(t.shape)}, the output {tuple(y.shape)}"
        assert not to_np(t).any(), f"tangent is {to_np(t).tolist()}, expected zeros"
    cts = [m.astype(y.dtype) for m, y in zip(random_like(spec, [mx.zeros(y.shape) for y in ys], "zero ct"), ys)]
    for ct, x in zip(mx.vjp(g, xs, cts)[1], xs):
        assert tuple(ct.shape) == tuple(x.shape) and name_of(ct) == name_of(x), f"cotangent {name_of(ct)} {tuple(ct.shape)}"
        assert not to_np(ct).any(), f"cotangent is {to_np(ct).tolist()}, expected zeros"


def check_parts_and_precision(spec):
    """A derivative by some arguments is that part of the derivative by all; and in every narrower dtype it has that dtype
    and nearly the value that it has in float64."""
    report = Report(spec)
    for case in spec.cases:
        report.run(f"{case} by parts", compare_parts, spec, case)
        if spec.fd and spec.main == "float64":
            for dtype in [d for d in spec.dtypes if d in ("float32", "float16", "bfloat16")]:
                report.run(f"{case} {dtype}", compare_precision, spec, case, dtype)
    report.close()


def compare_parts(spec, case):
    args = spec.to_mx(case, spec.make(case, spec.main), spec.main)
    g, xs = inexact_part(spec, case, args, spec.main)
    if len(xs) < 2:
        return
    cts, ts = random_like(spec, g(*xs), "parts ct"), random_like(spec, xs, "parts t")
    full = mx.vjp(g, xs, cts)[1]
    for part in subsets(len(xs))[:-1]:
        def h(*some):
            every = list(xs)
            for i, x in zip(part, some):
                every[i] = x
            return g(*every)

        some = [xs[i] for i in part]
        assert_same(mx.vjp(h, some, cts)[1], [full[i] for i in part], f"vjp by {part}")
        still = [t if i in part else mx.zeros_like(t) for i, t in enumerate(ts)]
        assert_same(mx.jvp(h, some, [ts[i] for i in part])[1], mx.jvp(g, xs, still)[1], f"jvp by {part}")


def compare_precision(spec, case, dtype):
    values = spec.make(case, dtype)
    g, xs = inexact_part(spec, case, spec.to_mx(case, values, dtype), dtype)
    if not xs:
        return
    ys = g(*xs)
    where = spec.differentiable(case, dtype)
    wide = [v.astype(np.float64) if i in where else v for i, v in enumerate(values)]
    h, zs = inexact_part(spec, case, spec.to_mx(case, wide, "float64"), "float64")
    cts, ts = random_like(spec, ys, "narrow ct"), random_like(spec, xs, "narrow t")
    widened = [[m.astype(mx.float64) if name_of(m) != "complex64" else m for m in ms] for ms in (cts, ts)]
    for word, got, want, like in (("vjp", mx.vjp(g, xs, cts)[1], mx.vjp(h, zs, widened[0])[1], xs),
                                  ("jvp", mx.jvp(g, xs, ts)[1], mx.jvp(h, zs, widened[1])[1], ys)):
        for a, b, m in zip(got, want, like):
            assert name_of(a) == name_of(m), f"{word} dtype is {name_of(a)}, expected {name_of(m)}"
            assert_agree(to_np(a), to_np(b), 64 * EPS[dtype], word)
