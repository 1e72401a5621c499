// linalg_spectral.h — kernels of qr, singular values and eigenvalues.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void qr_kernel(const Task& task);
void svd_kernel(const Task& task);
void singular_values_kernel(const Task& task);
void eigh_kernel(const Task& task);
void eigvalsh_kernel(const Task& task);
void eig_kernel(const Task& task);
void eigvals_kernel(const Task& task);

}  // namespace mx::cpu
