// movement.cpp — joins, updates and blocks at positions read from an array. All but as_strided_add move bits only,
// and leave the moving to copy_strided().

#include "backend/cpu/movement.h"

#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/strided.h"
#include "ops/movement_params.h"

namespace mx::cpu {

namespace {

std::byte* at(const array& a, int64_t element) { return a.bytes() + element * static_cast<int64_t>(a.itemsize()); }

// The starts of every batch element, row by row; values beyond int64 are as good as its largest.
std::vector<int64_t> read_starts(const array& start) {
  std::vector<int64_t> out(static_cast<size_t>(start.size()));
  dispatch(start.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      T scratch;
      Reader reader(start);
      for (size_t i = 0; i < out.size(); ++i) {
        T x = *reader.read<T>(static_cast<int64_t>(i), 1, &scratch);
        bool huge = std::is_same_v<T, uint64_t> && x > static_cast<T>(std::numeric_limits<T>::max() / 2);
        out[i] = huge ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(x);
      }
    }
  });
  return out;
}

// Calls `f(batch, offset)` for every batch element: where it begins in `block` (row by row over the batch axes, in
// elements) and where its block begins in `big`.
struct Blocks {
  Shape batch, block;  // Sizes of the batch axes, and of the others.
  int64_t n = 1;
  std::vector<int64_t> starts;
  const DynamicSliceParams& p;

  Blocks(const DynamicSliceParams& params, const array& start) : starts(read_starts(start)), p(params) {
    size_t n_batch = start.shape().size() - 1;
    batch = Shape(p.sizes.begin(), p.sizes.begin() + n_batch);
    block = Shape(p.sizes.begin() + n_batch, p.sizes.end());
    n = n_elems(batch);
  }
  // Where batch element `b` begins in an array with these strides.
  int64_t batch_offset(int64_t b, const Strides& strides) const {
    int64_t offset = 0;
    for (size_t i = batch.size(); i-- > 0;) {
      offset += b % batch[i] * strides[i];
      b /= batch[i];
    }
    return offset;
  }
  // Where its block begins in the big array, the start clamped so that the block fits.
  int64_t block_offset(int64_t b, const Shape& shape, const Strides& strides) const {
    int64_t offset = batch_offset(b, strides);
    const int64_t* start = starts.data() + b * static_cast<int64_t>(p.axes.size());
    for (size_t k = 0; k < p.axes.size(); ++k) {
      size_t axis = static_cast<size_t>(p.axes[k]);
      offset += std::clamp<int64_t>(start[k], 0, shape[axis] - p.sizes[axis]) * strides[axis];
    }
    return offset;
  }
  Strides inner(const Strides& strides) const { return Strides(strides.begin() + batch.size(), strides.end()); }
  int64_t grain() const { return std::max<int64_t>(1, 16384 / std::max<int64_t>(n_elems(block), 1)); }
};

}  // namespace

void concatenate_kernel(const Task& task) {
  size_t axis = static_cast<size_t>(task.params.get<ConcatenateParams>().axis);
  const array& out = task.out[0];
  const Strides& strides = out.strides();
  if (out.size() == 0) return;
  // Parts that share cache lines of the result are joined a few rows of the first axis at a time.
  bool shared = axis > 0 && strides[axis] * out.shape()[axis] * int64_t(out.itemsize()) < int64_t(1024 * task.in.size());
  int64_t n = shared ? out.shape()[0] : 1;
  int64_t grain = shared ? std::max<int64_t>(1, 32768 / (strides[0] * int64_t(out.itemsize()))) : 1;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r += grain) {
      int64_t offset = r * strides[0] * int64_t(shared);
      for (const array& x : task.in) {
        Shape shape(x.shape());
        if (shared) shape[0] = std::min(grain, end - r);
        copy_strided(at(x, shared ? r * x.strides()[0] : 0), x.strides(), at(out, offset), strides, shape, x.itemsize());
        offset += x.shape()[axis] * strides[axis];
      }
    }
  });
}

void slice_update_kernel(const Task& task) {
  const auto& p = task.params.get<SliceParams>();
  const array &update = task.in[1], &out = task.out[0];
  copy_to(task.in[0], out.bytes());
  int64_t offset = 0;
  Strides strides(out.strides());
  for (size_t i = 0; i < strides.size(); ++i) {
    offset += p.starts[i] * strides[i];
    strides[i] *= p.steps[i];
  }
  copy_strided(update.bytes(), update.strides(), at(out, offset), strides, p.sizes, out.itemsize());
}

void dynamic_slice_kernel(const Task& task) {
  const array &x = task.in[0], &out = task.out[0];
  if (out.size() == 0) return;
  Blocks blocks(task.params.get<DynamicSliceParams>(), task.in[1]);
  Strides from = blocks.inner(x.strides()), to = blocks.inner(out.strides());
  parallel_for(blocks.n, blocks.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      copy_strided(at(x, blocks.block_offset(b, x.shape(), x.strides())), from, at(out, blocks.batch_offset(b, out.strides())), to,
                   blocks.block, out.itemsize());
    }
  });
}

void dynamic_slice_update_kernel(const Task& task) {
  const array &update = task.in[1], &out = task.out[0];
  copy_to(task.in[0], out.bytes());
  if (update.size() == 0) return;
  Blocks blocks(task.params.get<DynamicSliceParams>(), task.in[2]);
  Strides from = blocks.inner(update.strides()), to = blocks.inner(out.strides());
  parallel_for(blocks.n, blocks.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      copy_strided(at(update, blocks.batch_offset(b, update.strides())), from,
                   at(out, blocks.block_offset(b, out.shape(), out.strides())), to, blocks.block, out.itemsize());
    }
  });
}

namespace {

template <class T, class Sum>
void add_windows(const StridedParams& p, const array& x, Sum* out) {
  std::fill(out, out + p.n, Sum(0));
  if (x.size() == 0) return;
  // Windows are often short, and a loop of three elements is mostly overhead: of the axes that are long (or longest), the one
  // that goes through the result in the smallest steps comes innermost.
  Shape shape(x.shape());
  Strides x_strides(x.strides()), strides(p.strides);
  int64_t enough = shape.empty() ? 0 : std::min<int64_t>(32, *std::max_element(shape.begin(), shape.end()));
  size_t inner = 0;
  for (size_t i = 1; i < shape.size(); ++i) {
    if (shape[i] >= enough && (shape[inner] < enough || std::abs(strides[i]) <= std::abs(strides[inner]))) inner = i;
  }
  for (auto* v : {&shape, &x_strides, &strides}) {
    if (!v->empty()) std::rotate(v->begin() + inner, v->begin() + inner + 1, v->end());
  }
  Layout layout = collapse(shape, {&x_strides, &strides});
  int64_t from = layout.inner_stride(0), to = layout.inner_stride(1);
  // On one thread: windows overlap, and the order of additions fixes the rounding.
  for (Walk w(layout); w.index < layout.size;) {
    int64_t n = w.run();
    const T* src = x.data<T>() + w.offset(0);
    Sum* dst = out + p.offset + w.offset(1);
    for (int64_t i = 0; i < n; ++i) dst[i * to] += static_cast<Sum>(src[i * from]);
    w.advance(n);
  }
}

}  // namespace

void as_strided_add_kernel(const Task& task) {
  const auto& p = task.params.get<StridedParams>();
  const array &x = task.in[0], &out = task.out[0];
  dispatch(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      std::vector<float> sums(static_cast<size_t>(p.n));
      add_windows<T>(p, x, sums.data());
      for (int64_t i = 0; i < p.n; ++i) out.data<T>()[i] = T(sums[static_cast<size_t>(i)]);
    } else if constexpr (!std::is_integral_v<T>) {
      add_windows<T>(p, x, out.data<T>());
    }
  });
}

}  // namespace mx::cpu
