// fft.h — plans of Fourier transforms (ops/fft_params.h).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_fft(const Task& task, Plan& plan);
bool plan_rfft(const Task& task, Plan& plan);
bool plan_irfft(const Task& task, Plan& plan);

}  // namespace mx::metal
