// sort_avx512.cpp — the loops of sorting for AVX-512: 16 keys of 4 bytes or 8 of 8 bytes at a time.
// Compressing goes through a register: compressing stores are slow on some processors.

#include "backend/cpu/sort_lanes.h"

#if defined(__x86_64__)

#include <cstring>
#include <limits>
#include <utility>

#include "backend/cpu/simd_avx512.h"

namespace mx::cpu {

namespace {

// For each set of 8 lanes those that are not in it, then those that are: a permutation from this table divides faster
// than two compressions.
struct Divided {
  uint8_t lane[256][8] = {};
  constexpr Divided() {
    for (int set = 0; set < 256; ++set) {
      int k = 0;
      for (int in = 0; in < 2; ++in) {
        for (int i = 0; i < 8; ++i) {
          if ((set >> i & 1) == in) lane[set][k++] = static_cast<uint8_t>(i);
        }
      }
    }
  }
};
constexpr Divided kDivided;

#include "backend/cpu/sort_exchange.inl"

template <class K>
struct Lanes;

template <>
struct Lanes<int32_t> : Exchange<int32_t, 64> {
  using K = int32_t;
  using V = __m512i;
  static constexpr int lanes = 16, rows = 16;
  typedef int32_t Ints __attribute__((vector_size(64)));
  static MX_INLINE V load(const K* p) { return _mm512_loadu_si512(p); }
  static MX_INLINE void store(K* p, V v) { _mm512_storeu_si512(p, v); }
  static MX_INLINE __mmask16 first(int64_t n) { return n > 0 ? static_cast<__mmask16>((1u << n) - 1) : 0; }
  static MX_INLINE V load_part(const K* p, int64_t n) { return _mm512_mask_loadu_epi32(set1(std::numeric_limits<K>::max()), first(n), p); }
  static MX_INLINE void store_part(K* p, V v, int64_t n) { _mm512_mask_storeu_epi32(p, first(n), v); }
  static MX_INLINE V set1(K x) { return _mm512_set1_epi32(x); }
  static MX_INLINE V min(V a, V b) { return _mm512_maskz_min_epi32(kAll, a, b); }
  static MX_INLINE V max(V a, V b) { return _mm512_maskz_max_epi32(kAll, a, b); }
  // Each lane i and lane i ^ X in order: the larger one where bit `Bit` of the lane is set.
  template <int X, int Bit>
  static MX_INLINE V order(V v) {
    constexpr __mmask16 upper = Bit == 1 ? 0xaaaa : Bit == 2 ? 0xcccc : Bit == 4 ? 0xf0f0 : 0xff00;
    V other = shuffle<X>(v);
    return _mm512_mask_max_epi32(min(v, other), upper, v, other);
  }
  static MX_INLINE void divide(const K* p, V pivot, K*& left, K*& right) {
    __m256i half = (__m256i)__builtin_shufflevector((Ints)pivot, (Ints)pivot, 0, 1, 2, 3, 4, 5, 6, 7);
    divide_half(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), half, left, right);
    divide_half(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8)), half, left, right);
  }
  static MX_INLINE void divide_half(__m256i v, __m256i pivot, K*& left, K*& right) {
    int above = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(v, pivot)));
    int n = __builtin_popcount(static_cast<unsigned>(above));
    __m128i order = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kDivided.lane[above]));
    __m256i divided = _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(order));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(right - 8), divided);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(left), divided);
    right -= n;
    left += 8 - n;
  }
  static MX_INLINE __mmask16 within(V v, V low, V high) {
    return _mm512_mask_cmple_epi32_mask(_mm512_cmpge_epi32_mask(v, low), v, high);
  }
  static MX_INLINE int compress(V v, __mmask16 m, K* to) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, v));
    return __builtin_popcount(m);
  }
  static MX_INLINE int compress_places(uint32_t first, __mmask16 m, uint32_t* to) {
    V places = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(first)), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, places));
    return __builtin_popcount(m);
  }
};

template <>
struct Lanes<int64_t> : Exchange<int64_t, 64> {
  using K = int64_t;
  using V = __m512i;
  static constexpr int lanes = 8, rows = 16;
  static constexpr __mmask8 all = 0xff;
  typedef long long Ints __attribute__((vector_size(64)));
  static MX_INLINE V load(const K* p) { return _mm512_loadu_si512(p); }
  static MX_INLINE void store(K* p, V v) { _mm512_storeu_si512(p, v); }
  static MX_INLINE __mmask8 first(int64_t n) { return n > 0 ? static_cast<__mmask8>((1u << n) - 1) : 0; }
  static MX_INLINE V load_part(const K* p, int64_t n) { return _mm512_mask_loadu_epi64(set1(std::numeric_limits<K>::max()), first(n), p); }
  static MX_INLINE void store_part(K* p, V v, int64_t n) { _mm512_mask_storeu_epi64(p, first(n), v); }
  static MX_INLINE V set1(K x) { return _mm512_set1_epi64(x); }
  static MX_INLINE V min(V a, V b) { return _mm512_maskz_min_epi64(all, a, b); }
  static MX_INLINE V max(V a, V b) { return _mm512_maskz_max_epi64(all, a, b); }
  template <int X, int Bit>
  static MX_INLINE V order(V v) {
    constexpr __mmask8 upper = Bit == 1 ? 0xaa : Bit == 2 ? 0xcc : 0xf0;
    V other = shuffle<X>(v);
    return _mm512_mask_max_epi64(min(v, other), upper, v, other);
  }
  static MX_INLINE void divide(const K* p, V pivot, K*& left, K*& right) {
    V v = load(p);
    unsigned above = _cvtmask8_u32(_mm512_cmpgt_epi64_mask(v, pivot));
    int n = __builtin_popcount(above);
    V order = _mm512_maskz_cvtepu8_epi64(all, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kDivided.lane[above])));
    V divided = _mm512_maskz_permutexvar_epi64(all, order, v);
    _mm512_storeu_si512(right - lanes, divided);
    _mm512_storeu_si512(left, divided);
    right -= n;
    left += lanes - n;
  }
  static MX_INLINE __mmask8 within(V v, V low, V high) {
    return _mm512_mask_cmple_epi64_mask(_mm512_cmpge_epi64_mask(v, low), v, high);
  }
  static MX_INLINE int compress(V v, __mmask8 m, K* to) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(m, v));
    return __builtin_popcount(m);
  }
  static MX_INLINE int compress_places(uint32_t first, __mmask8 m, uint32_t* to) {
    __m256i places = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_maskz_compress_epi32(m, places));
    return __builtin_popcount(m);
  }
};

}  // namespace

}  // namespace mx::cpu

#include "backend/cpu/sort_lanes.inl"

namespace mx::cpu {

const SortTable sort_avx512{kLoops<int32_t>, kLoops<int64_t>};

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif
