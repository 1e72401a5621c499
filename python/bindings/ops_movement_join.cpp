// ops_movement_join.cpp — Python functions that join, split, repeat and pad arrays (ops/movement.h).
// Beyond conversion: the forms that pad_width may take. Called by bind_movement() in ops_movement.cpp.

#include "bindings/bind.h"
#include "bindings/interop.h"
#include "ops/index.h"
#include "ops/movement.h"

namespace mx::python {

void bind_movement_joins(py::module_& m);

namespace {

bool is_index(PyObject* o) { return !is_array(o) && PyIndex_Check(o); }

struct Widths {
  Shape low, high;
};

// pad_width for an array of ndim axes: n, (n,), (before, after), [(before, after)], or one pair an axis.
Widths pad_widths(const Args& a, int i, int ndim) {
  PyObject* o = a.raw(i);
  size_t n = static_cast<size_t>(ndim);
  auto same = [&](int64_t low, int64_t high) { return Widths{Shape(n, low), Shape(n, high)}; };
  if (is_index(o)) {
    int64_t width = a.integer(i);
    return same(width, width);
  }
  if (!PyList_Check(o) && !PyTuple_Check(o)) {
    throw py::type_error(cat(a.what(i), " is a ", Py_TYPE(o)->tp_name, "; need an int, a pair, or a list of pairs."));
  }
  auto items = py::reinterpret_borrow<py::sequence>(o);
  size_t count = items.size();
  if (count > 0 && is_index(py::object(items[0]).ptr())) {
    Shape pair = a.shape(i);
    if (count > 2) throw ValueError(cat(a.what(i), " has ", count, " numbers; need one, a pair, or a list of pairs."));
    return same(pair[0], pair[count - 1]);
  }
  Widths w;
  for (size_t k = 0; k < count; ++k) {
    py::object item = items[k];
    Shape pair = to_shape(item.ptr(), a.what(i));
    if (pair.empty() || pair.size() > 2) {
      throw ValueError(cat(a.what(i), " has an entry ", pair, "; need pairs (before, after)."));
    }
    w.low.push_back(pair.front());
    w.high.push_back(pair.back());
  }
  if (count == 1) return same(w.low[0], w.high[0]);
  if (count != n) {
    throw ValueError(cat(a.what(i), " has ", count, " pairs for an array of ", ndim, " dimensions; need one for each."));
  }
  return w;
}

// A Python number becomes an array of `t` at once.
array constant_of(const Args& a, int i, Dtype t) {
  return is_python_number(a.raw(i)) ? to_array(a.raw(i), t) : a.arr(i);
}

PadMode pad_mode(const std::string& name) {
  if (name == "constant") return PadMode::constant;
  if (name == "edge") return PadMode::edge;
  if (name == "reflect") return PadMode::reflect;
  if (name == "symmetric") return PadMode::symmetric;
  throw ValueError(cat("[pad] mode is '", name, "'; need 'constant', 'edge', 'reflect' or 'symmetric'."));
}

}  // namespace

void bind_movement_joins(py::module_& m) {
  def(m, "concatenate(arrays, axis=0, *, stream=None)", R"(Join arrays along an axis they have.

Args:
    arrays (sequence of array): Equal shapes but for `axis`. The dtypes are promoted.
    axis (int, optional): The axis to join along; None flattens the arrays first. Default: 0.

Returns:
    array: The arrays one after the other.

Raises:
    ValueError: If there are no arrays, or the shapes do not fit.

Example:
    >>> mx.concatenate([mx.array([1, 2]), mx.array([3])]).tolist()
    [1, 2, 3]
)",
      [](const Args& a) {
        Arrays arrays = a.arrays(0);
        if (!a.is_none(1)) return concatenate(arrays, a.small(1));
        for (array& x : arrays) x = flatten(x);
        return concatenate(arrays, 0);
      });
  alias(m, "concat", "concatenate");

  def(m, "stack(arrays, axis=0, *, stream=None)", R"(Join arrays along a new axis.

Args:
    arrays (sequence of array): Equal shapes. The dtypes are promoted.
    axis (int, optional): Where the new axis is in the result. Default: 0.

Returns:
    array: One dimension more than the arrays.

Raises:
    ValueError: If there are no arrays, or the shapes differ.

Example:
    >>> mx.stack([mx.array([1, 2]), mx.array([3, 4])], axis=1).tolist()
    [[1, 3], [2, 4]]
)",
      [](const Args& a) { return stack(a.arrays(0), a.is_none(1) ? 0 : a.small(1)); });

  def(m, "unstack(x, /, *, axis=0, stream=None)", R"(Take an array apart along an axis.

Args:
    x (array): At least one dimension.
    axis (int, optional): The axis. Default: 0.

Returns:
    tuple of array: The slices, without the axis. Views.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> [y.tolist() for y in mx.unstack(mx.array([[1, 2], [3, 4]]))]
    [[1, 2], [3, 4]]
)",
      [](const Args& a) { return to_tuple(unstack(a.arr(0), a.small(1))); });

  def(m, "split(a, /, indices_or_sections, axis=0, *, stream=None)", R"(Split an array along an axis.

Args:
    a (array): At least one dimension.
    indices_or_sections (int or sequence of int): The number of equal parts, or the indices at which parts begin.
    axis (int, optional): The axis. Default: 0.

Returns:
    list of array: The parts. Views.

Raises:
    ValueError: If the axis does not divide into equal parts.

Example:
    >>> [x.tolist() for x in mx.split(mx.arange(5), [2, 3])]
    [[0, 1], [2], [3, 4]]
)",
      [](const Args& a) {
        if (is_index(a.raw(1))) return split(a.arr(0), a.integer(1), a.small(2));
        return split(a.arr(0), a.shape(1), a.small(2));
      });

  def(m, "repeat(array, repeats, axis=None, *, stream=None)", R"(Repeat each element.

Args:
    array (array): Any shape.
    repeats (int or array): How often each element appears. An array, one number for each position along the axis, is
        evaluated.
    axis (int, optional): Along which axis. Default: in the flattened array.

Returns:
    array: `repeats` times as long along the axis.

Raises:
    ValueError: If `repeats` is negative or has the wrong shape.
    TransformError: If `repeats` is an array and its values are not known because a function is being traced.

Example:
    >>> mx.repeat(mx.array([1, 2]), 2).tolist()
    [1, 1, 2, 2]
)",
      [](const Args& a) {
        if (is_array_like(a.raw(1)) || PyList_Check(a.raw(1)) || PyTuple_Check(a.raw(1))) {
          return a.is_none(2) ? repeat(flatten(a.arr(0)), a.arr(1), 0) : repeat(a.arr(0), a.arr(1), a.small(2));
        }
        return a.is_none(2) ? repeat(a.arr(0), a.integer(1)) : repeat(a.arr(0), a.integer(1), a.small(2));
      });

  def(m, "tile(a, reps, /, *, stream=None)", R"(Repeat an array as a whole.

Args:
    a (array): Any shape.
    reps (int or sequence of int): How often along each axis, aligned at the right.

Returns:
    array: Along each axis, `reps` times as long.

Raises:
    ValueError: If a number is negative.

Example:
    >>> mx.tile(mx.array([1, 2]), 2).tolist()
    [1, 2, 1, 2]
)",
      [](const Args& a) { return tile(a.arr(0), a.shape(1)); });

  def(m, "pad(a, pad_width, mode='constant', constant_values=0, *, stream=None)", R"(Add elements before and after an array's own.

Args:
    a (array): Any shape.
    pad_width (int, pair of int, or list of pairs): How many elements to add: the same everywhere, (before, after) for all
        axes, or one pair for each axis.
    mode (str, optional): What to add: 'constant', the value given; 'edge', the nearest element; 'reflect' or 'symmetric',
        the mirror image without or with the edge element repeated. Default: 'constant'.
    constant_values (number or array, optional): The value, broadcast to the result; gradients reach it. Default: 0.

Returns:
    array: The dtype of `a`.

Raises:
    ValueError: If a width is negative, the mode is unknown, or there is no element to repeat.

Example:
    >>> mx.pad(mx.array([1, 2]), (1, 2)).tolist()
    [0, 1, 2, 0, 0]
)",
      [](const Args& a) {
        array x = a.arr(0);
        Widths w = pad_widths(a, 1, x.ndim());
        PadMode mode = pad_mode(a.str(2));
        array value = a.given(3) && mode == PadMode::constant ? constant_of(a, 3, x.dtype()) : array();
        return pad(x, all_axes(x.ndim()), w.low, w.high, value, mode);
      });

  def(m, "meshgrid(*arrays, sparse=False, indexing='xy', stream=None)", R"(Make coordinate arrays of a grid from its axes.

Args:
    *arrays (array): The coordinates along each axis; flattened if not one-dimensional.
    sparse (bool, optional): Leave size 1 where broadcasting would repeat. Default: False.
    indexing (str, optional): 'xy' exchanges the first two axes of the results, 'ij' does not. Default: 'xy'.

Returns:
    tuple of array: One for each argument. Views.

Raises:
    ValueError: If `indexing` is neither.

Example:
    >>> [x.tolist() for x in mx.meshgrid(mx.array([1, 2]), mx.array([3, 4]))]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
)",
      [](const Args& a) {
        std::string indexing = a.str(2);
        if (indexing != "xy" && indexing != "ij") {
          throw ValueError(cat("[meshgrid] indexing is '", indexing, "'; need 'xy' or 'ij'."));
        }
        return to_tuple(meshgrid(a.arrays(0), a.flag(1), indexing == "xy"));
      });

  def(m, "diff(a, /, n=1, axis=-1, *, stream=None, prepend=None, append=None)", R"(Take differences of neighbours.

Args:
    a (array): At least one dimension.
    n (int, optional): How many times. Default: 1.
    axis (int, optional): Along which axis. Default: -1.
    prepend (array, optional): Joined before `a` along the axis first.
    append (array, optional): Joined after `a` along the axis first.

Returns:
    array: Shorter by `n` along the axis; for bool, whether neighbours differ.

Raises:
    ValueError: If `n` is negative or the axis is out of range.

Example:
    >>> mx.diff(mx.array([1, 4, 9])).tolist()
    [3, 5]
)",
      [](const Args& a) {
        array x = a.arr(0);
        auto before = a.opt_arr_beside(4, x), after = a.opt_arr_beside(5, x);
        Arrays parts;
        if (before) parts.push_back(*before);
        parts.push_back(x);
        if (after) parts.push_back(*after);
        return diff(parts.size() > 1 ? concatenate(parts, a.small(2)) : x, a.integer(1), a.small(2));
      });
}

}  // namespace mx::python
