// conv_channels.cpp — convolutions with few channels a group (depthwise and its likes), where products of matrices would
// be too narrow: here the lanes of a vector are output channels of many groups, or neighbouring outputs.
//
// A row of outputs is a sum of input rows, each shifted by a tap and multiplied by its weights, several taps at a time;
// a tap's weights have as gradient the sum of input rows times rows of cotangents (conv_rows.h).
// Start at Channels::run() and ChannelWeights::run().

#include "backend/cpu/conv_channel_loops.h"
#include "backend/cpu/conv_rows.h"
#include "backend/cpu/pool.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTaskFlops = 500'000;   // Worth a thread.
constexpr int64_t kMaxChunks = 64;        // Parts of a sum over all outputs.
constexpr int64_t kSumBytes = 16 << 20;   // Most memory for them.

template <class S>
class Channels : Rows<S> {
  using Base = Rows<S>;
  using typename Base::T;
  using Base::kSame, Base::kTaps, Base::c_, Base::map_, Base::last_, Base::channels_, Base::period_, Base::n_rows_;

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
      channel_loops<T>().add_taps(n, at, weight, sums + (begin + pixel) * step, count, x_apart, sum_apart, lanes, add);
    });
  }

  T* weights_ = nullptr;
};

template <class S>
class ChannelWeights : Rows<S> {
  using Base = Rows<S>;
  using typename Base::T;
  using Base::kSame, Base::kTaps, Base::c_, Base::map_, Base::last_, Base::channels_, Base::period_, Base::n_rows_;

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
      channel_loops<T>().add_products(n, at, weight, y + (begin + pixel) * step, count, x_apart, y_apart, lanes);
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
