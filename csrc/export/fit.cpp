#include "export/fit.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>

namespace mx::exporting {

namespace {

using Wide = __int128;

bool narrow(Wide x) { return x <= INT64_MAX && x >= INT64_MIN; }

Expr number(int64_t n) { return {Expr::number, n, 0, {}}; }
Expr size_of_axis(int slot, int axis) { return {Expr::size, slot, axis, {}}; }
Expr node(Expr::Kind kind, std::vector<Expr> items) { return items.size() == 1 && kind != Expr::exact && kind != Expr::floor ? items[0] : Expr{kind, 0, 0, std::move(items)}; }

// (p * e + r) / q
Expr linear(const Expr& e, int64_t p, int64_t r, int64_t q) {
  Expr out = p == 1 ? e : node(Expr::product, {number(p), e});
  if (r != 0) out = node(Expr::sum, {std::move(out), number(r)});
  if (q != 1) out = node(Expr::exact, {std::move(out), number(q)});
  return out;
}

bool constant(const Values& v) {
  return std::all_of(v.begin(), v.end(), [&](int64_t x) { return x == v[0]; });
}

// Differences to the first value over their greatest common divisor, the first of them positive: equal for two lists
// exactly if each is an affine function of the other.
Values canonical(const Values& v) {
  Values d;
  int64_t g = 0;
  for (int64_t x : v) {
    Wide diff = Wide(x) - v[0];
    if (!narrow(diff)) return {};
    d.push_back(static_cast<int64_t>(diff));
    g = std::gcd(g, d.back());
  }
  if (g == 0) return {};
  auto first = std::find_if(d.begin(), d.end(), [](int64_t x) { return x != 0; });
  if (*first < 0) g = -g;
  for (int64_t& x : d) x /= g;
  return d;
}

// A fraction with a small denominator close to x.
bool as_fraction(long double x, int64_t& p, int64_t& q) {
  for (q = 1; q <= 720; ++q) {
    long double scaled = x * static_cast<long double>(q);
    if (std::abs(scaled) > 1e15L) return false;
    p = std::llround(scaled);
    if (std::abs(scaled - static_cast<long double>(p)) < 1e-7L * static_cast<long double>(q)) return true;
  }
  return false;
}

// Coefficients c with sum_j c_j * columns[j] = v, by least squares on all rows; they are checked by the caller.
std::optional<std::vector<long double>> solve(const std::vector<std::vector<long double>>& columns, const Values& v) {
  size_t n = columns.size(), rows = v.size();
  std::vector<long double> scale(n);
  std::vector<std::vector<long double>> a(n, std::vector<long double>(n + 1));
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < rows; ++i) scale[j] = std::max(scale[j], std::abs(columns[j][i]));
    if (scale[j] == 0) return std::nullopt;
  }
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t k = 0; k < n; ++k) a[j][k] += columns[j][i] / scale[j] * columns[k][i] / scale[k];
      a[j][n] += columns[j][i] / scale[j] * static_cast<long double>(v[i]);
    }
  }
  for (size_t k = 0; k < n; ++k) {
    size_t best = k;
    for (size_t i = k; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[best][k])) best = i;
    }
    if (std::abs(a[best][k]) < 1e-12L) return std::nullopt;
    std::swap(a[k], a[best]);
    for (size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      long double f = a[i][k] / a[k][k];
      for (size_t j = k; j <= n; ++j) a[i][j] -= f * a[k][j];
    }
  }
  std::vector<long double> c;
  for (size_t j = 0; j < n; ++j) c.push_back(a[j][n] / a[j][j] / scale[j]);
  return c;
}

double rounded_to(double x, int digits) {
  char text[40];
  std::snprintf(text, sizeof text, "%.*g", digits, x);
  return std::strtod(text, nullptr);
}

}  // namespace

void Fitter::add(int slot, int axis, const Values& values) {
  Values key = canonical(values);
  if (!key.empty()) sizes_.emplace(std::move(key), Size{slot, axis, values});
}

std::optional<Expr> Fitter::affine(const Values& v, const Values& x, const Expr& e) const {
  // v = v0 + (p / q) (x - x0)
  size_t i = 0;
  while (i < x.size() && x[i] == x[0]) ++i;
  if (i == x.size()) return std::nullopt;
  Wide dv = Wide(v[i]) - v[0], dx = Wide(x[i]) - x[0];
  if (!narrow(dv) || !narrow(dx)) return std::nullopt;
  int64_t g = std::gcd(static_cast<int64_t>(dv), static_cast<int64_t>(dx));
  int64_t p = static_cast<int64_t>(dv) / g, q = static_cast<int64_t>(dx) / g;
  if (q < 0) p = -p, q = -q;
  Wide r = Wide(q) * v[0] - Wide(p) * x[0];
  if (!narrow(r)) return std::nullopt;
  for (size_t k = 0; k < v.size(); ++k) {
    if (Wide(p) * x[k] + r != Wide(q) * v[k]) return std::nullopt;
  }
  return linear(e, p, static_cast<int64_t>(r), q);
}

std::optional<Expr> Fitter::known(const Values& v) const {
  auto at = sizes_.find(canonical(v));
  if (at == sizes_.end()) return std::nullopt;
  return affine(v, at->second.values, size_of_axis(at->second.slot, at->second.axis));
}

std::optional<Expr> Fitter::products(const Values& v, const std::vector<int>& slots, const std::vector<std::vector<Shape>>& shapes) const {
  Values key = canonical(v);
  for (size_t i = 0; i < slots.size(); ++i) {
    size_t ndim = shapes[0][i].size();
    if (ndim > 8) continue;
    for (unsigned subset = 1; subset < (1u << ndim); ++subset) {
      Values x;
      for (const std::vector<Shape>& s : shapes) {
        Wide n = 1;
        for (size_t k = 0; k < ndim && narrow(n); ++k) n *= subset >> k & 1 ? s[i][k] : 1;
        if (!narrow(n)) break;
        x.push_back(static_cast<int64_t>(n));
      }
      if (x.size() != v.size() || canonical(x) != key) continue;
      std::vector<Expr> factors;
      for (size_t k = 0; k < ndim; ++k) {
        if (subset >> k & 1) factors.push_back(size_of_axis(slots[i], static_cast<int>(k)));
      }
      if (auto e = affine(v, x, node(Expr::product, std::move(factors)))) return e;
    }
  }
  return std::nullopt;
}

std::optional<Expr> Fitter::polynomial(const Values& v) const {
  size_t n = symbols_.size();
  // Monomials of one, two or three sizes, each at most squared.
  auto attempt = [&](const std::vector<size_t>& of) -> std::optional<Expr> {
    std::vector<std::vector<int>> powers;
    int most = of.size() < 3 ? 3 : 2;  // powers per size, 0 included
    int n_powers = 1;
    for (size_t i = 0; i < of.size(); ++i) n_powers *= most;
    for (int code = 0; code < n_powers; ++code) {
      std::vector<int> p;
      for (int rest = code, i = 0; i < static_cast<int>(of.size()); ++i, rest /= most) p.push_back(rest % most);
      powers.push_back(std::move(p));
    }
    if (v.size() < powers.size() + 3) return std::nullopt;
    std::vector<std::vector<long double>> columns;
    std::vector<std::vector<Wide>> exact;
    for (const auto& p : powers) {
      std::vector<Wide> column;
      for (size_t k = 0; k < v.size(); ++k) {
        Wide x = 1;
        for (size_t i = 0; i < of.size(); ++i) {
          for (int e = 0; e < p[i]; ++e) x *= symbols_[of[i]].values[k];
        }
        if (!narrow(x)) return std::nullopt;
        column.push_back(x);
      }
      columns.emplace_back(column.begin(), column.end());
      exact.push_back(std::move(column));
    }
    auto c = solve(columns, v);
    if (!c) return std::nullopt;
    int64_t common = 1;
    std::vector<std::pair<int64_t, int64_t>> fractions;
    for (long double x : *c) {
      int64_t p, q;
      if (!as_fraction(x, p, q)) return std::nullopt;
      common = std::lcm(common, q);
      if (common > 100000) return std::nullopt;
      fractions.emplace_back(p, q);
    }
    for (size_t k = 0; k < v.size(); ++k) {
      Wide total = 0;
      for (size_t j = 0; j < fractions.size(); ++j) total += Wide(fractions[j].first) * (common / fractions[j].second) * exact[j][k];
      if (total != Wide(v[k]) * common) return std::nullopt;
    }
    std::vector<Expr> terms;
    for (size_t j = 0; j < fractions.size(); ++j) {
      int64_t factor = fractions[j].first * (common / fractions[j].second);
      if (factor == 0) continue;
      std::vector<Expr> factors;
      if (factor != 1) factors.push_back(number(factor));
      for (size_t i = 0; i < of.size(); ++i) {
        for (int e = 0; e < powers[j][i]; ++e) factors.push_back(size_of_axis(symbols_[of[i]].slot, symbols_[of[i]].axis));
      }
      if (factors.empty()) factors.push_back(number(1));
      terms.push_back(node(Expr::product, std::move(factors)));
    }
    if (terms.empty()) return std::nullopt;
    Expr sum = node(Expr::sum, std::move(terms));
    return common == 1 ? sum : node(Expr::exact, {std::move(sum), number(common)});
  };
  for (size_t i = 0; i < n; ++i) {
    if (auto e = attempt({i})) return e;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (auto e = attempt({j, i})) return e;
    }
  }
  if (n > 8) return std::nullopt;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) {
      for (size_t k = 0; k < j; ++k) {
        if (auto e = attempt({k, j, i})) return e;
      }
    }
  }
  return std::nullopt;
}

std::optional<Expr> Fitter::rounded(const Values& v, const Symbol& s) {
  // (alpha s + beta * ((s + b) // q) + gamma), the shape of every rounding up, down and padding to multiples. Only
  // trusted where the traces meet every rest of the division.
  auto floor_div = [](int64_t x, int64_t q) { return x >= 0 ? x / q : -((-x + q - 1) / q); };
  for (int64_t q = 2; q <= 64; ++q) {
    std::vector<bool> met(static_cast<size_t>(q));
    for (int64_t x : s.values) met[static_cast<size_t>(x % q)] = true;
    if (std::find(met.begin(), met.end(), false) != met.end()) break;
    for (int64_t b = 0; b < q; ++b) {
      std::vector<std::vector<long double>> columns(3);
      for (int64_t x : s.values) {
        columns[0].push_back(static_cast<long double>(x));
        columns[1].push_back(static_cast<long double>(floor_div(x + b, q)));
        columns[2].push_back(1);
      }
      auto c = solve(columns, v);
      if (!c) continue;
      int64_t k[3];
      bool fits = true;
      for (size_t j = 0; j < 3 && fits; ++j) {
        fits = std::abs((*c)[j]) < 1e15L;
        if (fits) k[j] = std::llround((*c)[j]);
      }
      for (size_t i = 0; i < v.size() && fits; ++i) {
        fits = Wide(k[0]) * s.values[i] + Wide(k[1]) * floor_div(s.values[i] + b, q) + k[2] == v[i];
      }
      if (!fits) continue;
      Expr size = size_of_axis(s.slot, s.axis);
      std::vector<Expr> terms;
      if (k[0] != 0) terms.push_back(linear(size, k[0], 0, 1));
      terms.push_back(linear(node(Expr::floor, {linear(size, 1, b, 1), number(q)}), k[1], 0, 1));
      if (k[2] != 0) terms.push_back(number(k[2]));
      return node(Expr::sum, std::move(terms));
    }
  }
  return std::nullopt;
}

std::optional<Expr> Fitter::quotient(const Values& v, std::span<const Symbol> symbols) {
  // (a1 s1 + a2 s2 + ... + b) // q, as for a strided window over a padded axis. The slopes come from a fit, and b must be
  // the only one that gives all values.
  std::vector<std::vector<long double>> columns;
  for (const Symbol& s : symbols) columns.emplace_back(s.values.begin(), s.values.end());
  columns.emplace_back(v.size(), 1);
  if (v.size() < columns.size() + 4) return std::nullopt;
  auto slopes = solve(columns, v);
  if (!slopes) return std::nullopt;
  for (int64_t q = 2; q <= 32; ++q) {
    Values a;
    for (size_t i = 0; i < symbols.size(); ++i) {
      long double x = (*slopes)[i] * static_cast<long double>(q);
      if (std::abs(x) > 1e9L) return std::nullopt;
      a.push_back(std::llround(x));
    }
    Wide low = -(Wide(1) << 100), high = Wide(1) << 100;
    for (size_t k = 0; k < v.size(); ++k) {
      Wide rest = Wide(q) * v[k];
      for (size_t i = 0; i < a.size(); ++i) rest -= Wide(a[i]) * symbols[i].values[k];
      low = std::max(low, rest);
      high = std::min(high, rest + q - 1);
    }
    if (low != high || !narrow(low)) continue;
    std::vector<Expr> terms;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != 0) terms.push_back(linear(size_of_axis(symbols[i].slot, symbols[i].axis), a[i], 0, 1));
    }
    terms.push_back(number(static_cast<int64_t>(low)));
    return node(Expr::floor, {node(Expr::sum, std::move(terms)), number(q)});
  }
  return std::nullopt;
}

std::optional<Expr> Fitter::integer(const Values& v, const std::vector<int>& slots, const std::vector<std::vector<Shape>>& shapes) const {
  if (constant(v)) return number(v[0]);
  if (auto e = known(v)) return e;
  if (!slots.empty()) {
    if (auto e = products(v, slots, shapes)) return e;
  }
  if (auto e = polynomial(v)) return e;
  // What is rounded may be a size of the step's own inputs, such as a product that a reshape made.
  std::vector<Symbol> all(symbols_);
  for (size_t i = 0; i < slots.size(); ++i) {
    for (size_t k = 0; k < shapes[0][i].size(); ++k) {
      Symbol own{{}, slots[i], static_cast<int>(k)};
      for (const std::vector<Shape>& s : shapes) own.values.push_back(s[i][k]);
      if (!constant(own.values)) all.push_back(std::move(own));
    }
  }
  if (auto e = quotient(v, symbols_)) return e;
  for (const Symbol& s : all) {
    if (auto e = quotient(v, {&s, 1})) return e;
  }
  for (const Symbol& s : all) {
    if (auto e = rounded(v, s)) return e;
  }
  return std::nullopt;
}

std::optional<Scaled> Fitter::real(const std::vector<double>& v, const std::function<bool(size_t, double)>& same) const {
  auto holds = [&](Scaled::Form form, double factor, const Values& x) {
    for (size_t i = 0; i < v.size(); ++i) {
      if (!same(i, apply(form, factor, x[i]))) return false;
    }
    return true;
  };
  constexpr Scaled::Form forms[] = {Scaled::times, Scaled::over, Scaled::times_root, Scaled::over_root,
                                    Scaled::times_fourth_root, Scaled::over_fourth_root, Scaled::times_log};
  auto inverse = [](Scaled::Form form, double y) {
    switch (form) {
      case Scaled::times: return y;
      case Scaled::over: return 1 / y;
      case Scaled::times_root: return y * y;
      case Scaled::over_root: return 1 / (y * y);
      case Scaled::times_fourth_root: return y * y * y * y;
      case Scaled::over_fourth_root: return 1 / (y * y * y * y);
      case Scaled::times_log: return std::exp(y);
    }
    return y;
  };
  // x itself, with factor 1, from the inverse of the form.
  for (Scaled::Form form : forms) {
    Values x;
    for (double y : v) {
      double n = inverse(form, y);
      if (!(std::abs(n) < 1e15)) break;
      x.push_back(std::llround(n));
    }
    if (x.size() != v.size() || !holds(form, 1, x)) continue;
    if (auto e = integer(x, {}, {})) return Scaled{form, 1, *e};
  }
  // With another factor: from sizes that are known, and their neighbours.
  for (const auto& [key, size] : sizes_) {
    for (int64_t offset : {0, -1, 1}) {
      Values x(size.values);
      for (int64_t& n : x) n += offset;
      for (Scaled::Form form : forms) {
        double unit = apply(form, 1, x[0]);
        if (unit == 0 || !std::isfinite(unit)) continue;
        double factor = v[0] / unit;
        // What somebody wrote in the source has few digits.
        for (double f : {factor, rounded_to(factor, 15), rounded_to(factor, 6), std::nearbyint(factor)}) {
          if (holds(form, f, x)) return Scaled{form, f, linear(size_of_axis(size.slot, size.axis), 1, offset, 1)};
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace mx::exporting
