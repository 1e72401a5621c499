// fast.h — kernels of the fast functions: fast_norm.cpp, fast_rope.cpp, fast_cross_entropy.cpp, fast_attention.cpp,
// fast_delta.cpp. What their rows share is in fast_rows.h.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void rms_norm_kernel(const Task& task);
void layer_norm_kernel(const Task& task);
void rms_norm_vjp_kernel(const Task& task);
void layer_norm_vjp_kernel(const Task& task);
void rope_kernel(const Task& task);
void cross_entropy_kernel(const Task& task);
void cross_entropy_vjp_kernel(const Task& task);
void attention_kernel(const Task& task);
void attention_vjp_kernel(const Task& task);
void gated_delta_update_kernel(const Task& task);
void gated_delta_update_vjp_kernel(const Task& task);

}  // namespace mx::cpu
