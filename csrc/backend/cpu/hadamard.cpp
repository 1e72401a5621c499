// hadamard.cpp — the Walsh-Hadamard transform of rows of size m 2^k: sums and differences at distances 1, 2, 4, ... within
// each of m parts (Sylvester's matrix), then sums over the parts with the signs of the matrix of order m. float16 and
// bfloat16 are computed in float; a complex number is two real ones.

#include "backend/cpu/hadamard.h"

#include <algorithm>
#include <vector>

#include "backend/cpu/clones.h"
#include "backend/cpu/copy.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/hadamard_params.h"

namespace mx::cpu {

namespace {

// ---- sums and differences

// At distances h and 2 h.
template <class T>
MX_CLONES void two_steps(T* x, int64_t n, int64_t h) {
  for (int64_t i = 0; i < n; i += 4 * h) {
    T *p = x + i, *q = p + h, *r = q + h, *s = r + h;
    MX_INDEPENDENT
    for (int64_t j = 0; j < h; ++j) {
      T a = p[j] + q[j], b = p[j] - q[j], c = r[j] + s[j], d = r[j] - s[j];
      p[j] = a + c;
      q[j] = b + d;
      r[j] = a - c;
      s[j] = b - d;
    }
  }
}

template <class T>
MX_CLONES void one_step(T* x, int64_t n, int64_t h) {
  for (int64_t i = 0; i < n; i += 2 * h) {
    T *p = x + i, *q = p + h;
    MX_INDEPENDENT
    for (int64_t j = 0; j < h; ++j) {
      T a = p[j] + q[j], b = p[j] - q[j];
      p[j] = a;
      q[j] = b;
    }
  }
}

// Distances from `h` up to n / 2; long ones first, so that the rest is done part by part in the cache.
template <class T>
void sylvester(T* x, int64_t n, int64_t h) {
  constexpr int64_t kInCache = 4096;
  if (n > kInCache && n >= 4 * h) {
    two_steps(x, n, n / 4);
    for (int64_t i = 0; i < n; i += n / 4) sylvester(x + i, n / 4, h);
    return;
  }
  for (; 4 * h <= n; h *= 4) two_steps(x, n, h);
  if (2 * h <= n) one_step(x, n, h);
}

// Sums over `order` parts of `width` elements, in place, one strip of columns at a time.
template <class T>
MX_CLONES void mix_parts(T* x, int64_t width, const T* signs, int order) {
  constexpr int64_t kStrip = 32;
  T parts[28][kStrip], sum[kStrip];
  for (int64_t begin = 0; begin < width; begin += kStrip) {
    int64_t n = std::min(kStrip, width - begin);
    for (int j = 0; j < order; ++j) {
      for (int64_t k = 0; k < kStrip; ++k) parts[j][k] = k < n ? x[j * width + begin + k] : T(0);
    }
    for (int i = 0; i < order; ++i) {
      for (int64_t k = 0; k < kStrip; ++k) sum[k] = 0;
      for (int j = 0; j < order; ++j) {
        T sign = signs[i * order + j];
        for (int64_t k = 0; k < kStrip; ++k) sum[k] += sign * parts[j][k];
      }
      for (int64_t k = 0; k < n; ++k) x[i * width + begin + k] = sum[k];
    }
  }
}

template <class T>
MX_CLONES void multiply(T* x, int64_t n, T scale) {
  for (int64_t i = 0; i < n; ++i) x[i] *= scale;
}

// Rows of n numbers of type T, each `parts` adjacent reals, already in `out`.
template <class T>
void transform_rows(T* out, int64_t count, int64_t n, int64_t parts, const HadamardParams& p) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const HadamardSigns& matrix = hadamard_signs(n);
  int order = matrix.order;
  int64_t size = n * parts, width = size / order;
  [[maybe_unused]] Loop widen = find_cast(dtype_of<T>(), dtype_of<A>()), round = find_cast(dtype_of<A>(), dtype_of<T>());
  std::vector<A> signs;
  for (int i = 0; i < order * order; ++i) signs.push_back(p.transposed ? matrix.at(i % order, i / order) : matrix.at(i / order, i % order));
  parallel_for(count, std::max<int64_t>(1, 16384 / size), [&](int64_t begin, int64_t end) {
    Scratch memory(static_cast<size_t>(size) * sizeof(A));
    for (int64_t r = begin; r < end; ++r) {
      T* row = out + r * size;
      A* x;
      if constexpr (std::is_same_v<T, A>) {
        x = row;
      } else {
        x = memory.as<A>();
        const void* narrow = row;
        widen(&narrow, x, size);
      }
      for (int i = 0; i < order; ++i) sylvester(x + i * width, width, parts);
      if (order > 1) mix_parts(x, width, signs.data(), order);
      multiply(x, size, static_cast<A>(p.scale));
      if constexpr (!std::is_same_v<T, A>) {
        const void* wide = x;
        round(&wide, row, size);
      }
    }
  });
}

}  // namespace

void hadamard_kernel(const Task& task) {
  const auto& p = task.params.get<HadamardParams>();
  array& out = task.out[0];
  if (out.size() == 0) return;
  copy_to(task.in[0], out.bytes());
  int64_t n = out.shape().back(), count = out.size() / n;
  switch (out.dtype()) {
    case Dtype::float16: return transform_rows(out.data<float16_t>(), count, n, 1, p);
    case Dtype::bfloat16: return transform_rows(out.data<bfloat16_t>(), count, n, 1, p);
    case Dtype::float64: return transform_rows(out.data<double>(), count, n, 1, p);
    case Dtype::complex64: return transform_rows(out.data<float>(), count, n, 2, p);
    default: return transform_rows(out.data<float>(), count, n, 1, p);
  }
}

}  // namespace mx::cpu
