// linalg_standard.h — what the Python array API standard's extension `linalg` has beyond MLX: norms over any axes, powers,
// rank. All are made of the functions in linalg.h and linalg_spectral.h.
#pragma once

#include "ops/linalg.h"
#include "ops/linalg_spectral.h"

namespace mx::linalg {

/// The norm of order `ord` of the elements over any axes, seen as one vector; no axes: each element is a vector.
array vector_norm(const array& a, const Axes& axes, double ord = 2, bool keepdims = false);

/// a (..., n, n) to the power n; a negative power is that of the inverse.
array matrix_power(const array& a, int64_t n);

/// How many singular values of a (..., m, n) are larger than rtol times the largest one, int32. `rtol` broadcasts with the
/// batch; undefined: max(m, n) eps.
array matrix_rank(const array& a, const array& rtol = {});

/// The Moore-Penrose inverse with singular values up to rtol times the largest one counted as zero; `rtol` as above.
/// Its derivatives are those of svd.
array pinv(const array& a, const array& rtol);

/// The factors of qr with all columns: q (m, m) unitary, r (m, n).
std::pair<array, array> qr_complete(const array& a);

}  // namespace mx::linalg
