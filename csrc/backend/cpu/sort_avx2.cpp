// sort_avx2.cpp — the loops of sorting with AVX2: 8 keys of 4 bytes or 4 of 8 bytes at a time. There is no instruction
// that compresses; a table of permutations, one for each set of lanes, stands in for it.

#include "backend/cpu/sort_lanes.h"

#if defined(__x86_64__)

#include <cstring>
#include <limits>
#include <utility>

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu {

namespace {

// For each mask the lanes that are not in it, then those that are; a lane is `Words` numbers of 4 bytes.
template <int Count, int Words>
struct Permutations {
  uint8_t lane[1 << Count][8] = {};
  constexpr Permutations() {
    for (int mask = 0; mask < 1 << Count; ++mask) {
      int k = 0;
      for (int set = 0; set < 2; ++set) {
        for (int i = 0; i < Count; ++i) {
          if ((mask >> i & 1) != set) continue;
          for (int w = 0; w < Words; ++w) lane[mask][k++] = static_cast<uint8_t>(i * Words + w);
        }
      }
    }
  }
};
constexpr Permutations<8, 1> kPermute8;
constexpr Permutations<4, 2> kPermute4;

MX_INLINE __m256i permuted(__m256i v, const uint8_t* lanes) {
  return _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(lanes))));
}
MX_INLINE void store_any(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

template <class Key>
struct Memory {
  using K = Key;
  using V = __m256i;
  static constexpr int lanes = 32 / sizeof(K);
  static MX_INLINE V load(const K* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static MX_INLINE void store(K* p, V v) { store_any(p, v); }
  static MX_INLINE V load_part(const K* p, int64_t n) {
    K all[lanes];
    for (int i = 0; i < lanes; ++i) all[i] = i < n ? p[i] : std::numeric_limits<K>::max();
    return load(all);
  }
  static MX_INLINE void store_part(K* p, V v, int64_t n) {
    K all[lanes];
    store(all, v);
    for (int i = 0; i < n; ++i) p[i] = all[i];
  }
};

#include "backend/cpu/sort_exchange.inl"

template <class K>
struct Lanes;

template <>
struct Lanes<int32_t> : Memory<int32_t>, Exchange<int32_t, 32> {
  static constexpr int rows = 8;
  static MX_INLINE V set1(K x) { return _mm256_set1_epi32(x); }
  static MX_INLINE V min(V a, V b) { return _mm256_min_epi32(a, b); }
  static MX_INLINE V max(V a, V b) { return _mm256_max_epi32(a, b); }
  // Each lane i and lane i ^ X in order: the larger one where bit `Bit` of the lane is set.
  template <int X, int Bit>
  static MX_INLINE V order(V v) {
    constexpr int upper = Bit == 1 ? 0xaa : Bit == 2 ? 0xcc : 0xf0;
    V other = shuffle<X>(v);
    return _mm256_blend_epi32(min(v, other), max(v, other), upper);
  }
  static MX_INLINE int bits(V mask) { return _mm256_movemask_ps(_mm256_castsi256_ps(mask)); }
  static MX_INLINE void divide(const K* p, V pivot, K*& left, K*& right) {
    V v = load(p);
    int above = bits(_mm256_cmpgt_epi32(v, pivot)), n = __builtin_popcount(static_cast<unsigned>(above));
    V divided = permuted(v, kPermute8.lane[above]);
    store(left, divided);
    store(right - lanes, divided);
    left += lanes - n;
    right -= n;
  }
  static MX_INLINE int within(V v, V low, V high) {
    return bits(_mm256_or_si256(_mm256_cmpgt_epi32(low, v), _mm256_cmpgt_epi32(v, high))) ^ 0xff;
  }
  static MX_INLINE int compress(V v, int m, K* to) {
    store(to, permuted(v, kPermute8.lane[m ^ 0xff]));
    return __builtin_popcount(static_cast<unsigned>(m));
  }
  static MX_INLINE int compress_places(uint32_t first, int m, uint32_t* to) {
    V places = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    store_any(to, permuted(places, kPermute8.lane[m ^ 0xff]));
    return __builtin_popcount(static_cast<unsigned>(m));
  }
};

template <>
struct Lanes<int64_t> : Memory<int64_t>, Exchange<int64_t, 32> {
  static constexpr int rows = 8;
  static MX_INLINE V set1(K x) { return _mm256_set1_epi64x(x); }
  static MX_INLINE V min(V a, V b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b)); }
  static MX_INLINE V max(V a, V b) { return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b)); }
  template <int X, int Bit>
  static MX_INLINE V order(V v) {
    constexpr int upper = Bit == 1 ? 0xcc : 0xf0;
    V other = shuffle<X>(v);
    return _mm256_blend_epi32(min(v, other), max(v, other), upper);
  }
  static MX_INLINE int bits(V mask) { return _mm256_movemask_pd(_mm256_castsi256_pd(mask)); }
  static MX_INLINE void divide(const K* p, V pivot, K*& left, K*& right) {
    V v = load(p);
    int above = bits(_mm256_cmpgt_epi64(v, pivot)), n = __builtin_popcount(static_cast<unsigned>(above));
    V divided = permuted(v, kPermute4.lane[above]);
    store(left, divided);
    store(right - lanes, divided);
    left += lanes - n;
    right -= n;
  }
  static MX_INLINE int within(V v, V low, V high) {
    return bits(_mm256_or_si256(_mm256_cmpgt_epi64(low, v), _mm256_cmpgt_epi64(v, high))) ^ 0xf;
  }
  static MX_INLINE int compress(V v, int m, K* to) {
    store(to, permuted(v, kPermute4.lane[m ^ 0xf]));
    return __builtin_popcount(static_cast<unsigned>(m));
  }
  static MX_INLINE int compress_places(uint32_t first, int m, uint32_t* to) {
    uint32_t places[8];
    store_any(places, permuted(_mm256_setr_epi64x(0, 1, 2, 3), kPermute4.lane[m ^ 0xf]));
    for (int i = 0; i < lanes; ++i) to[i] = first + places[2 * i];
    return __builtin_popcount(static_cast<unsigned>(m));
  }
};

}  // namespace

}  // namespace mx::cpu

#include "backend/cpu/sort_lanes.inl"

namespace mx::cpu {

const SortTable sort_avx2{kLoops<int32_t>, kLoops<int64_t>};

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif
