"""checks.py — one generic checker per promise. Each takes a row of specs.py and raises with all that it found wrong.

check_value ... the NumPy reference; check_derivatives ... differences and <ct, J t> = <J^T ct, t> through nested jvp and
vjp; check_vmap ... the loop over examples; check_compile, check_checkpoint, check_layouts ... the same function made
otherwise. Start at Report and at `linearize`, the recursion over orders of differentiation.
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
        sizes = [finite, *(np.abs(v[np.isfinite(v)]) for v in values if v.dtype.kind in "fc")]
        atol = TINY[d] + (rtol * max(s.max(initial=0.0) for s in sizes) if spec.sums or d in COMPLEX else 0)
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


# ---- derivatives

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


# ---- batches

def subsets(n):
    return [s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)]


def axis_choices(ndim):
    """Where a batch axis can be: from the front and from the back."""
    return [*range(ndim + 1), *range(-ndim - 1, 0)]


class Examples:
    """`n` examples of a case: those arguments in `mapped` differ, the rest are shared."""

    def __init__(self, spec, case, dtype, mapped, n, *salt):
        self.mapped, self.n = mapped, n
        self.dtypes = spec.arg_dtypes(case, dtype)
        made = [spec.make(case, dtype, *salt, example=k) for k in range(n)]
        self.values = [[m[i] for m in made] if i in mapped else made[0][i] for i in range(len(case.args))]

    def one(self, k):
        return [to_mx(v[k] if i in self.mapped else v, d) for i, (v, d) in enumerate(zip(self.values, self.dtypes))]

    def batch(self, axes):
        """All examples at once; `axes[i]` is None where an argument is shared."""
        return [to_mx(np.stack(v, ax) if ax is not None else v, d) for v, d, ax in zip(self.values, self.dtypes, axes)]

    def axes(self, choice):
        """The choice-th way to place the batch axes."""
        out = []
        for i, v in enumerate(self.values):
            if i not in self.mapped:
                out.append(None)
                continue
            options = axis_choices(v[0].ndim)
            out.append(options[(choice + i) % len(options)])
        return tuple(out)

    def n_choices(self):
        return max(len(axis_choices(self.values[i][0].ndim)) for i in self.mapped)


def stacked(outputs, axis):
    """Outputs of examples, put together with NumPy."""
    return [np.stack([to_np(o[k]) for o in outputs], axis) for k in range(len(outputs[0]))]


def compare_arrays(got, want, dtypes, what):
    got = tuple(got) if isinstance(got, (tuple, list)) else (got,)
    assert len(got) == len(want), f"{what}: {len(got)} outputs, expected {len(want)}"
    for g, w, d in zip(got, want, dtypes):
        assert name_of(g) == d, f"{what} dtype is {name_of(g)}, expected {d}"
        assert_agree(to_np(g), w, loose(d), what)


def check_vmap(spec):
    """vmap = loop, for every subset of mapped arguments, every axis in, several out, batches of 3, 1 and 0, nested."""
    report = Report(spec)
    for case in spec.cases + spec.kinks:
        for mapped in subsets(len(case.args)):
            report.run(f"{case} mapped {mapped}", compare_vmap, spec, case, spec.main, mapped)
        if case.args:
            report.run(f"{case} nested", compare_nested, spec, case, spec.main)
            for dtype in [d for d in spec.dtypes if d != spec.main][:: max(1, len(spec.dtypes) // 4)]:
                report.run(f"{case} {dtype}", compare_vmap, spec, case, dtype, tuple(range(len(case.args))), 1)
    report.close()


def compare_vmap(spec, case, dtype, mapped, choices=None):
    def f(*args):
        return spec.call(case, *args)

    examples = Examples(spec, case, dtype, mapped, 3)
    loop = [f(*examples.one(k)) for k in range(3)]
    dtypes = [name_of(o) for o in loop[0]]
    least = min(o.ndim for o in loop[0])
    outs = axis_choices(least)
    for choice in range(choices or max(examples.n_choices(), len(outs))):
        axes, out = examples.axes(choice), outs[choice % len(outs)]
        got = mx.vmap(f, in_axes=axes, out_axes=out)(*examples.batch(axes))
        compare_arrays(got, stacked(loop, out), dtypes, f"in_axes={axes}, out_axes={out}")
    single = Examples(spec, case, dtype, mapped, 1)
    axes = single.axes(1)
    got = mx.vmap(f, in_axes=axes)(*single.batch(axes))
    compare_arrays(got, stacked([f(*single.one(0))], 0), dtypes, f"batch of 1, in_axes={axes}")
    none = [to_mx(np.take(np.stack(v, ax), [], ax) if ax is not None else v, d)
            for v, d, ax in zip(examples.values, examples.dtypes, examples.axes(1))]
    got = mx.vmap(f, in_axes=examples.axes(1))(*none)
    for g, o in zip(got if isinstance(got, (tuple, list)) else (got,), loop[0]):
        assert tuple(g.shape) == (0, *o.shape), f"batch of 0: shape is {tuple(g.shape)}, expected {(0, *o.shape)}"
        assert name_of(g) == name_of(o), f"batch of 0: dtype is {name_of(g)}, expected {name_of(o)}"
        mx.eval(g)


def compare_nested(spec, case, dtype):
    """Outer and inner batches, of all arguments, and of different ones."""
    def f(*args):
        return spec.call(case, *args)

    n = len(case.args)
    every = tuple(range(n))
    plans = [(every, every)] + ([((0,), every[1:]), (every[1:], (0,))] if n > 1 else [])
    for outer, inner_ in plans:
        grid = [[spec.make(case, dtype, i, example=j) for j in range(2)] for i in range(3)]
        pick = lambda i, j, k: grid[i if k in outer else 0][j if k in inner_ else 0][k]  # noqa: E731
        dtypes = spec.arg_dtypes(case, dtype)
        loop = [[f(*[to_mx(pick(i, j, k), dtypes[k]) for k in every]) for j in range(2)] for i in range(3)]
        args, in_axes, out_axes = [], [], []
        for k in every:
            v = np.stack([np.stack([pick(i, j, k) for j in range(2)]) for i in range(3)])  # (3, 2, ...)
            if k not in inner_:
                v = v[:, 0]
                in_axes.append(None)
            else:
                v = np.moveaxis(v, 1, -1)
                in_axes.append(-1)
            if k not in outer:
                v = v[0]
                out_axes.append(None)
            else:
                ax = min(1, v.ndim - 1)
                v = np.moveaxis(v, 0, ax)
                out_axes.append(ax)
            args.append(to_mx(v, dtypes[k]))
        got = mx.vmap(mx.vmap(f, in_axes=tuple(in_axes), out_axes=-1), in_axes=tuple(out_axes))(*args)
        want = [np.stack([np.stack([to_np(loop[i][j][o]) for j in range(2)], -1) for i in range(3)]) for o in range(len(loop[0][0]))]
        compare_arrays(got, want, [name_of(o) for o in loop[0][0]], f"outer {outer} inner {inner_}")


def check_vmap_of_derivatives(spec):
    """vmap∘vjp, vmap∘jvp, vjp∘vmap and jvp∘vmap against loops over the examples, for every subset of mapped arguments."""
    report = Report(spec)
    for case in spec.cases + spec.kinks:
        if not spec.differentiable(case, spec.main):
            continue
        for mapped in subsets(len(case.args)):
            report.run(f"{case} mapped {mapped}", compare_vmap_of_derivatives, spec, case, mapped)
    report.close()


def compare_vmap_of_derivatives(spec, case, mapped):
    dtype = spec.main
    where = spec.differentiable(case, dtype)
    examples = Examples(spec, case, dtype, mapped, 3)
    g0, xs0 = inexact_part(spec, case, examples.one(0), dtype)
    if not xs0:
        return
    cts, ts = random_like(spec, g0(*xs0), "ct"), random_like(spec, xs0, "t")
    in_dtypes, out_dtypes = [name_of(x) for x in xs0], [name_of(c) for c in cts]

    def pull(*args):
        g, xs = inexact_part(spec, case, list(args), dtype)
        return tuple(mx.vjp(g, xs, cts)[1])

    def push(*args):
        g, xs = inexact_part(spec, case, list(args), dtype)
        return tuple(mx.jvp(g, xs, ts)[1])

    pulls, pushes = ([h(*examples.one(k)) for k in range(3)] for h in (pull, push))
    for choice in (0, 1):
        axes = examples.axes(choice)
        batch = examples.batch(axes)
        compare_arrays(mx.vmap(pull, in_axes=axes)(*batch), stacked(pulls, 0), in_dtypes, f"vmap of vjp, in_axes={axes}")
        compare_arrays(mx.vmap(push, in_axes=axes)(*batch), stacked(pushes, 0), out_dtypes, f"vmap of jvp, in_axes={axes}")

        def batched(*xs):
            full = list(batch)
            for i, x in zip(where, xs):
                full[i] = x
            out = mx.vmap(lambda *a: tuple(o for o in spec.call(case, *a) if inexact(name_of(o))), in_axes=axes)(*full)
            return tuple(out) if isinstance(out, (tuple, list)) else (out,)

        points = [batch[i] for i in where]
        repeated = [to_mx(np.stack([to_np(c)] * 3), name_of(c)) for c in cts]
        got = mx.vjp(batched, points, repeated)[1]
        for slot, i in enumerate(where):
            each = [to_np(p[slot]) for p in pulls]
            want = np.stack(each, axes[i]) if i in mapped else np.sum(each, 0)
            assert_agree(to_np(got[slot]), want, loose(in_dtypes[slot]), f"vjp of vmap, in_axes={axes}, argument {i}")
        along = [to_mx(np.stack([to_np(t)] * 3, axes[i]) if i in mapped else to_np(t), name_of(t)) for i, t in zip(where, ts)]
        got = mx.jvp(batched, points, along)[1]
        compare_arrays(got, stacked(pushes, 0), out_dtypes, f"jvp of vmap, in_axes={axes}")


# ---- compile and checkpoint

def check_compile(spec):
    """compile(f) = f for every case and dtype in turn, and so for its transformations."""
    report = Report(spec)
    for case in spec.cases:
        compiled = mx.compile(lambda *args, case=case: spec.call(case, *args))
        for dtype in spec.dtypes[:3]:
            for example in range(2):
                args = spec.to_mx(case, spec.make(case, dtype, example=example), dtype)
                report.run(f"{dtype} {case}", lambda: assert_same(compiled(*args), spec.call(case, *args), "compiled", scale=0.05))
        report.run(f"transformed {case}", compare_compiled_transforms, spec, case)
    report.close()


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
