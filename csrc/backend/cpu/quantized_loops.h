// quantized_loops.h — the inner loops over packed codes, as a table of functions for each instruction set. The tables are
// made by quantized_baseline.cpp, quantized_avx2.cpp and quantized_avx512.cpp from the templates in
// quantized_loops.inl.
#pragma once

#include <cstdint>

#include "ops/quantized_params.h"

namespace mx::cpu {

/// How codes become numbers: integers of 1 to 8 bits (affine formats), or small floats.
enum class Codes : uint8_t { u1, u2, u3, u4, u5, u6, u8, e2m1, e4m3 };
constexpr int kCodes = 9;
constexpr int kMaxQuantRows = 4;   // Of x at a time.
constexpr int kQuantTile = 4;      // Of a matrix at a time.
/// Codes are read so many at a time; every group is a multiple.
constexpr int kCodeStep = 16;

Codes codes_of(const QuantFormat& format);

/// Some rows of a quantized matrix, or parts of them. Scales and biases are one a group.
struct QuantRows {
  int64_t n_groups;
  int group_size;
  const uint8_t* codes;
  int64_t codes_row;    ///< Distance of rows, in bytes.
  const float* scales;
  const float* biases;  ///< For integer codes only.
  int64_t scales_row;   ///< Distance of rows of scales and biases.
};

struct QuantLoops {
  /// Codes of `n` elements, a multiple of kCodeStep, as floats.
  void (*unpack[kCodes])(const uint8_t* codes, int64_t n, float* to);
  /// out[j * kMaxQuantRows + i] = row j of kQuantTile rows · x_i, for as many rows of x as the index says.
  void (*dots[kCodes][kMaxQuantRows + 1])(const QuantRows& w, const float* x, int64_t x_row, float* out);
  /// sums_i += x_i[0] * row 0 + ... for kQuantTile rows, and the same for one row.
  void (*add[kCodes][kMaxQuantRows + 1])(const QuantRows& w, const float* x, int64_t x_row, float* sums, int64_t sums_row);
  void (*add_one[kCodes][kMaxQuantRows + 1])(const QuantRows& w, const float* x, int64_t x_row, float* sums, int64_t sums_row);
  int most_rows;  ///< Of x; for more it is better to unpack the matrix and multiply then.
  /// What `dots` of 4-bit codes want: of every 2 * pairs elements of x the even ones first, what is left over in order.
  /// 0: all in order.
  int pairs;
};

/// For `lanes` codes of so many bits: the bytes in which each begins and the next, and by how much to shift those.
template <int lanes>
struct CodeFields {
  alignas(4 * lanes) uint8_t bytes[4 * lanes];
  alignas(4 * lanes) uint32_t shift[lanes];
};
template <int lanes>
constexpr CodeFields<lanes> fields_of(int bits) {
  CodeFields<lanes> f{};
  for (int l = 0; l < lanes; ++l) {
    int first = l * bits / 8;
    f.shift[l] = static_cast<uint32_t>(l * bits % 8);
    f.bytes[4 * l] = static_cast<uint8_t>(first);
    f.bytes[4 * l + 1] = static_cast<uint8_t>(first + 1);
    f.bytes[4 * l + 2] = f.bytes[4 * l + 3] = 0x80;
  }
  return f;
}

/// The best table for the processor we run on.
const QuantLoops& quant_loops();

extern const QuantLoops quant_loops_baseline;
#if defined(__x86_64__)
extern const QuantLoops quant_loops_avx2;    ///< With FMA.
extern const QuantLoops quant_loops_avx512;  ///< With BW and VL.
#endif

}  // namespace mx::cpu
