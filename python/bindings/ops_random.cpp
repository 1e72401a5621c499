// ops_random.cpp — the module mx.random (ops/random.h), and its list `state`, which holds the current key.
//
// A draw without a key takes the next one from `state`. As a list it can be given to compile as inputs= and
// outputs=, so that a compiled function draws anew in every call. Start at next_of_state().

#include <random>

#include "bindings/bind.h"
#include "ops/random.h"

namespace mx::python {

namespace {

PyObject* state = nullptr;  ///< mx.random.state; lives as long as the process.

/// The source of keys: one step of the sequence, whose position is the list's element.
array next_of_state() {
  py::gil_scoped_acquire gil;
  PyObject* current = PyList_GET_SIZE(state) == 1 ? PyList_GET_ITEM(state, 0) : nullptr;
  if (!current || !is_array(current)) {
    throw ValueError("[random] mx.random.state does not hold one key; call mx.random.seed(seed) to restore it.");
  }
  auto [after, drawn] = mx::random::draw(get_array(current));
  if (PyList_SetItem(state, 0, to_python(std::move(after)))) throw py::error_already_set();
  return drawn;
}

/// A seed: an integer in [0, 2**64).
uint64_t to_seed(PyObject* o, const char* op) {
  if (!PyIndex_Check(o)) throw py::type_error(cat("[", op, "] seed is ", kind_of(o), "; need an int."));
  py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(o));
  if (!index) throw py::error_already_set();
  uint64_t value = PyLong_AsUnsignedLongLong(index.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    throw ValueError(cat("[", op, "] seed is ", py::str(index).cast<std::string>(), "; need 0 <= seed < 2**64."));
  }
  return value;
}

void set_state(uint64_t seed) {
  if (PyList_SetSlice(state, 0, PyList_GET_SIZE(state), py::list(py::make_tuple(mx::random::key(seed))).ptr())) throw py::error_already_set();
}

/// An argument that may be None as an array that may be undefined.
array maybe(const Args& a, int i) { return a.is_none(i) ? array() : a.arr(i); }
Dtype dtype_or_float32(const Args& a, int i) { return a.opt_dtype(i).value_or(Dtype::float32); }

void bind_keys(py::module_& m) {
  def(m, "seed(seed)", R"(Restart the sequence of keys that draws without a key use.

Args:
    seed (int): 0 <= seed < 2**64.

Raises:
    ValueError: If the seed is out of range.

Example:
    >>> mx.random.seed(0)
    >>> a = mx.random.uniform(shape=(3,))
    >>> mx.random.seed(0)
    >>> mx.array_equal(a, mx.random.uniform(shape=(3,))).item()
    True
)",
      [](const Args& a) { set_state(to_seed(a.raw(0), "random.seed")); });

  def(m, "key(seed)", R"(Make a key from a seed.

Args:
    seed (int): 0 <= seed < 2**64.

Returns:
    array: uint32, shape (2,).

Raises:
    ValueError: If the seed is out of range.

Example:
    >>> mx.random.key(7).tolist()
    [0, 7]
)",
      [](const Args& a) { return mx::random::key(to_seed(a.raw(0), "random.key")); });

  def(m, "split(key, num=2, stream=None)", R"(Make new keys from a key. Use a key once only: for one draw or one split.

Args:
    key (array): uint32, shape (2,).
    num (int, optional): How many. Default: 2.

Returns:
    array: uint32, shape (num, 2).

Raises:
    ValueError: If `key` is not a key or `num` is negative.

Example:
    >>> a, b = mx.random.split(mx.random.key(0))
    >>> a.shape
    (2,)
)",
      [](const Args& a) { return mx::random::split(a.arr(0), a.integer(1)); });

  def(m, "fold_in(key, data, stream=None)", R"(Make a new key from a key and an integer, such as the number of a step.

Args:
    key (array): uint32, shape (2,).
    data (int or array): An integer scalar. Different integers give independent keys.

Returns:
    array: uint32, shape (2,).

Raises:
    ValueError: If `key` is not a key or `data` not an integer scalar.

Example:
    >>> key = mx.random.key(0)
    >>> keys = [mx.random.fold_in(key, step) for step in range(3)]
)",
      [](const Args& a) { return mx::random::fold_in(a.arr(0), a.arr(1)); });
}

void bind_continuous(py::module_& m) {
  def(m, "uniform(low=0, high=1, shape=[], dtype=float32, key=None, stream=None)", R"(Draw numbers uniformly from [low, high).

Args:
    low (scalar or array, optional): Lower bound; broadcasts to `shape`. Default: 0.
    high (scalar or array, optional): Upper bound; broadcasts to `shape`. Default: 1.
    shape (sequence of int, optional): Default: a scalar.
    dtype (Dtype, optional): A real floating point dtype. Default: float32.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: Differentiable in `low` and `high`.

Raises:
    ValueError: If the bounds do not broadcast to `shape`, the dtype is not a real floating point one, or `key` is not a key.

Example:
    >>> x = mx.random.uniform(-1, 1, shape=(1000,), key=mx.random.key(0))
    >>> mx.all(mx.abs(x) <= 1).item()
    True
)",
      [](const Args& a) {
        Dtype t = dtype_or_float32(a, 3);
        if (!a.given(0) && !a.given(1)) return mx::random::uniform(a.shape(2), t, maybe(a, 4));
        return mx::random::uniform(a.arr(0), a.arr(1), a.shape(2), t, maybe(a, 4));
      });

  def(m, "normal(shape=[], dtype=float32, loc=None, scale=None, key=None, stream=None)", R"(Draw normally distributed numbers.

Complex numbers have real and imaginary parts of variance 1/2 each.

Args:
    shape (sequence of int, optional): Default: a scalar.
    dtype (Dtype, optional): A floating point or complex dtype. Default: float32.
    loc (scalar or array, optional): The mean; broadcasts with `shape`. Default: 0.
    scale (scalar or array, optional): The standard deviation; broadcasts with `shape`. Default: 1.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: Differentiable in `loc` and `scale`.

Raises:
    ValueError: If shapes do not broadcast, the dtype is an integer one, or `key` is not a key.

Example:
    >>> mx.random.normal((2, 3)).shape
    (2, 3)
)",
      [](const Args& a) { return mx::random::normal(a.shape(0), dtype_or_float32(a, 1), maybe(a, 2), maybe(a, 3), maybe(a, 4)); });

  def(m, "truncated_normal(lower, upper, shape=None, dtype=float32, key=None, stream=None)", R"(Draw from the standard normal distribution between two bounds.

Args:
    lower (scalar or array): Lower bound; broadcasts to `shape`.
    upper (scalar or array): Upper bound; broadcasts to `shape`.
    shape (sequence of int, optional): Default: that of the bounds together.
    dtype (Dtype, optional): A real floating point dtype. Default: float32.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: Numbers in [lower, upper].

Raises:
    ValueError: If the bounds do not broadcast to `shape`, the dtype is not a real floating point one, or `key` is not a key.

Example:
    >>> x = mx.random.truncated_normal(-1, 1, shape=(100,))
    >>> mx.max(mx.abs(x)).item() <= 1
    True
)",
      [](const Args& a) {
        array lower = a.arr(0), upper = a.arr(1);
        Dtype t = dtype_or_float32(a, 3);
        if (a.is_none(2)) return mx::random::truncated_normal(lower, upper, t, maybe(a, 4));
        return mx::random::truncated_normal(lower, upper, a.shape(2), t, maybe(a, 4));
      });

  def(m, "gumbel(shape=[], dtype=float32, key=None, stream=None)", R"(Draw from the standard Gumbel distribution, exp(-exp(-x)).

Args:
    shape (sequence of int, optional): Default: a scalar.
    dtype (Dtype, optional): A real floating point dtype. Default: float32.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array

Raises:
    ValueError: If the dtype is not a real floating point one or `key` is not a key.

Example:
    >>> mx.random.gumbel((4,)).shape
    (4,)
)",
      [](const Args& a) { return mx::random::gumbel(a.shape(0), dtype_or_float32(a, 1), maybe(a, 2)); });

  def(m, "laplace(shape=[], dtype=float32, loc=0.0, scale=1.0, key=None, stream=None)", R"(Draw from a Laplace distribution.

Args:
    shape (sequence of int, optional): Default: a scalar.
    dtype (Dtype, optional): A real floating point dtype. Default: float32.
    loc (scalar or array, optional): The centre; broadcasts with `shape`. Default: 0.
    scale (scalar or array, optional): The scale b of exp(-|x - loc| / b); broadcasts with `shape`. Default: 1.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: Differentiable in `loc` and `scale`.

Raises:
    ValueError: If the dtype is not a real floating point one or `key` is not a key.

Example:
    >>> mx.random.laplace((4,), loc=1.0, scale=0.5).shape
    (4,)
)",
      [](const Args& a) {
        array loc = a.given(2) ? a.arr(2) : array(), scale = a.given(3) ? a.arr(3) : array();
        return mx::random::laplace(a.shape(0), dtype_or_float32(a, 1), loc, scale, maybe(a, 4));
      });

  def(m, "multivariate_normal(mean, cov, shape=[], dtype=float32, key=None, stream=None)", R"(Draw jointly normal vectors.

Args:
    mean (array): The means, shape (..., n).
    cov (array): The covariance matrices, shape (..., n, n): symmetric and positive semi-definite, which is not checked.
    shape (sequence of int, optional): Broadcast with the batch axes of `mean` and `cov` it is the shape of the result without its
        last axis. Default: those batch axes.
    dtype (Dtype, optional): float32. Default: float32.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: Shape (..., n). Differentiable in `mean` and `cov`.

Raises:
    ValueError: If sizes do not fit, the dtype is another, or `key` is not a key.

Example:
    >>> mx.random.multivariate_normal(mx.zeros(2), mx.eye(2), (5,)).shape
    (5, 2)
)",
      [](const Args& a) {
        return mx::random::multivariate_normal(a.arr(0), a.arr(1), a.shape(2), dtype_or_float32(a, 3), maybe(a, 4));
      });
}

void bind_discrete(py::module_& m) {
  def(m, "bernoulli(p=0.5, shape=None, key=None, stream=None)", R"(Draw True with probability p.

Args:
    p (float or array, optional): Probabilities, floating point; broadcast to `shape`. Default: 0.5.
    shape (sequence of int, optional): Default: that of `p`.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: bool.

Raises:
    ValueError: If `p` does not broadcast to `shape` or is not floating point, or `key` is not a key.

Example:
    >>> mx.random.bernoulli(0.5, (3,)).shape
    (3,)
)",
      [](const Args& a) {
        array p = is_python_number(a.raw(0)) ? array(a.real(0)) : a.arr(0);
        return a.is_none(1) ? mx::random::bernoulli(p, maybe(a, 2)) : mx::random::bernoulli(p, a.shape(1), maybe(a, 2));
      });

  def(m, "randint(low, high, shape=[], dtype=int32, key=None, stream=None)", R"(Draw integers from [low, high).

The draw is made in float32: of a range wider than 2**24 not every integer can come up.

Args:
    low (scalar or array): Lower bound; broadcasts to `shape`.
    high (scalar or array): Upper bound, exclusive; broadcasts to `shape`.
    shape (sequence of int, optional): Default: a scalar.
    dtype (Dtype, optional): An integer dtype or bool. Default: int32.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array

Raises:
    ValueError: If the bounds do not broadcast to `shape`, the dtype is not an integer one, or `key` is not a key.

Example:
    >>> x = mx.random.randint(0, 10, (100,))
    >>> mx.min(x).item() >= 0 and mx.max(x).item() < 10
    True
)",
      [](const Args& a) {
        return mx::random::randint(a.arr(0), a.arr(1), a.shape(2), a.opt_dtype(3).value_or(Dtype::int32), maybe(a, 4));
      });

  def(m, "categorical(logits, axis=-1, shape=None, num_samples=None, key=None, stream=None)", R"(Draw indices with probabilities softmax(logits).

Args:
    logits (array): Unnormalised log-probabilities.
    axis (int, optional): The axis that holds a distribution. Default: -1.
    shape (sequence of int, optional): What the other axes broadcast to. Default: their own sizes.
    num_samples (int, optional): Draws per distribution, in a new last axis. Not together with `shape`.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: uint32.

Raises:
    ValueError: If the axis is out of range, the other axes do not broadcast to `shape`, both `shape` and
        `num_samples` are given, or `key` is not a key.

Example:
    >>> mx.random.categorical(mx.zeros((5, 3)), num_samples=4).shape
    (5, 4)
)",
      [](const Args& a) {
        if (!a.is_none(2) && !a.is_none(3)) {
          throw ValueError("[random.categorical] both shape and num_samples are given; need at most one.");
        }
        array logits = a.arr(0);
        if (!a.is_none(2)) return mx::random::categorical(logits, a.small(1), a.shape(2), maybe(a, 4));
        if (!a.is_none(3)) return mx::random::categorical_num_samples(logits, a.small(1), a.integer(3), maybe(a, 4));
        return mx::random::categorical(logits, a.small(1), maybe(a, 4));
      });

  def(m, "permutation(x, axis=0, key=None, stream=None)", R"(Put slices in random order.

Args:
    x (int or array): An array, or a number n that stands for 0, 1, ..., n - 1.
    axis (int, optional): The axis along which to permute. Default: 0.
    key (array, optional): Default: the next of ``mx.random.state``.

Returns:
    array: The slices of `x` in random order; for a number, uint32 of shape (n,).

Raises:
    ValueError: If the axis is out of range, the number negative, or `key` is not a key.

Example:
    >>> sorted(mx.random.permutation(4).tolist())
    [0, 1, 2, 3]
)",
      [](const Args& a) {
        if (PyLong_Check(a.raw(0))) return mx::random::permutation(a.integer(0), maybe(a, 2));
        return mx::random::permutation(a.arr(0), a.small(1), maybe(a, 2));
      });
}

}  // namespace

void bind_random(py::module_& parent) {
  py::module_ m = parent.def_submodule("random", "Random numbers from keys. Draws without a key take the next one from the list `state`.");
  bind_keys(m);
  bind_continuous(m);
  bind_discrete(m);
  std::random_device device;
  state = py::list().release().ptr();
  set_state(uint64_t(device()) << 32 | device());
  m.attr("state") = py::handle(state);
  mx::random::set_key_source(next_of_state);
}

}  // namespace mx::python
