// fast_attention.cpp — attention, forward: scores are made in tiles of queries by keys and never held all at once. Each row
// keeps its largest score, the sum of exponentials and the weighted values on that scale, and rescales them when a tile
// brings a larger score (Milakov and Gimelshein 2018; Dao et al., "FlashAttention", 2022). Start at Forward::run().

#include <optional>
#include <vector>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_attention.h"

namespace mx::cpu {

namespace {

using namespace attention;

constexpr int64_t kTileRows = 96;
constexpr int64_t kTileKeys = 256;
constexpr int64_t kFewRows = 16;       // Keys used by so few queries are read as they lie.
constexpr double kTaskFlops = 5e5;     // Worth a thread.

template <class S>
class Forward {
  using T = Accumulator<S>;
  static constexpr bool kSame = std::is_same_v<S, T>;

 public:
  explicit Forward(const Task& task)
      : task_(task), p_(task.params.get<fast::AttentionParams>()), sizes_(p_, task.in[0], task.in[1], task.in[2]), layout_(batch_layout(task, 3)) {}

  void run() {
    if (task_.out[0].size() == 0) return;
    for_units(layout_.size * sizes_.key_heads, [&](int64_t u) { key_head(u); });
  }

 private:
  void key_head(int64_t unit) {
    Walk w(layout_, unit / sizes_.key_heads);
    int64_t head = unit % sizes_.key_heads, first_head = head * (sizes_.heads / sizes_.key_heads);
    size_t mask = 3, sinks = p_.mask ? 4 : 3;
    View<S> k = stack_of<S>(task_.in[1], w.offset(1))[head], v = stack_of<S>(task_.in[2], w.offset(2))[head];
    Queries<S> q(task_.in[0], w.offset(0), first_head);
    Mask<S, T> masked;
    if (p_.mask) masked = Mask<S, T>(task_.in[mask], w.offset(mask), first_head);

    // kᵀ (d, tk), or the keys as they lie; the values in the type that is computed in.
    std::optional<Scratch> for_k, for_v;
    View<T> keys, values;
    bool transposed = sizes_.rows > kFewRows;
    if (transposed || !kSame) {
      int64_t row = apart(sizes_.tk);
      for_k.emplace(static_cast<size_t>(sizes_.d * row) * sizeof(T));
      if (transposed) {
        pack_transposed(k, sizes_.tk, sizes_.d, for_k->template as<T>(), row);
        keys = {for_k->template as<T>(), row, 1};
      } else {
        pack(k, sizes_.tk, sizes_.d, for_k->template as<T>(), sizes_.d);
        keys = {for_k->template as<T>(), 1, sizes_.d};
      }
    }
    if constexpr (kSame) {
      if (!transposed) keys = {k.data, k.col, k.row};
      values = v;
    } else {
      for_v.emplace(static_cast<size_t>(sizes_.tk * sizes_.e) * sizeof(T));
      pack(v, sizes_.tk, sizes_.e, for_v->template as<T>(), sizes_.e);
      values = {for_v->template as<T>(), sizes_.e, 1};
    }

    S* out = task_.out[0].template data<S>() + unit * sizes_.rows * sizes_.e;
    auto sink = [&](int64_t r) {
      const array& x = task_.in[sinks];
      return static_cast<T>(x.data<S>()[w.offset(sinks) + (first_head + r / sizes_.tq) * x.strides().back()]);
    };
    double flops = 2.0 * static_cast<double>(kTileRows * sizes_.tk) * static_cast<double>(sizes_.d + sizes_.e) + 1;
    int64_t tiles = (sizes_.rows - 1) / kTileRows + 1;
    parallel_for(tiles, std::max<int64_t>(1, static_cast<int64_t>(kTaskFlops / flops)), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        int64_t first = t * kTileRows, last = std::min(sizes_.rows, first + kTileRows);
        tile(q, keys, values, masked, sink, first, last, out + first * sizes_.e);
      }
    });
  }

  template <class Sink>
  void tile(const Queries<S>& q, View<T> keys, View<T> values, const Mask<S, T>& mask, Sink&& sink, int64_t begin, int64_t end, S* out) const {
    constexpr T nothing = -std::numeric_limits<T>::infinity();
    int64_t rows = end - begin, d = sizes_.d, e = sizes_.e, needed = sizes_.needed(begin, end);
    Scratch memory(static_cast<size_t>(rows * (d + (kSame ? 0 : e) + kTileKeys + 2)) * sizeof(T));
    T *queries = memory.as<T>(), *scores = queries + rows * d, *top = scores + rows * kTileKeys, *total = top + rows, *sums = total + rows;
    if constexpr (kSame) sums = out;
    q.load(begin, end, d, static_cast<T>(p_.scale), queries);
    if (needed == 0) std::fill_n(sums, rows * e, T(0));
    for (int64_t r = 0; r < rows; ++r) {
      top[r] = p_.sinks ? sink(begin + r) : nothing;
      total[r] = top[r] == nothing ? T(0) : T(1);
    }
    for (int64_t j = 0; j < needed; j += kTileKeys) {
      int64_t n = std::min(kTileKeys, needed - j);
      product(rows, n, d, View<T>{queries, d, 1}, View<T>{keys.data + j * keys.col, keys.row, keys.col}, scores, n);
      for (int64_t r = 0; r < rows; ++r) {
        T* x = scores + r * n;
        int64_t count = hide_scores(sizes_, mask, begin + r, j, n, x);
        T largest = loops_.largest(x, count);
        if (!(largest <= top[r])) {
          T factor = top[r] == nothing ? T(0) : std::exp(top[r] - largest);
          total[r] *= factor;
          if (j > 0) loops_.scale(sums + r * e, factor, e);
          top[r] = largest;
        }
        total[r] += loops_.exponentials(x, top[r] == nothing ? T(0) : top[r], count);
        std::fill(x + count, x + n, T(0));
      }
      product(rows, e, n, View<T>{scores, n, 1}, View<T>{values.data + j * values.row, values.row, values.col}, sums, e, j > 0 ? sums : nullptr);
    }
    for (int64_t r = 0; r < rows; ++r) {
      if (p_.sinks || needed > 0) loops_.scale(sums + r * e, T(1) / total[r], e);
    }
    if constexpr (!kSame) pack(View<T>{sums, e, 1}, rows, e, out, e);
  }

  const Task& task_;
  const fast::AttentionParams& p_;
  Sizes sizes_;
  Layout layout_;
  const ScoreLoops<T>& loops_ = score_loops<T>();
};

}  // namespace

void attention_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { Forward<typename decltype(tag)::type>(task).run(); });
}

}  // namespace mx::cpu
