// quantized.cpp — conversion to and from quantized formats, and fp8. In row order an array is a sequence of groups, and
// so are its words and scales: kernels go through groups in pieces, whatever the shapes and strides. How scales are
// chosen is told in docs/quantization.md. Start at quantize_kernel().

#include "backend/cpu/quantized.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "backend/cpu/clones.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/quantized_formats.h"
#include "backend/cpu/quantized_loops.h"
#include "backend/cpu/strided.h"
#include "ops/quantized_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kPiece = 1024;        // Elements at a time: a multiple of every group size.
constexpr int64_t kTaskElems = 32768;   // Worth a thread.

// Runs f(first group, number of groups) for pieces of all groups of `group_size` elements.
template <class F>
void for_groups(int64_t n_groups, int group_size, F f) {
  int64_t piece = kPiece / group_size;
  parallel_for(n_groups, kTaskElems / group_size, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; g += piece) f(g, std::min(piece, end - g));
  });
}

// What numbers of a dtype are computed in.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class F>
void dispatch_floating(Dtype t, F f) {
  switch (t) {
    case Dtype::float16: return f(TypeTag<float16_t>());
    case Dtype::bfloat16: return f(TypeTag<bfloat16_t>());
    case Dtype::float64: return f(TypeTag<double>());
    default: return f(TypeTag<float>());
  }
}

template <class T, class A>
A rounded_to(A x) {
  return static_cast<A>(static_cast<T>(x));
}

// ---- packing

// `n` codes, a multiple of what fills whole words.
void pack_codes(const uint8_t* codes, int64_t n, int bits, uint32_t* words) {
  if (bits == 8) {
    std::memcpy(words, codes, static_cast<size_t>(n));
  } else if (bits == 4) {
    for (int64_t i = 0; i < n; i += 8) {
      uint64_t x;
      std::memcpy(&x, codes + i, 8);
      x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
      x = (x | x >> 8) & 0x0000ffff0000ffffu;
      *words++ = static_cast<uint32_t>(x | x >> 16);
    }
  } else {
    uint64_t pending = 0;
    int filled = 0;
    for (int64_t i = 0; i < n; ++i) {
      pending |= uint64_t(codes[i]) << filled;
      filled += bits;
      if (filled < 32) continue;
      *words++ = static_cast<uint32_t>(pending);
      pending >>= 32;
      filled -= 32;
    }
  }
}

// ---- affine

constexpr int kLanes = 16;

// NaN takes no part in the choice of scale and bias, and gets code 0.
template <class A>
MX_INLINE void affine_group(const A* x, int n, int bits, A& scale_out, A& bias_out, uint8_t* codes) {
  constexpr A inf = std::numeric_limits<A>::infinity(), smallest = A(1e-7);
  constexpr A magic = sizeof(A) == 4 ? A(12582912) : A(6755399441055744);  // Adding it rounds to an integer in the low bits.
  A low[kLanes], high[kLanes];
  for (int l = 0; l < kLanes; ++l) low[l] = inf, high[l] = -inf;
  for (int i = 0; i < n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      low[l] = x[i + l] < low[l] ? x[i + l] : low[l];
      high[l] = x[i + l] > high[l] ? x[i + l] : high[l];
    }
  }
  A lo = inf, hi = -inf;
  for (int l = 0; l < kLanes; ++l) {
    lo = low[l] < lo ? low[l] : lo;
    hi = high[l] > hi ? high[l] : hi;
  }
  A most = static_cast<A>((1 << bits) - 1), scale = (hi - lo) / most, bias = 0;
  if (scale < smallest) scale = smallest;
  if (bits == 1) {
    bias = lo;
    // Of zeros of either sign, the first.
    if (lo == A(0)) bias = *std::find(x, x + n, A(0));
  } else {
    // The edge of larger magnitude is exact: the scale is adjusted so that it is a multiple.
    bool from_low = std::abs(lo) > std::abs(hi);
    if (!from_low) scale = -scale;
    A edge = from_low ? lo : hi, steps = std::nearbyint(edge / scale);
    if (steps != A(0)) {
      scale = edge / steps;
      bias = edge;
    }
  }
  for (int i = 0; i < n; ++i) {
    A code = (x[i] - bias) / scale;
    code = code > A(0) ? code : A(0);
    code = code < most ? code : most;
    if constexpr (sizeof(A) == 4) {
      codes[i] = static_cast<uint8_t>(std::bit_cast<uint32_t>(code + magic));
    } else {
      codes[i] = static_cast<uint8_t>(std::bit_cast<uint64_t>(code + magic));
    }
  }
  scale_out = scale;
  bias_out = bias;
}

// ---- floating formats

// Magnitudes compare as integers, NaN above all.
template <class A>
MX_INLINE A largest_magnitude(const A* x, int n) {
  using Bits = std::conditional_t<sizeof(A) == 4, uint32_t, uint64_t>;
  constexpr Bits mask = ~Bits(0) >> 1;
  Bits most = 0;
  for (int i = 0; i < n; ++i) {
    Bits bits = std::bit_cast<Bits>(x[i]) & mask;
    most = bits > most ? bits : most;
  }
  return std::bit_cast<A>(most);
}

template <class A>
MX_INLINE void divide_groups(const A* x, int64_t n_groups, int size, const A* divisors, A* to) {
  for (int64_t g = 0; g < n_groups; ++g, x += size, to += size) {
    for (int i = 0; i < size; ++i) to[i] = x[i] / divisors[g];
  }
}

// The loops over elements for either type, as functions that can be compiled several times over.
#define MX_GROUP_LOOPS(A)                                                                                                         \
  MX_CLONES void affine_groups(const A* x, int64_t n_groups, int size, int bits, A* scales, A* biases, uint8_t* codes) {          \
    for (int64_t g = 0; g < n_groups; ++g) affine_group(x + g * size, size, bits, scales[g], biases[g], codes + g * size);        \
  }                                                                                                                               \
  MX_CLONES void largest_of_groups(const A* x, int64_t n_groups, int size, A divisor, A* to) {                                    \
    for (int64_t g = 0; g < n_groups; ++g) to[g] = largest_magnitude(x + g * size, size) / divisor;                               \
  }                                                                                                                               \
  MX_CLONES void quotients(const A* x, int64_t n_groups, int size, const A* divisors, A* to) {                                    \
    divide_groups(x, n_groups, size, divisors, to);                                                                               \
  }                                                                                                                               \
  MX_CLONES void e2m1_codes(const A* x, int64_t n, uint8_t* codes) {                                                              \
    for (int64_t i = 0; i < n; ++i) codes[i] = static_cast<uint8_t>(to_e2m1(x[i]));                                               \
  }                                                                                                                               \
  MX_CLONES void e4m3_codes(const A* x, int64_t n, uint8_t* codes) {                                                              \
    for (int64_t i = 0; i < n; ++i) codes[i] = static_cast<uint8_t>(to_e4m3(x[i]));                                               \
  }
MX_GROUP_LOOPS(float)
MX_GROUP_LOOPS(double)
#undef MX_GROUP_LOOPS

// 448 · 6, which a global scale is the multiple of.
constexpr float kLargestNvfp4 = static_cast<float>(kLargestE4m3 * kLargestE2m1);
constexpr int64_t kMaxPieceGroups = kPiece / 16;

// The global scale of the row in which group g lies.
class GlobalScales {
 public:
  GlobalScales(const Task& task, size_t input, int64_t groups_per_row) : groups_per_row_(groups_per_row) {
    if (task.in.size() > input) reader_.emplace(task.in[input]);
  }
  explicit operator bool() const { return reader_.has_value(); }
  float operator[](int64_t g) const {
    float scratch;
    return *reader_->read(g / groups_per_row_, 1, &scratch);
  }

 private:
  std::optional<Reader> reader_;
  int64_t groups_per_row_;
};

// Scales and codes of mxfp4 and mxfp8: a power of two as scale, so that nothing is larger than the format's largest number.
// A group with an infinity or NaN becomes NaN. T is the dtype in which quotients are rounded.
template <class T, class A>
void mx_groups(const A* x, int64_t n, const QuantFormat& f, uint8_t* scales, uint8_t* codes) {
  A largest[kMaxPieceGroups], divisors[kMaxPieceGroups], divided[kPiece];
  largest_of_groups(x, n, f.group_size, f.bits == 4 ? A(kLargestE2m1) : A(kLargestE4m3), largest);
  for (int64_t g = 0; g < n; ++g) {
    uint32_t scale = to_e8m0(rounded_to<T>(largest[g]));
    scales[g] = static_cast<uint8_t>(scale);
    divisors[g] = static_cast<A>(scale == kNanE8m0 ? 1 : from_e8m0(scale));
  }
  quotients(x, n, f.group_size, divisors, divided);
  f.bits == 4 ? e2m1_codes(divided, n * f.group_size, codes) : e4m3_codes(divided, n * f.group_size, codes);
  for (int64_t g = 0; g < n; ++g) {
    if (scales[g] == kNanE8m0) std::fill_n(codes + g * f.group_size, f.group_size, uint8_t(0));
  }
}

// nvfp4; `first` is the number of the first group.
template <class T, class A>
void nv_groups(const A* x, int64_t first, int64_t n, const QuantFormat& f, const GlobalScales& global, uint8_t* scales, uint8_t* codes) {
  int size = f.group_size;
  A largest[kMaxPieceGroups], divisors[kMaxPieceGroups], divided[kPiece], inverse[kMaxPieceGroups];
  largest_of_groups(x, n, size, A(kLargestE2m1), largest);
  for (int64_t g = 0; g < n; ++g) {
    largest[g] = rounded_to<T>(largest[g]);
    if (global) largest[g] *= inverse[g] = static_cast<A>(kLargestNvfp4 / global[first + g]);
  }
  e4m3_codes(largest, n, scales);
  for (int64_t g = 0; g < n; ++g) divisors[g] = static_cast<A>(from_e4m3(scales[g]));
  quotients(x, n, size, divisors, divided);
  for (int64_t g = 0; g < n && global; ++g) {
    for (int i = 0; i < size; ++i) divided[g * size + i] = rounded_to<T>(divided[g * size + i]) * inverse[g];
  }
  e2m1_codes(divided, n * size, codes);
  for (int64_t g = 0; g < n; ++g) {
    if (divisors[g] == A(0)) std::fill_n(codes + g * size, size, uint8_t(0));
  }
}

template <class T>
void quantize_as(const Task& task, const QuantFormat& f) {
  using A = Wide<T>;
  const array& w = task.in[0];
  int size = f.group_size, words_per_group = size * f.bits / 32;
  Reader reader(w);
  GlobalScales global(task, 1, std::max<int64_t>(1, w.shape(-1) / size));
  uint32_t* words = task.out[0].template data<uint32_t>();
  for_groups(w.size() / size, size, [&](int64_t g, int64_t n) {
    T scratch[kPiece];
    A x[kPiece];
    uint8_t codes[kPiece];
    widen(reader.read(g * size, n * size, scratch), x, n * size);
    if (f.affine()) {
      A scales[kMaxPieceGroups], biases[kMaxPieceGroups];
      affine_groups(x, n, size, f.bits, scales, biases, codes);
      narrow(scales, task.out[1].template data<T>() + g, n);
      narrow(biases, task.out[2].template data<T>() + g, n);
    } else if (f.mode == QuantMode::nvfp4) {
      nv_groups<T>(x, g, n, f, global, task.out[1].template data<uint8_t>() + g, codes);
    } else {
      mx_groups<T>(x, n, f, task.out[1].template data<uint8_t>() + g, codes);
    }
    pack_codes(codes, n * size, f.bits, words + g * words_per_group);
  });
}

// ---- back

// c * scale + bias, rounded after either step.
template <class T>
void affine_numbers(const float* codes, const Wide<T>* scales, const Wide<T>* biases, int64_t n_groups, int size, T* to) {
  Wide<T> wide[kPiece];
  for (int64_t i = 0, p = 0; i < n_groups; ++i) {
    for (int q = 0; q < size; ++q, ++p) wide[p] = static_cast<Wide<T>>(codes[p]) * scales[i];
  }
  if constexpr (sizeof(T) == 2) {
    T narrowed[kPiece];
    narrow(wide, narrowed, n_groups * size);
    widen(narrowed, wide, n_groups * size);
  }
  for (int64_t i = 0, p = 0; i < n_groups; ++i) {
    for (int q = 0; q < size; ++q, ++p) wide[p] += biases[i];
  }
  narrow(wide, to, n_groups * size);
}

template <class T>
void dequantize_as(const Task& task, const QuantFormat& f) {
  using A = Wide<T>;
  array& out = task.out[0];
  int size = f.group_size, words_per_group = size * f.bits / 32;
  Reader words(task.in[0]), scales(task.in[1]);
  std::optional<Reader> biases;
  if (f.affine()) biases.emplace(task.in[2]);
  GlobalScales global(task, f.affine() ? 3 : 2, std::max<int64_t>(1, out.shape(-1) / size));
  auto unpack = quant_loops().unpack[static_cast<size_t>(codes_of(f))];
  for_groups(out.size() / size, size, [&](int64_t g, int64_t n) {
    uint32_t word_scratch[kPiece];
    float codes[kPiece];
    const uint32_t* from = words.read(g * words_per_group, n * words_per_group, word_scratch);
    unpack(reinterpret_cast<const uint8_t*>(from), n * size, codes);
    T* to = out.template data<T>() + g * size;
    A scale[kMaxPieceGroups], bias[kMaxPieceGroups];
    if (f.affine()) {
      T scratch[kMaxPieceGroups];
      widen(scales.read(g, n, scratch), scale, n);
      widen(biases->read(g, n, scratch), bias, n);
      return affine_numbers(codes, scale, bias, n, size, to);
    }
    uint8_t scratch[kMaxPieceGroups];
    const uint8_t* bytes = scales.read(g, n, scratch);
    for (int64_t i = 0; i < n; ++i) {
      float s = f.mode == QuantMode::nvfp4 ? from_e4m3(bytes[i]) : from_e8m0(bytes[i]);
      if (global) s *= global[g + i] / kLargestNvfp4;
      scale[i] = s;
    }
    A wide[kPiece];
    for (int64_t i = 0, p = 0; i < n; ++i) {
      for (int q = 0; q < size; ++q, ++p) wide[p] = static_cast<A>(codes[p]) * scale[i];
    }
    narrow(wide, to, n * size);
  });
}

}  // namespace

void quantize_kernel(const Task& task) {
  const QuantFormat& f = task.params.get<QuantizeParams>().format;
  dispatch_floating(task.in[0].dtype(), [&](auto tag) { quantize_as<typename decltype(tag)::type>(task, f); });
}

void dequantize_kernel(const Task& task) {
  const QuantFormat& f = task.params.get<DequantizeParams>().format;
  dispatch_floating(task.out[0].dtype(), [&](auto tag) { dequantize_as<typename decltype(tag)::type>(task, f); });
}

void to_fp8_kernel(const Task& task) {
  dispatch_floating(task.in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Reader reader(task.in[0]);
    for_groups(task.in[0].size(), 1, [&](int64_t begin, int64_t n) {
      T scratch[kPiece];
      Wide<T> wide[kPiece];
      widen(reader.read(begin, n, scratch), wide, n);
      e4m3_codes(wide, n, task.out[0].data<uint8_t>() + begin);
    });
  });
}

void from_fp8_kernel(const Task& task) {
  dispatch_floating(task.out[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Reader reader(task.in[0]);
    T table[256];
    for (uint32_t code = 0; code < 256; ++code) table[code] = static_cast<T>(from_e4m3(code));
    for_groups(task.in[0].size(), 1, [&](int64_t begin, int64_t n) {
      uint8_t scratch[kPiece];
      const uint8_t* from = reader.read(begin, n, scratch);
      T* to = task.out[0].template data<T>() + begin;
      for (int64_t i = 0; i < n; ++i) to[i] = table[from[i]];
    });
  });
}

}  // namespace mx::cpu
