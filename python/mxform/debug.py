"""Seeing what happens: programs as text, types without computing, values while a program runs, the first NaN.

The work is done in C++ (bindings/program.cpp, bindings/debug.cpp).
"""

from . import _core
from .transforms import _check_callable, _wrap
from .tree import tree_flatten, tree_unflatten

__all__ = ["ShapeDtypeStruct", "debug_nans", "debug_print", "eval_shape", "make_program"]


class ShapeDtypeStruct:
    """The shape and dtype of an array, without its values.

    Args:
        shape (list(int)): The shape.
        dtype (Dtype): The dtype.

    Example:
        >>> x = mx.ShapeDtypeStruct((2, 3), mx.float16)
        >>> x.size, x.nbytes
        (6, 12)
    """

    __slots__ = ("shape", "dtype")

    def __init__(self, shape, dtype):
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "dtype", dtype)

    def __setattr__(self, name, value):
        raise AttributeError(f"ShapeDtypeStruct is immutable: {name} cannot be set.")

    def __reduce__(self):
        return type(self), (self.shape, self.dtype)

    @property
    def ndim(self):
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """The number of elements."""
        n = 1
        for size in self.shape:
            n *= size
        return n

    @property
    def itemsize(self):
        """The size of an element in bytes."""
        return self.dtype.size

    @property
    def nbytes(self):
        """The size in bytes."""
        return self.size * self.itemsize

    def __eq__(self, other):
        if not isinstance(other, ShapeDtypeStruct):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self):
        return hash((self.shape, self.dtype))

    def __repr__(self):
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={str(self.dtype).rpartition('.')[2]})"


def make_program(fun, *, fused=False):
    """Return a function that shows what ``fun`` does, operation by operation, without computing it.

    Called with arguments for ``fun``, it runs ``fun`` on arrays without values and returns the operations that were
    called: with their parameters, the types of their results, the lines that called them, and what they cost. It
    works on transformed functions, too; what a derivative calls is shown with the line of the operation it is the
    derivative of.

    Args:
        fun (callable): Takes and returns trees of arrays; other values may be among them.
        fused (bool, optional): Show the programs into which compiled functions fuse elementwise operations. Else
            they are shown by their operations. Default: ``False``.

    Returns:
        callable: With the arguments of ``fun``, where anything with a ``shape`` and a ``dtype`` may stand for an
        array; returns a :class:`Program`, to be printed.

    Raises:
        TransformError: When called, if ``fun`` asks for the value of an array.

    Example:
        >>> program = mx.make_program(lambda x: (x * x).sum())(mx.zeros((4,)))
        >>> print(program.text(lines=False))
        program <lambda>: 2 steps, 8 flops, 68 bytes
          %0 float32[4] = input x
          %1 float32[4] = multiply(%0, %0)
          %2 float32[] = sum(%1, axes=(0,), keepdims=False)
          return %2
        >>> program.counts(), program.output_types
        ({'multiply': 1, 'sum': 1}, ShapeDtypeStruct(shape=(), dtype=float32))
    """
    _check_callable("make_program", fun)

    def traced(*args, **kwargs):
        return _core._make_program(fun, args, kwargs, bool(fused))

    return _wrap(fun, traced)


def eval_shape(fun, *args, **kwargs):
    """Find the shapes and dtypes that ``fun`` returns, without computing anything.

    Args:
        fun (callable): Takes and returns trees of arrays; other values may be among them.
        *args: Its arguments. Anything with a ``shape`` and a ``dtype`` may stand for an array.
        **kwargs: Its keyword arguments.

    Returns:
        What ``fun`` returns, with a :class:`ShapeDtypeStruct` for each array.

    Raises:
        TransformError: If ``fun`` asks for the value of an array.

    Example:
        >>> x = mx.ShapeDtypeStruct((100000, 100000), mx.float32)
        >>> mx.eval_shape(lambda x: {"product": x @ x.T, "sum": x.sum(0)}, x)
        {'product': ShapeDtypeStruct(shape=(100000, 100000), dtype=float32), 'sum': ShapeDtypeStruct(shape=(100000,), dtype=float32)}
    """
    _check_callable("eval_shape", fun)
    return _core._eval_shape(fun, args, kwargs)


class debug_nans:
    """Switch the search for the first NaN on or off; as a context manager, for a block.

    While it is on, evaluation stops at the first operation whose result has a NaN though its inputs have none, and
    raises a :class:`NanError`, a ``FloatingPointError``, that names the operation, its inputs and the line that called
    it. This also works in compiled functions, and for derivatives, where the line is that of the operation whose
    derivative it is. NaN that is already in the data is passed over, and so are views of it.

    Operations are computed when their values are needed: arrays must be evaluated while it is on, and lines are known
    of what was called while it was on. NaN in a branch that ``where`` throws away is found, too. It costs a pass over the
    inputs and outputs of all operations.

    Args:
        enabled (bool, optional): Whether to switch it on. Default: ``True``.

    Raises:
        TypeError: If ``enabled`` is no bool.

    Example:
        >>> with mx.debug_nans():
        ...     y = mx.log(mx.array([1.0, -1.0]))
        ...     try:
        ...         mx.eval(y + 1)
        ...     except mx.NanError as error:
        ...         print(str(error).split(" (made at")[0])
        [log] made the first NaN: 1 of 2 elements of the result, float32(2,), at (1,), where the input is -1.
    """

    def __init__(self, enabled=True):
        if not isinstance(enabled, bool):
            raise TypeError(f"[debug_nans] enabled must be a bool: {type(enabled).__name__} came.")
        self._before = _core._debug_nans(enabled)

    def __enter__(self):
        return self

    def __exit__(self, exc_type=None, exc_value=None, traceback=None):
        _core._debug_nans(self._before)


class _Shown:
    """An array in a format string: numbers without ``array()``, a format specification for each of them."""

    def __init__(self, x):
        self._x = x

    def __format__(self, spec):
        if not spec:
            return str(self)
        return _each(self._x.tolist(), spec)

    def __str__(self):
        text = repr(self._x)
        text = text[text.index("(") + 1 : text.rindex(", dtype=")]
        return text.replace("\n      ", "\n")

    def __repr__(self):
        return repr(self._x)

    def __getattr__(self, name):
        return getattr(self._x, name)

    def __getitem__(self, index):
        return _Shown(self._x[index])


def _each(value, spec):
    if isinstance(value, list):
        return "[" + ", ".join(_each(v, spec) for v in value) + "]"
    return format(value, spec)


class _Anything:
    """Stands for an array whose values are not known yet, to see whether a format string fits the arguments."""

    def __format__(self, spec):
        return ""

    def __getattr__(self, name):
        return self

    def __getitem__(self, index):
        return self


def debug_print(fmt, /, *args, **kwargs):
    """Print values of arrays, also from functions that are traced.

    Where values can be computed they are printed at once. In a function that is being traced, each evaluation of
    the traced function prints: once for each call of a compiled function and each step of a loop, and under ``vmap``
    once for each example. Gradients print the forward values, once. Nothing is printed by a call whose results
    are never computed, nor by exported functions.

    Args:
        fmt (str): A format string, as for ``str.format``. A specification such as ``{:.3f}`` applies to each element.
        *args: What to print: arrays, trees of arrays, or other values.
        **kwargs: The same by name.

    Raises:
        IndexError, KeyError: If ``fmt`` names an argument that is not given.
        TypeError: If ``fmt`` is no str.

    Example:
        >>> @mx.compile
        ... def f(x):
        ...     y = x * 2
        ...     mx.debug_print("y = {}, norm {n:.2f}", y, n=mx.linalg.norm(y))
        ...     return y + 1
        >>> f(mx.array([1.0, 2.0]))
        y = [2, 4], norm 4.47
        array([3, 5], dtype=float32)
    """
    if not isinstance(fmt, str):
        raise TypeError(f"[debug_print] fmt must be a str: {type(fmt).__name__} came.")
    leaves, structure = tree_flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, _core.array)]

    def text(values):
        shown = list(leaves)
        for i, value in zip(places, values):
            shown[i] = value
        args, kwargs = tree_unflatten(structure, shown)
        return fmt.format(*args, **kwargs)

    text([_Anything() for _ in places])
    arrays = [leaves[i] for i in places]
    for i in places:
        leaves[i] = None  # their memory is not held until it is printed
    _core._debug_print(fmt, lambda values: print(text([_Shown(v) for v in values])), arrays)
