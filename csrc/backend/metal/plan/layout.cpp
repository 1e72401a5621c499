// layout.cpp — see layout.h.

#include "backend/metal/plan/layout.h"

#include <bit>

namespace mx::metal {

namespace {

constexpr uint32_t kGroup = 256;
constexpr uint64_t kWide = uint64_t(1) << 30;  // Threads along one axis of a grid.

}  // namespace

std::vector<int64_t> words(const Layout& l) {
  size_t missing = l.shape.size() < 3 ? 3 - l.shape.size() : 0;
  std::vector<int64_t> out{static_cast<int64_t>(l.shape.size() + missing)};
  out.insert(out.end(), missing, 1);
  out.insert(out.end(), l.shape.begin(), l.shape.end());
  for (const Strides& s : l.strides) {
    out.insert(out.end(), missing, 0);
    out.insert(out.end(), s.begin(), s.end());
  }
  return out;
}

uint32_t power_of_2_for(uint64_t n, uint32_t most) {
  return n >= most ? most : static_cast<uint32_t>(std::bit_ceil(std::max<uint64_t>(n, 1)));
}

Grid linear_grid(uint64_t n) {
  if (n <= kWide) return {{static_cast<uint32_t>(n), 1, 1}, {power_of_2_for(n, kGroup), 1, 1}};
  return {{static_cast<uint32_t>(kWide), static_cast<uint32_t>(ceil_div(n, kWide)), 1}, {kGroup, 1, 1}};
}

Grid strided_grid(const Shape& shape) {
  uint64_t width = static_cast<uint64_t>(shape.back()), height = shape.size() > 1 ? static_cast<uint64_t>(shape[shape.size() - 2]) : 1, rest = 1;
  for (size_t d = 0; d + 2 < shape.size(); ++d) rest *= static_cast<uint64_t>(shape[d]);
  Grid g;
  g.threads = {static_cast<uint32_t>(std::min(width, kWide)), static_cast<uint32_t>(std::min<uint64_t>(height, 1 << 20)),
               static_cast<uint32_t>(std::min<uint64_t>(rest, 1 << 16))};
  g.group.x = power_of_2_for(width, kGroup);
  g.group.y = power_of_2_for(height, kGroup / g.group.x);
  g.group.z = power_of_2_for(rest, std::min<uint32_t>(64, kGroup / (g.group.x * g.group.y)));
  return g;
}

Grid group_grid(uint64_t n, uint32_t group_threads) {
  constexpr uint64_t kMost = 1 << 20;
  uint64_t x = std::min(n, kMost);
  return {{static_cast<uint32_t>(x) * group_threads, static_cast<uint32_t>(ceil_div(n, std::max<uint64_t>(x, 1))), 1}, {group_threads, 1, 1}};
}

}  // namespace mx::metal
