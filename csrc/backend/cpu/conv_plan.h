// conv_plan.h — the geometry of a convolution, worked out before the loops start: which kernel elements ("taps") an
// output needs and where they read the input. With a dilated input most taps hit the zeros in between; outputs are then
// grouped into phases that share the taps which do not. Without, there is one phase. Start at plan_axis().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/array.h"

namespace mx::cpu {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// One spatial axis: o * stride + k * kernel_dilation == i * input_dilation + pad.
struct ConvAxis {
  int64_t in, kernel, out;
  int64_t stride, kernel_dilation, input_dilation, pad;
  int64_t x_stride = 0, w_stride = 0;  ///< In elements, of input and weight.
};

/// A tap of one axis: kernel element k, which reads input element `at` for the first output of the phase.
struct Tap {
  int64_t k, at;
};

/// Outputs first, first + step, ... (`count` of them), whose taps are the same; each moves on by `stride` in the input.
/// Taps that never meet the input are left out.
struct Phase {
  int64_t first, step, count, stride;
  std::vector<Tap> taps;
  bool regular = true;   ///< Each tap reads the element behind the one before.
  bool inside = true;    ///< No tap ever reads outside of the input.
};

std::vector<Phase> plan_axis(const ConvAxis& a);

/// A convolution whose arrays lie ready: channels of x are contiguous, y and out row-contiguous. For the gradient of the
/// weights, `out` is the weight (w is null, but its strides are there) and y is read.
struct Conv {
  int64_t batch, groups, cin, cout;  ///< Channels of one group.
  std::vector<ConvAxis> axes;        ///< At least one; trivial ones are left out.
  const void* x = nullptr;
  int64_t x_batch = 0;
  const void* w = nullptr;
  int64_t w_out = 0, w_in = 0;       ///< Strides of the weight's channels; the input channel of a group starts at 0.
  const void* y = nullptr;
  void* out = nullptr;

  int64_t channels_in() const { return groups * cin; }
  int64_t channels_out() const { return groups * cout; }
};

/// One tap of all axes but the last.
struct OuterTap {
  int64_t x = 0, w = 0;  ///< Offsets in input and weight.
  SmallVector<int64_t, 4> at;
};

/// Outputs side by side along the last axis.
struct Segment {
  int64_t row, n;                 ///< Rows of the stretch it was cut from.
  int64_t position;               ///< Along the last axis of the input, of its first output.
  int64_t x;                      ///< Offset in the input of position 0.
  int64_t out;                    ///< Its first output, counted in row order.
  SmallVector<int64_t, 4> outer;  ///< Positions along the other axes.
};

/// A convolution in one phase of each axis: rows are its outputs (in row order), columns its taps.
struct PatchMap {
  PatchMap(const Conv& c, const std::vector<const Phase*>& phases);

  const Conv& c;
  std::vector<const Phase*> phases;
  const Phase& last;
  const ConvAxis& last_axis;
  std::vector<OuterTap> outer;  ///< In row order.
  int64_t rows = 0;
  bool linear = true;           ///< Its rows are all rows of the output.

  /// Rows [row, row + n), cut where the last axis ends.
  void find_segments(int64_t row, int64_t n, std::vector<Segment>& out) const;
  /// Whether an outer tap reads inside of the input.
  bool inside(const Segment& s, const OuterTap& o) const;
  int64_t tap_at(int64_t t) const { return last.taps[static_cast<size_t>(t)].at; }
  int64_t tap_k(int64_t t) const { return last.taps[static_cast<size_t>(t)].k; }
  int64_t n_last() const { return static_cast<int64_t>(last.taps.size()); }
};

/// Calls f(phases) with every choice of one phase an axis, where all have taps.
void for_each_phase(const Conv& c, const std::function<void(const std::vector<const Phase*>&)>& f);

/// Whether there are phases without taps: outputs that are zero and that for_each_phase passes over.
bool has_empty_phase(const Conv& c);

/// Kernel elements in all.
int64_t n_taps(const Conv& c);
/// Output positions of an example in all.
int64_t n_positions(const Conv& c);

/// Products of matrices, whose left one is made of patches of the input as they are needed. S: float, double, half types.
template <class S>
void conv_gemm(const Conv& c);
/// The same for the weight: patches against outputs.
template <class S>
void conv_weight_gemm(const Conv& c);
/// The same without copies of patches, where rows of outputs are long and the weight small. False where it does not suit.
template <class S>
bool conv_weight_band(const PatchMap& map);

/// Channel by channel, for groups with few channels: depthwise and its likes.
template <class S>
void conv_channels(const Conv& c);
template <class S>
void conv_weight_channels(const Conv& c);

}  // namespace mx::cpu
