// matrix_view.h — matrices that lie anywhere, as the kernels built on gemm.h pass them about.
#pragma once

#include "backend/cpu/gemm.h"
#include "backend/cpu/gemm_pack.h"
#include "backend/cpu/strided.h"
#include "runtime/backend.h"

namespace mx::cpu {

/// A matrix with any strides (in elements).
template <class S>
struct View {
  const S* data = nullptr;
  int64_t row = 0, col = 1;
};

/// Matrices `step` elements apart.
template <class S>
struct Stack {
  View<S> first;
  int64_t step = 0;
  View<S> operator[](int64_t i) const { return {first.data + i * step, first.row, first.col}; }
};

/// The last three axes of x, from element `offset` on.
template <class S>
Stack<S> stack_of(const array& x, int64_t offset = 0) {
  size_t d = x.shape().size();
  const Strides& s = x.strides();
  return {{x.data<S>() + offset, s[d - 2], s[d - 1]}, s[d - 3]};
}
/// The last two axes.
template <class S>
View<S> matrix_of(const array& x, int64_t offset = 0) {
  size_t d = x.shape().size();
  return {x.data<S>() + offset, x.strides()[d - 2], x.strides()[d - 1]};
}

/// out (m, n) = alpha · a · b + addend; `addend` has out's rows, or is null.
template <class S>
void product(int64_t m, int64_t n, int64_t k, View<S> a, View<S> b, S* out, int64_t out_row, const S* addend = nullptr,
             Accumulator<S> alpha = 1) {
  gemm(Gemm<S>{.m = m,
               .n = n,
               .k = k,
               .a = a.data,
               .a_row = a.row,
               .a_col = k == 1 ? 1 : a.col,
               .b = b.data,
               .b_row = b.row,
               .b_col = n == 1 ? 1 : b.col,
               .out = out,
               .out_row = out_row,
               .alpha = alpha,
               .beta = addend ? Accumulator<S>(1) : Accumulator<S>(0),
               .c = addend,
               .c_row = out_row,
               .c_col = 1});
}

/// Copies `from` (rows, cols), scaled, to contiguous rows `to_row` apart.
template <class S, class P>
void pack(View<S> from, int64_t rows, int64_t cols, P* to, int64_t to_row, Accumulator<P> scale = 1) {
  // One of the two is what products of the other are summed in.
  constexpr bool widens = std::is_same_v<P, Accumulator<S>>, narrows = std::is_same_v<S, Accumulator<P>>;
  for (int64_t i = 0; i < rows; ++i) {
    const S* x = from.data + i * from.row;
    P* y = to + i * to_row;
    if (from.col == 1 && (scale == 1 || widens)) {
      if constexpr (widens) {
        widen(x, y, cols);
        if (scale != 1) {
          for (int64_t j = 0; j < cols; ++j) y[j] *= scale;
        }
      } else if constexpr (narrows) {
        narrow(x, y, cols);
      } else {
        for (int64_t j = 0; j < cols; ++j) y[j] = static_cast<P>(x[j]);
      }
    } else if (scale != 1) {
      for (int64_t j = 0; j < cols; ++j) y[j] = static_cast<P>(scale * static_cast<Accumulator<P>>(x[j * from.col]));
    } else {
      for (int64_t j = 0; j < cols; ++j) y[j] = static_cast<P>(x[j * from.col]);
    }
  }
}

/// The batch axes of all inputs, which come before the first input's last `n_inner`.
inline Layout batch_layout(const Task& task, int64_t n_inner) {
  const Shape& shape = task.in[0].shape();
  int64_t n_batch = static_cast<int64_t>(shape.size()) - n_inner;
  SmallVector<Strides, 5> strides;
  SmallVector<const Strides*, 5> operands;
  for (const array& x : task.in) strides.push_back({x.strides().begin(), x.strides().begin() + n_batch});
  for (const Strides& s : strides) operands.push_back(&s);
  return collapse({shape.begin(), shape.begin() + n_batch}, operands);
}

/// Calls f(TypeTag<S>()) for a real floating dtype.
template <class F>
void in_float_type(Dtype t, F&& f) {
  switch (t) {
    case Dtype::float16: return f(TypeTag<float16_t>());
    case Dtype::bfloat16: return f(TypeTag<bfloat16_t>());
    case Dtype::float64: return f(TypeTag<double>());
    default: return f(TypeTag<float>());
  }
}

}  // namespace mx::cpu
