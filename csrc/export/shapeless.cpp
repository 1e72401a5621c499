// shapeless.cpp — learning how a function's graph follows the sizes of its inputs. Which axes may change, and which only
// together, is found in axes.cpp; the rule for one number in fit.cpp; for which sizes the rules hold in range.cpp. Start at
// trace_shapeless().

#include "export/shapeless.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "export/axes.h"
#include "export/fit.h"
#include "export/range.h"
#include "export/sample.h"
#include "ops/cast.h"
#include "runtime/eval.h"

namespace mx::exporting {

namespace {

// ---- rules for numbers

// Thrown when the trace of the example is not among those that were learnt.
struct UnlikeExample {};

class Learner {
 public:
  Learner(const Probe& r, const std::vector<int64_t>& start)
      : r_(r), n_symbols_(start.size()), example_(example_sizes(r, static_cast<int>(start.size()))), base_(r.run(start)) {
    for (size_t s = 0; s < n_symbols_; ++s) {
      auto axis = std::find_if(r.axes.begin(), r.axes.end(), [&](const Axis& a) { return a.symbol == static_cast<int>(s); });
      first_axis_.push_back(static_cast<size_t>(axis - r.axes.begin()));
    }
  }

  FunctionTrace run() {
    if (!base_) refuse("it cannot be traced with all axes that may change changed at once");
    samples_.push_back(*base_);
    sample();
    FunctionTrace t;
    t.graph = base_->graph;
    t.captured = base_->captured;
    t.sizes.emplace();
    for (const Axis& a : r_.axes) {
      while (t.sizes->axes.size() <= a.input) t.sizes->axes.emplace_back();
      t.sizes->axes[a.input].push_back(a.symbol);
    }
    t.sizes->axes.resize(static_cast<size_t>(t.graph.n_inputs()));
    t.sizes->symbols.resize(n_symbols_);
    fit(t);
    confirm(t);
    find_range(r_, *base_, t);
    std::optional<Sample> example = r_.run(example_);
    bool inside = true;
    for (size_t s = 0; s < n_symbols_; ++s) inside &= example_[s] >= t.sizes->symbols[s].least && example_[s] <= t.sizes->symbols[s].most;
    if (!inside || !example || !agrees(t, *base_, *example)) throw UnlikeExample();
    return t;
  }

 private:
  int64_t random(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  // Programs divide sizes, round them, and look at what is left: so sizes of all kinds.
  enum Manner { any, multiples, coprime, powers, beside_powers };

  int64_t draw(Manner manner, int64_t e, int64_t most) {
    switch (manner) {
      case multiples: return e * random(e > 1 ? 1 : 2, std::max<int64_t>(most / e, 4));
      case coprime:
        for (int attempt = 0; attempt < 50; ++attempt) {
          int64_t n = random(std::max<int64_t>(e, 7), e + most + 7);
          if (n % 2 && n % 3 && n % 5 && n % 7) return n;
        }
        return 2 * e + 1;
      case powers:
      case beside_powers: {
        int64_t n = 2;
        while (n < e + 1) n *= 2;
        n <<= random(0, 4);
        return manner == powers ? n : n + (random(0, 1) ? 1 : -1);
      }
      default: return random(std::max<int64_t>(e, 2), e + most);
    }
  }

  // Different sizes for different symbols.
  std::vector<int64_t> draw(Manner manner, int64_t most) {
    std::vector<int64_t> sizes;
    for (size_t s = 0; s < n_symbols_; ++s) {
      int64_t n = 0;
      for (int attempt = 0; attempt < 20; ++attempt) {
        n = draw(manner, std::max<int64_t>(base_->sizes[s], 1), most);
        if (std::find(sizes.begin(), sizes.end(), n) == sizes.end()) break;
      }
      sizes.push_back(n);
    }
    return sizes;
  }

  // One more trace, which must be like the first.
  bool add(std::vector<int64_t> sizes) {
    std::optional<Sample> s = r_.run(sizes);
    if (!s) return false;
    if (std::optional<std::string> d = difference(*base_, *s)) refuse(cat(*d, " depends on the sizes of the inputs"));
    samples_.push_back(std::move(*s));
    return true;
  }

  void sample() {
    // Near the base first: rules that only hold for large sizes are noticed when the range is tested.
    for (size_t s = 0; s < n_symbols_; ++s) {
      int found = 0;
      for (int64_t n : other_sizes(base_->sizes[s])) {
        if (n < base_->sizes[s]) continue;
        std::vector<int64_t> sizes(base_->sizes);
        sizes[s] = n;
        found += add(sizes);
        if (found == 2) break;
      }
    }
    size_t want = samples_.size() + 12 + n_symbols_;
    constexpr Manner manners[] = {any, multiples, coprime};
    for (int attempt = 0; attempt < 60 && samples_.size() < want; ++attempt) add(draw(manners[attempt % 3], attempt < 30 ? 40 : 12));
    if (samples_.size() < 4) refuse("it can be traced at too few sizes to learn from");
  }

  Fitter fitter() const {
    std::vector<Fitter::Symbol> symbols;
    for (size_t s = 0; s < n_symbols_; ++s) {
      const Axis& a = r_.axes[first_axis_[s]];
      Values v;
      for (const Sample& x : samples_) v.push_back(x.sizes[s]);
      symbols.push_back({std::move(v), static_cast<int>(a.input), static_cast<int>(a.axis)});
    }
    return Fitter(std::move(symbols));
  }

  void learn_sizes(Fitter& f, int slot) const {
    size_t at = static_cast<size_t>(slot);
    for (size_t k = 0; k < base_->slots[at].size(); ++k) {
      Values v;
      for (const Sample& x : samples_) v.push_back(x.slots[at][k]);
      f.add(slot, static_cast<int>(k), v);
    }
  }

  // Rules for all numbers that differ between traces. Once more with consecutive sizes if something may be rounded.
  void fit(FunctionTrace& t) {
    std::string why;
    if (try_fit(t, why)) return;
    if (std::exchange(has_consecutive_, true)) refuse(why);
    for (size_t s = 0; s < n_symbols_; ++s) {
      for (int64_t n = std::max<int64_t>(base_->sizes[s], 2), end = n + kMostSmall; n < end; ++n) {
        std::vector<int64_t> sizes(base_->sizes);
        sizes[s] = n;
        add(sizes);
      }
    }
    if (!try_fit(t, why)) refuse(why);
  }

  bool try_fit(FunctionTrace& t, std::string& why) {
    t.sizes->holes.clear();
    t.sizes->constants.clear();
    Fitter f = fitter();
    int n_outside = t.graph.n_inputs() + static_cast<int>(t.captured.size());
    for (int slot = 0; slot < t.graph.n_inputs(); ++slot) learn_sizes(f, slot);
    for (size_t i = 0; i < t.captured.size(); ++i) {
      if (!fit_constant(f, t, i)) {
        why = cat("a constant that ", user_of(t.graph, t.graph.n_inputs() + static_cast<int>(i)), " uses depends on the sizes of the inputs");
        return false;
      }
    }
    int slot = n_outside;
    size_t next = 0;
    for (size_t k = 0; k < t.graph.steps.size(); ++k) {
      const Step& s = t.graph.steps[k];
      for (; next < base_->numbers.size() && base_->numbers[next].step == static_cast<int>(k); ++next) {
        if (!fit_number(f, t, s, next)) {
          why = cat("a number of the operation ", s.primitive->name, " does not follow the sizes of the inputs by a simple rule");
          return false;
        }
      }
      for (size_t i = 0; i < s.out.size(); ++i) learn_sizes(f, slot++);
    }
    return true;
  }

  bool fit_number(const Fitter& f, FunctionTrace& t, const Step& s, size_t i) {
    const Number& first = base_->numbers[i];
    if (first.real) {
      std::vector<double> v;
      bool varies = false;
      for (const Sample& x : samples_) {
        v.push_back(x.numbers[i].x);
        varies |= std::bit_cast<uint64_t>(v.back()) != std::bit_cast<uint64_t>(v[0]);
      }
      if (!varies) return true;
      auto rule = f.real(v, [&](size_t k, double x) { return x == v[k]; });
      if (rule) t.sizes->holes.push_back({first.step, first.place, std::move(*rule)});
      return rule.has_value();
    }
    Values v;
    for (const Sample& x : samples_) v.push_back(x.numbers[i].n);
    if (std::all_of(v.begin(), v.end(), [&](int64_t n) { return n == v[0]; })) return true;
    std::vector<std::vector<Shape>> shapes;
    for (const Sample& x : samples_) {
      shapes.emplace_back();
      for (int in : s.in) shapes.back().push_back(x.slots[static_cast<size_t>(in)]);
    }
    auto rule = f.integer(v, s.in, shapes);
    if (rule) t.sizes->holes.push_back({first.step, first.place, Scaled{Scaled::times, 1, std::move(*rule)}});
    return rule.has_value();
  }

  bool fit_constant(const Fitter& f, FunctionTrace& t, size_t i) {
    Type type = base_->captured[i].type();
    bool varies = false;
    for (const Sample& x : samples_) varies |= !same_value(base_->captured[i], x.captured[i]);
    if (!varies) return true;
    // The values as numbers, and as they are.
    int64_t n = n_elems(type.shape);
    std::vector<array> numbers, plain;
    for (const Sample& x : samples_) {
      plain.push_back(contiguous(x.captured[i]).eval());
      numbers.push_back(contiguous(astype(plain.back(), Dtype::float64)).eval());
    }
    size_t size = size_of(type.dtype);
    for (int64_t e = 0; e < n; ++e) {
      auto bytes = [&](size_t k) { return plain[k].bytes() + static_cast<size_t>(e) * size; };
      std::vector<double> v;
      bool same = true;
      for (size_t k = 0; k < samples_.size(); ++k) {
        v.push_back(numbers[k].data<double>()[e]);
        same &= std::memcmp(bytes(k), bytes(0), size) == 0;
      }
      if (same) continue;
      auto rule = f.real(v, [&](size_t k, double x) {
        if (!std::isfinite(x) || (is_integer(type.dtype) && std::abs(x - v[k]) > 0.5)) return false;
        uint64_t bits = element_bits(x, type.dtype);
        return std::memcmp(bytes(k), &bits, size) == 0;
      });
      if (!rule) return false;
      t.sizes->constants.push_back({static_cast<int>(i), static_cast<int>(e), std::move(*rule)});
    }
    return true;
  }

  // ---- whether the rules hold

  // The rules at sizes that they were not made from. A trace that they do not give is one more to learn from, a few times.
  void confirm(FunctionTrace& t) {
    size_t learnt = 0, before;
    auto holds = [&](std::vector<int64_t> sizes) {
      std::optional<Sample> s = r_.run(sizes);
      if (!s) return false;
      if (agrees(t, *base_, *s)) return true;
      std::optional<std::string> d = difference(*base_, *s);
      if (d || ++learnt > 8) refuse(cat(d.value_or("a number in its graph"), " depends on the sizes of the inputs in another way"));
      samples_.push_back(std::move(*s));
      fit(t);
      return false;
    };
    auto run_of = [&](int64_t first, int64_t last) {
      for (size_t s = 0; s < n_symbols_; ++s) {
        std::vector<int64_t> sizes(base_->sizes);
        for (sizes[s] = std::max(first, sizes[s]); sizes[s] <= last; ++sizes[s]) holds(sizes);
      }
    };
    constexpr Manner manners[] = {any, multiples, coprime, powers, beside_powers};
    constexpr int64_t most[] = {300, 20, 3000};
    do {
      before = learnt;
      for (int attempt = 0, confirmed = 0; attempt < 120 && confirmed < 30; ++attempt) confirmed += holds(draw(manners[attempt % 5], most[attempt % 3]));
      // Every small size, since programs have cases for some.
      run_of(2, kMostSmall);
      // A wrong divisor gives the right numbers near the sizes it was learnt from, but not over one period far away.
      std::vector<int64_t> divisors = divisors_in(*t.sizes);
      for (int64_t q : divisors) run_of(q * q, q * q + q);
    } while (learnt != before);
  }

  static void divisors_in(const Expr& e, std::vector<int64_t>& out) {
    if (e.kind == Expr::floor && e.items[1].kind == Expr::number) out.push_back(e.items[1].a);
    for (const Expr& i : e.items) divisors_in(i, out);
  }
  static std::vector<int64_t> divisors_in(const Sizes& sizes) {
    std::vector<int64_t> out;
    for (const Sizes::Hole& h : sizes.holes) divisors_in(h.value.x, out);
    for (const Sizes::Constant& c : sizes.constants) divisors_in(c.value.x, out);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  const Probe& r_;
  size_t n_symbols_;
  std::vector<int64_t> example_;
  std::vector<size_t> first_axis_;
  std::optional<Sample> base_;
  std::vector<Sample> samples_;
  bool has_consecutive_ = false;
  std::mt19937_64 random_{20240229};
};

}  // namespace

FunctionTrace trace_shapeless(const Function& f, const Types& inputs) {
  Probe runner(f, inputs);
  int n = group_axes(runner);
  std::vector<int64_t> start = start_sizes(runner, n);
  try {
    return Learner(runner, start).run();
  } catch (const UnlikeExample&) {
    // Axes of size 1, which squeeze and broadcasts treat on their own, stay as they are.
    std::vector<int64_t> sizes = example_sizes(runner, n);
    n = keep_symbols(runner, n, [&](int s) { return sizes[static_cast<size_t>(s)] > 1; });
    try {
      return Learner(runner, example_sizes(runner, n)).run();
    } catch (const UnlikeExample&) {
      refuse("its graph at the sizes of the example is unlike that at others");
    }
  }
}

}  // namespace mx::exporting
