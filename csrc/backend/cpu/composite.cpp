// composite.cpp — kernels of softmax and logsumexp over any axes, in float32 or float64 (complex has no kernel).
//
// Over the last axes they are fused programs (compile/program.h), written here once for each dtype. Over others:
// Elements along the axes are taken in chunks of fixed size: the largest of a chunk, exp(x - largest) and its sum.
// What the chunks found is put on a common scale afterwards, so a long row is shared between threads and memory
// is passed twice. Rows that do not lie together are gathered in groups. Start at Softmax::run().

#include "backend/cpu/composite.h"

#include <cmath>
#include <limits>
#include <mutex>

#include "backend/cpu/clones.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/fused.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/reduce_plan.h"
#include "backend/cpu/scratch.h"
#include "compile/program.h"
#include "ops/composite_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kSpan = 16384;  ///< Elements of a row handled at a time.
constexpr int64_t kGroup = 16;    ///< Neighbouring rows gathered together when they lie side by side.

template <class T>
MX_CLONES void subtract(const T* x, T m, T* y, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] - m;
}
template <class T>
MX_CLONES void divide(T* y, T d, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] /= d;
}
template <class T>
MX_CLONES void scale(T* y, T f, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] *= f;
}

/// What is known of some elements: exp of them sums to `sum * exp(top)`.
template <class T>
struct Partial {
  T top, sum;
};

template <class T>
class Math {
 public:
  Math() : max_(reduce_loops(Reduction::max, dtype_of<T>())), sum_(reduce_loops(Reduction::sum, dtype_of<T>())),
           exp_(find_loop(UnaryOp::exp, dtype_of<T>())) {}

  T largest(const T* x, int64_t n) const { return reduce(max_, x, n); }
  T total(const T* x, int64_t n) const { return reduce(sum_, x, n); }
  void exp(T* x, int64_t n) const {
    const void* in = x;
    exp_(&in, x, n);
  }
  /// y = exp(x - top), with top the largest; y may be x.
  Partial<T> exponentials(const T* x, T* y, int64_t n) const {
    T top = largest(x, n);
    subtract(x, top, y, n);
    exp(y, n);
    return {top, total(y, n)};
  }
  /// The sum alone.
  Partial<T> sum_of_exponentials(const T* x, int64_t n) const {
    T top = largest(x, n), parts[kSpan / kPiece], y[kPiece];
    int64_t k = 0;
    for (int64_t i = 0; i < n; i += kPiece, ++k) {
      int64_t m = std::min(kPiece, n - i);
      subtract(x + i, top, y, m);
      exp(y, m);
      sum_.row(y, m, &parts[k]);
    }
    return {top, total(parts, k)};
  }

 private:
  T reduce(const ReduceLoops& loops, const T* x, int64_t n) const {
    T parts[kSpan / kPiece], y;
    int64_t k = 0;
    for (int64_t i = 0; i < n; i += kPiece, ++k) loops.row(x + i, std::min(kPiece, n - i), &parts[k]);
    if (k == 1) return parts[0];
    loops.row(parts, k, &y);
    return y;
  }

  const ReduceLoops &max_, &sum_;
  Loop exp_;
};

/// The partials of one row as one; their sums on the scale of the largest.
template <class T>
Partial<T> join(const Partial<T>* p, int64_t n) {
  T top = p[0].top;
  for (int64_t i = 1; i < n; ++i) top = p[i].top > top || p[i].top != p[i].top ? p[i].top : top;
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    // A part that is all -inf has a sum of NaN, but nothing to add.
    if (p[i].top != -std::numeric_limits<T>::infinity()) sum += static_cast<double>(p[i].sum) * std::exp(static_cast<double>(p[i].top - top));
  }
  return {top, static_cast<T>(sum)};
}

/// Both functions, for elements computed in T.
template <class T>
class Softmax {
 public:
  Softmax(const array& in, array& out, const Axes& axes, const Strides& out_strides)
      : in_(in), out_(out), load_(in.dtype() == dtype_of<T>() ? nullptr : find_cast(in.dtype(), dtype_of<T>())),
        store_(out.dtype() == dtype_of<T>() ? nullptr : find_cast(dtype_of<T>(), out.dtype())),
        plan_(plan_reduction(in.shape(), axes, in.strides(), out_strides, true)), n_(plan_.along.size),
        size_(static_cast<int64_t>(in.itemsize())) {}

  void run_softmax() {
    // Without conversion and with contiguous rows, the exponentials are written where they belong.
    bool in_place = !store_ && plan_.along.contiguous(1);
    if (in_place && n_ > kSpan) {
      long_rows();
      return;
    }
    if (in_place && !load_ && plan_.along.contiguous(0)) {
      parallel_for(plan_.kept.size, std::max<int64_t>(1, kSpan / 2 / n_), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          T* y = out_.data<T>() + Walk(plan_.kept, r).offset(1);
          Partial<T> p = math_.exponentials(row_in(r), y, n_);
          divide(y, p.sum, n_);
        }
      });
      return;
    }
    for_groups([&](int64_t first, int64_t group, T* rows) {
      for (int64_t k = 0; k < group; ++k) {
        T* x = rows + k * n_;
        Partial<T> p = softmax_row(x);
        divide(x, p.sum, n_);
      }
      write(first, group, rows);
    });
  }

  void run_logsumexp() {
    int64_t n_spans = (n_ - 1) / kSpan + 1, kept = plan_.kept.size;
    Scratch results(static_cast<size_t>(kept) * sizeof(T));
    T* y = results.as<T>();
    auto value = [](Partial<T> p) { return std::isfinite(p.top) ? p.top + std::log(p.sum) : p.top; };
    if (!load_ && plan_.along.contiguous(0)) {
      Scratch partials(static_cast<size_t>(kept * n_spans) * sizeof(Partial<T>));
      Partial<T>* p = partials.as<Partial<T>>();
      parallel_for(kept * n_spans, std::max<int64_t>(1, kSpan / 2 / n_), [&](int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
          int64_t i = u % n_spans * kSpan;
          p[u] = math_.sum_of_exponentials(row_in(u / n_spans) + i, std::min(kSpan, n_ - i));
        }
      });
      for (int64_t j = 0; j < kept; ++j) y[j] = value(n_spans == 1 ? p[j] : join(p + j * n_spans, n_spans));
    } else {
      for_groups([&](int64_t first, int64_t group, T* rows) {
        for (int64_t k = 0; k < group; ++k) {
          std::vector<Partial<T>> p;
          for (int64_t i = 0; i < n_; i += kSpan) p.push_back(math_.sum_of_exponentials(rows + k * n_ + i, std::min(kSpan, n_ - i)));
          y[first + k] = value(n_spans == 1 ? p[0] : join(p.data(), n_spans));
        }
      });
    }
    for (Walk w(plan_.kept); w.index < kept;) {
      int64_t run = w.run();
      scatter(y + w.index, run, w.offset(1), plan_.kept.inner_stride(1));
      w.advance(run);
    }
  }

 private:
  const T* row_in(int64_t r) const { return in_.data<T>() + Walk(plan_.kept, r).offset(0); }

  /// x = exp(x - largest) in place, with its sum.
  Partial<T> softmax_row(T* x) const {
    if (n_ <= kSpan) return math_.exponentials(x, x, n_);
    std::vector<Partial<T>> p;
    for (int64_t i = 0; i < n_; i += kSpan) p.push_back(math_.exponentials(x + i, x + i, std::min(kSpan, n_ - i)));
    Partial<T> all = join(p.data(), static_cast<int64_t>(p.size()));
    for (int64_t i = 0; i < n_; i += kSpan) rescale(x + i, std::min(kSpan, n_ - i), p[static_cast<size_t>(i / kSpan)].top, all.top, T(1));
    return all;
  }

  /// x *= exp(top - all_top) / sum. A part of -inf only holds NaN, and belongs to be 0.
  void rescale(T* x, int64_t n, T top, T all_top, T sum) const {
    if (top == -std::numeric_limits<T>::infinity() && all_top > top) {
      std::fill_n(x, n, T(0));
    } else {
      scale(x, std::exp(top - all_top) / sum, n);
    }
  }

  void long_rows() {
    int64_t n_spans = (n_ - 1) / kSpan + 1, kept = plan_.kept.size;
    Scratch partials(static_cast<size_t>(kept * n_spans) * sizeof(Partial<T>));
    Partial<T>* p = partials.as<Partial<T>>();
    auto each_span = [&](auto&& f) {
      parallel_for(kept * n_spans, 1, [&](int64_t begin, int64_t end) {
        for (int64_t u = begin; u < end; ++u) {
          int64_t i = u % n_spans * kSpan;
          f(u, i, std::min(kSpan, n_ - i), out_.data<T>() + Walk(plan_.kept, u / n_spans).offset(1) + i);
        }
      });
    };
    each_span([&](int64_t u, int64_t i, int64_t n, T* y) {
      const std::byte* base = in_.bytes() + Walk(plan_.kept, u / n_spans).offset(0) * size_;
      bool direct = !load_ && plan_.along.contiguous(0);
      if (!direct) gather(base, i, n, y);
      p[u] = math_.exponentials(direct ? reinterpret_cast<const T*>(base) + i : y, y, n);
    });
    std::vector<Partial<T>> all;
    for (int64_t r = 0; r < kept; ++r) all.push_back(join(p + r * n_spans, n_spans));
    each_span([&](int64_t u, int64_t, int64_t n, T* y) {
      const Partial<T>& whole = all[static_cast<size_t>(u / n_spans)];
      rescale(y, n, p[u].top, whole.top, whole.sum);
    });
  }

  /// Calls f(first row, number of rows, the rows as contiguous Ts) for groups of rows.
  template <class F>
  void for_groups(F&& f) {
    int64_t kept = plan_.kept.size, inner = plan_.kept.inner(), group = plan_.by_columns ? std::min(kGroup, inner) : 1;
    int64_t per_run = (inner - 1) / group + 1, n_groups = kept / inner * per_run;
    parallel_for(n_groups, std::max<int64_t>(1, kSpan / 2 / (n_ * group)), [&](int64_t begin, int64_t end) {
      Scratch rows(static_cast<size_t>(n_ * group) * sizeof(T));
      for (int64_t g = begin; g < end; ++g) {
        int64_t j = g % per_run * group, first = g / per_run * inner + j, m = std::min(group, inner - j);
        const std::byte* base = in_.bytes() + Walk(plan_.kept, first).offset(0) * size_;
        if (m == 1) {
          gather(base, 0, n_, rows.as<T>());
        } else {
          gather_side_by_side(base, m, rows.as<T>());
        }
        f(first, m, rows.as<T>());
      }
    });
  }

  /// Elements [at, at + n) along the axes as contiguous Ts.
  void gather(const std::byte* base, int64_t at, int64_t n, T* y) const {
    alignas(64) std::byte piece[kPiece * 8];
    int64_t stride = plan_.along.inner_stride(0);
    for (Walk w(plan_.along, at); n > 0;) {
      int64_t run = std::min({w.run(), n, kPiece});
      const std::byte* x = base + w.offset(0) * size_;
      dispatch_bits(in_.dtype(), [&](auto tag) {
        using B = typename decltype(tag)::type;
        gather_run(reinterpret_cast<const B*>(x), stride, run, load_ ? reinterpret_cast<B*>(piece) : reinterpret_cast<B*>(y));
      });
      const void* from = piece;
      if (load_) load_(&from, y, run);
      y += run;
      n -= run;
      w.advance(run);
    }
  }

  /// m neighbouring rows, read crosswise so that memory is passed in order.
  void gather_side_by_side(const std::byte* base, int64_t m, T* rows) const {
    alignas(64) std::byte piece[kGroup * 8];
    alignas(64) T converted[kGroup];
    int64_t across = plan_.kept.inner_stride(0);
    for (Walk w(plan_.along); w.index < n_;) {
      int64_t run = w.run();
      for (int64_t i = 0; i < run; ++i) {
        const std::byte* x = base + (w.offset(0) + i * plan_.along.inner_stride(0)) * size_;
        dispatch_bits(in_.dtype(), [&](auto tag) {
          using B = typename decltype(tag)::type;
          gather_run(reinterpret_cast<const B*>(x), across, m, reinterpret_cast<B*>(piece));
        });
        const void* from = piece;
        const T* values = reinterpret_cast<const T*>(piece);
        if (load_) {
          load_(&from, converted, m);
          values = converted;
        }
        for (int64_t k = 0; k < m; ++k) rows[k * n_ + w.index + i] = values[k];
      }
      w.advance(run);
    }
  }

  /// y[0 .. n) to the output's elements `at`, `at + stride`, ...
  void scatter(const T* y, int64_t n, int64_t at, int64_t stride) const {
    alignas(64) std::byte piece[kPiece * 8];
    for (; n > 0; n -= kPiece, y += kPiece, at += kPiece * stride) {
      int64_t m = std::min(n, kPiece);
      const void* from = y;
      if (store_) {
        store_(&from, piece, m);
        from = piece;
      }
      dispatch_bits(out_.dtype(), [&](auto tag) {
        using B = typename decltype(tag)::type;
        const B* x = static_cast<const B*>(from);
        B* z = reinterpret_cast<B*>(out_.bytes()) + at;
        for (int64_t i = 0; i < m; ++i) z[i * stride] = x[i];
      });
    }
  }

  void write(int64_t first, int64_t group, const T* rows) const {
    int64_t base = Walk(plan_.kept, first).offset(1), across = plan_.kept.inner_stride(1);
    if (group > 1 && !store_) {
      for (Walk w(plan_.along); w.index < n_;) {
        int64_t run = w.run(), step = plan_.along.inner_stride(1);
        for (int64_t i = 0; i < run; ++i) {
          T* z = out_.data<T>() + base + w.offset(1) + i * step;
          for (int64_t k = 0; k < group; ++k) z[k * across] = rows[k * n_ + w.index + i];
        }
        w.advance(run);
      }
      return;
    }
    for (int64_t k = 0; k < group; ++k) {
      for (Walk w(plan_.along); w.index < n_;) {
        int64_t run = w.run();
        scatter(rows + k * n_ + w.index, run, base + k * across + w.offset(1), plan_.along.inner_stride(1));
        w.advance(run);
      }
    }
  }

  const array& in_;
  array& out_;
  Loop load_, store_;
  AxesLayout plan_;
  int64_t n_;     ///< Elements along the axes.
  int64_t size_;  ///< Bytes of an input element.
  Math<T> math_;
};

/// Writes a program instruction by instruction.
struct ProgramText {
  Program program;
  uint16_t add(Instr i, Dtype out) {
    i.out = out;
    program.code.push_back(i);
    return static_cast<uint16_t>(program.n_values() - 1);
  }
  uint16_t op(ElementwiseCode code, Dtype t, uint16_t a, uint16_t b = 0, uint16_t c = 0) {
    return add({.cast = false, .code = code, .in = t, .a = a, .b = b, .c = c}, result_dtype(code, t));
  }
  uint16_t reduce(Reduce r, Dtype t, uint16_t a) { return add({.in = t, .a = a, .reduce = r}, t); }
  uint16_t cast(Dtype from, Dtype to, uint16_t a) { return from == to ? a : add({.cast = true, .in = from, .a = a}, to); }
};

Params program_of(bool softmax, Dtype t, int row_axes, bool keepdims) {
  Dtype work = t == Dtype::float64 ? t : Dtype::float32;
  ProgramText p;
  p.program.inputs = {t};
  p.program.row_axes = row_axes;
  if (!softmax) p.program.constants = {{work, 0}};
  uint16_t x = p.cast(t, work, 0), top = p.reduce(Reduce::max, work, x), y;
  if (softmax) {
    uint16_t e = p.op(UnaryOp::exp, work, p.op(BinaryOp::subtract, work, x, top));
    y = p.op(BinaryOp::divide, work, e, p.reduce(Reduce::sum, work, e));
  } else {
    // From the largest element, but from 0 if that is not finite: then the sum is 0, infinite or NaN as it should be.
    uint16_t from = p.op(TernaryOp::select, work, p.op(UnaryOp::isfinite, work, top), top, 1);
    uint16_t e = p.op(UnaryOp::exp, work, p.op(BinaryOp::subtract, work, x, from));
    y = p.op(BinaryOp::add, work, p.op(UnaryOp::log, work, p.reduce(Reduce::sum, work, e)), from);
    if (!keepdims) p.program.squeezed = {true};
  }
  p.program.outputs = {p.cast(work, t, y)};
  return FusedParams(std::make_shared<const Program>(std::move(p.program)));
}

/// Runs the program if the axes are the last ones. They are few in number: programs are kept for one and two.
bool run_program(const Task& task, bool softmax) {
  const auto& p = task.params.get<ReduceParams>();
  const array& x = task.in[0];
  int k = static_cast<int>(p.axes.size());
  Dtype t = task.out[0].dtype();
  if (p.axes.front() != x.ndim() - k || x.dtype() != t) return false;
  auto run = [&](const Params& params) { fused_kernel({fused_p, params, task.in, task.out}); };
  constexpr Dtype kinds[] = {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64};
  size_t kind = static_cast<size_t>(std::find(std::begin(kinds), std::end(kinds), t) - kinds);
  bool keepdims = !softmax && p.keepdims;
  if (k > 2 || kind == std::size(kinds)) {
    run(program_of(softmax, t, k, keepdims));
    return true;
  }
  struct Kept {
    std::once_flag once;
    Params params;
  };
  static Kept kept[2][2][2][std::size(kinds)];
  Kept& mine = kept[softmax][k - 1][keepdims][kind];
  std::call_once(mine.once, [&] { mine.params = program_of(softmax, t, k, keepdims); });
  run(mine.params);
  return true;
}

}  // namespace

void softmax_kernel(const Task& task) {
  array& out = task.out[0];
  if (out.size() == 0 || run_program(task, true)) return;
  in_work_type(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Softmax<T>(task.in[0], out, task.params.get<ReduceParams>().axes, row_strides(out.shape())).run_softmax();
  });
}

void logsumexp_kernel(const Task& task) {
  array& out = task.out[0];
  const Axes& axes = task.params.get<ReduceParams>().axes;
  if (out.size() == 0 || run_program(task, false)) return;
  in_work_type(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Softmax<T>(task.in[0], out, axes, reduced_strides(task.in[0].shape(), axes)).run_logsumexp();
  });
}

}  // namespace mx::cpu
