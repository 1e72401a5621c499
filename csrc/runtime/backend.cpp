#include "runtime/backend.h"

namespace mx {

namespace {
Backend* table[2] = {nullptr, nullptr};
}

bool has_backend(Device::Kind kind) { return table[kind] != nullptr; }
void register_backend(Device::Kind kind, Backend& backend) { table[kind] = &backend; }

Backend& backend(Device::Kind kind) {
  if (!table[kind]) {
    throw BackendError(cat("[eval] this build has no ", kind == Device::cpu ? "CPU" : "GPU",
                           " backend; call mx::register_backends() first, or use a device that is_available() reports."));
  }
  return *table[kind];
}

}  // namespace mx
