// conv_channel_loops.cpp — see conv_channel_loops.h. Vectors are 64 bytes on every machine, so that the order of sums is too.

#include "backend/cpu/conv_channel_loops.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "backend/cpu/clones.h"

namespace mx::cpu {

namespace {

constexpr int64_t kVectorBytes = 64;
constexpr int64_t kManyVectors = 8;  // Of a pixel: too many to go through all pixels for each.

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(64)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(64)));
};
template <class T>
constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(T));

// kPixels sums of a vector each, over kN taps.
template <class T, int kN, int kPixels>
MX_INLINE void add_to_pixels(const T* const* x, const typename VectorOf<T>::type* weight, T* sum, int64_t x_step, int64_t sum_step, int64_t offset,
                             bool add) {
  using V = typename VectorOf<T>::type;
  V s[kPixels] = {};
  if (add) {
    for (int i = 0; i < kPixels; ++i) std::memcpy(&s[i], sum + i * sum_step, sizeof(V));
  }
  for (int t = 0; t < kN; ++t) {
    for (int i = 0; i < kPixels; ++i) {
      V v;
      std::memcpy(&v, x[t] + offset + i * x_step, sizeof(V));
      s[i] += v * weight[t];
    }
  }
  for (int i = 0; i < kPixels; ++i) std::memcpy(sum + i * sum_step, &s[i], sizeof(V));
}

// A few taps at a time.
template <class T, int kN>
MX_CLONES void add_few_taps(const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes,
                        bool add) {
  using V = typename VectorOf<T>::type;
  int64_t c = lanes / kLanes<T> * kLanes<T>, done = 0;
  // With many channels a few pixels at a time, all of their channels: others would compete for the first cache.
  if (lanes > kManyVectors * kLanes<T>) {
    for (; done + 4 <= pixels; done += 4) {
      for (int64_t q = 0; q < c; q += kLanes<T>) {
        V weight[kN];
        for (int t = 0; t < kN; ++t) std::memcpy(&weight[t], w[t] + q, sizeof(V));
        add_to_pixels<T, kN, 4>(x, weight, sum + done * sum_step + q, x_step, sum_step, done * x_step + q, add);
      }
    }
  }
  for (int64_t q = 0; q < c && done < pixels; q += kLanes<T>) {
    const T* at[kN];  // Not in memory that `sum` might be.
    V weight[kN];
    for (int t = 0; t < kN; ++t) {
      at[t] = x[t] + q;
      std::memcpy(&weight[t], w[t] + q, sizeof(V));
    }
    int64_t j = done;
    for (; j + 2 <= pixels; j += 2) add_to_pixels<T, kN, 2>(at, weight, sum + j * sum_step + q, x_step, sum_step, j * x_step, add);
    if (j < pixels) add_to_pixels<T, kN, 1>(at, weight, sum + j * sum_step + q, x_step, sum_step, j * x_step, add);
  }
  if (c == lanes) return;
  for (int64_t j = 0; j < pixels; ++j) {
    for (int64_t q = c; q < lanes; ++q) {
      T s = add ? sum[j * sum_step + q] : T(0);
      for (int t = 0; t < kN; ++t) s += x[t][j * x_step + q] * w[t][q];
      sum[j * sum_step + q] = s;
    }
  }
}

// w[t] += x[t] * y over some pixels, a vector each.
template <class T, int kN>
MX_INLINE void add_pixel_products(const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t c,
                                  int64_t first) {
  using V = typename VectorOf<T>::type;
  const T* at[kN];
  V s[kN] = {};
  for (int t = 0; t < kN; ++t) at[t] = x[t] + first * x_step + c;
  const T* from = y + first * y_step + c;
  for (int64_t j = 0; j < pixels; ++j) {
    V u;
    std::memcpy(&u, from + j * y_step, sizeof(V));
    for (int t = 0; t < kN; ++t) {
      V v;
      std::memcpy(&v, at[t] + j * x_step, sizeof(V));
      s[t] += v * u;
    }
  }
  for (int t = 0; t < kN; ++t) {
    V v;
    std::memcpy(&v, w[t] + c, sizeof(V));
    v += s[t];
    std::memcpy(w[t] + c, &v, sizeof(V));
  }
}

template <class T, int kN>
MX_CLONES void add_few_products(const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes) {
  int64_t c = lanes / kLanes<T> * kLanes<T>, together = lanes > kManyVectors * kLanes<T> ? 8 : pixels;
  for (int64_t j = 0; j < pixels; j += together) {
    int64_t n = std::min(together, pixels - j);
    for (int64_t q = 0; q < c; q += kLanes<T>) add_pixel_products<T, kN>(x, w, y, n, x_step, y_step, q, j);
  }
  for (int64_t q = c; q < lanes; ++q) {
    for (int t = 0; t < kN; ++t) {
      T s = 0;
      for (int64_t j = 0; j < pixels; ++j) s += x[t][j * x_step + q] * y[j * y_step + q];
      w[t][q] += s;
    }
  }
}

// Calls f(size, t) for t in [0, n), 9, 3 or 1 at a time.
template <class F>
void for_few(int n, F f) {
  int t = 0;
  for (; t + 9 <= n; t += 9) f(std::integral_constant<int, 9>(), t);
  for (; t + 3 <= n; t += 3) f(std::integral_constant<int, 3>(), t);
  for (; t < n; ++t) f(std::integral_constant<int, 1>(), t);
}

}  // namespace

template <class T>
void add_taps(int n, const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes, bool add) {
  for_few(n, [&](auto few, int t) {
    add_few_taps<T, decltype(few)::value>(x + t, w + t, sum, pixels, x_step, sum_step, lanes, add || t > 0);
  });
}

template <class T>
void add_products(int n, const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes) {
  for_few(n, [&](auto few, int t) { add_few_products<T, decltype(few)::value>(x + t, w + t, y, pixels, x_step, y_step, lanes); });
}

template void add_taps(int, const float* const*, const float* const*, float*, int64_t, int64_t, int64_t, int64_t, bool);
template void add_taps(int, const double* const*, const double* const*, double*, int64_t, int64_t, int64_t, int64_t, bool);
template void add_products(int, const float* const*, float* const*, const float*, int64_t, int64_t, int64_t, int64_t);
template void add_products(int, const double* const*, double* const*, const double*, int64_t, int64_t, int64_t, int64_t);

}  // namespace mx::cpu
