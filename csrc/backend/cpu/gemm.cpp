// gemm.cpp — blocking, packing and sharing out of matrix products (Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", 2008).
//
// The k dimension is cut into blocks done one after the other. Of each block, b is packed into panels as wide
// as a tile and a into strips as high as a tile, where they are not readable as they lie; then tiles of
// the result are computed, shared out in groups. k is never shared out, so an element is summed in
// the same order whatever the number of threads. Start at gemm().

#include "backend/cpu/gemm.h"

#include <algorithm>
#include <optional>

#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/gemm_thin.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

namespace {

constexpr int64_t kBlockBytes = 3072;        // Of a row of a block: strips of a stay in the first cache, panels of b in the second.
constexpr int64_t kBlockRows = 96;           // Rows of a group of tiles.
constexpr int64_t kGroupBytes = 512 << 10;   // Packed b that a group of tiles works through.
constexpr int64_t kPackedBytes = 8 << 20;    // Most of a or b that is packed at a time.
constexpr int64_t kDirectBytes = 256 << 10;  // A b this small is read as it lies,
constexpr int64_t kDirectRows = 48;          // and one used for so few rows.
constexpr int64_t kCrowdedColumns = 256;     // From so many on, packing crowded rows costs little.
constexpr int64_t kTaskFlops = 500'000;      // Worth a thread: a few microseconds.
constexpr int64_t kWritingDepth = 8;         // Sums of so few terms cost less than storing them.
constexpr int64_t kTinyWork = 1 << 19;       // Multiplications of a product that is done at once,
constexpr int64_t kTinyElems = 4096;         // with so much of b packed at most.

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Depth of a block.
template <class S>
constexpr int64_t kBlockSteps = kBlockBytes / static_cast<int64_t>(sizeof(Accumulator<S>));

template <class S>
bool adds_in_place(const Gemm<S>& g) {
  return g.alpha == 1 && g.beta == 1 && g.c_row == g.out_row && g.c_col == 1;
}

template <class S>
class Product {
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;
  static constexpr int64_t kBytes = sizeof(T);
  static constexpr bool kBf16 = std::is_same_v<S, bfloat16_t>;

 public:
  explicit Product(const Gemm<S>& g) : Product(g, kBf16 ? pair_tile_kernels() : nullptr) {}

  void run() {
    // Sums of half types wait in float between blocks of k.
    std::optional<Scratch> sums;
    if constexpr (kSame) {
      sums_ = g_.out;
      sums_row_ = g_.out_row;
    } else if (depth_ < g_.k) {
      sums.emplace(static_cast<size_t>(span_m_ * span_n_) * sizeof(T));
      sums_ = sums->as<T>();
      sums_row_ = span_n_;
    }
    bool any_b = !direct_b_ || !readable(columns_last());
    std::optional<Scratch> packed_a, packed_b;
    auto bytes = [&](int64_t lines) { return static_cast<size_t>(lines * ceil_div(depth_, per_step_)) * sizeof(T); };
    if (!direct_a_) packed_a.emplace(bytes(span_m_));
    if (any_b) packed_b.emplace(bytes(span_n_ + width_));
    packed_a_ = packed_a ? packed_a->as<T>() : nullptr;
    packed_b_ = packed_b ? packed_b->as<T>() : nullptr;
    for (j0_ = 0; j0_ < g_.n; j0_ += span_n_) {
      n_ = std::min(span_n_, g_.n - j0_);
      for (i0_ = 0; i0_ < g_.m; i0_ += span_m_) {
        m_ = std::min(span_m_, g_.m - i0_);
        for (p0_ = 0; p0_ < g_.k; p0_ += depth_) {
          k_ = std::min(depth_, g_.k - p0_);
          steps_ = ceil_div(k_, per_step_);
          if (any_b) pack_b();
          if (!direct_a_) pack_a();
          multiply();
        }
      }
    }
  }

 private:
  Product(const Gemm<S>& g, const TileKernels<float>* pairs) : g_(g), kernels_(choose(pairs)), per_step_(pairs ? 2 : 1) {
    int64_t needed = ceil_div(g.n, kernels_.lanes);
    vectors_ = needed <= kernels_.widest ? static_cast<int>(needed) : kernels_.vectors;
    width_ = vectors_ * kernels_.lanes;
    height_ = kernels_.rows[vectors_];
    int64_t all_steps = ceil_div(g.k, per_step_), steps = ceil_div(all_steps, ceil_div(all_steps, kBlockSteps<S> + kBlockSteps<S> / 3));
    depth_ = std::min(g.k, steps * per_step_);
    auto limit = [&](int64_t extent, int64_t unit) {
      int64_t most = std::max<int64_t>(1, kPackedBytes / (steps * kBytes * unit)) * unit;
      return std::min(extent, most);
    };
    span_m_ = limit(g.m, kBlockRows / height_ * height_);
    span_n_ = limit(g.n, width_);
    in_tiles_ = !kSame || (g.c == g.out && g.c && !first_adds());
    direct_b_ = kSame && g.b_col == 1 && (g.m <= kDirectRows || g.k * g.n * kBytes <= kDirectBytes);
    // Rows that lie a multiple of a page apart compete for one set of the first cache.
    bool crowded = g.a_row * kBytes % 4096 == 0 && g.n > kCrowdedColumns;
    bool upright = g.a_row == 1 && g.n <= kCrowdedColumns / 2;  // Read across its rows, but not often.
    direct_a_ = kSame && ((g.a_col == 1 && !crowded) || upright || g.m * g.k * kBytes <= kDirectBytes / 8);
  }

  // Floats that stand for pairs are counted as other floats are.
  static const TileKernels<T>& choose(const TileKernels<float>* pairs) {
    if constexpr (kBf16) {
      if (pairs) return *pairs;
    }
    return tile_kernels<T>();
  }

  bool first() const { return p0_ == 0; }
  bool last() const { return p0_ + k_ == g_.k; }
  // Panel j has its full width, or the columns that are left.
  int64_t columns(int64_t j) const { return std::min<int64_t>(width_, n_ - j * width_); }
  int64_t padded(int64_t cols) const { return ceil_div(cols, kernels_.lanes) * kernels_.lanes; }
  bool readable(int64_t cols) const { return direct_b_ && (cols % kernels_.lanes == 0 || (kernels_.reads_parts && !in_tiles_)); }
  int64_t columns_last() const { return g_.n % kernels_.lanes; }
  // Whether tiles add to what is in out; it is c then.
  bool first_adds() const { return kSame && g_.c == g_.out && adds_in_place(g_); }

  void pack(const S* from, int64_t w_stride, int64_t k_stride, int64_t lines, int64_t padded_lines, T* to) const {
    if constexpr (kBf16) {
      if (per_step_ == 2) return pack_pairs(from, w_stride, k_stride, lines, padded_lines, k_, to);
    }
    pack_panel(from, w_stride, k_stride, lines, padded_lines, k_, to);
  }

  void pack_b() {
    int64_t panels = ceil_div(n_, width_);
    const S* b = g_.b + p0_ * g_.b_row + j0_ * g_.b_col;
    parallel_for(panels, std::max<int64_t>(1, 32768 / (k_ * width_)), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j) {
        int64_t cols = columns(j);
        if (readable(cols)) continue;
        pack(b + j * width_ * g_.b_col, g_.b_col, g_.b_row, cols, padded(cols), packed_b_ + j * width_ * steps_);
      }
    });
  }

  void pack_a() {
    const S* a = g_.a + i0_ * g_.a_row + p0_ * g_.a_col;
    parallel_for(ceil_div(m_, height_), std::max<int64_t>(1, 32768 / (k_ * height_)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * height_; i < std::min(m_, end * height_); i += height_) {
        int64_t rows = std::min<int64_t>(height_, m_ - i);
        pack(a + i * g_.a_row, g_.a_row, g_.a_col, rows, rows, packed_a_ + i * steps_);
      }
    });
  }

  void multiply() {
    int64_t panels = ceil_div(n_, width_);
    int64_t block = kBlockRows / height_ * height_, blocks = ceil_div(m_, block);
    int64_t group = std::clamp<int64_t>(kGroupBytes / (steps_ * width_ * kBytes), 1, panels);
    // Few rows: smaller groups, so that every thread gets some.
    group = std::min(group, std::max<int64_t>(1, panels * blocks / (4 * n_threads())));
    int64_t groups = ceil_div(panels, group);
    int64_t flops = 2 * std::min(block, m_) * std::min(group * width_, n_) * k_;
    // Short sums are mostly writing: whole rows, then.
    bool row_by_row = kSame && k_ <= kWritingDepth && direct_b_ && readable(columns(panels - 1));
    int64_t tall = row_by_row ? height_ : block;
    parallel_for(groups * blocks, std::max<int64_t>(1, kTaskFlops / flops), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        int64_t j_begin = task / blocks * group, j_end = std::min(panels, j_begin + group), i_begin = task % blocks * block;
        int64_t i_end = std::min(m_, i_begin + block);
        for (int64_t i = i_begin; i < i_end; i += tall) {
          for (int64_t j = j_begin; j < j_end; ++j) multiply_panel(j, i, std::min(i_end, i + tall));
        }
        if (last() && g_.epilogue) {
          int64_t j = j0_ + j_begin * width_;
          g_.epilogue(g_.out + (i0_ + i_begin) * g_.out_row + j, g_.out_row, i0_ + i_begin, i_end - i_begin, j,
                      std::min(n_, j_end * width_) - j_begin * width_);
        }
      }
    });
  }

  void multiply_panel(int64_t j, int64_t row_begin, int64_t row_end) {
    int64_t cols = columns(j), b_row = padded(cols);
    int vectors = static_cast<int>(b_row / kernels_.lanes), over = static_cast<int>(cols % kernels_.lanes);
    const T* b = packed_b_ + j * width_ * steps_;
    if constexpr (kSame) {
      if (readable(cols)) {
        b = g_.b + p0_ * g_.b_row + j0_ + j * width_;
        b_row = g_.b_row;
      }
    }
    alignas(64) T tile[kMaxTileRows * kMaxTileElems];
    bool in_place = kSame ? !(last() && in_tiles_) : !over && !last();
    for (int64_t i = row_begin; i < row_end; i += height_) {
      int64_t rows = std::min<int64_t>(height_, m_ - i);
      const T* a = packed_a_ + i * steps_;
      int64_t a_row = 1, a_col = rows;
      if constexpr (kSame) {
        if (direct_a_) {
          a = g_.a + (i0_ + i) * g_.a_row + p0_ * g_.a_col;
          a_row = g_.a_row;
          a_col = g_.a_col;
        }
      }
      if (!in_place) {
        kernels_.tile[vectors][rows](steps_, a, a_row, a_col, b, b_row, tile, kMaxTileElems, false);
        finish(tile, i, j * width_, rows, cols);
      } else if (over && kSame) {
        kernels_.part_tile[vectors][rows](steps_, a, a_row, a_col, b, b_row, sums(i, j * width_), sums_row_, !first() || first_adds(), over);
      } else {
        kernels_.tile[vectors][rows](steps_, a, a_row, a_col, b, b_row, sums(i, j * width_), sums_row_, !first() || first_adds());
      }
    }
    if constexpr (kSame) {
      if (in_place && last() && !g_.plain() && !first_adds()) {
        const T* c = g_.c ? g_.c + (i0_ + row_begin) * g_.c_row + (j0_ + j * width_) * g_.c_col : nullptr;
        kernels_.combine(row_end - row_begin, cols, g_.alpha, sums(row_begin, j * width_), sums_row_, g_.beta, c, g_.c_row, g_.c_col);
      }
    }
  }

  T* sums(int64_t i, int64_t j) const {
    // Of half types only the span at hand is kept, of others the whole output.
    return kSame ? sums_ + (i0_ + i) * sums_row_ + j0_ + j : sums_ + i * sums_row_ + j;
  }

  // A tile that could not be added to the sums as it is: of half types a narrow one or the last of its k, and what has as
  // addend the memory that it is written to.
  void finish(T* tile, int64_t i, int64_t j, int64_t rows, int64_t cols) {
    for (int64_t r = 0; r < rows; ++r) {
      T* line = tile + r * kMaxTileElems;
      T* sum = sums_ ? sums(i + r, j) : nullptr;
      if (!last()) {
        for (int64_t q = 0; q < cols; ++q) sum[q] = first() ? line[q] : sum[q] + line[q];
        continue;
      }
      if (!first()) {
        for (int64_t q = 0; q < cols; ++q) line[q] = sum[q] + line[q];
      }
      if (g_.c) {
        const S* c = g_.c + (i0_ + i + r) * g_.c_row + (j0_ + j) * g_.c_col;
        T addend[kMaxTileElems];
        if (g_.c_col == 1) {
          widen(c, addend, cols);
        } else {
          for (int64_t q = 0; q < cols; ++q) addend[q] = static_cast<T>(c[q * g_.c_col]);
        }
        for (int64_t q = 0; q < cols; ++q) line[q] = g_.alpha * line[q] + g_.beta * addend[q];
      } else if (g_.alpha != 1) {
        for (int64_t q = 0; q < cols; ++q) line[q] *= g_.alpha;
      }
    }
    if (!last()) return;
    for (int64_t r = 0; r < rows; ++r) narrow(tile + r * kMaxTileElems, g_.out + (i0_ + i + r) * g_.out_row + j0_ + j, cols);
  }

  static constexpr int64_t kMaxTileElems = kMaxTileVectors * 64 / sizeof(T);

  const Gemm<S>& g_;
  const TileKernels<T>& kernels_;
  int vectors_;
  int64_t width_, height_;    // Of a tile.
  int64_t per_step_;          // Elements of k that a tile takes at a time.
  int64_t depth_;             // Of a block.
  int64_t span_m_, span_n_;   // What is packed at a time.
  bool direct_a_, direct_b_;  // Read as they lie.
  bool in_tiles_;             // Results are finished in tiles, not in out.
  T* sums_ = nullptr;
  int64_t sums_row_ = 0;
  T* packed_a_ = nullptr;
  T* packed_b_ = nullptr;
  int64_t i0_ = 0, j0_ = 0, p0_ = 0, m_ = 0, n_ = 0, k_ = 0, steps_ = 0;  // The part at hand.
};

// k is 0: nothing is added to beta * c.
template <class S>
void fill_empty(const Gemm<S>& g) {
  using T = Accumulator<S>;
  Scratch memory(static_cast<size_t>(g.n) * sizeof(T));
  T* line = memory.as<T>();
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) line[j] = g.c ? g.beta * static_cast<T>(g.c[i * g.c_row + j * g.c_col]) : T(0);
    narrow(line, g.out + i * g.out_row, g.n);
  }
  if (g.epilogue) g.epilogue(g.out, g.out_row, 0, g.m, 0, g.n);
}

// A product so small that a strip of tiles after the other is all there is to do. False if it is not.
template <class T>
bool tiny_gemm(const Gemm<T>& g) {
  const TileKernels<T>& kernels = tile_kernels<T>();
  int64_t padded = ceil_div(g.n, kernels.lanes) * kernels.lanes;
  if (padded > kernels.widest * kernels.lanes || g.k > kBlockSteps<T> || g.m * padded * g.k > kTinyWork) return false;
  bool adds = g.c && g.c == g.out;
  if (adds && !adds_in_place(g)) return false;
  int vectors = static_cast<int>(padded / kernels.lanes), over = static_cast<int>(g.n % kernels.lanes);
  const T* b = g.b;
  int64_t b_row = g.b_row, height = kernels.rows[vectors];
  alignas(64) T packed[kTinyElems];
  if (g.b_col != 1 || (over && !kernels.reads_parts)) {
    if (padded * g.k > kTinyElems) return false;
    pack_panel(g.b, g.b_col, g.b_row, g.n, padded, g.k, packed);
    b = packed;
    b_row = padded;
  }
  for (int64_t i = 0; i < g.m; i += height) {
    auto rows = static_cast<size_t>(std::min(height, g.m - i));
    const T* a = g.a + i * g.a_row;
    T* out = g.out + i * g.out_row;
    if (over) {
      kernels.part_tile[vectors][rows](g.k, a, g.a_row, g.a_col, b, b_row, out, g.out_row, adds, over);
    } else {
      kernels.tile[vectors][rows](g.k, a, g.a_row, g.a_col, b, b_row, out, g.out_row, adds);
    }
  }
  if (!adds && !g.plain()) kernels.combine(g.m, g.n, g.alpha, g.out, g.out_row, g.beta, g.c, g.c_row, g.c_col);
  if (g.epilogue) g.epilogue(g.out, g.out_row, 0, g.m, 0, g.n);
  return true;
}

// c is out: one block of k at a time is added to it.
template <class S>
void add_in_blocks(const Gemm<S>& g) {
  Gemm<S> part = g;
  for (int64_t p = 0; p < g.k; p += kBlockSteps<S>) {
    part.k = std::min(kBlockSteps<S>, g.k - p);
    part.a = g.a + p * g.a_col;
    part.b = g.b + p * g.b_row;
    part.epilogue = p + part.k == g.k ? g.epilogue : Epilogue();
    if (p > 0) part.beta = 1;
    gemm(part);
  }
}

}  // namespace

template <class S>
void gemm(const Gemm<S>& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return fill_empty(g);
  if constexpr (std::is_same_v<S, Accumulator<S>>) {
    // Between blocks of k the sums wait in out, which must not be c then.
    if (g.c == g.out && g.k > kBlockSteps<S> && !adds_in_place(g)) return add_in_blocks(g);
  }
  if (thin_gemm(g)) return;
  if constexpr (std::is_same_v<S, Accumulator<S>>) {
    if (tiny_gemm(g)) return;
  }
  Product<S>(g).run();
}

template void gemm(const Gemm<float>&);
template void gemm(const Gemm<double>&);
template void gemm(const Gemm<float16_t>&);
template void gemm(const Gemm<bfloat16_t>&);

}  // namespace mx::cpu
