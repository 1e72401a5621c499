// linalg_spectral.h — kernels of qr, singular values and eigenvalues.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

}  // namespace mx::cpu
