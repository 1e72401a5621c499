// reduce_arg.cpp — kernels of argmax and argmin. Rows are searched in pieces: the extreme of a piece by the
// vector loops of reduce_loops.h, and only if it beats the best so far, its place. Columns are compared side by
// side. The first of equal elements wins, and the first NaN wins over all, as in NumPy.

#include "backend/cpu/clones.h"
#include "backend/cpu/loops.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/reduce.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/reduce_plan.h"
#include "backend/cpu/scratch.h"
#include "ops/reduce_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kColumns = 256;

/// Whether x is better than y; NaN is best of all.
template <bool largest, class T>
MX_INLINE bool better(T x, T y) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    bool x_nan = x.real() != x.real() || x.imag() != x.imag(), y_nan = y.real() != y.real() || y.imag() != y.imag();
    if (x_nan || y_nan) return x_nan && !y_nan;
    T a = largest ? y : x, b = largest ? x : y;
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else if constexpr (std::is_floating_point_v<T>) {
    return (largest ? x > y : x < y) | ((x != x) & (y == y));
  } else {
    return largest ? x > y : x < y;
  }
}

/// The place of the first element that is `best` (or NaN, if that is).
template <class T>
MX_CLONES int64_t find_first(const T* x, int64_t n, T best) {
  auto is_best = [best](T e) __attribute__((always_inline)) {
    if constexpr (std::is_same_v<T, complex64_t>) {
      bool e_nan = e.real() != e.real() || e.imag() != e.imag();
      bool best_nan = best.real() != best.real() || best.imag() != best.imag();
      return best_nan ? e_nan : e == best;
    } else {
      return (e == best) | ((e != e) & (best != best));
    }
  };
  int64_t i = 0;
  if constexpr (std::is_arithmetic_v<T>) {
    // Bits are compared, which find everything but zeros of either sign and NaNs: those one by one.
    using U = std::conditional_t<sizeof(T) == 1, uint8_t, std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
    constexpr int64_t block = 256 / static_cast<int64_t>(sizeof(T));
    U wanted, bits[block];
    __builtin_memcpy(&wanted, &best, sizeof(wanted));
    bool alike = std::is_integral_v<T> || (best == best && best != T(0));
    for (; alike && i + block <= n; i += block) {
      __builtin_memcpy(bits, x + i, sizeof(bits));
      U found = 0;
      for (int64_t j = 0; j < block; ++j) found |= static_cast<U>(bits[j] == wanted);
      if (!found) continue;
      U first = block - 1;
      for (int64_t j = 0; j < block; ++j) first = std::min(first, bits[j] == wanted ? static_cast<U>(j) : static_cast<U>(block - 1));
      return i + static_cast<int64_t>(first);
    }
  }
  while (i < n - 1 && !is_best(x[i])) ++i;
  return i;
}

/// Improves best[j], at[j] by rows of n elements, numbered from `first`.
template <bool largest, class T>
MX_CLONES void compare_rows(const T* x, int64_t stride, int64_t rows, int64_t n, uint32_t first, T* best, uint32_t* at) {
  for (int64_t r = 0; r < rows; ++r, x += stride) {
    uint32_t index = first + static_cast<uint32_t>(r);
    MX_INDEPENDENT
    for (int64_t j = 0; j < n; ++j) {
      bool b = better<largest>(x[j], best[j]);
      best[j] = b ? x[j] : best[j];
      at[j] = b ? index : at[j];
    }
  }
}

/// T: the type in which elements are compared.
template <bool largest, class T>
class Searcher {
 public:
  Searcher(const array& in, int axis, Dtype work, array& out)
      : in_(in), out_(out.data<uint32_t>()), row_(reduce_loops(largest ? Reduction::max : Reduction::min, work).row),
        load_(in.dtype() == work ? nullptr : find_cast(in.dtype(), work)), in_size_(static_cast<int64_t>(in.itemsize())),
        plan_(plan_reduction(in.shape(), {axis}, in.strides(), reduced_strides(in.shape(), {axis}), false)),
        n_(plan_.along.size), stride_(plan_.along.inner_stride(0)) {
    // A few long columns are better gathered one by one.
    if (plan_.kept.inner() < 8 && n_ > 64) plan_.by_columns = false;
  }

  void run() {
    int64_t kept = plan_.kept.size, width = plan_.by_columns ? std::min(plan_.kept.inner(), kColumns) : 1;
    int64_t chunk = n_ > 2 * kChunk / width ? kChunk / width : n_, n_chunks = (n_ - 1) / chunk + 1;
    Scratch bests(static_cast<size_t>(kept * n_chunks) * sizeof(T)), places(static_cast<size_t>(kept * n_chunks) * sizeof(uint32_t));
    T* best = bests.as<T>();
    uint32_t* at = places.as<uint32_t>();
    if (plan_.by_columns) {
      by_columns(best, at, n_chunks, chunk);
    } else {
      by_rows(best, at, n_chunks, chunk);
    }
    for (int64_t c = 1; c < n_chunks; ++c) {
      for (int64_t j = 0; j < kept; ++j) {
        if (better<largest>(best[c * kept + j], best[j])) best[j] = best[c * kept + j], at[j] = at[c * kept + j];
      }
    }
    for (Walk w(plan_.kept); w.index < kept;) {
      int64_t run = w.run(), step = plan_.kept.inner_stride(1);
      for (int64_t j = 0; j < run; ++j) out_[w.offset(1) + j * step] = at[w.index + j];
      w.advance(run);
    }
  }

 private:
  /// n elements from x, `stride` apart, as contiguous Ts.
  const T* read(const std::byte* x, int64_t stride, int64_t n, std::byte* gathered, T* converted) const {
    const void* y = x;
    if (stride != 1) {
      dispatch_bits(in_.dtype(), [&](auto tag) {
        using B = typename decltype(tag)::type;
        gather_run(reinterpret_cast<const B*>(x), stride, n, reinterpret_cast<B*>(gathered));
      });
      y = gathered;
    }
    if (!load_) return static_cast<const T*>(y);
    load_(&y, converted, n);
    return converted;
  }

  void by_rows(T* best, uint32_t* at, int64_t n_chunks, int64_t chunk) {
    int64_t kept = plan_.kept.size;
    parallel_for(kept * n_chunks, std::max<int64_t>(1, kChunk / 2 / chunk), [&](int64_t begin, int64_t end) {
      alignas(64) std::byte gathered[kPiece * 8];
      alignas(64) std::byte converted[kPiece * 8];
      Walk w(plan_.kept, begin % kept);
      for (int64_t u = begin; u < end; ++u, w.advance(1)) {
        if (w.index == kept) w = Walk(plan_.kept);
        int64_t first = u / kept * chunk, last = std::min(n_, first + chunk);
        const std::byte* base = in_.bytes() + w.offset(0) * in_size_;
        const int64_t piece = stride_ == 1 && !load_ ? 8 * kPiece : kPiece;
        for (int64_t i = first; i < last; i += piece) {
          int64_t m = std::min(piece, last - i);
          const T* x = read(base + i * stride_ * in_size_, stride_, m, gathered, reinterpret_cast<T*>(converted));
          T top;
          row_(x, m, &top);
          if (i == first || better<largest>(top, best[u])) {
            best[u] = top;
            at[u] = static_cast<uint32_t>(i + find_first(x, m, top));
          }
        }
      }
    });
  }

  void by_columns(T* best, uint32_t* at, int64_t n_chunks, int64_t chunk) {
    int64_t inner = plan_.kept.inner(), outer = plan_.kept.size / inner, n_blocks = (inner - 1) / kColumns + 1;
    int64_t across = plan_.kept.inner_stride(0), grain = std::max<int64_t>(1, kChunk / 2 / (chunk * std::min(inner, kColumns)));
    parallel_for(outer * n_blocks * n_chunks, grain, [&](int64_t begin, int64_t end) {
      alignas(64) std::byte gathered[kColumns * 8];
      alignas(64) std::byte converted[kColumns * 8];
      for (int64_t u = begin; u < end; ++u) {
        int64_t j = u % n_blocks * kColumns, n = std::min(kColumns, inner - j), o = u / n_blocks % outer, c = u / n_blocks / outer;
        int64_t first = c * chunk, last = std::min(n_, first + chunk), place = c * plan_.kept.size + o * inner + j;
        const std::byte* base = in_.bytes() + Walk(plan_.kept, o * inner + j).offset(0) * in_size_;
        auto row = [&](int64_t r) {
          return read(base + r * stride_ * in_size_, across, n, gathered, reinterpret_cast<T*>(converted));
        };
        std::copy_n(row(first), n, best + place);
        std::fill_n(at + place, n, static_cast<uint32_t>(first));
        if (across == 1 && !load_) {
          const T* x = reinterpret_cast<const T*>(base + (first + 1) * stride_ * in_size_);
          compare_rows<largest>(x, stride_, last - first - 1, n, static_cast<uint32_t>(first + 1), best + place, at + place);
        } else {
          for (int64_t r = first + 1; r < last; ++r) {
            compare_rows<largest>(row(r), 0, 1, n, static_cast<uint32_t>(r), best + place, at + place);
          }
        }
      }
    });
  }

  const array& in_;
  uint32_t* out_;
  void (*row_)(const void* x, int64_t n, void* acc);
  Loop load_;
  int64_t in_size_;
  AxesLayout plan_;
  int64_t n_, stride_;
};

template <bool largest>
void search(const Task& task) {
  const array& in = task.in[0];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int axis = task.params.get<ArgReduceParams>().axis;
  auto run = [&](auto tag, Dtype work) {
    using T = typename decltype(tag)::type;
    Searcher<largest, T>(in, axis, work, out).run();
  };
  switch (in.dtype()) {
    case Dtype::bool_: return run(TypeTag<uint8_t>(), Dtype::bool_);
    case Dtype::float16:
    case Dtype::bfloat16: return run(TypeTag<float>(), Dtype::float32);
    default:
      return dispatch(in.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (!std::is_same_v<T, float16_t> && !std::is_same_v<T, bfloat16_t> && !std::is_same_v<T, bool>) run(tag, in.dtype());
      });
  }
}

}  // namespace

void argmax_kernel(const Task& task) { search<true>(task); }
void argmin_kernel(const Task& task) { search<false>(task); }

}  // namespace mx::cpu
