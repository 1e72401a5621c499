// rows.h — the rows of csrc/ops/*.def as functions of an op code: apply_unary<R>(op, x), apply_binary<R>(op, a, b). The codes are
// the enumerations below, the same numbers as in csrc/ops/elementwise_params.h. Where `op` is a function constant, the switch is gone
// from the pipeline. A row that does not compute T -> R (docs: the columns `accepts` and `result`) gives a zero.
#pragma once

#include "elements.h"
#include "scalar/binary.h"
#include "scalar/ternary.h"
#include "scalar/unary.h"

enum class UnaryOp : int {
#define UNARY(NAME, ...) NAME,
#include "ops/unary.def"
};
enum class BinaryOp : int {
#define BINARY(NAME, ...) NAME,
#include "ops/binary.def"
};

namespace rows_detail {

// Kinds of types as bits, and the column `accepts` as sets of them.
struct Kinds {
  enum { boolean = 1, integer = 2, floating = 4, complex = 8 };
};
template <class Category>
struct KindOfCategory {
  enum { value = Kinds::integer };
};
template <>
struct KindOfCategory<mx::scalar::Real> {
  enum { value = Kinds::floating };
};
template <>
struct KindOfCategory<mx::scalar::ComplexNumber> {
  enum { value = Kinds::complex };
};
template <class T>
struct KindOf {
  enum { value = KindOfCategory<typename mx::scalar::CategoryOf<T>::type>::value };
};
template <>
struct KindOf<bool> {
  enum { value = Kinds::boolean };
};
struct Accepts {
  enum {
    Any = 15,
    Number = 14,
    Real = 7,
    Inexact = 12,
    Floating = 4,
    Fraction = 4,
    Rounding = 12,
    Complex = 8,
    Integral = 3,
    Integer = 2,
    Truth = 1
  };
};

// The column `result`.
template <class T>
struct PartOf {
  using type = T;
};
template <>
struct PartOf<complex64> {
  using type = float;
};
struct Result {
  template <class T>
  struct Same {
    using type = T;
  };
  template <class T>
  struct Bool {
    using type = bool;
  };
  template <class T>
  struct Part {
    using type = typename PartOf<T>::type;
  };
};

template <bool computes>
struct Row {
  template <class R, class Op, class T>
  static R of(T a) { return Op::of(a); }
  template <class R, class Op, class T>
  static R of(T a, T b) { return Op::of(a, b); }
};
template <>
struct Row<false> {
  template <class R, class Op, class T>
  static R of(T) { return R(); }
  template <class R, class Op, class T>
  static R of(T, T) { return R(); }
};

#define UNARY(NAME, ...)                                  \
  struct unary_##NAME {                                   \
    template <class T>                                    \
    static auto of(T a) { return mx::scalar::NAME(a); }   \
  };
#include "ops/unary.def"
#define BINARY(NAME, ...)                                       \
  struct binary_##NAME {                                        \
    template <class T>                                          \
    static auto of(T a, T b) { return mx::scalar::NAME(a, b); } \
  };
#include "ops/binary.def"

#define COMPUTES(ACCEPTS, RESULT) \
  ((int(Accepts::ACCEPTS) & int(KindOf<T>::value)) != 0 && SameType<R, typename Result::RESULT<T>::type>::value != 0)

}  // namespace rows_detail

template <class R, class T>
inline R apply_unary(int op, T x) {
  using namespace rows_detail;
  switch (op) {
#define UNARY(NAME, ACCEPTS, RESULT, ...) \
  case int(UnaryOp::NAME): return Row<COMPUTES(ACCEPTS, RESULT)>::template of<R, unary_##NAME>(x);
#include "ops/unary.def"
    default: return R();
  }
}

template <class R, class T>
inline R apply_binary(int op, T a, T b) {
  using namespace rows_detail;
  switch (op) {
#define BINARY(NAME, ACCEPTS, RESULT, ...) \
  case int(BinaryOp::NAME): return Row<COMPUTES(ACCEPTS, RESULT)>::template of<R, binary_##NAME>(a, b);
#include "ops/binary.def"
    default: return R();
  }
}
