// linalg.cpp — Cholesky and LU factors, triangular solves and inverses by LAPACK, one matrix after the other, batches in
// parallel.
//
// LAPACK works on columns: a matrix in row order is to it the transposed one, with the triangles exchanged. So solving
// a·x = b in row order is xᵀ·aᵀ = bᵀ, a solve from the right in which nothing is moved; a Hermitian matrix is its own
// conjugate; the inverse of the transpose is the transpose of the inverse. Only lu_factor, whose pivots belong to rows,
// transposes. Start at a kernel; for_each_matrix() is the loop.

#include "backend/cpu/linalg.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "backend/cpu/copy.h"
#include "backend/cpu/lapack.h"
#include "backend/cpu/linalg_small.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/strided.h"
#include "ops/linalg_params.h"

namespace mx::cpu {

namespace {

using lapack::dispatch_lapack;
using lapack::Int;
using lapack::Real;

template <class T>
T conjugate(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) return std::conj(x);
  return x;
}

int64_t rows(const array& a) { return a.shape()[a.shape().size() - 2]; }
int64_t columns(const array& a) { return a.shape().back(); }
int64_t row_stride(const array& a) { return a.strides()[a.shape().size() - 2]; }
int64_t column_stride(const array& a) { return a.strides().back(); }

constexpr double kTaskFlops = 2e5;   // Worth a thread.
constexpr double kCallFlops = 1000;  // What a matrix costs beside the arithmetic.

Shape batch_shape(const array& a) { return {a.shape().begin(), a.shape().end() - 2}; }
Strides batch_strides(const array& a, int n_own_axes = 2) { return {a.strides().begin(), a.strides().end() - n_own_axes}; }
int64_t n_matrices(const array& a) { return n_elems(batch_shape(a)); }

// Calls f(number of the matrix, where it is in each operand), in parallel where that pays.
template <class F>
void for_each_matrix(const Shape& batch, std::initializer_list<Strides> operands, double flops, const F& f) {
  SmallVector<const Strides*, 4> pointers;
  for (const Strides& s : operands) pointers.push_back(&s);
  Layout layout = collapse(batch, pointers);
  int64_t grain = std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / (flops + kCallFlops)));
  parallel_for(layout.size, grain, [&](int64_t begin, int64_t end) {
    for (Walk w(layout, begin); w.index < end; w.advance(1)) f(w.index, w);
  });
}

[[noreturn]] void singular(const char* op, int64_t matrix, int64_t n_matrices, int64_t pivot) {
  std::string which = n_matrices > 1 ? cat("matrix ", matrix, " of the batch") : "the matrix";
  throw BackendError(cat("[linalg.", op, "] ", which, " is singular: pivot ", pivot, " is zero; need a matrix with an inverse. "
                         "Use linalg.pinv, or add a multiple of the identity."));
}

// Throws if the diagonal of a matrix has a zero.
template <class T>
void check_diagonal(const char* op, const T* a, int64_t step, int64_t n, int64_t matrix, int64_t count) {
  for (int64_t i = 0; i < n; ++i) {
    if (a[i * step] == T(0)) singular(op, matrix, count, i);
  }
}

// getrf with pivots that stay inside the matrix: NaNs leave nothing to choose from.
template <class T>
void factor(int64_t m, int64_t n, T* a, std::vector<Int>& pivots) {
  lapack::getrf(m, n, a, m, pivots.data());
  for (size_t r = 0; r < pivots.size(); ++r) {
    auto here = static_cast<Int>(r + 1);
    if (pivots[r] < here || pivots[r] > m) pivots[r] = here;
  }
}

// The matrices of `a` where they are if their rows or (`transposed`, unless `rows_only`) their columns are contiguous,
// else copied; `ld` elements apart.
class LinedUp {
 public:
  explicit LinedUp(const array& a, bool rows_only = false) : a_(a) {
    int64_t n = columns(a), least = std::max<int64_t>(n, 1);
    if (n <= 1 || (column_stride(a) == 1 && row_stride(a) >= n)) {
      ld_ = n <= 1 ? least : row_stride(a);
    } else if (!rows_only && row_stride(a) == 1 && column_stride(a) >= n) {
      ld_ = column_stride(a);
      transposed_ = true;
    } else {
      copy_.emplace(a.n_bytes());
      copy_to(a, copy_->as<void>());
      ld_ = least;
    }
  }
  int64_t ld() const { return ld_; }
  bool transposed() const { return transposed_; }
  /// Matrix number `index`, which in `a` begins at `offset`.
  template <class T>
  const T* matrix(int64_t index, int64_t offset) const {
    return copy_ ? copy_->as<T>() + index * rows(a_) * columns(a_) : a_.data<T>() + offset;
  }

 private:
  const array& a_;
  std::optional<Scratch> copy_;
  int64_t ld_ = 1;
  bool transposed_ = false;
};

constexpr int64_t kTile = 32;

// The lower triangle of (a + aᴴ)/2 in row order, zeros above. Tiles, so that reading columns stays in the cache.
template <class T>
void hermitian_part(const T* a, int64_t row, int64_t column, int64_t n, T* out) {
  parallel_for((n + kTile - 1) / kTile, std::max<int64_t>(1, 16384 / (kTile * n)), [&](int64_t begin, int64_t end) {
    for (int64_t i0 = begin * kTile; i0 < std::min(n, end * kTile); i0 += kTile) {
      int64_t i1 = std::min(n, i0 + kTile);
      for (int64_t j0 = 0; j0 <= i0; j0 += kTile) {
        for (int64_t i = i0; i < i1; ++i) {
          for (int64_t j = j0; j < std::min(i + 1, j0 + kTile); ++j) {
            out[i * n + j] = Real<T>(0.5) * a[i * row + j * column] + Real<T>(0.5) * conjugate(a[j * row + i * column]);
          }
        }
      }
      for (int64_t i = i0; i < i1; ++i) std::fill(out + i * n + i + 1, out + (i + 1) * n, T(0));
    }
  });
}

// Right-hand sides to a task: a fixed number, so that results do not depend on the threads.
constexpr int64_t kColumns = 64;

// What is to be solved with: op(t) for the triangle t of the matrix in row order, or with `transposed` in column order, at
// `a` in lines of `ld` elements.
template <class T>
struct Triangle {
  const T* a;
  int64_t ld;
  bool transposed = false;
  bool upper = false;
  bool unit = false;
  bool adjoint = false;  ///< op(t) = tᴴ, else t.
};

// x (n, k) in row order becomes op(t)⁻¹·x.
template <class T>
void solve_in_rows(const Triangle<T>& t, T* x, int64_t n, int64_t k) {
  if (n <= kSmall && k <= kSmallColumns) {
    bool swapped = t.transposed != t.adjoint;
    small_triangular_solve(t.upper == t.adjoint, t.unit, t.adjoint, t.a, swapped ? 1 : t.ld, swapped ? t.ld : 1, x, n, k);
    return;
  }
  // xᵀ·op(t)ᵀ = bᵀ in columns. LAPACK sees the other triangle of tᵀ, unless t lies in columns. (The adjoint of what lies in
  // columns would need a conjugate without a transpose, which LAPACK does not offer; nobody asks for it.)
  char triangle = t.upper == t.transposed ? 'U' : 'L';
  char op = t.adjoint ? 'C' : t.transposed ? 'T' : 'N';
  char unit = t.unit ? 'U' : 'N';
  int64_t chunks = (k + kColumns - 1) / kColumns;
  double flops = static_cast<double>(n) * static_cast<double>(n) * kColumns;
  parallel_for(chunks, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      int64_t first = c * kColumns;
      lapack::trsm('R', triangle, op, unit, std::min(kColumns, k - first), n, T(1), t.a, t.ld, x + first, k);
    }
  });
}

// x (n, n) becomes its inverse: the factors solve for the permuted identity.
template <class T>
void small_inverse(T* x, int64_t n, int64_t matrix, int64_t count) {
  T f[kSmall * kSmall];
  Int pivots[kSmall];
  int64_t order[kSmall];
  std::copy_n(x, n * n, f);
  small_lu(n, n, f, pivots);
  check_diagonal("inv", f, n + 1, n, matrix, count);
  std::iota(order, order + n, int64_t(0));
  std::fill_n(x, n * n, T(0));
  for (int64_t r = 0; r < n; ++r) {
    std::swap(order[r], order[pivots[r] - 1]);
    x[r * n + order[r]] = T(1);
  }
  solve_in_rows<T>({.a = f, .ld = n, .unit = true}, x, n, n);
  solve_in_rows<T>({.a = f, .ld = n, .upper = true}, x, n, n);
}

}  // namespace

void cholesky_kernel(const Task& task) {
  const array& a = task.in[0];
  array& out = task.out[0];
  int64_t n = columns(a);
  if (out.size() == 0) return;
  double flops = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / 3;
  dispatch_lapack(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_matrix(batch_shape(out), {batch_strides(a), batch_strides(out)}, flops, [&](int64_t, const Walk& at) {
      T* L = out.data<T>() + at.offset(1);
      hermitian_part(a.data<T>() + at.offset(0), row_stride(a), column_stride(a), n, L);
      // The lower triangle in row order is the upper one, conjugated, in LAPACK's.
      bool failed = lapack::potrf('U', n, L, n) != 0;
      for (int64_t i = 0; i < n && !failed; ++i) failed = std::isnan(std::real(L[i * n + i]));
      if (failed) std::fill_n(L, n * n, T(std::numeric_limits<Real<T>>::quiet_NaN()));
    });
  });
}

void inverse_kernel(const Task& task) {
  array& out = task.out[0];
  int64_t n = columns(out), count = n_matrices(out);
  if (out.size() == 0) return;
  copy_to(task.in[0], out.bytes());
  double flops = 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  dispatch_lapack(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_matrix(batch_shape(out), {batch_strides(out)}, flops, [&](int64_t i, const Walk& at) {
      T* x = out.data<T>() + at.offset(0);
      if (n <= kSmall) return small_inverse(x, n, i, count);
      std::vector<Int> pivots(static_cast<size_t>(n));
      factor(n, n, x, pivots);
      check_diagonal("inv", x, n + 1, n, i, count);
      lapack::getri(n, x, n, pivots.data());
    });
  });
}

void triangular_inverse_kernel(const Task& task) {
  const auto& p = task.params.get<TriangularParams>();
  array& out = task.out[0];
  int64_t n = columns(out), count = n_matrices(out);
  if (out.size() == 0) return;
  copy_to(task.in[0], out.bytes());
  double flops = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / 3;
  dispatch_lapack(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_matrix(batch_shape(out), {batch_strides(out)}, flops, [&](int64_t i, const Walk& at) {
      T* x = out.data<T>() + at.offset(0);
      for (int64_t r = 0; r < n; ++r) {
        T *zero = p.upper ? x + r * n : x + r * n + r + 1, *end = p.upper ? x + r * n + r : x + (r + 1) * n;
        std::fill(zero, end, T(0));
      }
      check_diagonal("tri_inv", x, n + 1, n, i, count);
      lapack::trtri(p.upper ? 'L' : 'U', 'N', n, x, n);
    });
  });
}

void solve_triangular_kernel(const Task& task) {
  const auto& p = task.params.get<TriangularParams>();
  const array& a = task.in[0];
  array& out = task.out[0];
  int64_t n = rows(out), k = columns(out), count = n_matrices(a);
  LinedUp lines(a);
  copy_to(task.in[1], out.bytes());
  double flops = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(k);
  dispatch_lapack(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each_matrix(batch_shape(out), {batch_strides(a), batch_strides(out)}, flops, [&](int64_t i, const Walk& at) {
      const T* t = lines.template matrix<T>(i, at.offset(0));
      if (p.strict && !p.unit) check_diagonal("solve_triangular", t, lines.ld() + 1, n, i, count);
      if (n == 0 || k == 0) return;
      solve_in_rows<T>({.a = t, .ld = lines.ld(), .transposed = lines.transposed(), .upper = p.upper, .unit = p.unit},
                       out.data<T>() + at.offset(1), n, k);
    });
  });
}

void lu_factor_kernel(const Task& task) {
  const array& a = task.in[0];
  int64_t m = rows(a), n = columns(a), k = std::min(m, n), count = n_matrices(a);
  auto* pivots = task.out[1].data<uint32_t>();
  auto* order = task.out[2].data<uint32_t>();
  // The same shape with contiguous columns.
  Strides by_columns = row_strides(a.shape());
  by_columns[by_columns.size() - 2] = 1;
  by_columns.back() = m;
  array& out = task.out[0];
  bool small = std::max(m, n) <= kSmall;
  Scratch memory(small ? 0 : a.n_bytes());
  if (small) {
    copy_to(a, out.bytes());
  } else {
    copy_strided(a.bytes(), a.strides(), memory.as<void>(), by_columns, a.shape(), a.itemsize());
  }
  double flops = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  dispatch_lapack(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    int64_t grain = std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / (flops + kCallFlops)));
    parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      std::vector<Int> swaps(static_cast<size_t>(k));
      for (int64_t i = begin; i < end; ++i) {
        if (small) {
          small_lu(m, n, out.data<T>() + i * m * n, swaps.data());
        } else if (k > 0) {
          factor(m, n, memory.as<T>() + i * m * n, swaps);
        }
        uint32_t* rows = order + i * m;
        for (int64_t r = 0; r < m; ++r) rows[r] = static_cast<uint32_t>(r);
        for (int64_t r = 0; r < k; ++r) {
          int64_t with = swaps[static_cast<size_t>(r)] - 1;
          pivots[i * k + r] = static_cast<uint32_t>(with);
          std::swap(rows[r], rows[with]);
        }
      }
    });
  });
  if (!small) copy_strided(memory.as<void>(), by_columns, out.bytes(), row_strides(out.shape()), out.shape(), out.itemsize());
}

void lu_solve_kernel(const Task& task) {
  const auto& p = task.params.get<LuSolveParams>();
  const array &b = task.in[1], &lu = task.in[2], &pivots = task.in[3];
  array& out = task.out[0];
  int64_t n = rows(out), k = columns(out), count = n_matrices(out);
  // Factors in row order come from lu_factor; others are rare and not worth a second path.
  LinedUp lines(lu, true);
  int64_t ld = lines.ld();
  int64_t b_row = row_stride(b), b_column = column_stride(b), pivot_step = pivots.strides().back();
  double flops = 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(k);

  dispatch_lapack(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    auto solve_one = [&](int64_t i, const Walk& at) {
      const T* f = lines.template matrix<T>(i, at.offset(2));
      if (p.strict) check_diagonal("solve", f, ld + 1, n, i, count);
      if (n == 0 || k == 0) return;
      const uint32_t* swaps = pivots.data<uint32_t>() + at.offset(3);
      Scratch order_memory(static_cast<size_t>(n) * sizeof(int64_t));
      auto* order = order_memory.as<int64_t>();
      std::iota(order, order + n, int64_t(0));
      for (int64_t r = 0; r < n; ++r) {
        int64_t with = swaps[r * pivot_step];
        if (with >= n) throw IndexError("[linalg.solve] a pivot is out of bounds.");  // they may come from a file
        std::swap(order[r], order[with]);
      }
      Triangle<T> lower{.a = f, .ld = ld, .unit = true, .adjoint = p.adjoint}, upper{.a = f, .ld = ld, .upper = true, .adjoint = p.adjoint};
      const T* from = b.data<T>() + at.offset(1);
      T* x = out.data<T>() + at.offset(0);
      if (!p.adjoint) {
        for (int64_t r = 0; r < n; ++r) gather_run(from + order[r] * b_row, b_column, k, x + r * k);
        solve_in_rows(lower, x, n, k);
        solve_in_rows(upper, x, n, k);
        return;
      }
      Scratch memory(static_cast<size_t>(n * k) * sizeof(T));
      T* y = memory.as<T>();
      for (int64_t r = 0; r < n; ++r) gather_run(from + r * b_row, b_column, k, y + r * k);
      solve_in_rows(upper, y, n, k);
      solve_in_rows(lower, y, n, k);
      for (int64_t r = 0; r < n; ++r) std::copy_n(y + r * k, k, x + order[r] * k);
    };
    for_each_matrix(batch_shape(out), {batch_strides(out), batch_strides(b), batch_strides(lu), batch_strides(pivots, 1)}, flops, solve_one);
  });
}

}  // namespace mx::cpu
