"""Derivatives as matrices and as linear maps: jacfwd, jacrev, hessian, hvp, linearize and vjp_fn.

MLX has none of these; names, arguments and results are those of JAX or torch.func, as each docstring says. The
work is done in C++ (bindings/derivatives.cpp, csrc/transforms/jacobian.cpp and linearize.cpp): the function runs
once, its derivative in one batch.
"""

from . import _core
from .transforms import _check_callable, _indices, _size, _wrap

__all__ = ["jacfwd", "jacrev", "hessian", "hvp", "linearize", "vjp_fn"]


def _jacobian(op, forward, fun, argnums, has_aux, holomorphic, chunk_size):
    _check_callable(op, fun)
    chunk_size = _size(op, "chunk_size", chunk_size, 1)
    several = isinstance(argnums, (list, tuple, range))
    spec = _core._jacobian_spec(op, forward, _indices(op, argnums), several, bool(has_aux), bool(holomorphic), chunk_size)
    run = _core._run_jacobian

    def jacobian(*args, **kwargs):
        return run(spec, fun, args, kwargs)

    return _wrap(fun, jacobian)


def jacfwd(fun, argnums=0, has_aux=False, *, holomorphic=False, chunk_size=None):
    """Return a function that computes the Jacobian of ``fun`` by forward mode.

    The right choice for few inputs and many outputs: the cost is that of one :func:`jvp` for each element of the
    inputs, done as one batch. ``fun`` itself runs once. As ``jax.jacfwd``, with ``chunk_size`` as in ``torch.func``.

    Args:
        fun (callable): Takes and returns arrays or trees of arrays.
        argnums (int or list(int)): Which positional arguments to differentiate; negative ones count from the end.
            Default: ``0``.
        has_aux (bool): ``fun`` returns a pair ``(output, aux)``; ``aux`` is passed on. Default: ``False``.
        holomorphic (bool): The differentiated arguments and the outputs are complex, and ``fun`` is holomorphic:
            the Jacobian is its complex derivative. Default: ``False``.
        chunk_size (int, optional): How many columns to compute at a time, to bound memory. Default: all at once.

    Returns:
        callable: With the arguments of ``fun``; returns the Jacobian: the output's tree, with the argument's tree
        (a tuple of them, if ``argnums`` is a sequence) in place of each array. Each block has the shape of the
        output followed by that of the argument, and the dtype of the output. With ``has_aux`` it is a pair of that
        and ``aux``.

    Raises:
        TransformError: When called, if an array among the differentiated arguments or the outputs cannot be
            differentiated; the message names it.

    Example:
        >>> f = lambda x: mx.stack([x[0] * x[1], x[0] + x[1], x[1] ** 2])
        >>> mx.jacfwd(f)(mx.array([2.0, 3.0]))
        array([[3, 2],
               [1, 1],
               [0, 6]], dtype=float32)
    """
    return _jacobian("jacfwd", True, fun, argnums, has_aux, holomorphic, chunk_size)


def jacrev(fun, argnums=0, has_aux=False, *, holomorphic=False, chunk_size=None):
    """Return a function that computes the Jacobian of ``fun`` by reverse mode.

    The right choice for few outputs and many inputs: the cost is that of one :func:`vjp` for each element of the
    outputs, done as one batch. ``fun`` itself runs once. As ``jax.jacrev``, with ``chunk_size`` as in ``torch.func``.

    Args:
        fun (callable): As for :func:`jacfwd`.
        argnums (int or list(int)): As for :func:`jacfwd`.
        has_aux (bool): As for :func:`jacfwd`.
        holomorphic (bool): As for :func:`jacfwd`.
        chunk_size (int, optional): How many rows to compute at a time, to bound memory. Default: all at once.

    Returns:
        callable: With the arguments of ``fun``; returns the Jacobian as :func:`jacfwd` does, but each block has the
        dtype of the argument.

    Raises:
        TransformError: As for :func:`jacfwd`; also for complex outputs of real arguments, which only forward mode
            can differentiate.

    Example:
        >>> f = lambda p: {"mean": (p["w"] * p["x"]).mean()}
        >>> mx.jacrev(f)({"w": mx.array([1.0, 2.0]), "x": mx.array([4.0, 8.0])})
        {'mean': {'w': array([2, 4], dtype=float32), 'x': array([0.5, 1], dtype=float32)}}
    """
    return _jacobian("jacrev", False, fun, argnums, has_aux, holomorphic, chunk_size)


def hessian(fun, argnums=0, has_aux=False, *, holomorphic=False, chunk_size=None):
    """Return a function that computes the second derivatives of ``fun``: forward over reverse mode.

    As ``jax.hessian``: ``jacfwd(jacrev(fun))``. :func:`hvp` is far cheaper when only products are needed.

    Args:
        fun (callable): As for :func:`jacfwd`; mostly it returns a scalar.
        argnums (int or list(int)): As for :func:`jacfwd`.
        has_aux (bool): As for :func:`jacfwd`.
        holomorphic (bool): As for :func:`jacfwd`.
        chunk_size (int, optional): How many columns to compute at a time, to bound memory. Default: all at once.

    Returns:
        callable: With the arguments of ``fun``; returns the output's tree, with the argument's tree of argument's
        trees in place of each array. Each block has the shape of the output followed by those of two arguments.

    Raises:
        TransformError: As for :func:`jacrev`.

    Example:
        >>> mx.hessian(lambda x: x[0] ** 2 * x[1])(mx.array([1.0, 3.0]))
        array([[6, 2],
               [2, 0]], dtype=float32)
    """
    gradient = _jacobian("hessian", False, fun, argnums, has_aux, holomorphic, chunk_size)
    return _jacobian("hessian", True, gradient, argnums, has_aux, holomorphic, chunk_size)


def hvp(fun, primals, tangents, *, has_aux=False):
    """Compute ``fun`` at ``primals``, and the product of its Hessian with ``tangents``.

    Forward over reverse mode: a few times the cost of ``fun``, whatever the number of inputs. Arguments as for
    :func:`jvp`, results as of ``torch.autograd.functional.hvp``.

    Args:
        fun (callable): Takes as many arguments as there are ``primals``, which may be trees; returns a scalar.
        primals (list(array)): Where to differentiate.
        tangents (list(array)): One for each primal, of its shape; ``None`` is a zero.
        has_aux (bool): ``fun`` returns a pair ``(value, aux)``; ``aux`` is passed on. Default: ``False``.

    Returns:
        tuple(array, list(array)): The value, and a product for each primal, like it; with ``has_aux`` also ``aux``.

    Raises:
        TransformError: If the value is not a real floating scalar, a primal cannot be differentiated, or the
            tangents do not match the primals.

    Example:
        >>> value, (product,) = mx.hvp(lambda x: (x ** 3).sum(), [mx.array([1.0, 2.0])], [mx.array([1.0, 0.0])])
        >>> value, product
        (array(9, dtype=float32), array([6, 0], dtype=float32))
    """
    _check_callable("hvp", fun)
    return _core._run_hvp(fun, primals, tangents, bool(has_aux))


def linearize(fun, *primals, has_aux=False):
    """Compute ``fun`` at ``primals``, and return its derivative there as a linear function of tangents.

    Worth more than :func:`jvp` when there are several tangents for the same point: ``fun`` runs once, and what its
    derivative needs is computed once and kept until the linear function is gone. That function is a graph, so it
    can be transformed like any other: batched, compiled, transposed by :func:`vjp`. As ``jax.linearize``.

    Args:
        fun (callable): Takes and returns arrays or trees of arrays.
        *primals (array): Where to linearise.
        has_aux (bool): ``fun`` returns a pair ``(output, aux)``; ``aux`` is passed on. Default: ``False``.

    Returns:
        tuple(array, callable): The output, and ``f_jvp(*tangents)``, which takes one tangent for each primal (a
        tree like it; ``None`` is a zero) and returns tangents like the output; with ``has_aux`` also ``aux``.

    Raises:
        TransformError: If a primal or an output is not an array; by ``f_jvp`` if tangents do not match the primals.

    Example:
        >>> y, f_jvp = mx.linearize(mx.sin, mx.array([0.0, mx.pi]))
        >>> f_jvp(mx.array([1.0, 1.0])), f_jvp(mx.array([2.0, 3.0]))
        (array([1, -1], dtype=float32), array([2, -3], dtype=float32))
    """
    _check_callable("linearize", fun)
    output, linear, aux = _core._run_linearize(fun, primals, bool(has_aux))
    run = _core._run_pushforward

    def f_jvp(*tangents):
        return run(linear, tangents)

    return (output, f_jvp, aux) if has_aux else (output, f_jvp)


def vjp_fn(fun, *primals, has_aux=False):
    """Compute ``fun`` at ``primals``, and return its vector-Jacobian product there as a function of cotangents.

    What :func:`vjp` computes at once, for several cotangents, or for one that is only known after the output is:
    ``fun`` and its backward pass run once, as for :func:`linearize`. As ``jax.vjp``.

    Args:
        fun (callable): Takes and returns arrays or trees of arrays.
        *primals (array): Where to linearise.
        has_aux (bool): ``fun`` returns a pair ``(output, aux)``; ``aux`` is passed on. Default: ``False``.

    Returns:
        tuple(array, callable): The output, and ``f_vjp(cotangents)``, which takes a tree like the output (``None``
        is a zero) and returns a tuple with a cotangent for each primal, like it; with ``has_aux`` also ``aux``. For
        complex arrays the cotangent is multiplied by the conjugate of the derivative, as by :func:`vjp`.

    Raises:
        TransformError: If a primal or an output is not an array; by ``f_vjp`` if cotangents do not match the output.

    Example:
        >>> y, f_vjp = mx.vjp_fn(lambda x, y: x * y, mx.array(2.0), mx.array(3.0))
        >>> f_vjp(mx.array(1.0)), f_vjp(y)
        ((array(3, dtype=float32), array(2, dtype=float32)), (array(18, dtype=float32), array(12, dtype=float32)))
    """
    _check_callable("vjp_fn", fun)
    output, linear, aux = _core._run_vjp_fn(fun, primals, bool(has_aux))
    run = _core._run_pullback

    def f_vjp(cotangents):
        return run(linear, cotangents)

    return (output, f_vjp, aux) if has_aux else (output, f_vjp)
