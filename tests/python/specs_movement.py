"""specs_movement.py — rows that move elements and compute nothing: shapes, axes, joining, slicing."""

import numpy as np

import mxform as mx
from specs import ALL, COMPLEX, FLOATS, INTS, C, a, at, row

INEXACT = FLOATS + COMPLEX


def moves(name, f, ref, *cases, **kw):
    kw.setdefault("dtypes", ALL)
    return row(name, f, ref, *cases, ulp=0, **kw)


def both(name, f, *cases, **kw):
    """f(module, *arrays): the same expression in mxform and in NumPy."""
    return moves(name, lambda *x, **s: f(mx, *x, **s), lambda *x, **s: f(np, *x, **s), *cases, **kw)


def flatten(x, start_axis=0, end_axis=-1):
    if x.ndim == 0:
        return x.reshape(1)
    i, j = start_axis % x.ndim, end_axis % x.ndim
    return x.reshape(*x.shape[:i], -1 if x.size else int(np.prod(x.shape[i:j + 1])), *x.shape[j + 1:])


def unflatten(x, axis, shape):
    axis %= x.ndim
    shape = tuple(x.shape[axis] // -int(np.prod(shape)) if n == -1 else n for n in shape)
    return x.reshape(*x.shape[:axis], *shape, *x.shape[axis + 1:])


def window(start, axes, size):
    """The slice that `start_indices`, `axes` and `slice_size` describe."""
    index = [slice(0, n) for n in size]
    for s, ax in zip(np.asarray(start).reshape(-1), axes):
        index[ax] = slice(int(s), int(s) + size[ax])
    return tuple(index)


def update(x, u, start, axes):
    x = x.copy()
    x[window(start, axes, u.shape)] = u
    return x


AXES = [
    moves("reshape", mx.reshape, np.reshape, C(a(2, 6), shape=(3, 4)), C(a(2, 3, 2), shape=(-1,)), C(a(), shape=(1, 1)),
          C(a(1), shape=()), C(a(0, 2), shape=(3, 0)), C(a(6), shape=(2, -1)), C(a(4), shape=(2, 2))),
    moves("reshape_method", lambda x: x.reshape(3, -1), lambda x: x.reshape(3, -1), C(a(2, 3)), dtypes=FLOATS),
    moves("transpose", mx.transpose, np.transpose, C(a(2, 3)), C(a(2, 3, 4), axes=(2, 0, 1)), C(a(2, 3, 2), axes=(0, -1, 1)),
          C(a(3)), C(a()), C(a(0, 2)), big=[C(a(130, 257)), C(a(17, 19, 23), axes=(2, 0, 1)), C(a(17, 19, 23), axes=(1, 0, 2))]),
    moves("permute_dims", mx.permute_dims, np.transpose, C(a(2, 3, 2), axes=(1, 2, 0)), dtypes=FLOATS),
    moves("T", lambda x: x.T, lambda x: x.T, C(a(2, 3)), C(a(2, 3, 2)), dtypes=FLOATS),
    moves("matrix_transpose", mx.matrix_transpose, lambda x: np.swapaxes(x, -1, -2), C(a(2, 3, 2)), C(a(2, 3)), dtypes=FLOATS),
    moves("swapaxes", lambda x, i, j: mx.swapaxes(x, i, j), lambda x, i, j: np.swapaxes(x, i, j), C(a(2, 3, 2), i=0, j=2),
          C(a(2, 3), i=-1, j=0), C(a(2, 0, 3), i=0, j=1)),
    moves("moveaxis", mx.moveaxis, np.moveaxis, C(a(2, 3, 4), source=0, destination=2),
          C(a(2, 3, 2), source=-1, destination=0), C(a(2, 0), source=1, destination=0)),
    moves("flatten", mx.flatten, flatten, C(a(2, 3)), C(a(2, 3, 2), start_axis=1), C(a(2, 3, 2), start_axis=0, end_axis=-2),
          C(a()), C(a(0, 3))),
    moves("unflatten", mx.unflatten, unflatten, C(a(2, 6), axis=1, shape=(2, 3)), C(a(4, 2), axis=0, shape=(2, -1)),
          C(a(2, 4), axis=-1, shape=(4, 1))),
    moves("squeeze", mx.squeeze, np.squeeze, C(a(1, 3, 1)), C(a(1, 3, 1), axis=0), C(a(1, 2, 1), axis=(0, -1)), C(a()),
          C(a(1, 0), axis=0)),
    moves("expand_dims", mx.expand_dims, np.expand_dims, C(a(2, 3), axis=0), C(a(2, 3), axis=-1), C(a(3), axis=(0, 2)),
          C(a(), axis=0), C(a(0), axis=1)),
    moves("atleast_1d", mx.atleast_1d, np.atleast_1d, C(a()), C(a(2)), dtypes=FLOATS),
    moves("atleast_2d", mx.atleast_2d, np.atleast_2d, C(a()), C(a(2)), C(a(2, 2)), dtypes=FLOATS),
    moves("atleast_3d", mx.atleast_3d, np.atleast_3d, C(a()), C(a(2)), C(a(2, 2)), dtypes=FLOATS),
    moves("broadcast_to", mx.broadcast_to, np.broadcast_to, C(a(3), shape=(2, 3)), C(a(2, 1), shape=(2, 3)),
          C(a(), shape=(2, 2)), C(a(1), shape=(0,)), C(a(1, 2), shape=(2, 3, 2))),
    moves("broadcast_arrays", lambda x, y: mx.broadcast_arrays(x, y), lambda x, y: tuple(np.broadcast_arrays(x, y)),
          C(a(2, 1), a(3)), C(a(), a(2)), C(a(0, 1), a(2)), dtypes=INEXACT),
    moves("contiguous", mx.contiguous, lambda x: x, C(a(2, 3)), C(a()), C(a(0)), dtypes=INEXACT),
    moves("as_strided", mx.as_strided, lambda x, shape, strides, offset=0: np.lib.stride_tricks.as_strided(
          x.reshape(-1)[offset:], shape, [s * x.itemsize for s in strides]).copy(),
          C(a(6), shape=(2, 3), strides=(1, 1)), C(a(2, 4), shape=(3, 2), strides=(2, 1), offset=1), dtypes=INEXACT),
    moves("depends", lambda x, y: mx.depends([x], [y])[0], lambda x, y: x, C(a(2), a(3)), dtypes=FLOATS, diff=(0,)),
]

JOIN = [
    moves("concatenate", lambda *x, axis=0: mx.concatenate(list(x), axis=axis), lambda *x, axis=0: np.concatenate(x, axis),
          C(a(2, 3), a(1, 3)), C(a(2, 2), a(2, 1), axis=1), C(a(2, 2), a(2, 1), a(2, 3), axis=-1), C(a(2), a(0)), C(a(3)),
          big=[C(a(5000), a(7000)), C(a(70, 130), a(70, 33), axis=1)]),
    moves("concatenate_promotes", lambda x, y: mx.concatenate([x, y]), lambda x, y: np.concatenate([x, y]),
          C(a(2), a(3, dtype="int32")), dtypes=FLOATS),
    moves("stack", lambda *x, axis=0: mx.stack(list(x), axis=axis), lambda *x, axis=0: np.stack(x, axis),
          C(a(2, 3), a(2, 3)), C(a(2), a(2), a(2), axis=1), C(a(), a()), C(a(2, 2), a(2, 2), axis=-1), C(a(0), a(0))),
    moves("split", mx.split, np.split, C(a(4, 2), indices_or_sections=2), C(a(2, 5), indices_or_sections=(1, 3), axis=1),
          C(a(2, 3), indices_or_sections=3, axis=-1), C(a(5), indices_or_sections=(2,))),
    moves("unstack", mx.unstack, lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)), C(a(2, 3)), C(a(2, 3), axis=-1), dtypes=INEXACT),
    moves("repeat", mx.repeat, np.repeat, C(a(2, 3), repeats=2), C(a(2, 3), repeats=2, axis=0), C(a(2, 3), repeats=3, axis=-1),
          C(a(3), repeats=0), C(a(), repeats=2),
          big=[C(a(70, 130), repeats=3, axis=0), C(a(5000), repeats=3)]),
    moves("tile", lambda x, reps: mx.tile(x, reps), lambda x, reps: np.tile(x, reps), C(a(2, 3), reps=2),
          C(a(2), reps=(2, 3)), C(a(2, 1, 2), reps=(2, 1)), C(a(), reps=(2,)), C(a(2), reps=0)),
    moves("roll", lambda x, shift, axis=None: mx.roll(x, shift, axis), np.roll, C(a(2, 3), shift=1),
          C(a(2, 3), shift=-1, axis=1), C(a(2, 3), shift=(1, 2), axis=(0, 1)), C(a(4), shift=7), C(a(0), shift=1),
          big=[C(a(70, 130), shift=(3, -5), axis=(0, 1))]),
    moves("flip", mx.flip, np.flip, C(a(2, 3)), C(a(2, 3), axis=0), C(a(2, 3, 2), axis=(0, -1)), C(a(0)), big=[C(a(70, 130))]),
    moves("pad", lambda x, w: mx.pad(x, w), lambda x, w: np.pad(x, w), C(a(2, 3), w=1), C(a(2, 3), w=((1, 0), (0, 2))),
          C(a(3), w=(1, 2)), C(a(0), w=1), big=[C(a(70, 130), w=((5, 6), (7, 8)))]),
    moves("pad_value", lambda x, v, w: mx.pad(x, w, constant_values=v),
          lambda x, v, w: np.where(np.pad(np.ones(x.shape, bool), w), np.pad(x, w), v), C(a(2, 3), a(), w=((1, 0), (0, 2))),
          C(a(2), a(), w=1), dtypes=FLOATS),
    *(moves(f"pad_{mode}", lambda x, w, mode=mode: mx.pad(x, w, mode=mode), lambda x, w, mode=mode: np.pad(x, w, mode=mode),
            C(a(2, 3), w=1), C(a(3), w=(2, 1)), C(a(3, 4), w=((0, 2), (3, 0))), dtypes=INEXACT + INTS)
      for mode in ("edge", "reflect", "symmetric")),
    moves("diagonal", mx.diagonal, np.diagonal, C(a(3, 3)), C(a(2, 4), offset=1), C(a(3, 2), offset=-1),
          C(a(2, 3, 4), axis1=1, axis2=2), C(a(2, 3, 2), offset=1, axis1=-1, axis2=0)),
    moves("diff", mx.diff, np.diff, C(a(4)), C(a(3, 4), n=2), C(a(3, 2), axis=0), C(a(1)), dtypes=INEXACT + ("int32",)),
]
JOIN[-1].ulp = 4

SLICE = [
    moves("slice_static", lambda x: x[1:3, ::2], lambda x: x[1:3, ::2], C(a(4, 3))),
    moves("slice_reverse", lambda x: x[::-1, 3:0:-2], lambda x: x[::-1, 3:0:-2], C(a(2, 4)), big=[C(a(5000, 4))]),
    moves("slice_empty", lambda x: x[2:1], lambda x: x[2:1], C(a(3, 2)), C(a(0, 2))),
    moves("slice_int", lambda x: x[1, ..., -1], lambda x: x[1, ..., -1], C(a(2, 3)), C(a(2, 2, 3))),
    moves("slice_newaxis", lambda x: x[None, :, None, 1], lambda x: x[None, :, None, 1], C(a(2, 3))),
    moves("slice_ellipsis", lambda x: x[..., None], lambda x: x[..., None], C(a()), C(a(2))),
    moves("slice", lambda x, s, axes, slice_size: mx.slice(x, s, axes, slice_size),
          lambda x, s, axes, slice_size: x[window(s, axes, slice_size)],
          C(a(4, 3), at([1], "int32"), axes=(0,), slice_size=(2, 3)),
          C(a(4, 3), at([2, 1], "int32"), axes=(0, 1), slice_size=(2, 2)),
          C(a(4), at([0], "int32"), axes=(0,), slice_size=(0,)), dtypes=INEXACT + INTS),
    moves("slice_update", lambda x, u, s, axes: mx.slice_update(x, u, s, axes), update,
          C(a(4, 3), a(2, 3), at([1], "int32"), axes=(0,)), C(a(4, 3), a(1, 2), at([2, 1], "int32"), axes=(0, 1)),
          C(a(3), a(0), at([1], "int32"), axes=(0,)), dtypes=INEXACT + INTS),
]

VIEWS = [
    moves("view", lambda x: x.view(mx.float32), lambda x: x.astype("int32").view("float32"), C(a(2, 3)), C(a()), dtypes=("int32",),
          out=lambda d: "float32", order=0),
    moves("view_narrower", lambda x: x.view(mx.uint8), lambda x: x.view("uint8"), C(a(2, 3)), C(a(3)), dtypes=("int32",),
          out=lambda d: "uint8", order=0),
    moves("real_of_parts", lambda x, y: mx.real(x + 1j * y) + mx.imag(x + 1j * y), lambda x, y: x + y, C(a(3), a(3)),
          dtypes=("float32",), fd=False, tol=1e-5),
]
VIEWS[-1].ulp = 4

SPECS = AXES + JOIN + SLICE + VIEWS
