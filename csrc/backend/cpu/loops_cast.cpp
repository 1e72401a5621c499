// loops_cast.cpp — the loops that convert between dtypes. What a conversion means is in scalar/cast.h; float16 and
// bfloat16 go by way of float32, from wider types with one rounding only.

#include "backend/cpu/loops_impl.h"

#include <cstring>

namespace mx::cpu {

namespace {

using loops::Complex;

template <class T>
constexpr bool is_half = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;

/// The float nearest to x, but with an odd last bit where it is not x itself: rounding it again, to fewer bits,
/// then gives what rounding x once would have given.
MX_FN float round_to_odd(double x) {
  float y = static_cast<float>(x);
  if (static_cast<double>(y) == x || y != y) return y;
  uint32_t bits = std::bit_cast<uint32_t>(y);
  // Towards zero first; then the odd one of the two neighbours is the one with the last bit set.
  bool away = std::fabs(static_cast<double>(y)) > std::fabs(x);
  return std::bit_cast<float>((away ? bits - 1 : bits) | 1u);
}

template <class To, class From>
MX_FN To convert(From x) {
  if constexpr (is_half<From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (!is_half<To>) {
    return scalar::Cast<To>::of(x);
  } else if constexpr (std::is_same_v<From, Complex>) {
    return To(x.re);
  } else if constexpr (sizeof(From) <= 2 || std::is_same_v<From, float>) {
    return To(static_cast<float>(x));
  } else {
    return To(round_to_odd(static_cast<double>(x)));
  }
}

template <class From, class To>
MX_FN void convert_all(const void* const* in, void* out, int64_t n) {
  using Y = typename loops::ScalarOf<To>::type;
  using A = typename loops::ScalarOf<From>::type;
  const loops::Load<A>* a = static_cast<const loops::Load<A>*>(in[0]);
  Y* y = static_cast<Y*>(out);
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = convert<Y>(loops::loaded<A>(a[i]));
}

template <class From, class To>
MX_CLONES void frequent_loop(const void* const* in, void* out, int64_t n) {
  convert_all<From, To>(in, out, n);
}
template <class From, class To>
void rare_loop(const void* const* in, void* out, int64_t n) {
  convert_all<From, To>(in, out, n);
}
template <class T>
void copy_loop(const void* const* in, void* out, int64_t n) {
  if (in[0] != out) std::memcpy(out, in[0], static_cast<size_t>(n) * sizeof(T));
}

template <class From, class To>
constexpr Loop cast_loop() {
  // Several versions where it matters most: 196 loops times three would be half a megabyte.
  constexpr bool frequent = is_half<From> || is_half<To> || std::is_same_v<From, float> || std::is_same_v<To, float>;
  if constexpr (std::is_same_v<From, To>) return copy_loop<From>;
  else if constexpr (frequent) return frequent_loop<From, To>;
  else return rare_loop<From, To>;
}

template <class From>
constexpr std::array<Loop, kDtypeCount> row() {
  return {cast_loop<From, bool>(),       cast_loop<From, uint8_t>(),   cast_loop<From, uint16_t>(), cast_loop<From, uint32_t>(),
          cast_loop<From, uint64_t>(),   cast_loop<From, int8_t>(),    cast_loop<From, int16_t>(),  cast_loop<From, int32_t>(),
          cast_loop<From, int64_t>(),    cast_loop<From, float16_t>(), cast_loop<From, bfloat16_t>(), cast_loop<From, float>(),
          cast_loop<From, double>(),     cast_loop<From, complex64_t>()};
}

constexpr std::array<Loop, kDtypeCount> kCasts[kDtypeCount] = {
    row<bool>(),   row<uint8_t>(), row<uint16_t>(), row<uint32_t>(),  row<uint64_t>(),   row<int8_t>(), row<int16_t>(),
    row<int32_t>(), row<int64_t>(), row<float16_t>(), row<bfloat16_t>(), row<float>(), row<double>(), row<complex64_t>()};

}  // namespace

Loop find_cast(Dtype from, Dtype to) { return kCasts[static_cast<int>(from)][static_cast<size_t>(to)]; }

}  // namespace mx::cpu
