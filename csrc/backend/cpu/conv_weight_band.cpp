// conv_weight_band.cpp — the gradient of a convolution's weights, (taps x channels, outputs) · (outputs, C_out): rows of the input as
// conv_source.h brings them in for the convolution itself, against the output's cotangents where they lie. Nothing is copied for
// each tap: an element of the left matrix is read, at a fixed distance from output to output, where the row of the input lies.
//
// The sums of a group, transposed weights, stay in the second cache while a block of outputs after the other is added. Outputs are
// cut into chunks (by the sizes alone) with sums of their own, which are added up in order. Start at WeightBand::run().

#include "backend/cpu/conv_source.h"
#include "backend/cpu/gemm_tiles.h"
#include "backend/cpu/pool.h"

namespace mx::cpu {

namespace {

constexpr int64_t kMostSums = 384 << 10;  // Bytes: more would not stay in the second cache.
constexpr int64_t kChunkRows = 1024;      // Fewer are not worth sums of their own.
constexpr int64_t kMaxChunks = 16;
constexpr int64_t kMaxLinks = 32;         // Lines of outputs that a tile goes through at once.

template <class S>
class WeightBand {
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;

 public:
  explicit WeightBand(const PatchMap& map)
      : map_(map), c_(map.c), kernels_(tile_kernels<T>()), depth_(map, 1, false), vectors_(vectors()), width_(vectors_ * kernels_.lanes),
        height_(kernels_.rows[vectors_]), panels_(ceil_div(c_.cout, width_)), padded_(panels_ * width_), source_(map, depth_, height_),
        run_(source_.merges() ? map.n_last() : 1), columns_(static_cast<int64_t>(map.outer.size()) * map.n_last() * c_.cin),
        direct_(kSame && c_.cout % width_ == 0) {}

  bool suits() const { return columns_ * padded_ * static_cast<int64_t>(sizeof(T)) <= kMostSums; }

  void run() const {
    int64_t size = columns_ * padded_, blocks = source_.n_blocks();
    int64_t chunks = std::clamp<int64_t>(map_.rows / kChunkRows, 1, std::min(kMaxChunks, blocks)), chunk = ceil_div(blocks, chunks);
    chunks = ceil_div(blocks, chunk);
    int64_t groups = std::clamp<int64_t>((16 << 20) / (size * chunks), 1, c_.groups);  // At a time.
    Scratch memory(static_cast<size_t>(groups * chunks * size) * sizeof(T));
    T* sums = memory.as<T>();
    for (int64_t first = 0; first < c_.groups; first += groups) {
      int64_t some = std::min(groups, c_.groups - first);
      parallel_for(some * chunks, 1, [&](int64_t begin, int64_t end) {
        Workspace w(*this);
        for (int64_t i = begin; i < end; ++i) {
          T* to = sums + i * size;
          std::fill_n(to, size, T(0));
          for (int64_t b = i % chunks * chunk; b < std::min(blocks, (i % chunks + 1) * chunk); ++b) add_block(w, first + i / chunks, b, to);
        }
      });
      parallel_for(some, std::max<int64_t>(1, 32768 / (size * chunks)), [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) {
          T* to = sums + g * chunks * size;
          for (int64_t k = 1; k < chunks; ++k) {
            for (int64_t i = 0; i < size; ++i) to[i] += to[k * size + i];
          }
          store(first + g, to);
        }
      });
    }
  }

 private:
  int vectors() const {
    int64_t needed = ceil_div(c_.cout, kernels_.lanes);
    return needed <= kernels_.widest ? static_cast<int>(needed) : kernels_.vectors;
  }

  // What one thread needs.
  struct Workspace {
    explicit Workspace(const WeightBand& p)
        : source(p.source_), outputs(p.direct_ ? 0 : static_cast<size_t>(p.source_.most_rows() * p.padded_) * sizeof(T)) {}
    typename Band<S>::Workspace source;
    Scratch outputs;
    std::vector<const T*> lines;  ///< Of the cotangents.
  };

  void add_block(Workspace& w, int64_t group, int64_t block, T* sums) const {
    source_.prepare(w.source, block, group, depth_.blocks[0]);
    int64_t step = map_.last.step * c_.channels_out(), row = 0;
    const S* y = static_cast<const S*>(c_.y) + group * c_.cout;
    w.lines.clear();
    for (const auto& line : w.source.lines) {
      const S* from = y + line.out * c_.channels_out();
      if constexpr (kSame) {
        if (direct_) {
          w.lines.push_back(from);
          continue;
        }
      }
      T* to = w.outputs.template as<T>() + row * padded_;
      w.lines.push_back(to);
      for (int64_t i = 0; i < line.n; ++i, to += padded_) {
        widen(from + i * step, to, c_.cout);
        std::fill(to + c_.cout, to + padded_, T(0));
      }
      row += line.n;
    }
    for (int64_t panel = 0; panel < panels_; ++panel) {
      T* to = sums + panel * width_;
      for (size_t o = 0; o < map_.outer.size(); ++o) {
        for (int64_t t = 0; t < map_.n_last(); t += run_) {
          for (int64_t q = 0; q < run_ * c_.cin; q += height_) {
            int64_t rows = std::min<int64_t>(height_, run_ * c_.cin - q);
            add_lines(w, o, t, q, rows, panel, direct_ ? step : padded_, to + q * padded_);
          }
          to += run_ * c_.cin * padded_;
        }
      }
    }
  }

  // Elements [q, q + rows) of a run of taps, over all lines.
  void add_lines(const Workspace& w, size_t outer, int64_t tap, int64_t q, int64_t rows, int64_t panel, int64_t b_row, T* to) const {
    ChainLink<T> links[kMaxLinks];
    int64_t n = 0;
    auto flush = [&] {
      if (n > 0) kernels_.chain[vectors_][rows](n, links, 1, source_.output_step(), b_row, to, padded_, true);
      n = 0;
    };
    for (size_t l = 0; l < w.lines.size(); ++l) {
      const std::byte* from = source_.tap(w.source, l, outer, tap);
      if (!from) continue;
      if (n == kMaxLinks) flush();
      links[n++] = {reinterpret_cast<const T*>(from) + q, w.lines[l] + panel * width_, w.source.lines[l].n};
    }
    flush();
  }

  void store(int64_t group, const T* sums) const {
    S* out = static_cast<S*>(c_.out) + group * c_.cout * c_.w_out;
    for (const OuterTap& o : map_.outer) {
      for (int64_t t = 0; t < map_.n_last(); ++t) {
        S* to = out + o.w + map_.tap_k(t) * map_.last_axis.w_stride;
        for (int64_t ci = 0; ci < c_.cin; ++ci, sums += padded_) {
          for (int64_t co = 0; co < c_.cout; ++co) to[co * c_.w_out + ci] = static_cast<S>(sums[co]);
        }
      }
    }
  }

  const PatchMap& map_;
  const Conv& c_;
  const TileKernels<T>& kernels_;
  Depth depth_;
  int vectors_;
  int64_t width_, height_, panels_;  // Of a tile.
  int64_t padded_;                   // Columns of the sums.
  Band<S> source_;
  int64_t run_;                      // Taps side by side.
  int64_t columns_;                  // Rows of the sums.
  bool direct_;                      // The cotangents are read as they lie.
};

}  // namespace

template <class S>
bool conv_weight_band(const PatchMap& map) {
  if (map.last.count < 6) return false;
  if (std::is_same_v<S, bfloat16_t> && pair_tile_kernels()) return false;  // Copies as pairs are better.
  WeightBand<S> product(map);
  if (!product.suits()) return false;
  product.run();
  return true;
}

template bool conv_weight_band<float>(const PatchMap&);
template bool conv_weight_band<double>(const PatchMap&);
template bool conv_weight_band<float16_t>(const PatchMap&);
template bool conv_weight_band<bfloat16_t>(const PatchMap&);

}  // namespace mx::cpu
