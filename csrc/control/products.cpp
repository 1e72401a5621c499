#include "control/products.h"

#include <algorithm>

#include "compile/compile.h"
#include "ops/elementwise_params.h"
#include "ops/matmul.h"
#include "ops/matmul_params.h"
#include "ops/movement.h"
#include "ops/movement_params.h"

namespace mx {

namespace {

// How much larger than the xs the further ys may be.
constexpr int64_t kMoreMemory = 2;

class Taking {
 public:
  Taking(Subgraph& g, size_t n_carry, size_t n_x) : g_(g), n_carry_(n_carry), n_x_(n_x) {
    made_by_.resize(static_cast<size_t>(g.n_slots), nullptr);
    n_reads_.resize(static_cast<size_t>(g.n_slots), 0);
    for (const Step& s : g.steps) {
      for (int o : s.out) made_by_[static_cast<size_t>(o)] = &s;
      for (int i : s.in) ++n_reads_[static_cast<size_t>(i)];
    }
    for (int o : g.outputs) ++n_reads_[static_cast<size_t>(o)];
    for (size_t i = 0; i < n_x; ++i) allowed_ += kMoreMemory * elems(static_cast<int>(n_carry + i));
  }

  std::optional<SummedProduct> take(size_t carry) {
    const Step* sum = maker(g_.outputs[carry]);
    auto before = static_cast<int>(carry);
    if (!sum || sum->primitive != &add_p || !once(g_.outputs[carry]) || !once(before)) return std::nullopt;
    if (sum->in[0] != before && sum->in[1] != before) return std::nullopt;
    int added = sum->in[0] == before ? sum->in[1] : sum->in[0];
    const Step* product = maker(added);
    if (!product || product->primitive != &matmul_p || product->types[0].shape.size() != 2 || !once(added)) return std::nullopt;
    int a = product->in[0], b = product->in[1];
    const Step* turn = maker(a);
    bool transposed = turn && turn->primitive == &transpose_p && turn->params.get<TransposeParams>().axes[0] == 1;
    if (transposed) a = turn->in[0];
    // What does not change from step to step has no stack.
    if (!changes(a) || !changes(b)) return std::nullopt;
    int64_t more = (is_x(a) || find_y(a) ? 0 : elems(a)) + (find_y(b) ? 0 : elems(b));
    if (more > allowed_) return std::nullopt;
    allowed_ -= more;
    SummedProduct p{carry, transposed, stack(b), 0, is_x(a)};
    p.a = p.from_x ? static_cast<size_t>(a) - n_carry_ : stack(a);
    return p;
  }

 private:
  const Step* maker(int slot) const { return made_by_[static_cast<size_t>(slot)]; }
  bool once(int slot) const { return n_reads_[static_cast<size_t>(slot)] == 1; }
  bool is_x(int slot) const { return slot >= static_cast<int>(n_carry_) && slot < static_cast<int>(n_carry_ + n_x_); }
  bool changes(int slot) const { return is_x(slot) || maker(slot); }
  int64_t elems(int slot) const {
    const Step* s = maker(slot);
    if (!s) return n_elems(g_.input_types[static_cast<size_t>(slot)].shape);
    auto k = static_cast<size_t>(std::find(s->out.begin(), s->out.end(), slot) - s->out.begin());
    return n_elems(s->types[k].shape);
  }
  std::optional<size_t> find_y(int slot) const {
    for (size_t k = n_carry_; k < g_.outputs.size(); ++k) {
      if (g_.outputs[k] == slot) return k - n_carry_;
    }
    return std::nullopt;
  }
  size_t stack(int slot) {
    if (auto y = find_y(slot)) return *y;
    g_.outputs.push_back(slot);
    return g_.outputs.size() - 1 - n_carry_;
  }

  Subgraph& g_;
  size_t n_carry_, n_x_;
  std::vector<const Step*> made_by_;
  std::vector<int> n_reads_;
  int64_t allowed_ = 0;
};

}  // namespace

std::vector<SummedProduct> take_products(Traced& step, size_t n_carry, size_t n_x, size_t first) {
  Subgraph& g = step.graph;
  std::vector<SummedProduct> found;
  Taking taking(g, n_carry, n_x);
  for (size_t carry = first; carry < n_carry; ++carry) {
    if (auto p = taking.take(carry)) found.push_back(*p);
  }
  if (found.empty()) return found;
  std::vector<int> gone;
  for (size_t k = found.size(); k-- > 0;) g.outputs.erase(g.outputs.begin() + static_cast<ptrdiff_t>(found[k].carry));
  drop_dead_steps(g);
  for (const SummedProduct& p : found) gone.push_back(static_cast<int>(p.carry));
  for (size_t k = found.size(); k-- > 0;) g.input_types.erase(g.input_types.begin() + static_cast<ptrdiff_t>(found[k].carry));
  drop_slots(g, gone);
  return found;
}

array summed_product(const SummedProduct& p, const array& a, const array& b) {
  auto rows = [](const array& x) { return reshape(x, {x.shape(0) * x.shape(1), x.shape(2)}); };
  if (p.transposed) return matmul(transpose(rows(a)), rows(b));
  array across = moveaxis(a, 0, 1);
  return matmul(reshape(across, {across.shape(0), across.shape(1) * across.shape(2)}), rows(b));
}

}  // namespace mx
