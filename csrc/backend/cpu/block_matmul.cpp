// block_matmul.cpp — products with masked blocks, and over segments of the inner dimension.
//
// Masked: a strip of the result as high as a block is made of runs of blocks that have the same factors all the way
// down the inner dimension; each run is a few products over those parts that no mask zeroes. Half types collect these
// parts in float first, so that they are rounded once. Start at block_masked_mm_kernel().

#include <algorithm>
#include <optional>
#include <vector>

#include "backend/cpu/gather_matmul.h"
#include "backend/cpu/matrix_view.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/gather_matmul_params.h"

namespace mx::cpu {

namespace {

constexpr double kTaskFlops = 5e5;   // Worth a thread.
constexpr int64_t kBlocksAcross = 8;  // Blocks of the result that a task takes.

// A mask as factors, one a block; absent: ones.
template <class S>
class Factors {
  using T = Accumulator<S>;

 public:
  Factors() = default;
  Factors(const array& mask, int64_t offset) : is_bool_(is_bool(mask.dtype())) {
    size_t d = mask.shape().size();
    row_ = mask.strides()[d - 2];
    col_ = mask.strides()[d - 1];
    data_ = mask.bytes() + offset * static_cast<int64_t>(mask.itemsize());
  }
  T at(int64_t i, int64_t j) const {
    if (!data_) return T(1);
    int64_t k = i * row_ + j * col_;
    return is_bool_ ? T(data_[k] != std::byte(0)) : static_cast<T>(reinterpret_cast<const S*>(data_)[k]);
  }

 private:
  const std::byte* data_ = nullptr;
  int64_t row_ = 0, col_ = 0;
  bool is_bool_ = false;
};

// One example.
template <class S>
struct Blocks {
  using T = Accumulator<S>;
  int64_t m, n, k, block;
  View<S> a, b;
  S* out;
  Factors<S> mask_out, mask_lhs, mask_rhs;

  // Rows of block i, columns of blocks [j_begin, j_end).
  void strip(int64_t i, int64_t j_begin, int64_t j_end) const {
    std::vector<T> factors, next;
    factors_of(i, j_begin, factors);
    for (int64_t j = j_begin; j < j_end;) {
      int64_t from = j;
      for (++j; j < j_end; ++j) {
        factors_of(i, j, next);
        if (next != factors) break;
      }
      run(i, from * block, std::min(n, j * block), factors);
      std::swap(factors, next);
    }
  }

 private:
  // What each block along the inner dimension is multiplied by, for result block (i, j).
  void factors_of(int64_t i, int64_t j, std::vector<T>& factors) const {
    factors.clear();
    T of_out = mask_out.at(i, j);
    for (int64_t p = 0; p * block < k; ++p) {
      T lhs = mask_lhs.at(i, p), rhs = mask_rhs.at(p, j);
      factors.push_back(of_out == 0 || lhs == 0 || rhs == 0 ? T(0) : of_out * lhs * rhs);
    }
  }

  void run(int64_t i, int64_t col_begin, int64_t col_end, const std::vector<T>& factors) const {
    int64_t row = i * block, rows = std::min(block, m - row), cols = col_end - col_begin;
    S* to = out + row * n + col_begin;
    if constexpr (std::is_same_v<S, T>) {
      bool first = true;
      for_parts(factors, [&](int64_t begin, int64_t end, T factor) {
        View<S> x{a.data + row * a.row + begin * a.col, a.row, a.col}, y{b.data + begin * b.row + col_begin * b.col, b.row, b.col};
        product(rows, cols, end - begin, x, y, to, n, first ? nullptr : to, factor);
        first = false;
      });
      if (!first) return;
    } else {
      int64_t depth = 0;
      for_parts(factors, [&](int64_t begin, int64_t end, T) { depth += end - begin; });
      if (depth > 0) {
        Scratch memory(static_cast<size_t>(depth * (rows + cols) + rows * cols) * sizeof(T));
        T *x = memory.as<T>(), *y = x + rows * depth, *sums = y + depth * cols;
        int64_t at = 0;
        for_parts(factors, [&](int64_t begin, int64_t end, T factor) {
          pack(View<S>{a.data + row * a.row + begin * a.col, a.row, a.col}, rows, end - begin, x + at, depth, factor);
          pack(View<S>{b.data + begin * b.row + col_begin * b.col, b.row, b.col}, end - begin, cols, y + at * cols, cols);
          at += end - begin;
        });
        product(rows, cols, depth, View<T>{x, depth, 1}, View<T>{y, cols, 1}, sums, cols);
        pack(View<T>{sums, cols, 1}, rows, cols, to, n);
        return;
      }
    }
    for (int64_t r = 0; r < rows; ++r) std::fill_n(to + r * n, cols, S());
  }

  // Calls f(begin, end, factor) for the parts of the inner dimension that count.
  template <class F>
  void for_parts(const std::vector<T>& factors, F&& f) const {
    for (size_t p = 0; p < factors.size();) {
      size_t q = p + 1;
      while (q < factors.size() && factors[q] == factors[p]) ++q;
      if (factors[p] != 0) f(static_cast<int64_t>(p) * block, std::min(k, static_cast<int64_t>(q) * block), factors[p]);
      p = q;
    }
  }
};

template <class S>
void run_masked(const Task& task) {
  const auto& p = task.params.get<BlockMaskParams>();
  const array &a = task.in[0], &b = task.in[1];
  array& out = task.out[0];
  int64_t m = a.shape(-2), n = b.shape(-1), k = a.shape(-1), block = p.block_size;
  if (out.size() == 0) return;
  Layout layout = batch_layout(task, 2);
  int64_t strips = (m - 1) / block + 1, across = (n - 1) / block + 1, pieces = (across - 1) / kBlocksAcross + 1;
  double flops = 2.0 * static_cast<double>(block * kBlocksAcross * block) * static_cast<double>(k) + 1;
  parallel_for(layout.size * strips * pieces, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      int64_t example = u / (strips * pieces), i = u / pieces % strips, j = u % pieces * kBlocksAcross;
      Walk w(layout, example);
      size_t next = 2;
      auto factors = [&](bool present) {
        if (!present) return Factors<S>();
        size_t input = next++;
        return Factors<S>(task.in[input], w.offset(input));
      };
      Factors<S> of_out = factors(p.out), lhs = factors(p.lhs), rhs = factors(p.rhs);
      Blocks<S>{m, n, k, block, matrix_of<S>(a, w.offset(0)), matrix_of<S>(b, w.offset(1)), out.data<S>() + example * m * n, of_out, lhs, rhs}
          .strip(i, j, std::min(across, j + kBlocksAcross));
    }
  });
}

// ---- segments

struct Segment {
  int64_t begin, end;
};

// Segment s, cut to [0, k).
Segment segment_at(const array& segments, int64_t offset, int64_t s, int64_t k) {
  size_t d = segments.shape().size();
  const int64_t* x = segments.data<int64_t>() + offset + s * segments.strides()[d - 2];
  int64_t begin = std::clamp<int64_t>(x[0], 0, k), end = std::clamp<int64_t>(x[segments.strides()[d - 1]], 0, k);
  return {begin, std::max(begin, end)};
}

template <class S>
void run_segmented(const Task& task) {
  const array &a = task.in[0], &b = task.in[1], &segments = task.in[2];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int64_t m = a.shape(-2), n = b.shape(-1), k = a.shape(-1), count = segments.shape(-2);
  Layout layout = batch_layout(task, 2);
  auto one = [&](int64_t u) {
    Walk w(layout, u / count);
    Segment s = segment_at(segments, w.offset(2), u % count, k);
    View<S> x = matrix_of<S>(a, w.offset(0)), y = matrix_of<S>(b, w.offset(1));
    x.data += s.begin * x.col;
    y.data += s.begin * y.row;
    product(m, n, s.end - s.begin, x, y, out.data<S>() + u * m * n, n);
  };
  int64_t total = layout.size * count;
  double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k / std::max<int64_t>(1, count)) + 1;
  if (total < 2 * n_threads() && flops > 40 * kTaskFlops) {
    for (int64_t u = 0; u < total; ++u) one(u);
    return;
  }
  parallel_for(total, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) one(u);
  });
}

// The segments of an example are added one after the other, since they may overlap.
template <class S>
void run_segment_sum(const Task& task) {
  using T = Accumulator<S>;
  const array &x = task.in[0], &y = task.in[1], &segments = task.in[2];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int64_t m = x.shape(-2), n = x.shape(-1), k = y.shape(-1), count = segments.shape(-2);
  Layout layout = batch_layout(task, 3);
  auto one = [&](int64_t example) {
    Walk w(layout, example);
    Stack<S> left = stack_of<S>(x, w.offset(0));
    View<S> right = matrix_of<S>(y, w.offset(1));
    S* to = out.data<S>() + example * m * k;
    auto add_all = [&]<class P>(P* sums, View<P> wide_right, auto&& wide_left) {
      std::fill_n(sums, m * k, P());
      for (int64_t s = 0; s < count; ++s) {
        Segment g = segment_at(segments, w.offset(2), s, k);
        if (g.begin == g.end) continue;
        P* part = sums + g.begin;
        product(m, g.end - g.begin, n, wide_left(s), View<P>{wide_right.data + g.begin * wide_right.col, wide_right.row, wide_right.col}, part, k, part);
      }
    };
    if constexpr (std::is_same_v<S, T>) {
      add_all(to, right, [&](int64_t s) { return left[s]; });
    } else {
      Scratch memory(static_cast<size_t>(m * k + n * k + m * n) * sizeof(T));
      T *sums = memory.as<T>(), *wide = sums + m * k, *matrix = wide + n * k;
      pack(right, n, k, wide, k);
      add_all(sums, View<T>{wide, k, 1}, [&](int64_t s) {
        pack(left[s], m, n, matrix, n);
        return View<T>{matrix, n, 1};
      });
      pack(View<T>{sums, k, 1}, m, k, to, k);
    }
  };
  parallel_for(layout.size, 1, [&](int64_t begin, int64_t end) {
    for (int64_t example = begin; example < end; ++example) one(example);
  });
}

}  // namespace

void block_masked_mm_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { run_masked<typename decltype(tag)::type>(task); });
}

void segmented_mm_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { run_segmented<typename decltype(tag)::type>(task); });
}

void segment_sum_mm_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { run_segment_sum<typename decltype(tag)::type>(task); });
}

}  // namespace mx::cpu
