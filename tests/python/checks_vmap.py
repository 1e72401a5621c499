"""checks_vmap.py — checkers of batches: vmap, alone and with derivatives, against loops over the examples.

Start at Examples, which makes the batch, and compare_vmap.
"""

import numpy as np

import mxform as mx
from checks import Report, assert_agree, inexact_part, loose, random_like, subsets
from specs import inexact, name_of, to_mx, to_np


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
