// Factorisations, solvers, spectra, and Fourier and Hadamard transforms.

#include "export/check.h"
#include "ops/fft_params.h"
#include "ops/hadamard_params.h"
#include "ops/linalg_params.h"
#include "ops/linalg_spectral_params.h"

namespace mx::exporting {

namespace {

// float32, float64 or complex64, with two axes or more.
void matrices(const array& a) {
  ndim_of(a, 2);
  require(a.dtype() == Dtype::float32 || a.dtype() == Dtype::float64 || is_complex(a.dtype()), "matrices of a dtype that has no linear algebra");
}

void square(const array& a) {
  matrices(a);
  require(a.shape(-1) == a.shape(-2), "matrices that are not square");
}

template <class P>
CheckEntry of_matrix(const Primitive& p) {
  return check_of<P>(p, [](auto&, const Call& c) {
    n_inputs(c, 1);
    matrices(c.in(0));
  });
}

template <class P>
CheckEntry of_square(const Primitive& p) {
  return check_of<P>(p, [](auto&, const Call& c) {
    n_inputs(c, 1);
    square(c.in(0));
  });
}

// a (..., n, n), b (..., n, k)
void system(const array& a, const array& b) {
  square(a);
  same_dtype(a, b);
  require(leading(a, 2) == leading(b, 2) && a.shape(-1) == b.shape(-2), "a system of matrices that do not fit");
}

// The first two outputs of lu_factor for square a.
void factors(const array& a, const array& lu, const array& pivots) {
  square(a);
  same_dtype(a, lu);
  same_shape(a, lu);
  dtype_is(pivots, Dtype::uint32);
  shape_is(pivots, leading(a, 1));
}

CheckEntry of_factors(const Primitive& p) {
  return check_of<NoParams>(p, [](auto&, const Call& c) {
    n_inputs(c, 3);
    factors(c.in(0), c.in(1), c.in(2));
  });
}

CheckEntry of_two(const Primitive& p) {
  return check_of<NoParams>(p, [](auto&, const Call& c) {
    n_inputs(c, 2);
    square(c.in(0));
    same_dtype(c.in(0), c.in(1));
    same_shape(c.in(0), c.in(1));
  });
}

bool has_hadamard_matrix(int64_t n) {
  int64_t odd = n;
  while (odd > 0 && odd % 2 == 0) odd /= 2;
  return n > 0 && (odd == 1 || ((odd == 3 || odd == 5 || odd == 7) && n / odd >= 4));
}

}  // namespace

Checks linalg_checks() {
  Checks checks;
  for (const Primitive* p : {&cholesky_p, &inverse_p, &eig_p, &eigvals_p, &psd_sqrt_p}) checks.push_back(of_square<NoParams>(*p));
  for (const Primitive* p : {&lu_factor_p, &qr_p, &singular_values_p, &pinv_p}) checks.push_back(of_matrix<NoParams>(*p));
  for (const Primitive* p : {&eigh_p, &eigvalsh_p}) checks.push_back(of_square<EighParams>(*p));
  for (const Primitive* p : {&det_p, &slogdet_p, &adjugate_p}) checks.push_back(of_factors(*p));
  for (const Primitive* p : {&adjugate_slope_p, &lyapunov_p}) checks.push_back(of_two(*p));
  checks.push_back(of_matrix<SvdParams>(svd_p));
  checks.push_back(of_square<TriangularParams>(triangular_inverse_p));
  checks.push_back(check_of<TriangularParams>(solve_triangular_p, [](auto&, const Call& c) {
    n_inputs(c, 2);
    system(c.in(0), c.in(1));
  }));
  checks.push_back(check_of<LuSolveParams>(lu_solve_p, [](auto&, const Call& c) {
    n_inputs(c, 4);
    system(c.in(0), c.in(1));
    factors(c.in(0), c.in(2), c.in(3));
  }));
  checks.push_back(check_of<FftParams>(fft_p, [](auto& p, const Call& c) {
    n_inputs(c, 1);
    dtype_is(c.in(0), Dtype::complex64);
    distinct_axes(p.axes, c.in(0).ndim(), true);
    for (int axis : p.axes) require(c.in(0).shape(axis) > 0, "a transform of no elements");
  }));
  checks.push_back(check_of<RfftParams>(rfft_p, [](auto& p, const Call& c) {
    n_inputs(c, 1);
    dtype_is(c.in(0), Dtype::float32);
    axis_of(p.axis, c.in(0));
    require(c.in(0).shape(p.axis) > 0, "a transform of no elements");
  }));
  checks.push_back(check_of<IrfftParams>(irfft_p, [](auto& p, const Call& c) {
    n_inputs(c, 1);
    dtype_is(c.in(0), Dtype::complex64);
    axis_of(p.axis, c.in(0));
    require(p.n > 0 && c.in(0).shape(p.axis) == p.n / 2 + 1, "a transform of a wrong number of elements");
  }));
  checks.push_back(check_of<HadamardParams>(hadamard_p, [](auto&, const Call& c) {
    n_inputs(c, 1);
    inexact(c.in(0));
    ndim_of(c.in(0), 1);
    require(has_hadamard_matrix(c.in(0).shape(-1)), "a size without a Hadamard matrix");
  }));
  return checks;
}

}  // namespace mx::exporting
