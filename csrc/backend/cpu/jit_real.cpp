// jit_real.cpp — rows of the tables over real numbers, as code: the functions of vector_rows.h with lane types that write it.

#include "backend/cpu/jit_lanes.h"
#include "backend/cpu/jit_lower.h"
#include "backend/cpu/vector_rows.h"

namespace mx::cpu::jit {

namespace {

constexpr size_t kRows = 64;
using Row = Id (*)(const Id* in);

template <class Op, class F>
Id unary(const Id* in) {
  return Op::of(F{in[0]}).id;
}
template <class Op, class F>
Id binary(const Id* in) {
  return Op::of(F{in[0]}, F{in[1]}).id;
}

struct Rows {
  Row unary[kRows] = {}, binary[kRows] = {};
};

template <class R>
constexpr Rows make_rows() {
  Rows t;
  using F = LaneF<R>;
#define ROW(NAME) t.unary[static_cast<int>(UnaryOp::NAME)] = unary<vector_rows::unary_##NAME, F>;
  ROW(abs) ROW(negative) ROW(square) ROW(sign) ROW(sqrt) ROW(rsqrt) ROW(reciprocal)
  ROW(exp) ROW(expm1) ROW(log) ROW(log2) ROW(log10) ROW(log1p) ROW(sigmoid) ROW(erf) ROW(erfinv)
  ROW(sin) ROW(cos) ROW(tan) ROW(arcsin) ROW(arccos) ROW(arctan)
  ROW(sinh) ROW(cosh) ROW(tanh) ROW(arcsinh) ROW(arccosh) ROW(arctanh)
  ROW(floor) ROW(ceil) ROW(trunc) ROW(rint) ROW(isnan) ROW(isinf) ROW(isfinite) ROW(signbit)
#undef ROW
#define ROW(NAME) t.binary[static_cast<int>(BinaryOp::NAME)] = binary<vector_rows::binary_##NAME, F>;
  ROW(add) ROW(subtract) ROW(multiply) ROW(strong_zero_multiply) ROW(divide) ROW(floor_divide) ROW(remainder) ROW(power)
  ROW(arctan2) ROW(hypot) ROW(copysign) ROW(logaddexp) ROW(maximum) ROW(minimum)
  ROW(equal) ROW(not_equal) ROW(less) ROW(less_equal) ROW(greater) ROW(greater_equal)
#undef ROW
  return t;
}

constexpr Rows kFloat32 = make_rows<float>(), kFloat64 = make_rows<double>();

}  // namespace

bool real_row(Graph& graph, ElementwiseCode code, Type type, const Id* in, Id& out) {
  if (code.arity == 3) {
    out = graph.select(type, in[0], in[1], in[2]);
    return true;
  }
  const Rows& rows = type == Type::f64 ? kFloat64 : kFloat32;
  Row row = (code.arity == 1 ? rows.unary : rows.binary)[code.op];
  if (row) out = row(in);
  return row;
}

}  // namespace mx::cpu::jit
