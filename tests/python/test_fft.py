"""test_fft.py — Fourier transforms of every kind of size, their exactness, independence and errors; Hadamard's signs."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mxform as mx

RNG = np.random.default_rng(7)


def noise(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


def error(got, want):
    """Relative to the length of the whole: how the error of a transform grows."""
    got = np.array(got)
    assert got.shape == want.shape and got.dtype == (np.complex64 if np.iscomplexobj(want) else np.float32)
    return np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-30)


# Powers of two, mixtures, primes with passes of their own, larger ones, those that need a convolution, and sizes where
# one transform is split in two.
SIZES = [*range(1, 70), 81, 97, 100, 101, 121, 127, 128, 169, 192, 200, 243, 256, 257, 360, 512, 600, 625, 793, 1000, 1009, 1024, 1155, 2047, 2048, 2187,
         4096, 4099, 5040, 7442, 8192, 9409, 10007, 16384, 30030, 32768, 65537, 100000, 2**17]


@pytest.mark.parametrize("count", [1, 3, 35])
def test_every_size_is_as_exact_as_single_precision_allows(count):
    for n in SIZES:
        if n * count > 200000:
            continue
        x = noise(count, n)
        wide = x.astype(np.complex128)
        found = {
            "fft": error(mx.fft.fft(mx.array(x)), np.fft.fft(wide)),
            "ifft": error(mx.fft.ifft(mx.array(x)), np.fft.ifft(wide)),
            "rfft": error(mx.fft.rfft(mx.array(x.real)), np.fft.rfft(wide.real)),
            "irfft": error(mx.fft.irfft(mx.array(x[:, :n // 2 + 1]), n=n), np.fft.irfft(wide[:, :n // 2 + 1], n=n)),
        }
        assert max(found.values()) < 4e-7, (n, found)


def test_long_transforms_are_exact_too():
    for n in (2**20, 3 * 2**18, 1000003):
        x = noise(n)
        assert error(mx.fft.fft(mx.array(x)), np.fft.fft(x.astype(np.complex128))) < 5e-7
        assert error(mx.fft.ifft(mx.fft.fft(mx.array(x))), x.astype(np.complex128)) < 1e-6


@pytest.mark.parametrize("shape, axis", [((5, 48, 40), 1), ((1000, 7), 0), ((4099, 3), 0), ((2, 3, 129, 2), 2), ((300, 17), 0), ((4096, 33), 0), ((2, 2048, 16), 1)])
def test_any_axis(shape, axis):
    x = noise(*shape)
    wide = x.astype(np.complex128)
    for name in ("fft", "ifft", "irfft"):
        assert error(getattr(mx.fft, name)(mx.array(x), axis=axis), getattr(np.fft, name)(wide, axis=axis)) < 4e-7
    assert error(mx.fft.rfft(mx.array(x.real), axis=axis), np.fft.rfft(wide.real, axis=axis)) < 4e-7


def test_float64_becomes_single_precision():
    x = mx.array(RNG.standard_normal(8), dtype=mx.float64)
    assert mx.fft.fft(x).dtype == mx.fft.rfft(x).dtype == mx.complex64 and mx.fft.irfft(x).dtype == mx.float32
    assert mx.vjp(lambda v: mx.fft.fft(v), [x], [mx.ones(8, mx.complex64)])[1][0].dtype == mx.float64


def test_transforms_of_a_batch_do_not_touch_each_other():
    """Not even rounding or NaN of one row reaches another."""
    for n in (5, 16, 17, 37, 101, 256, 1000, 1024):
        x = noise(20, n)
        alone = [np.array(mx.fft.fft(mx.array(x)))[3:4], np.array(mx.fft.rfft(mx.array(x.real)))[3:4], np.array(mx.fft.irfft(mx.array(x)))[3:4]]
        x[2] = np.nan
        x[4] = 1e30
        for got, want in zip([mx.fft.fft(mx.array(x)), mx.fft.rfft(mx.array(x.real)), mx.fft.irfft(mx.array(x))], alone):
            assert np.array_equal(np.array(got)[3:4], want)


def test_results_do_not_depend_on_the_number_of_threads():
    program = """
import hashlib, numpy as np, mxform as mx
x = mx.array(np.random.default_rng(0).standard_normal((40, 3072)).astype(np.float32))
h = hashlib.sha256()
for y in (mx.fft.fft(x), mx.fft.rfft(x), mx.fft.fft2(x), mx.fft.fft(x.reshape(-1)), mx.fft.fft(x.reshape(-1)[:65537]), mx.fft.irfft(x), mx.hadamard_transform(x)):
    h.update(np.array(y).tobytes())
print(h.hexdigest())
"""
    digests = {subprocess.run([sys.executable, "-c", program], env={**os.environ, "MXFORM_NUM_THREADS": str(n)}, capture_output=True, text=True,
                              check=True).stdout for n in (1, 2, 5)}
    assert len(digests) == 1


def test_a_real_spectrum_has_real_ends():
    for n in (2, 3, 6, 7, 64, 101, 1000):
        y = np.array(mx.fft.rfft(mx.array(RNG.standard_normal((17, n)).astype(np.float32))))
        assert not y[:, 0].imag.any() and (n % 2 or not y[:, -1].imag.any())


def test_irfft_ignores_what_has_no_meaning_and_so_does_its_gradient():
    for n in (6, 7):
        x = mx.array(noise(4))
        ends = mx.array([1j, 0, 0, 1j if n == 6 else 0])
        assert mx.array_equal(mx.fft.irfft(x + ends, n=n), mx.fft.irfft(x, n=n))
        g = np.array(mx.vjp(lambda v: mx.fft.irfft(v, n=n), [x], [mx.arange(n).astype(mx.float32)])[1][0])
        assert g[0].imag == 0 and (n == 7 or g[3].imag == 0) and np.all(g[1:3].imag != 0)


def test_gradients_of_power_spectra_are_parsevals():
    """The sum of |X|² is n times that of x²."""
    for n in (5, 8):
        x = mx.array(RNG.standard_normal(n).astype(np.float32))
        full = mx.grad(lambda v: mx.sum(mx.square(mx.abs(mx.fft.fft(v)))))(x)
        assert mx.allclose(full, 2 * n * x, rtol=1e-5)
        y = mx.fft.rfft(x)
        weights = mx.array([1.0] + [2.0] * ((n - 1) // 2) + [1.0] * (n % 2 == 0))
        half = mx.grad(lambda v: mx.sum(weights * mx.square(mx.abs(mx.fft.rfft(v)))))(x)
        assert mx.allclose(half, 2 * n * x, rtol=1e-5) and y.shape == weights.shape


def test_nothing_to_transform_returns_the_input():
    x = mx.ones((2, 2), mx.int32)
    for f in (mx.fft.fftn, mx.fft.ifftn, mx.fft.rfftn, mx.fft.irfftn):
        assert f(x, axes=()).dtype == mx.int32 and mx.array_equal(f(x, s=[], axes=[]), x)


def test_frequencies_are_numpys():
    for n in (1, 2, 5, 8, 101):
        for d in (1.0, 0.25, -3.0):
            assert np.array_equal(np.array(mx.fft.fftfreq(n, d)), -np.fft.fftfreq(n, -d).astype(np.float32) if d < 0 else np.fft.fftfreq(n, d).astype(np.float32))
            assert np.allclose(np.array(mx.fft.rfftfreq(n, d)), np.arange(n // 2 + 1) / (n * d), rtol=1e-7)


def test_short_time_transforms_are_inverses():
    x = mx.array(RNG.standard_normal((2, 500)).astype(np.float32))
    for n_fft, hop, window in ((16, None, None), (64, 16, mx.hanning(65)[:64]), (33, 7, mx.hamming(33)), (32, 8, mx.hamming(20))):
        for norm in ("backward", "ortho", "forward"):
            s = mx.fft.stft(x, n_fft=n_fft, hop_length=hop, window=window, norm=norm)
            y = mx.fft.istft(s, n_fft=n_fft, hop_length=hop, window=window, norm=norm, length=500)
            seen = 500 // (hop or n_fft // 4) * (hop or n_fft // 4)
            assert mx.allclose(y[:, :seen], x[:, :seen], atol=2e-5)


def test_short_time_gradients_reach_signal_and_window():
    x, w = mx.array(RNG.standard_normal(40).astype(np.float32)), mx.array(RNG.uniform(0.5, 1, 8).astype(np.float32))

    def energy(x, w):
        return mx.sum(mx.square(mx.abs(mx.fft.stft(x, n_fft=8, window=w))))

    for k in (0, 1):
        g = mx.grad(energy, argnums=k)(x, w)
        t = mx.array(RNG.standard_normal(g.shape).astype(np.float32))
        step = 1e-2
        args = [[x, w], [x, w]]
        args[0][k], args[1][k] = args[0][k] + step * t, args[1][k] - step * t
        difference = (energy(*args[0]) - energy(*args[1])) / (2 * step)
        assert abs(difference.item() - mx.sum(g * t).item()) < 2e-3 * abs(difference.item()) + 0.05
    # A round trip is the identity, and so is its derivative.
    trip = lambda v: mx.fft.istft(mx.fft.stft(v, n_fft=8, window=w), window=w)  # noqa: E731
    assert mx.allclose(mx.vjp(trip, [x], [mx.ones(40)])[1][0], mx.ones(40), atol=1e-4)


# ---- Hadamard

# Every m / 4-th row of the matrices that MLX uses.
ROWS = {
    12: ["+-++++++++++", "+---+--+-++-", "++--+++-++--", "+--+-++---+-"],
    20: ["+----+----++--++-++-", "-+++++-----+--+++--+", "--++-+-++-+-----++++", "-+--+--++-+----+----"],
    28: ["+------++----++-+--+-+--++--", "--++++-+-------++--+++-+--+-", "-+-++-++--++--+--------++++-", "-++--++-+-++-+++----++------"],
}


@pytest.mark.parametrize("m", [1, 12, 20, 28])
def test_hadamard_matrices_are_mlxs(m):
    h = np.array(mx.hadamard_transform(mx.eye(m), scale=1.0)).T
    assert np.array_equal(np.abs(h), np.ones((m, m))) and np.array_equal(h @ h.T, m * np.eye(m))
    if m > 1:
        assert ["".join("-+"[int(v > 0)] for v in row) for row in h[::m // 4]] == ROWS[m]
    wide = np.array(mx.hadamard_transform(mx.eye(4 * m), scale=1.0)).T
    assert np.array_equal(wide, np.kron(h, np.kron([[1, 1], [1, -1]], [[1, 1], [1, -1]])))


def test_hadamard_of_long_rows_is_an_isometry():
    for n in (2**16, 28 * 2**12, 2**19):
        x = mx.array(RNG.standard_normal(n).astype(np.float32))
        y = mx.hadamard_transform(x)
        assert abs(mx.sum(y * y).item() / mx.sum(x * x).item() - 1) < 1e-5
        back = mx.vjp(lambda v: mx.hadamard_transform(v), [x], [y])[1][0]
        assert mx.allclose(back, x, atol=1e-5)


# ---- errors

CALLS = [
    ("mx.fft.fft(mx.array(1.0))", ValueError, ["[fft]", "()"]),
    ("mx.fft.fft(mx.zeros(0))", ValueError, ["[fft]", "0", "(0,)"]),
    ("mx.fft.fft(mx.zeros(4), n=0)", ValueError, ["[fft]", "0"]),
    ("mx.fft.ifft(mx.zeros(4), n=-3)", ValueError, ["[ifft]", "-3"]),
    ("mx.fft.fft(mx.zeros(4), axis=1)", mx.AxisError, ["[fft]", "axis 1"]),
    ("mx.fft.rfft(mx.zeros((2, 4)), axis=-3)", mx.AxisError, ["[rfft]", "axis -3"]),
    ("mx.fft.irfft(mx.zeros(1))", ValueError, ["[irfft]", "0"]),
    ("mx.fft.irfft(mx.zeros(0))", ValueError, ["[irfft]", "-2"]),
    ("mx.fft.fft2(mx.zeros(4))", mx.AxisError, ["[fft2]", "axis -2"]),
    ("mx.fft.fftn(mx.zeros((4, 4)), axes=(0, 0))", ValueError, ["[fftn]", "(0, 0)"]),
    ("mx.fft.fftn(mx.zeros((4, 4)), axes=(1, -1))", ValueError, ["[fftn]", "(1, -1)"]),
    ("mx.fft.irfftn(mx.zeros((4, 4)), axes=(1, 1))", ValueError, ["[irfftn]", "(1, 1)"]),
    ("mx.fft.fftn(mx.zeros((4, 4)), s=(2,))", ValueError, ["[fftn]", "(2,)", "None"]),
    ("mx.fft.rfftn(mx.zeros((4, 4)), s=(2, 2), axes=(0,))", ValueError, ["[rfftn]", "(2, 2)", "(0,)"]),
    ("mx.fft.fftn(mx.zeros((4, 4)), s=(2, -1), axes=(0, 1))", ValueError, ["[fftn]", "-1"]),
    ("mx.fft.fft(mx.zeros(4), norm='none')", ValueError, ["[fft]", "'none'", "'ortho'"]),
    ("mx.fft.irfft2(mx.zeros((2, 2)), norm='')", ValueError, ["[irfft2]", "norm"]),
    ("mx.fft.fft(mx.zeros(4), norm=None)", TypeError, ["[fft]", "norm"]),
    ("mx.fft.fft(mx.zeros(4), n=2.0)", TypeError, ["[fft]", "n"]),
    ("mx.fft.fftfreq(0)", ValueError, ["[fftfreq]", "0"]),
    ("mx.fft.rfftfreq(-1)", ValueError, ["[rfftfreq]", "-1"]),
    ("mx.fft.fftfreq(4, 0)", ValueError, ["[fftfreq]", "d"]),
    ("mx.fft.fftshift(mx.zeros((2, 3)), axes=2)", mx.AxisError, ["[fftshift]", "axis 2"]),
    ("mx.fft.ifftshift(mx.zeros((2, 3)), axes=(0, -3))", mx.AxisError, ["[ifftshift]", "axis -3"]),
    ("mx.fft.stft(mx.array(1.0))", ValueError, ["[stft]", "scalar"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=0)", ValueError, ["[stft]", "n_fft", "0"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=3)", ValueError, ["[stft]", "hop_length"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, hop_length=-1)", ValueError, ["[stft]", "hop_length", "-1"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, win_length=5)", ValueError, ["[stft]", "5", "4"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, win_length=-5)", ValueError, ["[stft]", "win_length", "-5"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, window=mx.ones(5))", ValueError, ["[stft]", "5", "4"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, window=mx.ones((2, 2)))", ValueError, ["[stft]", "(2, 2)"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, window='hann')", TypeError, ["[stft]", "window"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, pad_mode='wrap')", ValueError, ["[stft]", "'wrap'", "'reflect'"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=4, norm='x')", ValueError, ["[stft]", "'x'"]),
    ("mx.fft.stft(mx.zeros(9), n_fft=10, center=False)", ValueError, ["[stft]", "9", "10"]),
    ("mx.fft.istft(mx.zeros(9))", ValueError, ["[istft]", "(9,)"]),
    ("mx.fft.istft(mx.zeros((9, 0)))", ValueError, ["[istft]", "(9, 0)"]),
    ("mx.fft.istft(mx.zeros((1, 3)))", ValueError, ["[istft]", "n_fft", "0"]),
    ("mx.fft.istft(mx.zeros((9, 3)), hop_length=0)", ValueError, ["[istft]", "hop_length"]),
    ("mx.fft.istft(mx.zeros((9, 3)), window=mx.ones(17))", ValueError, ["[istft]", "17", "16"]),
    ("mx.fft.istft(mx.zeros((9, 3)), norm='x')", ValueError, ["[istft]", "'x'"]),
    ("mx.fft.fft(mx.array(1.0))", IndexError, ["[fft]", "()"]),
    ("mx.hadamard_transform(mx.zeros(3))", ValueError, ["[hadamard_transform]", "(3,)", "28"]),
    ("mx.hadamard_transform(mx.zeros((2, 0)))", ValueError, ["[hadamard_transform]", "(2, 0)"]),
    ("mx.hadamard_transform(mx.zeros(36))", ValueError, ["[hadamard_transform]", "36"]),
]


@pytest.mark.parametrize("call, kind, words", CALLS, ids=[c[0] for c in CALLS])
def test_a_wrong_call_raises_and_says_what_came(call, kind, words):
    with pytest.raises(kind) as caught:
        eval(call, {"mx": mx})
    for word in words:
        assert word in str(caught.value), str(caught.value)
