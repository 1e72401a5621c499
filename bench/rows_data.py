"""Rows that move, order and draw data, and of linear algebra."""

import numpy as np

from bench.rows import Row, normal

MILLION = 1_000_000


def same(mx, jax, torch, numpy):
    """One expression for each library, compiled where the library compiles."""
    return {
        "mx": lambda lib, jit: jit(mx(lib)),
        "jax": lambda lib, jit: jit(jax(lib)),
        "torch": lambda lib, jit: jit(torch(lib)),
        "numpy": lambda lib, jit: numpy(lib),
    }


SORT = same(
    lambda mx: lambda x: mx.sort(x),
    lambda jax: lambda x: jax.numpy.sort(x),
    lambda torch: lambda x: torch.sort(x).values,
    lambda np: lambda x: np.sort(x),
)
CUMSUM = same(
    lambda mx: lambda x: mx.cumsum(x),
    lambda jax: lambda x: jax.numpy.cumsum(x),
    lambda torch: lambda x: torch.cumsum(x, 0),
    lambda np: lambda x: np.cumsum(x),
)


def draws_mx(mx, jit):
    return lambda: mx.random.normal((MILLION,))


def draws_jax(jax, jit):
    key, draw = jax.random.key(0), jit(lambda key: jax.random.normal(key, (MILLION,)))
    return lambda: draw(key)


def draws_numpy(np, jit):
    generator = np.random.default_rng(0)
    return lambda: generator.standard_normal(MILLION, dtype=np.float32)


def moments(x):
    x = np.asarray(x, np.float64)
    return [x.mean(), x.std(), (x**3).mean(), (x**4).mean()]


TRANSPOSE = same(
    lambda mx: lambda x: mx.contiguous(mx.transpose(x)),
    lambda jax: lambda x: x.T,
    lambda torch: lambda x: x.T.contiguous(),
    lambda np: lambda x: np.ascontiguousarray(x.T),
)
GATHER = same(
    lambda mx: lambda table, i: table[i],
    lambda jax: lambda table, i: table[i],
    lambda torch: lambda table, i: table[i],
    lambda np: lambda table, i: table[i],
)
FFT = same(
    lambda mx: lambda x: mx.fft.fft(x),
    lambda jax: lambda x: jax.numpy.fft.fft(x),
    lambda torch: lambda x: torch.fft.fft(x),
    lambda np: lambda x: np.fft.fft(x),
)
# MLX's linear algebra must be told to run on the CPU, and mxform takes the same argument.
CHOLESKY = same(
    lambda mx: lambda x: mx.linalg.cholesky(x, stream=mx.cpu),
    lambda jax: lambda x: jax.numpy.linalg.cholesky(x),
    lambda torch: lambda x: torch.linalg.cholesky(x),
    lambda np: lambda x: np.linalg.cholesky(x),
)
SOLVE = same(
    lambda mx: lambda a, b: mx.linalg.solve(a, b, stream=mx.cpu),
    lambda jax: lambda a, b: jax.numpy.linalg.solve(a, b),
    lambda torch: lambda a, b: torch.linalg.solve(a, b),
    lambda np: lambda a, b: np.linalg.solve(a, b),
)


def gather_data(rng):
    return [rng.standard_normal((20_000, 256), dtype=np.float32), rng.integers(0, 20_000, 20_000).astype(np.int32)]


def fft_data(rng):
    re, im = normal((256, 1024), (256, 1024))(rng)
    return [(re + 1j * im).astype(np.complex64)]


def positive_definite(rng):
    a = rng.standard_normal((512, 512))
    return [(a @ a.T / 512 + np.eye(512)).astype(np.float32)]


def solve_data(rng):
    a, b = normal((512, 512), (512, 512))(rng)
    return [a + 30 * np.eye(512, dtype=np.float32), b]


EAGER = ("inductor",)  # torch.compile has nothing to add to a single library call

ROWS = [
    Row("16a", "sort, 1M", normal((MILLION,)), SORT, bar=2.0, bytes=8e6, skip=EAGER),
    Row("16b", "random normal, 1M", lambda rng: [],
        {"mx": draws_mx, "jax": draws_jax, "torch": lambda torch, jit: lambda: torch.randn(MILLION), "numpy": draws_numpy},
        bar=2.0, bytes=4e6, skip=EAGER, digest=moments, tolerance=1e-2),
    Row("16c", "cumsum, 1M", normal((MILLION,)), CUMSUM, bar=2.0, bytes=8e6, skip=EAGER),
    Row("17a", "transpose 2048^2", normal((2048, 2048)), TRANSPOSE, bar=2.0, bytes=8 * 2048**2, skip=EAGER),
    Row("17b", "gather 20k of 20k x 256", gather_data, GATHER, bar=2.0, bytes=8 * 20_000 * 256, skip=EAGER),
    Row("18a", "fft 256 x 1024", fft_data, FFT, bar=0.95, flops=5 * 256 * 1024 * 10, bytes=16 * 256 * 1024, skip=EAGER),
    Row("18b", "cholesky 512", positive_definite, CHOLESKY, bar=0.95, flops=512**3 / 3, skip=EAGER),
    Row("18c", "solve 512, 512 right-hand sides", solve_data, SOLVE, bar=0.95, flops=512**3 * (2 / 3 + 2), skip=EAGER,
        tolerance=1e-3),
]
