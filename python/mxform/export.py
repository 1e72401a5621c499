"""Functions as files: ``import_function``, and several traces in one file (``exporter``). The rest is in C++
(bindings/export.cpp).
"""

from . import _core
from .io.stream import FileFormatError, MissingFileError

__all__ = ["FunctionExporter", "exporter", "import_function"]


def import_function(file, return_metadata=False):
    """Read a function from a file that ``export_function`` or ``exporter`` wrote.

    Args:
        file (str): The file.
        return_metadata (bool, optional): Return the text that was saved with the function, too. Default: ``False``.

    Returns:
        callable or tuple: Takes arrays and keywords with arrays, or a tuple or list of arrays and a dict of arrays; returns a
        tuple of arrays. It builds a graph as the original did, so it can be transformed, compiled and exported again.
        With ``return_metadata``, a tuple of it and the text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged; when called, if no trace in the file takes such inputs. Both are a
            RuntimeError too when the file is read.

    Example:
        >>> mx.export_function("square.mlxfn", mx.square, mx.array(1.0), shapeless=True)
        >>> square = mx.import_function("square.mlxfn")
        >>> mx.grad(lambda x: square(x)[0])(mx.array(3.0))
        array(6, dtype=float32)
    """
    try:
        fun = _core._import_function(file)
    except ValueError as e:
        raise FileFormatError(str(e)) from None
    except RuntimeError as e:
        raise (MissingFileError if "No such file" in str(e) else RuntimeError)(str(e)) from None
    return (fun, fun.metadata) if return_metadata else fun


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
