// Reductions, scans, sorting, and matrix products.

#include "export/check.h"
#include "ops/composite_params.h"
#include "ops/matmul_params.h"
#include "ops/reduce_params.h"
#include "ops/scan_params.h"
#include "ops/sort_params.h"

namespace mx::exporting {

namespace {

void reduction(const ReduceParams& p, const Call& c) {
  n_inputs(c, 1);
  require(!p.axes.empty(), "a reduction over no axis");
  distinct_axes(p.axes, c.in(0).ndim(), true);
}

void not_empty(const array& a, const Axes& axes) {
  for (int axis : axes) require(a.shape(axis) > 0, "an extreme of no elements");
}

void extreme(const ReduceParams& p, const Call& c) {
  reduction(p, c);
  not_empty(c.in(0), p.axes);
}

void normalised(const ReduceParams& p, const Call& c) {
  reduction(p, c);
  floating(c.in(0));
}

void position(const ArgReduceParams& p, const Call& c) {
  n_inputs(c, 1);
  axis_of(p.axis, c.in(0));
  not_empty(c.in(0), {p.axis});
  require(c.in(0).shape(p.axis) <= (int64_t(1) << 32), "positions that do not fit uint32");
}

void scan(const ScanParams& p, const Call& c) {
  n_inputs(c, 1);
  axis_of(p.axis, c.in(0));
}

void floating_scan(const ScanParams& p, const Call& c) {
  scan(p, c);
  inexact(c.in(0));
}

void sorting(const SortParams& p, const Call& c) {
  n_inputs(c, 1);
  axis_of(p.axis, c.in(0));
}

// a (..., m, k) and b (..., k, n).
void product(const Call& c) {
  const array &a = c.in(0), &b = c.in(1);
  require(!is_bool(a.dtype()), "a product of bools");
  same_dtype(a, b);
  require(leading(a, 2) == leading(b, 2) && a.shape(-1) == b.shape(-2), "a product of matrices that do not fit");
}

}  // namespace

Checks reduce_checks() {
  Checks checks;
  for (const Primitive* p : {&sum_p, &prod_p, &all_p, &any_p}) checks.push_back(check_of<ReduceParams>(*p, reduction));
  for (const Primitive* p : {&max_p, &min_p}) checks.push_back(check_of<ReduceParams>(*p, extreme));
  for (const Primitive* p : {&softmax_p, &logsumexp_p}) checks.push_back(check_of<ReduceParams>(*p, normalised));
  for (const Primitive* p : {&argmax_p, &argmin_p}) checks.push_back(check_of<ArgReduceParams>(*p, position));
  for (const Primitive* p : {&cumsum_p, &cumprod_p, &cummax_p, &cummin_p, &cumargmax_p, &cumargmin_p}) {
    checks.push_back(check_of<ScanParams>(*p, scan));
  }
  checks.push_back(check_of<ScanParams>(logcumsumexp_p, floating_scan));
  checks.push_back(check_of<ScanParams>(linear_recurrence_p, [](auto& p, const Call& c) {
    n_inputs(c, 2);
    axis_of(p.axis, c.in(0));
    same_dtype(c.in(0), c.in(1));
    same_shape(c.in(0), c.in(1));
  }));
  for (const Primitive* p : {&sort_p, &argsort_p}) checks.push_back(check_of<SortParams>(*p, sorting));
  for (const Primitive* p : {&partition_p, &argpartition_p}) {
    checks.push_back(check_of<PartitionParams>(*p, [](auto& p, const Call& c) {
      n_inputs(c, 1);
      axis_of(p.axis, c.in(0));
      require(p.kth >= 0 && p.kth <= c.in(0).shape(p.axis) - (p.tail ? 0 : 1), "a place outside of the axis");
    }));
  }
  checks.push_back(check_of<SearchParams>(searchsorted_p, [](auto&, const Call& c) {
    n_inputs(c, 2);
    same_dtype(c.in(0), c.in(1));
    require(leading(c.in(0), 1) == leading(c.in(1), 1), "a search of different batches");
  }));
  checks.push_back(check_of<NoParams>(matmul_p, [](auto&, const Call& c) {
    n_inputs(c, 2);
    product(c);
  }));
  checks.push_back(check_of<AddmmParams>(addmm_p, [](auto&, const Call& c) {
    n_inputs(c, 3);
    product(c);
    same_dtype(c.in(0), c.in(2));
    Shape shape = leading(c.in(0), 1);
    shape.push_back(c.in(1).shape(-1));
    shape_is(c.in(2), shape);
  }));
  return checks;
}

}  // namespace mx::exporting
