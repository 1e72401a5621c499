// random_lanes.inl — the loops of random_lanes.h. The file that includes it has included the lanes of an instruction set
// and vector_math.h.

namespace mx::cpu {

namespace {

using F = FloatLanes<float>;
typedef Vu32 Word;
constexpr int kWords = F::lanes;

template <int Turn>
MX_INLINE Word turned(Word x) {
  return x << Turn | x >> (32 - Turn);
}

// Four rounds of N pairs of vectors, which do not wait for each other, and the next part of the key.
template <int T0, int T1, int T2, int T3, int N>
MX_INLINE void four_rounds(Word* a, Word* b, uint32_t add_a, uint32_t add_b) {
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) a[j] += b[j], b[j] = turned<T0>(b[j]) ^ a[j];
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) a[j] += b[j], b[j] = turned<T1>(b[j]) ^ a[j];
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) a[j] += b[j], b[j] = turned<T2>(b[j]) ^ a[j];
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) {
    a[j] += b[j], b[j] = turned<T3>(b[j]) ^ a[j];
    a[j] += add_a;
    b[j] += add_b;
  }
}

template <int N>
MX_INLINE void hash(Threefry key, uint32_t first, uint32_t second, Word* a, Word* b) {
  const uint32_t k0 = key.k0, k1 = key.k1, k2 = k0 ^ k1 ^ 0x1bd11bdau;
  Word count;
  for (int i = 0; i < kWords; ++i) count[i] = static_cast<uint32_t>(i);
#pragma GCC unroll 8
  for (int j = 0; j < N; ++j) {
    a[j] = count + (first + static_cast<uint32_t>(j * kWords) + k0);
    b[j] = count + (second + static_cast<uint32_t>(j * kWords) + k1);
  }
  four_rounds<13, 15, 26, 6, N>(a, b, k1, k2 + 1);
  four_rounds<17, 29, 16, 24, N>(a, b, k2, k0 + 2);
  four_rounds<13, 15, 26, 6, N>(a, b, k0, k1 + 3);
  four_rounds<17, 29, 16, 24, N>(a, b, k1, k2 + 4);
  four_rounds<13, 15, 26, 6, N>(a, b, k2, k0 + 5);
}

// ---- what becomes of a vector of words

struct AsBits {
  static MX_INLINE Word of(Word x) { return x; }
};

// x / 2^32 rounded to float32, less than 1. Both halves are exact, so the sum is rounded once.
MX_INLINE F unit(Word x) {
  F high{set::to_float((Vi32)(x >> 16))}, low{set::to_float((Vi32)(x & 0xffffu))};
  return min((high * F::of(0x1p16f) + low) * F::of(0x1p-32f), F::of(0x1.fffffep-1f));
}
struct AsUnit {
  static MX_INLINE Word of(Word x) { return (Word)unit(x).v; }
};
struct AsNormal {
  static MX_INLINE Word of(Word x) {
    F u = unit(x) * F::of(2) - F::of(0x1.fffffep-1f);
    return (Word)(vector_math::erfinv(u) * F::of(0x1.6a09e6p0f)).v;
  }
};
struct AsGumbel {
  static MX_INLINE Word of(Word x) { return (Word)(-vector_math::log(-vector_math::log(unit(x)))).v; }
};

template <class As>
void fill(Threefry key, uint32_t first, uint32_t second, int64_t n, void* to_a, void* to_b) {
  constexpr int together = 4;
  constexpr int64_t step = together * kWords;
  char *out_a = static_cast<char*>(to_a), *out_b = static_cast<char*>(to_b);
  for (int64_t i = 0; i < n; i += step, out_a += 4 * step, out_b += 4 * step) {
    Word a[together], b[together];
    hash<together>(key, first + static_cast<uint32_t>(i), second + static_cast<uint32_t>(i), a, b);
    for (int j = 0; j < together; ++j) {
      a[j] = As::of(a[j]);
      b[j] = As::of(b[j]);
    }
    size_t n_bytes = 4 * static_cast<size_t>(n - i < step ? n - i : step);
    if (n_bytes == sizeof(a)) {
      __builtin_memcpy(out_a, a, sizeof(a));
      __builtin_memcpy(out_b, b, sizeof(b));
    } else {
      __builtin_memcpy(out_a, a, n_bytes);
      __builtin_memcpy(out_b, b, n_bytes);
    }
  }
}

constexpr RandomLoops kLoops{fill<AsBits>, fill<AsUnit>, fill<AsNormal>, fill<AsGumbel>};

}  // namespace

}  // namespace mx::cpu
