// index_scatter.cpp — the kernels of scattering: a run of elements is combined with each place (index_places.h) in the order
// of the updates, so equal indices have a defined result. Threads divide the elements of the runs, never the updates of one
// place; sums of many updates to few elements are made in parts of a fixed size. So results do not depend on the number of
// threads. Start at scatter_kernel().

#include <cmath>
#include <optional>

#include "backend/cpu/copy.h"
#include "backend/cpu/index.h"
#include "backend/cpu/index_places.h"
#include "backend/cpu/scratch.h"
#include "ops/index_params.h"

namespace mx::cpu {

namespace {

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return std::isnan(x.real()) || std::isnan(x.imag());
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(x);
  } else {
    return false;
  }
}
template <class T>
bool less(T a, T b) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else {
    return a < b;
  }
}

template <class T, ScatterMode M>
T combined(T old, T x) {
  // Integers wrap; small ones are widened by the language and cut back.
  if constexpr (M == ScatterMode::set) {
    return x;
  } else if constexpr (M == ScatterMode::add) {
    if constexpr (std::is_same_v<T, bool>) return old || x;
    else return static_cast<T>(old + x);
  } else if constexpr (M == ScatterMode::multiply) {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return {old.real() * x.real() - old.imag() * x.imag(), old.real() * x.imag() + old.imag() * x.real()};
    } else if constexpr (std::is_same_v<T, uint16_t>) {
      return static_cast<T>(uint32_t(old) * uint32_t(x));
    } else {
      return static_cast<T>(old * x);
    }
  } else {
    // `|`, not `||`: indices in random order would mislead branch prediction.
    bool better = M == ScatterMode::maximum ? less(old, x) : less(x, old);
    return ((better | is_nan(x)) & !is_nan(old)) ? x : old;
  }
}

// Combines n_rows runs of `run` elements with their places, in order. Strides are in elements: `step` between the
// elements of a run at the destination, `row` from one update run to the next, `each` within an update run.
using CombineFn = void (*)(void* to, const int64_t* places, int64_t n_rows, const void* updates, int64_t row, int64_t each,
                           int64_t run, int64_t step);

template <class T, ScatterMode M>
void combine_runs(void* to, const int64_t* places, int64_t n_rows, const void* updates, int64_t row, int64_t each,
                  int64_t run, int64_t step) {
  T* base = static_cast<T*>(to);
  const T* from = static_cast<const T*>(updates);
  if (run == 1) {
    for (int64_t i = 0; i < n_rows; ++i) base[places[i]] = combined<T, M>(base[places[i]], from[i * row]);
    return;
  }
  for (int64_t i = 0; i < n_rows; ++i) {
    T* out = base + places[i];
    const T* x = from + i * row;
    if (step == 1 && each == 1) {
      for (int64_t j = 0; j < run; ++j) out[j] = combined<T, M>(out[j], x[j]);
    } else {
      for (int64_t j = 0; j < run; ++j) out[j * step] = combined<T, M>(out[j * step], x[j * each]);
    }
  }
}

// `t` is a dtype with arithmetic of its own (no half types), or for set any.
CombineFn find_combine(Dtype t, ScatterMode mode) {
  if (mode == ScatterMode::set) {
    return dispatch_bits(t, [](auto tag) -> CombineFn { return combine_runs<typename decltype(tag)::type, ScatterMode::set>; });
  }
  return dispatch(t, [&](auto tag) -> CombineFn {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      return nullptr;
    } else {
      // Sums and products of signed integers are those of unsigned ones, bit for bit.
      using U = typename std::conditional_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, std::make_unsigned<T>, TypeTag<T>>::type;
      switch (mode) {
        case ScatterMode::add: return combine_runs<U, ScatterMode::add>;
        case ScatterMode::multiply: return combine_runs<U, ScatterMode::multiply>;
        case ScatterMode::minimum: return combine_runs<T, ScatterMode::minimum>;
        default: return combine_runs<T, ScatterMode::maximum>;
      }
    }
  });
}

// Updates as memory that a CombineFn can read: row order, or one element for all.
struct Updates {
  const void* data;
  int64_t each = 1;
  std::optional<Scratch> copy, wide;
  Updates(const array& x, bool as_float) {
    Reader reader(x);
    data = x.bytes();
    if (reader.constant() && x.size() > 1) each = 0;
    if (each == 1 && !x.row_contiguous()) {
      copy.emplace(x.n_bytes());
      copy_to(x, copy->as<std::byte>());
      data = copy->as<std::byte>();
    }
    if (as_float) {
      int64_t n = each ? x.size() : 1;
      wide.emplace(sizeof(float) * static_cast<size_t>(n));
      dispatch(x.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_convertible_v<T, float>) {
          for (int64_t i = 0; i < n; ++i) wide->as<float>()[i] = static_cast<float>(static_cast<const T*>(data)[i]);
        }
      });
      data = wide->as<float>();
    }
  }
};

// Runs `body(destination, combine function, updates, bytes per element)` on a copy of `a` in `out`. Half types are
// combined in float and rounded once at the end, so that long sums do not stall.
template <class F>
void combine_into(const array& a, const array& updates, array& out, ScatterMode mode, const F& body) {
  bool half = mode != ScatterMode::set && (a.dtype() == Dtype::float16 || a.dtype() == Dtype::bfloat16);
  copy_to(a, out.bytes());
  if (updates.size() == 0) return;
  Updates from(updates, half);
  if (!half) return body(out.bytes(), find_combine(a.dtype(), mode), from, out.itemsize());
  dispatch(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      Scratch wide(sizeof(float) * static_cast<size_t>(out.size()));
      T* to = out.data<T>();
      for (int64_t i = 0; i < out.size(); ++i) wide.as<float>()[i] = static_cast<float>(to[i]);
      body(wide.as<std::byte>(), find_combine(Dtype::float32, mode), from, sizeof(float));
      for (int64_t i = 0; i < out.size(); ++i) to[i] = T(wide.as<float>()[i]);
    }
  });
}

// Sums of many single updates to few elements: parts of the updates are summed by themselves, as many as their number
// alone decides.
int64_t parts_of(int64_t n_updates, int64_t n_elements, ScatterMode mode) {
  if (mode != ScatterMode::add || n_elements > 65536) return 1;
  return std::clamp<int64_t>(n_updates / std::max<int64_t>(16384, 8 * n_elements), 1, 16);
}

// What adding to leaves as it is: -0 for floating-point numbers.
void fill_neutral(Dtype t, void* to, int64_t n) {
  dispatch(t, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T neutral{};
    if constexpr (std::is_floating_point_v<T>) neutral = T(-0.0);
    if constexpr (std::is_same_v<T, complex64_t>) neutral = T(-0.0f, -0.0f);
    std::fill_n(static_cast<T*>(to), n, neutral);
  });
}

// Each update is one element: places are read and combined piece by piece.
void scatter_elements(const Task& task, const Places& places) {
  ScatterMode mode = task.params.get<ScatterParams>().mode;
  array& out = task.out[0];
  const int64_t n = places.size(), parts = parts_of(n, out.size(), mode);
  combine_into(task.in[0], task.in[1], out, mode, [&](std::byte* to, CombineFn combine, const Updates& from, size_t bytes) {
    auto run = [&](std::byte* into, int64_t begin, int64_t end) {
      int64_t at[Indices::kPiece];
      for (int64_t i = begin; i < end; i += Indices::kPiece) {
        int64_t m = std::min(Indices::kPiece, end - i);
        places.read(i, m, at);
        combine(into, at, m, static_cast<const std::byte*>(from.data) + i * from.each * int64_t(bytes), from.each, from.each, 1, 1);
      }
    };
    if (parts == 1) return run(to, 0, n);
    Dtype t = bytes == out.itemsize() ? out.dtype() : Dtype::float32;
    const int64_t size = out.size() * int64_t(bytes), piece = (n - 1) / parts + 1;
    Scratch memory(static_cast<size_t>(parts * size));
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        std::byte* sums = memory.as<std::byte>() + p * size;
        fill_neutral(t, sums, out.size());
        run(sums, p * piece, std::min(n, (p + 1) * piece));
      }
    });
    const int64_t start = 0;
    for (int64_t p = 0; p < parts; ++p) combine(to, &start, 1, memory.as<std::byte>() + p * size, 0, 1, out.size(), 1);
  });
}

}  // namespace

void scatter_kernel(const Task& task) {
  const auto& p = task.params.get<ScatterParams>();
  array& out = task.out[0];
  Places places(task.in.subspan(2), p.axes, out.shape(), out.strides());
  int64_t n_places = places.size();
  if (out.size() > 0 && task.in[1].size() == n_places) return scatter_elements(task, places);
  Scratch at(sizeof(int64_t) * static_cast<size_t>(n_places));
  places.read_all(at.as<int64_t>());
  if (out.size() == 0) return;
  Rest rest(out.shape(), out.strides(), p.axes, p.at);
  std::vector<int64_t> outer = offsets_of(collapse(rest.outer_shape, {&rest.outer_strides}));
  Layout inner = collapse(rest.inner_shape, {&rest.inner_strides});
  struct Run {
    int64_t offset, position;
  };
  std::vector<Run> runs;
  for (Walk w(inner); w.index < inner.size; w.advance(w.run())) runs.push_back({w.offset(0), w.index});
  int64_t length = inner.inner(), step = inner.inner_stride(0), n_runs = static_cast<int64_t>(runs.size());
  // Threads share out outer positions, runs, and if these are few pieces of runs: never two updates of one element.
  int64_t piece = length;
  if (int64_t wanted = 2 * n_threads(), items = static_cast<int64_t>(outer.size()) * n_runs; items < wanted) {
    piece = std::min(length, std::max<int64_t>(64, length * items / wanted));
  }
  int64_t n_pieces = (length + piece - 1) / piece, work = std::max<int64_t>(1, n_places * piece);
  combine_into(task.in[0], task.in[1], out, p.mode, [&](std::byte* to, CombineFn combine, const Updates& from, size_t bytes) {
    parallel_for(static_cast<int64_t>(outer.size()) * n_runs * n_pieces, std::max<int64_t>(1, 8192 / work),
                 [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t o = i / (n_runs * n_pieces), k = i % n_pieces * piece;
        const Run& run = runs[size_t(i / n_pieces % n_runs)];
        int64_t first = (o * n_places * inner.size + run.position + k) * from.each;
        combine(to + (outer[size_t(o)] + run.offset + k * step) * int64_t(bytes), at.as<int64_t>(), n_places,
                static_cast<const std::byte*>(from.data) + first * int64_t(bytes), inner.size * from.each, from.each,
                std::min(piece, length - k), step);
      }
    });
  });
}

void scatter_axis_kernel(const Task& task) {
  const auto& p = task.params.get<ScatterAxisParams>();
  const array& indices = task.in[2];
  array& out = task.out[0];
  if (indices.size() == 0) return copy_to(task.in[0], out.bytes());
  combine_into(task.in[0], task.in[1], out, p.mode, [&](std::byte* to, CombineFn combine, const Updates& from, size_t bytes) {
    visit_axis_parallel(indices, out, out.strides(), p.axis, [&](int64_t first, int64_t n, int64_t base, const int64_t* places) {
      combine(to + base * int64_t(bytes), places, n, static_cast<const std::byte*>(from.data) + first * from.each * int64_t(bytes), from.each, from.each, 1, 1);
    });
  });
}

}  // namespace mx::cpu
