// backends.cpp — the composition root: the only file that names backends, and what plans evaluation.

#include "compile/lazy.h"
#include "runtime/backend.h"
#include "runtime/lazy.h"

namespace mx {

namespace cpu {
Backend& instance();  // backend/cpu/backend.cpp
}

void register_backends() {
  register_backend(Device::cpu, cpu::instance());
  set_lazy_planner(run_as_plan);
}

}  // namespace mx
