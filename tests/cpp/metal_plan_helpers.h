// metal_plan_helpers.h — plans of calls on arrays that have a type and strides but no memory, of any size; and what every plan must keep to.
#pragma once

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "backend/metal/plan/planners.h"
#include "graph/array.h"

namespace mx {

/// An array without memory behind it. Different ones lie at different addresses.
inline array unreal(Dtype t, const Shape& shape, const Strides& strides, int64_t offset = 0) {
  static uintptr_t address = 1 << 20;
  address += 1 << 20;
  auto buffer = std::make_shared<Buffer>(reinterpret_cast<void*>(address), size_t(1) << 50);
  return array::wrap(buffer, {t, shape}, offset, strides);
}
inline array unreal(Dtype t, const Shape& shape) { return unreal(t, shape, row_strides(shape)); }

struct Planned {
  bool taken = false;
  metal::Plan plan = {};
  Arrays inputs = {}, outputs = {};

  std::vector<std::string> kernels() const {
    std::vector<std::string> names;
    for (const metal::Launch& l : plan.launches) names.push_back(l.kernel);
    return names;
  }
  bool has(const std::string& kernel) const {
    for (const metal::Launch& l : plan.launches) {
      if (l.kernel == kernel) return true;
    }
    return false;
  }
};

/// What launch.h asks of launches, and that what is bound exists.
inline void check_launches(const Planned& p) {
  for (const metal::Launch& l : p.plan.launches) {
    CAPTURE(l.kernel);
    CHECK(l.threads.count() > 0);
    CHECK(l.group.count() > 0);
    CHECK(l.group.count() <= metal::kMaxThreads);
    uint32_t memory = 0;
    for (const metal::ThreadgroupMemory& m : l.threadgroup_memory) {
      memory += m.n_bytes;
      CHECK(m.n_bytes % 16 == 0);
    }
    CHECK(memory <= metal::kThreadgroupBytes);
    std::set<int> slots;
    std::set<uint32_t> constants;
    for (const metal::FunctionConstant& c : l.constants) CHECK(constants.insert(c.index).second);
    for (const metal::Binding& b : l.bindings) {
      CHECK(slots.insert(b.slot).second);
      CHECK(b.slot < metal::kBufferSlots);
      switch (b.kind) {
        case metal::Binding::input: CHECK(b.which < p.inputs.size()); break;
        case metal::Binding::output:
          REQUIRE(b.which < p.outputs.size());
          CHECK(b.offset >= 0);
          CHECK(b.offset < static_cast<int64_t>(std::max<size_t>(p.outputs[b.which].n_bytes(), 1)));
          break;
        case metal::Binding::temporary:
          REQUIRE(b.which < p.plan.temporaries.size());
          CHECK(b.offset < static_cast<int64_t>(p.plan.temporaries[b.which]));
          break;
        case metal::Binding::bytes:
          CHECK(b.size > 0);
          CHECK(b.size <= metal::kMaxInlineBytes);
          CHECK(b.offset + b.size <= p.plan.data.size());
          break;
        case metal::Binding::status: CHECK(bool(p.plan.index_error)); break;
      }
    }
  }
}

/// The plan of a call, checked. Outputs lie in memory of their own, or with `in_place` in that of input 0.
inline Planned planned(const Primitive& primitive, Params params, const Arrays& inputs, bool in_place = false) {
  Planned p;
  p.inputs = inputs;
  for (const array& out : make_nodes(primitive, params, SmallVector<array, 3>(inputs.begin(), inputs.end()))) {
    p.outputs.push_back(in_place ? inputs[0] : unreal(out.dtype(), out.shape()));
  }
  metal::Planner planner = metal::find_planner(primitive);
  bool found = planner != nullptr;
  REQUIRE(found);
  p.taken = planner({primitive, params, p.inputs, p.outputs}, p.plan);
  if (p.taken) check_launches(p);
  return p;
}

}  // namespace mx
