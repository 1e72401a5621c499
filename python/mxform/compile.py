"""Compilation: ``compile`` traces a function once for each kind of call and then runs the simplified graph.

Traces are kept by the returned function (bindings/compile.cpp); nothing is compiled to machine code by an
outside compiler, so the first call costs milliseconds.
"""

import os

from . import _core
from ._core import disable_compile, enable_compile
from .transforms import _check_callable, _wrap
from .tree import tree_flatten

_LEAF = tree_flatten(0)[1]

__all__ = ["compile", "disable_compile", "enable_compile"]


def compile(fun, inputs=None, outputs=None, shapeless=False):
    """Return a function that computes the same as ``fun``, from a graph traced once and simplified.

    ``fun`` runs when a call differs from all before in its containers, in the dtype or shape of an array, or in
    the type or value of any other argument (which must be hashable). Otherwise only its trace runs: it should have
    no side effects. Arrays that it captures are constants, unless they are in ``inputs``. At most 512
    traces are kept, the least recently used goes first.

    Args:
        fun (callable): Takes and returns trees of arrays; other values may be among them.
        inputs (list or dict, optional): Containers that ``fun`` reads beside its arguments, such as
            ``[model.state, mx.random.state]``. Their arrays are read anew in every call; values that are not
            arrays are constants.
        outputs (list or dict, optional): Containers that ``fun`` changes. They are updated in place by every call.
        shapeless (bool, optional): Accepted for compatibility: a new shape is traced anew, so the result is
            never that of another shape. Default: ``False``.

    Returns:
        callable: The compiled function. Its attribute ``cache`` tells how often and why it was traced
        (``n_traces``, ``reason``), what was captured (``captured``), and prints the trace (``graph``).

    Raises:
        TransformError: When called, if an argument is neither an array nor hashable, or if ``fun`` asks for the
            value of an array while it is traced.

    Example:
        >>> f = mx.compile(lambda x, n: x * n)
        >>> f(mx.array([1.0, 2.0]), 3), f(mx.array([3.0, 4.0]), 3)
        (array([3, 6], dtype=float32), array([9, 12], dtype=float32))
        >>> f.cache.n_traces
        1
    """
    _check_callable("compile", fun)
    for name, state in (("inputs", inputs), ("outputs", outputs)):
        if tree_flatten(state)[1] == _LEAF:
            raise TypeError(f"[compile] {name} must be a container of arrays, such as a list or dict: {type(state).__name__} came.")
    run, cache = _core._run_compiled, _core._CompileCache()

    def compiled(*args, **kwargs):
        return run(cache, fun, inputs, outputs, args, kwargs)

    compiled.cache = cache
    return _wrap(fun, compiled)


if os.environ.get("MXFORM_DISABLE_COMPILE", "0").lower() not in ("", "0", "false"):
    disable_compile()
