// elementwise.metal — the rows of csrc/ops/*.def, astype, to_fp8 and from_fp8 over arrays of any layout: unary_<dtype>[_<result>],
// binary_..., select_<bits>, cast_<dtype>, to_fp8_<dtype>, from_fp8_<dtype>. One kernel for each element type (and another type of result); the op code is a function constant.
//
// Without `strided`, operands are contiguous or, where the constant says so, one element for all; a thread takes kRun elements. With it, a
// layout of all inputs is walked (strided.h), the output being in row order. An output may lie in the memory of an input of its layout.
// plan/elementwise.cpp launches these.

#include "rows.h"
#include "small_floats.h"
#include "strided.h"

constant int op [[function_constant(0)]];
constant bool strided [[function_constant(1)]];
constant bool single_a [[function_constant(2)]];
constant bool single_b [[function_constant(3)]];
constant bool single_c [[function_constant(4)]];

constant constexpr uint kRun = 4;

// Runs `DO`, which says what becomes of element i of the output, for all elements of a thread; in[k] is where operand k is.
#define EACH_ELEMENT(N, DO)                                                                                               \
  if (!strided) {                                                                                                         \
    ulong begin = linear_index(at, grid) * kRun;                                                                          \
    for (ulong i = begin; i < begin + kRun && i < n; ++i) {                                                               \
      const ulong in[3] = {single_a ? 0 : i, single_b ? 0 : i, single_c ? 0 : i};                                         \
      DO;                                                                                                                 \
    }                                                                                                                     \
    return;                                                                                                               \
  }                                                                                                                       \
  long width = layout_size(layout, 0), height = layout_size(layout, 1);                                                   \
  ulong rest = layout_rest(layout);                                                                                       \
  for (ulong z = at.z; z < rest; z += grid.z) {                                                                           \
    for (long y = at.y; y < height; y += grid.y) {                                                                        \
      Offsets<N> o = row_offsets<N>(layout, z, y);                                                                        \
      for (long x = at.x; x < width; x += grid.x) {                                                                       \
        ulong i = (z * ulong(height) + ulong(y)) * ulong(width) + ulong(x);                                               \
        long in[N];                                                                                                       \
        for (int k = 0; k < N; ++k) in[k] = o.at[k] + x * layout_stride(layout, k, 0);                                    \
        DO;                                                                                                               \
      }                                                                                                                   \
    }                                                                                                                     \
  }

template <class T, class R>
[[kernel]] void unary(
    device const T* a [[buffer(0)]],
    device R* out [[buffer(1)]],
    constant ulong& n [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(1, out[i] = R(apply_unary<Compute<R>>(op, widen(a[in[0]]))))
}

template <class T, class R>
[[kernel]] void binary(
    device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device R* out [[buffer(2)]],
    constant ulong& n [[buffer(3)]],
    constant long* layout [[buffer(4), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(2, out[i] = R(apply_binary<Compute<R>>(op, widen(a[in[0]]), widen(b[in[1]]))))
}

template <class T>
[[kernel]] void select_bits(
    device const bool* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device const T* c [[buffer(2)]],
    device T* out [[buffer(3)]],
    constant ulong& n [[buffer(4)]],
    constant long* layout [[buffer(5), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(3, out[i] = mx::scalar::select(a[in[0]], b[in[1]], c[in[2]]))
}

#define UNARY_KERNEL(T, NAME) INSTANTIATE("unary_" NAME, unary, T, T)
FOR_ALL_TYPES(UNARY_KERNEL)
#define UNARY_BOOL_KERNEL(T, NAME) INSTANTIATE("unary_" NAME "_bool", unary, T, bool)
FOR_INTEGERS(UNARY_BOOL_KERNEL)
FOR_REALS(UNARY_BOOL_KERNEL)
UNARY_BOOL_KERNEL(complex64, "complex64")
INSTANTIATE("unary_complex64_float32", unary, complex64, float)

#define BINARY_KERNEL(T, NAME) INSTANTIATE("binary_" NAME, binary, T, T)
FOR_ALL_TYPES(BINARY_KERNEL)
#define BINARY_BOOL_KERNEL(T, NAME) INSTANTIATE("binary_" NAME "_bool", binary, T, bool)
FOR_INTEGERS(BINARY_BOOL_KERNEL)
FOR_REALS(BINARY_BOOL_KERNEL)
BINARY_BOOL_KERNEL(complex64, "complex64")

INSTANTIATE("select_uint8", select_bits, uchar)
INSTANTIATE("select_uint16", select_bits, ushort)
INSTANTIATE("select_uint32", select_bits, uint)
INSTANTIATE("select_uint64", select_bits, ulong)

// Of a cast `op` is the dtype of the result.
template <class T>
[[kernel]] void cast(
    device const T* a [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant ulong& n [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(1, store_as(op, out, i, a[in[0]]))
}

#define CAST_KERNEL(T, NAME) INSTANTIATE("cast_" NAME, cast, T)
FOR_ALL_TYPES(CAST_KERNEL)

// ---- numbers of 8 bits (e4m3). 448 is the largest; NaN becomes it, too.

template <class T>
[[kernel]] void to_fp8(
    device const T* a [[buffer(0)]],
    device uchar* out [[buffer(1)]],
    constant ulong& n [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(1, out[i] = to_e4m3(float(a[in[0]])))
}
template <class T>
[[kernel]] void from_fp8(
    device const uchar* a [[buffer(0)]],
    device T* out [[buffer(1)]],
    constant ulong& n [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  EACH_ELEMENT(1, out[i] = T(from_e4m3(a[in[0]])))
}

#define FP8_KERNELS(T, NAME)              \
  INSTANTIATE("to_fp8_" NAME, to_fp8, T)  \
  INSTANTIATE("from_fp8_" NAME, from_fp8, T)
FOR_REALS(FP8_KERNELS)
