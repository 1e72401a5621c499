// fast_rope.cpp — kernel of rotary position embedding. Sines and cosines of a tile of positions are computed once, in
// double, and used for many examples and heads; positions that differ between examples have tables of their own.

#include <cmath>
#include <vector>

#include "backend/cpu/fast.h"
#include "backend/cpu/fast_rows.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "ops/fast_params.h"

namespace mx::cpu {

namespace {

constexpr int64_t kTile = 64;            ///< Positions of a table.
constexpr int64_t kTaskElems = 1 << 18;  ///< Elements that share a table, and are worth a thread.

template <class T>
MX_CLONES void turn_halves(const T* x, const T* c, const T* s, T* y, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T u = x[i], v = x[n + i];
    y[i] = u * c[i] - v * s[i];
    y[n + i] = u * s[i] + v * c[i];
  }
}
template <class T>
MX_CLONES void turn_neighbours(const T* x, const T* c, const T* s, T* y, int64_t n) {
  MX_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    T u = x[2 * i], v = x[2 * i + 1];
    y[2 * i] = u * c[i] - v * s[i];
    y[2 * i + 1] = u * s[i] + v * c[i];
  }
}

template <class T>
void run(const Task& task) {
  const auto& p = task.params.get<fast::RopeParams>();
  const array &x = task.in[0], &offset = task.in[1];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int64_t t = x.shape(-2), d = x.shape(-1), half = p.dims / 2;
  // Leading axes: strides of x, of the offsets, and of the frequencies (else 0).
  Strides of_x(x.strides().begin(), x.strides().end() - 2), of_freqs(of_x.size(), 0);
  Shape batch(x.shape().begin(), x.shape().end() - 2);
  if (p.freqs) of_freqs = Strides(task.in[2].strides().begin(), task.in[2].strides().end() - 1);
  Layout leading = collapse(batch, {&of_x, &offset.strides(), &of_freqs});

  std::vector<double> given(static_cast<size_t>(half));
  if (!p.freqs) {
    for (int64_t i = 0; i < half; ++i) given[static_cast<size_t>(i)] = std::pow(p.base, -2.0 * static_cast<double>(i) / static_cast<double>(p.dims));
  }
  Loop cosine = find_loop(UnaryOp::cos, Dtype::float64), sine = find_loop(UnaryOp::sin, Dtype::float64);
  RowReader<T> reader(x);
  RowWriter<T> writer(out);
  int64_t tile = std::min(t, kTile), tiles = (t - 1) / tile + 1;
  int64_t group = std::max<int64_t>(1, std::min(leading.size, kTaskElems / (tile * d))), groups = (leading.size - 1) / group + 1;
  parallel_for(tiles * groups, std::max<int64_t>(1, kTaskElems / 16 / (tile * d * group)), [&](int64_t begin, int64_t end) {
    Scratch room(static_cast<size_t>(reader.room() + d + 2 * tile * half) * sizeof(T)), wide(static_cast<size_t>(3 * tile * half) * sizeof(double));
    T *for_x = room.as<T>(), *for_y = for_x + reader.room(), *c = for_y + d, *s = c + tile * half;
    double *angle = wide.as<double>(), *of_c = angle + tile * half, *of_s = of_c + tile * half;
    for (int64_t u = begin; u < end; ++u) {
      int64_t first = u % tiles * tile, rows = std::min(tile, t - first), n = rows * half;
      int64_t known_offset = 0, known_freqs = -1;
      for (Walk w(leading, u / tiles * group); w.index < std::min(leading.size, (u / tiles + 1) * group); w.advance(1)) {
        int64_t start = offset.data<int64_t>()[w.offset(1)];
        if (start != known_offset || w.offset(2) != known_freqs) {
          known_offset = start;
          known_freqs = w.offset(2);
          for (int64_t i = 0; i < half; ++i) {
            double rate = p.freqs ? 1 / static_cast<double>(task.in[2].data<T>()[known_freqs + i * task.in[2].strides().back()])
                                  : given[static_cast<size_t>(i)];
            rate *= p.scale;
            for (int64_t r = 0; r < rows; ++r) angle[r * half + i] = (static_cast<double>(start) + static_cast<double>(first + r)) * rate;
          }
          const void* in = angle;
          cosine(&in, of_c, n);
          sine(&in, of_s, n);
          std::copy_n(of_c, n, c);
          std::transform(of_s, of_s + n, s, [&](double v) { return static_cast<T>(p.inverse ? -v : v); });
        }
        for (int64_t r = 0; r < rows; ++r) {
          int64_t row = w.index * t + first + r;
          const T* from = reader.read(w.offset(0) + (first + r) * x.strides()[x.strides().size() - 2], for_x);
          T* to = writer.begin(row, for_y);
          (p.traditional ? turn_neighbours<T> : turn_halves<T>)(from, c + r * half, s + r * half, to, half);
          std::copy(from + p.dims, from + d, to + p.dims);
          writer.end(row, to);
        }
      }
    }
  });
}

}  // namespace

void rope_kernel(const Task& task) {
  in_work_type(task.out[0].dtype(), [&](auto tag) { run<typename decltype(tag)::type>(task); });
}

}  // namespace mx::cpu
