// check.h — is a call that a file describes one that the library could have made?
//
// Public functions check their arguments, and rules and kernels rely on it. A file did not pass through them, so each
// primitive that files may name has a check, which asks of the inputs and parameters what its public functions
// guarantee. A primitive without a check is not exported. The checks are in check_*.cpp, by family; each list is in
// the table in check.cpp.
#pragma once

#include <functional>
#include <span>
#include <stdexcept>
#include <vector>

#include "graph/primitive.h"

namespace mx::exporting {

/// Throws ValueError if the inputs or parameters are not what infer, rules and kernels rely on.
using Check = std::function<void(const Params&, const Call&)>;

/// The check of a primitive; null if files may not name it.
const Check* find_check(const Primitive& p);

// ---- for the lists

struct CheckEntry {
  const Primitive* primitive;
  Check check;
};
using Checks = std::vector<CheckEntry>;

/// `f(parameters, call)` for a primitive whose parameters are a P.
template <class P, class F>
CheckEntry check_of(const Primitive& p, F f) {
  if (p.from_field != &Params::from_field<P>) throw std::logic_error(cat("the check of ", p.name, " has another type of parameters"));
  return {&p, [f](const Params& params, const Call& c) { f(params.get<P>(), c); }};
}

Checks elementwise_checks();
Checks movement_checks();
Checks reduce_checks();
Checks index_checks();
Checks linalg_checks();
Checks product_checks();
Checks fast_checks();
Checks call_checks();

// ---- what checks are made of

/// Throws ValueError saying that the call is wrong: "the axes are not distinct".
inline void require(bool ok, const char* wrong) {
  if (!ok) throw ValueError(wrong);
}
inline void n_inputs(const Call& c, int n) { require(c.n_in() == n, "a wrong number of inputs"); }
inline void some_inputs(const Call& c, int least) { require(c.n_in() >= least, "too few inputs"); }
inline void axis_of(int axis, const array& a) { require(axis >= 0 && axis < a.ndim(), "an axis out of range"); }
inline void ndim_of(const array& a, int least) { require(a.ndim() >= least, "an array with too few axes"); }
inline void integers(const array& a) { require(is_integer(a.dtype()), "indices that are no integers"); }
inline void inexact(const array& a) { require(is_inexact(a.dtype()), "an array that is not floating or complex"); }
inline void floating(const array& a) { require(is_floating(a.dtype()), "an array that is not floating"); }
inline void dtype_is(const array& a, Dtype t) { require(a.dtype() == t, "an array of a wrong dtype"); }
inline void same_dtype(const array& a, const array& b) { require(a.dtype() == b.dtype(), "inputs of different dtypes"); }
inline void same_shape(const array& a, const array& b) { require(a.shape() == b.shape(), "inputs of different shapes"); }
inline void shape_is(const array& a, const Shape& s) { require(a.shape() == s, "an array of a wrong shape"); }
/// Sizes >= 0, whose product fits.
void sizes(const Shape& shape);
/// All within [0, ndim), distinct; `ascending` too.
void distinct_axes(const Axes& axes, int ndim, bool ascending = false);
/// The shape without its last `n` axes.
Shape leading(const array& a, int n);

}  // namespace mx::exporting
