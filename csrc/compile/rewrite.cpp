// rewrite.cpp — the rewrites. Each comment says what is exact. Start at rewrites(), the list, at the end.

#include "compile/rewrite.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "graph/marker.h"
#include "ops/cast_params.h"
#include "ops/elementwise_params.h"
#include "ops/matmul_params.h"
#include "ops/movement_params.h"
#include "ops/reduce_params.h"
#include "runtime/backend.h"
#include "runtime/eval.h"

namespace mx {

namespace {

using Value = std::optional<int>;

bool is_number(const GraphWriter& w, int v, double x) {
  std::optional<double> n = w.number(v);
  return n && *n == x && std::signbit(*n) == std::signbit(x);
}

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }

// ---- values passed on

Value pass_on(GraphWriter&, const Step& s) { return s.in[0]; }

// ---- constants

constexpr int64_t kMostFolded = 4096;

// Steps of constants are computed once, if the result is small or a view. Loops and effects have a time of their own.
Value fold(GraphWriter& w, const Step& s) {
  const Primitive& p = *s.primitive;
  if (p.run || s.in.empty()) return {};
  SmallVector<array, 3> in;
  for (int i : s.in) {
    const array* a = w.constant_of(i);
    if (!a || !a->available()) return {};
    in.push_back(*a);
  }
  bool view = p.view && p.view(s.params, in[0], s.types[0].shape);
  if (!view && n_elems(s.types[0].shape) > kMostFolded) return {};
  for (const array& a : in) {
    if (!view && a.size() > 16 * kMostFolded) return {};
  }
  StreamScope stream(s.stream);
  array value = make_node(p, s.params, std::move(in), s.types[0]);
  // What fails is left to fail when it runs.
  try {
    value.eval();
  } catch (const std::exception&) {
    return {};
  }
  return w.constant(value);
}

// ---- casts

// Whether every value of `a` is one of `b`.
bool holds(Dtype b, Dtype a) {
  if (a == b || a == Dtype::bool_) return true;
  if (is_complex(a) || b == Dtype::bool_) return false;
  if (is_complex(b)) return a == Dtype::float32 || is_half(a);
  auto bits = [](Dtype t) { return static_cast<int>(8 * size_of(t)); };
  if (is_floating(a)) return is_floating(b) && (b == Dtype::float64 || (b == Dtype::float32 && is_half(a)));
  if (is_floating(b)) {
    int digits = b == Dtype::float64 ? 53 : b == Dtype::float32 ? 24 : b == Dtype::float16 ? 11 : 8;
    return bits(a) - (is_unsigned(a) ? 0 : 1) <= digits;
  }
  return is_unsigned(a) ? bits(a) < bits(b) || (is_unsigned(b) && bits(a) == bits(b)) : !is_unsigned(b) && bits(a) <= bits(b);
}

// A cast of a cast that lost nothing. Exact.
Value cast_of_cast(GraphWriter& w, const Step& s) {
  const Step* inner = w.maker(s.in[0], astype_p);
  if (!inner) return {};
  int x = inner->in[0];
  Dtype from = w.type(x).dtype, between = inner->types[0].dtype, to = s.types[0].dtype;
  if (!holds(between, from)) return {};
  if (from == to) return x;
  bool floats = is_floating(from) && is_floating(between) && is_floating(to);
  bool integers = !is_inexact(from) && !is_inexact(between) && !is_inexact(to);
  if (!floats && !integers) return {};
  Step like(s);
  return w.make(astype_p, CastParams{to}, {x}, s.types[0], like);
}

// ---- moves. All exact.

Value transpose_of_transpose(GraphWriter& w, const Step& s) {
  const Axes& outer = s.params.get<TransposeParams>().axes;
  Axes axes(outer);
  int x = s.in[0];
  const Step* inner = w.maker(x, transpose_p);
  if (inner) {
    const Axes& first = inner->params.get<TransposeParams>().axes;
    for (int& a : axes) a = first[static_cast<size_t>(a)];
    x = inner->in[0];
  }
  if (std::is_sorted(axes.begin(), axes.end())) return x;
  if (!inner) return {};
  return w.make(transpose_p, TransposeParams{axes}, {x}, s.types[0], Step(s));
}

Value reshape_of_reshape(GraphWriter& w, const Step& s) {
  int x = s.in[0];
  const Step* inner = w.maker(x, reshape_p);
  if (inner) x = inner->in[0];
  if (w.type(x) == s.types[0]) return x;
  if (!inner) return {};
  return w.make(reshape_p, s.params, {x}, s.types[0], Step(s));
}

// A reshape that only puts ones in front is what a broadcast does by itself.
bool puts_ones_in_front(const Shape& from, const Shape& to) {
  if (to.size() <= from.size()) return false;
  size_t lead = to.size() - from.size();
  return std::all_of(to.begin(), to.begin() + lead, [](int64_t n) { return n == 1; }) && std::equal(from.begin(), from.end(), to.begin() + lead);
}

Value broadcast_of_broadcast(GraphWriter& w, const Step& s) {
  int x = s.in[0], from = x;
  if (const Step* inner = w.maker(x, broadcast_p)) {
    x = inner->in[0];
  } else if (const Step* ones = w.maker(x, reshape_p); ones && puts_ones_in_front(w.type(ones->in[0]).shape, ones->types[0].shape)) {
    x = ones->in[0];
  }
  if (w.type(x) == s.types[0]) return x;
  if (x == from) return {};
  return w.make(broadcast_p, s.params, {x}, s.types[0], Step(s));
}

// ---- arithmetic

// Never negative, and never -0.
bool non_negative(const GraphWriter& w, int v, int depth = 4) {
  if (depth == 0) return false;
  if (std::optional<double> n = w.number(v)) return *n >= 0 && !std::signbit(*n);
  const Step* s = w.maker(v);
  if (!s) return false;
  const Primitive* p = s->primitive;
  auto in = [&](size_t k) { return non_negative(w, s->in[k], depth - 1); };
  if (p == &abs_p || p == &square_p || p == &exp_p || p == &sigmoid_p) return true;
  if (p == &multiply_p && s->in[0] == s->in[1]) return true;
  if (p == &add_p || p == &multiply_p) return in(0) && in(1);
  if (p == &sum_p || p == &broadcast_p || p == &reshape_p || p == &transpose_p) return in(0);
  return false;
}

// Small constant exponents. x*x has the exact rounding of the square; x*x*x and (x*x)*(x*x) are within 2 ulp; sqrt needs a
// base that is never negative nor -0, for which power gives something else.
Value small_power(GraphWriter& w, const Step& s) {
  std::optional<double> n = w.number(s.in[1]);
  const Type& t = s.types[0];
  if (!n || is_complex(t.dtype) || is_bool(t.dtype)) return {};
  int x = s.in[0];
  Step like(s);
  auto times = [&](int a, int b) { return w.make(multiply_p, {}, {a, b}, like.types[0], like); };
  if (*n == 1) return x;
  if (*n == 2) return times(x, x);
  if (*n == 3 && !is_half(t.dtype)) return times(times(x, x), x);
  if (*n == 4 && !is_half(t.dtype)) {
    int square = times(x, x);
    return times(square, square);
  }
  if (!is_floating(t.dtype)) return {};
  if (*n == -1) return w.make(reciprocal_p, {}, {x}, t, like);
  if (*n == 0.5 && non_negative(w, x)) return w.make(sqrt_p, {}, {x}, t, like);
  return {};
}

// x * 1 and x * -1. Exact.
Value product_with_one(GraphWriter& w, const Step& s) {
  Dtype t = s.types[0].dtype;
  if (is_complex(t)) return {};
  for (size_t k = 0; k < 2; ++k) {
    if (is_number(w, s.in[k], 1)) return s.in[1 - k];
    if (!is_bool(t) && is_number(w, s.in[k], -1)) return w.make(negative_p, {}, {s.in[1 - k]}, s.types[0], Step(s));
  }
  return {};
}

// x / 1, and x / 2^k as a product. Exact: both round the same number.
Value quotient_by_power_of_two(GraphWriter& w, const Step& s) {
  Dtype t = s.types[0].dtype;
  std::optional<double> n = w.number(s.in[1]);
  if (!n || !is_floating(t)) return {};
  if (*n == 1) return s.in[0];
  int exponent;
  if (std::abs(std::frexp(*n, &exponent)) != 0.5 || std::abs(exponent) > (t == Dtype::float16 ? 12 : 100)) return {};
  return w.make(multiply_p, {}, {s.in[0], w.filled(1 / *n, w.type(s.in[1]))}, s.types[0], Step(s));
}

// x + -0.0 (not + 0.0, which makes 0 of -0), x + 0 of integers, x + -y. Exact.
Value sum_with_zero(GraphWriter& w, const Step& s) {
  Dtype t = s.types[0].dtype;
  if (is_bool(t)) return {};
  for (size_t k = 0; k < 2; ++k) {
    if (!is_complex(t) && is_number(w, s.in[k], is_integer(t) ? 0.0 : -0.0)) return s.in[1 - k];
  }
  for (size_t k = 0; k < 2; ++k) {
    const Step* minus = w.maker(s.in[k], negative_p);
    if (minus) return w.make(subtract_p, {}, {s.in[1 - k], minus->in[0]}, s.types[0], Step(s));
  }
  return {};
}

// x - 0 (of either kind: -0 - 0 is -0) and x - -y. Exact.
Value difference_with_zero(GraphWriter& w, const Step& s) {
  Dtype t = s.types[0].dtype;
  if (!is_complex(t) && is_number(w, s.in[1], 0.0)) return s.in[0];
  if (const Step* minus = w.maker(s.in[1], negative_p)) return w.make(add_p, {}, {s.in[0], minus->in[0]}, s.types[0], Step(s));
  return {};
}

// What undoes itself: negative, logical_not, bitwise_invert, conjugate. Exact.
Value twice(GraphWriter& w, const Step& s) {
  const Step* inner = w.maker(s.in[0], *s.primitive);
  return inner ? Value(inner->in[0]) : Value();
}

// select with a constant condition, or two equal choices. Exact.
Value known_choice(GraphWriter& w, const Step& s) {
  if (s.in[1] == s.in[2]) return s.in[1];
  std::optional<double> condition = w.number(s.in[0]);
  if (!condition) return {};
  return *condition != 0 ? s.in[1] : s.in[2];
}

// ---- reductions of what a broadcast repeated

// max and min are exact; a sum of n equal terms is a product, with one rounding.
Value reduced_broadcast(GraphWriter& w, const Step& s) {
  const Step* broadcast = w.maker(s.in[0], broadcast_p);
  const Type &out = s.types[0], &full = w.type(s.in[0]);
  if (!broadcast || full.dtype != out.dtype || is_half(out.dtype)) return {};
  int x = broadcast->in[0];
  const Type& from = w.type(x);
  size_t lead = full.shape.size() - from.shape.size();
  const auto& p = s.params.get<ReduceParams>();
  int64_t n = 1;
  std::vector<bool> gone(full.shape.size());
  for (int axis : p.axes) {
    auto a = static_cast<size_t>(axis);
    bool repeated = a < lead || (from.shape[a - lead] == 1 && full.shape[a] != 1);
    if (!repeated) return {};
    n *= full.shape[a];
    gone[a] = true;
  }
  if (n == 0 || (out.dtype == Dtype::float32 && n > (1 << 24)) || (s.primitive == &sum_p && is_complex(out.dtype))) return {};
  // The remaining axes of x, and those that the broadcast still has to repeat.
  Shape kept;
  for (size_t a = lead; a < full.shape.size(); ++a) {
    if (!gone[a] || p.keepdims) kept.push_back(from.shape[a - lead]);
  }
  Step like(s);
  Type small{from.dtype, kept};
  if (from.shape != kept) x = w.make(reshape_p, ShapeParams{kept}, {x}, small, like);
  if (kept != like.types[0].shape) x = w.make(broadcast_p, ShapeParams{like.types[0].shape}, {x}, like.types[0], like);
  if (like.primitive != &sum_p) return x;
  if (n > 1) x = w.make(multiply_p, {}, {x, w.filled(static_cast<double>(n), like.types[0])}, like.types[0], like);
  // Sums begin with 0, so that one of -0 is 0.
  return is_floating(like.types[0].dtype) ? w.make(add_p, {}, {x, w.filled(0, like.types[0])}, like.types[0], like) : x;
}

}  // namespace

std::span<const Rewrite> rewrites() {
  static const std::vector<Rewrite> list = {
      {"markers", {&marker_p}, pass_on, true},
      {"stop_gradient", {&stop_gradient_p}, pass_on},
      {"constants", {}, fold},
      {"cast_of_cast", {&astype_p}, cast_of_cast},
      {"transpose_of_transpose", {&transpose_p}, transpose_of_transpose},
      {"reshape_of_reshape", {&reshape_p}, reshape_of_reshape},
      {"broadcast_of_broadcast", {&broadcast_p}, broadcast_of_broadcast},
      {"small_power", {&power_p}, small_power},
      {"product_with_one", {&multiply_p}, product_with_one},
      {"quotient_by_power_of_two", {&divide_p}, quotient_by_power_of_two},
      {"sum_with_zero", {&add_p}, sum_with_zero},
      {"difference_with_zero", {&subtract_p}, difference_with_zero},
      {"twice", {&negative_p, &logical_not_p, &bitwise_invert_p, &conjugate_p}, twice},
      {"known_choice", {&select_p}, known_choice},
      {"reduced_broadcast", {&sum_p, &max_p, &min_p}, reduced_broadcast},
      {"product_and_sum", {}, nullptr},
  };
  return list;
}

namespace {

std::atomic<uint32_t> switched_off{0};

uint32_t bit(const Rewrite& r) { return 1u << (&r - rewrites().data()); }

}  // namespace

std::span<const Rewrite* const> rewrites_of(const Primitive& p) {
  static const std::vector<const Rewrite*> general = [] {
    std::vector<const Rewrite*> list;
    for (const Rewrite& r : rewrites()) {
      if (r.of.empty() && r.apply) list.push_back(&r);
    }
    return list;
  }();
  static const std::vector<std::vector<const Rewrite*>> by_id = [] {
    std::vector<std::vector<const Rewrite*>> table;
    for (const Rewrite& r : rewrites()) {
      for (const Primitive* of : r.of) {
        auto id = static_cast<size_t>(of->id);
        if (table.size() <= id) table.resize(id + 1);
        table[id].push_back(&r);
      }
    }
    for (auto& list : table) {
      if (!list.empty()) list.insert(list.end(), general.begin(), general.end());
    }
    return table;
  }();
  auto id = static_cast<size_t>(p.id);
  return id < by_id.size() && !by_id[id].empty() ? by_id[id] : general;
}

void enable_rewrite(std::string_view name, bool on) {
  for (const Rewrite& r : rewrites()) {
    if (r.name != name) continue;
    if (on) switched_off &= ~bit(r);
    else switched_off |= bit(r);
    return;
  }
  throw ValueError(cat("[rewrite] there is none called ", name, "."));
}

bool rewrite_enabled(const Rewrite& r) { return !(switched_off.load(std::memory_order_relaxed) & bit(r)); }

// float32 and float64 only: in narrower types the product is rounded before the sum. Where elementwise operations follow,
// the sum runs with them in one pass anyway.
void join_products_and_sums(Subgraph& g) {
  const Rewrite& self = rewrites().back();
  if (!rewrite_enabled(self)) return;
  std::vector<int> uses(static_cast<size_t>(g.n_slots)), maker(uses.size(), -1), elementwise_uses(uses.size());
  bool any = false;
  for (size_t s = 0; s < g.steps.size(); ++s) {
    const Step& step = g.steps[s];
    for (int i : step.in) {
      ++uses[static_cast<size_t>(i)];
      elementwise_uses[static_cast<size_t>(i)] += step.primitive->kind == Kind::elementwise;
    }
    for (int o : step.out) maker[static_cast<size_t>(o)] = static_cast<int>(s);
    any |= step.primitive == &matmul_p;
  }
  if (!any) return;
  for (int o : g.outputs) ++uses[static_cast<size_t>(o)];
  std::vector<bool> gone(g.steps.size());
  for (Step& s : g.steps) {
    Dtype t = s.types[0].dtype;
    if (s.primitive != &add_p || (t != Dtype::float32 && t != Dtype::float64) || elementwise_uses[static_cast<size_t>(s.out[0])]) continue;
    for (size_t k = 0; k < 2; ++k) {
      int m = maker[static_cast<size_t>(s.in[k])];
      if (m < 0 || g.steps[static_cast<size_t>(m)].primitive != &matmul_p || uses[static_cast<size_t>(s.in[k])] != 1 || s.in[0] == s.in[1]) continue;
      const Step& product = g.steps[static_cast<size_t>(m)];
      if (product.stream != s.stream) continue;
      // An addend that is elementwise work joins that instead.
      int c = s.in[1 - k], by = maker[static_cast<size_t>(c)];
      if (by >= 0 && g.steps[static_cast<size_t>(by)].primitive->kind == Kind::elementwise) continue;
      s.primitive = &addmm_p;
      s.params = AddmmParams{};
      s.in = {product.in[0], product.in[1], c};
      gone[static_cast<size_t>(m)] = true;
      break;
    }
  }
  size_t at = 0;
  std::erase_if(g.steps, [&](const Step&) { return gone[at++]; });
}

}  // namespace mx
