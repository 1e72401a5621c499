// linalg_small.h — LU factors and triangular solves of matrices so small that calling LAPACK costs more than the
// arithmetic. Matrices are in row order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "base/half.h"

namespace mx::cpu {

constexpr int64_t kSmall = 16;         ///< Largest size that is done here.
constexpr int64_t kSmallColumns = 64;  ///< With so many right-hand sides at most.

/// A product without the complex standard's care for infinities.
template <class T>
T plain_product(T a, T b) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
  } else {
    return a * b;
  }
}

/// |re| + |im|: what LAPACK chooses pivots by.
template <class T>
auto pivot_size(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return std::abs(x.real()) + std::abs(x.imag());
  } else {
    return std::abs(x);
  }
}

/// a (m, n) = P·L·U in place, as getrf; `pivots` (min(m, n)) counted from 1.
template <class T, class Int>
void small_lu(int64_t m, int64_t n, T* a, Int* pivots) {
  for (int64_t k = 0; k < std::min(m, n); ++k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < m; ++i) {
      if (pivot_size(a[i * n + k]) > pivot_size(a[best * n + k])) best = i;
    }
    pivots[k] = static_cast<Int>(best + 1);
    if (best != k) std::swap_ranges(a + k * n, a + (k + 1) * n, a + best * n);
    const T* top = a + k * n;
    if (top[k] == T(0)) continue;
    for (int64_t i = k + 1; i < m; ++i) {
      T* row = a + i * n;
      T factor = row[k] / top[k];
      row[k] = factor;
      for (int64_t j = k + 1; j < n; ++j) row[j] -= plain_product(factor, top[j]);
    }
  }
}

/// x (n, k) becomes t⁻¹·x for the triangular t(i, j) = a[i * row + j * column], conjugated if `conj`.
template <class T>
void small_triangular_solve(bool lower, bool unit, bool conj, const T* a, int64_t row, int64_t column, T* x, int64_t n, int64_t k) {
  auto at = [&](int64_t i, int64_t j) {
    T v = a[i * row + j * column];
    if constexpr (std::is_same_v<T, complex64_t>) return conj ? std::conj(v) : v;
    return v;
  };
  for (int64_t step = 0; step < n; ++step) {
    int64_t i = lower ? step : n - 1 - step;
    T* to = x + i * k;
    for (int64_t j = lower ? 0 : i + 1; j < (lower ? i : n); ++j) {
      T factor = at(i, j);
      const T* from = x + j * k;
      for (int64_t c = 0; c < k; ++c) to[c] -= plain_product(factor, from[c]);
    }
    if (unit) continue;
    T pivot = at(i, i);
    for (int64_t c = 0; c < k; ++c) to[c] /= pivot;
  }
}

}  // namespace mx::cpu
