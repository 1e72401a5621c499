// range.cpp — the ranges of sizes within which the rules of a shapeless trace hold. Each size is tried alone, then all
// together: first the corners of the ranges, since a program that compares sums or products of sizes, as min(n * m, 20)
// does, takes the other way in a corner if it takes it anywhere; then what is small, and points drawn at random. A point
// where the rules are wrong ends a range before it. Start at find_range().

#include "export/range.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace mx::exporting {

namespace {

using Point = std::vector<int64_t>;  ///< A size for each symbol.

double log_of(int64_t n) { return std::log2(static_cast<double>(n) + 1); }

class Ranges {
 public:
  Ranges(const Probe& r, const Sample& base, FunctionTrace& t) : r_(r), base_(base), t_(t), range_(t.sizes->symbols) {}

  void run() {
    for (size_t s = 0; s < size(); ++s) range_[s] = {least(s), most(s)};
    check_equal();
    int cuts;
    do {
      cuts = n_cuts_;
      check_grid(corners(), 256);
      check_grid(small(), 400);
      check_drawn(200);
    } while (n_cuts_ != cuts);
  }

 private:
  enum Verdict { good, bad, unknown };

  size_t size() const { return base_.sizes.size(); }
  int64_t base(size_t s) const { return base_.sizes[s]; }
  int64_t random(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  Verdict test(const Point& p) {
    auto known = verdicts_.find(p);
    if (known != verdicts_.end()) return known->second;
    std::optional<Sample> s = r_.run(p);
    return verdicts_[p] = !s ? unknown : agrees(t_, base_, *s) ? good : bad;
  }
  Verdict test(size_t symbol, int64_t n) {
    Point p(base_.sizes);
    p[symbol] = n;
    return test(p);
  }

  // ---- one size

  // The smallest size from which on all are good, as far as tested.
  int64_t least(size_t s) {
    int64_t low = base(s);
    std::vector<int64_t> below;
    for (int64_t n = 0; n < base(s); ++n) {
      // All of the first, then fewer and fewer.
      if (n <= kMostSmall || n > base(s) - 3 || (n & (n - 1)) == 0 || ((n - 1) & (n - 2)) == 0) below.push_back(n);
    }
    for (size_t i = below.size(); i-- > 0;) {
      switch (test(s, below[i])) {
        case good: low = below[i]; break;
        case unknown: break;  // the function takes no such size; what the import does there is checked there
        case bad:
          // Between this one and the last good one.
          for (int64_t worst = below[i]; low - worst > 1;) {
            int64_t middle = worst + (low - worst) / 2;
            (test(s, middle) == bad ? worst : low) = middle;
          }
          return low;
      }
    }
    return 0;
  }

  int64_t most(size_t s) {
    int64_t last = base(s);
    for (int64_t factor : {1, 2, 3, 8, 17, 64, 129, 1000, 4097, 65536, 1000003}) {
      for (int64_t n : {base(s) * factor, base(s) * factor + 1, base(s) * factor + 5}) {
        if (n <= base(s) || n > (int64_t(1) << 40)) continue;
        switch (test(s, n)) {
          case good: last = std::max(last, n); break;
          case unknown: break;
          case bad:
            for (int64_t worst = n; worst - last > 1;) {
              int64_t middle = last + (worst - last) / 2;
              (test(s, middle) == bad ? worst : last) = middle;
            }
            return last;
        }
      }
    }
    return INT64_MAX;
  }

  // ---- several sizes

  bool inside(const Point& p) const {
    for (size_t s = 0; s < size(); ++s) {
      if (p[s] < range_[s].least || p[s] > range_[s].most) return false;
    }
    return true;
  }

  // Ends ranges until `p` is good or outside.
  Verdict check(const Point& p) {
    while (inside(p)) {
      Verdict v = test(p);
      if (v != bad) return v;
      if (++n_cuts_ > 60) refuse("its graph depends on the sizes of the inputs together in another way");
      exclude(nearest_bad(p));
    }
    return bad;
  }

  // On the way from a bad point to the first trace's sizes, the last bad one before good ones.
  Point nearest_bad(const Point& p) {
    auto on_way = [&](double x) {
      Point q;
      for (size_t s = 0; s < size(); ++s) {
        double n = std::exp2(log_of(p[s]) * (1 - x) + log_of(base(s)) * x) - 1;
        q.push_back(std::clamp(std::llround(n), std::min<long long>(p[s], base(s)), std::max<long long>(p[s], base(s))));
      }
      return q;
    };
    double low = 0, high = 1;
    Point last = p;
    for (int i = 0; i < 24; ++i) {
      double middle = (low + high) / 2;
      Point q = on_way(middle);
      if (q != base_.sizes && test(q) == bad) {
        low = middle;
        last = std::move(q);
      } else {
        high = middle;
      }
    }
    return last;
  }

  int64_t far(size_t s) const { return std::min(range_[s].most, 4096 * base(s)); }

  // The cut that loses the least, on the scale of logarithms.
  void exclude(const Point& p) {
    size_t best = size();
    double least_loss = 0;
    for (size_t s = 0; s < size(); ++s) {
      if (p[s] == base(s)) continue;
      double loss = p[s] < base(s) ? log_of(p[s] + 1) - log_of(range_[s].least) : log_of(far(s)) - log_of(p[s] - 1);
      if (best == size() || loss < least_loss) least_loss = loss, best = s;
    }
    if (best == size()) refuse("its graph depends on more than the sizes of the inputs");
    (p[best] < base(best) ? range_[best].least : range_[best].most) = p[best] + (p[best] < base(best) ? 1 : -1);
  }

  // The ends of all ranges, and what is between.
  std::vector<Point> corners() const {
    std::vector<Point> choices(size());
    for (size_t s = 0; s < size(); ++s) {
      choices[s] = {range_[s].least, far(s)};
      for (int64_t n : {base(s), std::min(range_[s].most, 3 * base(s) + 1)}) {
        if (std::find(choices[s].begin(), choices[s].end(), n) == choices[s].end()) choices[s].push_back(n);
      }
    }
    return choices;
  }

  // All sizes up to somewhat more than those of the first trace.
  std::vector<Point> small() const {
    std::vector<Point> choices(size());
    for (size_t s = 0; s < size(); ++s) {
      for (int64_t n = range_[s].least; n <= std::min(range_[s].most, std::min<int64_t>(base(s), kMostSmall) + 6); ++n) choices[s].push_back(n);
      if (choices[s].empty() || choices[s].back() < base(s)) choices[s].push_back(base(s));
    }
    return choices;
  }

  // All points made from these choices of sizes, or, if there are many, so many drawn at random and those of the first two
  // choices of each.
  void check_grid(const std::vector<Point>& choices, size_t limit) {
    double n = 1, n_ends = 1;
    for (const Point& c : choices) n *= static_cast<double>(c.size()), n_ends *= 2;
    if (n <= static_cast<double>(limit)) {
      check_all(choices, static_cast<size_t>(n));
      return;
    }
    if (n_ends <= static_cast<double>(limit)) {
      std::vector<Point> ends(choices);
      size_t count = 1;
      for (Point& c : ends) {
        c.resize(std::min<size_t>(c.size(), 2));
        count *= c.size();
      }
      check_all(ends, count);
    }
    for (size_t i = 0; i < limit; ++i) {
      Point p;
      for (const Point& c : choices) p.push_back(c[static_cast<size_t>(random(0, static_cast<int64_t>(c.size()) - 1))]);
      check(p);
    }
  }

  void check_all(const std::vector<Point>& choices, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      size_t rest = i;
      Point p;
      for (const Point& c : choices) {
        p.push_back(c[rest % c.size()]);
        rest /= c.size();
      }
      check(p);
    }
  }

  void check_drawn(int wanted) {
    for (int attempt = 0, found = 0; found < wanted && attempt < 3 * wanted; ++attempt) {
      Point p;
      for (size_t s = 0; s < size(); ++s) p.push_back(std::clamp(draw(p, s), range_[s].least, range_[s].most));
      found += check(p) == good;
    }
  }

  // Any size of a range: small and large ones, evenly by their logarithms; those of the first trace; and some that have
  // to do with the sizes drawn before.
  int64_t draw(const Point& before, size_t s) {
    switch (random(0, 9)) {
      case 0: return base(s);
      case 1:
      case 2: return random(0, 12);
      case 3:
      case 4: return random(0, kMostSmall);
      case 5:
      case 6:
        if (!before.empty()) {
          int64_t other = before[static_cast<size_t>(random(0, static_cast<int64_t>(before.size()) - 1))];
          int64_t related[] = {other, other + 1, other - 1, 2 * other, other / 2, 4 * other};
          return related[random(0, 5)];
        }
        [[fallthrough]];
      default: {
        double x = std::uniform_real_distribution<double>(log_of(range_[s].least), log_of(std::max(far(s), range_[s].least)))(random_);
        return static_cast<int64_t>(std::exp2(x)) - random(0, 1);
      }
    }
  }

  // Two sizes that are equal, where the example's are not.
  void check_equal() {
    for (size_t i = 0; i < size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        Point p(base_.sizes);
        p[i] = p[j] = std::max(p[i], p[j]);
        if (inside(p) && test(p) == bad) refuse("its graph is another one where two sizes are equal");
      }
    }
  }

  const Probe& r_;
  const Sample& base_;
  FunctionTrace& t_;
  std::vector<Sizes::Symbol>& range_;
  std::map<Point, Verdict> verdicts_;
  int n_cuts_ = 0;
  std::mt19937_64 random_{20240301};
};

}  // namespace

void find_range(const Probe& r, const Sample& base, FunctionTrace& t) { Ranges(r, base, t).run(); }

}  // namespace mx::exporting
