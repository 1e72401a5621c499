"""test_fusion.py — random programs over every dtype, shape and layout, elementwise and with reductions along rows: compiled, they
must give what they give step by step, bit for bit for integers and to a few ulp for floats. Short runs draw the same programs
each time."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mxform as mx
from checks import assert_agree
from specs import EPS, LAYOUTS, inexact, name_of, to_mx, to_np

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

DTYPES = ["float32", "float16", "bfloat16", "float64", "int32", "uint8", "int64", "int16", "bool_", "complex64"]
SHAPES = [(), (1,), (5,), (3, 5), (3, 1), (2, 3, 5), (1, 5), (0, 5), (2, 1, 1)]


def real(x):
    return mx.real(x) if name_of(x) == "complex64" else x


def number(x):
    return x.astype(mx.int32) if name_of(x) == "bool_" else x


def floating(x):
    return x if inexact(name_of(x)) else x.astype(mx.float32)


# Values stay small, so that nothing overflows in float16; integers may wrap, which is defined.
UNARY = {
    "negative": lambda x: -number(x),
    "abs": mx.abs,
    "square": lambda x: mx.square(number(x)),
    "tanh": lambda x: mx.tanh(real(x)),
    "sin": lambda x: mx.sin(real(x)),
    "exp": lambda x: mx.exp(-mx.abs(number(x))),
    "log": lambda x: mx.log(1 + mx.abs(x)),
    "sqrt": lambda x: mx.sqrt(mx.abs(x)),
    "sigmoid": lambda x: mx.sigmoid(real(x)),
    "floor": lambda x: mx.floor(real(number(x))),
    "round": mx.round,
    "not": lambda x: mx.logical_not(x),
    "isnan": mx.isnan,
    "to_float16": lambda x: mx.tanh(real(x)).astype(mx.float16),
    "to_int": lambda x: real(x).astype(mx.int32),
    "to_bool": lambda x: x.astype(mx.bool_),
    "to_float64": lambda x: real(x).astype(mx.float64),
    "to_uint8": lambda x: mx.abs(real(x)).astype(mx.uint8),
    "plus_half": lambda x: x + 0.5,
    "times_3": lambda x: x * 3,
    "erf": lambda x: mx.erf(real(x)),
    "sign": lambda x: mx.sign(real(number(x))),
    "reverse": lambda x: x[::-1] if x.ndim else x,
    "transpose": mx.transpose,
    "expand": lambda x: mx.expand_dims(x, 0) if x.ndim < 3 else x,
    "sum": lambda x: mx.sum(x, axis=-1, keepdims=True) * 0.25 if x.ndim else x,
}
BINARY = {
    "add": mx.add,
    "multiply": mx.multiply,
    "subtract": lambda x, y: mx.subtract(number(x), y),
    "divide": lambda x, y: x / (1 + mx.abs(floating(y))),
    "maximum": lambda x, y: mx.maximum(real(x), real(y)),
    "less": lambda x, y: real(x) < real(y),
    "equal": mx.equal,
    "and": lambda x, y: mx.logical_and(x, y),
    "where": lambda x, y: mx.where(real(x) > 0, x, y),
    "where_mask": lambda x, y: mx.where(y.astype(mx.bool_), x, 1),
    "power": lambda x, y: mx.power(mx.abs(real(floating(x))) + 0.5, mx.tanh(real(y))),
    "remainder": lambda x, y: mx.remainder(real(number(x)), 3),
    "floor_divide": lambda x, y: real(number(x)) // 2,
    "arctan2": lambda x, y: mx.arctan2(real(floating(x)), 1 + mx.abs(real(floating(y)))),
    "logaddexp": lambda x, y: mx.logaddexp(real(x), real(y)),
    "bits": lambda x, y: (x & y) ^ 1 if not inexact(name_of(x)) and not inexact(name_of(y)) else x,
}

inputs = st.lists(st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.sampled_from(["plain", *LAYOUTS])), min_size=1, max_size=3)
steps = st.lists(st.tuples(st.sampled_from(sorted(UNARY) + sorted(BINARY)), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=10)
SMOOTH = ["tanh", "sin", "exp", "square", "sigmoid", "add", "multiply", "divide", "power", "arctan2", "where", "sum", "plus_half"]
smooth_inputs = st.lists(st.tuples(st.just("float64"), st.sampled_from([(5,), (3, 5), (3, 1), (2, 3, 5)]),
                                   st.sampled_from(["plain", *LAYOUTS])), min_size=1, max_size=2)
smooth_steps = st.lists(st.tuples(st.sampled_from(SMOOTH), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8)


def make(spec, seed):
    rng = np.random.default_rng(seed)
    out = []
    for dtype, shape, layout in spec:
        if dtype == "bool_":
            a = rng.random(shape) < 0.5
        elif inexact(dtype):
            a = rng.uniform(-2, 2, shape) + (1j * rng.uniform(-1, 1, shape) if dtype == "complex64" else 0)
        else:
            a = rng.integers(0 if dtype == "uint8" else -5, 6, shape)
        a = np.asarray(a)
        out.append(to_mx(a, dtype) if layout == "plain" or a.ndim == 0 or a.size == 0 else LAYOUTS[layout](a, dtype)[1])
    return out


def together(x, y):
    """Whether two shapes broadcast."""
    return all(m == n or m == 1 or n == 1 for m, n in zip(x.shape[::-1], y.shape[::-1]))


def run(program, args):
    values = list(args)
    for name, i, j in program:
        x, y = values[i % len(values)], values[j % len(values)]
        if name in UNARY:
            values.append(UNARY[name](x))
        else:
            values.append(BINARY[name](x, y if together(x, y) else x))
    return values[len(args):]


def check(spec, program, seed, shapeless=False):
    compiled = mx.compile(lambda *args: run(program, args), shapeless=shapeless)
    for k in range(2):
        args = make(spec, seed + k)
        want = run(program, args)
        for x in want:
            mx.eval(x)  # one by one: nothing is fused
        for n, (g, w) in enumerate(zip(compiled(*args), want)):
            assert name_of(g) == name_of(w) and g.shape == w.shape, f"step {n} {program[n]}: {g.dtype} {g.shape}, expected {w.dtype} {w.shape}"
            tolerance = 16 * EPS[name_of(w)] if inexact(name_of(w)) else 0
            assert_agree(to_np(g), to_np(w), tolerance, f"step {n} {program[n]}")
        # The last value alone: what lies before it need not be stored.
        last = mx.compile(lambda *args: run(program, args)[-1])(*args)
        assert_agree(to_np(last), to_np(want[-1]), 16 * EPS.get(name_of(last), 0), "last value")


@settings(max_examples=max(400, settings().max_examples))
@given(inputs, steps, st.integers(0, 2**16), st.booleans())
def test_compiled_elementwise_programs_give_what_their_steps_give(spec, program, seed, shapeless):
    check(spec, program, seed, shapeless)


@settings(max_examples=max(150, settings().max_examples))
@given(smooth_inputs, smooth_steps, st.integers(0, 2**16))
def test_gradients_of_compiled_programs_are_those_of_the_steps(spec, program, seed):
    args = make(spec, seed)
    loss = lambda *args: sum(mx.sum(mx.tanh(v)) for v in run(program, args))  # noqa: E731
    which = list(range(len(args)))
    want = mx.grad(loss, argnums=which)(*args)
    for route in (mx.grad(mx.compile(loss), argnums=which), mx.compile(mx.grad(loss, argnums=which)), mx.grad(mx.checkpoint(loss), argnums=which),
                  mx.compile(mx.grad(mx.checkpoint(mx.compile(loss)), argnums=which))):
        for g, w in zip(route(*args), want):
            assert_agree(to_np(g), to_np(w), 1e-10, "gradient")


def test_a_program_longer_than_any_register_file():
    """Hundreds of values alive at once."""
    def f(x):
        values = [x]
        for k in range(300):
            values.append(mx.sin(values[-1]) * 0.5 + values[k // 2] * 0.25)
        total = values[0]
        for v in values[1:]:
            total = total + v * 0.01
        return total

    for shape in ((7,), (1000,), (33, 65)):
        x = mx.array(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape).astype(np.float32))
        assert_agree(to_np(mx.compile(f)(x)), to_np(f(x)), 1e-5, str(shape))


def test_many_inputs_and_outputs():
    xs = [mx.full((4,), float(k)) for k in range(120)]

    def f(*xs):
        return [x * 2 + y for x, y in zip(xs, xs[::-1])]

    for g, w in zip(mx.compile(f)(*xs), f(*xs)):
        assert g.tolist() == w.tolist()


# --- reductions, and what is computed with a row's results

ROW_SHAPES = [(3, 5), (1, 7), (4, 1), (2, 3, 5), (6, 33), (40, 70), (2, 3, 40), (3, 9000), (2, 20000), (50000,), (300, 16)]


def along(f):
    return lambda x: f(x, axis=-1, keepdims=True) if x.ndim else x


def per_row(f):
    """A row's result without its axis, put back afterwards."""
    return lambda x: mx.expand_dims(f(x, axis=-1), -1) if x.ndim else x


# Numbers stay near 1, so that what reductions may differ by stays small against them.
REDUCING = {
    "mean": along(mx.mean),
    "mean_squeezed": per_row(mx.mean),
    "max": along(mx.max),
    "min": per_row(mx.min),
    "var": along(mx.var),
    "any": lambda x: mx.any(x > 0.5, axis=-1, keepdims=True).astype(x.dtype) if x.ndim else x,
    "all": lambda x: mx.all(x < 0.5, axis=-1, keepdims=True).astype(x.dtype) if x.ndim else x,
    "softmax": lambda x: mx.softmax(x, axis=-1) if x.ndim else x,
    "softmax_all": lambda x: mx.softmax(x, axis=tuple(range(x.ndim))) if x.ndim else x,
    "softmax_first": lambda x: mx.softmax(x, axis=0) if x.ndim else x,
    "logsumexp": lambda x: mx.logsumexp(x, axis=-1, keepdims=True) * 0.1 if x.ndim else x,
    "mean_of_two": lambda x: mx.mean(x, axis=(-2, -1), keepdims=True) if x.ndim > 1 else x,
    "mean_of_rows": lambda x: mx.mean(x, axis=tuple(range(x.ndim - 1)), keepdims=True) if x.ndim > 1 else x,
    "mean_of_all": lambda x: mx.mean(x),
    "layer_norm": lambda x: mx.fast.layer_norm(x, None, None, 1e-3) if x.ndim else x,
    "rms_norm": lambda x: mx.fast.rms_norm(x, mx.ones((x.shape[-1],), x.dtype), 1e-3) if x.ndim else x,
}
LOCAL = ["tanh", "sin", "exp", "sigmoid", "square", "plus_half", "add", "multiply", "divide", "maximum", "where"]
row_steps = st.lists(st.tuples(st.sampled_from(LOCAL + 2 * sorted(REDUCING)), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=8)
row_inputs = st.tuples(st.sampled_from(["float32", "float64", "float16", "bfloat16"]), st.sampled_from(ROW_SHAPES), st.integers(1, 3),
                       st.lists(st.sampled_from(["plain", *LAYOUTS]), min_size=3, max_size=3))


def run_rows(program, args):
    values = list(args)
    for name, i, j in program:
        x, y = values[i % len(values)], values[j % len(values)]
        y = y if together(x, y) and len(y.shape) <= len(x.shape) else x
        if name in REDUCING:
            z = REDUCING[name](x)
        elif name in UNARY:
            z = UNARY[name](x)
        else:
            z = BINARY[name](x, y)
        values.append(mx.clip(z, -4, 4))
    return values[len(args):]


@settings(max_examples=max(200, settings().max_examples))
@given(row_inputs, row_steps, st.integers(0, 2**16), st.booleans())
def test_compiled_programs_with_reductions_give_what_their_steps_give(spec, program, seed, gradient):
    dtype, shape, n, layouts = spec
    args = make([(dtype, shape, layouts[k]) for k in range(n)], seed)
    f = lambda *args: run_rows(program, args)  # noqa: E731
    if gradient and dtype == "float64":
        smooth = [s for s in program if "max" not in s[0] and s[0] not in ("min", "where")]
        loss = lambda *args: sum((mx.sum(mx.tanh(v)) for v in run_rows(smooth, args)), mx.sum(args[0]))  # noqa: E731
        f = lambda *args: mx.grad(loss, argnums=list(range(n)))(*args)  # noqa: E731
    want = f(*args)
    for x in want:
        mx.eval(x)
    # Steps such as var amplify what the reductions before them may differ by.
    tolerance = 1e-9 if gradient and dtype == "float64" else 256 * EPS[dtype]
    for n, (g, w) in enumerate(zip(mx.compile(f)(*args), want)):
        assert name_of(g) == name_of(w) and g.shape == w.shape
        assert_agree(to_np(g), to_np(w), tolerance, f"value {n}")


def test_results_do_not_depend_on_the_number_of_threads():
    """Rows, pieces of long rows and columns: the same bits from one, two and three threads."""
    child = """if True:
        import zlib
        import numpy as np
        import mxform as mx
        rng = np.random.default_rng(0)
        def draw(*shape):
            return mx.array(rng.standard_normal(shape, dtype=np.float32))
        def norms(x, w, b, ct):
            y, grads = mx.vjp(lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-5), [x, w, b], [ct])
            return [*y, *grads]
        def softmax(x):
            return [mx.softmax(x * 2, axis=-1), mx.sum(mx.square(x)), mx.mean(mx.exp(x), axis=0)]
        cases = [(norms, [draw(500, 300), draw(300), draw(300), draw(500, 300)])]
        for shape in [(3, 200000), (700, 300), (20000, 12), (1, 400000), (64, 70, 50)]:
            cases.append((softmax, [draw(*shape)]))
        print([zlib.crc32(np.array(y).tobytes()) for f, args in cases for y in mx.compile(f)(*args)])
    """
    seen = {subprocess.run([sys.executable, "-c", child], env={**os.environ, "MXFORM_NUM_THREADS": n}, capture_output=True, text=True,
                           check=True).stdout for n in ("1", "2", "3")}
    assert len(seen) == 1


def test_sums_of_many_elements_stay_accurate():
    rng = np.random.default_rng(0)
    for shape in [(200000, 64), (3, 1000000)]:
        x = rng.random(shape, dtype=np.float32)
        rows, columns, all_ = mx.compile(lambda x: (mx.sum(x * 1.5, axis=1), mx.sum(x * 1.5, axis=0), mx.sum(x * 1.5)))(mx.array(x))
        want = x.astype(np.float64) * 1.5
        for got, axis in ((rows, 1), (columns, 0), (all_, None)):
            np.testing.assert_allclose(np.array(got), want.sum(axis), rtol=1e-6)


def test_a_norm_and_its_derivative_share_work_but_no_results():
    x = mx.random.normal((300, 16), key=mx.random.key(0))
    f = lambda x: mx.grad(lambda x: mx.sum(mx.tanh(mx.fast.layer_norm(x, None, None, 1e-3))))(x)  # noqa: E731
    want = np.array(mx.compile(f)(x))
    for _ in range(5):
        np.testing.assert_allclose(np.array(f(x)), want, atol=1e-5)


def test_norms_of_single_elements():
    x = mx.array([[0.5]])
    f = lambda x, w: mx.fast.rms_norm(x, w, 1e-3) + mx.fast.layer_norm(x * 2, w, None, 1e-3)  # noqa: E731
    w = mx.ones((1,))
    for g in (lambda x: f(x, w), lambda y: f(w.reshape(1, 1), y.reshape(1)), lambda x: mx.grad(lambda x: mx.sum(f(x, w)))(x)):
        np.testing.assert_allclose(np.array(mx.compile(g)(x)), np.array(g(x)), rtol=1e-6)


def test_equal_elements_have_no_norm():
    x = mx.full((5, 1000), 12345.678)
    y = mx.compile(lambda x: mx.fast.layer_norm(x, None, None, 1e-5) * 2)(x)
    assert (np.array(y) == 0).all()
    z = mx.compile(lambda x: mx.fast.layer_norm(mx.sqrt(x), None, None, 1e-5) * 2)(x)
    assert np.abs(np.array(z)).max() < 1e-3


def test_rows_without_anything_finite():
    inf, nan = float("inf"), float("nan")
    x = mx.array([[-inf, -inf, -inf], [inf, 1.0, 2.0], [nan, 1.0, 2.0], [-inf, 1.0, 2.0]])
    got = np.array(mx.compile(lambda x: mx.logsumexp(x + 0.0, axis=-1))(x))
    assert got[0] == -inf and got[1] == inf and np.isnan(got[2]) and abs(got[3] - 2.3132617) < 1e-6
    soft = np.array(mx.compile(lambda x: mx.softmax(x + 0.0, axis=-1))(x))
    assert np.isnan(soft[:3]).all() and soft[3, 0] == 0


def test_programs_without_generated_code_agree():
    """The same tests with the tile interpreter alone."""
    if os.environ.get("MXFORM_JIT") == "0":
        pytest.skip("already without")
    names = "finite or norm or threads or reductions"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__, "-k", names],
                          env={**os.environ, "MXFORM_JIT": "0"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
