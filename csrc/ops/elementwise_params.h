// elementwise_params.h — the elementwise primitives as others may know them: enumerations and records made
// from the tables (unary.def, binary.def, ternary.def), which dtypes a row takes, and what it gives.
//
// A table primitive has no parameters. Its inputs have equal shapes and one dtype, except that the condition of
// `select` is bool. The cast is astype_p in cast_params.h, elementwise too, with the target dtype as parameter.
#pragma once

#include <optional>

#include "graph/primitive.h"

namespace mx {

enum class UnaryOp : uint8_t {
#define UNARY(NAME, ...) NAME,
#include "ops/unary.def"
};
enum class BinaryOp : uint8_t {
#define BINARY(NAME, ...) NAME,
#include "ops/binary.def"
};
enum class TernaryOp : uint8_t {
#define TERNARY(NAME, ...) NAME,
#include "ops/ternary.def"
};

#define UNARY(NAME, ...) extern const Primitive NAME##_p;
#include "ops/unary.def"
#define BINARY(NAME, ...) extern const Primitive NAME##_p;
#include "ops/binary.def"
#define TERNARY(NAME, ...) extern const Primitive NAME##_p;
#include "ops/ternary.def"

/// Which dtypes a row computes in, and what its public function does with others.
enum class Accepts : uint8_t {
  Any,       ///< All.
  Number,    ///< All but bool, which is refused.
  Real,      ///< All but complex, which is refused.
  Inexact,   ///< Floating and complex; integers and bool become float32.
  Floating,  ///< Floating; integers and bool become float32, complex is refused.
  Fraction,  ///< Floating; integers and bool are returned as they are, complex is refused.
  Rounding,  ///< Floating and complex; integers and bool are returned as they are.
  Complex,   ///< Complex; anything else is its own real part.
  Integral,  ///< Integers and bool; others are refused.
  Integer,   ///< Integers; bool becomes uint8, others are refused.
  Truth,     ///< bool; anything else is compared with zero first.
};

/// Whether a row has arithmetic for dtype `t` (float16 and bfloat16 are computed in float32).
constexpr bool computes_in(Accepts accepts, Dtype t) {
  bool boolean = t == Dtype::bool_, complex = t == Dtype::complex64, floating = t >= Dtype::float16 && !complex;
  switch (accepts) {
    case Accepts::Any: return true;
    case Accepts::Number: return !boolean;
    case Accepts::Real: return !complex;
    case Accepts::Inexact:
    case Accepts::Rounding: return floating || complex;
    case Accepts::Floating:
    case Accepts::Fraction: return floating;
    case Accepts::Complex: return complex;
    case Accepts::Integral: return !floating && !complex;
    case Accepts::Integer: return !floating && !complex && !boolean;
    case Accepts::Truth: return boolean;
  }
  return false;
}

/// The dtype of a row's output: that of the inputs, bool, or the inputs' real type.
enum class Result : uint8_t { Same, Bool, Part };

/// A table primitive as a number: its arity (1, 2, 3) and its place in the table of that arity.
struct ElementwiseCode {
  uint8_t arity = 0;
  uint8_t op = 0;
  constexpr ElementwiseCode() = default;
  constexpr ElementwiseCode(UnaryOp o) : arity(1), op(static_cast<uint8_t>(o)) {}
  constexpr ElementwiseCode(BinaryOp o) : arity(2), op(static_cast<uint8_t>(o)) {}
  constexpr ElementwiseCode(TernaryOp o) : arity(3), op(static_cast<uint8_t>(o)) {}
  auto fields() const { return std::tie(arity, op); }
  bool operator==(const ElementwiseCode&) const = default;
};

/// The code of a table primitive; nullopt for every other one, astype_p included. Constant time.
std::optional<ElementwiseCode> elementwise_code(const Primitive& primitive);
/// The primitive of a code.
const Primitive& elementwise_primitive(ElementwiseCode code);
/// The output's dtype for inputs of dtype `in` (for select: of its last two inputs).
Dtype result_dtype(ElementwiseCode code, Dtype in);

}  // namespace mx
