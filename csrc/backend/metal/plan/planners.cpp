// planners.cpp — which function plans which primitive for Metal: one line each, by family. Primitives that are not here
// (LAPACK's, mostly) run on the CPU.

#include "backend/metal/plan/planners.h"

namespace mx::metal {

namespace {

struct Entry {
  const Primitive* primitive;
  Planner planner;
};

std::vector<Entry> entries() {
  return {};
}

}  // namespace

Planner find_planner(const Primitive& primitive) {
  static const std::vector<Planner> table = [] {
    std::vector<Planner> by_id;
    for (const Entry& e : entries()) {
      size_t id = static_cast<size_t>(e.primitive->id);
      if (by_id.size() <= id) by_id.resize(id + 1, nullptr);
      by_id[id] = e.planner;
    }
    return by_id;
  }();
  size_t id = static_cast<size_t>(primitive.id);
  return id < table.size() ? table[id] : nullptr;
}

std::string kernel_name(std::string_view base, Dtype t) { return cat(base, "_", t); }
std::string kernel_name(std::string_view base, Dtype t, Dtype u) { return cat(base, "_", t, "_", u); }

}  // namespace mx::metal
