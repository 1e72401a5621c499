// fast_norm.cpp — kernels of rms_norm and layer_norm, forward and backward: each row is read once from memory and
// passed a few times in cache. The cotangents of weight and bias are sums over rows: blocks of rows are summed apart and
// then together, so that the result does not depend on the number of threads.

#include <optional>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/instructions.h"
#include "backend/cpu/norm_rows.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/fast_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTaskElems = 16384;  ///< Worth a thread.
constexpr int64_t kMaxBlocks = 64;     ///< Blocks of rows with sums of their own.

const NormRows<float>& norm_rows(float) {
#if defined(__x86_64__)
  return best_of(norm_rows_avx512_f32, norm_rows_avx2_f32, norm_rows_baseline_f32);
#else
  return norm_rows_baseline_f32;
#endif
}
const NormRows<double>& norm_rows(double) {
#if defined(__x86_64__)
  return best_of(norm_rows_avx512_f64, norm_rows_avx2_f64, norm_rows_baseline_f64);
#else
  return norm_rows_baseline_f64;
#endif
}

/// A vector as contiguous Ts, for as long as the object lives.
template <class T>
class Vector {
 public:
  explicit Vector(const array& v) : reader_(v), room_(static_cast<size_t>(reader_.room()) * sizeof(T)), data_(reader_.read(0, room_.as<T>())) {}
  const T* data() const { return data_; }

 private:
  RowReader<T> reader_;
  Scratch room_;
  const T* data_;
};

template <class T>
void run_norm(const Task& task, bool centred) {
  const auto& p = task.params.get<fast::NormParams>();
  const array& x = task.in[0];
  array& y = task.out[0];
  if (y.size() == 0) return;
  int64_t n = x.shape(-1);
  std::optional<Vector<T>> weight, bias;
  if (p.weight) weight.emplace(task.in[1]);
  if (p.bias) bias.emplace(task.in[p.weight ? 2 : 1]);
  Layout rows = leading_layout(1, x);
  const NormRows<T>& norm = norm_rows(T());
  RowReader<T> reader(x);
  RowWriter<T> writer(y);
  parallel_for(rows.size, std::max<int64_t>(1, kTaskElems / n), [&](int64_t begin, int64_t end) {
    Scratch room(static_cast<size_t>(reader.room() + n) * sizeof(T));
    for (Walk w(rows, begin); w.index < end; w.advance(1)) {
      T* to = writer.begin(w.index, room.as<T>() + reader.room());
      norm.forward(reader.read(w.offset(0), room.as<T>()), weight ? weight->data() : nullptr, bias ? bias->data() : nullptr, to, n,
               static_cast<T>(p.eps), centred);
      writer.end(w.index, to);
    }
  });
}

template <class T>
void run_norm_vjp(const Task& task, bool centred) {
  const auto& p = task.params.get<fast::NormVjpParams>();
  const array &x = task.in[0], &ct = task.in[1];
  array& dx = task.out[0];
  int64_t n = x.shape(-1), n_sums = (p.of_weight ? 1 : 0) + (p.of_bias ? 1 : 0);
  if (n == 0) return;
  std::optional<Vector<T>> weight;
  if (p.weight) weight.emplace(task.in[2]);
  Layout rows = leading_layout(1, x, ct);
  const NormRows<T>& norm = norm_rows(T());
  RowReader<T> read_x(x), read_ct(ct);
  RowWriter<T> writer(dx);
  int64_t block = std::max<int64_t>({1, kTaskElems / n, (rows.size - 1) / kMaxBlocks + 1});
  int64_t n_blocks = rows.size == 0 ? 0 : (rows.size - 1) / block + 1;
  Scratch sums(static_cast<size_t>(std::max<int64_t>(1, n_blocks) * n_sums * n) * sizeof(T));
  std::fill_n(sums.as<T>(), std::max<int64_t>(1, n_blocks) * n_sums * n, T(0));
  parallel_for(n_blocks, 1, [&](int64_t begin, int64_t end) {
    Scratch room(static_cast<size_t>(read_x.room() + read_ct.room() + n) * sizeof(T));
    T *for_x = room.as<T>(), *for_ct = for_x + read_x.room(), *for_dx = for_ct + read_ct.room();
    for (int64_t b = begin; b < end; ++b) {
      T* own = sums.as<T>() + b * n_sums * n;
      T *dw = p.of_weight ? own : nullptr, *db = p.of_bias ? own + (n_sums - 1) * n : nullptr;
      for (Walk w(rows, b * block); w.index < std::min(rows.size, (b + 1) * block); w.advance(1)) {
        T* to = writer.begin(w.index, for_dx);
        norm.backward(read_x.read(w.offset(0), for_x), read_ct.read(w.offset(1), for_ct), weight ? weight->data() : nullptr, to, dw, db, n,
                     static_cast<T>(p.eps), centred);
        writer.end(w.index, to);
      }
    }
  });
  T* total = sums.as<T>();
  for (int64_t b = 1; b < n_blocks; ++b) {
    for (int64_t i = 0; i < n_sums * n; ++i) total[i] += total[b * n_sums * n + i];
  }
  for (int64_t k = 0; k < n_sums; ++k) {
    RowWriter<T> write(task.out[static_cast<size_t>(k + 1)]);
    std::copy_n(total + k * n, n, write.begin(0, total + k * n));
    write.end(0, total + k * n);
  }
}

}  // namespace

void rms_norm_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run_norm<typename decltype(tag)::type>(task, false); });
}
void layer_norm_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run_norm<typename decltype(tag)::type>(task, true); });
}
void rms_norm_vjp_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run_norm_vjp<typename decltype(tag)::type>(task, false); });
}
void layer_norm_vjp_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run_norm_vjp<typename decltype(tag)::type>(task, true); });
}

}  // namespace mx::cpu
