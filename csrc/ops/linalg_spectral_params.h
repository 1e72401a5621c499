// linalg_spectral_params.h — parameters of qr, singular values and eigenvalues. Batch dimensions come first; the matrices
// are in the last two axes.
#pragma once

#include "graph/primitive.h"

namespace mx {

/// svd: outputs u, s, vh. `full`: u (m, m) and vh (n, n); else (m, k) and (k, n) with k = min(m, n).
struct SvdParams {
  bool full = true;
  auto fields() const { return std::tie(full); }
};

/// eigh, eigvalsh: which triangle is read.
struct EighParams {
  bool upper = false;
  auto fields() const { return std::tie(upper); }
};

/// singular_values, pinv, psd_sqrt: a matrix. lyapunov: the symmetric b and the right side c. eig, eigvals: a square matrix.
extern const Primitive qr_p, svd_p, singular_values_p, eigh_p, eigvalsh_p, eig_p, eigvals_p, pinv_p, psd_sqrt_p, lyapunov_p;

}  // namespace mx
