"""What is read and written: paths and file objects, and the errors that name them.

A :class:`Source` knows how many bytes there are, so that a reader can refuse sizes that a damaged file announces
before it makes memory for them. Only ``open_source`` and ``open_sink`` open files.
"""

import contextlib
import io
import os

from . import memory

MIB = 1 << 20
CHUNK = 8 * MIB  # read at a time: a file object may need as much again


def short(text):
    """What a file says, for an error: not all of it if it is long."""
    text = repr(text)
    return text if len(text) <= 80 else text[:77] + "..."


class FileFormatError(ValueError, RuntimeError):
    """The content of a file is damaged or of a kind that is not supported.

    A ValueError; also a RuntimeError, since that is what programs written for MLX catch.
    """


class MissingFileError(FileNotFoundError, ValueError, RuntimeError):
    """There is no such file. A FileNotFoundError; programs written for MLX catch one of the other two."""


class Source:
    """A readable file with the number of bytes that it really has.

    Args:
        file: A file object opened for reading bytes.
        op (str): The reader, for errors: "load_npz".
        name (str): What is read, for errors.
        size (int, optional): The size in bytes if the file cannot tell. ``honest`` says whether that many bytes are
            known to exist; if not, memory is made as they come in.
    """

    def __init__(self, file, op, name, size=None, honest=True):
        self.file, self.op, self.name, self.honest, self.start = file, op, name, honest, 0
        if size is None:
            if not _seekable(file):
                # A pipe or socket: what it holds is known only when all of it is here.
                self.file = file = io.BytesIO(_all_of(file, self))
            start = file.tell()
            size = file.seek(0, os.SEEK_END) - start
            file.seek(start)
            self.start = start
        self.size, self.at = max(size, 0), 0

    @property
    def left(self):
        """Bytes from here to the end."""
        return self.size - self.at

    def error(self, text):
        return FileFormatError(f"[{self.op}] {self.name}: {text}")

    def need(self, n_bytes, what):
        if n_bytes > self.left:
            raise self.error(f"{what} needs {n_bytes} bytes, but {self.left} are left. Perhaps the file is truncated.")

    def seek(self, position):
        """Go to that many bytes after where reading began."""
        self.file.seek(self.start + position)
        self.at = position

    def read(self, n_bytes, what):
        """That many bytes; few, or known to exist."""
        self.need(n_bytes, what)
        data = bytearray(n_bytes)
        self.fill(memoryview(data), what)
        return bytes(data)

    def fill(self, view, what):
        """Read into a memoryview of bytes until it is full."""
        done, n = 0, len(view)
        into = getattr(self.file, "readinto", None)
        while done < n:
            if into is not None:
                got = into(view[done:done + CHUNK])
            else:
                data = self.file.read(min(n - done, CHUNK)) or b""
                got = len(data)
                view[done:done + got] = data
            if not got:
                raise self.error(f"{what} needs {n} bytes, but the file ends after {done}. Perhaps it is truncated.")
            done += got
        self.at += n

    def array(self, dtype, shape, what, swap=False):
        """An array of what comes next, row by row; ``swap`` if its bytes are in the order of other machines."""
        n_bytes = memory.n_bytes(dtype, shape)
        self.need(n_bytes, what)
        if self.honest or n_bytes <= MIB:
            a = memory.allocate(shape, dtype)
            self.fill(memory.view(a), what)
        else:
            parts, left = [], n_bytes
            while left:
                parts.append(bytearray(min(left, 4 * MIB)))
                self.fill(memoryview(parts[-1]), what)
                left -= len(parts[-1])
            a = memory.allocate(shape, dtype)
            view, at = memory.view(a), 0
            for i, part in enumerate(parts):
                view[at:at + len(part)] = part
                at += len(part)
                parts[i] = None
        memory.normalise(a, swap)
        return a


def _seekable(file):
    try:
        return file.seekable()
    except AttributeError:
        return hasattr(file, "seek") and hasattr(file, "tell")


def _all_of(file, source):
    data = file.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError(f"[{source.op}] {source.name}: reading gives {type(data).__name__}; need bytes. Open the file in binary mode.")
    return data


def path_of(file):
    """The path as a string if ``file`` is a str or pathlib.Path, else None."""
    if isinstance(file, os.PathLike):
        file = os.fspath(file)
    return file if isinstance(file, str) else None


def name_of(file):
    """How errors call the file."""
    path = path_of(file) or getattr(file, "name", None)
    return repr(path) if isinstance(path, str) else f"the {type(file).__name__} object"


@contextlib.contextmanager
def _opened(path, mode, op):
    try:
        file = open(path, mode, buffering=0 if mode == "rb" else -1)
    except FileNotFoundError as e:
        what = "there is no such file" if mode == "rb" else "there is no such folder"
        raise MissingFileError(e.errno, f"[{op}] {what}", path) from None
    except ValueError as e:  # a null character in the path
        raise ValueError(f"[{op}] {path!r} cannot be opened: {e}.") from None
    with file:
        yield file


@contextlib.contextmanager
def open_source(file, op):
    """A Source over a path, which is closed at the end, or over a file object, which is not."""
    path = path_of(file)
    if path is not None:
        with _opened(path, "rb", op) as opened:
            yield Source(opened, op, repr(path))
        return
    if not hasattr(file, "read") or isinstance(file, io.TextIOBase):
        what = "a text file" if isinstance(file, io.TextIOBase) else memory.kind(file)
        raise ValueError(f"[{op}] file is {what}; need a path (str or pathlib.Path) or a file object opened in binary mode.")
    yield Source(file, op, name_of(file))


@contextlib.contextmanager
def open_sink(file, extension, op):
    """A file object to write to. The extension is appended to a path that lacks it."""
    path = path_of(file)
    if path is not None:
        with _opened(path if path.endswith(extension) else path + extension, "wb", op) as opened:
            yield opened
        return
    if not hasattr(file, "write"):
        raise ValueError(f"[{op}] file is {memory.kind(file)}; need a path (str or pathlib.Path) or a file object opened in binary mode.")
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"[{op}] file is a text file; need one opened in binary mode.")
    yield file


def write_all(file, view):
    """Write a memoryview of bytes, however much the file takes at a time."""
    while len(view):
        n = file.write(view)
        # Objects that write all may return nothing.
        if n is None or n >= len(view):
            return
        view = view[n:]
