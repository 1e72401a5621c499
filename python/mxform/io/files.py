"""The functions that save and load arrays. Which of them reads or writes what is in docs/files.md."""

from importlib import import_module

from .. import _core as mx
from . import memory
from .stream import FileFormatError, open_sink, open_source, path_of

__all__ = ["load", "save", "save_gguf", "save_safetensors", "savez", "savez_compressed"]


def _format(name):
    """The module of a format, imported when it is first needed: they take longer than all the rest of mxform."""
    return import_module(f".{name}", __package__)


def save(file, arr):
    """Save an array in the ``.npy`` format of NumPy.

    Args:
        file (str, pathlib.Path or file object): Where to. ``.npy`` is appended to a path that does not end so. A
            file object must be opened in binary mode; it is written to from where it is, and left open.
        arr (array): What to save. bfloat16 is written as ``V2``, which NumPy reads as raw bytes.

    Raises:
        TypeError: If ``arr`` is not an array.
        OSError: If the file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> mx.save(file, mx.array([1.0, 2.0]))
        >>> file.seek(0)
        0
        >>> mx.load(file, format="npy")
        array([1, 2], dtype=float32)
    """
    memory.check_arrays("save", {"arr": arr})
    with open_sink(file, ".npy", "save") as out:
        _format("npy").write(out, arr)


def _savez(op, file, args, kwargs, compressed):
    arrays = {f"arr_{i}": a for i, a in enumerate(args)}
    for name in kwargs:
        if name in arrays:
            raise ValueError(f"[{op}] {name!r} is given by name, and is what an array without a name is called; rename the first.")
    arrays |= kwargs
    for name, a in arrays.items():
        if isinstance(a, dict):
            raise TypeError(f"[{op}] {name} is a dict; need an array. Pass a dict of arrays as **arrays.")
        if error := _format("npz").name_error(name):
            raise ValueError(f"[{op}] the name {name!r} {error}.")
    memory.check_arrays(op, arrays)
    with open_sink(file, ".npz", op) as out:
        _format("npz").write(out, arrays, compressed)


def savez(file, *args, **kwargs):
    """Save several arrays in the ``.npz`` format of NumPy, uncompressed.

    Args:
        file (str, pathlib.Path or file object): Where to, as for :func:`save`; the extension is ``.npz``.
        *args (array): Saved under the names ``arr_0``, ``arr_1``, ...
        **kwargs (array): Saved under their own names.

    Raises:
        TypeError: If something to save is not an array.
        ValueError: If a name is taken twice.
        OSError: If the file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> mx.savez(file, mx.array(1), w=mx.array([2.0]))
        >>> sorted(mx.load(file, format="npz").items())
        [('arr_0', array(1, dtype=int32)), ('w', array([2], dtype=float32))]
    """
    _savez("savez", file, args, kwargs, False)


def savez_compressed(file, *args, **kwargs):
    """Save several arrays in the ``.npz`` format of NumPy, compressed.

    Args:
        file (str, pathlib.Path or file object): Where to, as for :func:`save`; the extension is ``.npz``.
        *args (array): Saved under the names ``arr_0``, ``arr_1``, ...
        **kwargs (array): Saved under their own names.

    Raises:
        TypeError: If something to save is not an array.
        ValueError: If a name is taken twice.
        OSError: If the file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> mx.savez_compressed(file, zeros=mx.zeros((100, 100)))
        >>> file.tell() < 1000
        True
    """
    _savez("savez_compressed", file, args, kwargs, True)


def _check_dict(op, name, value):
    if not isinstance(value, dict):
        raise TypeError(f"[{op}] {name} is {memory.kind(value)}; need a dict.")
    return value


def save_safetensors(file, arrays, metadata=None):
    """Save a dict of arrays in the ``.safetensors`` format.

    Args:
        file (str, pathlib.Path or file object): Where to, as for :func:`save`; the extension is ``.safetensors``.
        arrays (dict(str, array)): What to save, of any dtype.
        metadata (dict(str, str), optional): Texts to save with the arrays.

    Raises:
        TypeError: If ``arrays`` is not a dict of arrays.
        ValueError: If ``metadata`` holds something that is not text.
        OSError: If the file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> mx.save_safetensors(file, {"w": mx.array([1.0])}, {"made by": "me"})
        >>> file.seek(0)
        0
        >>> mx.load(file, format="safetensors", return_metadata=True)
        ({'w': array([1], dtype=float32)}, {'made by': 'me'})
    """
    op = "save_safetensors"
    arrays = _check_dict(op, "arrays", arrays)
    metadata = _check_dict(op, "metadata", {} if metadata is None else metadata)
    safetensors = _format("safetensors")
    safetensors.check(op, arrays, metadata)
    memory.check_arrays(op, arrays)
    with open_sink(file, ".safetensors", op) as out:
        safetensors.write(out, arrays, metadata)


def save_gguf(file, arrays, metadata=None):
    """Save a dict of arrays in the ``.gguf`` format, version 3, without quantising them.

    Args:
        file (str, pathlib.Path or file object): Where to, as for :func:`save`; the extension is ``.gguf``.
        arrays (dict(str, array)): What to save: floating arrays, or signed integers.
        metadata (dict(str, array, str or list(str)), optional): What to save with the arrays. Arrays have at most one
            axis, and are not float16, bfloat16 or complex64. Give a number as an array of the dtype that it
            should have in the file.

    Raises:
        TypeError: If ``arrays`` is not a dict of arrays, or ``metadata`` holds something else.
        ValueError: If the format has not the dtype or the shape.
        OSError: If the file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> mx.save_gguf(file, {"w": mx.array([1.0])}, {"general.name": "one", "layers": mx.array(3, mx.uint32)})
        >>> file.seek(0)
        0
        >>> mx.load(file, format="gguf", return_metadata=True)
        ({'w': array([1], dtype=float32)}, {'general.name': 'one', 'layers': array(3, dtype=uint32)})
    """
    op, gguf = "save_gguf", _format("gguf")
    arrays = _check_dict(op, "arrays", arrays)
    metadata = _check_dict(op, "metadata", {} if metadata is None else metadata)
    for name in (*arrays, *metadata):
        if not isinstance(name, str):
            raise TypeError(f"[{op}] the name {name!r} is {memory.kind(name)}; need a str.")
    memory.check_arrays(op, arrays)
    mx.eval([value for value in metadata.values() if isinstance(value, mx.array)])
    try:
        header, alignment = gguf.encode_header(op, arrays, metadata)
    except UnicodeEncodeError as e:
        raise ValueError(f"[{op}] {e.object!r} is not valid text.") from None
    with open_sink(file, ".gguf", op) as out:
        gguf.write(out, arrays, header, alignment)


FORMATS = ("npy", "npz", "safetensors", "gguf")


def load(file, /, format=None, return_metadata=False, *, stream=None):
    """Load what is in an ``.npy``, ``.npz``, ``.safetensors`` or ``.gguf`` file.

    The file is read at once, into memory of the arrays' own: it may be overwritten or removed afterwards. A damaged
    file gives an error; it never takes more memory than it accounts for.

    Args:
        file (str, pathlib.Path or file object): Where from. A file object must be opened in binary mode; it is read
            from where it is, and left open.
        format (str, optional): ``'npy'``, ``'npz'``, ``'safetensors'`` or ``'gguf'``. Default: the extension of the
            path, or of the ``name`` of the file object.
        return_metadata (bool): Whether to return the metadata too, which safetensors and gguf files have.
        stream (Stream or Device, optional): Accepted as everywhere; reading happens at once on the CPU.

    Returns:
        array, dict or tuple: The array of an ``.npy`` file; else a dict of names and arrays, in the file's order. With
        ``return_metadata`` a pair of that and a dict. Quantised tensors of types Q4_0, Q4_1 and Q8_0 in a ``.gguf`` file are
        three arrays, for ``mx.quantized_matmul`` with ``group_size=32``: ``x.weight``, ``x.scales`` and ``x.biases``.
        Other quantised types are converted to float16.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the format is not known, or the file is damaged or holds something unsupported.

    Example:
        >>> import io, numpy as np
        >>> file = io.BytesIO()
        >>> np.savez(file, x=np.arange(3))
        >>> mx.load(file, format="npz")
        {'x': array([0, 1, 2], dtype=int64)}
    """
    if stream is not None:
        mx.stream(stream)
    if format is None:
        name = path_of(file)
        name = name if name is not None else path_of(getattr(file, "name", None))
        if name is None and (isinstance(file, (int, bytes)) or not hasattr(file, "read")):
            raise ValueError(f"[load] file is {memory.kind(file)}; need a path (str or pathlib.Path) or a file object opened in binary mode.")
        if name is None or "." not in name:
            raise ValueError(f"[load] the format cannot be told from the name {name!r}; give format='npy', 'npz', 'safetensors' or 'gguf'.")
        format = name.rpartition(".")[2]
    if format not in FORMATS:
        raise ValueError(f"[load] format {format!r} is not known; need one of {', '.join(FORMATS)}.")
    with_metadata = format in ("safetensors", "gguf")
    if return_metadata and not with_metadata:
        raise ValueError(f"[load] metadata not supported for format {format}: only safetensors and gguf files have any.")
    with open_source(file, f"load_{format}") as source:
        try:
            loaded = _format(format).read(source)
        except RecursionError:
            raise FileFormatError(f"[load_{format}] {source.name}: it is nested too deeply.") from None
    return loaded if return_metadata or not with_metadata else loaded[0]
