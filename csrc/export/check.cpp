#include "export/check.h"

#include <unordered_map>

namespace mx::exporting {

const Check* find_check(const Primitive& p) {
  static const auto* table = [] {
    auto* map = new std::unordered_map<const Primitive*, Check>;
    for (Checks (*family)() : {elementwise_checks, movement_checks, reduce_checks, index_checks, linalg_checks, product_checks, fast_checks, call_checks}) {
      for (CheckEntry& e : family()) map->emplace(e.primitive, std::move(e.check));
    }
    return map;
  }();
  auto at = table->find(&p);
  return at == table->end() ? nullptr : &at->second;
}

void sizes(const Shape& shape) {
  for (int64_t size : shape) require(size >= 0, "a negative size");
  n_elems(shape);
}

void distinct_axes(const Axes& axes, int ndim, bool ascending) {
  std::vector<bool> seen(static_cast<size_t>(ndim));
  int before = -1;
  for (int axis : axes) {
    require(axis >= 0 && axis < ndim, "an axis out of range");
    require(!seen[static_cast<size_t>(axis)], "an axis given twice");
    require(!ascending || axis > before, "axes out of order");
    seen[static_cast<size_t>(axis)] = true;
    before = axis;
  }
}

Shape leading(const array& a, int n) {
  require(a.ndim() >= n, "an array with too few axes");
  return Shape(a.shape().begin(), a.shape().end() - n);
}

}  // namespace mx::exporting
