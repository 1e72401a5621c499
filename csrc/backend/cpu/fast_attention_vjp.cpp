// fast_attention_vjp.cpp — attention, backward: some rows of weights at a time are made again from queries and keys. With
// w the weights and dw = ct · vᵀ, the scores' cotangents are w (dw - <w, dw>). Rows are taken in order within a key
// head, since all add to its cotangents; key heads are shared out. Start at Backward::run().

#include <optional>
#include <vector>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_attention.h"

namespace mx::cpu {

namespace {

using namespace attention;

constexpr int64_t kScores = 1 << 16;  // Scores of a tile of rows, about.

template <class S>
class Backward {
  using T = Accumulator<S>;

 public:
  explicit Backward(const Task& task)
      : task_(task), vjp_(task.params.get<fast::AttentionVjpParams>()), p_(vjp_.of), sizes_(p_, task.in[0], task.in[1], task.in[2]),
        layout_(batch_layout(task, 3)) {}

  void run() {
    for_units(layout_.size * sizes_.key_heads, [&](int64_t u) { key_head(u); });
  }

 private:
  // Part `unit` of output k, (rows, cols).
  S* output(size_t k, int64_t unit, int64_t size) const { return task_.out[k].template data<S>() + unit * size; }

  void key_head(int64_t unit) {
    Walk w(layout_, unit / sizes_.key_heads);
    int64_t head = unit % sizes_.key_heads, group = sizes_.heads / sizes_.key_heads, first_head = head * group;
    int64_t tk = sizes_.tk, d = sizes_.d, e = sizes_.e, rows = sizes_.rows;
    size_t mask = 3, sinks = p_.mask ? 4 : 3, last = task_.in.size() - 1;
    Queries<S> q(task_.in[0], w.offset(0), first_head), ct(task_.in[last], w.offset(last), first_head);
    Mask<S, T> masked;
    if (p_.mask) masked = Mask<S, T>(task_.in[mask], w.offset(mask), first_head);
    View<S> k_view = stack_of<S>(task_.in[1], w.offset(1))[head], v_view = stack_of<S>(task_.in[2], w.offset(2))[head];

    int64_t tile = std::clamp<int64_t>(kScores / std::max<int64_t>(1, tk), 16, 96);
    tile = std::min(tile, std::max<int64_t>(1, rows));
    int64_t row = apart(tk);
    Scratch memory(static_cast<size_t>(tk * (2 * d + e) + row * (d + e) + tile * (2 * tk + 2 * d + e) + group) * sizeof(T));
    T *k = memory.as<T>(), *kt = k + tk * d, *dk = kt + row * d, *vt = dk + tk * d, *dv = vt + row * e;
    T *queries = dv + tk * e, *dq = queries + tile * d, *cts = dq + tile * d, *weights = cts + tile * e, *ds = weights + tile * tk;
    T* of_sinks = ds + tile * tk;
    pack(k_view, tk, d, k, d);
    pack_transposed(k_view, tk, d, kt, row);
    pack_transposed(v_view, tk, e, vt, row);
    std::fill_n(dk, tk * d, T(0));
    std::fill_n(dv, tk * e, T(0));
    std::fill_n(of_sinks, group, T(0));

    for (int64_t begin = 0; begin < rows; begin += tile) {
      int64_t n = std::min(tile, rows - begin), keys = sizes_.needed(begin, begin + n);
      q.load(begin, begin + n, d, static_cast<T>(p_.scale), queries);
      ct.load(begin, begin + n, e, T(1), cts);
      product(n, keys, d, View<T>{queries, d, 1}, View<T>{kt, row, 1}, weights, keys);
      product(n, keys, e, View<T>{cts, e, 1}, View<T>{vt, row, 1}, ds, keys);
      for (int64_t r = 0; r < n; ++r) {
        T *x = weights + r * keys, *y = ds + r * keys;
        int64_t at = begin + r, h = at / sizes_.tq;
        T sink = p_.sinks ? sink_of(task_.in[sinks], w.offset(sinks), first_head + h) : -std::numeric_limits<T>::infinity();
        T share = softmax(masked, at, keys, sink, x);
        T mean = loops_.inner(x, y, keys);
        of_sinks[h] -= share * mean;
        loops_.centre(x, mean, y, keys);
        if (vjp_.of_mask) {
          S* to = output(3, unit, rows * tk) + at * tk;
          pack(View<T>{y, 0, 1}, 1, keys, to, tk);
          std::fill(to + keys, to + tk, S());
        }
        // Hidden scores are constants; they have weight only where a row sees nothing.
        if (masked.hides()) masked.zero_hidden(at, keys, y);
        if (sizes_.causal) std::fill(y + std::clamp<int64_t>(sizes_.limit(at), 0, keys), y + keys, T(0));
      }
      product(n, d, keys, View<T>{ds, keys, 1}, View<T>{k, d, 1}, dq, d, static_cast<const T*>(nullptr), static_cast<T>(p_.scale));
      pack(View<T>{dq, d, 1}, n, d, output(0, unit, rows * d) + begin * d, d);
      product(keys, d, n, View<T>{ds, 1, keys}, View<T>{queries, d, 1}, dk, d, dk);
      product(keys, e, n, View<T>{weights, 1, keys}, View<T>{cts, e, 1}, dv, e, dv);
    }
    pack(View<T>{dk, d, 1}, tk, d, output(1, unit, tk * d), d);
    pack(View<T>{dv, e, 1}, tk, e, output(2, unit, tk * e), e);
    if (vjp_.of_sinks) pack(View<T>{of_sinks, 0, 1}, 1, group, output(vjp_.of_mask ? 4 : 3, unit, group), group);
  }

  static T sink_of(const array& x, int64_t offset, int64_t head) { return static_cast<T>(x.data<S>()[offset + head * x.strides().back()]); }

  // Scores to weights in place; returns the sink's share. A row of -inf gives zeros.
  T softmax(const Mask<S, T>& mask, int64_t r, int64_t n, T sink, T* x) const {
    constexpr T nothing = -std::numeric_limits<T>::infinity();
    if (n == 0) return sink == nothing ? T(0) : T(1);
    int64_t count = hide_scores(sizes_, mask, r, 0, n, x);
    T top = loops_.largest(x, count);
    if (sink > top) top = sink;
    if (top == nothing) top = 0;
    T total = loops_.exponentials(x, top, count), of_sink = sink == nothing ? T(0) : std::exp(sink - top);
    total += of_sink;
    std::fill(x + count, x + n, T(0));
    if (total == 0) return T(0);
    loops_.scale(x, T(1) / total, count);
    return of_sink / total;
  }

  const Task& task_;
  const fast::AttentionVjpParams& vjp_;
  const fast::AttentionParams& p_;
  Sizes sizes_;
  Layout layout_;
  const ScoreLoops<T>& loops_ = score_loops<T>();
};

}  // namespace

void attention_vjp_kernel(const Task& task) {
  in_float_type(task.out[0].dtype(), [&](auto tag) { Backward<typename decltype(tag)::type>(task).run(); });
}

}  // namespace mx::cpu
