"""specs_fft.py — rows of Fourier and Walsh-Hadamard transforms. Transforms are single precision; references are double."""

import numpy as np

import mxform as mx
from specs import ALL, COMPLEX, FLOATS, INTS, C, a, fixed, row

FROM = ("complex64", "float32", "float16", "bfloat16", "int32", "uint8", "bool_")
FROM_REAL = ("float32", "complex64") + FROM[2:]
SPECTRUM, SIGNAL = fixed("complex64"), fixed("float32")


def transform(name, ref, *cases, f=None, **kw):
    """Linear and in single precision: rounding is relative to the largest coefficient."""
    settings = dict(out=SPECTRUM, dtypes=FROM, sums=True, ulp=6, tol=1e-5)
    return row(name, f or getattr(mx.fft, name), ref, *cases, **{**settings, **kw})


def real_part(f):
    """NumPy's rfft refuses complex numbers; ours drops their imaginary part."""
    return lambda x, **kw: f(np.real(x), **kw)


LINES = [C(a(4)), C(a(1)), C(a(7)), C(a(2, 5)), C(a(3, 2), axis=0), C(a(4), n=6, norm="ortho"), C(a(2, 5), n=3), C(a(2, 3, 2), axis=1, norm="forward"),
         C(a(0, 4)), C(a(4, 0), axis=0), C(a(0), n=3)]
LONG = [C(a(33, 64)), C(a(3, 1000)), C(a(5, 1009)), C(a(40, 17), axis=0), C(a(256, 40), axis=0), C(a(3000, 3), axis=0), C(a(2, 2187)), C(a(1, 74)),
        C(a(20000))]
PLANES = [C(a(2, 3)), C(a(3, 1, 4), axes=(2, 0)), C(a(2, 3), s=(3, 2), axes=(1, 0), norm="ortho"), C(a(2, 2, 2), axes=(-1,)), C(a(0, 2, 3), axes=(1, 2))]
WHOLE = PLANES + [C(a(2, 2, 3)), C(a(4), norm="forward")]
REAL_BACK = [C(a(3)), C(a(1), n=1), C(a(2), n=3), C(a(2, 4), n=5, norm="ortho"), C(a(3, 2), axis=0, norm="forward"), C(a(4), n=9), C(a(0, 3)), C(a(2), n=8)]
PLANES_BACK = [C(a(2, 3)), C(a(3, 1, 4), axes=(2, 0)), C(a(2, 3), s=(4, 5), axes=(0, 1), norm="ortho"), C(a(2, 2, 3), axes=(-1,)), C(a(0, 2, 3), axes=(1, 2))]


# ---- short-time transforms

def full_window(n_fft, win_length, window):
    w = np.ones(n_fft if win_length is None else win_length) if window is None else window
    left = (n_fft - len(w)) // 2
    return np.pad(w, (left, n_fft - len(w) - left))


def stft(x, window=None, n_fft=2048, hop_length=None, win_length=None, center=True, pad_mode="reflect", norm="backward", onesided=None):
    hop = n_fft // 4 if hop_length is None else hop_length
    one = not np.iscomplexobj(x) if onesided is None else onesided
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n_fft // 2,) * 2], mode=pad_mode)
    starts = np.arange(0, x.shape[-1] - n_fft + 1, hop)
    frames = x[..., starts[:, None] + np.arange(n_fft)] * full_window(n_fft, win_length, window)
    return np.swapaxes(np.fft.rfft(np.real(frames), norm=norm) if one else np.fft.fft(frames, norm=norm), -1, -2)


def istft(s, window=None, n_fft=None, hop_length=None, win_length=None, center=True, norm="backward", onesided=None, length=None):
    one = onesided is None or onesided
    n = n_fft or (2 * (s.shape[-2] - 1) if one else s.shape[-2])
    hop = n // 4 if hop_length is None else hop_length
    w = full_window(n, win_length, window)
    s = np.swapaxes(s, -1, -2)
    frames = (np.fft.irfft(s, n, norm=norm) if one else np.fft.ifft(s, n, norm=norm).real) * w
    total = n + hop * (frames.shape[-2] - 1)
    y, weight = np.zeros(frames.shape[:-2] + (total,), np.result_type(frames, w)), np.zeros(total, w.dtype)
    for i in range(frames.shape[-2]):
        y[..., i * hop:i * hop + n] += frames[..., i, :]
        weight[i * hop:i * hop + n] += w * w
    start = n // 2 if center else 0
    y = (y / np.maximum(weight, 1e-8))[..., start:total if length is not None else total - start]
    if length is None:
        return y
    return np.pad(y[..., :length], [(0, 0)] * (y.ndim - 1) + [(0, max(0, length - y.shape[-1]))])


FRAMES = [C(a(9), n_fft=4), C(a(2, 8), n_fft=5, hop_length=2, norm="ortho"), C(a(9), n_fft=6, win_length=3, pad_mode="constant", onesided=False),
          C(a(8), n_fft=4, center=False, hop_length=3), C(a(3), n_fft=8, pad_mode="edge", norm="forward")]
BACK = [C(a(3, 3)), C(a(2, 3, 2), n_fft=5, hop_length=2, norm="ortho"), C(a(4, 3), onesided=False, length=3), C(a(3, 2), center=False, length=9),
        C(a(3, 2), win_length=3, norm="forward")]


# ---- Hadamard matrices, put together from their definitions

def paley_12():
    squares = [0, 1, -1, -1, 1]
    c = np.array([[0 if i == j else 1 if min(i, j) == 0 else squares[(j - i) % 5] for j in range(6)] for i in range(6)])
    return np.kron(c, [[1, 1], [1, -1]]) + np.kron(np.eye(6), [[1, -1], [-1, -1]])


def williamson(*rows):
    a, b, c, d = ([np.roll([1 if s == "+" else -1 for s in row], k) for k in range(len(row))] for row in rows)
    a, b, c, d = map(np.array, (a, b, c, d))
    return np.block([[a, b, c, d], [-b, a, -d, c], [-c, d, a, -b], [-d, -c, b, a]])


def hadamard_matrix(n):
    for m, h in ((12, paley_12()), (20, williamson("+----", "+----", "++--+", "+-++-")),
                 (28, williamson("+------", "++----+", "+-+--+-", "+--++--")), (1, np.ones((1, 1)))):
        if n % m == 0 and (n // m) & (n // m - 1) == 0:
            while len(h) < n:
                h = np.kron(h, [[1, 1], [1, -1]])
            return h


def hadamard(x, scale=None):
    n = x.shape[-1] if x.ndim else 1
    y = x.reshape(-1, n) @ hadamard_matrix(n).T * (n ** -0.5 if scale is None else scale)
    return y.reshape(x.shape)


SPECS = [
    transform("fft", np.fft.fft, *LINES, big=LONG),
    transform("ifft", np.fft.ifft, *LINES, big=LONG),
    transform("rfft", real_part(np.fft.rfft), *LINES, C(a(6)), dtypes=FROM_REAL, big=LONG),
    transform("irfft", np.fft.irfft, *REAL_BACK, out=SIGNAL, big=[C(a(33, 65)), C(a(3, 501), n=1001), C(a(40, 17), axis=0), C(a(1, 1010), n=2018)]),
    transform("fft2", np.fft.fft2, *PLANES),
    transform("ifft2", np.fft.ifft2, *PLANES[:3]),
    transform("rfft2", real_part(np.fft.rfft2), *PLANES, dtypes=FROM_REAL),
    transform("irfft2", np.fft.irfft2, *PLANES_BACK, out=SIGNAL),
    transform("fftn", np.fft.fftn, *WHOLE, big=[C(a(20, 18, 22)), C(a(64, 128)), C(a(100, 3, 4), axes=(0, 2))]),
    transform("ifftn", np.fft.ifftn, *WHOLE[2:]),
    transform("rfftn", real_part(np.fft.rfftn), *WHOLE, dtypes=FROM_REAL, big=[C(a(20, 18, 22)), C(a(33, 20), axes=(1, 0))]),
    transform("irfftn", np.fft.irfftn, *PLANES_BACK, C(a(2, 2, 3)), out=SIGNAL, big=[C(a(20, 18, 12))]),
    transform("stft", stft, *FRAMES, dtypes=("complex64", "float32", "float16", "int32"), ulp=12, big=[C(a(3, 5000), n_fft=256)]),
    transform("stft_window", stft, C(a(9), a(4), n_fft=4), C(a(2, 9), a(3), n_fft=6, hop_length=2, onesided=True),
              f=lambda x, w, **kw: mx.fft.stft(x, window=w, **kw), dtypes=("float32", "complex64"), ulp=12),
    transform("istft", istft, *BACK, out=SIGNAL, dtypes=("complex64", "float32"), ulp=12),
    transform("istft_window", istft, C(a(3, 3), a(4, lo=0.5)), C(a(2, 3, 2), a(3, lo=0.5), center=False),
              f=lambda s, w, **kw: mx.fft.istft(s, window=w, **kw), out=SIGNAL, dtypes=("float32",), ulp=12),
    row("fftshift", mx.fft.fftshift, np.fft.fftshift, C(a(4)), C(a(5)), C(a(2, 3)), C(a(2, 3, 5), axes=(-1, 0)), C(a(2, 3), axes=1), C(a(0, 2)),
        dtypes=ALL, ulp=0),
    row("ifftshift", mx.fft.ifftshift, np.fft.ifftshift, C(a(4)), C(a(5)), C(a(2, 3, 5), axes=(-1, 0)), C(a(2, 3), axes=1), C(a(0, 2)), dtypes=ALL, ulp=0),
    row("hadamard", mx.hadamard_transform, hadamard, C(a(4)), C(a(2, 8)), C(a(3, 1), scale=2.0), C(a(), scale=-3.0), C(a(12)), C(a(20), scale=1.0), C(a(2, 28)),
        C(a(0, 4)), dtypes=FLOATS + COMPLEX + INTS[:2] + ("bool_",), out=lambda d: d if d in FLOATS + COMPLEX else "float32", sums=True, ulp=8,
        big=[C(a(9, 1024)), C(a(2, 40)), C(a(3, 12 * 64)), C(a(70, 56))]),
]
