"""specs_random.py — rows of random draws with a key. The same key must draw the same numbers everywhere: alone, in a
batch, in a compiled function, in a recomputation. Which numbers, and how they are spread, is in test_random.py."""

import numpy as np

import mxform as mx
from specs import A, C, a, at, fixed, row

KEY = A((2,), dtype="uint32", maker=lambda rng: rng.integers(0, 2**32, 2, dtype=np.uint32))
F32 = ("float32",)
R = mx.random


def draws(name, f, *cases, out="float32", **kw):
    kw.setdefault("order", 0)
    return row(name, f, None, *cases, dtypes=kw.pop("dtypes", F32), out=fixed(out) if isinstance(out, str) else out, **kw)


SPECS = [
    draws("uniform", lambda k, shape: R.uniform(shape=shape, key=k), C(KEY, shape=(2, 3)), C(KEY, shape=()), C(KEY, shape=(0,)), C(KEY, shape=(5,))),
    draws("uniform_range", lambda low, high, k: R.uniform(low, high, shape=(2, 3), key=k), C(a(3, hi=-1), a(lo=1), KEY),
          C(a(hi=-1), a(2, 1, lo=1), KEY), order=2, fd=False, tol=1e-5),
    draws("normal", lambda k, shape: R.normal(shape, key=k), C(KEY, shape=(2, 3)), C(KEY, shape=(3,)), C(KEY, shape=())),
    draws("normal_scaled", lambda loc, scale, k: R.normal((2, 3), loc=loc, scale=scale, key=k), C(a(3), a(2, 1, lo=0.5), KEY), C(a(), a(lo=0.5), KEY),
          order=2, fd=False, tol=1e-5),
    *(draws(f"normal_{d}", lambda k, d=d: R.normal((4,), dtype=getattr(mx, d), key=k), C(KEY), out=d) for d in ("float16", "bfloat16")),
    *(draws(f"uniform_{d}", lambda k, d=d: R.uniform(shape=(4,), dtype=getattr(mx, d), key=k), C(KEY), out=d) for d in ("float16", "bfloat16")),
    draws("bernoulli", lambda p, k: R.bernoulli(p, shape=(4, 3), key=k), C(at([0.1, 0.5, 0.9]), KEY), C(at(0.5), KEY), out="bool_"),
    draws("randint", lambda k: R.randint(-3, 9, (3, 2), key=k), C(KEY), out="int32"),
    draws("randint_bounds", lambda low, high, k: R.randint(low, high, (2, 3), key=k),
          C(A((3,), lo=-5, hi=-1, dtype="int32"), A((), lo=2, hi=9, dtype="int32"), KEY), out="int32"),
    draws("truncated_normal", lambda low, high, k: R.truncated_normal(low, high, (2, 3), key=k),
          C(a(3, lo=-2, hi=-1), a(lo=0.5, hi=2), KEY), fd=False,
          tol=1e-4, order=1),
    draws("gumbel", lambda k: R.gumbel((2, 3), key=k), C(KEY)),
    draws("laplace", lambda k: R.laplace((2, 3), loc=1.0, scale=2.0, key=k), C(KEY)),
    draws("categorical", lambda logits, k: R.categorical(logits, key=k), C(a(4, 3), KEY), C(a(3), KEY), out="uint32"),
    draws("categorical_many", lambda logits, k: R.categorical(logits, num_samples=5, key=k), C(a(2, 3), KEY), out="uint32"),
    draws("permutation_of_array", lambda x, k: R.permutation(x, key=k), C(a(5), KEY), C(a(4, 2), KEY), order=2, fd=False, tol=1e-5),
    draws("permutation_of_range", lambda k: R.permutation(6, key=k), C(KEY), out="uint32"),
    draws("key_split", lambda k: R.split(k), C(KEY), out="uint32"),
    draws("fold_in", lambda k, n: R.fold_in(k, n), C(KEY, A((), lo=0, hi=100, dtype="int32")), out="uint32"),
    draws("key_split_many", lambda k: R.split(k, 5), C(KEY), out="uint32"),
    draws("multivariate_normal", lambda mean, b, k, shape=(): R.multivariate_normal(mean, b @ b.swapaxes(-1, -2) + mx.eye(b.shape[-1]), shape, key=k),
          C(a(3), a(3, 3), KEY), C(a(2, 1, 2), a(3, 2, 2), KEY), C(a(2), a(2, 2), KEY, shape=(3,)), C(a(0), a(0, 0), KEY), order=2, fd=False, tol=1e-4),
    draws("reparametrized", lambda mu, k: mx.sum(mx.sin(mu + R.normal(mu.shape, key=k))), C(a(3), KEY), order=2, fd=False, tol=1e-5),
]
