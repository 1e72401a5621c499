// quantized_params.h — quantized formats and the parameters of operations on them. The formats are described in
// docs/quantization.md.
#pragma once

#include <ostream>

#include "graph/primitive.h"

namespace mx {

enum class QuantMode : uint8_t { affine, mxfp4, mxfp8, nvfp4 };

/// "mxfp4": as Python spells it.
const char* name(QuantMode mode);
inline std::ostream& operator<<(std::ostream& out, QuantMode mode) { return out << name(mode); }

/// How a row is stored: codes of `bits` bits, packed from the lowest bit of uint32 words on; every `group_size` of
/// them share a scale (and in affine mode a bias).
struct QuantFormat {
  QuantMode mode = QuantMode::affine;
  int group_size = 64;
  int bits = 4;
  auto fields() const { return std::tie(mode, group_size, bits); }
  /// Only this mode has biases, and scales that are numbers of the matrix's dtype; the others have bytes.
  bool affine() const { return mode == QuantMode::affine; }
  /// Words of a row of n elements, and the reverse.
  int64_t words(int64_t n) const { return n * bits / 32; }
  int64_t elements(int64_t n_words) const { return n_words * 32 / bits; }
};

/// quantize: inputs w (..., n) and perhaps global scales (...,) float32. Outputs words, scales and, if affine, biases.
struct QuantizeParams {
  QuantFormat format;
  auto fields() const { return std::tie(format); }
};

/// dequantize: inputs words (..., p), scales (..., g), then biases (..., g) if affine, else perhaps global scales
/// (...,) float32. Affine scales and biases have the output's dtype.
struct DequantizeParams {
  QuantFormat format;
  Dtype dtype = Dtype::float32;
  auto fields() const { return std::tie(format, dtype); }
};

/// requantize: what quantize and dequantize make of x (..., n); the second input may be global scales (...,).
/// With respect to derivatives it is the identity.
struct RequantizeParams {
  QuantFormat format;
  Dtype dtype = Dtype::float32;
  auto fields() const { return std::tie(format, dtype); }
};

/// quantized_matmul: inputs x (..., m, k), words (..., r, p), scales (..., r, g) and, if affine, biases (..., r, g),
/// with equal leading axes and, if affine, equal dtypes. With `transpose` k is the length of the unpacked rows and the
/// result is (..., m, r); without, k is r and the result (..., m, length).
/// gather_qmm: x (..., a, m, k), words (..., b, r, p) and so on, then int64 indices into a and b, (..., l) both: products
/// (..., l, m, n).
struct QuantizedMatmulParams {
  QuantFormat format;
  bool transpose = true;
  auto fields() const { return std::tie(format, transpose); }
};

/// from_fp8.
struct Fp8Params {
  Dtype dtype = Dtype::bfloat16;
  auto fields() const { return std::tie(dtype); }
};

extern const Primitive quantize_p, dequantize_p, requantize_p, quantized_matmul_p, gather_qmm_p, to_fp8_p, from_fp8_p;

}  // namespace mx
