// lapack.h — the LAPACK routines that kernels use, as C++ functions. The library is opened at the first call
// (lapack.cpp says where it is looked for), so importing mxform costs nothing.
//
// Matrices are column-major: element (i, j) is a[i + j * ld], ld >= max(1, rows). A row-contiguous array is the
// transpose of that, which often spares a copy. T is float, double or complex64_t. Functions take their own
// workspace from scratch.h and return LAPACK's `info`: 0, or k > 0 for a failure whose meaning is the routine's.
// They may be called from any thread and run on that thread alone; batches are spread by parallel_for.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "base/dtype.h"
#include "base/half.h"

namespace mx::cpu::lapack {

/// The integers of the library.
using Int = int32_t;

/// float for complex64_t, else T.
template <class T>
using Real = std::conditional_t<std::is_same_v<T, complex64_t>, float, T>;

/// Calls f(TypeTag<T>()) for one of the dtypes that the routines exist for.
template <class F>
void dispatch_lapack(Dtype t, F&& f) {
  if (t == Dtype::float32) return f(TypeTag<float>());
  if (t == Dtype::float64) return f(TypeTag<double>());
  f(TypeTag<complex64_t>());
}

/// The file that the routines come from; opens it. Throws BackendError when there is none.
const std::string& library();

// ---- triangular and positive definite matrices. `uplo` is 'L' or 'U', `trans` 'N', 'T' or 'C', `diag` 'N' or 'U'.

/// a = L·Lᴴ ('L') or Uᴴ·U ('U'), in the triangle that is read. info > 0: not positive definite.
template <class T>
int potrf(char uplo, int64_t n, T* a, int64_t lda);

/// Inverse of a triangular matrix, in place. info > 0: a zero on the diagonal, nothing is done.
template <class T>
int trtri(char uplo, char diag, int64_t n, T* a, int64_t lda);

/// b (m, n) = alpha · op(a)⁻¹ · b (side 'L') or alpha · b · op(a)⁻¹ ('R') for triangular a. Divides by zeros as IEEE says.
template <class T>
void trsm(char side, char uplo, char trans, char diag, int64_t m, int64_t n, T alpha, const T* a, int64_t lda, T* b, int64_t ldb);

// ---- general matrices

/// a (m, n) = P·L·U. `pivots` has min(m, n) entries, counted from 1: row i was swapped with pivots[i], in order.
/// info > 0: U(info, info) is zero; the factorisation is complete all the same.
template <class T>
int getrf(int64_t m, int64_t n, T* a, int64_t lda, Int* pivots);

/// Inverse from getrf's result, in place. info > 0: singular.
template <class T>
int getri(int64_t n, T* a, int64_t lda, const Int* pivots);

// ---- orthogonal factorisations and spectra

/// a (m, n) = Q·R: R in the upper triangle, Q as reflectors below it and in tau (min(m, n)).
template <class T>
int geqrf(int64_t m, int64_t n, T* a, int64_t lda, T* tau);

/// The first n columns of Q (m, n) from k reflectors of geqrf, in place (orgqr, ungqr).
template <class T>
int orgqr(int64_t m, int64_t n, int64_t k, T* a, int64_t lda, const T* tau);

/// Singular values s (descending) and vectors of a (m, n), which is destroyed (gesdd). `job`: 'N' none, 'S' the first
/// min(m, n), 'A' all, as columns of u and rows of vt. info > 0: did not converge.
template <class T>
int gesdd(char job, int64_t m, int64_t n, T* a, int64_t lda, Real<T>* s, T* u, int64_t ldu, T* vt, int64_t ldvt);

/// The same by the slower QR iteration (gesvd), which converges where gesdd does not.
template <class T>
int gesvd(char job_u, char job_vt, int64_t m, int64_t n, T* a, int64_t lda, Real<T>* s, T* u, int64_t ldu, T* vt, int64_t ldvt);

/// Eigenvalues w (ascending) of a symmetric or Hermitian matrix, of which one triangle is read (syevd, heevd).
/// `job` 'V': eigenvectors replace a; 'N': a is destroyed. info > 0: did not converge.
template <class T>
int syevd(char job, char uplo, int64_t n, T* a, int64_t lda, Real<T>* w);

/// Eigenvalues and left eigenvectors ('V', uᴴ·a = w·uᴴ, unit 2-norm) of a real matrix, which is destroyed. Complex pairs
/// are next to each other: columns j and j + 1 of vl are real and imaginary part of the first one's vector.
template <class T>
int geev(char job, int64_t n, T* a, int64_t lda, T* w_real, T* w_imag, T* vl, int64_t ldvl);
/// The same for a complex matrix.
int geev(char job, int64_t n, complex64_t* a, int64_t lda, complex64_t* w, complex64_t* vl, int64_t ldvl);

}  // namespace mx::cpu::lapack
