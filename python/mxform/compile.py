"""Compilation: ``compile`` traces a function once for each kind of call and then runs the simplified graph.

Traces are kept by the returned function (bindings/compile.cpp); nothing is compiled to machine code by an
outside compiler, so the first call costs microseconds beside the function's own.
"""

import os

from . import _core
from ._core import disable_compile, enable_compile
from .transforms import _check_callable, _wrap
from .tree import tree_flatten

_LEAF = tree_flatten(0)[1]

__all__ = ["compile", "compile_info", "disable_compile", "enable_compile"]


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
        callable: The compiled function. :func:`compile_info` tells what was traced and why. Its attribute ``cache`` tells
        how often and why it was traced (``n_traces``, ``reason``), what was captured (``captured``), and prints
        the trace used last (``graph``).

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
    cache = _core._CompileCache()
    compiled = _core._compiled(cache, fun, inputs, outputs)
    compiled.cache = cache
    return _wrap(fun, compiled)


class TraceInfo:
    """One trace of a compiled function, as ``compile_info`` found it.

    Attributes:
        signature (str): Parameters with the types of arrays and the values of constants.
        calls (int): How many calls it served.
        reason (str): Why the function was traced.
        operations (int): How many operations the function called.
        steps (int): How many of them are left to run: a fused group is one, views count too.
        groups (int): How many fused groups there are.
        fused (int): How many operations are in them.
        flops (int): Arithmetic of one call, counted as ``make_program`` counts it.
        bytes (int): Memory that one call reads and writes, counted like that.
        temporary_bytes (int): Memory for values that are neither arguments nor results, at the same time; 0 before the
            first evaluation.
        captured (list(array)): Arrays taken from outside as constants.
    """

    __slots__ = ("signature", "calls", "reason", "operations", "steps", "groups", "fused", "flops", "bytes", "temporary_bytes", "captured")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)

    def __repr__(self):
        text = (
            f"({self.signature}): {_count(self.calls, 'call')}; traced because: {self.reason}\n"
            f"  {_count(self.operations, 'operation')} -> {_count(self.steps, 'step')}, {self.fused} fused in {_count(self.groups, 'group')}\n"
            f"  {self.flops} flops, {self.bytes} bytes, {self.temporary_bytes} temporary bytes"
        )
        if self.captured:
            shown = ", ".join(f"{str(a.dtype).rpartition('.')[2]}{list(a.shape)}" for a in self.captured[:8])
            text += f"\n  captured: {shown}" + (f", and {len(self.captured) - 8} more" if len(self.captured) > 8 else "")
        return text


class CompileInfo:
    """What ``compile_info`` returns.

    Attributes:
        name (str): The function's name.
        n_traces (int): How often it was traced.
        traces (list(TraceInfo)): The traces that are kept, the most recently used first.
    """

    __slots__ = ("name", "n_traces", "traces")

    def __init__(self, name, n_traces, traces):
        self.name, self.n_traces, self.traces = name, n_traces, traces

    def __repr__(self):
        head = f"{self.name}: traced {_count(self.n_traces, 'time')}, {_count(len(self.traces), 'trace')} kept"
        return "\n".join([head] + [f"[{i}] {t!r}" for i, t in enumerate(self.traces)])


def _count(n, what):
    return f"{n} {what}{'' if n == 1 else 's'}"


def compile_info(fun):
    """Return what is known of a compiled function: its traces, why each was made, and what one call of each costs.

    Args:
        fun (callable): What :func:`compile` returned.

    Returns:
        CompileInfo: With fields ``name``, ``n_traces`` and ``traces``; printed, it is a table. Each trace has fields
        ``signature``, ``calls``, ``reason``, ``operations``, ``steps``, ``groups``, ``fused``, ``flops``, ``bytes``,
        ``temporary_bytes`` and ``captured``.

    Raises:
        TypeError: If ``fun`` is not a compiled function.

    Example:
        >>> f = mx.compile(lambda x, n: mx.tanh(x) * n + 1)
        >>> _ = f(mx.array([1.0, 2.0]), 2), f(mx.array([1.0, 2.0]), 2), f(mx.array([1.0, 2.0]), 3)
        >>> info = mx.compile_info(f)
        >>> info.n_traces, [t.calls for t in info.traces], info.traces[0].reason
        (2, [1, 2], 'n is int 3, not int 2')
        >>> info.traces[0].signature
        'x: float32[2], n=3'
    """
    cache = getattr(fun, "cache", None)
    if not isinstance(cache, _core._CompileCache):
        raise TypeError(f"[compile_info] fun must be what mx.compile returned: {type(fun).__name__} came.")
    inner = getattr(fun, "__wrapped__", fun)
    traces = [TraceInfo(**fields) for fields in _core._compile_info(cache, inner)]
    return CompileInfo(getattr(inner, "__name__", type(inner).__name__), cache.n_traces, traces)


if os.environ.get("MXFORM_DISABLE_COMPILE", "0").lower() not in ("", "0", "false"):
    disable_compile()
