// primitive.h — the record that says all there is to know about an operation, rules side by side.
//
// A primitive is made once, at namespace scope, by define<P>({...}) with P the struct of its parameters:
//
//   const Primitive sum_p = define<ReduceParams>({
//       .name = "sum",
//       .infer = [](auto& p, const Call& c) { return ...; },
//       .jvp  = [](auto& p, const Call&, int, const array& t) { return sum(t, p.axes); },
//       .vjp  = [](auto&, const Call& c, int, const array& ct) { return broadcast_to(ct, ...); },
//       .vmap = [](auto& p, const Batch& b) { return sum(b.in(0), shift(p.axes)); },
//   });
//
// Rules speak of one input at a time; the engine sums, moves batch axes to 0, and calls a rule only for
// inputs that carry something. Write jvp or vjp, whichever is shorter: transforms/derive.cpp finds the
// rest. Rules call public functions only, so every rule can be transformed again.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "graph/array.h"

namespace mx {

/// What a rule sees of the call it works on: primal inputs and outputs as arrays of the graph.
class Call {
 public:
  explicit Call(CallRecord& record) : record_(&record) {}
  const array& in(int i) const { return record_->inputs[static_cast<size_t>(i)]; }
  array out(int k = 0) const { return record_->output(static_cast<uint32_t>(k)); }
  int n_in() const { return static_cast<int>(record_->inputs.size()); }
  int n_out() const { return static_cast<int>(record_->n_out); }
  const SmallVector<array, 3>& inputs() const { return record_->inputs; }
  const Primitive& primitive() const { return *record_->primitive; }
  const Params& params() const { return record_->params; }

 private:
  CallRecord* record_;
};

/// What a vmap rule sees: the inputs with the batch axis in front.
class Batch {
 public:
  Batch(const Call& call, Arrays inputs, std::vector<bool> mapped, int64_t size)
      : call_(call), inputs_(std::move(inputs)), mapped_(std::move(mapped)), size_(size) {}
  /// Input i with its batch axis at 0. An unmapped input is broadcast (a view with stride 0).
  array in(int i) const;
  /// Input i as it came: with a batch axis at 0 if `mapped(i)`, without one if not.
  const array& raw(int i) const { return inputs_[static_cast<size_t>(i)]; }
  bool mapped(int i) const { return mapped_[static_cast<size_t>(i)]; }
  int n_in() const { return static_cast<int>(inputs_.size()); }
  int64_t size() const { return size_; }
  /// Shape of input i of one example.
  const Shape& shape(int i) const { return call_.in(i).shape(); }
  /// The unbatched call.
  const Call& call() const { return call_; }

 private:
  Call call_;
  Arrays inputs_;
  std::vector<bool> mapped_;
  int64_t size_;
};

/// How an output looks into its first input's memory.
struct View {
  Strides strides;
  int64_t offset = 0;  ///< In elements, added to the input's.
};

/// What infer returns: one type, or several.
class Inferred : public Types {
 public:
  Inferred(Type t) : Types{std::move(t)} {}
  Inferred(Types ts) : Types(std::move(ts)) {}
};

/// Which part elementwise fusion and the scheduler may know of a primitive.
enum class Kind : uint8_t {
  general,
  elementwise,  ///< Output i depends on element i of the inputs only; all shapes equal.
  update,       ///< The output is input 0 with some elements changed: it may take over its memory.
};

/// The rules of a primitive whose parameters are a P. Fields not written are derived or absent.
template <class P>
struct Rules {
  std::string_view name;
  /// Types of the outputs from the inputs' types. Required.
  std::function<Inferred(const P&, const Call&)> infer = {};
  /// Tangents of the outputs for tangent `t` of input i, others constant.
  std::function<Outs(const P&, const Call&, int i, const array& t)> jvp = {};
  /// The same for all inputs at once; an undefined tangent is a zero. For calls that share work between inputs.
  std::function<Outs(const P&, const Call&, const Arrays& ts)> push = {};
  /// Cotangent of input i from the cotangents of the outputs (all defined).
  std::function<array(const P&, const Call&, int i, const Outs& ct)> vjp = {};
  /// The same for all inputs at once: one entry per input, undefined where `need` is false or it is a zero.
  std::function<Arrays(const P&, const Call&, const Outs& cts, const std::vector<bool>& need)> pull = {};
  /// The outputs for a batch; each has its batch axis at 0.
  std::function<Outs(const P&, const Batch&)> vmap = {};
  /// The outputs in simpler operations. Then no other rule and no kernel is needed.
  std::function<Outs(const P&, const Call&)> expand = {};
  /// The outputs, computed step by step when the scheduler comes to the call (its inputs are evaluated): for loops,
  /// which must not be unrolled. Outputs that are not `wanted` may stay undefined.
  std::function<Outs(const P&, const Call&, const std::vector<bool>& wanted)> run = {};
  /// When the output is the first input's memory seen otherwise; nullopt if these strides do not allow it
  /// (then a kernel copies). The input is evaluated.
  std::function<std::optional<View>(const P&, const array& in, const Shape& out)> view = {};
  /// False: no derivative exists (integers, comparisons, indices); tangents are zeros.
  bool differentiable = true;
  /// Inputs from `first_index_input` on are indices, keys or masks without a derivative; -1: none.
  int first_index_input = -1;
  Kind kind = Kind::general;
};

/// Rules with the parameters erased: what the engine calls.
struct Primitive {
  std::string_view name;
  int id;  ///< Unique, dense: index into kernel tables.
  std::function<Inferred(const Params&, const Call&)> infer = {};
  std::function<Outs(const Params&, const Call&, int, const array&)> jvp = {};
  std::function<Outs(const Params&, const Call&, const Arrays&)> push = {};
  std::function<array(const Params&, const Call&, int, const Outs&)> vjp = {};
  std::function<Arrays(const Params&, const Call&, const Outs&, const std::vector<bool>&)> pull = {};
  std::function<Outs(const Params&, const Batch&)> vmap = {};
  std::function<Outs(const Params&, const Call&)> expand = {};
  std::function<Outs(const Params&, const Call&, const std::vector<bool>&)> run = {};
  std::function<std::optional<View>(const Params&, const array&, const Shape&)> view = {};
  /// Makes the parameters from data, for files.
  Params (*from_field)(const Field&) = nullptr;
  bool differentiable = true;
  int first_index_input = -1;
  Kind kind = Kind::general;

  /// True if input i can carry a tangent at all.
  bool differentiable_in(int i) const {
    return differentiable && (first_index_input < 0 || i < first_index_input);
  }
};

int next_primitive_id();

template <class P>
Primitive define(Rules<P> r) {
  Primitive p{.name = r.name, .id = next_primitive_id()};
  if (r.infer) p.infer = [f = std::move(r.infer)](const Params& p, const Call& c) { return f(p.get<P>(), c); };
  if (r.jvp) p.jvp = [f = std::move(r.jvp)](const Params& p, const Call& c, int i, const array& t) { return f(p.get<P>(), c, i, t); };
  if (r.push) p.push = [f = std::move(r.push)](const Params& p, const Call& c, const Arrays& t) { return f(p.get<P>(), c, t); };
  if (r.vjp) p.vjp = [f = std::move(r.vjp)](const Params& p, const Call& c, int i, const Outs& ct) { return f(p.get<P>(), c, i, ct); };
  if (r.pull) p.pull = [f = std::move(r.pull)](const Params& p, const Call& c, const Outs& ct, const std::vector<bool>& need) { return f(p.get<P>(), c, ct, need); };
  if (r.vmap) p.vmap = [f = std::move(r.vmap)](const Params& p, const Batch& b) { return f(p.get<P>(), b); };
  if (r.expand) p.expand = [f = std::move(r.expand)](const Params& p, const Call& c) { return f(p.get<P>(), c); };
  if (r.run) p.run = [f = std::move(r.run)](const Params& p, const Call& c, const std::vector<bool>& wanted) { return f(p.get<P>(), c, wanted); };
  if (r.view) p.view = [f = std::move(r.view)](const Params& p, const array& in, const Shape& out) { return f(p.get<P>(), in, out); };
  p.differentiable = r.differentiable;
  p.first_index_input = r.first_index_input;
  p.kind = r.kind;
  p.from_field = &Params::from_field<P>;
  return p;
}

}  // namespace mx
