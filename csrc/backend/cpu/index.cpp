// index.cpp — the kernels of gathering: a run of elements is copied for each place (index_places.h). Start at
// gather_kernel(). Scattering is in index_scatter.cpp.

#include "backend/cpu/index.h"

#include "backend/cpu/copy.h"
#include "backend/cpu/index_places.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/stream.h"
#include "ops/index_params.h"

namespace mx::cpu {

namespace {

// Single elements: no memory for places is needed.
template <class T>
void gather_elements(const T* from, const Places& places, T* to) {
  parallel_for(places.size(), 4 * Indices::kPiece, [&](int64_t begin, int64_t end) {
    int64_t at[Indices::kPiece];
    for (int64_t i = begin; i < end; i += Indices::kPiece) {
      int64_t m = std::min(Indices::kPiece, end - i);
      places.read(i, m, at);
      for (int64_t j = 0; j < m; ++j) to[i + j] = from[at[j]];
    }
  });
}

// A row of the result per outer position and place; it has the shape of the inner axes.
template <class T>
void gather_rows(const T* from, const std::vector<int64_t>& outer, const int64_t* places, int64_t n_places, const Rest& rest, T* to) {
  Layout inner = collapse(rest.inner_shape, {&rest.inner_strides});
  int64_t n_rows = static_cast<int64_t>(outer.size()) * n_places, n = inner.size;
  if (n_rows < 8 && n > 32768) {
    for (int64_t r = 0; r < n_rows; ++r) {
      copy_strided(from + outer[size_t(r / n_places)] + places[r % n_places], rest.inner_strides, to + r * n,
                   row_strides(rest.inner_shape), rest.inner_shape, sizeof(T));
    }
    return;
  }
  const size_t row_bytes = static_cast<size_t>(n) * sizeof(T);
  const bool ahead = inner.contiguous(0) && row_bytes >= 64;
  constexpr int64_t kAhead = 4;
  const bool stream = inner.contiguous(0) && row_bytes >= 512 && row_bytes * static_cast<size_t>(n_rows) >= kStreamBytes / 2;
  parallel_for(n_rows, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
    int64_t o = begin / n_places, p = begin % n_places;
    const T* base = from + outer[size_t(o)];
    for (int64_t r = begin; r < end;) {
      if (n == 1) {
        int64_t m = std::min(n_places - p, end - r);
        for (int64_t i = 0; i < m; ++i) to[r + i] = base[places[p + i]];
        r += m;
        p = 0;
        if (r < end) base = from + outer[size_t(++o)];
        continue;
      }
      const T* row = base + places[p];
      T* out = to + r * n;
      // Rows in random order: the processor does not foresee the next ones.
      if (ahead && p + kAhead < n_places) {
        const auto* next = reinterpret_cast<const char*>(base + places[p + kAhead]);
        for (size_t q = 0; q < std::min<size_t>(row_bytes, 2048); q += 64) __builtin_prefetch(next + q);
      }
      if (stream) {
        stream_copy(out, row, row_bytes);
      } else if (inner.shape.size() == 1) {
        gather_run(row, inner.inner_stride(0), n, out);
      } else {
        for (Walk w(inner); w.index < n;) {
          int64_t m = w.run();
          gather_run(row + w.offset(0), inner.inner_stride(0), m, out + w.index);
          w.advance(m);
        }
      }
      if (++p == n_places && r + 1 < end) {
        p = 0;
        base = from + outer[size_t(++o)];
      }
      ++r;
    }
    if (stream) stream_fence();
  });
}

}  // namespace

void gather_kernel(const Task& task) {
  const auto& p = task.params.get<GatherParams>();
  const array& a = task.in[0];
  array& out = task.out[0];
  Places places(task.in.subspan(1), p.axes, a.shape(), a.strides());
  if (places.size() == 0) return;
  Rest rest(a.shape(), a.strides(), p.axes, p.at);
  dispatch_bits(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (out.size() == places.size()) return gather_elements(a.data<T>(), places, out.data<T>());
    Scratch at(sizeof(int64_t) * static_cast<size_t>(places.size()));
    // Indices are checked even if there is nothing to read.
    places.read_all(at.as<int64_t>());
    if (out.size() == 0) return;
    gather_rows(a.data<T>(), offsets_of(collapse(rest.outer_shape, {&rest.outer_strides})), at.as<int64_t>(), places.size(), rest,
                out.data<T>());
  });
}

void gather_axis_kernel(const Task& task) {
  const array &a = task.in[0], &indices = task.in[1];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int axis = task.params.get<GatherAxisParams>().axis;
  dispatch_bits(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = a.data<T>();
    T* to = out.data<T>();
    visit_axis_parallel(indices, a, a.strides(), axis, [&](int64_t first, int64_t n, int64_t base, const int64_t* places) {
      const T* x = from + base;
      T* y = to + first;
      for (int64_t i = 0; i < n; ++i) y[i] = x[places[i]];
    });
  });
}

}  // namespace mx::cpu
