"""specs_fast.py — rows of mx.fast, against NumPy."""

import numpy as np

import mxform as mx
from specs import C, a, at, ix, mask, row

F = mx.fast


def fast(name, f, ref, *cases, **kw):
    """Computed in at least float32 and rounded once."""
    return row(name, f, ref, *cases, sums=True, **{"ulp": 8, **kw})


# ---- norms

def mean(x):
    return x.sum(-1, keepdims=True) / max(1, x.shape[-1])


def rms_norm(x, w=None, eps=1e-5):
    y = x / np.sqrt(mean(x * x) + eps)
    return y if w is None else y * w


def layer_norm(x, w=None, b=None, eps=1e-5):
    x = x - mean(x)
    y = x / np.sqrt(mean(x * x) + eps)
    return y * (1 if w is None else w) + (0 if b is None else b)


def mx_layer_norm(x, *vectors, weight=True, bias=True, eps=1e-5):
    vectors = list(vectors)
    return F.layer_norm(x, vectors.pop(0) if weight else None, vectors.pop(0) if bias else None, eps)


def np_layer_norm(x, *vectors, weight=True, bias=True, eps=1e-5):
    vectors = list(vectors)
    return layer_norm(x, vectors.pop(0) if weight else None, vectors.pop(0) if bias else None, eps)


NORMS = [
    fast("rms_norm", lambda x, w=None, eps=1e-5: F.rms_norm(x, w, eps), rms_norm, C(a(2, 3), a(3)), C(a(3)), C(a(2, 2, 4)), C(a(4), a(4), eps=0.1),
         C(a(0, 3), a(3)), C(a(2, 0), a(0)), C(a(2, 1), a(1)), order=3, big=[C(a(70, 1000), a(1000)), C(a(300, 70))], kinks=[C(at([[0.0, 0.0], [1.0, 1.0]]))]),
    fast("layer_norm", mx_layer_norm, np_layer_norm, C(a(2, 3), a(3), a(3)), C(a(2, 3), weight=False, bias=False), C(a(2, 3), a(3), bias=False, eps=0.1),
         C(a(2, 2, 3), a(3), weight=False), C(a(4), a(4), a(4)), C(a(0, 3), a(3), a(3)), C(a(2, 0), weight=False, bias=False), order=3,
         big=[C(a(70, 1000), a(1000), a(1000)), C(a(300, 70), a(70), weight=False)], ulp=16, kinks=[C(at([[1.0, 1.0], [2.0, 0.0]]), weight=False, bias=False)]),
]


# ---- rope

def turned(x, offset, freqs=None, dims=None, traditional=False, base=None, scale=1.0):
    t, half = x.shape[-2], dims // 2
    rate = 1 / freqs if freqs is not None else base ** (-np.arange(half) / half)
    position = (np.reshape(offset, (-1,) + (1,) * (x.ndim - 2)) + np.arange(t)) * scale
    angle = position[..., None] * rate
    c, s = np.cos(angle), np.sin(angle)
    y = np.array(x)
    first, second = (slice(0, dims, 2), slice(1, dims, 2)) if traditional else (slice(0, half), slice(half, dims))
    u, v = x[..., first], x[..., second]
    y[..., first], y[..., second] = u * c - v * s, u * s + v * c
    return y


def rope(x, offset, freqs=None, dims=None, **kw):
    return F.rope(x, dims, **{"traditional": False, "base": None, "scale": 1.0, **kw}, offset=offset, freqs=freqs)


def offset(*values):
    return at(values if len(values) > 1 else values[0], "int32")


ROPE = [
    fast("rope", rope, turned, C(a(2, 3, 4), offset(0), dims=4, base=100.0), C(a(2, 2, 3, 5), offset(3), dims=4, base=10000.0, traditional=True),
         C(a(2, 2, 2, 4), offset(5, 9), dims=2, base=10.0, scale=0.5), C(a(1, 2, 4), offset(-2), a(2, lo=0.5, hi=3.0), dims=4),
         C(a(2, 2, 4), offset(1, 2), a(2, lo=1.0, hi=3.0), dims=4, traditional=True, scale=2.0), C(a(2, 0, 2), offset(1), dims=2, base=10.0),
         order=3, ulp=16, big=[C(a(2, 3, 130, 64), offset(7), dims=64, base=10000.0), C(a(3, 100, 80), offset(4, 100, 9), dims=64, base=10000.0, traditional=True)]),
]


# ---- cross entropy

def cross_entropy(x, t):
    lse = np.logaddexp.reduce(x, -1)
    return lse - np.take_along_axis(x, t[..., None].astype(int), -1)[..., 0]


LOSS = [
    fast("cross_entropy", F.cross_entropy, cross_entropy, C(a(3, 4), ix(3, n=4)), C(a(5), ix(n=5)), C(a(2, 2, 3), ix(2, 2, n=3, lo=-3)), C(a(0, 3), ix(0, n=3)),
         C(a(2, 1), ix(2, n=1)), order=3, out=lambda d: d if d == "float64" else "float32", big=[C(a(30, 3000), ix(30, n=3000)), C(a(400, 11), ix(400, n=11))],
         edges=[C(at([[np.inf, 1.0], [-np.inf, 1.0], [1e30, -1e30], [np.nan, 1.0]]), at([1, 0, 1, 1], "int32"))]),
]


# ---- attention

def attention(q, k, v, *rest, which="", causal=False, scale=0.7):
    rest = list(rest)
    m = rest.pop(0) if "m" in which else None
    sinks = rest.pop(0) if "s" in which else None
    group = q.shape[1] // k.shape[1] if k.shape[1] else 1
    k, v = k.repeat(group, 1), v.repeat(group, 1)
    s = scale * np.einsum("bhid,bhjd->bhij", q, k)
    tq, tk = s.shape[-2:]
    lowest = np.finfo(np.float32).min
    if causal:
        s = np.where(np.arange(tk) <= np.arange(tq)[:, None] + tk - tq, s, lowest)
    if m is not None:
        s = np.where(m, s, lowest) if m.dtype == bool else s + m
    if sinks is not None:
        s = np.concatenate([np.broadcast_to(sinks[:, None, None], s.shape[:-1] + (1,)), s], -1)
    top = s.max(-1, keepdims=True) if s.shape[-1] else 0
    e = np.exp(s - top)
    w = e / e.sum(-1, keepdims=True)
    return (w[..., 1:] if sinks is not None else w) @ v


def mx_attention(q, k, v, *rest, which="", causal=False, scale=0.7):
    rest = list(rest)
    m = rest.pop(0) if "m" in which else "causal" if causal else None
    return F.scaled_dot_product_attention(q, k, v, scale=scale, mask=m, sinks=rest.pop(0) if "s" in which else None)


ATTENTION = [
    fast("scaled_dot_product_attention", mx_attention, attention, C(a(1, 1, 2, 2), a(1, 1, 3, 2), a(1, 1, 3, 2)),
         C(a(1, 2, 2, 2), a(1, 1, 3, 2), a(1, 1, 3, 1), causal=True), C(a(1, 2, 2, 1), a(1, 2, 2, 1), a(1, 2, 2, 2), a(2, 2), a(2), which="ms"),
         C(a(0, 2, 2, 2), a(0, 1, 3, 2), a(0, 1, 3, 2)), C(a(1, 1, 0, 2), a(1, 1, 2, 2), a(1, 1, 2, 2)),
         C(a(1, 1, 2, 2), a(1, 1, 0, 2), a(1, 1, 0, 2)), C(a(1, 1, 2, 0), a(1, 1, 2, 0), a(1, 1, 2, 2)), order=2,
         kinks=[C(a(1, 1, 3, 2), a(1, 1, 2, 2), a(1, 1, 2, 2), causal=True), C(a(1, 1, 2, 2), a(1, 1, 2, 2), a(1, 1, 2, 1), mask(2, 2), which="m"),
                C(a(1, 1, 2, 1), a(1, 1, 2, 1), a(1, 1, 2, 1), at([[False, False], [True, False]], "bool_"), a(1), which="ms")],
         kink_order=1,
         big=[C(a(2, 4, 130, 24), a(2, 2, 300, 24), a(2, 2, 300, 40), causal=True), C(a(1, 8, 1, 32), a(1, 2, 600, 32), a(1, 2, 600, 32)),
              C(a(1, 4, 50, 16), a(1, 2, 270, 16), a(1, 2, 270, 8), mask(4, 50, 270), a(4), which="ms"),
              C(a(2, 2, 20, 8), a(2, 2, 30, 8), a(2, 2, 30, 8), a(2, 1, 1, 30), which="m")]),
]


# ---- the gated delta rule

def delta(q, k, v, gamma, beta, state=None, m=None):
    b, steps, n, e = v.shape
    group = n // q.shape[2]
    q, k = q.repeat(group, 2), k.repeat(group, 2)
    gamma = gamma[..., None] if gamma.ndim == 3 else gamma
    s = np.zeros((b, n, e, q.shape[-1])) if state is None else state
    ys = np.zeros(v.shape)
    for t in range(steps):
        scaled = s * gamma[:, t, :, None, :]
        d = beta[:, t, :, None] * (v[:, t] - np.einsum("bnek,bnk->bne", scaled, k[:, t]))
        new = scaled + d[..., None] * k[:, t, :, None, :]
        on = np.ones((b, 1, 1, 1), bool) if m is None else m[:, t].astype(bool)[:, None, None, None]
        ys[:, t] = np.where(on[..., 0], np.einsum("bnek,bnk->bne", new, q[:, t]), 0)
        s = np.where(on, new, s)
    return ys, s


def delta_case(t, *more, b=1, m=1, n=1, d=2, e=2, features=False, **kw):
    gamma = a(b, t, n, d, lo=0.2, hi=1.0) if features else a(b, t, n, lo=0.2, hi=1.0)
    return C(a(b, t, m, d), a(b, t, m, d, lo=-0.7, hi=0.7), a(b, t, n, e), gamma, a(b, t, n, lo=0.1, hi=1.0), *more, **kw)


def state_type(d):
    return d if d == "float64" else "float32"


DELTA = [
    fast("gated_delta_update", F.gated_delta_update, delta, delta_case(2), delta_case(1, a(1, 1, 1, 2), e=1), delta_case(0, a(1, 1, 2, 2)), order=2,
         out=(lambda d: d, state_type), big=[delta_case(70, b=2, m=2, n=4, d=40, e=30, features=True)]),
    fast("gated_delta_update_heads", lambda *x: F.gated_delta_update(*x[:-1], mask=x[-1]), lambda *x: delta(*x[:-1], m=x[-1]),
         delta_case(3, at([[True, False, True]], "bool_"), n=2, d=1, e=1), delta_case(2, at([[1, 1]], "int32"), features=True, e=1), order=1,
         out=(lambda d: d, state_type), big=[delta_case(20, mask(2, 20), b=2, m=1, n=2, d=8, e=9)]),
]

SPECS = NORMS + ROPE + LOSS + ATTENTION + DELTA
