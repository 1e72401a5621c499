"""fuzz_files.py — files damaged at random, for every format that is read. test_fuzz_files.py runs it in a child:

    python fuzz_files.py NAME COUNT SEED [FIRST]

Input i of a seed is always the same, so `python fuzz_files.py npz 1 SEED i` repeats a failure. What is loaded may be an
array or an error (ValueError, OSError); anything else, a crash, a hang, or memory out of proportion to the file is a
failure. To add a format, call register() below.
"""

import faulthandler
import io
import json
import math
import os
import random
import re
import resource
import struct
import sys
import tempfile
import time
import tracemalloc
import zipfile
import zlib
from collections import namedtuple

import numpy as np

import mxform as mx

MIB = 1 << 20
SECONDS = 5  # for one input, on a busy machine
EXPECTED = (ValueError, OSError)

# seeds: list of bytes, valid files. load: bytes -> tree of arrays. mend: (bytes, rng) -> bytes, repairs what would make
# every damaged file be refused at once, such as a checksum. growth: bytes of memory for each byte of the file.
Format = namedtuple("Format", "seeds load mend growth")
FORMATS = {}


def register(name, seeds, load, mend=lambda data, rng: data, growth=100):
    FORMATS[name] = Format(seeds, load, mend, growth)


# ---- damage

NUMBERS = [0, 1, 2, 7, 8, 31, 32, 33, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**59, 2**62,
           2**63 - 1, 2**63, 2**64 - 1]


def flip_bits(data, rng, other):
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def truncate(data, rng, other):
    del data[rng.randrange(len(data)):]


def remove(data, rng, other):
    at = rng.randrange(len(data))
    del data[at:at + rng.randint(1, 16)]


def repeat(data, rng, other):
    at = rng.randrange(len(data))
    data[at:at] = data[at:at + rng.randint(1, 64)] * rng.choice([1, 1, 2, 50])


def insert(data, rng, other):
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 16))


def splice(data, rng, other):
    data[rng.randrange(len(data)):] = other[rng.randrange(len(other)):]


def change_integer(data, rng, other):
    width = rng.choice([1, 2, 4, 4, 8, 8])
    at = rng.randrange(len(data))
    n = rng.choice([rng.choice(NUMBERS), int.from_bytes(data[at:at + width], "little") + rng.randint(-2, 2), len(data) + rng.randint(-64, 64)])
    data[at:at + width] = (n % 2**(8 * width)).to_bytes(width, rng.choice(["little", "little", "little", "big"]))


def change_digits(data, rng, other):
    found = list(re.finditer(rb"-?\d+", data[:4000]))
    if found:
        m = rng.choice(found)
        near = str(int(m[0][-9:]) + rng.randint(-2, 2))
        text = rng.choice([str(rng.choice(NUMBERS)), str(-rng.choice(NUMBERS)), "9" * rng.choice([30, 5000]), "1.5", "1e9", "", near])
        data[m.start():m.end()] = text.encode()


def change_text(data, rng, other):
    """A word or sign in the header becomes another."""
    words = [b"[", b"]", b"{", b"}", b"(", b")", b",", b":", b'"', b"'", b"null", b"true", b"True", b"F32", b"BF16", b"F8_E4M3",
             b"shape", b"<f4", b">c8", b"|O", b"[" * 3000, b"{\"a\":" * 3000, b"\\ud800", b"\xff", b"\0", b"general.alignment", b"\x08", b"\x09"]
    found = list(re.finditer(rb"[A-Za-z_]+|[^\w\s]", data[:4000]))
    if found:
        m = rng.choice(found)
        data[m.start():m.end()] = rng.choice(words)


MUTATIONS = [flip_bits, truncate, remove, repeat, insert, splice, change_integer, change_integer, change_digits, change_text]


def mutate(data, rng, other):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        if data:
            rng.choice(MUTATIONS)(data, rng, other)
    return bytes(data)


def damaged(name, seed, i):
    rng = random.Random(f"{name} {seed} {i}")
    format = FORMATS[name]
    return format.mend(mutate(rng.choice(format.seeds), rng, rng.choice(format.seeds)), rng)


# ---- the formats

def saved(save, *args, **kw):
    file = io.BytesIO()
    save(file, *args, **kw)
    return file.getvalue()


def loader(format, metadata=False):
    return lambda data: mx.load(io.BytesIO(data), format=format, return_metadata=metadata)


def arrays():
    return {"a": mx.arange(12).reshape(3, 4), "h": mx.array([1.5, 2.0], mx.bfloat16), "b": mx.array([True, False]), "z": mx.array([1j]),
            "e": mx.zeros((2, 0, 3)), "s": mx.array(2.5)}


def npy_seeds():
    x = np.arange(12).reshape(3, 4)
    big, records = saved(np.save, x.astype(">f4")), np.zeros(2, [("a", "i4"), ("b", "f8")])
    second = io.BytesIO()
    np.lib.format.write_array(second, x, version=(2, 0))
    return [*(saved(mx.save, a) for a in arrays().values()), saved(np.save, np.asfortranarray(x)), big, saved(np.save, records),
            saved(np.save, np.array(["text"])), second.getvalue()]


def npz_seeds():
    return [saved(mx.savez, **arrays()), saved(mx.savez_compressed, **arrays()), saved(mx.savez_compressed, mx.zeros((1000,))),
            saved(np.savez, np.arange(5), x=np.ones((2, 3), order="F"))]


def mend_npz(data, rng):
    """Half of the time an archive with good checksums, of members that are damaged themselves."""
    if rng.random() < 0.5:
        return data
    members = FORMATS["npy"].seeds
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as z:
        for k in range(rng.randint(1, 3)):
            member = mutate(rng.choice(members), rng, rng.choice(members)) if k == 0 else rng.choice(members)
            z.writestr(f"{k}é.npy", member + bytes(rng.choice([0] * 8 + [5, MIB])))
    data = file.getvalue()
    return data if rng.random() < 0.7 else mutate(data, rng, data)


def safetensors_seeds():
    return [saved(mx.save_safetensors, arrays(), {"k": "v", "format": "mlx"}), saved(mx.save_safetensors, {}),
            saved(mx.save_safetensors, {f"layers.{i}.weight": mx.full((3,), i) for i in range(10)})]


def mend_safetensors(data, rng):
    """Mostly the size of the header is right."""
    end = data.rfind(b"}") + 1
    return data if end <= 8 or rng.random() < 0.2 else struct.pack("<Q", end - 8) + data[8:]


def gguf_seeds():
    from test_files_gguf import BLOCKS, blocks, gguf

    plain = {"a": mx.arange(6).reshape(2, 3), "f": mx.array([1.5], mx.float16), "s": mx.array(2.5)}
    metadata = {"name": "text", "list": ["a", "bc"], "n": mx.array(3, mx.uint32), "xs": mx.array([1.0, 2.0]),
                "general.alignment": mx.array(64, mx.uint32)}
    files = [saved(mx.save_gguf, plain, metadata), saved(mx.save_gguf, {}, {}), saved(mx.save_gguf, plain)]
    return files + [gguf([("x.weight", (BLOCKS[kind][0],), kind, blocks(kind, 1)), ("y", (1,), 0, bytes(4))], [("k", 8, "v")]) for kind in BLOCKS]


def function_bytes(*examples, fun, shapeless=False):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f.mlxfn")
        with mx.exporter(path, fun, shapeless=shapeless) as export:
            for args in examples:
                export(*args)
        with open(path, "rb") as f:
            return f.read()


def function_seeds():
    x, y, w = mx.ones((2, 3)), mx.ones((3, 4)), mx.array(np.arange(12).reshape(3, 4), mx.float32)
    i = mx.array([[0, 1], [2, 0]])

    @mx.custom_function
    def ruled(x):
        return mx.sin(x)

    ruled.vjp(lambda primals, cotangent, output: cotangent * 2)

    def views(x):
        a = mx.as_strided(x.reshape(-1), (2, 2), (1, 2), 1)[::-1, :1]
        b = mx.take(x, i, axis=1).transpose(2, 0, 1)[..., 1:].at[0].add(1.0)
        return mx.concatenate([a, x[:, 1:2]]), mx.put_along_axis(b, mx.zeros((2, 2, 1), mx.int32), mx.array(3.0), axis=2), mx.diagonal(x)

    def loops(x):
        total = mx.scan(lambda c, row: (c + row, c), mx.zeros((3,)), x)[0]
        return mx.cond(total.sum() > 0, lambda t: mx.sort(t), lambda t: t * 2, total)

    def blocks(x):
        return mx.fast.layer_norm(mx.checkpoint(lambda t: mx.tanh(t @ w))(x), None, None, 1e-5) + mx.random.uniform(shape=(4,), key=mx.random.key(0))

    def algebra(x):
        return mx.linalg.solve(x @ x.T + mx.eye(2), x), mx.conv1d(x[None], mx.ones((2, 2, 3)), padding=1), mx.fft.rfft(x)

    packed = mx.quantize(mx.ones((2, 32)), group_size=32)
    return [function_bytes([x], [x, x], [i], fun=lambda *a: sum(a)), function_bytes([x], fun=views), function_bytes([x], fun=loops),
            function_bytes([x], fun=blocks), function_bytes([x], fun=algebra),
            function_bytes([x], fun=lambda x: mx.grad(lambda t: mx.sum(ruled(t) ** 2))(x)), function_bytes([x], fun=ruled),
            function_bytes([mx.ones((1, 32))], fun=lambda x: mx.quantized_matmul(x, *packed, group_size=32)),
            function_bytes([x, y], fun=lambda x, y: mx.mean(x @ y, axis=-1) + x.reshape(-1)[::2].sum(), shapeless=True),
            function_bytes([x], fun=lambda x: mx.softmax(mx.tril(x @ x.T) / x.shape[-1], axis=-1)[:, :-1], shapeless=True)]


def load_function(data):
    """Imports, and runs what is small. Errors of running are no wonder: another index may be out of bounds."""
    with tempfile.NamedTemporaryFile(suffix=".mlxfn") as file:
        file.write(data)
        file.flush()
        f = mx.import_function(file.name)
    out = []
    for trace in f.traces:
        if sum(math.prod(shape) for _, shape, _ in trace) > 10**5:
            continue
        args = [mx.zeros(shape, dtype) for name, shape, dtype in trace if name is None]
        kwargs = {name: mx.zeros(shape, dtype) for name, shape, dtype in trace if name is not None}
        try:
            out.append(f(*args, **kwargs))
            mx.eval(out[-1])
        except (IndexError, RuntimeError, OverflowError, MemoryError) as e:
            raise ValueError(str(e)) from e
    return out


class FunctionTokens:
    """The numbers of a function's body, which docs/export.md describes, so that single parameters can be changed."""

    def __init__(self, data):
        self.data, self.at, self.tokens, self.texts = data, 24, [], 0
        self.end = 24 + int.from_bytes(data[16:24], "little")
        self.text()
        self.list(lambda: (self.field(), self.count()))
        self.list(self.trace)
        assert self.at == self.end

    def count(self):
        start, n, shift = self.at, 0, 0
        while True:
            b = self.data[self.at]
            self.at += 1
            n, shift = n | (b & 127) << shift, shift + 7
            if b < 128:
                self.tokens.append(self.data[start:self.at])
                return n

    def list(self, item):
        for _ in range(self.count()):
            item()

    def raw(self, n):
        self.tokens.append(self.data[self.at:self.at + n])
        self.at += n

    def text(self):
        if self.count() == 0:
            self.raw(self.count())

    def field(self):
        kind = self.data[self.at]
        self.raw(1)
        if kind == 1:
            n = self.count()
            self.tokens[-1] = n >> 1 ^ -(n & 1)
        elif kind == 2:
            self.raw(8)
            self.tokens[-1] = struct.unpack("<d", self.tokens[-1])[0]
        elif kind == 3:
            self.text()
        elif kind >= 4:
            self.list(self.field)

    def trace(self):
        self.count()
        self.list(self.text)
        self.field()
        self.list(self.count)
        self.list(self.field)
        self.list(self.count)
        self.field()

    def changed(self, rng):
        """The file with one to three numbers changed."""
        tokens = list(self.tokens)
        places = [i for i, t in enumerate(tokens) if not isinstance(t, bytes)]
        for i in rng.sample(places, rng.choice([1, 1, 1, 2, 3])):
            t = tokens[i]
            if isinstance(t, float):
                tokens[i] = rng.choice([0.0, -1.0, 1e300, math.inf, math.nan, t * 2])
            else:
                tokens[i] = rng.choice([t + 1, t - 1, -t, 0, 2 * t, rng.randint(-4, 4), rng.choice(NUMBERS) - rng.choice([0, 2**63])])
        body = b"".join(t if isinstance(t, bytes) else struct.pack("<d", t) if isinstance(t, float) else self.varint(t) for t in tokens)
        return self.data[:12] + zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(8, "little") + body + self.data[self.end:]

    @staticmethod
    def varint(n):
        n = (n << 1 ^ n >> 63) % 2**64
        out = bytearray()
        while n >= 128:
            out.append(n & 127 | 128)
            n >>= 7
        return bytes(out) + bytes([n])


def mend_function(data, rng):
    """The header's length and checksum are right, mostly; or only a few numbers are wrong: the parameters of operations."""
    if rng.random() < 0.6:
        return FunctionTokens(rng.choice(FORMATS["function"].seeds)).changed(rng)
    if len(data) < 24 or rng.random() < 0.05:
        return data
    length = int.from_bytes(data[16:24], "little")
    if length > len(data) - 24 or rng.random() < 0.1:
        length = len(data) - 24
    return data[:12] + zlib.crc32(data[24:24 + length]).to_bytes(4, "little") + length.to_bytes(8, "little") + data[24:]


register("npy", npy_seeds(), loader("npy"))
# Zeros are deflated to a thousandth.
register("npz", npz_seeds(), loader("npz"), mend_npz, growth=3 * 1032)
register("safetensors", safetensors_seeds(), loader("safetensors", True), mend_safetensors)
register("gguf", gguf_seeds(), loader("gguf", True))
# A function may compute anything.
register("function", function_seeds(), load_function, mend_function, growth=20000)


# ---- the run

def arrays_in(tree):
    if isinstance(tree, (list, tuple, dict)):
        return [a for part in (tree.values() if isinstance(tree, dict) else tree) for a in arrays_in(part)]
    return [tree] if isinstance(tree, mx.array) else []


def attempt(name, data, traced):
    """Loads; returns whether there was an error, or raises what is a failure."""
    format = FORMATS[name]
    limit = format.growth * len(data) + 2 * MIB
    mx.reset_peak_memory()
    before, start = mx.get_active_memory(), time.perf_counter()
    if traced:
        tracemalloc.start()
    try:
        loaded = format.load(data)
        for a in arrays_in(loaded):
            assert len(bytes(a)) == a.nbytes  # reads every element
        refused = False
    except EXPECTED as e:
        assert str(e), "the error says nothing"
        refused = True
    finally:
        taken = mx.get_peak_memory() - before
        if traced:
            taken += tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert taken <= limit, f"took {taken} bytes of memory, with {len(data)} in the file"
    seconds = time.perf_counter() - start
    assert seconds < SECONDS, f"took {seconds} s"
    return refused, seconds, taken


def main(name, count, seed, first=0, progress=None):
    for data in FORMATS[name].seeds:
        refused, *_ = attempt(name, data, False)
        assert not refused or name == "npy", "a valid file is refused"
    # What is taken beyond this is a MemoryError, which is none of the expected ones.
    with open("/proc/self/statm") as f:
        now = int(f.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 512 * MIB, resource.getrlimit(resource.RLIMIT_AS)[1]))
    faulthandler.enable()
    refusals, slowest, most = 0, 0, 0
    for i in range(first, first + count):
        if progress is not None:
            os.pwrite(progress, struct.pack("<q", i), 0)
        if i % 100 == 0:
            faulthandler.dump_traceback_later(100 * SECONDS, exit=True)
        data = damaged(name, seed, i)
        try:
            refused, seconds, taken = attempt(name, data, i % 16 == 0)
        except BaseException as e:
            raise RuntimeError(f"python fuzz_files.py {name} 1 {seed} {i}: {type(e).__name__}: {e}") from e
        refusals, slowest, most = refusals + refused, max(slowest, seconds), max(most, taken)
    faulthandler.cancel_dump_traceback_later()
    return {"inputs": count, "refused": refusals, "loaded": count - refusals, "slowest": round(slowest, 4), "most memory": most}


if __name__ == "__main__":
    name, count, seed, first = sys.argv[1], int(sys.argv[2]), sys.argv[3], int((sys.argv[4:] or ["0"])[0])
    progress = os.open(sys.argv[5], os.O_RDWR | os.O_CREAT) if len(sys.argv) > 5 else None
    print(json.dumps(main(name, count, seed, first, progress)))
