// sort.cpp — blocks of rows are sorted in threadgroup memory, and pairs of sorted runs joined until a row is one run. A partition is a sort:
// what it promises and more. Kernels: sort.metal. Searching is in search.cpp.

#include "backend/metal/plan/sort.h"

#include "ops/sort_params.h"

namespace mx::metal {

namespace {

constexpr uint32_t kBlock = 1024;  // Items that a threadgroup sorts or merges: 16 KB of the widest.
constexpr uint32_t kMergeThreads = 256;

// As in sort.metal.
enum Constant : uint32_t { kKeyType, kExactKeys, kPlaced, kResult };
enum Result : uint32_t { kItems, kValues, kPlaces, kWidePlaces };
struct RowParams {
  int64_t n, rows, in_step, out_step, first;
  uint32_t block, unused = 0;
  int64_t run;
};

// What is sorted how: rows of n elements that lie `in_step` apart, to positions from `first` on.
struct Sorting {
  Dtype dtype;
  bool exact;
  Result result;
  RowParams params;
  std::vector<int64_t> layout;  ///< Of the rows' beginnings in the input and the result.
};

const char* item_name(const Sorting& s) {
  if (s.result == kValues || s.result == kItems) return size_of(s.dtype) <= 4 ? "uint32" : "uint64";
  return size_of(s.dtype) <= 4 ? "uint64" : "keyed";
}
size_t item_bytes(const Sorting& s) {
  if (s.result == kValues || s.result == kItems) return size_of(s.dtype) <= 4 ? 4 : 8;
  return size_of(s.dtype) <= 4 ? 8 : 16;
}

// Binds what both kernels have; the result is the last launch's.
void set_common(Plan& plan, const Sorting& s, Result result) {
  plan.constant(kKeyType, static_cast<uint32_t>(s.dtype));
  plan.constant(kExactKeys, s.exact);
  plan.constant(kPlaced, s.result == kPlaces || s.result == kWidePlaces);
  plan.constant(kResult, static_cast<uint32_t>(result));
  plan.value(2, s.params);
  plan.values(3, s.layout);
}

// `read` and `write` bind the source and the final result. Returns the temporary that holds the items if that is what is wanted.
template <class Read, class Write>
uint16_t add_sort(Plan& plan, Sorting s, const Read& read, const Write& write) {
  const int64_t n = s.params.n;
  const std::string items = item_name(s);
  const size_t bytes = item_bytes(s);
  uint32_t block = std::max<uint32_t>(2, power_of_2_for(static_cast<uint64_t>(n), kBlock)), threads = block / 2;
  uint32_t side_by_side = power_of_2_for(static_cast<uint64_t>(s.params.rows), std::max<uint32_t>(1, 128 / threads));
  int64_t n_blocks = static_cast<int64_t>(ceil_div(uint64_t(n), block)), rows = s.params.rows;
  uint16_t from = 0, to = 0;
  bool one = n_blocks == 1 && s.result != kItems;
  if (!one) from = plan.temporary(static_cast<size_t>(rows * n) * bytes);
  s.params.block = block;
  s.params.run = block;
  plan.launch("sort_block_" + items, {uint32_t(n_blocks) * threads, uint32_t(rows), 1}, {threads, side_by_side, 1});
  read(0);
  one ? write(1) : plan.writes(1, from);
  set_common(plan, s, one ? s.result : kItems);
  plan.threadgroup(0, size_t(block) * bytes * side_by_side);
  if (n_blocks == 1) return from;
  if (n > 2 * int64_t(block) || s.result == kItems) to = plan.temporary(static_cast<size_t>(rows * n) * bytes);
  for (; s.params.run < n; s.params.run *= 2) {
    bool last = 2 * s.params.run >= n && s.result != kItems;
    plan.launch("sort_merge_" + items, {uint32_t(n_blocks) * kMergeThreads, uint32_t(rows), 1}, {kMergeThreads, 1, 1});
    plan.reads(0, from);
    last ? write(1) : plan.writes(1, to);
    set_common(plan, s, last ? s.result : kItems);
    plan.threadgroup(0, size_t(block) * bytes);
    std::swap(from, to);
  }
  return from;
}

bool plan_rows(const Task& task, Plan& plan, int axis, int64_t first, bool values, bool exact) {
  const array &x = task.in[0], &out = task.out[0];
  if (!on_gpu(x.dtype())) return false;
  if (out.size() == 0) return true;
  AroundAxis in(x.shape(), x.strides(), axis), to(out.shape(), row_strides(out.shape()), axis);
  Strides in_rows = in.rows(), out_rows = to.rows();
  Layout layout = collapse(in.rows_shape(), {&in_rows, &out_rows});
  Result result = values ? kValues : out.dtype() == Dtype::uint32 ? kPlaces : kWidePlaces;
  if (result == kWidePlaces || in.n >> 31 || in.n_rows() >> 32 || !fits_inline(layout)) return false;
  Sorting s{x.dtype(), exact, result, {in.n, in.n_rows(), in.step, to.step, first, 0, 0, 0}, words(layout)};
  add_sort(plan, s, [&](uint8_t slot) { plan.input(slot, 0); }, [&](uint8_t slot) { plan.output(slot); });
  return true;
}

}  // namespace

uint16_t add_item_sort(Plan& plan, uint16_t items, int64_t n) {
  Strides none;
  Sorting s{Dtype::uint64, true, kItems, {n, 1, 1, 1, 0, 0, 0, 0}, words(collapse({}, {&none, &none}))};
  return add_sort(plan, s, [&](uint8_t slot) { plan.reads(slot, items); }, [](uint8_t) {});
}

bool plan_sort(const Task& task, Plan& plan) { return plan_rows(task, plan, task.params.get<SortParams>().axis, 0, true, true); }
bool plan_argsort(const Task& task, Plan& plan) { return plan_rows(task, plan, task.params.get<SortParams>().axis, 0, false, false); }
bool plan_partition(const Task& task, Plan& plan) {
  const auto& p = task.params.get<PartitionParams>();
  return plan_rows(task, plan, p.axis, p.tail ? p.kth : 0, true, true);
}
bool plan_argpartition(const Task& task, Plan& plan) {
  const auto& p = task.params.get<PartitionParams>();
  return plan_rows(task, plan, p.axis, p.tail ? p.kth : 0, false, true);
}

}  // namespace mx::metal
