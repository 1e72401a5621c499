// backends.cpp — the composition root: the only file that names backends, and what plans evaluation.

#include <cstdlib>
#include <string_view>

#ifdef MXFORM_METAL
#include "backend/metal/backend.h"
#endif
#include "compile/lazy.h"
#include "runtime/backend.h"
#include "runtime/lazy.h"

namespace mx {

namespace cpu {
Backend& instance(RawMemory* memory);  // backend/cpu/backend.cpp
}

namespace {

// What $MXFORM_DEVICE names, else the GPU where there is a real one.
void choose_device(bool prefer_gpu) {
  const char* wish = std::getenv("MXFORM_DEVICE");
  bool gpu = wish ? std::string_view(wish) == "gpu" : prefer_gpu;
  if (gpu && has_backend(Device::gpu)) set_first_stream({{Device::gpu, 0}, 0});
}

}  // namespace

void register_backends() {
  if (has_backend(Device::cpu)) return;
  set_lazy_planner(run_as_plan);
  bool prefer_gpu = false;
#ifdef MXFORM_METAL
  if (metal::available()) {
    // CPU and GPU share memory: what either makes, the other reads in place.
    register_backend(Device::cpu, cpu::instance(&metal::memory()));
    register_backend(Device::gpu, metal::instance());
    prefer_gpu = metal::preferred();
  }
#endif
  if (!has_backend(Device::cpu)) register_backend(Device::cpu, cpu::instance(nullptr));
  choose_device(prefer_gpu);
}

}  // namespace mx
