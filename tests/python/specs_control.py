"""specs_control.py — rows of control flow: loops and branches as functions of arrays, against the same in NumPy."""

import numpy as np

import mxform as mx
from specs import INT32, IS_BOOL, SAME, C, a, at, row

FLOATS = ("float32", "float64")


def recurrence(carry, xs, w, reverse=False):
    """A carry of two, a captured array, ys that depend on both."""
    def step(c, x):
        h, n = c
        h = mx.tanh(w * h + x)
        return (h, n + h), h * x

    (h, n), ys = mx.scan(step, (carry, mx.zeros_like(carry)), xs, reverse=reverse)
    return h, n, ys


def recurrence_ref(carry, xs, w, reverse=False):
    h, n, ys = carry, np.zeros_like(carry), np.zeros_like(xs)
    for i in range(len(xs))[:: -1 if reverse else 1]:
        h = np.tanh(w * h + xs[i])
        n, ys[i] = n + h, h * xs[i]
    return h, n, ys


def nested(x):
    """A scan in a scan, with a branch inside."""
    def inner(c, y):
        return mx.cond(mx.sum(y) > 0, lambda c: c * mx.sin(y), lambda c: c + y, c), None

    return mx.scan(lambda c, rows: (mx.scan(inner, c, rows)[0], c), mx.ones_like(x[0, 0]), x)


def nested_ref(x):
    c, ys = np.ones_like(x[0, 0]), []
    for rows in x:
        ys.append(c)
        for y in rows:
            c = c * np.sin(y) if y.sum() > 0 else c + y
    return c, np.stack(ys)


def until(x, w):
    """Multiplies until the sum is large; the number of steps depends on the values."""
    return mx.while_loop(lambda s: mx.sum(mx.abs(s)) < 30.0, lambda s: s * w + x, x, max_steps=9)


def until_ref(x, w):
    s, n = x, 0
    while np.abs(s).sum() < 30.0 and n < 9:
        s, n = s * w + x, n + 1
    return s


def chosen(i, x, y):
    return mx.switch(i, [lambda x: x * y, mx.sin, lambda x: mx.exp(y) + x], x)


def chosen_ref(i, x, y):
    return [x * y, np.sin(x), np.exp(y) + x][int(np.clip(i, 0, 2))]


def condition(x, y):
    return mx.cond(mx.sum(x) > 0, lambda a, b: (a * b, a), lambda a, b: (mx.cos(a) + b, b * b), x, y)


def condition_ref(x, y):
    return (x * y, x) if x.sum() > 0 else (np.cos(x) + y, y * y)


def powers(x):
    return mx.fori_loop(0, 3, lambda i, v: v * x + i.astype(x.dtype), mx.ones_like(x))


def powers_ref(x):
    v = np.ones_like(x)
    for i in range(3):
        v = v * x + i
    return v


def affine(a, b):
    """Compositions of x -> a x + b, by an associative scan of pairs."""
    return tuple(mx.associative_scan(lambda f, g: (f[0] * g[0], f[1] * g[0] + g[1]), (a, b)))


def affine_ref(a, b):
    out = [(a[0], b[0])] if len(a) else []
    for p, q in zip(a[1:], b[1:]):
        out.append((out[-1][0] * p, out[-1][1] * p + q))
    return (np.stack([o[0] for o in out]), np.stack([o[1] for o in out])) if out else (a, b)


def control(name, f, ref, *cases, **kw):
    kw.setdefault("dtypes", FLOATS)
    return row(name, f, ref, *cases, sums=True, ulp=32, **kw)


def counted(x, n):
    """Integer and boolean carries beside a floating one."""
    def step(c, v):
        s, k, seen = c
        return (s * v + k.astype(v.dtype), k + 1, mx.logical_or(seen, v > 0)), k

    (s, k, seen), ks = mx.scan(step, (mx.ones_like(x[0]) if len(x) else mx.ones(x.shape[1:], x.dtype), n, mx.zeros(x.shape[1:], mx.bool_)), x)
    return s, k, seen, ks


def counted_ref(x, n):
    s, k, seen, ks = np.ones(x.shape[1:], x.dtype), n, np.zeros(x.shape[1:], bool), []
    for v in x:
        ks.append(k)
        s, k, seen = s * v + k.astype(x.dtype), k + 1, seen | (v > 0)
    return s, k, seen, np.array(ks, n.dtype)


def rotation(z, x):
    """A complex carry, also squared."""
    return mx.scan(lambda c, v: (c * v + mx.square(c) * 0.25, c), z, x)


def rotation_ref(z, x):
    cs = []
    for v in x:
        cs.append(z)
        z = z * v + z * z * np.asarray(0.25, z.dtype)
    return z, np.stack(cs)


STEPS = [C(a(2), a(3, 2), a(2)), C(a(), a(4), a()), C(a(2), a(0, 2), a(2)), C(a(2), a(3, 2), a(2), reverse=True)]

SPECS = [
    control("scan", recurrence, recurrence_ref, *STEPS, order=3),
    control("scan_of_halves", recurrence, recurrence_ref, *STEPS[:2], dtypes=("float16", "bfloat16"), fd=False, tol=1e-2),
    control("scan_of_complex", rotation, rotation_ref, C(a(2), a(3, 2)), C(a(), a(2)), dtypes=("complex64",), tol=1e-5),
    control("scan_of_integers", counted, counted_ref, C(a(3, 2), at(2, "int32")), C(a(2), at(0, "int32")),
            out=(SAME, INT32, IS_BOOL, INT32)),
    control("scan_nested", nested, nested_ref, C(a(2, 3, 2)), C(a(3, 1, 1))),
    control("while_loop", until, until_ref, C(a(2), a(2, lo=1.2, hi=1.9)), C(a(), a(lo=1.1, hi=1.9)), domain=(0.5, 2.0)),
    control("switch", chosen, chosen_ref, C(at(0, "int32"), a(2), a(2)), C(at(1, "int32"), a(2, 2), a(2, 2)), C(at(2, "int32"), a(), a()),
            C(at(7, "int32"), a(2), a(2)), C(at(-3, "int32"), a(2), a(2)), order=3),
    control("cond", condition, condition_ref, C(a(2, lo=0.5), a(2)), C(a(2, hi=-0.5), a(2)), C(a(), a()), order=3),
    control("fori_loop", powers, powers_ref, C(a(2)), C(a())),
    control("associative_scan", affine, affine_ref, C(a(5), a(5)), C(a(2, 3), a(2, 3)), C(a(1), a(1)), C(a(0), a(0))),
    control("while_loop_of_complex", until, until_ref, C(a(2), a(2)), dtypes=("complex64",), domain=(0.5, 2.0), tol=1e-5),
    control("cond_of_halves", condition, condition_ref, C(a(2, lo=0.5), a(2)), C(a(2, hi=-0.5), a(2)), dtypes=("float16",), fd=False, tol=1e-2),
    control("map", lambda x: mx.map(lambda r: mx.sin(r).sum(), x), lambda x: np.sin(x).sum(-1), C(a(3, 2)), C(a(1, 4))),
    control("map_in_batches", lambda x: mx.map(lambda r: mx.sin(r).sum(), x, batch_size=2), lambda x: np.sin(x).sum(-1),
            C(a(5, 2)), C(a(4, 2)), C(a(1, 2)), C(a(0, 2))),
]
