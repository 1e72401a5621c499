// conv_rows.h — what convolutions by channel and their gradients share (conv_channels.cpp): rows of the input, spread out,
// and the taps that meet a row of outputs.
//
// A row is what lies along the last axis, pixel after pixel, all channels of each. Rows of the input are spread so that
// every output channel finds the input channel it needs in its own lane (for depthwise convolutions they lie so already).
// Where pixels follow each other without a gap, weights are repeated and a vector may hold several pixels.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "backend/cpu/conv_channel_loops.h"
#include "backend/cpu/conv_plan.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

/// One tap of a row: where it reads for pixel 0, for which pixels it stays inside, and its weights (or their sums).
template <class T>
struct RowTap {
  const T* x;
  int64_t begin, end;
  T* w;
};

/// One pixel's channels, each group's input channel repeated for its kCout output channels.
template <int kCout, class S, class T>
void repeat_channels(const S* from, int64_t cin, int64_t cout, int64_t groups, T* to) {
  if constexpr (kCout > 0) cout = kCout;
  for (int64_t g = 0; g < groups; ++g) {
    T x = static_cast<T>(from[g * cin]);
    for (int64_t q = 0; q < cout; ++q) to[g * cout + q] = x;
  }
}

/// Base of the two classes in conv_channels.cpp.
template <class S>
class Rows {
 protected:
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;
  static constexpr int kTaps = kMaxChannelTaps;    // Taken at a time.
  static constexpr int64_t kLanes = 64 / sizeof(T);
  static constexpr int64_t kRowBytes = 16 << 10;   // A longer row is done in parts, so that its sums stay in the first cache.
  static constexpr int64_t kLongRow = 5;           // Taps.
  static constexpr int64_t kCacheBytes = 1 << 20;  // Spread rows that a thread keeps.

  Rows(const Conv& c, const std::vector<const Phase*>& phases) : c_(c), map_(c, phases), last_(map_.last), channels_(c.channels_out()) {
    // Long rows of taps that reach over the edges come from rows with zeros around them.
    spread_ = !kSame || c.cin != 1 || c.cout != 1 || (map_.n_last() >= kLongRow && !last_.inside);
    if (spread_) {
      for (const Tap& t : last_.taps) {
        left_ = std::max(left_, -t.at);
        right_ = std::max(right_, (last_.count - 1) * last_.stride + t.at - (map_.last_axis.in - 1));
      }
    }
    pixel_ = spread_ ? channels_ : map_.last_axis.x_stride;
    joined_ = last_.stride == 1 && pixel_ == channels_ && channels_ % kLanes != 0;
    period_ = joined_ ? std::lcm(channels_, kLanes) : channels_;
    part_ = std::clamp<int64_t>(kRowBytes / (channels_ * static_cast<int64_t>(sizeof(T))), 16, std::max<int64_t>(16, last_.count));
    part_ = ceil_div(part_, period_ / channels_) * (period_ / channels_);
    parts_ = ceil_div(last_.count, part_);
    n_rows_ = map_.rows / last_.count * parts_;
    plane_ = (left_ + map_.last_axis.in + right_) * channels_;
    // Flattened distance between the input rows that one row of outputs needs.
    for (const OuterTap& o : map_.outer) lowest_ = std::min(lowest_, row_of(o.at)), highest_ = std::max(highest_, row_of(o.at));
    int64_t row_bytes = plane_ * c.cin * static_cast<int64_t>(sizeof(T));
    int64_t rows = 1;
    for (size_t d = 0; d + 1 < c.axes.size(); ++d) rows *= c.axes[d].in;
    slots_ = std::min(rows, highest_ - lowest_ + 1);
    if (slots_ * row_bytes > kCacheBytes) slots_ = std::max<int64_t>(1, kCacheBytes / row_bytes);
    all_kept_ = !spread_ || slots_ > highest_ - lowest_ || slots_ == rows;
  }

  // What one thread needs.
  struct Workspace {
    explicit Workspace(const Rows& r)
        : rows(r.spread_ ? static_cast<size_t>(r.slots_ * r.plane_ * r.c_.cin) * sizeof(T) : 0), held(static_cast<size_t>(r.slots_), -1),
          line(static_cast<size_t>((r.part_ + 1) * r.channels_) * sizeof(T)) {}
    Scratch rows;
    std::vector<int64_t> held;  ///< Which input row is in a slot.
    Scratch line;               ///< A row of outputs.
    std::vector<Segment> segments;
    std::vector<RowTap<T>> taps;
  };

  // One part of a row of outputs.
  struct Part {
    Segment segment;
    int64_t example;
  };
  Part part(Workspace& w, int64_t i) const {
    int64_t row = i / parts_, from = i % parts_ * part_;
    map_.find_segments(row * last_.count + from, std::min(part_, last_.count - from), w.segments);
    return {w.segments[0], row / (map_.rows / last_.count / c_.batch)};
  }

  // Calls f(pixel, count, x_step, y_step, lanes): pixels as they are, or as many together as make whole vectors; then the rest.
  template <class F>
  void by_period(int64_t pixels, int64_t x_step, int64_t y_step, F f) const {
    if (!joined_ || y_step != channels_) return f(int64_t(0), pixels, x_step, y_step, channels_);
    int64_t each = period_ / channels_, whole = pixels / each, rest = pixels % each;
    if (whole > 0) f(int64_t(0), whole, period_, period_, period_);
    if (rest > 0) f(whole * each, int64_t(1), int64_t(0), int64_t(0), rest * channels_);
  }

  int64_t row_of(const SmallVector<int64_t, 4>& position) const {
    int64_t row = 0;
    for (size_t d = 0; d < position.size(); ++d) row = row * c_.axes[d].in + position[d];
    return row;
  }

  // The taps of channel ci that outer tap `o` gives a part; its rows begin at `weights`.
  void add_row_taps(Workspace& w, const Part& p, size_t o, T* weights) const {
    const OuterTap& outer = map_.outer[o];
    if (!map_.inside(p.segment, outer)) return;
    const T* rows = input_row(w, p, outer);
    for (int64_t ci = 0; ci < c_.cin; ++ci) {
      for (int64_t t = 0; t < map_.n_last(); ++t) {
        int64_t at = p.segment.position + map_.tap_at(t), s = last_.stride, begin = 0, end = p.segment.n;
        if (!spread_) {
          begin = at >= 0 ? 0 : ceil_div(-at, s);
          end = std::min(end, at >= map_.last_axis.in ? 0 : (map_.last_axis.in - 1 - at) / s + 1);
          if (begin >= end) continue;
        }
        w.taps.push_back({rows + ci * plane_ + (left_ + at) * pixel_, begin, end, weights + ((static_cast<int64_t>(o) * map_.n_last() + t) * c_.cin + ci) * period_});
      }
    }
  }

  // Calls f(taps, n, begin, end, first_group) so that every tap meets every pixel it has: up to kTaps taps together where all of them
  // have pixels, fewer at the ends.
  template <class F>
  static void take_taps(Workspace& w, F f) {
    for (size_t i = 0; i < w.taps.size(); i += kTaps) {
      auto n = std::min<size_t>(kTaps, w.taps.size() - i);
      const RowTap<T>* taps = &w.taps[i];
      // Where the set of taps changes, ascending.
      int64_t ends[2 * kTaps];
      int n_ends = 0;
      auto insert = [&](int64_t end) {
        int at = n_ends;
        while (at > 0 && ends[at - 1] > end) --at;
        if (at > 0 && ends[at - 1] == end) return;
        std::copy_backward(ends + at, ends + n_ends, ends + n_ends + 1);
        ends[at] = end;
        ++n_ends;
      };
      for (size_t t = 0; t < n; ++t) {
        insert(taps[t].begin);
        insert(taps[t].end);
      }
      for (int e = 0; e + 1 < n_ends; ++e) {
        const RowTap<T>* here[kTaps];
        int count = 0;
        for (size_t t = 0; t < n; ++t) {
          if (taps[t].begin <= ends[e] && ends[e] < taps[t].end) here[count++] = taps + t;
        }
        if (count > 0) f(here, count, ends[e], ends[e + 1], i == 0);
      }
    }
    w.taps.clear();
  }

  const Conv& c_;
  PatchMap map_;
  const Phase& last_;
  int64_t channels_;
  bool spread_;           // The input's rows are not as they are needed.
  bool joined_;           // Vectors run on from pixel to pixel.
  int64_t pixel_;         // Elements from one pixel of a row to the next.
  int64_t period_;        // Weights of a tap, repeated to whole vectors if joined.
  int64_t part_, parts_;  // Pixels of a part, parts of a row.
  int64_t n_rows_;        // Parts in all.
  int64_t left_ = 0, right_ = 0;  // Zeros around a spread row, in pixels.
  int64_t plane_;         // Elements of a spread row, of one input channel.
  int64_t lowest_ = 0, highest_ = 0, slots_ = 1;
  bool all_kept_;         // The rows that an output row needs are in slots of their own.

 private:
  const T* input_row(Workspace& w, const Part& p, const OuterTap& o) const {
    const S* from = static_cast<const S*>(c_.x) + p.segment.x + o.x;
    if constexpr (kSame) {
      if (!spread_) return from;
    }
    SmallVector<int64_t, 4> position = p.segment.outer;
    int64_t rows = 1;
    for (size_t d = 0; d < position.size(); ++d) {
      position[d] += o.at[d];
      rows *= c_.axes[d].in;
    }
    int64_t row = row_of(position), slot = row % slots_;
    T* to = w.rows.template as<T>() + slot * plane_ * c_.cin;
    int64_t id = p.example * rows + row;
    if (w.held[static_cast<size_t>(slot)] != id) {
      spread(from, to);
      w.held[static_cast<size_t>(slot)] = id;
    }
    return to;
  }

  void spread(const S* from, T* to) const {
    int64_t step = map_.last_axis.x_stride;
    for (int64_t ci = 0; ci < c_.cin; ++ci) {
      std::fill_n(to + ci * plane_, left_ * channels_, T(0));
      std::fill_n(to + (ci + 1) * plane_ - right_ * channels_, right_ * channels_, T(0));
    }
    to += left_ * channels_;
    auto repeat = c_.cout == 1   ? repeat_channels<1, S, T>
                  : c_.cout == 2 ? repeat_channels<2, S, T>
                  : c_.cout == 4 ? repeat_channels<4, S, T>
                  : c_.cout == 8 ? repeat_channels<8, S, T>
                                 : repeat_channels<0, S, T>;
    for (int64_t i = 0; i < map_.last_axis.in; ++i) {
      if (c_.cin == 1 && c_.cout == 1) {
        widen(from + i * step, to + i * channels_, channels_);
        continue;
      }
      for (int64_t ci = 0; ci < c_.cin; ++ci) {
        repeat(from + i * step + ci, c_.cin, c_.cout, c_.groups, to + ci * plane_ + i * channels_);
      }
    }
  }
};

}  // namespace mx::cpu
