// fast_cross_entropy.cpp — kernels of the loss and its derivative. A row is read in pieces; the sum of exponentials is
// kept on the scale of the largest logit so far (Milakov and Gimelshein, "Online normalizer calculation", 2018).

#include <cmath>
#include <limits>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/loops_real.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"
#include "ops/fast_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTaskElems = 4096;  ///< Worth a thread.

template <class T>
class Rows {
 public:
  explicit Rows(const Task& task)
      : max_(reduce_loops(Reduction::max, dtype_of<T>())), exp_(loops::exp_loops<T>()), x_(task.in[0]), targets_(task.in[1]), n_(x_.shape(-1)), reader_(x_) {}

  /// Calls f(row, logits, target) for every row.
  template <class F>
  void each(const Layout& rows, F&& f) const {
    parallel_for(rows.size, std::max<int64_t>(1, kTaskElems / std::max<int64_t>(1, n_)), [&](int64_t begin, int64_t end) {
      Scratch room(static_cast<size_t>(reader_.room()) * sizeof(T));
      for (Walk w(rows, begin); w.index < end; w.advance(1)) {
        int64_t target = targets_.data<int64_t>()[w.offset(1)], at = target < 0 ? target + n_ : target;
        if (at < 0 || at >= n_) {
          throw IndexError(cat("[cross_entropy] target ", target, " is out of bounds for ", n_, " classes; need ", -n_, " <= target < ", n_, "."));
        }
        f(w, reader_.read(w.offset(0), room.as<T>()), at);
      }
      stream_fence();
    });
  }
  T log_sum_exp(const T* x) const {
    constexpr T lowest = -std::numeric_limits<T>::infinity();
    T top = lowest, sum = 0;
    for (int64_t i = 0; i < n_; i += kPiece) {
      int64_t m = std::min(kPiece, n_ - i);
      T largest;
      max_.row(x + i, m, &largest);
      if (!(largest <= top)) {
        sum = top == lowest ? T(0) : sum * std::exp(top - largest);
        top = largest;
      }
      if (top == lowest) continue;
      sum += exp_.sum(x + i, m, top);
    }
    return std::isfinite(top) ? top + std::log(sum) : top;
  }
  /// by * (softmax - one-hot) into `to`; past the caches if `stream`.
  void softmax(const T* x, T lse, int64_t target, T by, T* to, bool stream) const {
    if (lse == -std::numeric_limits<T>::infinity()) lse = 0;
    T room[kPiece];
    for (int64_t i = 0; i < n_; i += kPiece) {
      int64_t m = std::min(kPiece, n_ - i);
      T* y = stream ? room : to + i;
      exp_.scaled(x + i, m, lse, by, y);
      if (target >= i && target < i + m) y[target - i] -= by;
      if (stream) stream_copy(to + i, room, static_cast<size_t>(m) * sizeof(T));
    }
  }
  int64_t n() const { return n_; }

 private:
  const ReduceLoops& max_;
  const loops::ExpLoops<T>& exp_;
  const array &x_, &targets_;
  int64_t n_;
  RowReader<T> reader_;
};

/// x over its leading axes, and arrays of one element a row.
template <class... Scalars>
Layout row_layout(const array& x, const Scalars&... scalars) {
  Strides of_x(x.strides().begin(), x.strides().end() - 1);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  return collapse(shape, {&of_x, &scalars.strides()...});
}

template <class T>
void run_loss(const Task& task) {
  Rows<T> rows(task);
  T* out = task.out[0].data<T>();
  rows.each(row_layout(task.in[0], task.in[1]), [&](const Walk& w, const T* x, int64_t target) { out[w.index] = rows.log_sum_exp(x) - x[target]; });
}

template <class T>
void run_loss_vjp(const Task& task) {
  Rows<T> rows(task);
  const array& ct = task.in[2];
  RowWriter<T> writer(task.out[0]);
  bool stream = task.out[0].dtype() == dtype_of<T>() && task.out[0].n_bytes() >= kStreamBytes;
  rows.each(row_layout(task.in[0], task.in[1], ct), [&](const Walk& w, const T* x, int64_t target) {
    Scratch room(static_cast<size_t>(rows.n()) * sizeof(T));
    T* to = writer.begin(w.index, room.as<T>());
    rows.softmax(x, rows.log_sum_exp(x), target, ct.data<T>()[w.offset(2)], to, stream);
    writer.end(w.index, to);
  });
}

}  // namespace

void cross_entropy_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run_loss<typename decltype(tag)::type>(task); });
}
void cross_entropy_vjp_kernel(const Task& task) {
  in_work_type(task.in[0].dtype(), [&](auto tag) { run_loss_vjp<typename decltype(tag)::type>(task); });
}

}  // namespace mx::cpu
