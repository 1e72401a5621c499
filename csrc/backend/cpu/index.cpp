// index.cpp — gather and scatter. Index arrays are read in pieces, wrapped and checked once (Indices), and become
// places: offsets in elements. Gathering copies a run of elements for each place; scattering combines a run with
// each place in the order of the updates, so equal indices have a defined result. Threads divide the elements of
// the runs, never the updates of one place: results do not depend on their number. Start at gather_kernel().

#include "backend/cpu/index.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/strided.h"
#include "ops/index_params.h"

namespace mx::cpu {

namespace {

// ---- indices

[[noreturn]] void refuse(const std::string& index, int axis, int64_t size) {
  throw IndexError(cat("[index] index ", index, " is out of bounds for axis ", axis, " with size ", size, "; need ", -size,
                       " <= index < ", size, "."));
}

// One index array: hands out its elements as positions in [0, size), or throws IndexError.
class Indices {
 public:
  Indices(const array& x, int axis, int64_t size) : reader_(x), dtype_(x.dtype()), axis_(axis), size_(size) {}
  /// Positions of the elements [begin, begin + n) in row order; n <= kPiece.
  void read(int64_t begin, int64_t n, int64_t* to) const {
    dispatch(dtype_, [&](auto tag) {
      using I = typename decltype(tag)::type;
      if constexpr (std::is_integral_v<I> && !std::is_same_v<I, bool>) {
        alignas(8) std::byte scratch[kPiece * sizeof(I)];
        const I* from = static_cast<const I*>(reader_.read(begin, n, static_cast<void*>(scratch)));
        const uint64_t size = static_cast<uint64_t>(size_);
        for (int64_t i = 0; i < n; ++i) {
          I x = from[i];
          // A negative index becomes a huge one unless it wraps into the axis.
          uint64_t at = static_cast<uint64_t>(x);
          if (std::is_signed_v<I> && x < I(0)) at += size;
          if (at >= size) refuse(std::to_string(x), axis_, size_);
          to[i] = static_cast<int64_t>(at);
        }
      } else {
        throw DtypeError(cat("[index] indices must be integers: dtype is ", dtype_, "."));
      }
    });
  }
  static constexpr int64_t kPiece = 1024;

 private:
  Reader reader_;
  Dtype dtype_;
  int axis_;
  int64_t size_;
};

// Where index positions point: the sum over index arrays of position * stride of its axis.
class Places {
 public:
  Places(std::span<const array> indices, const Axes& axes, const Shape& shape, const Strides& strides) : size_(indices[0].size()) {
    for (size_t k = 0; k < indices.size(); ++k) {
      size_t axis = static_cast<size_t>(axes[k]);
      indices_.emplace_back(indices[k], axes[k], shape[axis]);
      strides_.push_back(strides[axis]);
    }
  }
  int64_t size() const { return size_; }
  /// Places of the positions [begin, begin + n); n <= Indices::kPiece.
  void read(int64_t begin, int64_t n, int64_t* to) const {
    int64_t positions[Indices::kPiece];
    for (size_t k = 0; k < indices_.size(); ++k) {
      indices_[k].read(begin, n, positions);
      int64_t stride = strides_[k];
      for (int64_t i = 0; i < n; ++i) to[i] = (k ? to[i] : 0) + positions[i] * stride;
    }
  }
  /// All of them into `to`.
  void read_all(int64_t* to) const {
    parallel_for(size_, 8 * Indices::kPiece, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += Indices::kPiece) read(i, std::min(Indices::kPiece, end - i), to + i);
    });
  }

 private:
  int64_t size_;
  std::vector<Indices> indices_;
  std::vector<int64_t> strides_;
};

// The axes of an array that are not indexed: those before the index dimensions of the result, and those after.
struct Rest {
  Shape outer_shape, inner_shape;
  Strides outer_strides, inner_strides;
  Rest(const Shape& shape, const Strides& strides, const Axes& axes, int at) {
    for (size_t i = 0, before = 0; i < shape.size(); ++i) {
      if (std::find(axes.begin(), axes.end(), static_cast<int>(i)) != axes.end()) continue;
      bool outer = static_cast<int>(before++) < at;
      (outer ? outer_shape : inner_shape).push_back(shape[i]);
      (outer ? outer_strides : inner_strides).push_back(strides[i]);
    }
  }
};

// Offsets of every position of a layout, in row order.
std::vector<int64_t> offsets_of(const Layout& layout) {
  std::vector<int64_t> offsets(static_cast<size_t>(layout.size));
  for (Walk w(layout); w.index < layout.size;) {
    int64_t n = w.run(), first = w.offset(0), stride = layout.inner_stride(0);
    for (int64_t i = 0; i < n; ++i) offsets[static_cast<size_t>(w.index + i)] = first + i * stride;
    w.advance(n);
  }
  return offsets;
}

// ---- gather

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
  parallel_for(n_rows, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
    int64_t o = begin / n_places, p = begin % n_places;
    const T* base = from + outer[size_t(o)];
    for (int64_t r = begin; r < end; ++r) {
      const T* row = base + places[p];
      T* out = to + r * n;
      if (n == 1) {
        *out = *row;
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
    }
  });
}

// ---- scatter

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

// The shape of an array around an axis, with the strides of the other axes' positions.
struct AroundAxis {
  int64_t outer = 1, inner = 1;
  Shape outer_shape, inner_shape;
  Strides outer_strides, inner_strides;
  AroundAxis(const Shape& shape, const Strides& strides, int axis) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (static_cast<int>(i) == axis) continue;
      bool before = static_cast<int>(i) < axis;
      (before ? outer : inner) *= shape[i];
      (before ? outer_shape : inner_shape).push_back(shape[i]);
      (before ? outer_strides : inner_strides).push_back(strides[i]);
    }
  }
  std::vector<int64_t> outer_offsets() const { return offsets_of(collapse(outer_shape, {&outer_strides})); }
  std::vector<int64_t> inner_offsets() const { return offsets_of(collapse(inner_shape, {&inner_strides})); }
};

// Visits the elements of an index array shaped (outer, n, inner) in pieces: f(o, first element, count, places), where
// places are relative to the start of the array that is indexed. Pieces of one `o` come in order, within [k0, k1) of inner.
template <class F>
void visit_axis(const Indices& index, int64_t o, int64_t n, int64_t inner, int64_t k0, int64_t k1, int64_t outer_offset,
                const std::vector<int64_t>& inner_offsets, int64_t stride, const F& f) {
  int64_t places[Indices::kPiece];
  // Whole rows follow each other in memory; parts of rows are visited one row at a time.
  bool whole = k0 == 0 && k1 == inner;
  int64_t rows = whole ? 1 : n, length = whole ? n * inner : k1 - k0;
  for (int64_t j = 0; j < rows; ++j) {
    int64_t k = k0;
    for (int64_t begin = 0; begin < length; begin += Indices::kPiece) {
      int64_t m = std::min(Indices::kPiece, length - begin), first = (o * n + j) * inner + k0 + begin;
      index.read(first, m, places);
      for (int64_t i = 0; i < m; ++i) {
        places[i] = outer_offset + places[i] * stride + inner_offsets[size_t(k)];
        if (++k == inner) k = 0;
      }
      f(first, m, places);
    }
  }
}

// Divides (outer, n, inner) among threads by outer positions and columns.
template <class F>
void visit_axis_parallel(const array& indices, const array& indexed, const Strides& strides, int axis, const F& f) {
  int64_t size = indexed.shape()[size_t(axis)], n = indices.shape()[size_t(axis)];
  AroundAxis a(indexed.shape(), strides, axis);
  std::vector<int64_t> outer = a.outer_offsets(), inner = a.inner_offsets();
  Indices index(indices, axis, size);
  int64_t lanes = std::max<int64_t>(64, 8192 / std::max<int64_t>(n, 1));
  int64_t pieces = (a.inner + lanes - 1) / lanes;
  int64_t work = std::max<int64_t>(1, n * std::min(lanes, a.inner));
  parallel_for(a.outer * pieces, std::max<int64_t>(1, 8192 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t o = i / pieces, k = i % pieces * lanes;
      visit_axis(index, o, n, a.inner, k, std::min(k + lanes, a.inner), outer[size_t(o)], inner, strides[size_t(axis)], f);
    }
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

void scatter_kernel(const Task& task) {
  const auto& p = task.params.get<ScatterParams>();
  array& out = task.out[0];
  Places places(task.in.subspan(2), p.axes, out.shape(), out.strides());
  int64_t n_places = places.size();
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

void gather_axis_kernel(const Task& task) {
  const array &a = task.in[0], &indices = task.in[1];
  array& out = task.out[0];
  if (out.size() == 0) return;
  int axis = task.params.get<GatherAxisParams>().axis;
  dispatch_bits(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = a.data<T>();
    T* to = out.data<T>();
    visit_axis_parallel(indices, a, a.strides(), axis, [&](int64_t first, int64_t n, const int64_t* places) {
      for (int64_t i = 0; i < n; ++i) to[first + i] = from[places[i]];
    });
  });
}

void scatter_axis_kernel(const Task& task) {
  const auto& p = task.params.get<ScatterAxisParams>();
  const array& indices = task.in[2];
  array& out = task.out[0];
  if (indices.size() == 0) return copy_to(task.in[0], out.bytes());
  combine_into(task.in[0], task.in[1], out, p.mode, [&](std::byte* to, CombineFn combine, const Updates& from, size_t bytes) {
    visit_axis_parallel(indices, out, out.strides(), p.axis, [&](int64_t first, int64_t n, const int64_t* places) {
      combine(to, places, n, static_cast<const std::byte*>(from.data) + first * from.each * int64_t(bytes), from.each, from.each, 1, 1);
    });
  });
}

}  // namespace mx::cpu
