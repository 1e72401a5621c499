// conv_gemm.cpp — convolution as a product of matrices, (outputs, taps x channels) · (taps x channels, C_out), whose left
// one is brought in block by block (conv_source.h).
//
// For each phase and group the weights are packed into panels once, as in gemm.cpp. Blocks of about 100 outputs or more are
// shared out; each goes through the depth in blocks that stay in the cache. Every output is summed over taps and channels
// in one order, whatever the number of threads. With very few output channels dot products take the place of tiles.
// Start at conv_gemm().

#include "backend/cpu/conv_source.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/pool.h"

namespace mx::cpu {

namespace {

constexpr int64_t kPackedBytes = 32 << 20;  // Most of the weights that is packed at a time.
constexpr int64_t kTaskFlops = 500'000;     // Worth a thread.
constexpr int64_t kMaxLinks = 32;           // Pieces of the depth that a tile goes through at once.
constexpr int64_t kDotSteps = 56;           // A column: shorter runs are not worth sums over lanes.

// Floats that stand for pairs are counted as other floats are.
template <class S>
const TileKernels<Accumulator<S>>& tiles_for([[maybe_unused]] bool pairs) {
  if constexpr (std::is_same_v<S, bfloat16_t>) {
    if (pairs) return *pair_tile_kernels();
  }
  return tile_kernels<Accumulator<S>>();
}

template <class S, class From>
class ConvProduct {
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;

 public:
  ConvProduct(const Conv& c, const PatchMap& map, const Depth& depth, bool dots)
      : c_(c), map_(map), depth_(depth), kernels_(tiles_for<S>(depth.per_step == 2)), dots_(dots), vectors_(vectors()),
        width_(dots ? c.cout : vectors_ * kernels_.lanes), height_(dots ? 4 : kernels_.rows[vectors_]), panels_(ceil_div(c.cout, width_)),
        source_(map, depth, height_) {}

  void run() {
    int64_t panel_bytes = std::max<int64_t>(1, depth_.steps * width_ * static_cast<int64_t>(sizeof(T)));
    int64_t at_once = std::max<int64_t>(1, kPackedBytes / panel_bytes);
    int64_t groups = std::clamp<int64_t>(at_once / panels_, 1, c_.groups), span = std::min(panels_, at_once);
    for (int64_t g = 0; g < c_.groups; g += groups) {
      for (int64_t p = 0; p < panels_; p += span) {
        multiply(g, std::min(c_.groups, g + groups), p, std::min(panels_, p + span));
      }
    }
  }

 private:
  // Of a tile: as many as the columns need, or those that suit many columns.
  int vectors() const {
    int64_t needed = ceil_div(c_.cout, kernels_.lanes);
    return needed <= kernels_.widest ? static_cast<int>(needed) : kernels_.vectors;
  }
  int64_t columns(int64_t panel) const { return std::min<int64_t>(width_, c_.cout - panel * width_); }
  int64_t padded(int64_t cols) const { return dots_ ? cols : ceil_div(cols, kernels_.lanes) * kernels_.lanes; }
  // Whether tiles may make their sums in the output.
  bool in_place(int64_t panel) const { return kSame && !dots_ && map_.linear && columns(panel) % kernels_.lanes == 0; }

  // ---- the weights

  void pack(const S* from, int64_t cols, int64_t k, T* to) const {
    if constexpr (std::is_same_v<S, bfloat16_t>) {
      if (depth_.per_step == 2) return pack_pairs(from, c_.w_out, c_.w_in, cols, padded(cols), k, to);
    }
    pack_panel(from, c_.w_out, c_.w_in, cols, padded(cols), k, to);
  }

  // A panel has its columns side by side; for dot products they are rows.
  void pack_weights(int64_t group, int64_t panel, T* to) const {
    int64_t cols = columns(panel);
    const S* w = static_cast<const S*>(c_.w) + (group * c_.cout + panel * width_) * c_.w_out;
    for (const Piece& p : depth_.pieces) {
      int64_t step = p.step, steps = p.steps / (p.t1 - p.t0);
      for (int64_t t = p.t0; t < p.t1; ++t, step += steps) {
        const S* from = w + map_.outer[p.outer].w + map_.tap_k(t) * map_.last_axis.w_stride + p.c0 * c_.w_in;
        if (!dots_) {
          pack(from, cols, p.c1 - p.c0, to + step * padded(cols));
          continue;
        }
        for (int64_t q = 0; q < cols; ++q) {
          for (int64_t k = 0; k < steps; ++k) to[q * depth_.steps + step + k] = static_cast<T>(from[q * c_.w_out + k * c_.w_in]);
        }
      }
    }
  }

  // ---- the product

  // What one thread needs.
  struct Workspace {
    Workspace(const ConvProduct& p, int64_t columns)
        : source(p.source_), sums(static_cast<size_t>(p.source_.most_rows() * columns) * sizeof(T)), sums_row(columns) {}
    typename From::Workspace source;
    Scratch sums;
    int64_t sums_row;
    std::vector<Segment> segments;
    int64_t group = 0, panel_begin = 0, panel_end = 0;
    const T* weights = nullptr;
  };

  void multiply(int64_t group_begin, int64_t group_end, int64_t panel_begin, int64_t panel_end) {
    int64_t groups = group_end - group_begin, panels = panel_end - panel_begin, panel_size = depth_.steps * width_;
    Scratch packed(static_cast<size_t>(groups * panels * panel_size) * sizeof(T));
    T* weights = packed.as<T>();
    parallel_for(groups * panels, std::max<int64_t>(1, 32768 / panel_size), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) pack_weights(group_begin + i / panels, panel_begin + i % panels, weights + i * panel_size);
    });

    int64_t blocks = source_.n_blocks();
    // Few blocks: the panels are shared out too, and blocks brought in more than once.
    int64_t parts = std::clamp<int64_t>(ceil_div(4 * n_threads(), blocks * groups), 1, panels);
    int64_t part = ceil_div(panels, parts);
    parts = ceil_div(panels, part);
    int64_t flops = 2 * std::min(source_.most_rows(), map_.rows) * part * width_ * depth_.steps * depth_.per_step;
    parallel_for(groups * blocks * parts, std::max<int64_t>(1, kTaskFlops / flops), [&](int64_t begin, int64_t end) {
      Workspace w(*this, part * width_);
      for (int64_t i = begin; i < end; ++i) {
        int64_t g = i / (blocks * parts), q = i % parts * part;
        w.group = group_begin + g;
        w.panel_begin = panel_begin + q;
        w.panel_end = panel_begin + std::min(panels, q + part);
        w.weights = weights + (g * panels + q) * panel_size;
        multiply_block(w, i / parts % blocks);
      }
    });
  }

  void multiply_block(Workspace& w, int64_t block) {
    int64_t row = source_.first_row(block);
    for (const Depth::Block& b : depth_.blocks) {
      if (!From::kAtOnce || b.step == 0) source_.prepare(w.source, block, w.group, b);
      for (int64_t panel = w.panel_begin; panel < w.panel_end; ++panel) {
        dots_ ? dot_strips(w, b) : multiply_strips(w, b, panel, row);
      }
    }
    map_.find_segments(row, source_.first_row(block + 1) - row, w.segments);
    for (int64_t panel = w.panel_begin; panel < w.panel_end; ++panel) {
      if (!in_place(panel)) finish(w, panel);
    }
  }

  void multiply_strips(Workspace& w, const Depth::Block& b, int64_t panel, int64_t row) {
    int64_t cols = columns(panel), b_row = padded(cols), to_row = w.sums_row;
    const ChainFn<T>* chains = kernels_.chain[b_row / kernels_.lanes];
    const T* weights = w.weights + (panel - w.panel_begin) * depth_.steps * width_;
    T* to = w.sums.template as<T>() + (panel - w.panel_begin) * width_;
    if constexpr (kSame) {
      if (in_place(panel)) {
        to_row = c_.channels_out();
        to = static_cast<T*>(c_.out) + row * to_row + w.group * c_.cout + panel * width_;
      }
    }
    for (const Strip& s : w.source.strips) {
      ChainLink<T> links[kMaxLinks];
      int64_t n = 0, lines_apart = 0;
      bool adding = false;
      auto flush = [&] {
        if (n > 0) chains[s.n](n, links, lines_apart, 1, b_row, to + s.row * to_row, to_row, adding);
        n = 0;
      };
      source_.take(w.source, s, b, [&](const T* a, int64_t a_row, int64_t step, int64_t steps, bool add) {
        if (n == kMaxLinks) flush();
        if (n == 0) adding = add;
        lines_apart = a_row;
        links[n++] = {a, weights + step * b_row, steps};
      });
      flush();
    }
  }

  // Four outputs (there is space behind the last) with all columns.
  void dot_strips(Workspace& w, const Depth::Block& b) {
    for (const Strip& s : w.source.strips) {
      T* to = w.sums.template as<T>() + s.row * w.sums_row;
      source_.take(w.source, s, b, [&](const T* a, int64_t a_row, int64_t step, int64_t steps, bool add) {
        T products[16];
        kernels_.dots[c_.cout](steps, w.weights + step, depth_.steps, a, a_row, products);
        for (int64_t i = 0; i < s.n; ++i) {
          for (int64_t q = 0; q < c_.cout; ++q) to[i * w.sums_row + q] = products[4 * q + i] + (add ? to[i * w.sums_row + q] : T(0));
        }
      });
    }
  }

  // The sums of a block go where its segments are in the output.
  void finish(const Workspace& w, int64_t panel) const {
    const T* from = w.sums.template as<T>() + (panel - w.panel_begin) * width_;
    S* out = static_cast<S*>(c_.out) + w.group * c_.cout + panel * width_;
    for (const Segment& s : w.segments) {
      for (int64_t i = 0; i < s.n; ++i) {
        narrow(from + (s.row + i) * w.sums_row, out + (s.out + i * map_.last.step) * c_.channels_out(), columns(panel));
      }
    }
  }

  const Conv& c_;
  const PatchMap& map_;
  const Depth& depth_;
  const TileKernels<T>& kernels_;
  bool dots_;                // Dot products instead of tiles.
  int vectors_;
  int64_t width_, height_;   // Of a tile.
  int64_t panels_;
  From source_;
};

// One tap that reads every input once, in order: a plain product of matrices.
bool is_matrix_product(const Conv& c, const PatchMap& map) {
  int64_t inner = 1, pixel = map.last_axis.x_stride;
  for (size_t d = c.axes.size(); d-- > 0;) {
    const Phase& p = *map.phases[d];
    if (p.taps.size() != 1 || !p.inside || p.step != 1 || p.stride != 1 || p.count != c.axes[d].in) return false;
    if (p.count > 1 && c.axes[d].x_stride != inner * pixel) return false;
    inner *= p.count;
  }
  return c.batch == 1 || c.x_batch == inner * pixel;
}

template <class S>
void matrix_product(const Conv& c, const PatchMap& map) {
  const S *x = static_cast<const S*>(c.x), *w = static_cast<const S*>(c.w) + map.outer[0].w + map.tap_k(0) * map.last_axis.w_stride;
  for (int64_t g = 0; g < c.groups; ++g) {
    gemm(Gemm<S>{.m = map.rows, .n = c.cout, .k = c.cin, .a = x + g * c.cin, .a_row = map.last_axis.x_stride, .a_col = 1,
                 .b = w + g * c.cout * c.w_out, .b_row = c.w_in, .b_col = c.w_out,
                 .out = static_cast<S*>(c.out) + g * c.cout, .out_row = c.channels_out()});
  }
}

template <class S>
void patch_product(const Conv& c, const PatchMap& map) {
  bool band = Band<S>::suits(map), pairs = std::is_same_v<S, bfloat16_t> && pair_tile_kernels();
  bool joined = !band || (map.last.regular && map.n_last() > 1);
  bool dots = band && c.cout <= kMaxDotRows && c.cin * (joined ? map.n_last() : 1) >= kDotSteps * c.cout;
  if (dots) pairs = false;
  int64_t per_step = pairs ? 2 : 1, bytes = pairs ? 2 : static_cast<int64_t>(sizeof(Accumulator<S>));
  int64_t tap = ceil_div(c.cin, per_step) * per_step;
  if (band && Band<S>::pixel_size(map, tap, bytes) != tap) joined = false;
  Depth depth(map, per_step, joined);
  if (band) {
    ConvProduct<S, Band<S>>(c, map, depth, dots).run();
  } else {
    ConvProduct<S, Patches<S>>(c, map, depth, dots).run();
  }
}

}  // namespace

template <class S>
void conv_gemm(const Conv& c) {
  for_each_phase(c, [&](const std::vector<const Phase*>& phases) {
    PatchMap map(c, phases);
    is_matrix_product(c, map) ? matrix_product<S>(c, map) : patch_product<S>(c, map);
  });
}

template void conv_gemm<float>(const Conv&);
template void conv_gemm<double>(const Conv&);
template void conv_gemm<float16_t>(const Conv&);
template void conv_gemm<bfloat16_t>(const Conv&);

}  // namespace mx::cpu
