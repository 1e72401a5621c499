// sort.cpp — sorting, selecting and searching. A tangent follows the permutation: it is read where argsort says,
// so every rule is one take_along_axis. Kernels: backend/cpu/sort.cpp, sort_select.cpp and sort_search.cpp.

#include "ops/sort.h"

#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/scan.h"

namespace mx {

namespace {

Dtype index_dtype(int64_t size) {
  return size > int64_t(std::numeric_limits<uint32_t>::max()) ? Dtype::int64 : Dtype::uint32;
}
auto index_type = [](auto& p, const Call& c) { return Type{index_dtype(c.in(0).shape(p.axis)), c.in(0).shape()}; };

Shape partitioned_shape(const array& a, const PartitionParams& p) {
  return with_axis(without_axis(a.shape(), p.axis), p.tail ? a.shape(p.axis) - p.kth : a.shape(p.axis), p.axis);
}
array partition_order(const array& a, const PartitionParams& p) {
  return make_node(argpartition_p, p, {a}, {index_dtype(a.shape(p.axis)), partitioned_shape(a, p)});
}
array partitioned(const array& a, const PartitionParams& p) {
  return make_node(partition_p, p, {a}, {a.dtype(), partitioned_shape(a, p)});
}

int64_t checked_kth(const array& a, int64_t kth, int axis, std::string_view op) {
  int64_t n = a.shape(axis), at = kth < 0 ? kth + n : kth;
  if (at < 0 || at >= n) {
    throw ValueError(cat("[", op, "] kth is out of range: kth is ", kth, ", axis ", axis, " has size ", n, "; need ", -n,
                         " <= kth < ", n, "."));
  }
  return at;
}

// searchsorted_p on (..., n) and (..., m).
array search(const array& sequences, const array& values, bool right) {
  return make_node(searchsorted_p, SearchParams{right}, {sequences, values}, {index_dtype(sequences.shape(-1)), values.shape()});
}

}  // namespace

// ---- records

const Primitive sort_p = define<SortParams>({
    .name = "sort",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call& c, int, const array& t) { return take_along_axis(t, argsort(c.in(0), p.axis), p.axis); },
    .vmap = [](auto& p, const Batch& b) { return sort(b.in(0), p.axis + 1); },
});

const Primitive argsort_p = define<SortParams>({
    .name = "argsort",
    .infer = index_type,
    .vmap = [](auto& p, const Batch& b) { return argsort(b.in(0), p.axis + 1); },
    .differentiable = false,
});

const Primitive partition_p = define<PartitionParams>({
    .name = "partition",
    .infer = [](auto& p, const Call& c) { return Type{c.in(0).dtype(), partitioned_shape(c.in(0), p)}; },
    .jvp = [](auto& p, const Call& c, int, const array& t) { return take_along_axis(t, partition_order(c.in(0), p), p.axis); },
    .vmap = [](auto& p, const Batch& b) { return partitioned(b.in(0), {p.axis + 1, p.kth, p.tail}); },
});

const Primitive argpartition_p = define<PartitionParams>({
    .name = "argpartition",
    .infer = [](auto& p, const Call& c) { return Type{index_dtype(c.in(0).shape(p.axis)), partitioned_shape(c.in(0), p)}; },
    .vmap = [](auto& p, const Batch& b) { return partition_order(b.in(0), {p.axis + 1, p.kth, p.tail}); },
    .differentiable = false,
});

const Primitive searchsorted_p = define<SearchParams>({
    .name = "searchsorted",
    .infer = [](auto&, const Call& c) { return Type{index_dtype(c.in(0).shape(-1)), c.in(1).shape()}; },
    .vmap = [](auto& p, const Batch& b) { return search(b.in(0), b.in(1), p.right); },
    .differentiable = false,
});

// ---- public functions

array sort(const array& a, std::optional<int> axis, bool descending) {
  if (!axis) return sort(flatten(a), 0, descending);
  int at = normalize_axis(*axis, a.ndim(), "sort");
  if (descending) return flip(sort(a, at), at);
  return make_node(sort_p, SortParams{at}, {a}, a.type());
}

array argsort(const array& a, std::optional<int> axis, bool descending) {
  if (!axis) return argsort(flatten(a), 0, descending);
  int at = normalize_axis(*axis, a.ndim(), "argsort");
  if (descending && a.shape(at) > 0) {
    // Flipped before as well as after: equal elements keep their order.
    array order = flip(argsort(flip(a, at), at), at);
    return array(a.shape(at) - 1, order.dtype()) - order;
  }
  return make_node(argsort_p, SortParams{at}, {a}, {index_dtype(a.shape(at)), a.shape()});
}

array argpartition(const array& a, int64_t kth, std::optional<int> axis) {
  if (!axis) return argpartition(flatten(a), kth, 0);
  int at = normalize_axis(*axis, a.ndim(), "argpartition");
  return partition_order(a, {at, checked_kth(a, kth, at, "argpartition"), false});
}

array partition(const array& a, int64_t kth, std::optional<int> axis) {
  if (!axis) return partition(flatten(a), kth, 0);
  int at = normalize_axis(*axis, a.ndim(), "partition");
  return partitioned(a, {at, checked_kth(a, kth, at, "partition"), false});
}

array topk(const array& a, int64_t k, std::optional<int> axis) {
  if (!axis) return topk(flatten(a), k, 0);
  int at = normalize_axis(*axis, a.ndim(), "topk");
  int64_t n = a.shape(at);
  if (k < 0 || k > n) {
    throw ValueError(cat("[topk] k is out of range: k is ", k, ", axis ", at, " has size ", n, "; need 0 <= k <= ", n, "."));
  }
  return partitioned(a, {at, n - k, true});
}

array searchsorted(const array& sorted_sequence, const array& values, bool right) {
  if (sorted_sequence.ndim() != 1) {
    throw ValueError(cat("[searchsorted] sorted_sequence must have one dimension: its shape is ", sorted_sequence.shape(), "."));
  }
  Dtype t = promote(sorted_sequence.dtype(), values.dtype());
  array found = search(astype(sorted_sequence, t), flatten(astype(values, t)), right);
  return reshape(found, values.shape());
}

Unique unique(const array& a, int64_t size, const array& fill_value) {
  if (size < 0) throw ValueError(cat("[unique] size must not be negative: size is ", size, "."));
  array flat = flatten(a);
  int64_t n = flat.size();
  array fill = fill_value.defined() ? astype(fill_value, a.dtype()) : array(0, a.dtype());
  if (n == 0) {
    return {full({size}, fill), zeros({size}, Dtype::uint32), zeros(a.shape(), Dtype::uint32), zeros({size}, Dtype::int32)};
  }
  array order = argsort(flat, 0), sorted = take(flat, order, 0);
  array left = slice_along(sorted, 0, 0, n - 1), right = slice_along(sorted, 0, 1, n);
  array differ = logical_and(not_equal(left, right), logical_not(logical_and(isnan(left), isnan(right))));
  array begins = concatenate({ones({1}, Dtype::bool_), differ});
  array rank = cumsum(astype(begins, Dtype::int64), 0) - 1;
  // One place more than asked for takes what does not fit and what is not the first of its kind.
  array spare = array(size, Dtype::int64);
  array kept = less(rank, spare);
  array place = where(logical_and(begins, kept), rank, spare);
  if (!fill_value.defined()) fill = take(sorted, 0, 0);
  auto first_of_kind = [&](const array& x, const array& pad) {
    return slice_along(put_along_axis(full({size + 1}, pad), place, x, 0), 0, 0, size);
  };
  Unique u;
  u.values = first_of_kind(sorted, fill);
  u.index = first_of_kind(order, take(order, 0, 0));
  array last = array(std::max<int64_t>(size - 1, 0), Dtype::int64);
  u.inverse = reshape(put_along_axis(zeros({n}, Dtype::uint32), order, astype(minimum(rank, last), Dtype::uint32), 0), a.shape());
  array counts = scatter_add_along_axis(zeros({size + 1}, Dtype::int32), where(kept, rank, spare), ones({n}, Dtype::int32), 0);
  u.counts = slice_along(counts, 0, 0, size);
  return u;
}

}  // namespace mx
