// create.cpp — arange. Every element is computed from its index, so pieces on different threads agree exactly.

#include "backend/cpu/create.h"

#include "backend/cpu/pool.h"
#include "ops/create_params.h"

namespace mx::cpu {

namespace {

template <class T, class V>
T convert(V x) {
  if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t> || std::is_same_v<T, complex64_t>) {
    return T(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<V>) {
    // Out of range is undefined in C++: the nearest integer that fits, and 0 for NaN.
    if (x != x) return T(0);
    double low = static_cast<double>(std::numeric_limits<T>::min()), high = static_cast<double>(std::numeric_limits<T>::max());
    return x <= low ? std::numeric_limits<T>::min() : x >= high ? std::numeric_limits<T>::max() : static_cast<T>(x);
  } else {
    return static_cast<T>(x);
  }
}

template <class T>
void fill_range(const ArangeParams& p, T* out) {
  parallel_for(p.n, 16384, [&](int64_t begin, int64_t end) {
    if (p.exact) {
      // In unsigned arithmetic: small dtypes wrap, and nothing is undefined.
      uint64_t start = static_cast<uint64_t>(p.int_start), step = static_cast<uint64_t>(p.int_step);
      for (int64_t i = begin; i < end; ++i) out[i] = convert<T>(static_cast<int64_t>(start + static_cast<uint64_t>(i) * step));
    } else {
      for (int64_t i = begin; i < end; ++i) out[i] = convert<T>(p.start + static_cast<double>(i) * p.step);
      if (end == p.n) out[p.n - 1] = convert<T>(p.last);
    }
  });
}

}  // namespace

void arange_kernel(const Task& task) {
  const auto& p = task.params.get<ArangeParams>();
  dispatch(p.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool>) fill_range(p, task.out[0].data<T>());
  });
}

}  // namespace mx::cpu
