// helpers.h — what several tests need: the elements of arrays as numbers, and how far arrays are apart.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "ops/cast.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "transforms/vmap.h"

namespace mx {

using Values = std::vector<double>;

/// All elements in row order, converted to T.
template <class T = double>
std::vector<T> values(const array& x) {
  array flat = contiguous(astype(x, dtype_of<T>()));
  flat.eval();
  return {flat.data<T>(), flat.data<T>() + flat.size()};
}

/// Element i in row order.
inline float at(const array& x, int64_t i) { return values<float>(x)[static_cast<size_t>(i)]; }

/// The largest difference between arrays, relative to the largest element of b if that is above 1.
inline double difference(const array& a, const array& b) {
  REQUIRE(a.shape() == b.shape());
  REQUIRE(a.dtype() == b.dtype());
  if (a.size() == 0) return 0;
  array x = astype(a, Dtype::float64), y = astype(b, Dtype::float64);
  return max(abs(x - y)).item<double>() / std::max(1.0, max(abs(y)).item<double>());
}

/// Normal numbers drawn in float32: the same in every dtype, up to rounding.
inline array normal(const Shape& shape, uint64_t seed, Dtype t = Dtype::float64) {
  return astype(random::normal(shape, Dtype::float32, random::key(seed)), t);
}

/// What kernels of floating numbers are tried with.
constexpr Dtype kFloating[] = {Dtype::float64, Dtype::float32, Dtype::float16, Dtype::bfloat16};

/// For vmap: every output has its batch axis in front.
inline BatchAxes front(size_t n) { return BatchAxes(n, 0); }

}  // namespace mx
