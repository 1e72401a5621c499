// quantized_avx2.cpp — the inner loops over packed codes with AVX2 and FMA.

#include "backend/cpu/quantized_loops.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu {

namespace {

using S = Simd<float>;
using V = S::V;
constexpr int kLanes = S::lanes, kPairs = kLanes, kMostRows = 10;
constexpr bool kTables = false;

inline float sum_lanes(V v) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline V halves(float a, float b) { return _mm256_blend_ps(_mm256_set1_ps(a), _mm256_set1_ps(b), 0xf0); }

template <int kBits>
constexpr CodeFields<kLanes> kFields = fields_of<kLanes>(kBits);

inline __m256i load_ints(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
inline __m256i bytes_to_words(const uint8_t* p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
inline V to_float(__m256i x) { return _mm256_cvtepi32_ps(x); }

// e2m1 of four bits a word; what is above them does not matter.
inline V e2m1(__m256i x) {
  V magnitude = _mm256_permutevar8x32_ps(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), x);
  __m256i sign = _mm256_slli_epi32(_mm256_and_si256(x, _mm256_set1_epi32(8)), 28);
  return _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign));
}

template <class T>
inline uint64_t load_as(const uint8_t* p) {
  T x;
  __builtin_memcpy(&x, p, sizeof(T));
  return x;
}

// The bytes of 8 codes, and no more: there may be none behind them.
template <int kBits>
inline uint64_t load_bytes(const uint8_t* p) {
  if constexpr (kBits == 1) return *p;
  if constexpr (kBits == 2) return load_as<uint16_t>(p);
  if constexpr (kBits == 3) return load_as<uint16_t>(p) | uint64_t(p[2]) << 16;
  if constexpr (kBits == 4) return load_as<uint32_t>(p);
  if constexpr (kBits == 5) return load_as<uint32_t>(p) | uint64_t(p[4]) << 32;
  return load_as<uint32_t>(p) | load_as<uint16_t>(p + 4) << 32;
}

template <int kBits>
inline __m256i spread(const uint8_t* p) {
  __m256i all = _mm256_set1_epi64x(static_cast<long long>(load_bytes<kBits>(p)));
  return _mm256_srlv_epi32(_mm256_shuffle_epi8(all, load_ints(kFields<kBits>.bytes)), load_ints(kFields<kBits>.shift));
}

template <Codes C>
inline V read(const uint8_t* p, int i) {
  if constexpr (C == Codes::u8) {
    return to_float(bytes_to_words(p + 8 * i));
  } else if constexpr (C == Codes::e4m3) {
    // Exponent and mantissa in a float's place are too small by 2^120. The sign comes with the widening.
    __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * i)));
    __m256i bits = _mm256_and_si256(_mm256_slli_epi32(x, 20), _mm256_set1_epi32(static_cast<int>(0x87f00000u)));
    return _mm256_mul_ps(_mm256_castsi256_ps(bits), _mm256_set1_ps(0x1p120f));
  } else if constexpr (C == Codes::e2m1) {
    return e2m1(spread<4>(p + 4 * i));
  } else {
    constexpr int bits = static_cast<int>(C) + 1;
    return to_float(_mm256_and_si256(spread<bits>(p + bits * i), _mm256_set1_epi32((1 << bits) - 1)));
  }
}

template <Codes C>
inline void read_pairs(const uint8_t* p, V& even, V& odd) {
  __m256i x = bytes_to_words(p), high = _mm256_srli_epi32(x, 4);
  if constexpr (C == Codes::e2m1) {
    even = e2m1(x);
    odd = e2m1(high);
  } else {
    even = to_float(_mm256_and_si256(x, _mm256_set1_epi32(15)));
    odd = to_float(high);
  }
}

template <Codes C>
inline V numbers();
template <Codes C>
inline V look_up(const uint8_t*, int, V);
inline void look_up_pairs(const uint8_t*, V, V&, V&) {}

inline V with_nan(const uint8_t* p, int i, V v) {
  __m256i low = _mm256_and_si256(bytes_to_words(p + 8 * i), _mm256_set1_epi32(0x7f));
  return _mm256_blendv_ps(v, S::set1(__builtin_nanf("")), _mm256_castsi256_ps(_mm256_cmpeq_epi32(low, _mm256_set1_epi32(0x7f))));
}
inline bool has_nan(const uint8_t* p, int64_t n) {
  __m256i low = _mm256_set1_epi8(0x7f), most = _mm256_setzero_si256();
  for (int64_t i = 0; i < n; i += 32) {
    most = _mm256_max_epu8(most, _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i)), low));
  }
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(most, low)) != 0;
}

#include "backend/cpu/quantized_loops.inl"

}  // namespace

constinit const QuantLoops quant_loops_avx2 = make_loops();

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif
