// dtype.h — element types, their categories and the promotion rule. dispatch() turns a Dtype into a C++ type.
#pragma once

#include <cstdint>
#include <ostream>
#include <string_view>

#include "base/error.h"
#include "base/half.h"

namespace mx {

enum class Dtype : uint8_t {
  bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
  float16, bfloat16, float32, float64, complex64
};
constexpr int kDtypeCount = 14;

/// Bytes per element.
size_t size_of(Dtype t);
/// "float32", as Python prints it (without the module).
std::string_view name(Dtype t);
std::ostream& operator<<(std::ostream& out, Dtype t);

inline bool is_bool(Dtype t) { return t == Dtype::bool_; }
inline bool is_unsigned(Dtype t) { return t >= Dtype::uint8 && t <= Dtype::uint64; }
inline bool is_signed_integer(Dtype t) { return t >= Dtype::int8 && t <= Dtype::int64; }
inline bool is_integer(Dtype t) { return t >= Dtype::uint8 && t <= Dtype::int64; }
inline bool is_floating(Dtype t) { return t >= Dtype::float16 && t <= Dtype::float64; }
inline bool is_complex(Dtype t) { return t == Dtype::complex64; }
/// Floating or complex: what can be differentiated.
inline bool is_inexact(Dtype t) { return t >= Dtype::float16; }

/// The type of a binary operation's result, by MLX's table (float16 with bfloat16 gives float32;
/// an integer never widens a float; complex64 absorbs everything).
Dtype promote(Dtype a, Dtype b);
/// `t` if inexact, else float32: what sin, mean, ... compute in.
inline Dtype at_least_float(Dtype t) { return is_inexact(t) ? t : Dtype::float32; }
/// The real type of `t`'s parts: float32 for complex64, else `t`.
inline Dtype real_type(Dtype t) { return is_complex(t) ? Dtype::float32 : t; }

template <class T>
struct TypeTag {
  using type = T;
};

/// The Dtype of a C++ type.
template <class T>
constexpr Dtype dtype_of();
#define MX_DTYPE_OF(T, D) \
  template <>             \
  constexpr Dtype dtype_of<T>() { return Dtype::D; }
MX_DTYPE_OF(bool, bool_)
MX_DTYPE_OF(uint8_t, uint8)
MX_DTYPE_OF(uint16_t, uint16)
MX_DTYPE_OF(uint32_t, uint32)
MX_DTYPE_OF(uint64_t, uint64)
MX_DTYPE_OF(int8_t, int8)
MX_DTYPE_OF(int16_t, int16)
MX_DTYPE_OF(int32_t, int32)
MX_DTYPE_OF(int64_t, int64)
MX_DTYPE_OF(float16_t, float16)
MX_DTYPE_OF(bfloat16_t, bfloat16)
MX_DTYPE_OF(float, float32)
MX_DTYPE_OF(double, float64)
MX_DTYPE_OF(complex64_t, complex64)
#undef MX_DTYPE_OF

/// Calls `f(TypeTag<T>())` with the C++ type of `t`: `dispatch(t, [&](auto tag) { using T = typename decltype(tag)::type; ... })`.
template <class F>
decltype(auto) dispatch(Dtype t, F&& f) {
  switch (t) {
    case Dtype::bool_: return f(TypeTag<bool>());
    case Dtype::uint8: return f(TypeTag<uint8_t>());
    case Dtype::uint16: return f(TypeTag<uint16_t>());
    case Dtype::uint32: return f(TypeTag<uint32_t>());
    case Dtype::uint64: return f(TypeTag<uint64_t>());
    case Dtype::int8: return f(TypeTag<int8_t>());
    case Dtype::int16: return f(TypeTag<int16_t>());
    case Dtype::int32: return f(TypeTag<int32_t>());
    case Dtype::int64: return f(TypeTag<int64_t>());
    case Dtype::float16: return f(TypeTag<float16_t>());
    case Dtype::bfloat16: return f(TypeTag<bfloat16_t>());
    case Dtype::float32: return f(TypeTag<float>());
    case Dtype::float64: return f(TypeTag<double>());
    case Dtype::complex64: return f(TypeTag<complex64_t>());
  }
  throw DtypeError("[dispatch] unknown dtype.");
}

/// The unsigned integer type of the same size as `t` (1, 2, 4 or 8 bytes): for kernels that only move bits.
template <class F>
decltype(auto) dispatch_bits(Dtype t, F&& f) {
  switch (size_of(t)) {
    case 1: return f(TypeTag<uint8_t>());
    case 2: return f(TypeTag<uint16_t>());
    case 4: return f(TypeTag<uint32_t>());
    default: return f(TypeTag<uint64_t>());
  }
}

}  // namespace mx
