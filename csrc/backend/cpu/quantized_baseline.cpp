// quantized_baseline.cpp — the inner loops over packed codes for every processor, and the choice among the tables.

#include "backend/cpu/instructions.h"
#include "backend/cpu/quantized_formats.h"
#include "backend/cpu/quantized_loops.h"
#include "backend/cpu/simd_baseline.h"

namespace mx::cpu {

namespace {

using S = Simd<float>;
using V = S::V;
constexpr int kLanes = S::lanes, kPairs = 0, kMostRows = 8;
constexpr bool kTables = false;

inline float sum_lanes(V v) { return (v[0] + v[2]) + (v[1] + v[3]); }

constexpr float kE2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

// Code i of those at p.
template <int kBits>
inline uint32_t code(const uint8_t* p, int i) {
  int first = i * kBits / 8, shift = i * kBits % 8;
  uint32_t x = p[first];
  if (shift + kBits > 8) x |= uint32_t(p[first + 1]) << 8;
  return x >> shift & ((1u << kBits) - 1);
}

template <Codes C>
inline V read(const uint8_t* p, int i) {
  V v;
  for (int l = 0; l < kLanes; ++l) {
    int at = i * kLanes + l;
    if constexpr (C == Codes::u8) {
      v[l] = p[at];
    } else if constexpr (C == Codes::e4m3) {
      v[l] = from_e4m3(p[at]);
    } else if constexpr (C == Codes::e2m1) {
      v[l] = kE2m1[code<4>(p, at)];
    } else {
      v[l] = static_cast<float>(code<static_cast<int>(C) + 1>(p, at));
    }
  }
  return v;
}

// Only for instruction sets that have them.
template <Codes C>
inline void read_pairs(const uint8_t*, V&, V&);
template <Codes C>
inline V numbers();
template <Codes C>
inline V look_up(const uint8_t*, int, V);
[[maybe_unused]] inline void look_up_pairs(const uint8_t*, V, V&, V&) {}
[[maybe_unused]] inline V halves(float, float) { return V{}; }

// read() has left them in.
inline V with_nan(const uint8_t*, int, V v) { return v; }
inline bool has_nan(const uint8_t*, int64_t) { return false; }

#include "backend/cpu/quantized_loops.inl"

}  // namespace

constinit const QuantLoops quant_loops_baseline = make_loops();

const QuantLoops& quant_loops() {
#if defined(__x86_64__)
  static const QuantLoops& best = best_of(quant_loops_avx512, quant_loops_avx2, quant_loops_baseline);
  return best;
#else
  return quant_loops_baseline;
#endif
}

Codes codes_of(const QuantFormat& f) {
  switch (f.mode) {
    case QuantMode::affine: return f.bits == 8 ? Codes::u8 : static_cast<Codes>(f.bits - 1);
    case QuantMode::mxfp8: return Codes::e4m3;
    default: return Codes::e2m1;
  }
}

}  // namespace mx::cpu
