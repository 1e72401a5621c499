"""test_indexing.py — index expressions and assignments against NumPy, drawn at random.

A key is drawn with NumPy's arrays in it; mxform gets the same key with its own arrays, lists or NumPy's. Where NumPy
raises, so must we. MXFORM_LONG=1 draws 20 000 examples of each; a failure prints how to draw it again.
"""

import itertools
import os

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import mxform as mx

many = settings(max_examples=20_000 if os.environ.get("MXFORM_LONG") == "1" else 300)
some = settings(max_examples=4_000 if os.environ.get("MXFORM_LONG") == "1" else 100)

ERRORS = (IndexError, ValueError)
INDEX_DTYPES = ("int32", "int64", "int8", "uint8", "uint32")
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 3, 4]), min_size=0, max_size=4).map(tuple)


@st.composite
def slices(draw):
    bound = st.none() | st.integers(-6, 6)
    return slice(draw(bound), draw(bound), draw(st.none() | st.sampled_from([1, 2, 3, -1, -2, -3])))


@st.composite
def index_arrays(draw, size, shape):
    """Integers in bounds (now and then not) of a shape that broadcasts to `shape`."""
    own = tuple(draw(st.sampled_from([n, n, 1])) for n in shape[draw(st.integers(0, len(shape))):])
    dtype = draw(st.sampled_from(INDEX_DTYPES))
    low = 0 if dtype.startswith("u") else -size
    wild = draw(st.integers(0, 40)) == 0
    numbers = st.integers(low - wild * (low < 0), max(size - 1 + wild, low))
    if size == 0 and not wild:
        own = (0,) if draw(st.booleans()) else (1, 0)
    n = int(np.prod(own))
    return np.array(draw(st.lists(numbers, min_size=n, max_size=n)), dtype).reshape(own)


@st.composite
def keys(draw, shape, arrays=True, masks=True):
    items, axis = [], 0
    common = tuple(draw(st.lists(st.sampled_from([0, 1, 2, 2, 3]), max_size=2)))
    kinds = ["slice", "slice", "int", "newaxis"] + ["array", "array"] * arrays + ["mask"] * masks
    for _ in range(draw(st.integers(0, len(shape) + 1))):
        kind = draw(st.sampled_from(kinds))
        left = max(len(shape) - axis, 0)
        size = shape[axis] if left else 0
        if kind == "newaxis":
            items.append(None)
            continue
        if kind == "mask":
            n = draw(st.integers(0, min(left, 2)))
            flags = draw(st.lists(st.booleans(), min_size=int(np.prod(shape[axis:axis + n])), max_size=int(np.prod(shape[axis:axis + n]))))
            items.append(np.array(flags, bool).reshape(shape[axis:axis + n]))
            axis += n
            continue
        if not left and draw(st.integers(0, 20)):
            continue
        if kind == "slice":
            items.append(draw(slices()))
        elif kind == "int":
            items.append(draw(st.integers(-size, max(size - 1, -size)) if draw(st.integers(0, 30)) else st.integers(-6, 6)))
        else:
            items.append(draw(index_arrays(size, common)))
        axis += 1
    # NumPy does not check a mask without elements against the axis it meets.
    if draw(st.booleans()) and not any(isinstance(i, np.ndarray) and i.dtype == bool and not i.size for i in items):
        items.insert(draw(st.integers(0, len(items))), Ellipsis)
    if len(items) == 1 and draw(st.booleans()):
        return items[0]
    return tuple(items)


@st.composite
def arrays_and_keys(draw, **kw):
    shape = draw(SHAPES)
    return shape, draw(keys(shape, **kw)), draw(st.sampled_from(["mx", "list", "numpy"]))


def ours(key, style):
    """The key for mxform: NumPy's arrays as arrays of ours, lists, or as they are."""
    def one(i):
        if not isinstance(i, np.ndarray) or style == "numpy":
            return i
        if style == "list" and i.ndim and i.size:
            return i.tolist()
        return mx.array(i)
    return tuple(one(i) for i in key) if isinstance(key, tuple) else one(key)


def numbers(shape, dtype="float32"):
    return (np.arange(int(np.prod(shape))) + 1).reshape(shape).astype(dtype)


def either(f):
    """The result of f, or the class of the error it raises."""
    try:
        return f(), None
    except ERRORS as e:
        return None, e


def empty(key):
    """Whether some index array of the key, or mask, selects nothing."""
    items = key if isinstance(key, tuple) else (key,)
    return any(isinstance(i, np.ndarray) and not (i.any() if i.dtype == bool else i.size) for i in items)


def same(theirs, mine, *what):
    (want, refused), (got, error) = theirs, mine
    if refused is not None:
        # NumPy checks an index also where broadcasting against an empty one leaves nothing to read.
        if error is None and "out of bounds" in str(refused) and empty(what[1]):
            return
        assert error is not None, f"{what}: NumPy says {refused}; here {got!r}"
        return
    assert error is None, f"{what}: {error}"
    assert got.shape == want.shape and np.array_equal(got, want), f"{what}:\n{got}\ninstead of\n{want}"


def dropping(shape, draw):
    """A shape that mostly broadcasts to `shape`, perhaps with axes of size 1 in front."""
    own = [draw(st.sampled_from([n, n, 1])) for n in shape[draw(st.integers(0, len(shape))):]]
    if own and draw(st.integers(0, 15)) == 0:
        own[draw(st.integers(0, len(own) - 1))] += 1
    return (1,) * draw(st.sampled_from([0, 0, 0, 1, 2])) + tuple(own)


@many
@given(arrays_and_keys())
def test_reading_is_numpys(case):
    shape, key, style = case
    x = numbers(shape)
    same(either(lambda: np.array(x[key])), either(lambda: np.array(mx.array(x)[ours(key, style)])), shape, key)


@many
@given(arrays_and_keys(), st.data())
def test_assignment_is_numpys(case, data):
    shape, key, style = case
    x = numbers(shape)
    selected, error = either(lambda: x[key].shape)
    v = -numbers(dropping(selected or (), data.draw))
    if not error and not data.draw(st.booleans()):
        v = v.astype(data.draw(st.sampled_from(["int32", "float64"])))

    def theirs():
        y = x.copy()
        # Surplus axes of size 1 are dropped; NumPy does not do it for a single element or a single mask.
        surplus = max(v.ndim - len(selected or ()), 0)
        y[key] = v.reshape(v.shape[surplus:]) if set(v.shape[:surplus]) <= {1} else v
        return y

    def mine():
        y = mx.array(x)
        y[ours(key, style)] = mx.array(v) if style == "mx" else v
        return np.array(y)

    same(either(theirs), either(mine), shape, key, v.shape)


OPS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum, "minimum": np.minimum}


@many
@given(arrays_and_keys(), st.sampled_from(sorted(OPS)), st.data())
def test_updates_count_every_repeat(case, op, data):
    shape, key, style = case
    x = numbers(shape, "float64")
    selected, _ = either(lambda: x[key].shape)
    v = 2.0 ** (numbers(dropping(selected or (), data.draw), "float64") % 3)  # powers of two: exact in any order

    def theirs():
        # One by one: ufunc.at has crashed on keys with bool scalars.
        y = x.copy().reshape(-1)
        places = np.arange(x.size).reshape(shape)[key]
        surplus = max(v.ndim - places.ndim, 0)
        if any(n != 1 for n in v.shape[:surplus]):
            raise ValueError("value has too many axes")
        for place, value in zip(places.flat, np.broadcast_to(v.reshape(v.shape[surplus:]), places.shape).flat):
            y[place] = OPS[op](y[place], value)
        return y.reshape(shape)

    def mine():
        return np.array(getattr(mx.array(x, mx.float64).at[ours(key, style)], op)(mx.array(v, mx.float64)))

    same(either(theirs), either(mine), shape, key, op, v.shape)


@some
@given(arrays_and_keys())
def test_gradient_of_reading_adds_where_it_was_read(case):
    shape, key, style = case
    x = numbers(shape)
    selected, error = either(lambda: x[key].shape)
    if error:
        reject()
    w = numbers(selected)
    places = np.arange(x.size).reshape(shape)[key]
    want = np.bincount(places.ravel(), w.ravel(), x.size).reshape(shape)
    got = mx.grad(lambda a: mx.sum(a[ours(key, style)] * mx.array(w)))(mx.array(x))
    assert np.array_equal(np.array(got), want)


@some
@given(arrays_and_keys(), st.data())
def test_gradient_of_assignment_counts_the_last_write_only(case, data):
    shape, key, style = case
    x = numbers(shape)
    selected, error = either(lambda: x[key].shape)
    if error:
        reject()
    v = -numbers(tuple(n for n in dropping(selected, data.draw) if n))
    if either(lambda: np.broadcast_to(v, selected))[1]:
        reject()
    w = numbers(shape)

    def assigned(a, b):
        a = mx.array(a)
        a[ours(key, style)] = b
        return mx.sum(a * mx.array(w))

    # Which element of v each place holds: NumPy assigns their numbers.
    source = np.full(shape, -1)
    source[key] = np.arange(v.size).reshape(v.shape)
    for_x = np.where(source < 0, w, 0)
    for_v = np.bincount(source[source >= 0].ravel(), w[source >= 0].ravel(), v.size).reshape(v.shape)
    got = mx.grad(assigned, argnums=(0, 1))(mx.array(x), mx.array(v))
    assert np.array_equal(np.array(got[0]), for_x)
    assert np.allclose(np.array(got[1]), for_v)


@some
@given(arrays_and_keys(masks=False), st.booleans(), st.data())
def test_vmap_of_assignment_is_the_loop(case, add, data):
    """Mapped over every subset of the array, the value and the index arrays that is not empty."""
    shape, key, _ = case
    key = key if isinstance(key, tuple) else (key,)
    x = numbers(shape)
    selected, error = either(lambda: x[key].shape)
    if error:
        reject()
    v = -numbers(dropping(selected, data.draw))
    if either(lambda: np.broadcast_to(v, selected))[1]:
        reject()
    places = [i for i in key if isinstance(i, np.ndarray)]
    n = 2

    def run(a, b, *indices):
        left = iter(indices)
        k = tuple(next(left) if isinstance(i, np.ndarray) else i for i in key)
        if add:
            return a.at[k].add(b)
        a = mx.array(a)
        a[k] = b
        return a

    def batch(a):
        """n examples; of index arrays, the second has its elements in reverse order: other places, still in bounds."""
        return np.stack([a, a[::-1] if a.ndim and a.dtype.kind != "f" else a + (a.dtype.kind == "f")])

    arguments = [x, v, *places]
    for mapped in itertools.product([False, True], repeat=min(len(arguments), 4)):
        mapped = (*mapped, *[False] * (len(arguments) - len(mapped)))
        if not any(mapped):
            continue
        given_ = [mx.array(batch(a) if m else a) for a, m in zip(arguments, mapped)]
        axes = tuple(0 if m else None for m in mapped)
        want = np.stack([np.array(run(*[g[i] if m else g for g, m in zip(given_, mapped)])) for i in range(n)])
        assert np.array_equal(np.array(mx.vmap(run, in_axes=axes)(*given_)), want), mapped


@pytest.mark.parametrize("subset", [s for s in itertools.product([False, True], repeat=3) if any(s)])
def test_mask_assignment_under_vmap_and_grad(subset):
    """x[mask] = v with every subset of x, mask and v mapped, alone and under grad."""
    rng = np.random.default_rng(0)
    full = [rng.standard_normal((3, 4, 2)).astype("float32"), rng.random((3, 4)) > 0.5, rng.standard_normal((3, 2)).astype("float32")]
    args = [mx.array(a if m else a[0]) for a, m in zip(full, subset)]
    axes = tuple(0 if m else None for m in subset)

    def assigned(x, mask, v):
        x = mx.array(x)
        x[mask] = v
        return x

    def loss(x, mask, v):
        return mx.sum(assigned(x, mask, v) ** 2 * mx.arange(8.0).reshape(4, 2))

    def examples(f):
        return [f(*[a[i] if m else a for a, m in zip(args, subset)]) for i in range(3)]

    assert np.array_equal(np.array(mx.vmap(assigned, in_axes=axes)(*args)), np.stack([np.array(y) for y in examples(assigned)]))
    for argnum in (0, 2):
        g = mx.grad(loss, argnums=argnum)
        assert np.allclose(np.array(mx.vmap(g, in_axes=axes)(*args)), np.stack([np.array(y) for y in examples(g)]))


def test_traced_masks_select_only_what_needs_no_count():
    x, mask = mx.arange(6.0).reshape(2, 3), mx.array([[True, False, True], [False, True, True]])
    with pytest.raises(mx.TransformError, match="mask"):
        mx.vmap(lambda m: x[0][m])(mask)

    def keep_order(a, m, v):
        a = mx.array(a)
        a[m] = v
        return a

    # A list of values is dealt out to the true places in order.
    assert mx.vmap(keep_order)(x, mask, mx.array([[10.0, 20], [30, 40]])).tolist() == [[10, 1, 20], [3, 30, 40]]
    same_shape = mx.vmap(keep_order)(x, mask, -x)
    assert np.array_equal(np.array(same_shape), np.where(np.array(mask), -np.array(x), np.array(x)))


def test_reading_at_traced_indices_evaluates_nothing():
    x = mx.arange(12.0).reshape(3, 4)
    i = mx.array([[0, 2], [1, -1]])
    assert mx.vmap(lambda k: x[k])(i).shape == (2, 2, 4)
    assert mx.vmap(lambda k: x[1:, k], out_axes=1)(i).shape == (2, 2, 2)
    assert mx.vmap(lambda row, k: row[k])(x[:2], i).tolist() == [[0, 2], [5, 7]]


@pytest.mark.parametrize("key, error, text", [
    (5, IndexError, r"index 5 is out of bounds for axis 0 with size 2"),
    ((0, 0, 0), IndexError, r"array is 2-dimensional, but 3 were indexed"),
    ((0, 0, 0), ValueError, r"too many indices"),
    ((Ellipsis, Ellipsis), IndexError, "one ellipsis"),
    ("a", ValueError, "cannot be indexed by str"),
    (1.0, ValueError, "cannot be indexed by float"),
    (mx.array([0.5]), ValueError, "dtype is float32"),
    (np.zeros((3,), bool), mx.AxisError, r"mask is \(3,\)"),
    (mx.array([2**30]), IndexError, "1073741824 is out of bounds"),
    (mx.array([2**63], mx.uint64), IndexError, "out of bounds"),
])
def test_bad_keys_are_refused(key, error, text):
    x = mx.zeros((2, 3))
    with pytest.raises(error, match=text):
        mx.eval(x[key])
    with pytest.raises(error, match=text):
        x[key] = 1
        mx.eval(x)


def test_values_that_do_not_fit_are_refused_with_both_shapes():
    x = mx.zeros((2, 3))
    with pytest.raises(ValueError, match=r"\(4,\).*\(3,\)"):
        x[0] = mx.zeros((4,))
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(2, 3\)"):
        x[mx.array([0, 1])] = mx.zeros((3, 1))


def test_assignment_leaves_other_names_alone_and_keeps_the_dtype():
    x = mx.arange(3)
    y, view = x, x[1:]
    z = mx.array(x)
    z[1] = 7.9
    assert z.tolist() == [0, 7, 2] and z.dtype == mx.int32
    assert x.tolist() == [0, 1, 2] and y is x and view.tolist() == [1, 2]
    x[1] += 5
    assert y.tolist() == [0, 6, 2]


def test_the_last_write_to_a_place_stays():
    x = mx.zeros((3,))
    x[mx.array([1, 1, 0, 1])] = mx.array([1.0, 2, 3, 4])
    assert x.tolist() == [3, 4, 0]
