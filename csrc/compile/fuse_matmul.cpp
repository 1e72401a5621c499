// fuse_matmul.cpp — elementwise groups take over the product of matrices that they read, such as an activation that of its layer:
// bias, scale, residual sum and activation are then computed of each part of the product while that is in a cache.
//
// A group takes the product over if it is the first to read it, so that all others run later. On the CPU only: other
// devices have no such kernel. Start at products_for().

#include <algorithm>

#include "compile/fuse.h"
#include "ops/matmul_params.h"

namespace mx {

namespace {

constexpr int64_t kFewestColumns = 32;  // Of narrower products a row is too short to be worth a call,
constexpr int64_t kLeastWork = 1 << 20;  // and small ones are still in the cache afterwards. In multiplications.

bool is_product(const Step& s) {
  if (s.primitive != &matmul_p && s.primitive != &addmm_p) return false;
  const Type& t = s.types[0];
  return s.stream.device.kind == Device::cpu && is_floating(t.dtype) && t.shape.back() >= kFewestColumns;
}

class Finder {
 public:
  Finder(const Subgraph& g, const SlotTable& slots, const std::vector<Group>& units, const std::vector<size_t>& of, const std::vector<size_t>& order)
      : g_(g), slots_(slots), units_(units), of_(of), position_(units.size()), first_(static_cast<size_t>(g.n_slots), kNobody), last_(first_.size()), later_(first_.size()) {
    for (size_t p = 0; p < order.size(); ++p) position_[order[p]] = p;
    find_readers();
  }

  std::vector<Product> run() {
    std::vector<Product> found(units_.size());
    for (const Step& s : g_.steps) {
      if (!is_product(s) || n_elems(s.types[0].shape) * slots_.type_of(s.in[0]).shape.back() < kLeastWork) continue;
      auto slot = static_cast<size_t>(s.out[0]);
      size_t unit = first_[slot];
      if (unit == kNobody || !takes(units_[unit], s, later_[slot])) continue;
      // Of several products the last one: the others are there by then.
      found[unit] = {&s, later_[slot]};
    }
    return found;
  }

 private:
  static constexpr size_t kNobody = SIZE_MAX;

  // Of each slot, the unit that reads it first, the position of the last one, and whether others than the first do.
  void find_readers() {
    for (size_t i = 0; i < g_.steps.size(); ++i) {
      size_t unit = of_[i];
      for (int in : g_.steps[i].in) {
        auto slot = static_cast<size_t>(in);
        later_[slot] = later_[slot] || (first_[slot] != kNobody && first_[slot] != unit);
        if (first_[slot] == kNobody || position_[unit] < position_[first_[slot]]) first_[slot] = unit;
        last_[slot] = std::max(last_[slot], position_[unit]);
      }
    }
    for (int o : g_.outputs) {
      later_[static_cast<size_t>(o)] = true;
      last_[static_cast<size_t>(o)] = units_.size();
    }
  }

  bool takes(const Group& group, const Step& product, bool kept) const {
    const Type& type = product.types[0];
    if (group.frame.row_axes != 0 || group.frame.whole != type.shape) return false;
    bool elementwise = std::all_of(group.members.begin(), group.members.end(), [&](size_t m) {
      return is_elementwise(g_.steps[m]) && g_.steps[m].stream == product.stream && g_.steps[m].types[0].shape == type.shape;
    });
    if (!elementwise) return false;
    // The product is computed in the memory of an output.
    return kept || std::any_of(group.members.begin(), group.members.end(), [&](size_t m) { return g_.steps[m].types[0].dtype == type.dtype && leaves(m); });
  }

  // Whether a step's result is read outside its unit: all that do run later.
  bool leaves(size_t step) const { return last_[static_cast<size_t>(g_.steps[step].out[0])] > position_[of_[step]]; }

  const Subgraph& g_;
  const SlotTable& slots_;
  const std::vector<Group>& units_;
  const std::vector<size_t>& of_;
  std::vector<size_t> position_;  // Of each unit, in the order they run.
  std::vector<size_t> first_, last_;
  std::vector<bool> later_;
};

}  // namespace

std::vector<Product> products_for(const Subgraph& g, const SlotTable& slots, const std::vector<Group>& units, const std::vector<size_t>& of,
                                  const std::vector<size_t>& order) {
  if (std::none_of(g.steps.begin(), g.steps.end(), is_product)) return std::vector<Product>(units.size());
  return Finder(g, slots, units, of, order).run();
}

}  // namespace mx
