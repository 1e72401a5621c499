#include "backend/cpu/fft_plan.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>

#include "backend/cpu/clones.h"
#include "backend/cpu/fft_lanes.h"
#include "backend/cpu/instructions.h"

namespace mx::cpu::fft {

namespace {

using Complex = std::complex<double>;

constexpr int64_t kWholeUpTo = 2048;        // Columns longer than this leave the second-level cache.
constexpr int64_t kSplitFrom = 192;         // Shorter transforms are done several at a time.
constexpr int64_t kTableUpTo = 1 << 19;     // Longer transforms compute their factors as they go.
constexpr size_t kCachedBytes = 64 << 20;

// exp(-2 pi i k / n): the angle is brought to the first eighth of the circle, so that symmetries are exact.
Complex root(int64_t k, int64_t n) {
  k %= n;
  if (k < 0) k += n;
  auto angle = [&](int64_t numerator) { return 2 * std::numbers::pi * static_cast<double>(numerator) / static_cast<double>(n); };
  if (8 * k <= n) return {std::cos(angle(k)), -std::sin(angle(k))};
  if (4 * k <= n) {  // angle = pi / 2 - rest, with rest = (n - 4 k) / 4 turns of 1 / n
    double rest = angle(n - 4 * k) / 4;
    return {std::sin(rest), -std::cos(rest)};
  }
  if (2 * k <= n) {
    Complex mirrored = root(n - 2 * k, 2 * n);
    return {-mirrored.real(), mirrored.imag()};
  }
  return std::conj(root(n - k, n));
}

std::vector<int> prime_factors(int64_t n) {
  std::vector<int> found;
  for (int p = 2; p <= kLargestRadix; ++p) {
    for (; n % p == 0; n /= p) found.push_back(p);
  }
  if (n > 1) found.clear();
  return found;
}
bool smooth(int64_t n) { return n == 1 || !prime_factors(n).empty(); }

// Radices of the passes: eights and fours before twos.
std::vector<int> radices(int64_t n) {
  std::vector<int> odd, out;
  int twos = 0;
  for (int p : prime_factors(n)) p == 2 ? void(++twos) : odd.push_back(p);
  while (twos > 0) {
    int bits = twos == 4 || twos == 2 ? 2 : std::min(twos, 3);
    out.push_back(1 << bits);
    twos -= bits;
  }
  out.insert(out.end(), odd.begin(), odd.end());
  return out;
}

void append(std::vector<float>& table, Complex x) {
  table.push_back(static_cast<float>(x.real()));
  table.push_back(static_cast<float>(x.imag()));
}

// A transform in double precision, for tables; n = product of small primes. x is read with a step.
void transform(const Complex* x, int64_t step, Complex* y, int64_t n, const std::vector<Complex>& roots) {
  if (n == 1) {
    y[0] = x[0];
    return;
  }
  int64_t total = static_cast<int64_t>(roots.size()), turn = total / n;
  int64_t p = 2;
  while (n % p != 0) ++p;
  int64_t m = n / p;
  for (int64_t j = 0; j < p; ++j) transform(x + j * step, step * p, y + j * m, m, roots);
  std::vector<Complex> terms(p == 2 ? 0 : static_cast<size_t>(p));
  for (int64_t k = 0; k < m; ++k) {
    if (p == 2) {
      Complex a = y[k], b = y[m + k], w = roots[static_cast<size_t>(k * turn)];
      Complex t(b.real() * w.real() - b.imag() * w.imag(), b.real() * w.imag() + b.imag() * w.real());
      y[k] = a + t;
      y[m + k] = a - t;
      continue;
    }
    for (int64_t j = 0; j < p; ++j) terms[static_cast<size_t>(j)] = y[j * m + k] * roots[static_cast<size_t>(j * k * turn)];
    for (int64_t q = 0; q < p; ++q) {
      Complex sum = 0;
      for (int64_t j = 0; j < p; ++j) sum += terms[static_cast<size_t>(j)] * roots[static_cast<size_t>(j * q % p * (total / p))];
      y[q * m + k] = sum;
    }
  }
}

// The smallest smooth size of at least `least` that splits well.
int64_t convolution_size(int64_t least) {
  int64_t best = 0;
  for (int64_t odd : {1, 3, 5, 9, 15}) {
    int64_t n = odd;
    while (n < least || n % 16 != 0) n *= 2;
    if (best == 0 || n < best) best = n;
  }
  return best;
}

// ---- the cache

template <class T>
class Cache {
 public:
  std::shared_ptr<const T> get(int64_t n) {
    {
      std::lock_guard guard(lock_);
      if (auto found = find(n)) return found;
    }
    auto made = std::make_shared<const T>(n);
    std::lock_guard guard(lock_);
    if (auto found = find(n)) return found;
    size_t bytes = size(*made);
    if (bytes > kCachedBytes) return made;
    kept_.push_front({n, bytes, made});
    total_ += bytes;
    while (total_ > kCachedBytes) {
      total_ -= kept_.back().n_bytes;
      kept_.pop_back();
    }
    return made;
  }

 private:
  struct Entry {
    int64_t n;
    size_t n_bytes;
    std::shared_ptr<const T> value;
  };
  std::shared_ptr<const T> find(int64_t n) {
    for (auto it = kept_.begin(); it != kept_.end(); ++it) {
      if (it->n != n) continue;
      kept_.splice(kept_.begin(), kept_, it);
      return kept_.front().value;
    }
    return nullptr;
  }
  // Small ones count for something too, or the list would grow long.
  static size_t size(const Plan& p) { return p.n_bytes() + (256 << 10); }
  static size_t size(const HalfTurn& t) { return t.cosines.size() * 8 + (256 << 10); }

  std::mutex lock_;
  std::list<Entry> kept_;
  size_t total_ = 0;
};

}  // namespace

Roots::Roots(int64_t n) : n_(n), step_(std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(n))))) {
  for (int64_t k = 0; k < step_; ++k) fine_.push_back(root(k, n));
  for (int64_t k = 0; k < n; k += step_) coarse_.push_back(root(k, n));
}

Complex Roots::operator()(int64_t k) const {
  k %= n_;
  Complex a = coarse_[static_cast<size_t>(k / step_)], b = fine_[static_cast<size_t>(k % step_)];
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

Series::Series(int64_t size) : n(size) {
  int64_t rest = n, s = 1;
  for (int r : radices(n)) {
    int64_t m = rest / r;
    Stage stage{r, m, s, table.size(), 0};
    for (int64_t p = 1; p < m; ++p) {
      for (int64_t k = 1; k < r; ++k) append(table, root(p * k, rest));
    }
    stage.roots = table.size();
    // Sums take cos and +sin; the sign is in the pass.
    for (int64_t j = 0; j < r; ++j) append(table, std::conj(root(j, r)));
    stages.push_back(stage);
    rest = m;
    s *= r;
  }
}

Plan::Plan(int64_t size) : n(size), kind(series) {
  if (!smooth(n)) {
    kind = chirp;
    make_chirp();
    return;
  }
  // Both parts must fill a vector; the nearest to a square is best.
  int64_t lanes = lane_kernels().lanes, n1 = 0;
  for (int64_t d = lanes; d * d <= n && n >= kSplitFrom; ++d) {
    if (n % d == 0) n1 = d;
  }
  if (n <= kWholeUpTo || n1 == 0) whole = std::make_shared<const Series>(n);
  if (n1 == 0) return;
  kind = split;
  make_split(n1, n / n1);
}

void Plan::make_split(int64_t n1, int64_t n2) {
  first = std::make_shared<const Series>(n1);
  second = n1 == n2 ? first : std::make_shared<const Series>(n2);
  int64_t lanes = lane_kernels().lanes;
  roots = std::make_shared<const Roots>(n);
  for (int64_t j = 0; j < n1; ++j) {
    for (int64_t l = 0; l < lanes; ++l) lane_roots.push_back((*roots)(j * l).real());
    for (int64_t l = 0; l < lanes; ++l) lane_roots.push_back((*roots)(j * l).imag());
  }
  if (n > kTableUpTo) return;
  int64_t blocks = (n2 + lanes - 1) / lanes, each = 2 * n1 * lanes;
  twiddles.resize(static_cast<size_t>(blocks * each));
  for (int64_t block = 0; block < blocks; ++block) fill_twiddles(*this, std::min(block * lanes, n2 - lanes), twiddles.data() + block * each);
  lane_roots = {};
  roots = nullptr;
}

// One row of factors: w^(j column) times w^(j l) for each lane.
MX_CLONES void multiply_row(Complex base, const double* lane_roots, float* out, int64_t lanes) {
  double re = base.real(), im = base.imag();
  for (int64_t l = 0; l < lanes; ++l) {
    out[l] = static_cast<float>(re * lane_roots[l] - im * lane_roots[lanes + l]);
    out[lanes + l] = static_cast<float>(re * lane_roots[lanes + l] + im * lane_roots[l]);
  }
}

void fill_twiddles(const Plan& plan, int64_t column, float* out) {
  int64_t lanes = lane_kernels().lanes, n1 = plan.first->n;
  for (int64_t j = 0; j < n1; ++j) {
    multiply_row((*plan.roots)(j * column), plan.lane_roots.data() + 2 * j * lanes, out + 2 * j * lanes, lanes);
  }
}

void Plan::make_chirp() {
  int64_t m = convolution_size(2 * n - 1);
  inner = std::make_shared<const Plan>(m);
  Roots circle(m), half(2 * n);
  std::vector<Complex> all, b(static_cast<size_t>(m)), transformed(static_cast<size_t>(m));
  for (int64_t k = 0; k < m; ++k) all.push_back(circle(k));
  int64_t square = 0;  // k² modulo 2 n
  for (int64_t k = 0; k < n; ++k) {
    Complex w = half(square);
    append(chirps, w);
    b[static_cast<size_t>(k)] = b[static_cast<size_t>((m - k) % m)] = std::conj(w);
    square = (square + 2 * k + 1) % (2 * n);
  }
  transform(b.data(), 1, transformed.data(), m, all);
  for (const Complex& x : transformed) append(spectrum, x / static_cast<double>(m));
}

size_t Plan::n_bytes() const {
  size_t floats = twiddles.size() + chirps.size() + spectrum.size() + 2 * lane_roots.size();
  for (const auto& s : {whole, first, second}) floats += s ? s->table.size() : 0;
  return floats * sizeof(float) + (inner ? inner->n_bytes() : 0);
}

HalfTurn::HalfTurn(int64_t h) {
  Roots roots(2 * h);
  for (int64_t k = 0; k <= h / 2; ++k) {
    Complex w = roots(k);
    cosines.push_back(static_cast<float>(w.real()));
    sines.push_back(static_cast<float>(-w.imag()));
  }
  for (int i = 0; i < 16; ++i) {
    cosines.push_back(0);
    sines.push_back(0);
  }
}

std::shared_ptr<const Plan> plan_of(int64_t n) {
  static Cache<Plan> cache;
  return cache.get(n);
}

std::shared_ptr<const HalfTurn> half_turn_of(int64_t h) {
  static Cache<HalfTurn> cache;
  return cache.get(h);
}

const LaneKernels& lane_kernels() {
#if defined(__x86_64__)
  static const LaneKernels& best = best_of(lanes_avx512, lanes_avx2, lanes_baseline);
  return best;
#else
  return lanes_baseline;
#endif
}

}  // namespace mx::cpu::fft
