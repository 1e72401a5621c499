// fft.cpp — Fourier transforms along any axes of arrays. Axes are done one after the other; along the last one as rows,
// along another as columns if they are many and short enough, else as rows of a transposed copy. Real transforms of even
// size n are complex ones of size n / 2 of the even and odd elements; of odd size, complex ones with a zero imaginary part.

#include "backend/cpu/fft.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "backend/cpu/copy.h"
#include "backend/cpu/fft_lanes.h"
#include "backend/cpu/fft_rows.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/fft_params.h"

namespace mx::cpu {

namespace {

using namespace fft;

// An array in row order, copied only if it does not lie so.
class Contiguous {
 public:
  explicit Contiguous(const array& x) : data_(x.bytes()) {
    if (x.row_contiguous()) return;
    copy_.emplace(x.n_bytes());
    copy_to(x, copy_->as<void>());
    data_ = copy_->as<std::byte>();
  }
  const float* data() const { return reinterpret_cast<const float*>(data_); }

 private:
  const std::byte* data_;
  std::optional<Scratch> copy_;
};

// An array around one of its axes: (outer, n, inner).
struct Around {
  Around(const Shape& shape, int axis) {
    for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
      (i < axis ? outer : i > axis ? inner : n) *= shape[static_cast<size_t>(i)];
    }
  }
  int64_t outer = 1, n = 1, inner = 1;
};

// (outer, n, inner) and (outer, inner, n), both contiguous, copied one to the other.
void copy_axis_last(const void* src, void* dst, const Around& a, size_t itemsize) {
  copy_strided(src, {a.n * a.inner, 1, a.inner}, dst, {a.inner * a.n, a.n, 1}, {a.outer, a.inner, a.n}, itemsize);
}
void copy_axis_back(const void* src, void* dst, const Around& a, size_t itemsize) {
  copy_strided(src, {a.inner * a.n, a.n, 1}, dst, {a.n * a.inner, 1, a.inner}, {a.outer, a.inner, a.n}, itemsize);
}

void transform_axis(const float* in, float* out, const Around& a, bool inverse, float scale) {
  std::shared_ptr<const Plan> plan = plan_of(a.n);
  if (a.inner == 1) return transform_rows(*plan, in, a.n, out, a.n, a.outer, inverse, scale);
  if (plan->whole && 2 * a.inner >= lane_kernels().lanes) return transform_columns(*plan, in, out, a.outer, a.inner, inverse, scale);
  Scratch turned(static_cast<size_t>(a.outer * a.n * a.inner) * sizeof(complex64_t));
  float* rows = turned.as<float>();
  copy_axis_last(in, rows, a, sizeof(complex64_t));
  transform_rows(*plan, rows, a.n, rows, a.n, a.outer * a.inner, inverse, scale);
  copy_axis_back(rows, out, a, sizeof(complex64_t));
}

// Rows are worked on in groups that fit the cache together with what is made of them.
template <class F>
void for_groups(int64_t count, int64_t n, F&& f) {
  int64_t lanes = lane_kernels().lanes, group = std::max(rows_per_piece(n) / lanes, int64_t(1)) * lanes;
  parallel_for((count + group - 1) / group, 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) f(g * group, std::min(group, count - g * group));
  });
}

// Rows of n real numbers to rows of n / 2 + 1 coefficients.
void real_rows(const float* in, float* out, int64_t count, int64_t n, float scale, float interior) {
  int64_t half = n / 2 + 1;
  if (n % 2 == 0) {
    int64_t h = n / 2;
    std::shared_ptr<const Plan> plan = plan_of(h);
    std::shared_ptr<const HalfTurn> turn = half_turn_of(h);
    for_groups(count, n, [&](int64_t first, int64_t rows) {
      // Rows of the output do not begin where vectors do, so they are written only once.
      Scratch memory(static_cast<size_t>(n * rows) * sizeof(float));
      transform_rows(*plan, in + first * n, h, memory.as<float>(), h, rows, false, scale);
      for (int64_t r = 0; r < rows; ++r) {
        const float* z = memory.as<float>() + r * n;
        float* row = out + 2 * (first + r) * half;
        lane_kernels().mix_mirrored(z, row, h, turn->cosines.data(), turn->sines.data(), -1, 0.5f * interior);
        row[0] = z[0] + z[1];
        row[2 * h] = z[0] - z[1];
        row[1] = row[2 * h + 1] = 0;
      }
    });
    return;
  }
  std::shared_ptr<const Plan> plan = plan_of(n);
  for_groups(count, n, [&](int64_t first, int64_t rows) {
    Scratch memory(static_cast<size_t>(2 * n * rows) * sizeof(float));
    float* z = memory.as<float>();
    for (int64_t i = 0; i < n * rows; ++i) {
      z[2 * i] = in[first * n + i];
      z[2 * i + 1] = 0;
    }
    transform_rows(*plan, z, n, z, n, rows, false, scale);
    for (int64_t r = 0; r < rows; ++r) {
      float* row = out + 2 * (first + r) * half;
      for (int64_t i = 0; i < 2 * half; ++i) row[i] = z[2 * r * n + i] * (i < 2 ? 1.0f : interior);
      row[1] = 0;
    }
  });
}

// The way back.
void real_rows_back(const float* in, float* out, int64_t count, int64_t n, float scale, float interior) {
  int64_t half = n / 2 + 1;
  if (n % 2 == 0) {
    int64_t h = n / 2;
    std::shared_ptr<const Plan> plan = plan_of(h);
    std::shared_ptr<const HalfTurn> turn = half_turn_of(h);
    for_groups(count, n, [&](int64_t first, int64_t rows) {
      for (int64_t r = first; r < first + rows; ++r) {
        const float* row = in + 2 * r * half;
        float* z = out + r * n;
        lane_kernels().mix_mirrored(row, z, h, turn->cosines.data(), turn->sines.data(), 1, interior);
        z[0] = row[0] + row[2 * h];
        z[1] = row[0] - row[2 * h];
      }
      transform_rows(*plan, out + first * n, h, out + first * n, h, rows, true, scale);
    });
    return;
  }
  std::shared_ptr<const Plan> plan = plan_of(n);
  for_groups(count, n, [&](int64_t first, int64_t rows) {
    Scratch memory(static_cast<size_t>(2 * n * rows) * sizeof(float));
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = in + 2 * (first + r) * half;
      float* z = memory.as<float>() + 2 * r * n;
      z[0] = row[0];
      z[1] = 0;
      for (int64_t k = 1; k < half; ++k) {
        z[2 * k] = z[2 * (n - k)] = row[2 * k] * interior;
        z[2 * k + 1] = row[2 * k + 1] * interior;
        z[2 * (n - k) + 1] = -z[2 * k + 1];
      }
    }
    transform_rows(*plan, memory.as<float>(), n, memory.as<float>(), n, rows, true, scale);
    for (int64_t i = 0; i < n * rows; ++i) out[first * n + i] = memory.as<float>()[2 * i];
  });
}

}  // namespace

void fft_kernel(const Task& task) {
  const auto& p = task.params.get<FftParams>();
  const array& x = task.in[0];
  array& out = task.out[0];
  if (out.size() == 0) return;
  const float* in = x.data<float>();
  float* to = out.data<float>();
  if (!x.row_contiguous()) {
    copy_to(x, to);
    in = to;
  }
  for (size_t i = p.axes.size(); i-- > 0;) {
    transform_axis(in, to, Around(out.shape(), p.axes[i]), p.inverse, i == 0 ? static_cast<float>(p.scale) : 1.0f);
    in = to;
  }
}

namespace {

// Between real numbers and coefficients along an axis; `n` of the former. `rows` does it for rows that lie together.
template <class Params>
void real_axis(const Task& task, void (*rows)(const float*, float*, int64_t count, int64_t n, float scale, float interior)) {
  const auto& p = task.params.get<Params>();
  const array& x = task.in[0];
  array& out = task.out[0];
  if (out.size() == 0) return;
  Around from(x.shape(), p.axis), to(out.shape(), p.axis);
  int64_t n = x.dtype() == Dtype::float32 ? from.n : to.n;
  auto scale = static_cast<float>(p.scale), interior = static_cast<float>(p.interior);
  Contiguous in(x);
  if (from.inner == 1) return rows(in.data(), out.data<float>(), from.outer, n, scale, interior);
  Scratch read(x.n_bytes()), made(out.n_bytes());
  copy_axis_last(in.data(), read.as<void>(), from, x.itemsize());
  rows(read.as<float>(), made.as<float>(), from.outer * from.inner, n, scale, interior);
  copy_axis_back(made.as<void>(), out.bytes(), to, out.itemsize());
}

}  // namespace

void rfft_kernel(const Task& task) { real_axis<RfftParams>(task, real_rows); }
void irfft_kernel(const Task& task) { real_axis<IrfftParams>(task, real_rows_back); }

}  // namespace mx::cpu
