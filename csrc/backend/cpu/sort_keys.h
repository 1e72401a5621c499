// sort_keys.h — the order of every dtype as unsigned integers: `encode` maps a value to a key such that keys
// compare as sorting wants (NaN last, complex by real then imaginary part), `decode` maps back.
// So sorting and searching exist for four key widths, not for fourteen dtypes.
#pragma once

#include <bit>
#include <complex>
#include <cstdint>
#include <type_traits>

#include "base/half.h"

namespace mx::cpu {

namespace detail {

template <size_t Bytes>
struct UnsignedOf;
template <>
struct UnsignedOf<1> { using type = uint8_t; };
template <>
struct UnsignedOf<2> { using type = uint16_t; };
template <>
struct UnsignedOf<4> { using type = uint32_t; };
template <>
struct UnsignedOf<8> { using type = uint64_t; };

// IEEE bits in total order; `exponent` is the bit pattern of infinity. Every NaN becomes the largest key.
template <class U>
U encode_float(U bits, U infinity) {
  constexpr U sign = U(U(1) << (8 * sizeof(U) - 1));
  if (U(bits & U(~sign)) > infinity) return U(~U(0));
  return (bits & sign) ? U(~bits) : U(bits | sign);
}
template <class U>
U decode_float(U key) {
  constexpr U sign = U(U(1) << (8 * sizeof(U) - 1));
  return (key & sign) ? U(key ^ sign) : U(~key);
}

constexpr uint32_t kInf32 = 0x7f800000u;
// Keys of complex numbers with a NaN take high words that no finite or infinite real part uses.
constexpr uint32_t kNanImag = 0xff800001u, kNanReal = 0xff800002u, kNanBoth = 0xff800003u;

}  // namespace detail

/// The key type of T: as wide as T.
template <class T>
using KeyOf = typename detail::UnsignedOf<sizeof(T)>::type;

/// The key of x. With `Exact`, -0 sorts before 0 (so decode restores both); without, they are equal.
template <bool Exact, class T>
KeyOf<T> encode(T x) {
  using U = KeyOf<T>;
  if constexpr (std::is_same_v<T, bool> || std::is_unsigned_v<T>) {
    return static_cast<U>(x);
  } else if constexpr (std::is_integral_v<T>) {
    return U(std::bit_cast<U>(x) ^ U(U(1) << (8 * sizeof(U) - 1)));
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    uint32_t re = encode<Exact>(x.real()), im = encode<Exact>(x.imag());
    bool nan_re = re == ~0u, nan_im = im == ~0u;
    if (nan_re) {
      im = nan_im ? 0 : im;
      re = nan_im ? detail::kNanBoth : detail::kNanReal;
    } else if (nan_im) {
      im = re;
      re = detail::kNanImag;
    }
    return uint64_t(re) << 32 | im;
  } else {
    U infinity;
    if constexpr (std::is_same_v<T, float16_t>) {
      infinity = 0x7c00;
    } else if constexpr (std::is_same_v<T, bfloat16_t>) {
      infinity = 0x7f80;
    } else if constexpr (std::is_same_v<T, float>) {
      infinity = detail::kInf32;
    } else {
      infinity = 0x7ff0000000000000ull;
    }
    if constexpr (!Exact) {
      if (x == T(0)) x = T(0);
    }
    return detail::encode_float(std::bit_cast<U>(x), infinity);
  }
}

/// The value whose exact key this is; a NaN comes back as the positive quiet one.
template <class T>
T decode(KeyOf<T> key) {
  using U = KeyOf<T>;
  if constexpr (std::is_same_v<T, bool> || std::is_unsigned_v<T>) {
    return static_cast<T>(key);
  } else if constexpr (std::is_integral_v<T>) {
    return std::bit_cast<T>(U(key ^ U(U(1) << (8 * sizeof(U) - 1))));
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    uint32_t re = uint32_t(key >> 32), im = uint32_t(key);
    constexpr float nan = __builtin_nanf("");
    switch (re) {
      case detail::kNanBoth: return {nan, nan};
      case detail::kNanReal: return {nan, decode<float>(im)};
      case detail::kNanImag: return {decode<float>(im), nan};
    }
    return {decode<float>(re), decode<float>(im)};
  } else {
    return std::bit_cast<T>(detail::decode_float(key));
  }
}

}  // namespace mx::cpu
