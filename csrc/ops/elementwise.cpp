// elementwise.cpp — the rows of the tables as functions and primitives, with all their rules.
//
// A row says what its derivative is; jvp, vjp and vmap follow here for all of them. The words of the derivative
// column: an expression in x (or a, b) and y; ZERO, ONE, MINUS_ONE, which cost no multiplication; OWN for the
// functions that have no complex derivative (abs, sign, conjugate, real, imag), written out in this file;
// NONE for results that are not numbers. Start at unary_primitive().

#include "ops/elementwise.h"

#include <array>

#include "ops/cast.h"
#include "ops/elementwise_params.h"
#include "ops/movement.h"
#include "ops/operators.h"

namespace mx {

namespace {

// ---- derivatives

// What the derivative column of a row evaluates to.
struct Slope {
  enum Kind : uint8_t { expression, zero, one, minus_one, own, none } kind = expression;
  array value = {};
  Slope(array v) : value(std::move(v)) {}
  Slope(Kind k) : kind(k) {}
};
[[maybe_unused]] constexpr auto ZERO = Slope::zero, ONE = Slope::one, MINUS_ONE = Slope::minus_one, OWN = Slope::own, NONE = Slope::none;

// An undefined array is a zero. A zero tangent stays zero even where the slope is infinite or NaN.
array push(const array& t, const Slope& slope) {
  switch (slope.kind) {
    case Slope::one: return t;
    case Slope::minus_one: return negative(t);
    case Slope::expression: return strong_zero_multiply(t, slope.value);
    default: return array();
  }
}
array pull(const array& ct, const Slope& slope) {
  return slope.kind == Slope::expression ? strong_zero_multiply(ct, conjugate(slope.value)) : push(ct, slope);
}

array filled_like(double value, const array& a) { return broadcast_to(array(value, a.dtype()), a.shape()); }

// d/da a^b = b a^(b-1), which is 0 for b = 0 even at a = 0.
array power_slope(const array& a, const array& b) { return strong_zero_multiply(b, power(a, b - 1.0)); }
// d/db a^b = log(a) a^b, taken as 0 at a = 0.
array exponent_slope(const array& a, const array& y) {
  array zero = filled_like(0, a);
  return strong_zero_multiply(y, log(where(equal(a, zero), filled_like(1, a), a)));
}
// p / (p² + q²), and 0 at (0, 0). Scaled by the larger one, so that the squares neither overflow nor vanish.
array angle_slope(const array& p, const array& q) {
  array size = stop_gradient(maximum(abs(p), abs(q)));
  array origin = equal(size, filled_like(0, size)), one = filled_like(1, size);
  array scale = where(origin, one, size), u = p / scale, v = q / scale;
  return u / (where(origin, one, square(u) + square(v)) * scale);
}
// a / hypotenuse, and 0 at (0, 0).
array leg_slope(const array& a, const array& hypotenuse) {
  array zero = filled_like(0, a);
  return a / where(equal(hypotenuse, zero), filled_like(1, a), hypotenuse);
}
// e^a / (e^a + e^b), and one half for equal infinities.
array share_exp(const array& a, const array& b) {
  array d = a - b;
  return sigmoid(where(logical_and(isnan(d), equal(a, b)), filled_like(0, d), d));
}
// 1 where a is larger, 0 where b is, one half at ties.
array share_max(const array& a, const array& b) {
  return (astype(greater(a, b), a.dtype()) + astype(greater_equal(a, b), a.dtype())) * 0.5;
}

// Tangent t or cotangent ct through the functions marked OWN. The inner product is Re(conj(a) b).
// The map of sign, t -> (t - s Re(conj(s) t)) / |x|, is its own transpose.
array through_sign(const array& x, const array& y, const array& t) {
  array r = abs(x), zero = filled_like(0, r);
  array at_zero = equal(r, zero);
  array inverse = where(at_zero, zero, reciprocal(where(at_zero, filled_like(1, r), r)));
  array radial = real(strong_zero_multiply(conjugate(y), t));
  return strong_zero_multiply(t - y * astype(radial, t.dtype()), astype(inverse, t.dtype()));
}
array own_jvp(UnaryOp op, const array& x, const array& y, const array& t) {
  switch (op) {
    case UnaryOp::abs: return is_complex(x.dtype()) ? real(strong_zero_multiply(conjugate(sign(x)), t)) : strong_zero_multiply(t, sign(x));
    case UnaryOp::sign: return is_complex(x.dtype()) ? through_sign(x, y, t) : array();
    case UnaryOp::conjugate: return conjugate(t);
    case UnaryOp::real: return real(t);
    default: return imag(t);
  }
}
array own_vjp(UnaryOp op, const array& x, const array& y, const array& ct) {
  array wide = astype(ct, x.dtype());
  switch (op) {
    case UnaryOp::abs: return strong_zero_multiply(wide, sign(x));
    case UnaryOp::sign: return is_complex(x.dtype()) ? through_sign(x, y, ct) : array();
    case UnaryOp::conjugate: return conjugate(ct);
    case UnaryOp::real: return wide;
    default: return strong_zero_multiply(wide, broadcast_to(array(complex64_t(0, 1)), wide.shape()));
  }
}

// ---- types and arguments

Dtype result_of(Result result, Dtype in) {
  return result == Result::Bool ? Dtype::bool_ : result == Result::Part ? real_type(in) : in;
}

[[noreturn]] void refuse(std::string_view op, Dtype t, std::string_view need) {
  throw DtypeError(cat("[", op, "] dtype not supported: the input is ", t, "; need ", need, ". Convert with astype."));
}

// The dtype that a row computes in for input `t`; throws DtypeError for one it refuses.
Dtype computed_dtype(std::string_view op, Accepts accepts, Dtype t) {
  if (computes_in(accepts, t)) return t;
  switch (accepts) {
    case Accepts::Inexact: return Dtype::float32;
    case Accepts::Floating:
      if (is_complex(t)) refuse(op, t, "a real dtype");
      return Dtype::float32;
    case Accepts::Truth: return Dtype::bool_;
    case Accepts::Integer:
      if (is_bool(t)) return Dtype::uint8;
      refuse(op, t, "an integer dtype or bool");
    case Accepts::Integral: refuse(op, t, "an integer dtype or bool");
    case Accepts::Number: refuse(op, t, "a dtype other than bool");
    default: refuse(op, t, "a real dtype");
  }
}

array unary(const Primitive& p, Accepts accepts, Result result, const array& a) {
  Dtype t = a.dtype();
  if (!is_inexact(t) && (accepts == Accepts::Fraction || accepts == Accepts::Rounding)) return a;
  if (!is_complex(t) && accepts == Accepts::Complex) return &p == &imag_p ? filled_like(0, a) : a;
  t = computed_dtype(p.name, accepts, t);
  return make_node(p, {}, {astype(a, t)}, {result_of(result, t), a.shape()});
}

// Whether `a` is the number 2 and will never be anything else: not part of a graph, not traced.
bool is_constant_two(const array& a) { return a.available() && !a.call() && a.size() == 1 && a.item<complex64_t>() == complex64_t(2); }

array binary(const Primitive& p, Accepts accepts, Result result, const array& a, const array& b) {
  // x ** 2 is common, and a hundred times faster as a product.
  if (&p == &power_p && b.ndim() == 0 && promote(a.dtype(), b.dtype()) == a.dtype() && is_constant_two(b)) return square(a);
  Dtype t = accepts == Accepts::Truth ? Dtype::bool_ : computed_dtype(p.name, accepts, promote(a.dtype(), b.dtype()));
  if (a.shape() == b.shape()) return make_node(p, {}, {astype(a, t), astype(b, t)}, {result_of(result, t), a.shape()});
  Shape shape = broadcast_shapes(a.shape(), b.shape(), p.name);
  return make_node(p, {}, {broadcast_to(astype(a, t), shape), broadcast_to(astype(b, t), shape)}, {result_of(result, t), shape});
}

// ---- records

constexpr bool has_derivative(Accepts accepts, Result result) {
  return result != Result::Bool && (computes_in(accepts, Dtype::float32) || computes_in(accepts, Dtype::complex64));
}

// Input `i` decides the type.
template <int i>
Inferred infer_from(Result result, const Call& c) {
  return Type{result_of(result, c.in(i).dtype()), c.in(i).shape()};
}

Outs batched(const NoParams&, const Batch& b) {
  SmallVector<array, 3> inputs;
  for (int i = 0; i < b.n_in(); ++i) inputs.push_back(b.in(i));
  return make_nodes(b.call().primitive(), {}, std::move(inputs));
}

// A row whose results are not numbers to differentiate, of one or two inputs.
Primitive without_derivative(std::string_view name, Result result) {
  return define<NoParams>({
      .name = name,
      .infer = [=](auto&, const Call& c) { return infer_from<0>(result, c); },
      .vmap = batched,
      .differentiable = false,
      .kind = Kind::elementwise,
  });
}

Primitive unary_primitive(std::string_view name, UnaryOp op, Accepts accepts, Result result, Slope (*slope)(const array& x, const array& y)) {
  if (!has_derivative(accepts, result)) return without_derivative(name, result);
  return define<NoParams>({
      .name = name,
      .infer = [=](auto&, const Call& c) { return infer_from<0>(result, c); },
      .jvp = [=](auto&, const Call& c, int, const array& t) -> Outs {
        Slope s = slope(c.in(0), c.out());
        return s.kind == Slope::own ? own_jvp(op, c.in(0), c.out(), t) : push(t, s);
      },
      .vjp = [=](auto&, const Call& c, int, const Outs& ct) {
        Slope s = slope(c.in(0), c.out());
        return s.kind == Slope::own ? own_vjp(op, c.in(0), c.out(), ct) : pull(ct, s);
      },
      .vmap = batched,
      .kind = Kind::elementwise,
  });
}

using BinarySlope = Slope (*)(const array& a, const array& b, const array& y);
Primitive binary_primitive(std::string_view name, Accepts accepts, Result result, BinarySlope slope_a, BinarySlope slope_b) {
  if (!has_derivative(accepts, result)) return without_derivative(name, result);
  return define<NoParams>({
      .name = name,
      .infer = [=](auto&, const Call& c) { return infer_from<0>(result, c); },
      .jvp = [=](auto&, const Call& c, int i, const array& t) -> Outs {
        return push(t, (i == 0 ? slope_a : slope_b)(c.in(0), c.in(1), c.out()));
      },
      .vjp = [=](auto&, const Call& c, int i, const Outs& ct) {
        return pull(ct, (i == 0 ? slope_a : slope_b)(c.in(0), c.in(1), c.out()));
      },
      .vmap = batched,
      .kind = Kind::elementwise,
  });
}

}  // namespace

#define UNARY(NAME, ACCEPTS, RESULT, SLOPE, DOC)                                                        \
  const Primitive NAME##_p = unary_primitive(#NAME, UnaryOp::NAME, Accepts::ACCEPTS, Result::RESULT,    \
      []([[maybe_unused]] const array& x, [[maybe_unused]] const array& y) -> Slope { return SLOPE; }); \
  array NAME(const array& a) { return unary(NAME##_p, Accepts::ACCEPTS, Result::RESULT, a); }
#include "ops/unary.def"

#define SLOPE_FN(SLOPE) \
  []([[maybe_unused]] const array& a, [[maybe_unused]] const array& b, [[maybe_unused]] const array& y) -> Slope { return SLOPE; }
#define BINARY(NAME, ACCEPTS, RESULT, SLOPE_A, SLOPE_B, DOC)                                                 \
  const Primitive NAME##_p =                                                                                 \
      binary_primitive(#NAME, Accepts::ACCEPTS, Result::RESULT, SLOPE_FN(SLOPE_A), SLOPE_FN(SLOPE_B));       \
  array NAME(const array& a, const array& b) { return binary(NAME##_p, Accepts::ACCEPTS, Result::RESULT, a, b); }
#include "ops/binary.def"

const Primitive select_p = define<NoParams>({
    .name = "select",
    .infer = [](auto&, const Call& c) { return infer_from<1>(Result::Same, c); },
    .jvp = [](auto&, const Call& c, int i, const array& t) -> Outs {
      return i == 1 ? where(c.in(0), t, filled_like(0, t)) : where(c.in(0), filled_like(0, t), t);
    },
    .vjp = [](auto&, const Call& c, int i, const Outs& ct) {
      return i == 1 ? where(c.in(0), ct, filled_like(0, ct)) : where(c.in(0), filled_like(0, ct), ct);
    },
    .vmap = batched,
    .kind = Kind::elementwise,
});

array where(const array& condition, const array& x, const array& y) {
  Dtype t = promote(x.dtype(), y.dtype());
  Shape shape = broadcast_shapes(broadcast_shapes(condition.shape(), x.shape(), "where"), y.shape(), "where");
  return make_node(select_p, {}, {broadcast_to(astype(condition, Dtype::bool_), shape), broadcast_to(astype(x, t), shape),
                                  broadcast_to(astype(y, t), shape)}, {t, shape});
}

// ---- codes

namespace {

struct Row {
  const Primitive* primitive;
  ElementwiseCode code;
  Result result;
};
constexpr Row kRows[] = {
#define UNARY(NAME, ACCEPTS, RESULT, SLOPE, DOC) {&NAME##_p, UnaryOp::NAME, Result::RESULT},
#include "ops/unary.def"
#define BINARY(NAME, ACCEPTS, RESULT, SLOPE_A, SLOPE_B, DOC) {&NAME##_p, BinaryOp::NAME, Result::RESULT},
#include "ops/binary.def"
#define TERNARY(NAME, DOC) {&NAME##_p, TernaryOp::NAME, Result::Same},
#include "ops/ternary.def"
};
#define UNARY(...) +1
#define BINARY(...) +1
constexpr size_t kUnaryRows = 0
#include "ops/unary.def"
    ;
constexpr size_t kBinaryRows = 0
#include "ops/binary.def"
    ;

const Row& row(ElementwiseCode code) {
  return kRows[code.op + (code.arity > 1 ? kUnaryRows : 0) + (code.arity > 2 ? kBinaryRows : 0)];
}

}  // namespace

std::optional<ElementwiseCode> elementwise_code(const Primitive& primitive) {
  static const std::vector<ElementwiseCode> by_id = [] {
    std::vector<ElementwiseCode> codes;
    for (const Row& r : kRows) {
      size_t id = static_cast<size_t>(r.primitive->id);
      if (codes.size() <= id) codes.resize(id + 1);
      codes[id] = r.code;
    }
    return codes;
  }();
  size_t id = static_cast<size_t>(primitive.id);
  if (id >= by_id.size() || by_id[id].arity == 0) return std::nullopt;
  return by_id[id];
}

const Primitive& elementwise_primitive(ElementwiseCode code) { return *row(code).primitive; }

Dtype result_dtype(ElementwiseCode code, Dtype in) { return result_of(row(code).result, in); }

}  // namespace mx
