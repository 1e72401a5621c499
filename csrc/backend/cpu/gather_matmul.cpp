// gather_matmul.cpp — products of matrices chosen by index, one by one or summed (ops/gather_matmul_params.h).
//
// Pairs that share the right operand are taken together: their left rows are stacked, so that a large matrix used by
// many short ones (experts and tokens) is read once. Pairs that share a result are taken together too: operands side by
// side make one long product. Operands that already lie so are not copied. Start at gather_mm_kernel().

#include "backend/cpu/gather_matmul.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/matrix_view.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/gather_matmul_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kStackRows = 64;           // Left operands with fewer rows are stacked.
constexpr int64_t kPackBytes = 4 << 20;      // Most that is copied side by side at a time.
constexpr double kTaskFlops = 5e5;           // Worth a thread.

// Positions of one index vector, checked; negative ones count from the end.
std::vector<int64_t> positions(const int64_t* index, int64_t stride, int64_t n, int64_t size, const char* operand) {
  std::vector<int64_t> at(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    int64_t x = index[i * stride], p = x < 0 ? x + size : x;
    if (p < 0 || p >= size) {
      throw IndexError(cat("[gather_mm] index ", x, " is out of bounds for the ", size, " matrices of ", operand, "; need ", -size,
                           " <= index < ", size, "."));
    }
    at[static_cast<size_t>(i)] = p;
  }
  return at;
}

// Numbers 0 .. keys.size() - 1 ordered by key, and where each key begins: of key k, order[begin[k]] to order[begin[k + 1] - 1].
struct Groups {
  std::vector<int64_t> order, begin;
  Groups(const std::vector<int64_t>& keys, int64_t n_keys) : order(keys.size()), begin(static_cast<size_t>(n_keys) + 1) {
    for (int64_t k : keys) ++begin[static_cast<size_t>(k) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<int64_t> next(begin.begin(), begin.end() - 1);
    for (size_t i = 0; i < keys.size(); ++i) order[static_cast<size_t>(next[static_cast<size_t>(keys[i])]++)] = static_cast<int64_t>(i);
  }
};

// One example: operands as stacks of matrices, and the pairs.
template <class S>
class Pairs {
  using T = Accumulator<S>;

 public:
  Pairs(const Stack<S>& a, const Stack<S>& b, S* out, int64_t m, int64_t n, int64_t k, std::vector<int64_t> ia, std::vector<int64_t> ib)
      : a_(a), b_(b), out_(out), m_(m), n_(n), k_(k), ia_(std::move(ia)), ib_(std::move(ib)), size_(static_cast<int64_t>(ia_.size())) {}

  void run_each(int64_t n_right) {
    if (m_ >= kStackRows || size_ < 2) {
      share(size_, flops(1), [&](int64_t i) { multiply(i, out_ + i * m_ * n_); });
      return;
    }
    Groups groups(ib_, n_right);
    share(n_right, flops(std::max<int64_t>(1, size_ / n_right)), [&](int64_t g) {
      int64_t begin = groups.begin[static_cast<size_t>(g)], end = groups.begin[static_cast<size_t>(g) + 1];
      int64_t most = std::max<int64_t>(1, kPackBytes / static_cast<int64_t>(sizeof(S)) / std::max<int64_t>(1, m_ * (k_ + n_)));
      for (int64_t i = begin; i < end; i += most) multiply_stacked(&groups.order[static_cast<size_t>(i)], std::min(most, end - i));
    });
  }

  void run_sums(const std::vector<int64_t>& target, int64_t n_out) {
    Groups groups(target, n_out);
    share(n_out, flops(std::max<int64_t>(1, size_ / std::max<int64_t>(1, n_out))), [&](int64_t o) {
      int64_t begin = groups.begin[static_cast<size_t>(o)], count = groups.begin[static_cast<size_t>(o) + 1] - begin;
      S* out = out_ + o * m_ * n_;
      if (count == 0) {
        std::fill_n(out, m_ * n_, S());
      } else if (count == 1) {
        multiply(groups.order[static_cast<size_t>(begin)], out);
      } else {
        add_up(&groups.order[static_cast<size_t>(begin)], count, out);
      }
    });
  }

 private:
  double flops(int64_t pairs) const {
    return 2.0 * static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_) * static_cast<double>(pairs) + 1;
  }
  // Few large pieces take all threads one after the other, many small ones are shared out.
  template <class F>
  static void share(int64_t count, double flops, F&& f) {
    if (count < 2 * n_threads() && flops > 40 * kTaskFlops) {
      for (int64_t i = 0; i < count; ++i) f(i);
      return;
    }
    parallel_for(count, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i);
    });
  }

  View<S> left(int64_t pair) const { return a_[ia_[static_cast<size_t>(pair)]]; }
  View<S> right(int64_t pair) const { return b_[ib_[static_cast<size_t>(pair)]]; }

  void multiply(int64_t pair, S* out) const { product(m_, n_, k_, left(pair), right(pair), out, n_); }

  // Whether matrices `of[pairs[0]]`, `of[pairs[1]]`, ... follow one another in a stack.
  static bool in_order(const std::vector<int64_t>& of, const int64_t* pairs, int64_t count) {
    for (int64_t i = 1; i < count; ++i) {
      if (of[static_cast<size_t>(pairs[i])] != of[static_cast<size_t>(pairs[0])] + i) return false;
    }
    return true;
  }

  // Pairs with one right operand: (count · m, k) · (k, n).
  void multiply_stacked(const int64_t* pairs, int64_t count) const {
    if (count == 1) return multiply(pairs[0], out_ + pairs[0] * m_ * n_);
    int64_t rows = count * m_;
    std::optional<Scratch> stacked, results;
    View<S> a = left(pairs[0]);
    if (m_ == 1) a.row = a_.step;
    if (!(in_order(ia_, pairs, count) && (m_ == 1 || a_.step == m_ * a.row))) {
      stacked.emplace(static_cast<size_t>(rows * k_) * sizeof(S));
      for (int64_t i = 0; i < count; ++i) pack(left(pairs[i]), m_, k_, stacked->as<S>() + i * m_ * k_, k_);
      a = {stacked->as<S>(), k_, 1};
    }
    bool direct = pairs[count - 1] - pairs[0] == count - 1;  // The order within a group ascends.
    S* out = out_ + pairs[0] * m_ * n_;
    if (!direct) {
      results.emplace(static_cast<size_t>(rows * n_) * sizeof(S));
      out = results->as<S>();
    }
    product(rows, n_, k_, a, right(pairs[0]), out, n_);
    if (direct) return;
    for (int64_t i = 0; i < count; ++i) std::copy_n(out + i * m_ * n_, m_ * n_, out_ + pairs[i] * m_ * n_);
  }

  // Pairs with one result: (m, count · k) · (count · k, n).
  void add_up(const int64_t* pairs, int64_t count, S* out) const {
    int64_t per_pair = std::max<int64_t>(1, k_ * (m_ + n_) * static_cast<int64_t>(sizeof(T)));
    int64_t most = std::max<int64_t>(1, kPackBytes / per_pair);
    if (count <= most) return add_some<S>(pairs, count, out, false);
    if constexpr (std::is_same_v<S, T>) {
      for (int64_t i = 0; i < count; i += most) add_some<S>(pairs + i, std::min(most, count - i), out, i > 0);
    } else {
      // Half types wait in float, and are rounded once.
      Scratch sums(static_cast<size_t>(m_ * n_) * sizeof(T));
      for (int64_t i = 0; i < count; i += most) add_some<T>(pairs + i, std::min(most, count - i), sums.as<T>(), i > 0);
      std::transform(sums.as<T>(), sums.as<T>() + m_ * n_, out, [](T x) { return static_cast<S>(x); });
    }
  }

  template <class P>
  void add_some(const int64_t* pairs, int64_t count, P* out, bool add) const {
    int64_t depth = count * k_;
    Scratch packed_a(static_cast<size_t>(m_ * depth) * sizeof(P));
    View<P> a{packed_a.as<P>(), depth, 1}, b;
    bool upright = left(pairs[0]).row == 1 && m_ > 1;  // Copy along what is contiguous.
    if (upright) a = {packed_a.as<P>(), 1, m_};
    for (int64_t i = 0; i < count; ++i) {
      View<S> from = left(pairs[i]);
      if (upright) {
        pack(View<S>{from.data, from.col, from.row}, k_, m_, packed_a.as<P>() + i * k_ * m_, m_);
      } else {
        pack(from, m_, k_, packed_a.as<P>() + i * k_, depth);
      }
    }
    std::optional<Scratch> packed_b;
    if constexpr (std::is_same_v<P, S>) {
      b = right(pairs[0]);
      if (k_ == 1) b.row = b_.step;
      if (!(in_order(ib_, pairs, count) && (k_ == 1 || b_.step == k_ * b.row))) b.data = nullptr;
    }
    if (!b.data) {
      packed_b.emplace(static_cast<size_t>(depth * n_) * sizeof(P));
      for (int64_t i = 0; i < count; ++i) pack(right(pairs[i]), k_, n_, packed_b->as<P>() + i * k_ * n_, n_);
      b = {packed_b->as<P>(), n_, 1};
    }
    product(m_, n_, depth, a, b, out, n_, add ? out : nullptr);
  }

  Stack<S> a_, b_;
  S* out_;
  int64_t m_, n_, k_;
  std::vector<int64_t> ia_, ib_;
  int64_t size_;
};

template <class S>
void run(const Task& task) {
  const auto& p = task.params.get<GatherMatmulParams>();
  const array &a = task.in[0], &b = task.in[1], &ia = task.in[2];
  array& out = task.out[0];
  int64_t m = a.shape(-2), k = a.shape(-1), n = b.shape(-1), l = ia.shape(-1), n_out = p.sums ? p.n_out : l;
  Layout layout = batch_layout(task, 3);
  double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k) * static_cast<double>(l) + 1;
  parallel_for(layout.size, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
    for (Walk w(layout, begin); w.index < end; w.advance(1)) {
      auto indices = [&](size_t input, int64_t size, const char* name) {
        const array& x = task.in[input];
        return positions(x.data<int64_t>() + w.offset(input), x.strides().back(), l, size, name);
      };
      Pairs<S> pairs(stack_of<S>(a, w.offset(0)), stack_of<S>(b, w.offset(1)), out.data<S>() + w.index * n_out * m * n, m, n, k,
                     indices(2, a.shape(-3), "a"), indices(3, b.shape(-3), "b"));
      std::vector<int64_t> target;
      if (p.sums) target = indices(4, n_out, "the result");
      if (m * n == 0) continue;
      if (p.sums) {
        pairs.run_sums(target, n_out);
      } else {
        pairs.run_each(b.shape(-3));
      }
    }
  });
}

}  // namespace

void gather_mm_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { run<typename decltype(tag)::type>(task); });
}

}  // namespace mx::cpu
