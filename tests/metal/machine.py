"""The machine of metal/host for tests: built once into a temporary folder, its kernels compiled from text.

`Machine(checked=True)` has every access to memory checked. `library(text)` compiles; `Library.run` dispatches NumPy arrays and
raises Fault with the machine's message.
"""
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOST = os.path.join(ROOT, "metal", "host")
TYPES = {"bool": 0, "short": 1, "ushort": 2, "int": 3, "uint": 4, "float": 5, "char": 6, "uchar": 7, "half": 8}
SLOTS = 31


class Fault(Exception):
    """What the machine found."""


def compiler():
    """The C++ compiler's name, or None."""
    return os.environ.get("CXX") or next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None)


def missing():
    """Why the machine cannot be built here, or None."""
    if not sys.platform.startswith("linux"):
        return "the host's Metal machine is built on Linux"
    return None if compiler() else "no C++ compiler"


class _Constant(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bits", ctypes.c_uint64)]


class _Run(ctypes.Structure):
    _fields_ = [("kernel", ctypes.c_char_p), ("threads", ctypes.c_uint32 * 3), ("group", ctypes.c_uint32 * 3),
                ("pointers", ctypes.c_void_p * SLOTS), ("sizes", ctypes.c_uint64 * SLOTS), ("threadgroup", ctypes.c_uint64 * SLOTS),
                ("n_constants", ctypes.c_uint32), ("constants", _Constant * 16), ("schedule", ctypes.c_uint64)]


def _sources():
    names = sorted(f for f in os.listdir(HOST) if f.startswith("runtime_") and f.endswith(".cpp"))
    return [os.path.join(HOST, f) for f in names] + [os.path.join(ROOT, "tests", "metal", "machine_driver.cpp")]


def _flags():
    return ["-std=c++20", "-O2", "-g1", "-fPIC", f"-I{HOST}", f'-DMX_HOST_FOLDER="{HOST}"', f'-DMX_KERNELS_FOLDER="{ROOT}/metal/kernels"',
            f'-DMX_CSRC_FOLDER="{ROOT}/csrc"', f'-DMX_PYTHON="{sys.executable}"', f'-DMX_COMPILER="{compiler()}"']


def _folder():
    """Named by what is built and how (the paths of this checkout and of Python are in it), so that a second run finds it."""
    h = hashlib.sha256()
    for folder in (HOST, os.path.join(ROOT, "tests", "metal")):
        for f in sorted(os.listdir(folder)):
            if f.startswith(("runtime_", "kernels.h", "machine", "checked_link")) and not f.endswith(".py"):
                with open(os.path.join(folder, f), "rb") as source:
                    h.update(source.read())
    h.update(repr((compiler(), _flags())).encode())
    path = os.path.join(tempfile.gettempdir(), f"mxform-metal-machine-{os.getuid()}-{h.hexdigest()[:16]}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def _build(checked):
    folder = _folder()
    target = os.path.join(folder, f"libmachine{'-checked' if checked else ''}.so")
    if os.path.exists(target):
        return target
    flags = _flags() + (["-DMX_METAL_CHECKED"] if checked else [])

    def one(source):
        made = os.path.join(folder, os.path.basename(source) + f".{os.getpid()}.{int(checked)}.o")
        subprocess.run([compiler(), *flags, "-c", source, "-o", made], check=True)
        return made

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(one, _sources()))
    part = target + f".{os.getpid()}.so"
    subprocess.run([compiler(), "-shared", *objects, "-o", part, "-ldl", "-lpthread", *([f"-Wl,@{HOST}/checked_link.txt"] if checked else []), f"-Wl,-soname,{os.path.basename(target)}"], check=True)
    os.replace(part, target)
    for o in objects:
        os.remove(o)
    return target


class Machine:
    def __init__(self, checked=False):
        self._c = ctypes.CDLL(_build(checked))
        self._c.driver_error.restype = ctypes.c_char_p
        self._c.driver_compile.restype = ctypes.c_void_p
        self._c.driver_compile.argtypes = [ctypes.c_char_p]
        self._c.driver_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Run), ctypes.POINTER(ctypes.c_uint64)]
        self._c.driver_plain.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._c.driver_names.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64]

    @functools.lru_cache(maxsize=None)
    def library(self, text):
        handle = self._c.driver_compile(text.encode())
        if not handle:
            raise Fault(self._c.driver_error().decode(errors="replace"))
        return Library(self._c, handle)


class Library:
    def __init__(self, c, handle):
        self._c, self._handle = c, handle
        self.counts = {}

    def names(self):
        text = ctypes.create_string_buffer(1 << 20)
        assert self._c.driver_names(self._handle, text, len(text)) == 0
        return text.value.decode().split()

    def is_plain(self, kernel):
        return bool(self._c.driver_plain(self._handle, kernel.encode()))

    def run(self, kernel, buffers, threads, group, constants=(), threadgroup=None, schedule=0):
        """`buffers`: arrays by slot, a list or {slot: array}; `constants`: (index, type, value); `threadgroup`: {slot: bytes}."""
        r = _Run(kernel=kernel.encode(), schedule=schedule)
        r.threads, r.group = (ctypes.c_uint32 * 3)(*_three(threads)), (ctypes.c_uint32 * 3)(*_three(group))
        for slot, a in (buffers.items() if isinstance(buffers, dict) else enumerate(buffers)):
            r.pointers[slot], r.sizes[slot] = a.ctypes.data, a.nbytes
        for slot, n in (threadgroup or {}).items():
            r.threadgroup[slot] = n
        r.n_constants = len(constants)
        for i, (index, type_, value) in enumerate(constants):
            raw = np.array(value, {"bool": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "char": "i1",
                                   "uchar": "u1", "half": "f2"}[type_]).tobytes()
            r.constants[i] = _Constant(index, TYPES[type_], int.from_bytes(raw, "little"))
        counts = (ctypes.c_uint64 * 5)()
        if self._c.driver_run(self._handle, ctypes.byref(r), counts):
            raise Fault(self._c.driver_error().decode(errors="replace"))
        self.counts = dict(zip(("threads", "switches", "barriers", "simd_operations", "threadgroup_bytes"), counts))


def _three(n):
    n = (n,) if isinstance(n, int) else tuple(n)
    return n + (1,) * (3 - len(n))
