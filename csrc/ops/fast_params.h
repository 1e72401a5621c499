// fast_params.h — parameters of the fast functions. Leading axes (written ...) are batch axes: all inputs of a call
// have the same ones, unless noted, so that a batch rule only adds another. Inputs have one dtype, unless noted; indices are
// int64.
#pragma once

#include "graph/primitive.h"

namespace mx::fast {

/// x (..., n), then weight (n,) and bias (n,) where present -> (..., n).
struct NormParams {
  double eps;
  bool weight, bias;
  auto fields() const { return std::tie(eps, weight, bias); }
};
extern const Primitive rms_norm_p;
extern const Primitive layer_norm_p;

/// x (..., n), the cotangent (..., n), and the weight (n,) where there is one -> the cotangents of x, and where asked for
/// those of weight and bias, summed over the rows.
struct NormVjpParams {
  double eps;
  bool weight, of_weight, of_bias;
  auto fields() const { return std::tie(eps, weight, of_weight, of_bias); }
};
extern const Primitive rms_norm_vjp_p;
extern const Primitive layer_norm_vjp_p;

/// x (..., t, d), offset (...), and where given freqs (..., dims / 2) in float32 or float64 -> x with its first `dims` features turned.
struct RopeParams {
  int64_t dims;
  bool traditional;
  double base, scale;
  bool freqs;
  bool inverse;  ///< Turns the other way.
  auto fields() const { return std::tie(dims, traditional, base, scale, freqs, inverse); }
};
extern const Primitive rope_p;

/// logits (..., n), targets (...) -> losses (...), in float32, or float64 for float64.
extern const Primitive cross_entropy_p;
/// logits, targets, the cotangent of the losses -> that of the logits.
extern const Primitive cross_entropy_vjp_p;

/// q (..., n, tq, d), k (..., m, tk, d), v (..., m, tk, e) with n a multiple of m, then where present the mask
/// (..., n, tq, tk), boolean or added, and the sinks (..., n) -> (..., n, tq, e).
struct AttentionParams {
  double scale;
  bool causal, mask, sinks;
  auto fields() const { return std::tie(scale, causal, mask, sinks); }
};
extern const Primitive attention_p;
/// The inputs of attention and the cotangent of its output -> the cotangents of q, k and v, and where asked for those of an
/// added mask and of the sinks.
struct AttentionVjpParams {
  AttentionParams of;
  bool of_mask, of_sinks;
  auto fields() const { return std::tie(of, of_mask, of_sinks); }
};
extern const Primitive attention_vjp_p;

/// q, k (..., t, m, d), v (..., t, n, e), gamma (..., t, n, d), beta (..., t, n), state (..., n, e, d), with n a multiple of m,
/// and where present the mask (..., t), boolean -> y (..., t, n, e), the last state.
struct DeltaParams {
  bool mask;
  auto fields() const { return std::tie(mask); }
};
extern const Primitive gated_delta_update_p;
/// The inputs and the cotangents of both outputs -> the cotangents of the first six inputs.
extern const Primitive gated_delta_update_vjp_p;

}  // namespace mx::fast
