// linalg_spectral.cpp — qr, singular values and eigenvalues by LAPACK, one matrix after the other, batches in parallel.
//
// LAPACK works on columns, so memory in row order is the transposed matrix to it. Except by qr that is made use of, and
// nothing is transposed on the way in. Matrices that are not finite give NaN, because the
// iterations of LAPACK are not made for them. Start at for_each_matrix().

#include "backend/cpu/linalg_spectral.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "backend/cpu/copy.h"
#include "backend/cpu/lapack.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/linalg_spectral_params.h"

namespace mx::cpu {

namespace {

using lapack::dispatch_lapack;
using lapack::Real;

template <class T>
Scratch scratch(int64_t n) {
  return Scratch(sizeof(T) * static_cast<size_t>(std::max<int64_t>(n, 1)));
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  return std::all_of(x, x + n, [](T v) { return std::isfinite(std::real(v)) && std::isfinite(std::imag(v)); });
}

template <class T>
void fill_nan(T* x, int64_t n) {
  std::fill_n(x, n, T(std::numeric_limits<Real<T>>::quiet_NaN()));
}

// to (n, m) = transpose of from (m, n), both in row order.
template <class T>
void transposed(const T* from, int64_t m, int64_t n, T* to) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) to[j * m + i] = from[i * n + j];
  }
}

template <class T>
void set_identity(T* x, int64_t n) {
  std::fill_n(x, n * n, T(0));
  for (int64_t i = 0; i < n; ++i) x[i * n + i] = T(1);
}

struct Size {
  int64_t m, n, k;
};
Size size_of_matrix(const array& a) {
  int64_t m = a.shape(-2), n = a.shape(-1);
  return {m, n, std::min(m, n)};
}

// Calls f(matrix in row order, its number in the batch).
template <class T, class F>
void for_each_matrix(const array& a, const F& f) {
  auto [m, n, k] = size_of_matrix(a);
  int64_t count = 1;
  for (int i = 0; i < a.ndim() - 2; ++i) count *= a.shape(i);
  std::optional<Scratch> copy;
  if (!a.row_contiguous()) {
    copy.emplace(a.n_bytes());
    copy_to(a, copy->as<void>());
  }
  const T* data = copy ? copy->as<T>() : a.data<T>();
  int64_t grain = std::max<int64_t>(1, 512 / std::max<int64_t>(1, m * n * k));
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) f(data + b * m * n, b);
  });
}

void check(int info, const char* op) {
  if (info != 0) {
    throw BackendError(cat("[linalg.", op, "] the iteration did not converge: LAPACK's info is ", info,
                           ". Scale the matrix, or use float64."));
  }
}

// ---- singular values

// a = u·s·vh is aᵀ = vhᵀ·s·uᵀ: with LAPACK seeing aᵀ, its left vectors in column order are vh in row order, and so
// its right ones are u. `job` as gesdd's.
template <class T>
void svd_of(char job, const T* a, Size size, T* u, Real<T>* s, T* vh) {
  auto [m, n, k] = size;
  Scratch memory = scratch<T>(m * n);
  T* work = memory.as<T>();
  int64_t ldu = job == 'A' ? m : std::max<int64_t>(k, 1);
  std::copy(a, a + m * n, work);
  int info = lapack::gesdd(job, n, m, work, n, s, vh, n, u, ldu);
  if (info > 0) {  // rare; the slower method converges
    std::copy(a, a + m * n, work);
    info = lapack::gesvd(job, job, n, m, work, n, s, vh, n, u, ldu);
  }
  check(info, "svd");
}

}  // namespace

void svd_kernel(const Task& task) {
  const array& a = task.in[0];
  bool full = task.params.get<SvdParams>().full;
  dispatch_lapack(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Size size = size_of_matrix(a);
    auto [m, n, k] = size;
    int64_t nu = m * (full ? m : k), nv = n * (full ? n : k);
    T *us = task.out[0].data<T>(), *vs = task.out[2].data<T>();
    auto* ss = task.out[1].data<Real<T>>();
    for_each_matrix<T>(a, [&, m = m, n = n, k = k](const T* x, int64_t b) {
      T *u = us + b * nu, *vh = vs + b * nv;
      Real<T>* s = ss + b * k;
      if (k == 0) {
        if (full) set_identity(u, m), set_identity(vh, n);
      } else if (!all_finite(x, m * n)) {
        fill_nan(u, nu), fill_nan(s, k), fill_nan(vh, nv);
      } else {
        svd_of(full ? 'A' : 'S', x, size, u, s, vh);
      }
    });
  });
}

void singular_values_kernel(const Task& task) {
  const array& a = task.in[0];
  dispatch_lapack(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Size size = size_of_matrix(a);
    auto* ss = task.out[0].data<Real<T>>();
    if (size.k == 0) return;
    for_each_matrix<T>(a, [&](const T* x, int64_t b) {
      Real<T>* s = ss + b * size.k;
      if (!all_finite(x, size.m * size.n)) return fill_nan(s, size.k);
      svd_of<T>('N', x, size, nullptr, s, nullptr);
    });
  });
}

// ---- qr

void qr_kernel(const Task& task) {
  const array& a = task.in[0];
  dispatch_lapack(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto [m, n, k] = size_of_matrix(a);
    T *qs = task.out[0].data<T>(), *rs = task.out[1].data<T>();
    if (k == 0) return;  // no elements
    for_each_matrix<T>(a, [=, m = m, n = n, k = k](const T* x, int64_t b) {
      T *q = qs + b * m * k, *r = rs + b * k * n;
      if (!all_finite(x, m * n)) return fill_nan(q, m * k), fill_nan(r, k * n);
      Scratch memory = scratch<T>(m * n + k);
      T *columns = memory.as<T>(), *tau = columns + m * n;
      transposed(x, m, n, columns);
      check(lapack::geqrf(m, n, columns, m, tau), "qr");
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < n; ++j) r[i * n + j] = j < i ? T(0) : columns[j * m + i];
      }
      check(lapack::orgqr(m, k, k, columns, m, tau), "qr");
      transposed(columns, k, m, q);
    });
  });
}

// ---- eigenvalues of Hermitian matrices

namespace {

// The transpose of a Hermitian matrix is its conjugate: the same eigenvalues, conjugate vectors, and the other triangle.
template <class T>
void eigh_of(const array& a, bool upper, array& values, array* vectors) {
  int64_t n = a.shape(-1);
  auto* ws = values.data<Real<T>>();
  T* vs = vectors ? vectors->data<T>() : nullptr;
  if (n == 0) return;
  for_each_matrix<T>(a, [&](const T* x, int64_t b) {
    Real<T>* w = ws + b * n;
    T* v = vs ? vs + b * n * n : nullptr;
    bool finite = true;  // The other triangle is not read and may hold anything.
    for (int64_t i = 0; i < n; ++i) finite = finite && (upper ? all_finite(x + i * n + i, n - i) : all_finite(x + i * n, i + 1));
    if (!finite) {
      fill_nan(w, n);
      if (v) fill_nan(v, n * n);
      return;
    }
    Scratch memory = scratch<T>(n * n);
    T* work = memory.as<T>();
    std::copy(x, x + n * n, work);
    check(lapack::syevd(v ? 'V' : 'N', upper ? 'L' : 'U', n, work, n, w), v ? "eigh" : "eigvalsh");
    if (!v) return;
    transposed(work, n, n, v);
    if constexpr (!std::is_same_v<T, Real<T>>) std::transform(v, v + n * n, v, [](T z) { return std::conj(z); });
  });
}

// ---- eigenvalues of any square matrices

// Above this size LAPACK searches for eigenvalues in another order when it is not to find vectors (LAPACK's NMIN). Derivatives of
// eigenvalues need vectors in the same order, so there the vectors are found too.
constexpr int64_t kSameOrderTo = 75;

// uᴴ·aᵀ = w·uᴴ is a·conj(u) = w·conj(u): left vectors of the transpose.
template <class T>
void eig_of_matrix(char job, const T* x, int64_t n, complex64_t* w, complex64_t* v) {
  Scratch memory = scratch<T>(2 * n * n + 2 * n);
  T *work = memory.as<T>(), *left = work + n * n, *re = left + n * n, *im = re + n;
  std::copy(x, x + n * n, work);
  if constexpr (std::is_same_v<T, complex64_t>) {
    check(lapack::geev(job, n, work, n, w, left, n), "eig");
    if (!v) return;
    transposed(left, n, n, v);
    std::transform(v, v + n * n, v, [](T z) { return std::conj(z); });
  } else {
    check(lapack::geev(job, n, work, n, re, im, left, n), "eig");
    for (int64_t j = 0; j < n; ++j) w[j] = {static_cast<float>(re[j]), static_cast<float>(im[j])};
    auto set = [&](int64_t i, int64_t j, T a, T b) { v[i * n + j] = {static_cast<float>(a), static_cast<float>(b)}; };
    for (int64_t j = 0; v && j < n; ++j) {
      const T *p = left + j * n, *q = p + n;
      bool pair = im[j] != 0;
      for (int64_t i = 0; i < n; ++i) {
        set(i, j, p[i], pair ? -q[i] : T(0));
        if (pair) set(i, j + 1, p[i], q[i]);
      }
      j += pair;
    }
  }
}

template <class T>
void eig_of(const array& a, array& values, array* vectors) {
  int64_t n = a.shape(-1);
  complex64_t *ws = values.data<complex64_t>(), *vs = vectors ? vectors->data<complex64_t>() : nullptr;
  if (n == 0) return;
  char job = vectors || n > kSameOrderTo ? 'V' : 'N';
  for_each_matrix<T>(a, [&](const T* x, int64_t b) {
    complex64_t *w = ws + b * n, *v = vs ? vs + b * n * n : nullptr;
    if (all_finite(x, n * n)) return eig_of_matrix(job, x, n, w, v);
    fill_nan(w, n);
    if (v) fill_nan(v, n * n);
  });
}

}  // namespace

void eigh_kernel(const Task& task) {
  bool upper = task.params.get<EighParams>().upper;
  dispatch_lapack(task.in[0].dtype(), [&](auto tag) {
    eigh_of<typename decltype(tag)::type>(task.in[0], upper, task.out[0], &task.out[1]);
  });
}

void eigvalsh_kernel(const Task& task) {
  bool upper = task.params.get<EighParams>().upper;
  dispatch_lapack(task.in[0].dtype(), [&](auto tag) {
    eigh_of<typename decltype(tag)::type>(task.in[0], upper, task.out[0], nullptr);
  });
}

void eig_kernel(const Task& task) {
  dispatch_lapack(task.in[0].dtype(), [&](auto tag) {
    eig_of<typename decltype(tag)::type>(task.in[0], task.out[0], &task.out[1]);
  });
}

void eigvals_kernel(const Task& task) {
  dispatch_lapack(task.in[0].dtype(), [&](auto tag) {
    eig_of<typename decltype(tag)::type>(task.in[0], task.out[0], nullptr);
  });
}

}  // namespace mx::cpu
