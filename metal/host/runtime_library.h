// runtime_library.h — what the parts of the runtime say to each other about function constants.
#pragma once

#include "kernels.h"

namespace mx::metal::host {

/// Sets the constants of the kernel's source; those without a value become undefined. For the next dispatch of any of its kernels.
void apply_constants(const Kernel& kernel, const std::vector<ConstantValue>& values);

}  // namespace mx::metal::host
