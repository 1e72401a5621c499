// fft_plan.h — how a Fourier transform of a certain size is done, and the tables that it needs.
//
// A size whose primes are all small is a Series of passes over a block of transforms. A long one is split into n1 * n2,
// columns first and rows then (Gentleman and Sande, "Fast Fourier transforms for fun and profit", 1966), so that one
// transform fills the lanes of vectors by itself. A size with a large prime becomes a convolution of a smooth size
// (Bluestein, "A linear filtering approach to the computation of the discrete Fourier transform", 1970). Tables are
// computed in double precision and rounded once.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

namespace mx::cpu::fft {

/// exp(-2 pi i k / n) for any k, within 2 roundings of double precision.
class Roots {
 public:
  explicit Roots(int64_t n);
  std::complex<double> operator()(int64_t k) const;

 private:
  int64_t n_, step_;
  std::vector<std::complex<double>> coarse_, fine_;
};

/// A transform of a smooth size on a block of lanes: radices, the first pass first.
struct Series {
  struct Stage {
    int radix;
    int64_t m, s;     ///< See PassFn.
    size_t twiddles;  ///< Where they begin in `table`.
    size_t roots;     ///< For radices without a pass of their own.
  };
  explicit Series(int64_t n);
  int64_t n;
  std::vector<Stage> stages;
  std::vector<float> table;
};

struct Plan {
  explicit Plan(int64_t n);
  enum Kind : uint8_t { series, split, chirp };

  int64_t n;
  Kind kind;
  /// For `series`, and for smaller splits, whose columns can be done whole.
  std::shared_ptr<const Series> whole = {};
  /// For `split`: transforms of size n1 over columns, factors, transforms of size n2 over rows. The factors of each block
  /// of columns (see store_twiddled) are in `twiddles`, or for long transforms made from the other two.
  std::shared_ptr<const Series> first = {}, second = {};
  std::vector<float> twiddles = {};
  std::shared_ptr<const Roots> roots = {};
  std::vector<double> lane_roots = {};
  /// For `chirp`: exp(-pi i k² / n) for k < n, and the transform of its conjugate on a circle of the size of `inner`, divided
  /// by that size; complex numbers.
  std::vector<float> chirps = {}, spectrum = {};
  std::shared_ptr<const Plan> inner = {};

  size_t n_bytes() const;

 private:
  void make_split(int64_t n1, int64_t n2);
  void make_chirp();
};

/// The factors of the block of columns that begins at `column`, of a split without a table.
void fill_twiddles(const Plan& plan, int64_t column, float* out);

/// cos and sin of pi k / h for k <= h / 2, with room for a vector behind.
struct HalfTurn {
  explicit HalfTurn(int64_t h);
  std::vector<float> cosines, sines;
};

/// Plans are kept, up to a total of bytes; the least recently used goes first.
std::shared_ptr<const Plan> plan_of(int64_t n);
std::shared_ptr<const HalfTurn> half_turn_of(int64_t h);

}  // namespace mx::cpu::fft
