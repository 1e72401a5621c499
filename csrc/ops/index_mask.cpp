// index_mask.cpp — boolean masks. How many elements a mask selects is known only from its values, so selecting
// evaluates it. Assigning does not have to: one value for all is a `where`, and a list of values is dealt out to the
// true places by a running count. Start at masked_assign().

#include <algorithm>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/scan.h"

namespace mx {

namespace {

// The elements of `a`, evaluated and in row order.
array values_of(const array& a, const char* what, const char* instead) {
  array flat = contiguous(a);
  try {
    flat.eval();
  } catch (const TransformError& e) {
    throw TransformError(cat("[index] ", what, ", and its values are not known while the function is being traced. ", instead, " (", e.what(), ")"));
  }
  return flat;
}

// Positions of the true elements of `mask` in row order, as an int64 array. Evaluates the mask.
array true_places(const array& mask, const char* what) {
  array flat = values_of(mask, cat(what, " has as many elements as the mask has true values").c_str(),
                         "Use mx.where(mask, x, fill), or x[mask] = value with one value for all.");
  const bool* values = flat.data<bool>();
  auto n_true = static_cast<size_t>(std::count(values, values + flat.size(), true));
  // Written without a branch: each position goes to the next free place, which false ones leave free.
  std::vector<int64_t> places(n_true + 1);
  for (size_t i = 0, n = 0; n < n_true; ++i) {
    places[n] = static_cast<int64_t>(i);
    n += values[i];
  }
  return array::from<int64_t>(std::span(places).first(n_true), {static_cast<int64_t>(n_true)});
}

void check_mask(const array& a, const array& mask) {
  if (mask.dtype() != Dtype::bool_) throw DtypeError(cat("[index] a mask must be bool: dtype is ", mask.dtype(), "."));
  bool fits = mask.ndim() <= a.ndim();
  for (int i = 0; fits && i < mask.ndim(); ++i) fits = mask.shape(i) == a.shape(i);
  if (!fits) {
    throw AxisError(cat("[index] the boolean mask does not fit the array: mask is ", mask.shape(), ", array is ", a.shape(),
                        "; need mask.shape == array.shape[:mask.ndim]."));
  }
}

// `mask` with an axis of size 1 for each further axis of an array with `ndim` dimensions.
array over_rest(const array& mask, int ndim) {
  Shape shape(mask.shape());
  shape.resize(static_cast<size_t>(ndim), 1);
  return reshape(mask, shape);
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t size = from[from.size() - 1 - i];
    if (size != 1 && size != to[to.size() - 1 - i]) return false;
  }
  return true;
}

// Values without leading axes of size 1 beyond `ndim` dimensions: NumPy drops them in assignments.
array without_leading_ones(array values, int ndim) {
  Shape shape(values.shape());
  while (static_cast<int>(shape.size()) > ndim && shape[0] == 1) shape.erase(shape.begin());
  return static_cast<int>(shape.size()) == values.ndim() ? values : reshape(values, shape);
}

}  // namespace

Arrays nonzero(const array& a) {
  if (a.ndim() == 0) throw ValueError("[nonzero] a scalar has no axes: use mx.where, or atleast_1d first.");
  array places = true_places(astype(a, Dtype::bool_), "the result of nonzero");
  const int64_t* flat = places.data<int64_t>();
  Strides steps = row_strides(a.shape());
  Arrays out;
  if (a.ndim() == 1) return {places};
  std::vector<int64_t> along(static_cast<size_t>(places.size()));
  for (int axis = 0; axis < a.ndim(); ++axis) {
    for (size_t i = 0; i < along.size(); ++i) along[i] = flat[i] / steps[static_cast<size_t>(axis)] % a.shape(axis);
    out.push_back(array::from<int64_t>(along, places.shape()));
  }
  return out;
}

array repeat(const array& a, const array& counts, int axis) {
  int at = normalize_axis(axis, a.ndim(), "repeat");
  int64_t n = a.shape(at);
  if (!is_integer(counts.dtype())) throw DtypeError(cat("[repeat] repeats must be integers: dtype is ", counts.dtype(), "."));
  if (counts.ndim() > 1 || (counts.size() != 1 && counts.size() != n)) {
    throw ValueError(cat("[repeat] repeats does not fit axis ", at, ": its shape is ", counts.shape(), "; need (", n, ",), (1,) or ()."));
  }
  array known = values_of(astype(counts, Dtype::int64), "the size of the result depends on repeats", "Use an int.");
  const int64_t* values = known.data<int64_t>();
  std::vector<int64_t> places;
  for (int64_t i = 0; i < n; ++i) {
    int64_t count = values[counts.size() == 1 ? 0 : i];
    if (count < 0) throw ValueError(cat("[repeat] repeats holds ", count, "; need numbers >= 0."));
    places.insert(places.end(), static_cast<size_t>(count), i);
  }
  auto total = static_cast<int64_t>(places.size());
  return take(a, array::from<int64_t>(places, {total}), at);
}

array masked_select(const array& a, const array& mask) {
  check_mask(a, mask);
  array places = true_places(mask, "a[mask]");
  Shape rows(a.shape().begin() + mask.ndim(), a.shape().end());
  rows.insert(rows.begin(), mask.size());
  return take(reshape(a, rows), places, 0);
}

array masked_assign(const array& a, const array& mask, const array& values_) {
  check_mask(a, mask);
  array values = astype(values_, a.dtype());
  Shape rest(a.shape().begin() + mask.ndim(), a.shape().end());
  int n_rest = static_cast<int>(rest.size());
  array one_row = without_leading_ones(values, n_rest);
  if (broadcasts_to(one_row.shape(), rest)) return where(over_rest(mask, a.ndim()), one_row, a);

  // A row of values for each true place, in row order.
  values = without_leading_ones(values, n_rest + 1);
  bool rows = values.ndim() == n_rest + 1 && broadcasts_to(Shape(values.shape().begin() + 1, values.shape().end()), rest);
  bool known = true;
  int64_t n_true = 0;
  try {
    n_true = true_places(mask, "a[mask]").size();
  } catch (const TransformError&) {
    known = false;
  }
  if (!known && values_.shape() == a.shape()) return where(over_rest(mask, a.ndim()), values, a);
  if (!rows || (known && values.shape(0) != n_true)) {
    throw ValueError(cat("[index] values of shape ", values_.shape(), " do not broadcast to the shape ",
                         known ? str(with_axis(rest, n_true)) : cat("(number of true values, ...) + ", rest),
                         " that the mask selects."));
  }
  if (values.shape(0) == 0) return a;
  array flat = flatten(mask);
  array number = cumsum(astype(flat, Dtype::int64), 0) - 1;
  array which = where(flat, number, array(0, Dtype::int64));
  Shape spread(mask.shape());
  spread.insert(spread.end(), values.shape().begin() + 1, values.shape().end());
  return where(over_rest(mask, a.ndim()), reshape(take(values, which, 0), spread), a);
}

}  // namespace mx
