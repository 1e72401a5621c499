// shapeless.cpp — learning how a function's graph follows the sizes of its inputs. Which axes may change, and which only
// together, is found in axes.cpp; the rule for one number in fit.cpp. Start at trace_shapeless().

#include "export/shapeless.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "export/axes.h"
#include "export/fit.h"
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
    find_range(t);
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
    for (size_t s = 0; s < n_symbols_; ++s) {
      for (int64_t n = std::max<int64_t>(base_->sizes[s], 2), end = n + 34; n < end; ++n) {
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

  // ---- where the rules hold

  enum Verdict { good, bad, unknown };
  static constexpr size_t kMostPoints = 400;

  Verdict test(const FunctionTrace& t, const std::vector<int64_t>& sizes) {
    std::optional<Sample> s = r_.run(sizes);
    return !s ? unknown : agrees(t, *base_, *s) ? good : bad;
  }
  Verdict test(const FunctionTrace& t, size_t symbol, int64_t size) {
    std::vector<int64_t> sizes(base_->sizes);
    sizes[symbol] = size;
    return test(t, sizes);
  }

  // The rules at sizes that they were not made from. A trace that they do not give is one more to learn from, a few times.
  void confirm(FunctionTrace& t) {
    constexpr Manner manners[] = {any, multiples, coprime, powers, beside_powers};
    int learnt = 0;
    for (int attempt = 0, confirmed = 0; attempt < 120 && confirmed < 30; ++attempt) {
      std::optional<Sample> s = r_.run(draw(manners[attempt % 5], attempt % 2 == 0 ? 300 : 20));
      if (!s) continue;
      ++confirmed;
      if (agrees(t, *base_, *s)) continue;
      std::optional<std::string> d = difference(*base_, *s);
      if (d || ++learnt > 5) refuse(cat(d.value_or("a number in its graph"), " depends on the sizes of the inputs in another way"));
      samples_.push_back(std::move(*s));
      fit(t);
      confirmed = 0;
    }
  }

  // From which to which sizes the rules hold, as far as tested.
  void find_range(FunctionTrace& t) {
    for (size_t s = 0; s < n_symbols_; ++s) {
      t.sizes->symbols[s] = {least(t, s), most(t, s)};
    }
    test_together(t);
    // Equal ones.
    for (size_t i = 0; i < n_symbols_; ++i) {
      for (size_t j = 0; j < i; ++j) {
        std::vector<int64_t> sizes(base_->sizes);
        sizes[i] = sizes[j] = std::max(sizes[i], sizes[j]);
        if (test(t, sizes) == bad) refuse("its graph is another one where two sizes are equal");
      }
    }
    std::optional<Sample> example = r_.run(example_);
    bool inside = true;
    for (size_t s = 0; s < n_symbols_; ++s) inside &= example_[s] >= t.sizes->symbols[s].least && example_[s] <= t.sizes->symbols[s].most;
    if (!inside || !example || !agrees(t, *base_, *example)) throw UnlikeExample();
  }

  // What holds for each size alone may not hold for several: max(n * m, 20). Where it does not, the range ends.
  void test_together(FunctionTrace& t) {
    if (n_symbols_ < 2) return;
    std::vector<Sizes::Symbol>& range = t.sizes->symbols;
    std::vector<std::vector<int64_t>> points = small_points(range, false);
    if (points.size() > kMostPoints) points = small_points(range, true);
    if (points.size() > kMostPoints) {
      std::shuffle(points.begin(), points.end(), random_);
      points.resize(kMostPoints);
    }
    int n_cuts = 0;
    for (int good_ones = 0, attempt = 0; !points.empty() || (good_ones < 80 && attempt < 250);) {
      std::vector<int64_t> sizes;
      if (points.empty()) {
        ++attempt;
        for (size_t s = 0; s < n_symbols_; ++s) sizes.push_back(draw_in(range[s], base_->sizes[s]));
      } else {
        sizes = std::move(points.back());
        points.pop_back();
        bool inside = true;
        for (size_t s = 0; s < n_symbols_; ++s) inside &= sizes[s] >= range[s].least;
        if (!inside) continue;
      }
      Verdict v = test(t, sizes);
      good_ones += v == good;
      if (v != bad) continue;
      if (++n_cuts > 60) refuse("its graph depends on the sizes of the inputs together in another way");
      exclude(range, sizes);
      good_ones = 0;
    }
  }

  // All sizes up to those of the first trace, if that is not too many; or the smallest two of each, and the first trace's.
  std::vector<std::vector<int64_t>> small_points(const std::vector<Sizes::Symbol>& range, bool only_corners) const {
    std::vector<std::vector<int64_t>> points{{}};
    for (size_t s = 0; s < n_symbols_; ++s) {
      std::vector<std::vector<int64_t>> more;
      for (const std::vector<int64_t>& p : points) {
        for (int64_t n = range[s].least; n <= base_->sizes[s] && more.size() < 4 * kMostPoints; ++n) {
          if (only_corners && n > range[s].least + 1) n = base_->sizes[s];
          more.push_back(p);
          more.back().push_back(n);
        }
      }
      points = std::move(more);
    }
    std::erase_if(points, [&](const std::vector<int64_t>& p) { return p.size() != n_symbols_; });
    return points;
  }

  // Any size of the range: small and large ones, evenly by their logarithms.
  int64_t draw_in(const Sizes::Symbol& range, int64_t base) {
    int64_t most = random(0, 1) ? base : std::min(range.most, 4096 * base);
    if (random(0, 4) == 0 || range.least >= most) return base;
    double low = std::log2(static_cast<double>(range.least) + 1), high = std::log2(static_cast<double>(most) + 1);
    double x = std::uniform_real_distribution<double>(low, high)(random_);
    return std::clamp(static_cast<int64_t>(std::exp2(x)) - random(0, 1), range.least, most);
  }

  // The cut that loses the least, on the scale of logarithms.
  void exclude(std::vector<Sizes::Symbol>& range, const std::vector<int64_t>& sizes) {
    size_t best = 0;
    double least_loss = 1e300;
    for (size_t s = 0; s < n_symbols_; ++s) {
      int64_t base = base_->sizes[s], n = sizes[s], most = std::min(range[s].most, 4096 * base);
      if (n == base) continue;
      auto log = [](int64_t x) { return std::log2(static_cast<double>(x) + 1); };
      double loss = n < base ? log(n + 1) - log(range[s].least) : log(most) - log(n - 1);
      if (loss < least_loss) least_loss = loss, best = s;
    }
    (sizes[best] < base_->sizes[best] ? range[best].least : range[best].most) = sizes[best] + (sizes[best] < base_->sizes[best] ? 1 : -1);
  }

  // The smallest size from which on all are good, as far as tested.
  int64_t least(const FunctionTrace& t, size_t s) {
    int64_t base = base_->sizes[s], low = base;
    std::vector<int64_t> below;
    for (int64_t n = 0; n < base; ++n) {
      // All of the first, then fewer and fewer.
      if (n <= 16 || n > base - 3 || (n & (n - 1)) == 0 || ((n - 1) & (n - 2)) == 0) below.push_back(n);
    }
    for (size_t i = below.size(); i-- > 0;) {
      switch (test(t, s, below[i])) {
        case good: low = below[i]; break;
        case unknown: break;  // the function takes no such size; what the import does there is checked there
        case bad:
          // Between this one and the last good one.
          for (int64_t worst = below[i]; low - worst > 1;) {
            int64_t middle = worst + (low - worst) / 2;
            (test(t, s, middle) == bad ? worst : low) = middle;
          }
          return low;
      }
    }
    return 0;
  }

  int64_t most(const FunctionTrace& t, size_t s) {
    int64_t base = base_->sizes[s], last = base;
    for (int64_t factor : {1, 2, 3, 8, 17, 64, 129, 1000, 4097, 65536, 1000003}) {
      for (int64_t n : {base * factor, base * factor + 1, base * factor + 5}) {
        if (n <= base || n > (int64_t(1) << 40)) continue;
        switch (test(t, s, n)) {
          case good: last = std::max(last, n); break;
          case unknown: break;
          case bad:
            for (int64_t worst = n; worst - last > 1;) {
              int64_t middle = last + (worst - last) / 2;
              (test(t, s, middle) == bad ? worst : last) = middle;
            }
            return last;
        }
      }
    }
    return INT64_MAX;
  }

  const Probe& r_;
  size_t n_symbols_;
  std::vector<int64_t> example_;
  std::vector<size_t> first_axis_;
  std::optional<Sample> base_;
  std::vector<Sample> samples_;
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
