// shapeless.cpp — learning how a function's graph follows the sizes of its inputs. Which axes may change, and which
// only together, is in Axes; the rules for numbers in Rules; where they hold is tested by Ranges. Start at
// trace_shapeless().

#include "export/shapeless.h"

#include <algorithm>
#include <random>

#include "export/fit.h"
#include "export/sample.h"

namespace mx::exporting {

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw ValueError(cat("[export_function] the function cannot be exported with shapeless=True: ", why,
                       ". Export it for several shapes with exporter instead."));
}

struct Axis {
  size_t input, axis;
  int64_t size;      ///< Of the example.
  int symbol = -1;   ///< Those with the same one change together; -1: fixed.
};

// Runs the function at sizes of the symbols' choice.
class Runner {
 public:
  Runner(const Function& f, Types inputs) : f_(f), inputs_(std::move(inputs)) {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      for (size_t k = 0; k < inputs_[i].shape.size(); ++k) axes.push_back({i, k, inputs_[i].shape[k]});
    }
  }

  /// The function with some axes changed; nullopt if it threw. Then, or else, `progress` says how far it came.
  std::optional<Sample> change(const std::vector<size_t>& which, int64_t size, uint64_t* progress = nullptr) const {
    Types types(inputs_);
    for (size_t a : which) types[axes[a].input].shape[axes[a].axis] = size;
    return run(types, {}, progress);
  }
  /// With a size for each symbol.
  std::optional<Sample> run(const std::vector<int64_t>& sizes) const {
    Types types(inputs_);
    for (const Axis& a : axes) {
      if (a.symbol >= 0) types[a.input].shape[a.axis] = sizes[static_cast<size_t>(a.symbol)];
    }
    return run(types, sizes, nullptr);
  }
  Sample example() const { return Sample(trace(f_, inputs_), {}); }

  std::vector<Axis> axes;

 private:
  std::optional<Sample> run(const Types& types, std::vector<int64_t> sizes, uint64_t* progress) const {
    try {
      return Sample(trace(f_, types, progress), std::move(sizes));
    } catch (const std::exception&) {
      // Sizes that the function does not take; pybind11's errors are exceptions, too.
      return std::nullopt;
    }
  }
  const Function& f_;
  Types inputs_;
};

std::string name_of(const Axis& a) { return cat("axis ", a.axis, " of input ", a.input); }

// Sizes that an axis is tried at, apart from that of the example.
std::vector<int64_t> other_sizes(int64_t size) {
  std::vector<int64_t> out;
  for (int64_t n : {size + 1, size + 2, 2 * size, 3 * size, 2 * size + 1, 4 * size}) {
    if (n >= 2 && n != size && std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
  }
  return out;
}

// ---- which axes may change

class Grouping {
 public:
  explicit Grouping(Runner& r) : r_(r), example_(r.example()) {}

  /// Gives every axis its symbol; returns their number.
  int run() {
    std::vector<size_t> bound;
    for (size_t a = 0; a < r_.axes.size(); ++a) {
      switch (try_together({a})) {
        case works: r_.axes[a].symbol = n_symbols_++; break;
        case fails: bound.push_back(a); break;
        case differs: break;
      }
    }
    for (size_t a : bound) {
      if (r_.axes[a].symbol >= 0) continue;
      std::vector<size_t> others;
      for (size_t b : bound) {
        if (b != a && r_.axes[b].symbol < 0 && r_.axes[b].size == r_.axes[a].size) others.push_back(b);
      }
      if (others.empty()) continue;
      std::vector<size_t> group = together(a, others);
      if (group.empty()) continue;
      for (size_t b : group) r_.axes[b].symbol = n_symbols_;
      ++n_symbols_;
    }
    return n_symbols_;
  }

 private:
  enum Outcome { works, fails, differs };

  // Whether axes of one size may change together. What works has the example's structure, or (from size 0 or 1, where
  // broadcasts are made otherwise) one structure of its own.
  Outcome try_together(const std::vector<size_t>& which) {
    int64_t size = r_.axes[which[0]].size;
    std::optional<Sample> first;
    for (int64_t n : other_sizes(size)) {
      std::optional<Sample> s = r_.change(which, n);
      if (!s) continue;
      std::optional<std::string> d = difference(example_, *s);
      if (!d) return works;
      if (size > 1) refuse(cat(*d, " depends on the size of ", name_of(r_.axes[which[0]])));
      if (!first) {
        first = std::move(s);
      } else {
        return difference(*first, *s) ? differs : works;
      }
    }
    return first ? differs : fails;
  }

  // The axes that have to change with `a`: added one by one, always the one with which the function comes furthest.
  std::vector<size_t> together(size_t a, const std::vector<size_t>& others) {
    for (int64_t size : {r_.axes[a].size + 1, 2 * r_.axes[a].size, 3 * r_.axes[a].size}) {
      if (size < 2) continue;
      std::vector<size_t> group{a}, left(others);
      uint64_t progress = 0;
      r_.change(group, size, &progress);
      while (!left.empty()) {
        uint64_t best = progress;
        size_t found = left.size();
        bool done = false;
        for (size_t i = 0; i < left.size() && !done; ++i) {
          std::vector<size_t> trial(group);
          trial.push_back(left[i]);
          uint64_t p = 0;
          done = r_.change(trial, size, &p).has_value();
          if (done || p > best) best = p, found = i;
        }
        if (found == left.size()) break;
        group.push_back(left[found]);
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(found));
        progress = best;
        if (done) return try_together(group) == works ? group : std::vector<size_t>();
      }
      // All at once, then as few of them as will do.
      group = others;
      group.push_back(a);
      if (!r_.change(group, size)) continue;
      for (size_t i = 0; i < group.size();) {
        std::vector<size_t> fewer(group);
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (group[i] != a && r_.change(fewer, size)) {
          group = std::move(fewer);
        } else {
          ++i;
        }
      }
      return try_together(group) == works ? group : std::vector<size_t>();
    }
    return {};
  }

  Runner& r_;
  Sample example_;
  int n_symbols_ = 0;
};

// ---- which may change at once

// Drops the symbols that `keep` refuses and numbers the others anew; returns their number.
template <class F>
int keep_symbols(Runner& r, int n, F&& keep) {
  std::vector<int> now(static_cast<size_t>(n), -1);
  int next = 0;
  for (int s = 0; s < n; ++s) {
    if (keep(s)) now[static_cast<size_t>(s)] = next++;
  }
  for (Axis& a : r.axes) {
    if (a.symbol >= 0) a.symbol = now[static_cast<size_t>(a.symbol)];
  }
  return next;
}

// Of each symbol the size in the example.
std::vector<int64_t> example_sizes(const Runner& r, int n) {
  std::vector<int64_t> sizes(static_cast<size_t>(n));
  for (const Axis& a : r.axes) {
    if (a.symbol >= 0) sizes[static_cast<size_t>(a.symbol)] = a.size;
  }
  return sizes;
}

// The sizes of the first trace: those of the example, except that 0 and 1 are avoided, since there broadcasts are made
// otherwise. Of axes of size 1 that would be broadcast against each other only the first may change.
std::vector<int64_t> start_sizes(Runner& r, int& n) {
  std::vector<int64_t> sizes = example_sizes(r, n), chosen;
  int64_t next = 2;
  n = keep_symbols(r, n, [&](int s) {
    int64_t& size = sizes[static_cast<size_t>(s)];
    if (size > 1) {
      chosen.push_back(size);
      return true;
    }
    int64_t before = size;
    while (std::find(sizes.begin(), sizes.end(), next) != sizes.end()) ++next;
    size = next;
    if (!r.run(sizes)) {
      size = before;
      return false;
    }
    chosen.push_back(size);
    return true;
  });
  return chosen;
}

// ---- rules for numbers

// Thrown when the trace of the example is not among those that were learnt.
struct UnlikeExample {};

class Learner {
 public:
  Learner(const Runner& r, const std::vector<int64_t>& start)
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
    verify(t);
    return t;
  }

 private:
  int64_t random(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  // Different sizes for different symbols: half of the time multiples of the example's.
  std::vector<int64_t> draw(bool multiples, int64_t most) {
    std::vector<int64_t> sizes;
    for (size_t s = 0; s < n_symbols_; ++s) {
      int64_t e = std::max<int64_t>(base_->sizes[s], 1), n = 0;
      for (int attempt = 0; attempt < 20; ++attempt) {
        n = multiples && e > 1 ? e * random(1, std::max<int64_t>(most / e, 4)) : random(std::max<int64_t>(e, 2), e + most);
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
    size_t want = samples_.size() + 10 + n_symbols_;
    for (int attempt = 0; attempt < 60 && samples_.size() < want; ++attempt) add(draw(attempt % 2 == 0, attempt < 30 ? 40 : 12));
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
    const array& first = base_->captured[i];
    bool varies = false;
    for (const Sample& x : samples_) varies |= !same_value(first, x.captured[i]);
    if (!varies) return true;
    Type type = first.type();
    if (is_complex(type.dtype)) return false;
    std::vector<double> v;
    for (const Sample& x : samples_) v.push_back(x.captured[i].item<double>());
    auto rule = f.real(v, [&](size_t k, double x) {
      return std::isfinite(x) && std::abs(x) < 0x1p62 && same_value(scalar_like(x, type), samples_[k].captured[i]);
    });
    if (rule) t.sizes->constants.push_back({static_cast<int>(i), std::move(*rule)});
    return rule.has_value();
  }

  // ---- where the rules hold

  enum Verdict { good, bad, unknown };

  Verdict test(const FunctionTrace& t, const std::vector<int64_t>& sizes) {
    std::optional<Sample> s = r_.run(sizes);
    return !s ? unknown : agrees(t, *base_, *s) ? good : bad;
  }
  Verdict test(const FunctionTrace& t, size_t symbol, int64_t size) {
    std::vector<int64_t> sizes(base_->sizes);
    sizes[symbol] = size;
    return test(t, sizes);
  }

  void verify(FunctionTrace& t) {
    // Sizes that the rules were not made from.
    int confirmed = 0;
    for (int attempt = 0; attempt < 40 && confirmed < 6; ++attempt) {
      std::optional<Sample> s = r_.run(draw(attempt % 2 == 0, attempt < 20 ? 300 : 24));
      if (!s) continue;
      ++confirmed;
      if (!agrees(t, *base_, *s)) refuse(cat(difference(*base_, *s).value_or("a number in its graph"), " depends on the sizes of the inputs in another way"));
    }
    for (size_t s = 0; s < n_symbols_; ++s) {
      t.sizes->symbols[s] = {least(t, s), most(t, s)};
    }
    // Several small sizes at once, and equal ones.
    std::vector<int64_t> small;
    for (const Sizes::Symbol& s : t.sizes->symbols) small.push_back(s.least);
    if (test(t, small) == bad) {
      for (Sizes::Symbol& s : t.sizes->symbols) s.least = std::max<int64_t>(s.least, 2);
    }
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

  const Runner& r_;
  size_t n_symbols_;
  std::vector<int64_t> example_;
  std::vector<size_t> first_axis_;
  std::optional<Sample> base_;
  std::vector<Sample> samples_;
  std::mt19937_64 random_{20240229};
};

}  // namespace

FunctionTrace trace_shapeless(const Function& f, const Types& inputs) {
  Runner runner(f, inputs);
  int n = Grouping(runner).run();
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
