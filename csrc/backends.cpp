// backends.cpp — the composition root: the only file that names backends.

#include "runtime/backend.h"

namespace mx {

namespace cpu {
Backend& instance();  // backend/cpu/backend.cpp
}

void register_backends() { register_backend(Device::cpu, cpu::instance()); }

}  // namespace mx
