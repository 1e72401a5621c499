// machine_driver.cpp — a C interface to metal/host/kernels.h, for the tests of the machine (machine.py).
#include <cstring>
#include <string>

#include "kernels.h"

using namespace mx::metal::host;

namespace {
std::string error;
}

extern "C" {

struct DriverConstant {
  uint32_t index, type;
  uint64_t bits;
};
struct DriverRun {
  const char* kernel;
  uint32_t threads[3], group[3];
  void* pointers[kSlots];
  uint64_t sizes[kSlots];
  uint64_t threadgroup[kSlots];
  uint32_t n_constants;
  DriverConstant constants[16];
  uint64_t schedule;
};

const char* driver_error() { return error.c_str(); }
int driver_checked() { return checked(); }

const void* driver_compile(const char* source) {
  try {
    return compile(source).get();  // stays loaded
  } catch (const std::exception& e) {
    error = e.what();
    return nullptr;
  }
}

int driver_names(const void* library, char* text, uint64_t size) {
  std::string all;
  for (const std::string& n : static_cast<const Library*>(library)->names()) all += n + "\n";
  if (all.size() + 1 > size) return 1;
  std::memcpy(text, all.c_str(), all.size() + 1);
  return 0;
}

int driver_plain(const void* library, const char* name) { return static_cast<const Library*>(library)->find(name)->plain; }

// counts: threads, switches, barriers, SIMD operations, bytes of threadgroup memory
int driver_run(const void* library, const DriverRun* r, uint64_t* counts) {
  try {
    Dispatch d;
    d.kernel = static_cast<const Library*>(library)->find(r->kernel);
    if (!d.kernel) throw KernelError(std::string("no kernel ") + r->kernel);
    std::vector<ConstantValue> values;
    for (uint32_t i = 0; i < r->n_constants; ++i)
      values.push_back({r->constants[i].index, ConstantType(r->constants[i].type), r->constants[i].bits});
    d.constants = &values;
    for (uint32_t i = 0; i < kSlots; ++i) {
      d.buffers[i] = {r->pointers[i], size_t(r->sizes[i])};
      d.threadgroup_memory[i] = size_t(r->threadgroup[i]);
    }
    d.threads = {r->threads[0], r->threads[1], r->threads[2]};
    d.group = {r->group[0], r->group[1], r->group[2]};
    set_schedule(r->schedule);
    Counts c = dispatch(d);
    uint64_t all[] = {c.threads, c.switches, c.barriers, c.simd_operations, c.threadgroup_bytes};
    std::memcpy(counts, all, sizeof all);
    return 0;
  } catch (const std::exception& e) {
    error = e.what();
    return 1;
  }
}

}  // extern "C"
