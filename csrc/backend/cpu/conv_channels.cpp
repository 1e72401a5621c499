// conv_channels.cpp — convolutions with few channels a group (depthwise and its likes), where products of matrices would
// be too narrow: here the lanes of a vector are output channels of many groups, or neighbouring outputs.
//
// A row is what lies along the last axis, pixel after pixel, all channels of each. Rows of the input are first spread
// out, so that every output channel finds the input channel it needs in its own lane (for depthwise ones they lie so
// already). Then a row of outputs is a sum of input rows, each shifted by a tap and multiplied by its weights, several taps
// at a time. Where pixels follow each other without a gap, weights are repeated and a vector may hold several pixels.
// Start at Channels::run() and ChannelWeights::run().

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <type_traits>

#include "backend/cpu/clones.h"
#include "backend/cpu/conv_plan.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"

namespace mx::cpu {

namespace {

constexpr int kTaps = 9;                       // Taken at a time.
constexpr int64_t kVectorBytes = 64;
constexpr int64_t kManyVectors = 8;            // Of a pixel: too many to go through all pixels for each.
constexpr int64_t kRowBytes = 16 << 10;        // A longer row is done in parts, so that its sums stay in the first cache.
constexpr int64_t kCacheBytes = 1 << 20;       // Spread rows that a thread keeps.
constexpr int64_t kTaskFlops = 500'000;        // Worth a thread.
constexpr int64_t kMaxChunks = 64;             // Parts of a sum over all outputs.
constexpr int64_t kSumBytes = 16 << 20;        // Most memory for them.



template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(64)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(64)));
};
template <class T>
constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(T));

// One tap of a row: where it reads for pixel 0, for which pixels it stays inside, and its weights (or their sums).
template <class T>
struct RowTap {
  const T* x;
  int64_t begin, end;
  T* w;
};

// kPixels sums of a vector each, over kN taps.
template <class T, int kN, int kPixels>
MX_INLINE void add_to_pixels(const T* const* x, const typename VectorOf<T>::type* weight, T* sum, int64_t x_step, int64_t sum_step, int64_t offset,
                             bool add) {
  using V = typename VectorOf<T>::type;
  V s[kPixels] = {};
  if (add) {
    for (int i = 0; i < kPixels; ++i) std::memcpy(&s[i], sum + i * sum_step, sizeof(V));
  }
  for (int t = 0; t < kN; ++t) {
    for (int i = 0; i < kPixels; ++i) {
      V v;
      std::memcpy(&v, x[t] + offset + i * x_step, sizeof(V));
      s[i] += v * weight[t];
    }
  }
  for (int i = 0; i < kPixels; ++i) std::memcpy(sum + i * sum_step, &s[i], sizeof(V));
}

// sum[j] (+)= x[0][j] * w[0] + ... for pixels j, `steps` apart and of `lanes` elements each.
template <class T, int kN>
MX_CLONES void add_taps(const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes,
                        bool add) {
  using V = typename VectorOf<T>::type;
  int64_t c = lanes / kLanes<T> * kLanes<T>, done = 0;
  // With many channels a few pixels at a time, all of their channels: others would compete for the first cache.
  if (lanes > kManyVectors * kLanes<T>) {
    for (; done + 4 <= pixels; done += 4) {
      for (int64_t q = 0; q < c; q += kLanes<T>) {
        V weight[kN];
        for (int t = 0; t < kN; ++t) std::memcpy(&weight[t], w[t] + q, sizeof(V));
        add_to_pixels<T, kN, 4>(x, weight, sum + done * sum_step + q, x_step, sum_step, done * x_step + q, add);
      }
    }
  }
  for (int64_t q = 0; q < c && done < pixels; q += kLanes<T>) {
    const T* at[kN];  // Not in memory that `sum` might be.
    V weight[kN];
    for (int t = 0; t < kN; ++t) {
      at[t] = x[t] + q;
      std::memcpy(&weight[t], w[t] + q, sizeof(V));
    }
    int64_t j = done;
    for (; j + 2 <= pixels; j += 2) add_to_pixels<T, kN, 2>(at, weight, sum + j * sum_step + q, x_step, sum_step, j * x_step, add);
    if (j < pixels) add_to_pixels<T, kN, 1>(at, weight, sum + j * sum_step + q, x_step, sum_step, j * x_step, add);
  }
  if (c == lanes) return;
  for (int64_t j = 0; j < pixels; ++j) {
    for (int64_t q = c; q < lanes; ++q) {
      T s = add ? sum[j * sum_step + q] : T(0);
      for (int t = 0; t < kN; ++t) s += x[t][j * x_step + q] * w[t][q];
      sum[j * sum_step + q] = s;
    }
  }
}

// w[t] += x[t] * y over some pixels, a vector each.
template <class T, int kN>
MX_INLINE void add_pixel_products(const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t c,
                                  int64_t first) {
  using V = typename VectorOf<T>::type;
  const T* at[kN];
  V s[kN] = {};
  for (int t = 0; t < kN; ++t) at[t] = x[t] + first * x_step + c;
  const T* from = y + first * y_step + c;
  for (int64_t j = 0; j < pixels; ++j) {
    V u;
    std::memcpy(&u, from + j * y_step, sizeof(V));
    for (int t = 0; t < kN; ++t) {
      V v;
      std::memcpy(&v, at[t] + j * x_step, sizeof(V));
      s[t] += v * u;
    }
  }
  for (int t = 0; t < kN; ++t) {
    V v;
    std::memcpy(&v, w[t] + c, sizeof(V));
    v += s[t];
    std::memcpy(w[t] + c, &v, sizeof(V));
  }
}

// w[0] += sum over pixels of x[0][j] * y[j], and so for the others.
template <class T, int kN>
MX_CLONES void add_products(const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes) {
  int64_t c = lanes / kLanes<T> * kLanes<T>, together = lanes > kManyVectors * kLanes<T> ? 8 : pixels;
  for (int64_t j = 0; j < pixels; j += together) {
    int64_t n = std::min(together, pixels - j);
    for (int64_t q = 0; q < c; q += kLanes<T>) add_pixel_products<T, kN>(x, w, y, n, x_step, y_step, q, j);
  }
  for (int64_t q = c; q < lanes; ++q) {
    for (int t = 0; t < kN; ++t) {
      T s = 0;
      for (int64_t j = 0; j < pixels; ++j) s += x[t][j * x_step + q] * y[j * y_step + q];
      w[t][q] += s;
    }
  }
}

// One pixel's channels, each group's input channel repeated for its kCout output channels.
template <int kCout, class S, class T>
void repeat_channels(const S* from, int64_t cin, int64_t cout, int64_t groups, T* to) {
  if constexpr (kCout > 0) cout = kCout;
  for (int64_t g = 0; g < groups; ++g) {
    T x = static_cast<T>(from[g * cin]);
    for (int64_t q = 0; q < cout; ++q) to[g * cout + q] = x;
  }
}

// Calls f(size, t) for t in [0, n), 9, 3 or 1 at a time.
template <class F>
void for_few(int n, F f) {
  int t = 0;
  for (; t + 9 <= n; t += 9) f(std::integral_constant<int, 9>(), t);
  for (; t + 3 <= n; t += 3) f(std::integral_constant<int, 3>(), t);
  for (; t < n; ++t) f(std::integral_constant<int, 1>(), t);
}

// What both directions share: rows of the input, spread, and the taps that a row of outputs has.
template <class S>
class Rows {
 protected:
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;

  Rows(const Conv& c, const std::vector<const Phase*>& phases) : c_(c), map_(c, phases), last_(map_.last), channels_(c.channels_out()) {
    spread_ = !kSame || c.cin != 1 || c.cout != 1;
    pixel_ = spread_ ? channels_ : map_.last_axis.x_stride;
    joined_ = last_.stride == 1 && pixel_ == channels_ && channels_ % kLanes<T> != 0;
    period_ = joined_ ? std::lcm(channels_, kLanes<T>) : channels_;
    part_ = std::clamp<int64_t>(kRowBytes / (channels_ * static_cast<int64_t>(sizeof(T))), 16, std::max<int64_t>(16, last_.count));
    part_ = ceil_div(part_, period_ / channels_) * (period_ / channels_);
    parts_ = ceil_div(last_.count, part_);
    n_rows_ = map_.rows / last_.count * parts_;
    plane_ = map_.last_axis.in * channels_;
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
        int64_t at = p.segment.position + map_.tap_at(t), s = last_.stride;
        int64_t begin = at >= 0 ? 0 : ceil_div(-at, s), end = at >= map_.last_axis.in ? 0 : (map_.last_axis.in - 1 - at) / s + 1;
        end = std::min(end, p.segment.n);
        if (begin >= end) continue;
        w.taps.push_back({rows + ci * plane_ + at * pixel_, begin, end, weights + ((static_cast<int64_t>(o) * map_.n_last() + t) * c_.cin + ci) * period_});
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

template <class S>
class Channels : Rows<S> {
  using Base = Rows<S>;
  using typename Base::T;
  using Base::kSame, Base::c_, Base::map_, Base::last_, Base::channels_, Base::period_, Base::n_rows_;

 public:
  Channels(const Conv& c, const std::vector<const Phase*>& phases) : Base(c, phases) {}

  void run() {
    int64_t taps = static_cast<int64_t>(map_.outer.size()) * map_.n_last() * c_.cin;
    Scratch memory(static_cast<size_t>(taps * period_) * sizeof(T));
    weights_ = memory.as<T>();
    arrange_weights();
    int64_t flops = 2 * taps * std::min(this->part_, last_.count) * channels_;
    parallel_for(n_rows_, std::max<int64_t>(1, kTaskFlops / flops), [&](int64_t begin, int64_t end) {
      typename Base::Workspace w(*this);
      for (int64_t i = begin; i < end; ++i) sum_part(w, this->part(w, i));
    });
  }

 private:
  // [outer tap][last tap][input channel][output channel], the last repeated up to the period.
  void arrange_weights() {
    T* to = weights_;
    for (const OuterTap& o : map_.outer) {
      for (int64_t t = 0; t < map_.n_last(); ++t) {
        const S* from = static_cast<const S*>(c_.w) + o.w + map_.tap_k(t) * map_.last_axis.w_stride;
        for (int64_t ci = 0; ci < c_.cin; ++ci) {
          for (int64_t q = 0; q < channels_; ++q) to[q] = static_cast<T>(from[q * c_.w_out + ci * c_.w_in]);
          for (int64_t q = channels_; q < period_; ++q) to[q] = to[q - channels_];
          to += period_;
        }
      }
    }
  }

  void sum_part(typename Base::Workspace& w, const typename Base::Part& p) {
    S* out = static_cast<S*>(c_.out) + p.segment.out * channels_;
    // Sums of float are made in the output itself.
    T* sums = w.line.template as<T>();
    int64_t step = channels_;
    if constexpr (kSame) {
      sums = out;
      step = last_.step * channels_;
    }
    // The first group of taps makes the sums, the others add to them; `made` says how far.
    int64_t made = 0;
    bool making = true;
    auto finish_making = [&] {
      if (making) clear(sums, step, made, p.segment.n);
      making = false;
    };
    auto add = [&](const RowTap<T>* const* taps, int n, int64_t begin, int64_t end, bool first_group) {
      if (!first_group) finish_making();
      if (making) clear(sums, step, made, begin);
      add_pixels(taps, n, begin, end, sums, step, !making);
      made = end;
    };
    for (size_t o = 0; o < map_.outer.size(); ++o) {
      this->add_row_taps(w, p, o, weights_);
      if (this->all_kept_ || w.taps.empty()) continue;
      this->take_taps(w, add);
      finish_making();
    }
    this->take_taps(w, add);
    finish_making();
    if constexpr (!kSame) {
      for (int64_t j = 0; j < p.segment.n; ++j) narrow(sums + j * channels_, out + j * last_.step * channels_, channels_);
    }
  }

  void clear(T* sums, int64_t step, int64_t begin, int64_t end) const {
    for (int64_t j = begin; j < end; ++j) std::fill(sums + j * step, sums + j * step + channels_, T(0));
  }

  void add_pixels(const RowTap<T>* const* taps, int n, int64_t begin, int64_t end, T* sums, int64_t step, bool add) {
    const T *x[kTaps], *weight[kTaps];
    int64_t x_step = last_.stride * this->pixel_;
    for (int t = 0; t < n; ++t) {
      x[t] = taps[t]->x + begin * x_step;
      weight[t] = taps[t]->w;
    }
    this->by_period(end - begin, x_step, step, [&](int64_t pixel, int64_t count, int64_t x_apart, int64_t sum_apart, int64_t lanes) {
      const T* at[kTaps];
      for (int t = 0; t < n; ++t) at[t] = x[t] + pixel * x_step;
      bool more = add;
      for_few(n, [&](auto few, int t) {
        add_taps<T, decltype(few)::value>(at + t, weight + t, sums + (begin + pixel) * step, count, x_apart, sum_apart, lanes, more);
        more = true;
      });
    });
  }

  T* weights_ = nullptr;
};

template <class S>
class ChannelWeights : Rows<S> {
  using Base = Rows<S>;
  using typename Base::T;
  using Base::kSame, Base::c_, Base::map_, Base::last_, Base::channels_, Base::period_, Base::n_rows_;

 public:
  ChannelWeights(const Conv& c, const std::vector<const Phase*>& phases) : Base(c, phases) {}

  void run() {
    int64_t taps = static_cast<int64_t>(map_.outer.size()) * map_.n_last() * c_.cin, size = taps * period_;
    int64_t most = std::clamp<int64_t>(kSumBytes / (size * static_cast<int64_t>(sizeof(T))), 1, kMaxChunks);
    int64_t chunk = ceil_div(n_rows_, most);
    int64_t flops = 2 * taps * std::min(this->part_, last_.count) * channels_;
    chunk = std::clamp<int64_t>(kTaskFlops / flops, chunk, std::max(chunk, n_rows_));
    int64_t chunks = ceil_div(n_rows_, chunk);
    Scratch memory(static_cast<size_t>(chunks * size) * sizeof(T));
    T* sums = memory.as<T>();
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      typename Base::Workspace w(*this);
      for (int64_t k = begin; k < end; ++k) {
        std::fill(sums + k * size, sums + (k + 1) * size, T(0));
        for (int64_t i = k * chunk; i < std::min(n_rows_, (k + 1) * chunk); ++i) add_part(w, this->part(w, i), sums + k * size);
      }
    });
    for (int64_t k = 1; k < chunks; ++k) {
      for (int64_t i = 0; i < size; ++i) sums[i] += sums[k * size + i];
    }
    store(sums);
  }

 private:
  void add_part(typename Base::Workspace& w, const typename Base::Part& p, T* sums) {
    const S* y = static_cast<const S*>(c_.y) + p.segment.out * channels_;
    const T* line = w.line.template as<T>();
    int64_t step = channels_;
    if constexpr (kSame) {
      line = y;
      step = last_.step * channels_;
    } else {
      for (int64_t j = 0; j < p.segment.n; ++j) widen(y + j * last_.step * channels_, w.line.template as<T>() + j * channels_, channels_);
    }
    auto add = [&](const RowTap<T>* const* taps, int n, int64_t begin, int64_t end, bool) { add_pixels(taps, n, begin, end, line, step); };
    for (size_t o = 0; o < map_.outer.size(); ++o) {
      this->add_row_taps(w, p, o, sums);
      if (!this->all_kept_) this->take_taps(w, add);
    }
    this->take_taps(w, add);
  }

  void add_pixels(const RowTap<T>* const* taps, int n, int64_t begin, int64_t end, const T* y, int64_t step) {
    const T* x[kTaps];
    T* weight[kTaps];
    int64_t x_step = last_.stride * this->pixel_;
    for (int t = 0; t < n; ++t) {
      x[t] = taps[t]->x + begin * x_step;
      weight[t] = taps[t]->w;
    }
    this->by_period(end - begin, x_step, step, [&](int64_t pixel, int64_t count, int64_t x_apart, int64_t y_apart, int64_t lanes) {
      const T* at[kTaps];
      for (int t = 0; t < n; ++t) at[t] = x[t] + pixel * x_step;
      for_few(n, [&](auto few, int t) {
        add_products<T, decltype(few)::value>(at + t, weight + t, y + (begin + pixel) * step, count, x_apart, y_apart, lanes);
      });
    });
  }

  void store(const T* from) {
    for (const OuterTap& o : map_.outer) {
      for (int64_t t = 0; t < map_.n_last(); ++t) {
        S* to = static_cast<S*>(c_.out) + o.w + map_.tap_k(t) * map_.last_axis.w_stride;
        for (int64_t ci = 0; ci < c_.cin; ++ci) {
          for (int64_t q = 0; q < channels_; ++q) {
            T sum = from[q];
            for (int64_t r = q + channels_; r < period_; r += channels_) sum += from[r];
            to[q * c_.w_out + ci] = static_cast<S>(sum);
          }
          from += period_;
        }
      }
    }
  }
};

}  // namespace

template <class S>
void conv_channels(const Conv& c) {
  for_each_phase(c, [&](const std::vector<const Phase*>& phases) { Channels<S>(c, phases).run(); });
}

template <class S>
void conv_weight_channels(const Conv& c) {
  for_each_phase(c, [&](const std::vector<const Phase*>& phases) { ChannelWeights<S>(c, phases).run(); });
}

template void conv_channels<float>(const Conv&);
template void conv_channels<double>(const Conv&);
template void conv_channels<float16_t>(const Conv&);
template void conv_channels<bfloat16_t>(const Conv&);
template void conv_weight_channels<float>(const Conv&);
template void conv_weight_channels<double>(const Conv&);
template void conv_weight_channels<float16_t>(const Conv&);
template void conv_weight_channels<bfloat16_t>(const Conv&);

}  // namespace mx::cpu
