// Vector functions against the library of the platform in a wider type: errors within docs/accuracy.md, special values, tails,
// and the same bits with AVX2 and AVX-512. MXFORM_LONG=1 takes every float32 there is (several minutes).
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "backend/cpu/instructions.h"
#include "backend/cpu/loops_real.h"
#include "scalar/binary.h"

using namespace mx;
using namespace mx::cpu;
using loops::VectorLoops;

namespace {

// ---- what should come out

template <class W>
W erfinv(W x) {
  W a = std::fabs(x);
  if (!(a <= 1)) return std::numeric_limits<W>::quiet_NaN();
  if (a == 1 || a == 0) return a == 0 ? x : std::copysign(std::numeric_limits<W>::infinity(), x);
  W w = -std::log((1 - a) * (1 + a)), y = w < 5 ? a * W(0.886) * (1 + w * W(0.13)) : std::sqrt(w);
  for (int i = 0; i < 40; ++i) {
    W miss = a < W(0.5) ? a - std::erf(y) : std::erfc(y) - (1 - a), step = miss * W(0.886226925452758013649) * std::exp(y * y);
    y += std::clamp(step / (1 - y * step), W(-0.5), W(0.5));
    if (std::fabs(step) < y * std::numeric_limits<W>::epsilon()) break;
  }
  return std::copysign(y, x);
}

template <class W>
struct Unary {
  std::string name;
  UnaryOp op;
  W (*exact)(W);
};
template <class W>
const Unary<W> kUnary[] = {
#define ROW(NAME, EXACT) {#NAME, UnaryOp::NAME, [](W x) -> W { return EXACT; }},
    ROW(exp, std::exp(x)) ROW(expm1, std::expm1(x)) ROW(log, std::log(x)) ROW(log2, std::log2(x)) ROW(log10, std::log10(x))
    ROW(log1p, std::log1p(x)) ROW(sigmoid, 1 / (1 + std::exp(-x))) ROW(erf, std::erf(x)) ROW(erfinv, erfinv(x)) ROW(sin, std::sin(x))
    ROW(cos, std::cos(x)) ROW(tan, std::tan(x)) ROW(arcsin, std::asin(x)) ROW(arccos, std::acos(x)) ROW(arctan, std::atan(x))
    ROW(sinh, std::sinh(x)) ROW(cosh, std::cosh(x)) ROW(tanh, std::tanh(x)) ROW(arcsinh, std::asinh(x)) ROW(arccosh, std::acosh(x))
    ROW(arctanh, std::atanh(x))
#undef ROW
};

template <class W>
W logaddexp(W a, W b) {
  if (a != a || b != b) return a + b;
  return a == b ? a + W(0.693147180559945309417L) : std::max(a, b) + std::log1p(std::exp(-std::fabs(a - b)));
}
template <class W>
struct Binary {
  std::string name;
  BinaryOp op;
  W (*exact)(W, W);
};
template <class W>
const Binary<W> kBinary[] = {{"power", BinaryOp::power, [](W a, W b) -> W { return std::pow(a, b); }},
                             {"arctan2", BinaryOp::arctan2, [](W a, W b) -> W { return std::atan2(a, b); }},
                             {"hypot", BinaryOp::hypot, [](W a, W b) -> W { return std::hypot(a, b); }},
                             {"logaddexp", BinaryOp::logaddexp, logaddexp<W>}};

// ---- the tables, and what the page says of them

struct Table {
  std::string set;
  const VectorLoops *f32, *f64;
};
std::vector<Table> tables() {
  std::vector<Table> t = {{"baseline", &loops::vector_loops_baseline_f32, &loops::vector_loops_baseline_f64}};
#if defined(__x86_64__)
  if (has_avx2()) t.push_back({"AVX2", &loops::vector_loops_avx2_f32, &loops::vector_loops_avx2_f64});
  if (has_avx512()) t.push_back({"AVX-512", &loops::vector_loops_avx512_f32, &loops::vector_loops_avx512_f64});
#endif
  return t;
}
template <class T>
const VectorLoops& loops_of(const Table& t) {
  return sizeof(T) == 4 ? *t.f32 : *t.f64;
}

/// Ulp by function: float32 and float64, then the same without fused multiply-add.
std::map<std::string, std::vector<double>> stated_errors() {
  std::map<std::string, std::vector<double>> errors;
  std::ifstream page(std::filesystem::path(__FILE__).parent_path() / "../../docs/accuracy.md");
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    std::string name = line.substr(3, line.find('`', 3) - 3);
    std::replace(line.begin(), line.end(), '|', ' ');
    std::istringstream rest(line.substr(line.find('`', 3) + 1));
    for (double e; rest >> e;) errors[name].push_back(e);
  }
  return errors;
}
template <class T>
double stated(const std::string& name, const Table& t) {
  static const auto errors = stated_errors();
  auto found = errors.find(name);
  if (found == errors.end() || found->second.size() != 4) return -1;
  bool unfused = t.f32 == &loops::vector_loops_baseline_f32;
#if defined(__aarch64__)
  unfused = false;
#endif
  return found->second[(sizeof(T) == 8 ? 1 : 0) + (unfused ? 2 : 0)];
}

/// The distance of T's numbers near x.
template <class T, class W>
W spacing(W x) {
  int e;
  std::frexp(std::max(std::fabs(x), W(std::numeric_limits<T>::min())), &e);
  return std::ldexp(W(1), e - std::numeric_limits<T>::digits);
}

/// How far `got` is from `exact` in ulp (at least of `scale`); infinite where a special value or the sign of a zero is wrong.
template <class T, class W>
double error(T got, W exact, W scale = 0) {
  T rounded = static_cast<T>(exact);
  if (std::isnan(rounded) || std::isinf(rounded)) {
    bool close = std::isinf(rounded) && std::fabs(got) == std::numeric_limits<T>::max() && std::isfinite(exact);
    return (std::isnan(rounded) ? std::isnan(got) : got == rounded) || close ? 0 : HUGE_VAL;
  }
  if (rounded == 0 && got == 0 && scale == 0 && std::signbit(rounded) != std::signbit(got)) return HUGE_VAL;
  if (std::isinf(got) && std::fabs(exact) < W(std::numeric_limits<T>::max())) return HUGE_VAL;
  double e = static_cast<double>(std::fabs(static_cast<W>(got) - exact) / spacing<T>(std::max(std::fabs(exact), scale)));
  return e == e ? e : HUGE_VAL;
}

template <class T>
std::vector<T> special_values() {
  using L = std::numeric_limits<T>;
  std::vector<T> v = {0, 1, 2, 3, T(0.5), T(0.25), T(1.5), 10, 100, 101, T(1e-3), T(1e10), T(88.72), T(89.5), T(103.9), T(709.7), T(710.4), T(745.1),
                      L::infinity(), L::quiet_NaN(), L::max(), L::min(), L::denorm_min(), L::min() - L::denorm_min(), L::epsilon(),
                      1 - L::epsilon() / 2, 1 + L::epsilon(), T(1e5), T(25000), T(1.5e6), T(1e9), T(1e22), T(16777216), T(3.14159265358979323846)};
  for (size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  return v;
}

template <class T>
class Draw {
 public:
  /// A number of one of several sorts: any bits, small, wide, near 1, near a multiple of pi / 2.
  T operator()() {
    uint64_t w = rng_();
    T sign = w & 1 ? T(-1) : T(1), u = static_cast<T>(static_cast<double>(w >> 11) * 0x1p-53);
    switch (rng_() % 8) {
      case 0:
        if constexpr (sizeof(T) == 4) return std::bit_cast<float>(static_cast<uint32_t>(w >> 20));
        else return std::bit_cast<double>(w);
      case 1: return sign * u;
      case 2: return sign * u * 4;
      case 3: return sign * u * 100;
      case 4: return sign * u * 760;
      case 5: return sign * std::exp((u - T(0.5)) * 40);
      case 6: return sign + sign * std::exp(-u * 36) * ((w & 2) ? T(-0.5) : T(0.5));
      default: {
        T x = sign * std::round(u * 2000) * T(1.57079632679489661923);
        return w & 2 ? std::nextafter(x, T(0)) : x;
      }
    }
  }
  std::mt19937_64 rng_{11};
};

template <class T>
std::vector<T> run(Loop loop, const std::vector<T>& a, const std::vector<T>& b = {}) {
  std::vector<T> y(a.size());
  const void* in[] = {a.data(), b.data()};
  loop(in, y.data(), static_cast<int64_t>(a.size()));
  return y;
}

/// Compares every table's results for `a` with what they should be, and those with fused multiply-add among each other.
template <class T, class W>
void check_unary(const Unary<W>& f, const std::vector<T>& a, const std::vector<W>& exact) {
  std::vector<T> fused;
  for (const Table& t : tables()) {
    std::vector<T> y = run(loops_of<T>(t).unary[static_cast<int>(f.op)], a);
    double limit = stated<T>(f.name, t), worst = 0;
    T at = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      double e = error<T, W>(y[i], exact[i]);
      if (e > worst) worst = e, at = a[i];
    }
    CAPTURE(f.name);
    CAPTURE(t.set);
    CAPTURE(at);
    CHECK(worst <= limit);
    if (t.f32 == &loops::vector_loops_baseline_f32) continue;
    bool same = fused.empty() || std::equal(y.begin(), y.end(), fused.begin(), [](T p, T q) { return (p != p && q != q) || (p == q && std::signbit(p) == std::signbit(q)); });
    CHECK(same);
    fused = std::move(y);
  }
}

template <class T, class W>
void check_samples(size_t n) {
  std::vector<T> a = special_values<T>();
  Draw<T> draw;
  while (a.size() < n) a.push_back(draw());
  for (const Unary<W>& f : kUnary<W>) {
    std::vector<W> exact;
    for (T x : a) exact.push_back(f.exact(static_cast<W>(x)));
    check_unary<T, W>(f, a, exact);
  }
}

}  // namespace

TEST_CASE("float32 functions are within the stated errors") { check_samples<float, double>(20000); }
TEST_CASE("float64 functions are within the stated errors") { check_samples<double, long double>(10000); }

TEST_CASE("float32 functions of bits all over the range are within the stated errors") {
  // Every number by the float64 functions, which the case above has checked; else a few by the library.
  bool all = std::getenv("MXFORM_LONG");
  constexpr size_t kPiece = 1 << 16;
  for (const Unary<double>& f : kUnary<double>) {
    std::vector<float> a;
    auto check = [&] {
      std::vector<double> exact(a.begin(), a.end());
      if (all) {
        exact = run(loops_of<double>(tables().back()).unary[static_cast<int>(f.op)], exact);
      } else {
        for (double& x : exact) x = f.exact(x);
      }
      check_unary<float, double>(f, a, exact);
      a.clear();
    };
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += all ? 1 : 300007) {
      a.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
      if (a.size() == kPiece) check();
    }
    if (!a.empty()) check();
  }
}

namespace {

template <class T>
void draw_pairs(size_t n, std::vector<T>& a, std::vector<T>& b) {
  for (T x : special_values<T>()) {
    for (T y : special_values<T>()) a.push_back(x), b.push_back(y);
  }
  Draw<T> draw;
  while (a.size() < n) {
    a.push_back(draw());
    b.push_back(draw.rng_() % 4 ? draw() : std::round(draw()));
  }
}

template <class T, class W>
void check_pairs(size_t n) {
  std::vector<T> a, b;
  draw_pairs(n, a, b);
  for (const Binary<W>& f : kBinary<W>) {
    for (const Table& t : tables()) {
      std::vector<T> y = run(loops_of<T>(t).binary[static_cast<int>(f.op)], a, b);
      double limit = stated<T>(f.name, t), worst = 0;
      T at[2] = {};
      for (size_t i = 0; i < a.size(); ++i) {
        W scale = f.op == BinaryOp::logaddexp && std::isfinite(a[i]) && std::isfinite(b[i]) ? W(std::max(std::fabs(a[i]), std::fabs(b[i]))) : W(0);
        double e = error<T, W>(y[i], f.exact(a[i], b[i]), scale);
        if (e > worst) worst = e, at[0] = a[i], at[1] = b[i];
      }
      CAPTURE(f.name);
      CAPTURE(t.set);
      CAPTURE(at[0]);
      CAPTURE(at[1]);
      CHECK(worst <= limit);
    }
  }
  // These are exact.
  for (BinaryOp op : {BinaryOp::remainder, BinaryOp::floor_divide}) {
    for (const Table& t : tables()) {
      std::vector<T> y = run(loops_of<T>(t).binary[static_cast<int>(op)], a, b);
      int wrong = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        T exact = op == BinaryOp::remainder ? scalar::remainder(a[i], b[i]) : scalar::floor_divide(a[i], b[i]);
        wrong += error<T, W>(y[i], exact) != 0;
      }
      CAPTURE(t.set);
      CHECK(wrong == 0);
    }
  }
}

}  // namespace

TEST_CASE("functions of two numbers are within the stated errors, and right for special values") {
  check_pairs<float, double>(30000);
  check_pairs<double, long double>(15000);
}

TEST_CASE("what does not fill a register is computed like the rest, and nothing else is written") {
  std::mt19937 rng(3);
  auto check = [&](auto zero) {
    using T = decltype(zero);
    for (const Table& t : tables()) {
      for (Loop loop : {loops_of<T>(t).unary[static_cast<int>(UnaryOp::exp)], loops_of<T>(t).unary[static_cast<int>(UnaryOp::sin)],
                        loops_of<T>(t).binary[static_cast<int>(BinaryOp::power)]}) {
        std::vector<T> a(70), b(70), whole;
        for (T& x : a) x = static_cast<T>(rng() % 1000) / 100;
        for (T& x : b) x = static_cast<T>(rng() % 1000) / 100;
        whole = run(loop, a, b);
        for (int64_t n = 0; n <= 70; ++n) {
          std::vector<T> y(71, T(-7));
          const void* in[] = {a.data(), b.data()};
          loop(in, y.data(), n);
          CHECK(std::equal(y.begin(), y.begin() + n, whole.begin()));
          CHECK(std::all_of(y.begin() + n, y.end(), [](T e) { return e == T(-7); }));
        }
        const void* in[] = {a.data(), b.data()};
        loop(in, a.data(), 70);
        CHECK(a == whole);
      }
    }
  };
  check(0.0f);
  check(0.0);
}
