// kernels.h — the CPU kernels, one function a primitive (or family). The table that joins them to their
// primitives is kernels.cpp. A kernel reads `task.in` through strides, writes row-contiguous `task.out`,
// and takes scratch memory from std::vector or scratch.h, never from the allocator of results.
#pragma once

#include "runtime/backend.h"

namespace mx::cpu {

using Kernel = void (*)(const Task&);

/// The kernel of a primitive, or null.
Kernel find_kernel(const Primitive& primitive);

}  // namespace mx::cpu
