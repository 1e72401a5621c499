// gemm_thin.cpp — few vectors x (rows of a, or columns of b) against many rows w that are contiguous along k.
// Long sums are cut into blocks of one fixed length, which may run on several threads; the blocks' sums are added in
// order, so the result does not depend on who did them. Start at thin_gemm().

#include "backend/cpu/gemm_thin.h"

#include <algorithm>
#include <optional>

#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

namespace {

constexpr int64_t kMinDepth = 64;         // Shorter sums are not worth a sum over lanes.
constexpr int64_t kBlockDepth = 16384;
constexpr int64_t kMaxRows = 16;          // Of a against a transposed b; from there on packing pays.
constexpr int64_t kMaxColumns = 8;          // Of b against an a as it lies,
constexpr int64_t kMaxTurned = 4;           // and against one that is contiguous down its columns.
constexpr int64_t kLargeElems = 128 << 10;  // More than the second cache likes to hold.
constexpr int64_t kTaskElems = 32 << 10;  // Of w: worth a thread.
constexpr int64_t kFinishElems = 8 << 10;   // Of the result, for the epilogue.

template <class S, class T>
auto dots_table(const TileKernels<T>& k) {
  if constexpr (std::is_same_v<S, T>) {
    return k.dots;
  } else if constexpr (std::is_same_v<S, float16_t>) {
    return k.dots_f16;
  } else {
    return k.dots_bf16;
  }
}

// out(i, j) = x_i · w_j for n_x vectors (x_row, x_col apart) and n_w rows (w_row apart, contiguous).
template <class S>
struct Dots {
  using T = Accumulator<S>;
  int64_t n_x, n_w, k;
  const S* x;
  int64_t x_row, x_col;
  const S* w;
  int64_t w_row;

  // Calls store(i, j, sum) for every element.
  template <class Store>
  void run(Store store) const {
    std::optional<Scratch> copy;
    const T* vectors;
    int64_t vector_row;
    bool in_place = false;
    if constexpr (std::is_same_v<S, T>) in_place = x_col == 1;
    if (in_place) {
      vectors = reinterpret_cast<const T*>(x);
      vector_row = x_row;
    } else {
      copy.emplace(static_cast<size_t>(n_x * k) * sizeof(T));
      T* to = copy->as<T>();
      for (int64_t i = 0; i < n_x; ++i) {
        if (x_col == 1) {
          widen(x + i * x_row, to + i * k, k);
        } else {
          for (int64_t p = 0; p < k; ++p) to[i * k + p] = static_cast<T>(x[i * x_row + p * x_col]);
        }
      }
      vectors = to;
      vector_row = k;
    }

    // With fewer than four rows, one at a time, four times over; else the last four may overlap those before.
    int64_t step = n_w < 4 ? 1 : 4, groups = (n_w + step - 1) / step, blocks = (k - 1) / kBlockDepth + 1;
    int64_t n_sums = 4 * n_x;
    Scratch memory(static_cast<size_t>(groups * blocks * n_sums) * sizeof(T));
    T* sums = memory.as<T>();
    auto table = dots_table<S>(tile_kernels<T>());
    int64_t task = std::min(k, kBlockDepth) * step;
    parallel_for(groups * blocks, std::max<int64_t>(1, kTaskElems / task), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        int64_t j = first_row(t / blocks, step), p = t % blocks * kBlockDepth, depth = std::min(kBlockDepth, k - p);
        for (int64_t i = 0; i < n_x; i += kMaxDotRows) {
          table[std::min<int64_t>(kMaxDotRows, n_x - i)](depth, vectors + i * vector_row + p, vector_row, w + j * w_row + p,
                                                         step == 1 ? 0 : w_row, sums + t * n_sums + 4 * i);
        }
      }
    });
    for (int64_t group = 0; group < groups; ++group) {
      const T* from = sums + group * blocks * n_sums;
      for (int64_t i = 0; i < n_x; ++i) {
        // Rows of an overlap are stored once, since what is stored may be added to what is there.
        for (int64_t j = group * step - first_row(group, step); j < step; ++j) {
          T total = from[4 * i + j];
          for (int64_t block = 1; block < blocks; ++block) total += from[block * n_sums + 4 * i + j];
          store(i, first_row(group, step) + j, total);
        }
      }
    }
  }

  int64_t first_row(int64_t group, int64_t step) const { return std::min(group * step, n_w - step); }
};

// A few rows of a against a large b with contiguous rows: b is read a few whole rows at a time, as memory likes it, and
// the sums of a stretch of columns wait in the first cache.
template <class S, class Store>
void run_rows(const Gemm<S>& g, Store store) {
  using T = Accumulator<S>;
  constexpr int64_t kColumns = 2048, kDepth = 8;
  const TileKernels<T>& kernels = tile_kernels<T>();
  int64_t width = kernels.widest * kernels.lanes;
  parallel_for((g.n + kColumns - 1) / kColumns, std::max<int64_t>(1, kTaskElems / (kColumns * g.k)), [&](int64_t begin, int64_t end) {
    Scratch memory(sizeof(T) * static_cast<size_t>((g.m + kDepth) * kColumns));
    T *sums = memory.as<T>(), *rows = sums + g.m * kColumns;
    Scratch row_memory(sizeof(T) * static_cast<size_t>(g.m * g.k));
    T* a = row_memory.as<T>();
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t p = 0; p < g.k; ++p) a[i * g.k + p] = static_cast<T>(g.a[i * g.a_row + p * g.a_col]);
    }
    for (int64_t j0 = begin * kColumns; j0 < std::min(g.n, end * kColumns); j0 += kColumns) {
      int64_t n = std::min(kColumns, g.n - j0), padded = (n + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
      for (int64_t p = 0; p < g.k; p += kDepth) {
        int64_t depth = std::min(kDepth, g.k - p), b_row = g.b_row;
        const S* b = g.b + p * g.b_row + j0;
        const T* readable;
        if (std::is_same_v<S, T> && padded == n) {
          readable = reinterpret_cast<const T*>(b);
        } else {
          for (int64_t q = 0; q < depth; ++q) {
            widen(b + q * g.b_row, rows + q * kColumns, n);
            std::fill(rows + q * kColumns + n, rows + q * kColumns + padded, T(0));
          }
          readable = rows;
          b_row = kColumns;
        }
        for (int64_t j = 0; j < padded; j += width) {
          int64_t vectors = std::min(width, padded - j) / kernels.lanes;
          kernels.tile[vectors][g.m](depth, a + p, g.k, 1, readable + j, b_row, sums + j, kColumns, p > 0);
        }
      }
      for (int64_t i = 0; i < g.m; ++i) {
        for (int64_t j = 0; j < n; ++j) store(i, j0 + j, sums[i * kColumns + j]);
      }
    }
  });
}

// outᵀ = bᵀ · aᵀ, for an a that is contiguous down its columns.
template <class S>
void run_transposed(const Gemm<S>& g) {
  Scratch memory(static_cast<size_t>(g.m * g.n) * sizeof(S));
  Gemm<S> t = g;
  t.m = g.n;
  t.n = g.m;
  t.a = g.b;
  t.a_row = g.b_col;
  t.a_col = g.b_row;
  t.b = g.a;
  t.b_row = g.a_col;
  t.b_col = g.a_row;
  t.c_row = g.c_col;
  t.c_col = g.c_row;
  t.out = memory.as<S>();
  t.out_row = g.m;
  t.epilogue = {};
  gemm(t);
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) g.out[i * g.out_row + j] = t.out[j * g.m + i];
  }
}

// The epilogue of results that are all there; wide ones on several threads.
template <class T>
void finish(const Epilogue& epilogue, T* out, int64_t out_row, int64_t m, int64_t n) {
  if (!epilogue) return;
  int64_t grain = std::max<int64_t>(64, kFinishElems / m / 64 * 64);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { epilogue(out + begin, out_row, 0, m, begin, end - begin); });
}

// Which of the ways above is taken.
enum class Way { none, left_dots, right_dots, rows, transposed };

template <class S>
Way choose(const Gemm<S>& g) {
  if (g.k < kMinDepth) return Way::none;
  if (g.m <= kMaxRows && g.b_row == 1) return Way::left_dots;
  if (g.n <= kMaxColumns && g.a_col == 1) return Way::right_dots;
  if (g.m <= kMaxDotRows && g.b_col == 1 && g.n * g.k > kLargeElems) return Way::rows;
  if (g.n <= kMaxTurned && g.a_row == 1 && g.m > 4 * kMaxTurned) return Way::transposed;
  return Way::none;
}

template <class S, class Store>
void run(const Gemm<S>& g, Way way, Store store) {
  switch (way) {
    case Way::left_dots: return Dots<S>{g.m, g.n, g.k, g.a, g.a_row, g.a_col, g.b, g.b_col}.run(store);
    case Way::right_dots:
      return Dots<S>{g.n, g.m, g.k, g.b, g.b_col, g.b_row, g.a, g.a_row}.run([&](int64_t i, int64_t j, Accumulator<S> sum) { store(j, i, sum); });
    case Way::rows: return run_rows(g, store);
    default: return;
  }
}

}  // namespace

template <class S>
bool thin_gemm(const Gemm<S>& g) {
  using T = Accumulator<S>;
  Way way = choose(g);
  if (way == Way::none) return false;
  if (way == Way::transposed) {
    run_transposed(g);
    finish(g.epilogue, g.out, g.out_row, g.m, g.n);
    return true;
  }
  auto total = [&](int64_t i, int64_t j, T sum) {
    if (g.plain()) return sum;
    sum *= g.alpha;
    return g.c ? sum + g.beta * static_cast<T>(g.c[i * g.c_row + j * g.c_col]) : sum;
  };
  run(g, way, [&](int64_t i, int64_t j, T sum) { g.out[i * g.out_row + j] = static_cast<S>(total(i, j, sum)); });
  finish(g.epilogue, g.out, g.out_row, g.m, g.n);
  return true;
}

template bool thin_gemm(const Gemm<float>&);
template bool thin_gemm(const Gemm<double>&);
template bool thin_gemm(const Gemm<float16_t>&);
template bool thin_gemm(const Gemm<bfloat16_t>&);

}  // namespace mx::cpu
