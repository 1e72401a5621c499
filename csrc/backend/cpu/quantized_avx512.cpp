// quantized_avx512.cpp — the inner loops over packed codes with AVX-512.

#include "backend/cpu/quantized_loops.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx512.h"

namespace mx::cpu {

namespace {

using S = Simd<float>;
using V = S::V;
constexpr int kLanes = S::lanes, kPairs = kLanes, kMostRows = 96;
constexpr bool kTables = true;

inline float sum_lanes(V v) {
  __m256 eight = _mm256_add_ps(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline V halves(float a, float b) { return _mm512_mask_blend_ps(0xff00, _mm512_set1_ps(a), _mm512_set1_ps(b)); }

// Numbers by the lowest four bits of a word in which their code begins.
template <Codes C>
inline V numbers() {
  if constexpr (C == Codes::e2m1) return _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);
  constexpr int mask = (2 << static_cast<int>(C)) - 1;
  __m512i bits = _mm512_and_si512(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), _mm512_set1_epi32(mask));
  return _mm512_maskz_cvtepi32_ps(kAll, bits);
}

template <int kBits>
constexpr CodeFields<kLanes> kFields = fields_of<kLanes>(kBits);

inline __m512i bytes_to_words(const uint8_t* p) {
  return _mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline V to_float(__m512i x) { return _mm512_maskz_cvtepi32_ps(kAll, x); }
inline V permuted(__m512i x, V table) { return _mm512_maskz_permutexvar_ps(kAll, x, table); }

// 16 codes, each in a word with what follows it above.
template <int kBits>
inline __m512i spread(const uint8_t* p) {
  __m128i raw = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << (2 * kBits)) - 1), p);
  __m512i each = _mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(kAll, raw), _mm512_load_si512(kFields<kBits>.bytes));
  return _mm512_maskz_srlv_epi32(kAll, each, _mm512_load_si512(kFields<kBits>.shift));
}

template <Codes C>
inline V look_up(const uint8_t* p, int, V table) {
  constexpr int bits = C == Codes::e2m1 ? 4 : static_cast<int>(C) + 1;
  return permuted(spread<bits>(p), table);
}

inline void look_up_pairs(const uint8_t* p, V table, V& even, V& odd) {
  __m512i x = bytes_to_words(p);
  even = permuted(x, table);
  odd = permuted(_mm512_maskz_srli_epi32(kAll, x, 4), table);
}

template <Codes C>
inline V read(const uint8_t* p, int q) {
  if constexpr (C == Codes::u8) {
    return to_float(bytes_to_words(p));
  } else if constexpr (C == Codes::e4m3) {
    // Exponent and mantissa in a float's place are too small by 2^120. The sign comes with the widening. (As float16, which
    // has no slow subnormal numbers, it takes longer: those are rare.)
    __m512i x = _mm512_maskz_cvtepi8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    __m512i bits = _mm512_and_si512(_mm512_maskz_slli_epi32(kAll, x, 20), _mm512_set1_epi32(static_cast<int>(0x87f00000u)));
    return _mm512_mul_ps(_mm512_castsi512_ps(bits), _mm512_set1_ps(0x1p120f));
  } else if constexpr (C == Codes::e2m1) {
    return look_up<C>(p, q, numbers<C>());
  } else {
    constexpr int bits = static_cast<int>(C) + 1;
    return to_float(_mm512_and_si512(spread<bits>(p), _mm512_set1_epi32((1 << bits) - 1)));
  }
}

template <Codes C>
inline void read_pairs(const uint8_t* p, V& even, V& odd) {
  look_up_pairs(p, numbers<C>(), even, odd);
}

inline __mmask16 nan_mask(const uint8_t* p) {
  __m128i low = _mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8(0x7f));
  return _mm_cmpeq_epi8_mask(low, _mm_set1_epi8(0x7f));
}
inline V with_nan(const uint8_t* p, int, V v) { return _mm512_mask_mov_ps(v, nan_mask(p), S::set1(__builtin_nanf(""))); }
inline bool has_nan(const uint8_t* p, int64_t n) {
  __m256i low = _mm256_set1_epi8(0x7f), most = _mm256_setzero_si256();
  for (int64_t i = 0; i < n; i += 32) {
    most = _mm256_max_epu8(most, _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i)), low));
  }
  return _mm256_cmpeq_epi8_mask(most, low) != 0;
}

#include "backend/cpu/quantized_loops.inl"

}  // namespace

constinit const QuantLoops quant_loops_avx512 = make_loops();

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif
