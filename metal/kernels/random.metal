// random.metal — random bits and numbers from keys, as ops/random_params.h says: random_bits, random_draw, fold_in. A thread makes one
// Threefry block of one key: two words, which lie half of the key's words apart. plan/random.cpp launches these.

#include "elements.h"
#include "scalar/unary.h"
#include "strided.h"

constant bool whole_words [[function_constant(0)]];  // Each key's part is a whole number of words.
constant int from [[function_constant(1)]];          // Of Distribution.

enum Distribution : int { kUnit, kNormal, kGumbel };

// n_bytes: for each key. step: between the two words of a key.
struct Draw {
  ulong n_keys, n_bytes, n_blocks;
  long step;
};

struct Words {
  uint a, b;
};

template <int t0, int t1, int t2, int t3>
inline Words four_rounds(Words w, uint add_a, uint add_b) {
  w.a += w.b;
  w.b = (w.b << t0 | w.b >> (32 - t0)) ^ w.a;
  w.a += w.b;
  w.b = (w.b << t1 | w.b >> (32 - t1)) ^ w.a;
  w.a += w.b;
  w.b = (w.b << t2 | w.b >> (32 - t2)) ^ w.a;
  w.a += w.b;
  w.b = (w.b << t3 | w.b >> (32 - t3)) ^ w.a;
  w.a += add_a;
  w.b += add_b;
  return w;
}

/// Threefry-2x32 with 20 rounds.
inline Words threefry(Words key, uint first, uint second) {
  uint k0 = key.a, k1 = key.b, k2 = k0 ^ k1 ^ 0x1bd11bdau;
  Words w = {first + k0, second + k1};
  w = four_rounds<13, 15, 26, 6>(w, k1, k2 + 1);
  w = four_rounds<17, 29, 16, 24>(w, k2, k0 + 2);
  w = four_rounds<13, 15, 26, 6>(w, k0, k1 + 3);
  w = four_rounds<17, 29, 16, 24>(w, k1, k2 + 4);
  return four_rounds<13, 15, 26, 6>(w, k2, k0 + 5);
}

inline Words read_key(device const uint* keys, constant long* layout, long step, ulong k) {
  long at = element_offsets<1>(layout, k).at[0];
  Words key = {keys[at], keys[at + step]};
  return key;
}

/// Both words of block i, and whether there is a second one: the word in the middle stands alone.
struct Block {
  Words words;
  ulong first, second;  // Which words of the key's.
  bool pair;
};
inline Block make_block(Words key, ulong i, ulong n_words) {
  ulong half_of = n_words / 2, upper = half_of + n_words % 2;
  Block b;
  b.pair = i < half_of;
  b.first = i;
  b.second = upper + i;
  b.words = threefry(key, uint(i), b.pair ? uint(b.second) : 0u);
  return b;
}

inline void put_word(device uchar* out, ulong at, ulong end, uint word) {
  if (whole_words) {
    *reinterpret_cast<device uint*>(out + at) = word;
    return;
  }
  for (ulong k = 0; k < 4 && at + k < end; ++k) out[at + k] = uchar(word >> (8 * k));
}

[[kernel]] void random_bits(
    device const uint* keys [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant Draw& d [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  for (ulong k = at.y; k < d.n_keys; k += grid.y) {
    Words key = read_key(keys, layout, d.step, k);
    ulong begin = k * d.n_bytes, end = begin + d.n_bytes;
    for (ulong i = at.x; i < d.n_blocks; i += grid.x) {
      Block b = make_block(key, i, (d.n_bytes + 3) / 4);
      put_word(out, begin + 4 * b.first, end, b.words.a);
      if (b.pair) put_word(out, begin + 4 * b.second, end, b.words.b);
    }
  }
}

// x / 2^32 rounded to float32, less than 1. Both halves are exact, so the sum is rounded once.
inline float unit_of(uint x) {
  float u = (float(x >> 16) * 65536.0f + float(x & 0xffffu)) * 2.3283064365386963e-10f;
  return u < 0.99999994f ? u : 0.99999994f;
}
inline float number_of(uint x) {
  float u = unit_of(x);
  switch (from) {
    case kUnit: return u;
    case kNormal: return mx::scalar::erfinv(u * 2.0f - 0.99999994f) * 1.41421354f;
    default: return -metal::log(-metal::log(u));
  }
}

[[kernel]] void random_draw(
    device const uint* keys [[buffer(0)]],
    device float* out [[buffer(1)]],
    constant Draw& d [[buffer(2)]],
    constant long* layout [[buffer(3)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  for (ulong k = at.y; k < d.n_keys; k += grid.y) {
    Words key = read_key(keys, layout, d.step, k);
    ulong begin = k * (d.n_bytes / 4);
    for (ulong i = at.x; i < d.n_blocks; i += grid.x) {
      Block b = make_block(key, i, d.n_bytes / 4);
      out[begin + b.first] = number_of(b.words.a);
      if (b.pair) out[begin + b.second] = number_of(b.words.b);
    }
  }
}

// Two hashes: the first takes the key to a domain that random_bits and split never enter. `layout`: the keys, the data.
[[kernel]] void fold_in(
    device const uint* keys [[buffer(0)]],
    device const long* data [[buffer(1)]],
    device uint* out [[buffer(2)]],
    constant Draw& d [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong k = linear_index(at, grid);
  if (k >= d.n_keys) return;
  Offsets<2> o = element_offsets<2>(layout, k);
  Words key = {keys[o.at[0]], keys[o.at[0] + d.step]};
  ulong x = ulong(data[o.at[1]]);
  Words made = threefry(threefry(key, 0xffffffffu, 0x666f6c64u), uint(x >> 32), uint(x));
  out[2 * k] = made.a;
  out[2 * k + 1] = made.b;
}
