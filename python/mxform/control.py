"""Control flow that is part of the graph: cond, switch, scan, while_loop, fori_loop, map and associative_scan.

A Python ``if`` or ``for`` is run while a function is traced: it cannot depend on computed values, and a loop
becomes as many operations as it has steps. These functions trace each body once, whatever it is run on, and
work under every transformation. Names and argument order are those of ``jax.lax``. The loops are C++
(bindings/control.cpp, csrc/control).
"""

from . import _core
from ._core import array, concatenate
from .transforms import _check_callable, vmap
from .tree import tree_flatten, tree_map, tree_unflatten

__all__ = ["cond", "switch", "scan", "while_loop", "fori_loop", "map", "associative_scan"]


def cond(pred, true_fun, false_fun, *operands):
    """Return ``true_fun(*operands)`` or ``false_fun(*operands)``, as ``pred`` says; only that one is computed.

    Follows ``jax.lax.cond``. Under ``vmap`` with a predicate for each example both are computed.

    Args:
        pred (array or bool): One boolean, shape ``()``.
        true_fun (callable): Takes the operands; returns a tree of arrays.
        false_fun (callable): The same; its result must have the same structure, shapes and dtypes.
        operands: Trees of arrays. Arrays may also be captured.

    Returns:
        tree of array: The result of the chosen function.

    Raises:
        ValueError: If the predicate is no single boolean or the results differ in type.

    Example:
        >>> f = lambda x: mx.cond(x > 0, mx.sqrt, mx.abs, x)
        >>> f(mx.array(4.0)), mx.grad(f)(mx.array(-4.0))
        (array(2, dtype=float32), array(-1, dtype=float32))
    """
    _check_callable("cond", true_fun)
    _check_callable("cond", false_fun)
    return _core._run_switch(pred, (false_fun, true_fun), operands, "cond")


def switch(index, branches, *operands):
    """Return ``branches[index](*operands)``; only that branch is computed.

    Follows ``jax.lax.switch``: an index out of range is clamped. Under ``vmap`` with an index for each example all
    branches are computed.

    Args:
        index (array or int): An integer, shape ``()``.
        branches (list(callable)): Take the operands; return trees of arrays of the same structure, shapes and dtypes.
        operands: Trees of arrays. Arrays may also be captured.

    Returns:
        tree of array: The result of the chosen branch.

    Raises:
        ValueError: If there is no branch, the index is no integer, or the results differ in type.

    Example:
        >>> mx.switch(mx.array(2), [mx.sin, mx.cos, mx.square], mx.array(3.0))
        array(9, dtype=float32)
    """
    branches = tuple(branches)
    for branch in branches:
        _check_callable("switch", branch)
    return _core._run_switch(index, branches, operands, "switch")


def scan(f, init, xs=None, length=None, reverse=False):
    """Run ``f`` along the first axis of ``xs``, carrying values from step to step.

    The same as::

        carry, ys = init, []
        for x in xs:
            carry, y = f(carry, x)
            ys.append(y)
        return carry, mx.stack(ys)

    but ``f`` is traced once. Follows ``jax.lax.scan``. Reverse mode keeps the carry of every step and computes the
    rest again; put a scan into a scan to keep fewer.

    Args:
        f (callable): ``f(carry, x) -> (carry, y)``; the new carry has the structure, shapes and dtypes of the old.
        init (tree of array): The first carry.
        xs (tree of array, optional): Each with the steps along axis 0.
        length (int, optional): The number of steps; needed without ``xs``.
        reverse (bool, optional): From the last step to the first. Default: ``False``.

    Returns:
        tuple: The last carry, and the ys stacked along a new axis 0 (in the order of the xs).

    Raises:
        ValueError: If the carry changes its type, or the xs differ in length; the message names the leaf.

    Example:
        >>> mx.scan(lambda total, x: (total + x, total * x), mx.array(0.0), mx.array([1.0, 2.0, 3.0]))
        (array(6, dtype=float32), array([0, 2, 9], dtype=float32))
    """
    _check_callable("scan", f)
    return _core._run_scan(f, init, xs, length, reverse)


def while_loop(cond_fun, body_fun, init_val, *, max_steps=None):
    """Replace a value by ``body_fun`` of it as long as ``cond_fun`` of it is true.

    Follows ``jax.lax.while_loop``. Forward mode and ``vmap`` work for every loop. Reverse mode keeps the value of each
    step and needs a bound on their number: pass ``max_steps``, after which the loop ends in any case.

    Args:
        cond_fun (callable): Takes the value; returns one boolean.
        body_fun (callable): Takes the value; returns one of the same structure, shapes and dtypes.
        init_val (tree of array): The first value.
        max_steps (int, optional): The bound.

    Returns:
        tree of array: The last value.

    Raises:
        ValueError: If the value changes its type or the condition is no single boolean.
        TransformError: From reverse mode without ``max_steps``.

    Example:
        >>> mx.while_loop(lambda x: x < 100, lambda x: x * 2, mx.array(3))
        array(192, dtype=int32)
    """
    _check_callable("while_loop", cond_fun)
    _check_callable("while_loop", body_fun)
    return _core._run_while(cond_fun, body_fun, init_val, max_steps)


def fori_loop(lower, upper, body_fun, init_val):
    """Replace a value by ``body_fun(i, value)`` for ``i`` from ``lower`` to ``upper - 1``.

    Follows ``jax.lax.fori_loop``. With Python integers as bounds the loop is a :func:`scan`, with reverse mode; with
    arrays it is a :func:`while_loop` without.

    Args:
        lower (int or array): The first index.
        upper (int or array): The index after the last.
        body_fun (callable): Takes the index (int32, or the dtype of the bounds) and the value; returns the next value.
        init_val (tree of array): The first value.

    Returns:
        tree of array: The last value.

    Raises:
        ValueError: If the value changes its type.

    Example:
        >>> mx.fori_loop(1, 5, lambda i, x: x * i, mx.array(1))
        array(24, dtype=int32)
    """
    _check_callable("fori_loop", body_fun)
    if not isinstance(lower, array) and not isinstance(upper, array):
        indices = _core.arange(lower, max(lower, upper), dtype=_core.int32)
        return scan(lambda value, i: (body_fun(i, value), None), init_val, indices)[0]
    lower, upper = (x if isinstance(x, array) else array(x) for x in (lower, upper))
    dtype = _core.result_type(lower, upper)
    upper = upper.astype(dtype)
    step = lambda state: (state[0] + 1, body_fun(state[0], state[1]))  # noqa: E731
    return while_loop(lambda state: state[0] < upper, step, (lower.astype(dtype), init_val))[1]


def map(f, xs, *, batch_size=None):
    """Apply ``f`` to each element along the first axis of ``xs`` and stack the results.

    Follows ``jax.lax.map``: like ``vmap(f)(xs)``, but one element after the other, so that only one needs memory.

    Args:
        f (callable): Takes one element of ``xs`` (a tree of arrays); returns a tree of arrays.
        xs (tree of array): Each with the elements along axis 0.
        batch_size (int, optional): How many elements to compute at once, by ``vmap``. Default: ``1``, without.

    Returns:
        tree of array: The results along a new axis 0.

    Raises:
        ValueError: If the xs differ in length or ``batch_size`` is not positive.

    Example:
        >>> mx.map(lambda x: x.sum(), mx.array([[1, 2], [3, 4], [5, 6]]))
        array([3, 7, 11], dtype=int32)
    """
    _check_callable("map", f)
    if batch_size is None:
        return scan(lambda _, x: (None, f(x)), None, xs)[1]
    if batch_size < 1:
        raise ValueError(f"[map] batch_size is {batch_size}; need at least 1.")
    leaves, _ = tree_flatten(xs)
    n = leaves[0].shape[0] if leaves else 0
    whole = n - n % batch_size
    several = vmap(f)
    parts = []
    if whole:
        chunks = tree_map(lambda x: x[:whole].reshape(-1, batch_size, *x.shape[1:]), xs)
        ys = scan(lambda _, x: (None, several(x)), None, chunks)[1]
        parts.append(tree_map(lambda y: y.reshape(-1, *y.shape[2:]), ys))
    if whole < n or not parts:
        parts.append(several(tree_map(lambda x: x[whole:], xs)))
    return parts[0] if len(parts) == 1 else tree_map(lambda *ys: concatenate(ys), *parts)


def associative_scan(fn, elems, reverse=False, axis=0):
    """Combine the elements along an axis cumulatively with an associative function, in logarithmic depth.

    Follows ``jax.lax.associative_scan``. Element ``i`` of the result is ``fn(fn(e[0], e[1]), ...), e[i])``, computed
    as a tree (Blelloch, "Prefix sums and their applications", 1990).

    Args:
        fn (callable): ``fn(a, b)`` for two trees like ``elems`` with any number of elements along ``axis``, element by
            element; must be associative.
        elems (tree of array): All with the same size along ``axis``.
        reverse (bool, optional): Begin at the end. Default: ``False``.
        axis (int, optional): Default: ``0``.

    Returns:
        tree of array: Like ``elems``.

    Raises:
        ValueError: If the sizes along ``axis`` differ.

    Example:
        >>> mx.associative_scan(mx.multiply, mx.array([1, 2, 3, 4]))
        array([1, 2, 6, 24], dtype=int32)
    """
    _check_callable("associative_scan", fn)
    arrays, structure = tree_flatten(elems)
    if not arrays:
        return elems
    sizes = {x.shape[axis] for x in arrays}
    if len(sizes) > 1:
        raise ValueError(f"[associative_scan] elems have sizes {sorted(sizes)} along axis {axis}; need equal ones.")

    def combine(a, b):
        return tree_flatten(fn(tree_unflatten(structure, a), tree_unflatten(structure, b)))[0]

    def take(arrays, start, stop=None, step=1):
        return [x[_along(x.ndim, axis, start, stop, step)] for x in arrays]

    def prefixes(arrays):
        n = arrays[0].shape[axis]
        if n < 2:
            return arrays
        # Pairs first: their prefixes are those of every second element.
        odd = prefixes(combine(take(arrays, 0, n - 1, 2), take(arrays, 1, None, 2)))
        later = take(arrays, 2, None, 2)
        even = combine(take(odd, 0, later[0].shape[axis]), later) if later[0].shape[axis] else later
        return [_interleave(concatenate([first, e], axis=axis), o, axis) for first, e, o in zip(take(arrays, 0, 1), even, odd)]

    if reverse:
        return tree_unflatten(structure, take(prefixes(take(arrays, None, None, -1)), None, None, -1))
    return tree_unflatten(structure, prefixes(arrays))


def _along(ndim, axis, start, stop, step):
    """The index that takes ``start:stop:step`` along one axis."""
    index = [slice(None)] * ndim
    index[axis] = slice(start, stop, step)
    return tuple(index)


def _interleave(even, odd, axis):
    """``even[0], odd[0], even[1], ...``; ``even`` may have one more."""
    axis = axis % even.ndim
    n = odd.shape[axis]
    first = even[_along(even.ndim, axis, None, n, 1)]
    pairs = _core.stack([first, odd], axis=axis + 1)
    mixed = pairs.reshape(*even.shape[:axis], 2 * n, *even.shape[axis + 1:])
    rest = even[_along(even.ndim, axis, n, None, 1)]
    return concatenate([mixed, rest], axis=axis) if rest.shape[axis] else mixed
