// linalg.h — kernels of factorisations and solvers.
#pragma once

#include "backend/cpu/kernels.h"

namespace mx::cpu {

void cholesky_kernel(const Task&);
void inverse_kernel(const Task&);
void triangular_inverse_kernel(const Task&);
void solve_triangular_kernel(const Task&);
void lu_factor_kernel(const Task&);
void lu_solve_kernel(const Task&);

}  // namespace mx::cpu
