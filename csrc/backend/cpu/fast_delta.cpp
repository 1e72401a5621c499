// fast_delta.cpp — the gated delta rule, forward and backward (ops/fast_delta.cpp has the formulas). Row i of a head's state
// depends on feature i of the values only, so rows are independent: forward, they are shared out. Backward, the states
// of one row at all steps are made again and walked back; what belongs to queries, keys and gates is summed over the
// rows in order, and key heads are shared out.

#include <vector>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/matrix_view.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/fast_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTaskElems = 1 << 15;  // State elements passed that are worth a thread.

/// a = gamma ∘ s; returns <a, k>.
template <class T>
MX_INLINE T decay(const T* s, const T* gamma, const T* k, T* a, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) a[i] = gamma[i] * s[i];
  return lane_sum<T>(n, [=](int64_t i) { return a[i] * k[i]; });
}
/// s = a + d k; returns <s, q>.
template <class T>
MX_INLINE T store(const T* a, T d, const T* k, const T* q, T* s, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) s[i] = a[i] + d * k[i];
  return lane_sum<T>(n, [=](int64_t i) { return s[i] * q[i]; });
}

/// One step of one row, s in place; returns y.
template <class T>
MX_CLONES T step(T* s, const T* gamma, const T* k, const T* q, T v, T beta, int64_t n) {
  T d = beta * (v - decay(s, gamma, k, s, n));
  return store(s, d, k, q, s, n);
}

/// What a step of a row leaves for the way back.
template <class T>
struct Trace {
  T error, d;
};
template <class T>
MX_CLONES Trace<T> traced_step(const T* before, T* a, T* after, const T* gamma, const T* k, T v, T beta, int64_t n) {
  T error = v - decay(before, gamma, k, a, n), d = beta * error;
  store(a, d, k, k, after, n);
  return {error, d};
}
/// Pulls back through a step. ds: in, of the state after it; out, of the state before. Adds to dq, dk, dgamma; returns the
/// cotangents of v and beta.
template <class T>
MX_CLONES Trace<T> pull_step(T* ds, const T* before, const T* a, const T* after, const T* gamma, const T* k, const T* q, T dy, T beta, Trace<T> t,
                             T* dq, T* dk, T* dgamma, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    ds[i] += dy * q[i];
    dq[i] += dy * after[i];
  }
  T dd = lane_sum<T>(n, [=](int64_t i) { return ds[i] * k[i]; }), de = beta * dd;
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T da = ds[i] - de * k[i];
    dk[i] += t.d * ds[i] - de * a[i];
    dgamma[i] += da * before[i];
    ds[i] = gamma[i] * da;
  }
  return {de, dd * t.error};
}

/// The inputs of one example: time, head and feature strides.
template <class T>
struct Series {
  const T* data;
  int64_t time, head, feature;
  Series(const array& x, int64_t offset) {
    size_t n = x.shape().size();
    data = x.data<T>() + offset;
    time = x.strides()[n - 3];
    head = x.strides()[n - 2];
    feature = x.strides()[n - 1];
  }
  const T* at(int64_t t, int64_t h) const { return data + t * time + h * head; }
  /// All steps of head h as contiguous rows of n.
  void load(int64_t steps, int64_t h, int64_t n, T* to) const { pack(View<T>{at(0, h), time, feature}, steps, n, to, n); }
};

template <class T>
class Rule {
 public:
  explicit Rule(const Task& task)
      : task_(task), masked_(task.params.get<fast::DeltaParams>().mask), steps_(task.in[2].shape(-3)), key_heads_(task.in[0].shape(-2)),
        heads_(task.in[2].shape(-2)), d_(task.in[0].shape(-1)), e_(task.in[2].shape(-1)), layout_(batch_layout(task, 3)) {}

  void forward() {
    T *y = task_.out[0].template data<T>(), *state = task_.out[1].template data<T>();
    if (layout_.size * heads_ * e_ == 0) return;
    int64_t per_row = std::max<int64_t>(1, steps_ * d_);
    int64_t block = std::clamp<int64_t>(kTaskElems / per_row, 8, e_ < 8 ? 8 : e_), blocks = (e_ - 1) / block + 1;
    parallel_for(layout_.size * heads_ * blocks, std::max<int64_t>(1, kTaskElems / (per_row * block)), [&](int64_t begin, int64_t end) {
      Scratch memory(static_cast<size_t>(3 * steps_ * d_) * sizeof(T));
      T *q = memory.as<T>(), *k = q + steps_ * d_, *gamma = k + steps_ * d_;
      int64_t loaded = -1;
      for (int64_t u = begin; u < end; ++u) {
        int64_t unit = u / blocks, h = unit % heads_, first = u % blocks * block;
        Walk w(layout_, unit / heads_);
        if (unit != loaded) load(w, h, q, k, gamma);
        loaded = unit;
        Series<T> v(task_.in[2], w.offset(2));
        for (int64_t i = first; i < std::min(e_, first + block); ++i) {
          T* s = state + (unit * e_ + i) * d_;
          start(w, h, i, s);
          for (int64_t t = 0; t < steps_; ++t) {
            T* to = y + (((unit / heads_) * steps_ + t) * heads_ + h) * e_ + i;
            *to = counts(w, t) ? step(s, gamma + t * d_, k + t * d_, q + t * d_, v.at(t, h)[i * v.feature], beta(w, t, h), d_) : T(0);
          }
        }
      }
    });
  }

  void backward() {
    if (layout_.size == 0) return;
    for (array& x : task_.out) std::fill_n(x.data<T>(), x.size(), T(0));
    parallel_for(layout_.size * key_heads_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        int64_t example = u / key_heads_, m = u % key_heads_, group = heads_ / key_heads_;
        Scratch memory(static_cast<size_t>((8 * steps_ + 2) * d_ + 2 * steps_) * sizeof(T));
        T* of_q = memory.as<T>();
        T* of_k = of_q + steps_ * d_;
        std::fill_n(of_q, 2 * steps_ * d_, T(0));
        for (int64_t h = m * group; h < (m + 1) * group; ++h) head_back(example, h, of_q, of_k, of_k + steps_ * d_);
        for (int64_t t = 0; t < steps_; ++t) {
          int64_t to = ((example * steps_ + t) * key_heads_ + m) * d_;
          std::copy_n(of_q + t * d_, d_, task_.out[0].template data<T>() + to);
          std::copy_n(of_k + t * d_, d_, task_.out[1].template data<T>() + to);
        }
      }
    });
  }

 private:
  void head_back(int64_t example, int64_t h, T* of_q, T* of_k, T* room) {
    Walk w(layout_, example);
    T *q = room, *k = q + steps_ * d_, *gamma = k + steps_ * d_, *of_gamma = gamma + steps_ * d_, *scaled = of_gamma + steps_ * d_;
    T *states = scaled + steps_ * d_, *ds = states + (steps_ + 1) * d_;
    Trace<T>* traces = reinterpret_cast<Trace<T>*>(ds + d_);
    size_t last = task_.in.size() - 1;
    load(w, h, q, k, gamma);
    std::fill_n(of_gamma, steps_ * d_, T(0));
    Series<T> v(task_.in[2], w.offset(2)), dy(task_.in[last - 1], w.offset(last - 1));
    T *of_v = task_.out[2].template data<T>(), *of_beta = task_.out[4].template data<T>();
    for (int64_t i = 0; i < e_; ++i) {
      start(w, h, i, states);
      T* s = states;
      for (int64_t t = 0; t < steps_; ++t, s += d_) {
        if (counts(w, t)) {
          traces[t] = traced_step(s, scaled + t * d_, s + d_, gamma + t * d_, k + t * d_, v.at(t, h)[i * v.feature], beta(w, t, h), d_);
        } else {
          std::copy_n(s, d_, s + d_);
        }
      }
      state_row(task_.in[last], w.offset(last), h, i, ds);
      for (int64_t t = steps_; t-- > 0;) {
        s -= d_;
        if (!counts(w, t)) continue;
        Trace<T> found = pull_step(ds, s, scaled + t * d_, s + d_, gamma + t * d_, k + t * d_, q + t * d_, dy.at(t, h)[i * dy.feature], beta(w, t, h),
                                   traces[t], of_q + t * d_, of_k + t * d_, of_gamma + t * d_, d_);
        int64_t at = (example * steps_ + t) * heads_ + h;
        of_v[at * e_ + i] = found.error;
        of_beta[at] += found.d;
      }
      std::copy_n(ds, d_, task_.out[5].template data<T>() + ((example * heads_ + h) * e_ + i) * d_);
    }
    for (int64_t t = 0; t < steps_; ++t) {
      std::copy_n(of_gamma + t * d_, d_, task_.out[3].template data<T>() + ((example * steps_ + t) * heads_ + h) * d_);
    }
  }

  // Queries, keys and gates of head h, at all steps.
  void load(const Walk& w, int64_t h, T* q, T* k, T* gamma) const {
    int64_t m = h / (heads_ / key_heads_);
    Series<T>(task_.in[0], w.offset(0)).load(steps_, m, d_, q);
    Series<T>(task_.in[1], w.offset(1)).load(steps_, m, d_, k);
    Series<T>(task_.in[3], w.offset(3)).load(steps_, h, d_, gamma);
  }
  T beta(const Walk& w, int64_t t, int64_t h) const {
    const array& x = task_.in[4];
    size_t n = x.shape().size();
    return x.data<T>()[w.offset(4) + t * x.strides()[n - 2] + h * x.strides()[n - 1]];
  }
  bool counts(const Walk& w, int64_t t) const {
    return !masked_ || task_.in[6].template data<uint8_t>()[w.offset(6) + t * task_.in[6].strides().back()] != 0;
  }
  void start(const Walk& w, int64_t h, int64_t i, T* to) const { state_row(task_.in[5], w.offset(5), h, i, to); }
  // Row i of head h of a state.
  void state_row(const array& x, int64_t offset, int64_t h, int64_t i, T* to) const {
    size_t n = x.shape().size();
    const Strides& s = x.strides();
    gather_run(x.data<T>() + offset + h * s[n - 3] + i * s[n - 2], s[n - 1], d_, to);
  }

  const Task& task_;
  bool masked_;
  int64_t steps_, key_heads_, heads_, d_, e_;
  Layout layout_;
};

}  // namespace

void gated_delta_update_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { Rule<typename decltype(tag)::type>(task).forward(); });
}
void gated_delta_update_vjp_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { Rule<typename decltype(tag)::type>(task).backward(); });
}

}  // namespace mx::cpu
