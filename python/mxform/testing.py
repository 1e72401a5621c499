"""Checks of derivatives, for tests of functions and of custom rules."""

from . import _core as mx
from .transforms import _check_callable, jvp, vjp
from .tree import tree_flatten, tree_leaves, tree_unflatten

__all__ = ["check_grads"]


def _in_double(x):
    """``x`` as a float64 array if it is a floating array or a float, else as it is."""
    if isinstance(x, float) or isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.floating):
        return mx.array(x, mx.float64)
    return x


def _moves(x):
    return isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.inexact)


def _random_like(xs, key):
    out = []
    for x in xs:
        key, k0, k1 = mx.random.split(key, 3)
        t = mx.random.normal(x.shape, key=k0)
        if x.dtype == mx.complex64:
            t = t + 1j * mx.random.normal(x.shape, key=k1)
        out.append(t.astype(x.dtype))
    return out


def _inner(xs, ys):
    """The real inner product of two lists of arrays."""
    total = 0.0
    for x, y in zip(xs, ys):
        total += mx.real(mx.conjugate(x) * y).astype(mx.float64).sum().item()
    return total


def _compare(what, got, need, rtol, atol):
    for i, (a, b) in enumerate(zip(got, need)):
        if not mx.allclose(a, b, rtol=rtol, atol=atol).item():
            raise AssertionError(f"[check_grads] {what} is wrong at output {i}:\n{a}\ncame;\n{b}\nby central differences.")


def _check(f, xs, order, modes, eps, rtol, atol, key, name):
    key, key_t, key_ct, key_next = mx.random.split(key, 4)
    ts = _random_like(xs, key_t)
    ahead = f(*[x + eps * t for x, t in zip(xs, ts)])
    behind = f(*[x - eps * t for x, t in zip(xs, ts)])
    need = [(a - b) / (2 * eps) for a, b in zip(ahead, behind)]
    if "fwd" in modes:
        _, got = jvp(f, xs, ts)
        _compare(f"jvp of {name}", got, need, rtol, atol)
        if order > 1:
            _check(lambda *ys: jvp(f, ys, ts)[1], xs, order - 1, modes, eps, rtol, atol, key_next, f"jvp of {name}")
    if "rev" in modes:
        cts = _random_like(need, key_ct)
        _, got = vjp(f, xs, cts)
        a, b = mx.array(_inner(got, ts), mx.float64), mx.array(_inner(cts, need), mx.float64)
        _compare(f"vjp of {name} (its product with a tangent)", [a], [b], rtol, atol)
        if order > 1:
            _check(lambda *ys: vjp(f, ys, cts)[1], xs, order - 1, modes, eps, rtol, atol, key_next, f"vjp of {name}")


def check_grads(f, args, order=1, modes=("fwd", "rev"), *, eps=None, rtol=None, atol=None, seed=0):
    """Compare derivatives of ``f`` with central differences along random directions, in float64.

    Floating arrays and floats among the arguments are converted to float64; complex arrays keep complex64, which
    allows only coarse differences. Other arguments and outputs are not differentiated.

    Args:
        f (callable): Takes and returns trees of arrays.
        args (tuple): Its arguments.
        order (int): Up to which derivative; order 2 checks jvp and vjp of each jvp and vjp. Default: ``1``.
        modes (sequence of str): ``"fwd"`` for jvp, ``"rev"`` for vjp. Default: both.
        eps (float, optional): Half of the step. Default: ``1e-5``; ``1e-2`` if an argument is complex.
        rtol (float, optional): Relative tolerance. Default: ``1e-5``; ``2e-2`` if an argument is complex.
        atol (float, optional): Absolute tolerance. Default: as ``rtol``.
        seed (int): For the directions. Default: ``0``.

    Raises:
        AssertionError: If a derivative is wrong; the message says which.

    Example:
        >>> from mxform.testing import check_grads
        >>> check_grads(lambda x, y: (x * mx.sin(y)).sum(), (mx.array([1.0, 2.0]), 0.5), order=2)
    """
    _check_callable("check_grads", f)
    unknown = set(modes) - {"fwd", "rev"}
    if unknown or order < 1:
        raise ValueError(f"[check_grads] modes are 'fwd' and 'rev', order is at least 1: modes={modes!r} and order={order} came.")
    leaves, structure = tree_flatten(tuple(args))
    leaves = [_in_double(x) for x in leaves]
    places = [i for i, x in enumerate(leaves) if _moves(x)]
    if not places:
        raise ValueError("[check_grads] no floating or complex array among the arguments; need at least one.")

    def of_arrays(*xs):
        full = list(leaves)
        for i, x in zip(places, xs):
            full[i] = x
        return [y for y in tree_leaves(f(*tree_unflatten(structure, full))) if _moves(y)]

    xs = [leaves[i] for i in places]
    coarse = any(x.dtype == mx.complex64 for x in xs)
    eps = eps if eps is not None else (1e-2 if coarse else 1e-5)
    rtol = rtol if rtol is not None else (2e-2 if coarse else 1e-5)
    atol = atol if atol is not None else rtol
    _check(of_arrays, xs, order, modes, eps, rtol, atol, mx.random.key(seed), "f")
