// fast.h — functions of neural networks with kernels of their own, in namespace mx::fast. float16 and bfloat16 are
// computed in float32 and rounded once. Each has all derivatives: what its kernel computes is also written in
// simpler operations.
#pragma once

#include <optional>

#include "graph/array.h"

namespace mx::fast {

/// x / sqrt(mean(x²) + eps) over the last axis, times `weight` (n,).
array rms_norm(const array& x, const std::optional<array>& weight, double eps);

/// (x - mean(x)) / sqrt(var(x) + eps) over the last axis, times `weight` (n,), plus `bias` (n,).
array layer_norm(const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps);

/// Turns pairs of features of x (batch, ..., t, d) by angles that grow with the position offset + 0, 1, ..., t - 1. Pair i of
/// the first `dims` features turns by position * scale / freqs[i], with freqs[i] = base^(2i / dims) if a base is given.
/// Pairs are neighbours if `traditional`, else (i, i + dims / 2). `offset`: an integer scalar, or one for each of the batch.
array rope(const array& x, int64_t dims, bool traditional, std::optional<double> base, double scale, const array& offset,
           const std::optional<array>& freqs = {});

/// logsumexp(logits) - logits[target] over the last axis, in float32 (float64 for float64). Targets are integers; negative
/// ones count from the end, one out of bounds raises IndexError when the result is computed.
array cross_entropy(const array& logits, const array& targets);

enum class AttentionMask : uint8_t { none, causal };
/// softmax(scale q kᵀ) v for q (b, n, tq, d), k (b, m, tk, d), v (b, m, tk, e), n a multiple of m. A boolean mask says which
/// scores count, others are added; it broadcasts to (b, n, tq, tk). Causal: query i of tq sees keys up to i + tk - tq.
/// A query that sees nothing takes the mean of the values. `sinks` (n,): a score each head has besides, without a value.
array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale, const std::optional<array>& mask = {},
                                   AttentionMask kind = AttentionMask::none, const std::optional<array>& sinks = {});

/// The gated delta rule: for t = 0, 1, ... the state S (n, e, d) is scaled by gamma, S k is compared with v, and the
/// difference, times beta, is stored under k; y = S q. Returns y (b, t, n, e) and the last state. q, k (b, t, m, d); v
/// (b, t, n, e); gamma (b, t, n) or (b, t, n, d); beta (b, t, n). Steps where `mask` (b, t) is zero give 0 and leave the state.
Arrays gated_delta_update(const array& q, const array& k, const array& v, const array& gamma, const array& beta,
                          const std::optional<array>& initial_state = {}, const std::optional<array>& mask = {});

}  // namespace mx::fast
