// copy.cpp — see copy.h. Axes are sorted by the destination's strides, so that memory is written in order. Where the source is
// contiguous along another axis than the destination, tiles are turned in threadgroup memory.

#include "backend/metal/plan/copy.h"

#include <cstdlib>

namespace mx::metal {

namespace {

constexpr uint32_t kTile = 32, kTileRows = 8;  // As in copy.metal.

enum Operand : size_t { kTo, kFrom };
enum Constant : uint32_t { kStrided };

Layout ordered(const Layout& l, const Axes& order) {
  Shape shape;
  Strides to, from;
  for (int k : order) {
    size_t d = static_cast<size_t>(k);
    shape.push_back(l.shape[d]);
    to.push_back(l.strides[kTo][d]);
    from.push_back(l.strides[kFrom][d]);
  }
  return collapse(shape, {&to, &from});
}

Layout sorted_layout(const Shape& shape, const Strides& to, const Strides& from) {
  Layout l = collapse(shape, {&to, &from});
  Axes order = all_axes(static_cast<int64_t>(l.shape.size()));
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return std::abs(l.strides[kTo][static_cast<size_t>(a)]) > std::abs(l.strides[kTo][static_cast<size_t>(b)]);
  });
  return ordered(l, order);
}

// The axis along which the source is contiguous, if turning tiles pays; else -1.
int turned_axis(const Layout& l) {
  size_t p = l.shape.size() - 1;
  if (l.strides[kTo][p] != 1 || l.strides[kFrom][p] == 1 || l.shape[p] < 8 || l.shape[p] >> 31) return -1;
  for (size_t q = 0; q < p; ++q) {
    if (l.strides[kFrom][q] == 1 && l.shape[q] >= 8 && l.shape[q] >> 31 == 0) return static_cast<int>(q);
  }
  return -1;
}

}  // namespace

void bind_place(Plan& plan, uint8_t slot, const Place& place, bool written) {
  switch (place.kind) {
    case Binding::input: return plan.input(slot, place.which, place.offset);
    case Binding::output: return written ? plan.output(slot, place.which, place.offset) : plan.reads_output(slot, place.which, place.offset);
    default: return written ? plan.writes(slot, static_cast<uint16_t>(place.which), place.offset) : plan.reads(slot, static_cast<uint16_t>(place.which), place.offset);
  }
}

bool add_copy(Plan& plan, const Place& to, const Place& from, const Shape& shape, size_t itemsize) {
  Layout l = sorted_layout(shape, to.strides, from.strides);
  if (l.size == 0) return true;
  if (!fits_inline(l)) return false;
  const char* bits = itemsize == 1 ? "uint8" : itemsize == 2 ? "uint16" : itemsize == 4 ? "uint32" : "uint64";
  if (int q = turned_axis(l); q >= 0) {
    // That axis becomes the last but one. What is left does not merge with it: the strides forbid it.
    Layout turned = l;
    for (size_t d = static_cast<size_t>(q); d + 2 < l.shape.size(); ++d) {
      std::swap(turned.shape[d], turned.shape[d + 1]);
      for (Strides& s : turned.strides) std::swap(s[d], s[d + 1]);
    }
    size_t p = l.shape.size() - 1;
    uint64_t rest = 1;
    for (size_t d = 0; d + 1 < p; ++d) rest *= static_cast<uint64_t>(turned.shape[d]);
    plan.launch(cat("copy_turned_", bits),
                {static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(turned.shape[p]), kTile)) * kTile,
                 static_cast<uint32_t>(ceil_div(static_cast<uint64_t>(turned.shape[p - 1]), kTile)) * kTileRows,
                 static_cast<uint32_t>(std::min<uint64_t>(rest, 1 << 16))},
                {kTile, kTileRows, 1});
    bind_place(plan, 0, from, false);
    bind_place(plan, 1, to, true);
    plan.values(2, words(turned));
    return true;
  }
  bool strided = !l.contiguous(kTo) || !l.contiguous(kFrom);
  Grid grid = strided ? strided_grid(l.shape) : linear_grid(ceil_div(static_cast<uint64_t>(l.size), 4));
  plan.launch(cat("copy_", bits), grid.threads, grid.group);
  plan.constant(kStrided, strided);
  bind_place(plan, 0, from, false);
  bind_place(plan, 1, to, true);
  plan.value(2, static_cast<uint64_t>(l.size));
  if (strided) plan.values(3, words(l));
  return true;
}

bool plan_copy(const Task& task, Plan& plan) {
  const array& x = task.in[0];
  return add_copy(plan, {Binding::output, 0, 0, row_strides(x.shape())}, {Binding::input, 0, 0, x.strides()}, x.shape(), x.itemsize());
}

}  // namespace mx::metal
