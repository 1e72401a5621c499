// ops_sort.cpp — Python functions that sort, select and search (ops/sort.h).

#include "bindings/bind.h"
#include "bindings/named.h"
#include "ops/index.h"
#include "ops/sets.h"
#include "ops/sort.h"

namespace mx::python {

namespace {

bool right_side(const Args& a, int i) {
  std::string side = a.str(i);
  if (side != "left" && side != "right") throw ValueError(cat("[searchsorted] side must be 'left' or 'right': it is '", side, "'."));
  return side == "right";
}

// values alone, or a tuple with what was asked for.
py::object unique_of(const Args& a) {
  array x = a.arr(0);
  Unique u = unique(x, a.integer(1), a.opt_arr_beside(5, x).value_or(array()));
  Arrays out{u.values};
  if (a.flag(2)) out.push_back(u.index);
  if (a.flag(3)) out.push_back(u.inverse);
  if (a.flag(4)) out.push_back(u.counts);
  return py::reinterpret_steal<py::object>(out.size() == 1 ? to_python(out[0]) : to_python(to_tuple(out)));
}

void bind_searching(py::module_& m) {
  def(m, "searchsorted(sorted_sequence, values, /, side='left', *, stream=None, sorter=None)", R"(Find where values would be inserted to keep a sequence sorted.

Args:
    sorted_sequence (array): Shape (n,), ascending.
    values (array): Any shape.
    side (str, optional): 'left' counts the elements smaller than a value, 'right' those not greater. Default: 'left'.
    sorter (array, optional): The indices that sort `sorted_sequence`, which need not be sorted then.

Returns:
    array: uint32 indices from 0 to n, shaped like `values`.

Raises:
    ValueError: If `sorted_sequence` does not have one axis, or `side` is neither.

Example:
    >>> a = mx.array([1, 2, 2, 4])
    >>> mx.searchsorted(a, mx.array([0, 2, 5])).tolist()
    [0, 1, 4]
    >>> mx.searchsorted(a, mx.array([0, 2, 5]), side='right').tolist()
    [0, 3, 4]
)",
      [](const Args& a) {
        auto [sequence, values] = a.arr_pair(0, 1);
        auto sorter = a.opt_arr(4);
        return searchsorted(sorter ? take(sequence, *sorter, 0) : sequence, values, right_side(a, 2));
      });

  def(m, "unique(a, /, size, return_index=False, return_inverse=False, return_counts=False, fill_value=None, *, stream=None)",
      R"(Find the distinct elements of an array, sorted; NaNs count as one.

The size of the result is given, so nothing is evaluated. If there are more distinct elements the smallest `size` are
kept, and the inverse of the others points at the last; if there are fewer the rest is filled.

Args:
    a (array): Any shape.
    size (int): Number of elements of the result.
    return_index (bool, optional): Also return where each occurs first in the flattened array.
    return_inverse (bool, optional): Also return the indices into the result that restore `a`, shaped like it.
    return_counts (bool, optional): Also return how often each occurs; 0 for the fill.
    fill_value (number or array, optional): What fills the end. Default: the first distinct element.

Returns:
    array or tuple of array: values, then uint32 index and inverse and int32 counts as asked for.

Raises:
    ValueError: If `size` is negative.

Example:
    >>> values, counts = mx.unique(mx.array([2, 1, 2]), 3, return_counts=True, fill_value=0)
    >>> values.tolist(), counts.tolist()
    ([1, 2, 0], [1, 2, 0])
)",
      unique_of);
}

// ---- sets, in the words of the array API standard

void bind_sets(py::module_& m) {
  def(m, "isin(a, b, /, *, invert=False, stream=None)", R"(Tell which elements of one array are among those of another.

Args:
    a (array or number): What to look for, any shape and dtype.
    b (array or number): Where to look, any shape; promoted with `a`. NaN is never found.
    invert (bool, optional): Tell which are not. Default: False.

Returns:
    array: bool, shaped like `a`.

Example:
    >>> mx.isin(mx.array([1, 2, 3]), mx.array([3, 1])).tolist()
    [True, False, True]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return isin(x, y, a.flag(2));
      });

  static NamedTuple all_result(m, "UniqueAllResult", {"values", "indices", "inverse_indices", "counts"});
  static NamedTuple counts_result(m, "UniqueCountsResult", {"values", "counts"});
  static NamedTuple inverse_result(m, "UniqueInverseResult", {"values", "inverse_indices"});
  const char* more = R"(

Evaluates the array, since the size of the result depends on its values. NaNs are distinct from each other; -0 equals 0.

Args:
    x (array): Any shape and dtype.

Returns:
    )";
  const char* raises = R"(

Raises:
    TransformError: If the values are not known because a function is being traced; use ``unique`` with a size.

Example:
    >>> )";
  def(m, "unique_all(x, /)", cat("Find the distinct elements, where they are, and how often they occur.", more,
      "UniqueAllResult: A named tuple of `values`, sorted; `indices` of their first occurrence in the flattened array; "
      "`inverse_indices`, shaped like `x`, that restore it; `counts`. Indices and counts are int64.", raises,
      "mx.unique_all(mx.array([2, 1, 2])).indices.tolist()\n    [1, 0]\n").c_str(),
      [](const Args& a) {
        Distinct d = distinct(a.arr(0));
        return all_result({d.values, d.index, d.inverse, d.counts});
      });
  def(m, "unique_counts(x, /)", cat("Find the distinct elements and how often they occur.", more,
      "UniqueCountsResult: A named tuple of `values`, sorted, and `counts`, int64.", raises,
      "mx.unique_counts(mx.array([2, 1, 2])).counts.tolist()\n    [1, 2]\n").c_str(),
      [](const Args& a) {
        Distinct d = distinct(a.arr(0));
        return counts_result({d.values, d.counts});
      });
  def(m, "unique_inverse(x, /)", cat("Find the distinct elements, and the indices that restore the array from them.", more,
      "UniqueInverseResult: A named tuple of `values`, sorted, and `inverse_indices`, int64, shaped like `x`.", raises,
      "mx.unique_inverse(mx.array([2, 1, 2])).inverse_indices.tolist()\n    [1, 0, 1]\n").c_str(),
      [](const Args& a) {
        Distinct d = distinct(a.arr(0));
        return inverse_result({d.values, d.inverse});
      });
  def(m, "unique_values(x, /)", cat("Find the distinct elements.", more, "array: One dimension, sorted.", raises,
      "mx.unique_values(mx.array([2, 1, 2])).tolist()\n    [1, 2]\n").c_str(),
      [](const Args& a) { return distinct(a.arr(0)).values; });
}

}  // namespace

void bind_sort(py::module_& m) {
  def(m, "sort(a, /, axis=-1, *, stream=None, descending=False, stable=True)", R"(Sort the elements along an axis.

Ascending, NaN last; complex numbers by real, then imaginary part.

Args:
    a (array): Any shape and dtype.
    axis (int or None, optional): The axis to sort along; None sorts the flattened array. Default: -1.
    descending (bool, optional): Largest first, NaN before them. Default: False.
    stable (bool, optional): Equal elements keep their order; they do in any case. Default: True.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.sort(mx.array([3, 1, 2])).tolist()
    [1, 2, 3]
)",
      [](const Args& a) { return sort(a.arr(0), a.opt_small(1), a.flag(3)); });

  def(m, "argsort(a, /, axis=-1, *, stream=None, descending=False, stable=True)", R"(Find the indices that sort an array. Equal elements keep their order.

Args:
    a (array): Any shape and dtype.
    axis (int or None, optional): The axis to sort along; None sorts the flattened array. Default: -1.
    descending (bool, optional): Largest first, NaN before them. Default: False.
    stable (bool, optional): Equal elements keep their order; they do in any case. Default: True.

Returns:
    array: uint32 indices along the axis, shaped like `a`.

Raises:
    ValueError: If the axis is out of range.

Example:
    >>> mx.argsort(mx.array([3, 1, 2])).tolist()
    [1, 2, 0]
)",
      [](const Args& a) { return argsort(a.arr(0), a.opt_small(1), a.flag(3)); });

  def(m, "partition(a, /, kth, axis=-1, *, stream=None)", R"(Reorder an array so that one element is where sorting would put it.

No element before it is larger and none after it smaller; otherwise the order is not specified.

Args:
    a (array): Any shape and dtype.
    kth (int): Index of that element along the axis; negative ones count from the end.
    axis (int or None, optional): The axis to work along; None takes the flattened array. Default: -1.

Returns:
    array: Shape and dtype of `a`.

Raises:
    ValueError: If `kth` or the axis is out of range.

Example:
    >>> mx.partition(mx.array([3, 1, 2]), 0).tolist()[0]
    1
)",
      [](const Args& a) { return partition(a.arr(0), a.integer(1), a.opt_small(2)); });

  def(m, "argpartition(a, /, kth, axis=-1, *, stream=None)", R"(Find the indices that partition an array; see `partition`.

Args:
    a (array): Any shape and dtype.
    kth (int): Index of the element that goes to its sorted place; negative ones count from the end.
    axis (int or None, optional): The axis to work along; None takes the flattened array. Default: -1.

Returns:
    array: uint32 indices along the axis, shaped like `a`.

Raises:
    ValueError: If `kth` or the axis is out of range.

Example:
    >>> mx.argpartition(mx.array([3, 1, 2]), 0).tolist()[0]
    1
)",
      [](const Args& a) { return argpartition(a.arr(0), a.integer(1), a.opt_small(2)); });

  def(m, "topk(a, /, k, axis=-1, *, stream=None)", R"(Select the k largest elements along an axis, in ascending order.

Args:
    a (array): Any shape and dtype.
    k (int): How many, from 0 to the size of the axis.
    axis (int or None, optional): The axis to select along; None takes the flattened array. Default: -1.

Returns:
    array: Shape of `a` with size k on the axis.

Raises:
    ValueError: If `k` or the axis is out of range.

Example:
    >>> mx.topk(mx.array([3, 1, 2]), 2).tolist()
    [2, 3]
)",
      [](const Args& a) { return topk(a.arr(0), a.integer(1), a.opt_small(2)); });

  bind_searching(m);
  bind_sets(m);
}

}  // namespace mx::python
