// fft.h — kernels of Fourier transforms. Plans are in fft_plan.h, transforms of rows in fft_rows.h.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void fft_kernel(const Task& task);
void rfft_kernel(const Task& task);
void irfft_kernel(const Task& task);

}  // namespace mx::cpu
