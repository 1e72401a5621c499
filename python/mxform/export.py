"""Functions as files, several traces in one: ``exporter``. The rest is in C++ (bindings/export.cpp)."""

from . import _core

__all__ = ["FunctionExporter", "exporter"]


class FunctionExporter:
    """Writes traces of a function to a file; made by ``exporter``.

    Call it with example inputs, once for each kind. The file is written by ``close``, or at the end of a ``with`` block.
    """

    def __init__(self, file, fun, shapeless=False, metadata=None):
        if metadata is not None and not isinstance(metadata, str):
            raise TypeError(f"[exporter] metadata must be a str: {type(metadata).__name__} came.")
        self._exporter = _core._Exporter(fun, file, bool(shapeless), metadata or "")

    def __call__(self, *args, **kwargs):
        """Trace the function for inputs like these.

        Args:
            *args (array): Example inputs; or one tuple or list of them, and a dict of inputs by name.
            **kwargs (array): Example inputs by name.

        Raises:
            ValueError: If an input or output is no array, or if the function cannot be exported.
            RuntimeError: If the file is closed, or has a trace for such inputs already.
        """
        self._exporter.add(*args, **kwargs)

    def close(self):
        """Write the file. Nothing can be added afterwards."""
        self._exporter.close()

    def __enter__(self):
        return self

    def __exit__(self, exc_type=None, exc_value=None, traceback=None):
        self.close()


def exporter(file, fun, *, shapeless=False, metadata=None):
    """Return an object that writes several traces of a function to one file.

    The imported function chooses the trace by its inputs: their number, names, dtypes and shapes.

    Args:
        file (str): Where to write.
        fun (callable): Takes arrays; returns an array, or a tuple or list of arrays.
        shapeless (bool, optional): Whether inputs may have other sizes than the examples; see ``export_function``.
            Default: ``False``.
        metadata (str, optional): A text to save with the function.

    Returns:
        FunctionExporter: To be called with example inputs; closed by ``close`` or as a context manager.

    Raises:
        RuntimeError: If the file cannot be written.

    Example:
        >>> def total(*xs):
        ...     return sum(xs)
        >>> with mx.exporter("total.mlxfn", total) as export:
        ...     export(mx.array(1))
        ...     export(mx.array(1), mx.array(2))
        >>> mx.import_function("total.mlxfn")(mx.array(3), mx.array(4))
        (array(7, dtype=int32),)
    """
    return FunctionExporter(file, fun, shapeless, metadata)
