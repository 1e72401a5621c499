// fuse_open.cpp — composites as the simple steps that fusion knows. Half types are computed in float32. The norms of mx.fast stay
// whole: their kernels pass memory less often than a program would. Start at open_composites().

#include <algorithm>
#include <bit>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "base/half.h"
#include "compile/fuse.h"
#include "ops/cast_params.h"
#include "ops/composite_params.h"
#include "ops/movement_params.h"
#include "ops/reduce_params.h"

namespace mx {

namespace {

class Opener {
 public:
  Opener(Subgraph& g, Numbers& numbers) : g_(g), numbers_(numbers), types_(static_cast<size_t>(g.n_slots)) {
    size_t slot = 0;
    for (const Type& t : g.input_types) types_[slot++] = t;
    for (const Type& t : g.captured_types) types_[slot++] = t;
    for (const Step& s : g.steps) {
      for (size_t k = 0; k < s.out.size(); ++k) types_[static_cast<size_t>(s.out[k])] = s.types[k];
    }
  }

  void run() {
    std::vector<Step> old = std::move(g_.steps);
    for (Step& s : old) {
      first_ = steps_.size();
      like_ = &s;
      if (!opened(s)) steps_.push_back(std::move(s));
    }
    g_.steps = std::move(steps_);
    g_.n_slots = static_cast<int>(types_.size());
  }

 private:
  const Type& type(int slot) const { return types_[static_cast<size_t>(slot)]; }
  const Shape& shape(int slot) const { return type(slot).shape; }

  int new_slot(Type t) {
    types_.push_back(std::move(t));
    return static_cast<int>(types_.size()) - 1;
  }

  static size_t hash(const Primitive& p, const std::vector<int>& in) {
    size_t h = detail::mix(7, static_cast<size_t>(p.id));
    for (int i : in) h = detail::mix(h, static_cast<size_t>(i));
    return h;
  }

  int emit(const Primitive& p, Params params, std::vector<int> in, Type t) {
    size_t h = hash(p, in);
    auto [first, last] = made_.equal_range(h);
    for (auto m = first; m != last; ++m) {
      const Step& s = steps_[m->second];
      if (s.primitive == &p && s.in == in && s.stream == like_->stream && s.params == params && s.types[0] == t) return s.out[0];
    }
    made_.emplace(h, steps_.size());
    int slot = new_slot(t);
    steps_.push_back({&p, std::move(params), like_->stream, std::move(in), {slot}, {std::move(t)}, like_->origin});
    return slot;
  }

  int number(double x, const Type& t) {
    Constant c{t.dtype, 0};
    if (t.dtype == Dtype::float64) {
      c.bits = std::bit_cast<uint64_t>(x);
    } else {
      c.bits = std::bit_cast<uint32_t>(static_cast<float>(x));
    }
    for (const auto& [slot, n] : numbers_) {
      if (n.first == c && n.second == t) return slot;
    }
    int slot = new_slot(t);
    numbers_.emplace(slot, std::pair(c, t));
    return slot;
  }

  int unary(UnaryOp op, int a) {
    const Primitive& p = elementwise_primitive(op);
    return emit(p, {}, {a}, {result_dtype(op, type(a).dtype), shape(a)});
  }
  int binary(BinaryOp op, int a, int b) {
    // Values per row count for their row.
    if (shape(a) != shape(b)) {
      if (n_elems(shape(a)) < n_elems(shape(b))) a = broadcast(a, shape(b));
      else b = broadcast(b, shape(a));
    }
    return emit(elementwise_primitive(op), {}, {a, b}, {result_dtype(op, type(a).dtype), shape(a)});
  }
  int add(int a, int b) { return binary(BinaryOp::add, a, b); }
  int subtract(int a, int b) { return binary(BinaryOp::subtract, a, b); }
  int cast(int a, Dtype t) { return type(a).dtype == t ? a : emit(astype_p, CastParams{t}, {a}, {t, shape(a)}); }
  int broadcast(int a, const Shape& to) { return shape(a) == to ? a : emit(broadcast_p, ShapeParams{to}, {a}, {type(a).dtype, to}); }
  int reshape(int a, const Shape& to) { return shape(a) == to ? a : emit(reshape_p, ShapeParams{to}, {a}, {type(a).dtype, to}); }

  // Over axes, which stay with length 1.
  int reduce(const Primitive& p, int a, const Axes& axes) {
    Shape s(shape(a));
    for (int axis : axes) s[static_cast<size_t>(axis)] = 1;
    return emit(p, ReduceParams{axes, true}, {a}, {type(a).dtype, s});
  }

  // The slot `value` becomes output k of the composite.
  void finish(int value, size_t k) {
    int slot = like_->out[k];
    Type t = like_->types[k];
    value = reshape(cast(value, t.dtype), t.shape);
    size_t i = steps_.size();
    while (i > first_ && steps_[i - 1].out[0] != value) --i;
    if (i == first_ || results_.contains(value)) {
      // It was there before: seen under the other name.
      steps_.push_back({&reshape_p, ShapeParams{t.shape}, like_->stream, {value}, {slot}, {t}, like_->origin});
      return;
    }
    steps_[i - 1].out[0] = slot;
    // Others do not share it: an output may be gone before they read it.
    auto [first, last] = made_.equal_range(hash(*steps_[i - 1].primitive, steps_[i - 1].in));
    auto mine = std::find_if(first, last, [&](const auto& entry) { return entry.second == i - 1; });
    if (mine != last) made_.erase(mine);
    for (; i < steps_.size(); ++i) std::replace(steps_[i].in.begin(), steps_[i].in.end(), value, slot);
    results_.insert(slot);
  }

  static bool last_axes(const Axes& axes, const Shape& shape) {
    return !axes.empty() && axes.back() == static_cast<int>(shape.size()) - 1 && axes.back() - axes.front() + 1 == static_cast<int>(axes.size());
  }
  static Dtype wide(Dtype t) { return t == Dtype::float64 ? t : Dtype::float32; }

  bool opened(const Step& s) {
    const Primitive* p = s.primitive;
    if (p == &softmax_p || p == &logsumexp_p) {
      const Axes& axes = s.params.get<ReduceParams>().axes;
      if (!is_floating(type(s.in[0]).dtype) || n_elems(shape(s.in[0])) == 0 || !last_axes(axes, shape(s.in[0]))) return false;
      p == &softmax_p ? softmax(s, axes) : logsumexp(s, axes);
      return true;
    }
    return false;
  }

  void softmax(const Step& s, const Axes& axes) {
    int x = cast(s.in[0], wide(type(s.in[0]).dtype));
    int e = unary(UnaryOp::exp, subtract(x, reduce(max_p, x, axes)));
    finish(binary(BinaryOp::divide, e, reduce(sum_p, e, axes)), 0);
  }

  // Measured from the largest element, but from 0 if that is not finite: then the sum is 0, infinite or NaN as it should be.
  void logsumexp(const Step& s, const Axes& axes) {
    int x = cast(s.in[0], wide(type(s.in[0]).dtype));
    int top = reduce(max_p, x, axes);
    const Type& row = type(top);
    int from = emit(elementwise_primitive(TernaryOp::select), {}, {unary(UnaryOp::isfinite, top), top, number(0, Type(row))}, Type(row));
    int total = reduce(sum_p, unary(UnaryOp::exp, subtract(x, from)), axes);
    finish(add(unary(UnaryOp::log, total), from), 0);
  }

  Subgraph& g_;
  Numbers& numbers_;
  std::deque<Type> types_;
  std::vector<Step> steps_;
  std::unordered_multimap<size_t, size_t> made_;  // Steps that composites were opened into, by hash.
  std::unordered_set<int> results_;  // Slots of composites' outputs.
  size_t first_ = 0;           // The first step of the composite being opened.
  const Step* like_ = nullptr;
};

}  // namespace

void open_composites(Subgraph& g, Numbers& numbers) { Opener(g, numbers).run(); }

}  // namespace mx
