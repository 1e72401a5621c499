// conv_weight_gemm.cpp — the gradient of convolution's weights as a product of matrices, (C_out, outputs) · (outputs, taps x
// channels): the output's cotangents against patches of the input, which never exist as a whole.
//
// The sum is over all outputs of all examples and long; the result is small. Columns are cut into panels as wide as a
// tile, rows of the sum into chunks (by the sizes alone), and each panel of each chunk is a task with sums of its own, which
// are added up in order at the end. Within a task the patches of a few hundred outputs are packed at a time. Where the processor
// multiplies pairs of bfloat16, elements of two outputs are brought together in patches and, once for all, in cotangents.
// Start at WeightProduct::run().

#include <algorithm>
#include <cstring>
#include <optional>

#include "backend/cpu/conv_copy.h"
#include "backend/cpu/conv_plan.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

namespace {

constexpr int64_t kBlockRows = 256;        // Outputs whose patches are packed at a time.
constexpr int64_t kChunkRows = 2048;       // Fewer are not worth sums of their own.
constexpr int64_t kMaxChunks = 16;
constexpr int64_t kSumBytes = 64 << 20;    // Most memory for them.
constexpr int64_t kTaskFlops = 500'000;    // Worth a thread.

// Columns that are contiguous in the input: one outer tap, neighbouring taps of the last axis, their channels.
struct Run {
  size_t outer;
  int64_t tap;              ///< First of the last axis.
  int64_t begin, end;       ///< Elements, counted from that tap's first channel.
  int64_t column;           ///< In the panel.
};

template <class S>
class WeightProduct {
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>, kBf16 = std::is_same_v<S, bfloat16_t>;

 public:
  WeightProduct(const Conv& c, const std::vector<const Phase*>& phases) : WeightProduct(c, phases, kBf16 ? pair_tile_kernels() : nullptr) {}

  void run() {
    int64_t panels = static_cast<int64_t>(panels_.size()), size = c_.cout * width_;
    int64_t results = c_.groups * panels;
    int64_t chunks = std::clamp<int64_t>(kSumBytes / (results * size * static_cast<int64_t>(sizeof(T))), 1, kMaxChunks);
    chunks = std::clamp<int64_t>(map_.rows / kChunkRows, 1, chunks);
    int64_t chunk = ceil_div(ceil_div(map_.rows, chunks), kBlockRows) * kBlockRows;
    chunks = ceil_div(map_.rows, chunk);
    Scratch memory(static_cast<size_t>(results * chunks * size) * sizeof(T));
    T* sums = memory.as<T>();
    std::optional<Scratch> pairs;
    if (pairs_) {
      pairs.emplace(static_cast<size_t>(ceil_div(map_.rows, 2) * c_.channels_out()) * sizeof(uint32_t));
      output_pairs_ = pairs->as<uint32_t>();
      pair_outputs();
    }
    int64_t flops = 2 * c_.cout * width_ * std::min(chunk, map_.rows);
    parallel_for(results * chunks, std::max<int64_t>(1, kTaskFlops / flops), [&](int64_t begin, int64_t end) {
      Workspace w(*this);
      for (int64_t i = begin; i < end; ++i) {
        // Panels of one chunk one after the other: they read the same inputs.
        int64_t panel = i % panels, g = i / panels % c_.groups, from = i / results * chunk;
        sum_panel(w, g, panels_[static_cast<size_t>(panel)], from, std::min(map_.rows, from + chunk), sums + i * size);
      }
    });
    parallel_for(results, std::max<int64_t>(1, 32768 / (size * chunks)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t k = 1; k < chunks; ++k) {
          const T* more = sums + (k * results + i) * size;
          for (int64_t q = 0; q < size; ++q) sums[i * size + q] += more[q];
        }
        store(i / panels, panels_[static_cast<size_t>(i % panels)], sums + i * size);
      }
    });
  }

 private:
  WeightProduct(const Conv& c, const std::vector<const Phase*>& phases, const TileKernels<float>* pairs)
      : c_(c), map_(c, phases), pairs_(pairs != nullptr), kernels_(choose(pairs)) {
    merged_ = map_.last.regular && map_.last_axis.x_stride == c.cin;
    columns_ = static_cast<int64_t>(map_.outer.size()) * map_.n_last() * c.cin;
    int64_t needed = ceil_div(columns_, kernels_.lanes);
    vectors_ = needed <= kernels_.widest ? static_cast<int>(needed) : kernels_.vectors;
    width_ = vectors_ * kernels_.lanes;
    height_ = kernels_.rows[vectors_];
    cut_panels();
  }

  // Floats that stand for pairs are counted as other floats are.
  static const TileKernels<T>& choose([[maybe_unused]] const TileKernels<float>* pairs) {
    if constexpr (kBf16) {
      if (pairs) return *pairs;
    }
    return tile_kernels<T>();
  }

  struct Panel {
    std::vector<Run> runs;
    int64_t columns = 0;
  };

  void cut_panels() {
    int64_t taps = merged_ ? map_.n_last() : 1;
    for (size_t o = 0; o < map_.outer.size(); ++o) {
      for (int64_t t = 0; t < map_.n_last(); t += taps) {
        for (int64_t q = 0; q < taps * c_.cin;) {
          if (panels_.empty() || panels_.back().columns == width_) panels_.emplace_back();
          Panel& p = panels_.back();
          int64_t n = std::min(width_ - p.columns, taps * c_.cin - q);
          p.runs.push_back({o, t, q, q + n, p.columns});
          p.columns += n;
          q += n;
        }
      }
    }
  }

  int64_t padded(const Panel& p) const { return ceil_div(p.columns, kernels_.lanes) * kernels_.lanes; }

  // What one thread needs.
  struct Workspace {
    explicit Workspace(const WeightProduct& p)
        : patches(static_cast<size_t>(kBlockRows * p.width_) * sizeof(T)),
          outputs(p.direct() || p.pairs_ ? 0 : static_cast<size_t>(kBlockRows * p.c_.cout) * sizeof(T)),
          lines(p.pairs_ ? static_cast<size_t>((kBlockRows + 1) * p.width_) * sizeof(S) : 0) {}
    Scratch patches, outputs;
    Scratch lines;  ///< Patches, before they become pairs.
    std::vector<Segment> segments;
  };

  // Whether the tiles may read the cotangents where they lie.
  bool direct() const { return kSame && map_.linear; }

  void sum_panel(Workspace& w, int64_t group, const Panel& panel, int64_t row_begin, int64_t row_end, T* sums) const {
    int64_t b_row = padded(panel);
    for (int64_t row = row_begin; row < row_end; row += kBlockRows) {
      int64_t n = std::min(kBlockRows, row_end - row);
      map_.find_segments(row, n, w.segments);
      T* patches = w.patches.template as<T>();
      if (pairs_) {
        S* lines = w.lines.template as<S>();
        for (const Segment& s : w.segments) copy_patches(s, group, panel, b_row, lines + s.row * b_row);
        if (n % 2) std::fill_n(lines + n * b_row, b_row, S());
        for (int64_t i = 0; i < n; i += 2) pair_up(lines + i * b_row, lines + (i + 1) * b_row, patches + i / 2 * b_row, b_row);
      } else {
        for (const Segment& s : w.segments) copy_patches(s, group, panel, b_row, patches + s.row * b_row);
        if (!direct()) pack_outputs(w, group, n);
      }
      for (int64_t co = 0; co < c_.cout; co += height_) {
        int64_t rows = std::min<int64_t>(height_, c_.cout - co);
        const T* a = w.outputs.template as<T>() + co * n;
        int64_t a_col = rows;
        if constexpr (kSame) {
          if (direct()) {
            a = static_cast<const T*>(c_.y) + row * c_.channels_out() + group * c_.cout + co;
            a_col = c_.channels_out();
          }
        }
        int64_t steps = n;
        if (pairs_) {
          a = reinterpret_cast<const T*>(output_pairs_) + row / 2 * c_.channels_out() + group * c_.cout + co;
          a_col = c_.channels_out();
          steps = ceil_div(n, 2);
        }
        kernels_.tile[b_row / kernels_.lanes][rows](steps, a, 1, a_col, patches, b_row, sums + co * width_, width_, row > row_begin);
      }
    }
  }

  static void pair_up([[maybe_unused]] const S* low, [[maybe_unused]] const S* high, [[maybe_unused]] T* to, [[maybe_unused]] int64_t n) {
    if constexpr (kBf16) pair_lines(low, high, reinterpret_cast<uint32_t*>(to), n);
  }

  // Cotangents of outputs (2p, 2p + 1) side by side.
  void pair_outputs() const {
    int64_t channels = c_.channels_out(), blocks = ceil_div(map_.rows, kBlockRows);
    parallel_for(blocks, std::max<int64_t>(1, 32768 / (kBlockRows * channels)), [&](int64_t begin, int64_t end) {
      std::vector<Segment> segments;
      std::vector<const S*> lines(kBlockRows);
      std::vector<S> zeros(static_cast<size_t>(channels));
      for (int64_t b = begin; b < end; ++b) {
        int64_t row = b * kBlockRows, n = std::min(kBlockRows, map_.rows - row);
        map_.find_segments(row, n, segments);
        for (const Segment& s : segments) {
          for (int64_t i = 0; i < s.n; ++i) lines[static_cast<size_t>(s.row + i)] = static_cast<const S*>(c_.y) + (s.out + i * map_.last.step) * channels;
        }
        for (int64_t i = 0; i < n; i += 2) {
          const S* high = i + 1 < n ? lines[static_cast<size_t>(i + 1)] : zeros.data();
          pair_up(lines[static_cast<size_t>(i)], high, reinterpret_cast<T*>(output_pairs_) + (row + i) / 2 * channels, channels);
        }
      }
    });
  }

  // One strip of cotangents after the other, each as high as a tile.
  void pack_outputs(Workspace& w, int64_t group, int64_t n) const {
    for (int64_t co = 0; co < c_.cout; co += height_) {
      int64_t rows = std::min<int64_t>(height_, c_.cout - co);
      T* to = w.outputs.template as<T>() + co * n;
      for (const Segment& s : w.segments) {
        const S* from = static_cast<const S*>(c_.y) + s.out * c_.channels_out() + group * c_.cout + co;
        pack_panel(from, int64_t(1), map_.last.step * c_.channels_out(), rows, rows, s.n, to + s.row * rows);
      }
    }
  }

  // The patches of a segment's outputs, line by line.
  template <class E>
  void copy_patches(const Segment& s, int64_t group, const Panel& panel, int64_t line, E* to) const {
    if (panel.columns < line) {
      for (int64_t i = 0; i < s.n; ++i) std::fill(to + i * line + panel.columns, to + (i + 1) * line, E());
    }
    const ConvAxis& a = map_.last_axis;
    for (const Run& r : panel.runs) {
      E* at = to + r.column;
      int64_t length = r.end - r.begin;
      const OuterTap& o = map_.outer[r.outer];
      if (!map_.inside(s, o)) {
        for (int64_t i = 0; i < s.n; ++i) std::fill(at + i * line, at + i * line + length, E());
        continue;
      }
      // Element 0 of the run is element `first` of the axis for output i.
      int64_t step = map_.last.stride, position = s.position + map_.tap_at(r.tap), reach = (r.end - 1) / c_.cin, start = r.begin / c_.cin;
      const S* from = static_cast<const S*>(c_.x) + s.x + o.x + position * a.x_stride + group * c_.cin + r.begin;
      int64_t begin = position + start >= 0 ? 0 : ceil_div(-position - start, step), last = a.in - 1 - reach - position;
      begin = std::min(begin, s.n);
      int64_t end = last < 0 ? begin : std::clamp(last / step + 1, begin, s.n);
      auto edge = [&](int64_t i) {
        int64_t first = position + i * step, low = std::clamp<int64_t>(-first * c_.cin - r.begin, 0, length);
        int64_t high = std::clamp<int64_t>((a.in - first) * c_.cin - r.begin, low, length);
        E* edge_line = at + i * line;
        std::fill(edge_line, edge_line + low, E());
        widen_lines(from + i * step * a.x_stride + low, 0, edge_line + low, 0, 1, high - low);
        std::fill(edge_line + high, edge_line + length, E());
      };
      for (int64_t i = 0; i < begin; ++i) edge(i);
      widen_lines(from + begin * step * a.x_stride, step * a.x_stride, at + begin * line, line, end - begin, length);
      for (int64_t i = end; i < s.n; ++i) edge(i);
    }
  }

  template <class E>
  static void widen_lines(const S* from, int64_t from_step, E* to, int64_t to_step, int64_t lines, int64_t n) {
    if constexpr (std::is_same_v<S, E>) {
      constexpr auto kBytes = static_cast<int64_t>(sizeof(S));
      copy_lines(reinterpret_cast<const std::byte*>(from), from_step * kBytes, reinterpret_cast<std::byte*>(to), to_step * kBytes, lines,
                 n * kBytes);
    } else {
      for (int64_t i = 0; i < lines; ++i) widen(from + i * from_step, to + i * to_step, n);
    }
  }

  void store(int64_t group, const Panel& panel, const T* sums) const {
    for (int64_t co = 0; co < c_.cout; ++co) {
      S* out = static_cast<S*>(c_.out) + (group * c_.cout + co) * c_.w_out;
      for (const Run& r : panel.runs) {
        const T* from = sums + co * width_ + r.column;
        // Neighbouring taps in the input are neighbours in the weight only if the kernel is not dilated.
        for (int64_t q = r.begin; q < r.end;) {
          int64_t tap = q / c_.cin, n = std::min(r.end, (tap + 1) * c_.cin) - q;
          narrow(from, out + map_.outer[r.outer].w + map_.tap_k(r.tap + tap) * map_.last_axis.w_stride + q % c_.cin, n);
          from += n;
          q += n;
        }
      }
    }
  }

  const Conv& c_;
  PatchMap map_;
  bool pairs_;
  uint32_t* output_pairs_ = nullptr;
  const TileKernels<T>& kernels_;
  bool merged_;
  int64_t columns_;
  int vectors_;
  int64_t width_, height_;
  std::vector<Panel> panels_;
};

}  // namespace

template <class S>
void conv_weight_gemm(const Conv& c) {
  for_each_phase(c, [&](const std::vector<const Phase*>& phases) {
    if (!conv_weight_band<S>(PatchMap(c, phases))) WeightProduct<S>(c, phases).run();
  });
}

template void conv_weight_gemm<float>(const Conv&);
template void conv_weight_gemm<double>(const Conv&);
template void conv_weight_gemm<float16_t>(const Conv&);
template void conv_weight_gemm<bfloat16_t>(const Conv&);

}  // namespace mx::cpu
