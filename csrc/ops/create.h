// create.h — new arrays: constants, ranges, identity and triangular matrices, windows.
//
// zeros, ones and full are one scalar seen through a broadcast: they take no memory until something copies them.
// Shapes with negative sizes are a ValueError. Random arrays are in random.h.
#pragma once

#include <concepts>

#include "graph/array.h"

namespace mx {

/// `value` broadcast to `shape`, cast to `dtype` if one is given. Gradients reach `value`.
array full(const Shape& shape, const array& value, Dtype dtype);
array full(const Shape& shape, const array& value);
template <class V>
  requires std::is_arithmetic_v<V>
array full(const Shape& shape, V value, Dtype dtype) {
  return full(shape, array(value, dtype));
}
array zeros(const Shape& shape, Dtype dtype = Dtype::float32);
array ones(const Shape& shape, Dtype dtype = Dtype::float32);
/// The same with the shape, and if not given the dtype, of `a`.
array full_like(const array& a, const array& value);
array full_like(const array& a, const array& value, Dtype dtype);
array zeros_like(const array& a);
array zeros_like(const array& a, Dtype dtype);
array ones_like(const array& a);
array ones_like(const array& a, Dtype dtype);

/// start, start + step, ... before `stop`. Element i is computed as start + i * step in float64 and rounded once to
/// `dtype`. Throws ValueError for step 0 or a bound that is not finite, OverflowError for too many elements.
array arange(double start, double stop, double step, Dtype dtype);
/// The same in exact integers; dtype int32 if all elements fit it, else int64.
array arange_int(int64_t start, int64_t stop, int64_t step);
array arange_int(int64_t start, int64_t stop, int64_t step, Dtype dtype);

template <std::integral A, std::integral B = A, std::integral C = A>
array arange(A start, B stop, C step = 1) {
  return arange_int(static_cast<int64_t>(start), static_cast<int64_t>(stop), static_cast<int64_t>(step));
}
template <std::integral A, std::integral B = A, std::integral C = A>
array arange(A start, B stop, C step, Dtype dtype) {
  return arange_int(static_cast<int64_t>(start), static_cast<int64_t>(stop), static_cast<int64_t>(step), dtype);
}
template <std::integral A>
array arange(A stop) {
  return arange_int(0, static_cast<int64_t>(stop), 1);
}
template <std::integral A>
array arange(A stop, Dtype dtype) {
  return arange_int(0, static_cast<int64_t>(stop), 1, dtype);
}

/// `num` evenly spaced numbers from `start` to `stop`, the latter included if `endpoint`.
array linspace(double start, double stop, int64_t num = 50, bool endpoint = true, Dtype dtype = Dtype::float32);

/// (n, m) with ones on diagonal k.
array eye(int64_t n, int64_t m, int64_t k = 0, Dtype dtype = Dtype::float32);
array identity(int64_t n, Dtype dtype = Dtype::float32);
/// (n, m) with ones on and below diagonal k.
array tri(int64_t n, int64_t m, int64_t k = 0, Dtype dtype = Dtype::float32);
/// The matrices in the last two axes with zeros above (tril) or below (triu) diagonal k.
array tril(const array& a, int64_t k = 0);
array triu(const array& a, int64_t k = 0);

/// Windows of m points, symmetric, float32. m < 1 gives no points; m = 1 gives (1.0,).
array hanning(int64_t m);
array hamming(int64_t m);
array blackman(int64_t m);
array bartlett(int64_t m);

}  // namespace mx
