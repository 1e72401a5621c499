"""Function transformations: grad, value_and_grad, vjp, jvp, vmap, checkpoint and custom_function.

Each takes a function and returns a function (vjp and jvp: values at once), so they compose in any order. The
work is done in C++ (bindings/transforms.cpp, custom.cpp), one crossing for each call; here are the signatures,
the checks of what was asked for, and the documentation.
"""

import operator

from . import _core
from ._core import TransformError

__all__ = ["grad", "value_and_grad", "vjp", "jvp", "vmap", "checkpoint", "custom_function"]


def _wrap(fun, wrapper):
    """Make ``wrapper`` look like ``fun``: name, documentation, and by ``__wrapped__`` the signature."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        try:
            setattr(wrapper, name, getattr(fun, name))
        except (AttributeError, TypeError):
            pass
    wrapper.__wrapped__ = fun
    return wrapper


def _check_callable(op, fun):
    if not callable(fun):
        raise TypeError(f"[{op}] fun must be callable: {type(fun).__name__} came.")


def _size(op, name, value, least):
    """An int of at least ``least``, or None."""
    if value is None:
        return None
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"[{op}] {name} must be an int or None: {value!r} came.") from None
    if isinstance(value, bool) or size < least:
        raise ValueError(f"[{op}] {name} is {value!r}; need an int of at least {least}, or None.")
    return size


def _indices(op, argnums):
    """``argnums``, an int or a sequence of ints, as a list."""
    try:
        return [operator.index(i) for i in (argnums if isinstance(argnums, (list, tuple, range)) else (argnums,))]
    except TypeError:
        raise TypeError(f"[{op}] argnums must be an int or a list of ints: {argnums!r} came.") from None


def _differentiated(op, fun, argnums, argnames, has_aux):
    _check_callable(op, fun)
    if not isinstance(argnames, (str, list, tuple, set, frozenset, type(None))):
        raise TypeError(f"[{op}] argnames must be a string or a list of strings: {type(argnames).__name__} came.")
    names = [argnames] if isinstance(argnames, str) else list(argnames or ())
    if argnums is None:
        argnums = () if names else (0,)
    argnums = _indices(op, argnums)
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"[{op}] argnames must be a string or a list of strings: {name!r} came.")
        if name in names[:i]:
            raise TransformError(f"[{op}] argnames has {name!r} twice; need each one once.")
    if not argnums and not names:
        raise TransformError(f"[{op}] argnums and argnames are empty: no argument to differentiate; need at least one.")
    run, spec = _core._run_grad, _core._grad_spec(op, argnums, names, bool(has_aux))

    def differentiated(*args, **kwargs):
        return run(spec, fun, args, kwargs)

    return _wrap(fun, differentiated)


def value_and_grad(fun, argnums=None, argnames=[], *, has_aux=False):
    """Return a function that computes the value and the gradient of ``fun``.

    ``fun`` returns a scalar, or a tuple or list that begins with a scalar; whatever follows is passed on.
    Arguments may be trees of arrays, and Python floats count as arrays.

    Args:
        fun (callable): The function; its value must have shape ``()`` and a floating dtype.
        argnums (int or list(int), optional): Which positional arguments to differentiate. Negative ones count
            from the end. Default: ``0``, or none if ``argnames`` are given.
        argnames (str or list(str), optional): Which keyword arguments to differentiate.
        has_aux (bool): ``fun`` must return a pair ``(value, aux)``, as in JAX. Here this only adds the check.
            Default: ``False``.

    Returns:
        callable: With the arguments of ``fun``; returns ``(value, gradient)``. The gradient looks like the
        argument; for several ``argnums`` it is a tuple in the order given; with ``argnames`` it is a pair of
        that (``None`` without ``argnums``) and a dict.

    Raises:
        TransformError: When called, if the value is not a scalar or an argument has a leaf that cannot be
            differentiated; the message names it.

    Example:
        >>> def loss(w, x):
        ...     error = w * x - 1.0
        ...     return (error * error).sum(), error
        >>> (value, error), dw = mx.value_and_grad(loss)(mx.array(2.0), mx.array([1.0, 0.5]))
        >>> value, error, dw
        (array(1, dtype=float32), array([1, 0], dtype=float32), array(2, dtype=float32))
    """
    return _differentiated("value_and_grad", fun, argnums, argnames, has_aux)


def grad(fun, argnums=None, argnames=[], *, has_aux=False):
    """Return a function that computes the gradient of ``fun``, which returns a scalar.

    Args:
        fun (callable): The function; its value must have shape ``()`` and a floating dtype.
        argnums (int or list(int), optional): As for :func:`value_and_grad`.
        argnames (str or list(str), optional): As for :func:`value_and_grad`.
        has_aux (bool): ``fun`` returns a pair ``(value, aux)``, as in JAX; ``aux`` is passed on. Default: ``False``.

    Returns:
        callable: With the arguments of ``fun``; returns what :func:`value_and_grad` returns second, or a pair of
        that and ``aux``.

    Raises:
        TransformError: As for :func:`value_and_grad`.

    Example:
        >>> mx.grad(mx.grad(mx.sin))(mx.array(mx.pi / 2))
        array(-1, dtype=float32)
        >>> mx.grad(lambda x: (x * x, {"double": 2 * x}), has_aux=True)(mx.array(3.0))
        (array(6, dtype=float32), {'double': array(6, dtype=float32)})
    """
    return _differentiated("grad", fun, argnums, argnames, has_aux)


def vjp(fun, primals, cotangents):
    """Compute ``fun`` at ``primals``, and the vector-Jacobian product with ``cotangents``.

    Args:
        fun (callable): Takes as many arguments as there are ``primals``; returns an array, or a list or tuple.
            Trees of arrays may stand for arrays everywhere.
        primals (list(array)): Where to linearise.
        cotangents (list(array)): One for each output, of its shape; ``None`` is a zero.

    Returns:
        tuple(list(array), list(array)): The outputs, and one cotangent for each primal. For complex arrays the
        cotangent is multiplied by the conjugate of the derivative.

    Raises:
        TransformError: If the cotangents do not match the outputs.

    Example:
        >>> mx.vjp(mx.sin, [mx.array(0.0)], [mx.array(2.0)])
        ([array(0, dtype=float32)], [array(2, dtype=float32)])
    """
    _check_callable("vjp", fun)
    return _core._run_vjp(fun, primals, cotangents)


def jvp(fun, primals, tangents):
    """Compute ``fun`` at ``primals``, and the Jacobian-vector product with ``tangents``.

    Args:
        fun (callable): Takes as many arguments as there are ``primals``; returns an array, or a list or tuple.
            Trees of arrays may stand for arrays everywhere.
        primals (list(array)): Where to linearise.
        tangents (list(array)): One for each primal, of its shape; ``None`` is a zero.

    Returns:
        tuple(list(array), list(array)): The outputs and their tangents.

    Raises:
        TransformError: If the tangents do not match the primals.

    Example:
        >>> mx.jvp(mx.sin, [mx.array(0.0)], [mx.array(2.0)])
        ([array(0, dtype=float32)], [array(2, dtype=float32)])
    """
    _check_callable("jvp", fun)
    return _core._run_jvp(fun, primals, tangents)


def vmap(fun, in_axes=0, out_axes=0, *, axis_size=None, chunk_size=None):
    """Return ``fun``, written for one example, as a function of a batch.

    Args:
        fun (callable): Takes and returns arrays or trees of arrays. Arguments that are not arrays are passed on.
        in_axes (int, None or tree): The batch axis of each positional argument, or of each array in it: a tuple
            with one entry for each argument, in which an int or ``None`` may stand for a whole tree. ``None``
            passes an argument whole. Keyword arguments are mapped over axis 0. Default: ``0``.
        out_axes (int, None or tree): Where to put the batch axis of each output. ``None`` is for an output that
            does not depend on the batch. Default: ``0``.
        axis_size (int, optional): The size of the batch, as in JAX: for functions of which no argument is mapped.
        chunk_size (int, optional): How many examples to compute at a time, as in torch.func. Memory is that of one
            chunk and the results, which are the same, random draws included. Default: all at once.

    Returns:
        callable: The batched function.

    Raises:
        TransformError: When called, if sizes along the mapped axes differ, or nothing is mapped and ``axis_size``
            is not given.

    Example:
        >>> dot = lambda x, y: (x * y).sum()
        >>> mx.vmap(dot, in_axes=(0, None))(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([1.0, 10.0]))
        array([21, 43], dtype=float32)
        >>> mx.vmap(lambda: mx.random.normal((2,)), axis_size=3)().shape
        (3, 2)
    """
    _check_callable("vmap", fun)
    axis_size = _size("vmap", "axis_size", axis_size, 0)
    chunk_size = _size("vmap", "chunk_size", chunk_size, 1)
    run = _core._run_vmap

    def batched(*args, **kwargs):
        return run(fun, in_axes, out_axes, args, kwargs, axis_size, chunk_size)

    return _wrap(fun, batched)


def checkpoint(fun):
    """Return ``fun`` such that its gradient recomputes intermediate results instead of keeping them.

    Captured arrays get their gradients, and random draws repeat their numbers.

    Args:
        fun (callable): Takes and returns trees of arrays.

    Returns:
        callable: With the same values and gradients.

    Example:
        >>> f = mx.checkpoint(lambda x: mx.sin(mx.exp(x)).sum())
        >>> mx.grad(f)(mx.array([0.0]))
        array([0.540302], dtype=float32)
    """
    _check_callable("checkpoint", fun)
    run = _core._run_checkpoint

    def checkpointed(*args, **kwargs):
        return run(fun, args, kwargs)

    return _wrap(fun, checkpointed)


class custom_function:
    """A function with its own rules for differentiation and batching; use it as a decorator.

    Its methods ``vjp``, ``jvp`` and ``vmap`` are decorators that set a rule and return the custom function, so
    that a rule may be given the function's own name. Where no rule is given the function itself is transformed;
    of ``vjp`` and ``jvp`` each serves for the other too. In rules, a lone argument stands for itself and several
    form a tuple. Keyword arguments are passed to the rules as they are. Arrays that the function captures are
    differentiated as usual.

    Args:
        f (callable): Takes and returns trees of arrays.

    Example:
        >>> @mx.custom_function
        ... def clipped(x):
        ...     return mx.clip(x, 0.0, 1.0)
        >>> @clipped.vjp
        ... def clipped_vjp(x, cotangent, output):
        ...     return cotangent  # as if it were the identity
        >>> mx.grad(clipped)(mx.array(3.0))
        array(1, dtype=float32)
    """

    def __init__(self, f):
        _check_callable("custom_function", f)
        self._rules = [None, None, None]
        _wrap(f, self)

    def __call__(self, *args, **kwargs):
        return _core._run_custom(self.__wrapped__, *self._rules, args, kwargs)

    def __repr__(self):
        return f"custom_function({self.__wrapped__!r})"

    def _set(self, i, name, f):
        _check_callable(f"custom_function.{name}", f)
        self._rules[i] = f
        return self

    def vjp(self, f):
        """Set the reverse rule.

        Args:
            f (callable): ``f(primals, cotangents, outputs)`` returns cotangents like the primals; ``None`` is
                a zero. ``cotangents`` and ``outputs`` look like what the function returns.

        Returns:
            custom_function: The function itself.
        """
        return self._set(0, "vjp", f)

    def jvp(self, f):
        """Set the forward rule.

        Args:
            f (callable): ``f(primals, tangents)`` returns tangents like what the function returns, linear in
                ``tangents``.

        Returns:
            custom_function: The function itself.
        """
        return self._set(1, "jvp", f)

    def vmap(self, f):
        """Set the batching rule.

        Args:
            f (callable): ``f(inputs, axes)``, where ``axes`` looks like ``inputs`` with an int or ``None`` for
                each array, returns the outputs for the batch, and their axes.

        Returns:
            custom_function: The function itself.
        """
        return self._set(2, "vmap", f)
