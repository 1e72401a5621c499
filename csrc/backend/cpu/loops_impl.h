// loops_impl.h — the shapes of the inner loops and the tables of them, for the loops_*.cpp files only.
//
// A table holds the loops of every row for a few dtypes. Each file instantiates the tables of its dtypes, so that
// they compile side by side.
#pragma once

#include <array>
#include <type_traits>

#include "backend/cpu/clones.h"
#include "backend/cpu/loops.h"
#include "scalar/binary.h"
#include "scalar/cast.h"
#include "scalar/ternary.h"
#include "scalar/unary.h"

namespace mx::cpu::loops {

using Complex = scalar::Complex<float>;

/// The type in which memory of this type is computed.
template <class T>
struct ScalarOf {
  using type = T;
};
template <>
struct ScalarOf<complex64_t> {
  using type = Complex;
};

/// T as loops read it: compilers do not vectorise loads of bool.
template <class T>
using Load = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
template <class T>
MX_FN T loaded(Load<T> x) {
  if constexpr (std::is_same_v<T, bool>) return x != 0;
  else return x;
}

template <class Op, class T>
MX_CLONES void unary_loop(const void* const* in, void* out, int64_t n) {
  using R = decltype(Op::of(T()));
  const Load<T>* a = static_cast<const Load<T>*>(in[0]);
  R* y = static_cast<R*>(out);
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = Op::of(loaded<T>(a[i]));
}

template <class Op, class T>
MX_CLONES void binary_loop(const void* const* in, void* out, int64_t n) {
  using R = decltype(Op::of(T(), T()));
  const Load<T>* a = static_cast<const Load<T>*>(in[0]);
  const Load<T>* b = static_cast<const Load<T>*>(in[1]);
  R* y = static_cast<R*>(out);
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = Op::of(loaded<T>(a[i]), loaded<T>(b[i]));
}

template <class Op, class T>
MX_CLONES void ternary_loop(const void* const* in, void* out, int64_t n) {
  const Load<bool>* c = static_cast<const Load<bool>*>(in[0]);
  const T* a = static_cast<const T*>(in[1]);
  const T* b = static_cast<const T*>(in[2]);
  T* y = static_cast<T*>(out);
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = Op::of(loaded<bool>(c[i]), a[i], b[i]);
}

/// The loop of a row for memory of type M, or null where the row does not compute in it.
template <class Op, Accepts accepts, class M>
constexpr Loop unary_for() {
  if constexpr (computes_in(accepts, dtype_of<M>())) return unary_loop<Op, typename ScalarOf<M>::type>;
  return nullptr;
}
template <class Op, Accepts accepts, class M>
constexpr Loop binary_for() {
  if constexpr (computes_in(accepts, dtype_of<M>())) return binary_loop<Op, typename ScalarOf<M>::type>;
  return nullptr;
}

// Each row as a type, so that it can be a template argument.
#define UNARY(NAME, ...)                                              \
  struct unary_##NAME {                                               \
    template <class T>                                                \
    MX_FN static auto of(T a) { return scalar::NAME(a); }             \
  };
#include "ops/unary.def"
#define BINARY(NAME, ...)                                             \
  struct binary_##NAME {                                              \
    template <class T>                                                \
    MX_FN static auto of(T a, T b) { return scalar::NAME(a, b); }     \
  };
#include "ops/binary.def"
#define TERNARY(NAME, ...)                                            \
  struct ternary_##NAME {                                             \
    template <class T>                                                \
    MX_FN static T of(bool c, T a, T b) { return scalar::NAME(c, a, b); } \
  };
#include "ops/ternary.def"

/// All loops for memory of type M, in the order of the tables.
template <class M>
struct Table {
  static constexpr Loop unary[] = {
#define UNARY(NAME, ACCEPTS, ...) unary_for<unary_##NAME, Accepts::ACCEPTS, M>(),
#include "ops/unary.def"
  };
  static constexpr Loop binary[] = {
#define BINARY(NAME, ACCEPTS, ...) binary_for<binary_##NAME, Accepts::ACCEPTS, M>(),
#include "ops/binary.def"
  };
  // As bits: an unsigned integer of the same size.
  using Bits = std::conditional_t<sizeof(M) == 1, uint8_t, std::conditional_t<sizeof(M) == 2, uint16_t,
                                  std::conditional_t<sizeof(M) == 4, uint32_t, uint64_t>>>;
  static constexpr Loop ternary[] = {
#define TERNARY(NAME, ...) ternary_loop<ternary_##NAME, Bits>,
#include "ops/ternary.def"
  };
  static Loop find(ElementwiseCode code) {
    return code.arity == 1 ? unary[code.op] : code.arity == 2 ? binary[code.op] : ternary[code.op];
  }
};

// One finder a dtype, in loops_real.cpp, loops_complex.cpp and loops_int.cpp.
Loop find_bool(ElementwiseCode code);
Loop find_uint8(ElementwiseCode code);
Loop find_uint16(ElementwiseCode code);
Loop find_uint32(ElementwiseCode code);
Loop find_uint64(ElementwiseCode code);
Loop find_int8(ElementwiseCode code);
Loop find_int16(ElementwiseCode code);
Loop find_int32(ElementwiseCode code);
Loop find_int64(ElementwiseCode code);
Loop find_float32(ElementwiseCode code);
Loop find_float64(ElementwiseCode code);
Loop find_complex64(ElementwiseCode code);

}  // namespace mx::cpu::loops
