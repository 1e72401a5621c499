"""The .npz format: a zip archive of .npy files, stored or deflated.

An archive may announce much more than it holds. So a member that is stored is checked against the archive's size, one
that is deflated is expanded as it is read, and no further than its own header says.
"""

import contextlib
import errno
import os
import struct
import zipfile
import zlib

from . import npy
from .stream import MIB, FileFormatError, Source, short

# Deflate cannot do better: 258 bytes from two bits.
MAX_RATIO = 1032


def write(file, arrays, compressed):
    """Write a dict of evaluated arrays."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, a in arrays.items():
            # Without a date, so that the same arrays make the same file.
            info = zipfile.ZipInfo(name + ".npy")
            info.compress_type = method
            with archive.open(info, "w", force_zip64=a.nbytes > 1024 * MIB) as member:
                npy.write(member, a)


def name_error(name):
    """What is wrong with the name of an array, or None."""
    if "\0" in name:
        return "has a null character, which an archive cannot hold"
    try:
        return "is too long" if len(name.encode()) > 65000 else None
    except UnicodeEncodeError:
        return "is not valid text"


# What the zip and zlib modules raise when they meet damage: offsets in a damaged directory lead anywhere.
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
          LookupError)


@contextlib.contextmanager
def _as_format_errors(source, what):
    try:
        yield
    except FileFormatError:
        raise
    except OSError as e:
        if e.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        raise source.error(f"{what} is damaged: {e}.") from None
    except DAMAGE as e:
        raise source.error(f"{what} is damaged, or not supported: {e or type(e).__name__}.") from None


def read(source):
    """Name -> array, in the archive's order."""
    with _as_format_errors(source, "the archive"):
        archive = zipfile.ZipFile(source.file)
    with archive:
        members = [m for m in archive.infolist() if not m.filename.endswith("/")]
        # All of the file counts, wherever reading began: the directory is found from the end.
        if sum(m.compress_size for m in members) > source.file.seek(0, os.SEEK_END):
            raise source.error("its members overlap, or the file is truncated.")
        arrays = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise source.error(f"{short(name)} is there twice.")
            arrays[name] = _read_member(source, archive, member)
    source.at = source.size
    return arrays


def _read_member(source, archive, member):
    what = f"member {short(member.filename)}"
    stored = member.compress_type == zipfile.ZIP_STORED
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise source.error(f"{what} is encrypted or compressed in another way than by deflate.")
    if member.file_size > member.compress_size * (1 if stored else MAX_RATIO):
        raise source.error(f"{what} announces {member.file_size} bytes in {member.compress_size}, which cannot be.")
    with _as_format_errors(source, what), archive.open(member) as file:
        inner = Source(file, source.op, f"{source.name}, {what}", size=member.file_size, honest=stored)
        a = npy.read(inner)
        # To read past the end is what makes the zip module compare the checksum.
        if inner.left or file.read(1):
            raise inner.error("there is more after the array.")
    return a
