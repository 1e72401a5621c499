"""linearize, vjp_fn and the Jacobians on every row of the table: each equals jvp and vjp there, batched too."""

import numpy as np
import pytest

import mxform as mx
from checks import inexact_part, random_like
from specs import inexact, load, to_np

ROWS = [s for s in load() if inexact(s.main) and any(s.differentiable(c, s.main) for c in s.cases)]


def agree(got, need, tol, what):
    for a, b in zip(got, need, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.dtype} {a.shape}, expected {b.dtype} {b.shape}"
        np.testing.assert_allclose(to_np(a), to_np(b), rtol=tol, atol=tol, err_msg=what)


def as_matrix(blocks, ys, xs):
    return np.block([[to_np(b).reshape(y.size, x.size) for b, x in zip(row, xs)] for row, y in zip(blocks, ys)])


@pytest.mark.parametrize("spec", ROWS, ids=[s.name for s in ROWS])
def test_recorded_derivatives_are_those_of_jvp_and_vjp(spec):
    case = spec.cases[0]
    dtype = spec.main
    g, xs = inexact_part(spec, case, spec.to_mx(case, spec.make(case, dtype), dtype), dtype)
    if not xs:
        return
    ys, f_jvp = mx.linearize(g, *xs)
    _, f_vjp = mx.vjp_fn(g, *xs)
    ts, cts = random_like(spec, xs, "t"), random_like(spec, ys, "ct")
    moved, pulled = mx.jvp(g, xs, ts)[1], mx.vjp(g, xs, cts)[1]
    agree(list(f_jvp(*ts)), moved, spec.tol, "linearize")
    agree(list(f_vjp(type(ys)(cts))), pulled, spec.tol, "vjp_fn")
    batch = [mx.stack([t, 2 * t]) for t in ts]
    agree(list(mx.vmap(f_jvp)(*batch)), [mx.stack([t, 2 * t]) for t in moved], spec.tol, "vmap of linearize")
    if any(a.dtype != mx.float64 for a in [*xs, *ys]) or sum(x.size for x in xs) > 30 or sum(y.size for y in ys) > 30:
        return
    every = tuple(range(len(xs)))
    forward = as_matrix(mx.jacfwd(g, every, chunk_size=7)(*xs), ys, xs)
    reverse = as_matrix(mx.jacrev(g, every)(*xs), ys, xs)
    np.testing.assert_allclose(forward, reverse, rtol=spec.tol, atol=spec.tol)
    flat = np.concatenate([to_np(t).ravel() for t in ts])
    need = np.concatenate([to_np(t).ravel() for t in moved])
    np.testing.assert_allclose(forward @ flat, need, rtol=spec.tol, atol=10 * spec.tol)
