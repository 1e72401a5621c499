// attention.h — plans of attention and its derivative (metal/kernels/attention.metal, attention_vjp.metal).
#pragma once

#include "backend/metal/plan/planners.h"

namespace mx::metal {

bool plan_attention(const Task& task, Plan& plan);
bool plan_attention_vjp(const Task& task, Plan& plan);

/// The pieces of attention with up to `most` features: queries of a threadgroup, keys at a time.
struct AttentionTile {
  int most, simds, keys;
  uint32_t threads() const { return static_cast<uint32_t>(simds) * kSimdWidth; }
  int queries() const { return simds * 8; }
  /// Keys and values, through which queries pass, too.
  size_t threadgroup_bytes(size_t itemsize, int blocks_d, int blocks_e) const;
};
/// most: 64, 128 or 256.
AttentionTile attention_tile(int most, size_t itemsize);
/// Barriers for each piece of keys and values.
constexpr int kAttentionBarriers = 2;

/// The same backward: rows that stay, 8 for each simdgroup, and rows that pass.
struct AttentionVjpTile {
  int most, simds, pass;
  size_t threadgroup_bytes(size_t itemsize, int blocks_d, int blocks_e) const;
};
/// most: 64 or 128.
AttentionVjpTile attention_vjp_tile(int most, size_t itemsize);

}  // namespace mx::metal
