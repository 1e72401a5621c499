// conv_source.h — where the left matrix of a convolution's product comes from: its rows are outputs, its columns ("depth")
// taps x channels. It never exists as a whole; a source brings the rows of one block into reach of the tiles.
//
// Band copies the rows of the input that a block of outputs reads, once, with the zeros around them: the patches of
// outputs that are neighbours along the last axis then lie a fixed distance apart, and a tile reads each row of taps
// where it lies. Patches copies every patch as a line of its own, for rows of outputs too short to fill a tile, and for
// taps too short to be read one row at a time. Start at Depth and Band::prepare().
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/conv_copy.h"
#include "backend/cpu/conv_plan.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

/// Columns side by side: taps [t0, t1) of the last axis at one outer tap, channels [c0, c1) (all of them if there are
/// several taps). A step is one element, or two that a tile takes together.
struct Piece {
  size_t outer;
  int64_t t0, t1, c0, c1;
  int64_t step, steps;
};

/// How the depth is cut: pieces, and blocks of them that stay in the cache.
struct Depth {
  static constexpr int64_t kBlockSteps = 512;
  struct Block {
    size_t begin, end;  ///< Pieces.
    int64_t step, steps;
  };

  /// `joined`: neighbouring taps may be one piece.
  Depth(const PatchMap& map, int64_t per_step, bool joined);

  int64_t per_step;
  int64_t tap;  ///< Elements of a tap: its channels, filled up to whole steps.
  int64_t steps = 0, longest = 0;  ///< In all, and of the longest block.
  std::vector<Piece> pieces;
  std::vector<Block> blocks;

 private:
  void add(Piece p, int64_t target);
};

/// Rows of a block that one tile takes.
struct Strip {
  int64_t row, n;      ///< In the block.
  int64_t line, pixel; ///< Of a band: which line, and where in it.
};

/// What both kinds of source share. Lines hold elements E: what tiles read, or S where they take pairs.
template <class S>
class Source {
 protected:
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;
  static constexpr auto kInBytes = static_cast<int64_t>(sizeof(S));

  Source(const PatchMap& map, const Depth& depth, int64_t height)
      : map_(map), depth_(depth), last_(map.last), axis_(map.last_axis), height_(height),
        bytes_(depth.per_step == 2 ? kInBytes : static_cast<int64_t>(sizeof(T))) {}

  const S* x() const { return static_cast<const S*>(map_.c.x); }
  void clear(std::byte* to, int64_t n) const {
    if (n > 0) std::memset(to, 0, static_cast<size_t>(n * bytes_));
  }
  /// Lines of n elements; steps are in elements.
  void copy(const S* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t lines, int64_t n) const {
    if constexpr (!kSame) {
      if (depth_.per_step == 1) {
        for (int64_t i = 0; i < lines; ++i) widen(from + i * from_step, reinterpret_cast<T*>(to + i * to_step * bytes_), n);
        return;
      }
    }
    copy_lines(reinterpret_cast<const std::byte*>(from), from_step * kInBytes, to, to_step * bytes_, lines, n * kInBytes);
  }

  const PatchMap& map_;
  const Depth& depth_;
  const Phase& last_;
  const ConvAxis& axis_;
  int64_t height_;  ///< Of a tile.
  int64_t bytes_;   ///< Of an element of a line.
};

template <class S>
class Patches : Source<S> {
  using Base = Source<S>;
  using typename Base::T;
  using Base::map_, Base::depth_, Base::last_, Base::axis_, Base::height_, Base::bytes_;
  static constexpr int64_t kRows = 96;

 public:
  static constexpr bool kAtOnce = false;  ///< One block of the depth at a time.

  Patches(const PatchMap& map, const Depth& depth, int64_t height) : Base(map, depth, height) {
    rows_ = std::max<int64_t>(1, kRows / height) * height;
    line_ = ceil_div(depth.longest * depth.per_step, 16) * 16;
    // Lines that lie a multiple of a page apart would compete for one set of the first cache.
    if (line_ * bytes_ % 1024 == 0) line_ += 64 / bytes_;
  }

  int64_t most_rows() const { return rows_; }
  int64_t n_blocks() const { return ceil_div(map_.rows, rows_); }
  int64_t first_row(int64_t block) const { return std::min(block * rows_, map_.rows); }

  struct Workspace {
    explicit Workspace(const Patches& p) : lines(static_cast<size_t>(p.rows_ * p.line_ * p.bytes_)) {}
    Scratch lines;
    std::vector<Segment> segments;
    std::vector<Strip> strips;
  };

  void prepare(Workspace& w, int64_t block, int64_t group, const Depth::Block& b) const {
    int64_t row = first_row(block), n = first_row(block + 1) - row;
    map_.find_segments(row, n, w.segments);
    for (const Segment& s : w.segments) {
      for (size_t q = b.begin; q < b.end; ++q) {
        const Piece& p = depth_.pieces[q];
        copy_piece(s, p, group, w.lines.template as<std::byte>() + (s.row * line_ + (p.step - b.step) * depth_.per_step) * bytes_);
      }
    }
    w.strips.clear();
    for (int64_t r = 0; r < n; r += height_) w.strips.push_back({r, std::min(height_, n - r), 0, 0});
  }

  /// Calls f(a, a_row, step, steps, add): products that make up those of a strip with block b.
  template <class F>
  void take(const Workspace& w, const Strip& s, const Depth::Block& b, F f) const {
    f(reinterpret_cast<const T*>(w.lines.template as<std::byte>() + s.row * line_ * bytes_), line_ / depth_.per_step, b.step, b.steps, b.step > 0);
  }

 private:
  void copy_piece(const Segment& s, const Piece& p, int64_t group, std::byte* to) const {
    bool inside = map_.inside(s, map_.outer[p.outer]);
    const S* from = this->x() + s.x + map_.outer[p.outer].x + group * map_.c.cin + p.c0;
    int64_t space = p.steps / (p.t1 - p.t0) * depth_.per_step, depth = p.c1 - p.c0;
    for (int64_t t = p.t0; t < p.t1; ++t, to += space * bytes_) {
      // The outputs whose tap is inside lie together.
      int64_t first = s.position + map_.tap_at(t), begin = s.n, end = s.n;
      if (inside && first < axis_.in) {
        begin = std::min(s.n, first >= 0 ? 0 : ceil_div(-first, last_.stride));
        end = std::clamp((axis_.in - 1 - first) / last_.stride + 1, begin, s.n);
      }
      std::byte* line = to;
      for (int64_t i = 0; i < s.n; ++i, line += line_ * bytes_) {
        bool in = begin <= i && i < end;
        this->clear(line + (in ? depth : 0) * bytes_, in ? space - depth : space);
      }
      this->copy(from + (first + begin * last_.stride) * axis_.x_stride, last_.stride * axis_.x_stride, to + begin * line_ * bytes_, line_, end - begin,
                 depth);
    }
  }

  int64_t rows_, line_;
};

template <class S>
class Band : Source<S> {
  using Base = Source<S>;
  using typename Base::T;
  using Base::map_, Base::depth_, Base::last_, Base::axis_, Base::height_, Base::bytes_, Base::kSame;
  static constexpr int64_t kRows = 96;            // Fewer outputs do not repay the weights that a block reads.
  static constexpr int64_t kLines = 4;            // Rows of outputs, if they share rows of the input.
  static constexpr int64_t kLongRow = 128;        // Longer rows of outputs are cut.
  static constexpr int64_t kBytes = 512 << 10;    // Of a band.

 public:
  static constexpr bool kAtOnce = true;  ///< Prepared for all blocks of the depth.

  /// Whether tiles are filled and runs long enough.
  static bool suits(const PatchMap& map) {
    return map.last.count >= 6 && (map.last.regular ? map.n_last() : 1) * map.c.cin >= 4;
  }

  /// Elements from pixel to pixel. Pixels that lie a multiple of a page apart would compete for one set of the first cache.
  static int64_t pixel_size(const PatchMap& map, int64_t tap, int64_t bytes) {
    int64_t stride = map.n_last() == 1 ? 1 : map.last.stride;
    return stride * tap * bytes % 4096 == 0 ? tap + 64 / bytes : tap;
  }

  Band(const PatchMap& map, const Depth& depth, int64_t height) : Base(map, depth, height) {
    compact_ = map.n_last() == 1;
    step_ = compact_ ? 1 : last_.stride;
    pixel_ = pixel_size(map, depth.tap, bytes_);
    low_ = map.tap_at(0);
    high_ = low_;
    for (const Tap& t : last_.taps) low_ = std::min(low_, t.at), high_ = std::max(high_, t.at);
    parts_ = last_.count <= kLongRow ? 1 : ceil_div(last_.count, kLongRow);
    part_ = ceil_div(ceil_div(last_.count, parts_), height) * height;
    if (parts_ == 1) part_ = last_.count;
    parts_ = ceil_div(last_.count, part_);
    n_lines_ = map.rows / last_.count * parts_;
    row_ = (pixels(part_) + height * step_) * pixel_;  // Dot products may read past the end.
    auto taps = static_cast<int64_t>(map.outer.size());
    lines_ = std::max<int64_t>(ceil_div(kRows, part_), taps > 1 ? std::min(kLines, kBytes / (taps * row_ * bytes_)) : 1);
    lines_ = std::min(lines_, n_lines_);
    for (const Piece& p : depth.pieces) offsets_.push_back(((compact_ ? 0 : map.tap_at(p.t0) - low_) * pixel_ + p.c0) * bytes_);
  }

  int64_t most_rows() const { return lines_ * part_; }
  int64_t n_blocks() const { return ceil_div(n_lines_, lines_); }
  int64_t first_row(int64_t block) const {
    int64_t line = std::min(block * lines_, n_lines_);
    return line / parts_ * last_.count + line % parts_ * part_;
  }

  struct Workspace {
    explicit Workspace(const Band& b)
        : rows(static_cast<size_t>((b.lines_ * static_cast<int64_t>(b.map_.outer.size()) + 1) * b.row_ * b.bytes_)) {
      b.clear(rows.as<std::byte>(), b.row_);
    }
    Scratch rows;  ///< The first is zeros.
    std::vector<Segment> segments;
    std::vector<Strip> strips;
    std::vector<const std::byte*> at;  ///< By line and outer tap: the row of the input, null if there is none.
    struct Line {
      int64_t out, n;                  ///< First output, and how many.
    };
    std::vector<Line> lines;
    std::vector<size_t> first;         ///< By line: the first piece that has a row.
    std::vector<std::pair<int64_t, const std::byte*>> held;  ///< Rows of this block by their place in the input; a hash table.
    int64_t n_held = 0;
  };

  void prepare(Workspace& w, int64_t block, int64_t group, const Depth::Block&) const {
    size_t taps = map_.outer.size();
    auto lines = static_cast<size_t>(std::min(lines_, n_lines_ - block * lines_));
    size_t slots = 4;
    while (slots < 2 * lines * taps) slots *= 2;
    w.held.assign(slots, {-1, nullptr});
    w.n_held = 0;
    w.at.assign(lines * taps, nullptr);
    w.first.assign(lines, depth_.pieces.size());
    w.lines.clear();
    w.strips.clear();
    int64_t row = 0;
    for (size_t l = 0; l < lines; ++l) {
      int64_t line = block * lines_ + static_cast<int64_t>(l), part = line % parts_;
      int64_t n = std::min(part_, last_.count - part * part_);
      map_.find_segments(line / parts_ * last_.count + part * part_, n, w.segments);
      const Segment& s = w.segments[0];
      w.lines.push_back({s.out, s.n});
      bool any = false;
      for (size_t o = 0; o < taps; ++o) {
        if (!map_.inside(s, map_.outer[o])) continue;
        w.at[l * taps + o] = find_row(w, s, map_.outer[o], group, part);
        any = true;
      }
      // Without a row at all the sums are made of zeros.
      if (!any) w.at[l * taps] = w.rows.template as<std::byte>();
      for (size_t q = depth_.pieces.size(); q-- > 0;) {
        if (w.at[l * taps + depth_.pieces[q].outer]) w.first[l] = q;
      }
      int64_t strips = ceil_div(n, height_);
      for (int64_t i = 0; i < strips; ++i) {
        int64_t from = n * i / strips, to = n * (i + 1) / strips;
        w.strips.push_back({row + from, to - from, static_cast<int64_t>(l), from});
      }
      row += n;
    }
  }

  /// Where output 0 of line l finds its first element of tap t of the last axis, at outer tap o; null if all it finds is zeros.
  const std::byte* tap(const Workspace& w, size_t l, size_t o, int64_t t) const {
    const std::byte* row = w.at[l * map_.outer.size() + o];
    if (!row || row == w.rows.template as<std::byte>()) return nullptr;
    return row + (compact_ ? 0 : map_.tap_at(t) - low_) * pixel_ * bytes_;
  }
  /// Elements from output to output.
  int64_t output_step() const { return step_ * pixel_; }
  /// Whether neighbouring taps lie side by side.
  bool merges() const { return last_.regular && pixel_ == map_.c.cin; }

  template <class F>
  void take(const Workspace& w, const Strip& s, const Depth::Block& b, F f) const {
    auto line = static_cast<size_t>(s.line);
    size_t first = w.first[line], begin = std::max(b.begin, first), end = b.end;
    const std::byte* const* rows = w.at.data() + line * map_.outer.size();
    const Piece* pieces = depth_.pieces.data();
    const int64_t* offsets = offsets_.data();
    int64_t pixel = s.pixel * step_ * pixel_ * bytes_, apart = step_ * pixel_ / depth_.per_step;
    for (size_t q = begin; q < end; ++q) {
      const Piece& p = pieces[q];
      const std::byte* row = rows[p.outer];
      if (row) f(reinterpret_cast<const T*>(row + pixel + offsets[q]), apart, p.step, p.steps, q > first);
    }
  }

 private:
  int64_t pixels(int64_t outputs) const { return compact_ ? outputs : (outputs - 1) * step_ + high_ - low_ + 1; }

  const std::byte* find_row(Workspace& w, const Segment& s, const OuterTap& o, int64_t group, int64_t part) const {
    int64_t place = (s.x + o.x) * parts_ + part;
    size_t slot = (static_cast<size_t>(place) * 0x9e3779b97f4a7c15ull >> 32) & (w.held.size() - 1);
    while (w.held[slot].second && w.held[slot].first != place) slot = (slot + 1) & (w.held.size() - 1);
    if (!w.held[slot].second) w.held[slot] = {place, make_row(w, s, o, group)};
    return w.held[slot].second;
  }

  const std::byte* make_row(Workspace& w, const Segment& s, const OuterTap& o, int64_t group) const {
    const S* from = this->x() + s.x + o.x + group * map_.c.cin;
    int64_t n = pixels(s.n), first = s.position + low_, move = compact_ ? last_.stride : 1;
    int64_t low = std::clamp<int64_t>(ceil_div(std::max<int64_t>(-first, 0), move), 0, n);
    int64_t high = first >= axis_.in ? low : std::clamp((axis_.in - 1 - first) / move + 1, low, n);
    std::byte* to = w.rows.template as<std::byte>() + ++w.n_held * row_ * bytes_;
    this->clear(to, low * pixel_);
    this->clear(to + high * pixel_ * bytes_, (n - high) * pixel_);
    if (pixel_ > map_.c.cin) this->clear(to + low * pixel_ * bytes_, (high - low) * pixel_);
    from += (first + low * move) * axis_.x_stride;
    to += low * pixel_ * bytes_;
    if (pixel_ == map_.c.cin && move * axis_.x_stride == pixel_) {
      this->copy(from, 0, to, 0, 1, (high - low) * pixel_);
    } else {
      this->copy(from, move * axis_.x_stride, to, pixel_, high - low, map_.c.cin);
    }
    return to - low * pixel_ * bytes_;
  }

  bool compact_;           // Only the pixels that the one tap reads.
  int64_t step_;           // Pixels from output to output.
  int64_t pixel_;          // Elements from pixel to pixel.
  int64_t low_, high_;     // Where taps of the last axis read, least and most.
  int64_t part_, parts_;   // Outputs of a line, lines of a row.
  int64_t n_lines_, lines_;  // In all, and of a block.
  int64_t row_;            // Elements of a row of the band.
  std::vector<int64_t> offsets_;  // By piece: bytes from where an output's pixels begin.
};

}  // namespace mx::cpu
