// hadamard.cpp — rows of m 2^k numbers are seen as m x 2^a x 2^b ...; each power of two is transformed along its axis in threadgroup memory, m by a
// launch of its own. Kernels: hadamard.metal.

#include "backend/metal/plan/hadamard.h"

#include <bit>

#include "backend/metal/plan/axis.h"
#include "ops/hadamard_params.h"

namespace mx::metal {

namespace {

constexpr int kMostBits = 12;        // 2^12 floats are half of threadgroup memory.
constexpr uint32_t kAtOnce = 4096;   // Numbers of a threadgroup.

// As in hadamard.metal.
enum Constant : uint32_t { kInType, kOutType };
struct LineParams {
  int64_t in_step, out_step;
  uint64_t lines;
  uint32_t n, per_group;
  float scale;
  uint32_t across;
};

}  // namespace

bool plan_hadamard(const Task& task, Plan& plan) {
  const auto& p = task.params.get<HadamardParams>();
  const array &x = task.in[0], &out = task.out[0];
  if (!on_gpu(out.dtype())) return false;
  if (out.size() == 0) return true;
  const HadamardSigns& matrix = hadamard_signs(out.shape().back());
  const int bits = std::countr_zero(static_cast<uint64_t>(out.shape().back() / matrix.order));

  // The array with its last axis in factors, and complex numbers as two.
  const bool complex = is_complex(out.dtype());
  Shape shape(out.shape().begin(), out.shape().end() - 1);
  Strides from(x.strides().begin(), x.strides().end() - 1);
  std::vector<size_t> axes;  // Of the factors.
  if (matrix.order > 1) {
    axes.push_back(shape.size());
    shape.push_back(matrix.order);
    from.push_back(x.strides().back() << bits);
  }
  for (int parts = std::max(1, (bits + kMostBits - 1) / kMostBits), left = bits; parts > 0; --parts) {
    int here = (left + parts - 1) / parts;
    left -= here;
    axes.push_back(shape.size());
    shape.push_back(int64_t(1) << here);
    from.push_back(x.strides().back() << left);
  }
  if (complex) {
    for (int64_t& s : from) s *= 2;
    shape.push_back(2);
    from.push_back(1);
  }
  const Strides rows = row_strides(shape);

  // Between launches numbers are floats: in the result if it has such.
  const Dtype type = complex ? Dtype::float32 : out.dtype();
  const bool temporary = axes.size() > 1 && type != Dtype::float32;
  const uint16_t middle = temporary ? plan.temporary(static_cast<size_t>(out.size()) * sizeof(float)) : 0;
  for (size_t k = axes.size(); k-- > 0;) {
    const bool first = k + 1 == axes.size(), last = k == 0, mixes = matrix.order > 1 && k == 0;
    const int axis = static_cast<int>(axes[k]);
    AroundAxis in(shape, first ? from : rows, axis), to(shape, rows, axis);
    Strides in_rows = in.rows(), out_rows = to.rows();
    Layout layout = collapse(in.rows_shape(), {&in_rows, &out_rows});
    if (!fits_inline(layout)) return false;
    LineParams q{in.step, to.step, static_cast<uint64_t>(in.n_rows()), static_cast<uint32_t>(in.n), 1, last ? static_cast<float>(p.scale) : 1.0f, to.step != 1};
    q.per_group = static_cast<uint32_t>(std::min<uint64_t>(std::max(1u, kAtOnce / q.n / (q.across ? 1 : 4)), q.lines));
    const uint32_t at_once = q.per_group * q.n, threads = std::max(kSimdWidth, power_of_2_for(at_once / 8, 512));
    Grid grid = mixes ? linear_grid(q.lines) : group_grid(ceil_div(q.lines, q.per_group), threads);
    plan.launch(mixes ? "hadamard_mix" : "hadamard_lines", grid.threads, grid.group);
    plan.constant(kInType, static_cast<uint32_t>(first ? type : temporary ? Dtype::float32 : type));
    plan.constant(kOutType, static_cast<uint32_t>(last ? type : Dtype::float32));
    first ? plan.input(0, 0) : temporary ? plan.reads(0, middle) : plan.reads_output(0);
    temporary && !last ? plan.writes(1, middle) : plan.output(1);
    plan.value(2, q);
    plan.values(3, words(layout));
    if (!mixes) {
      plan.threadgroup(0, size_t(at_once) * sizeof(float));
      continue;
    }
    std::vector<uint32_t> signs(static_cast<size_t>(matrix.order), 0);
    for (int i = 0; i < matrix.order; ++i) {
      for (int j = 0; j < matrix.order; ++j) {
        int sign = p.transposed ? matrix.at(j, i) : matrix.at(i, j);
        if (sign < 0) signs[static_cast<size_t>(i)] |= 1u << j;
      }
    }
    plan.values(4, signs);
  }
  return true;
}

}  // namespace mx::metal
