// ternary.h — one function per row of ops/ternary.def.
#pragma once

#include "scalar/math.h"

namespace mx::scalar {

template <class T>
MX_FN T select(bool condition, T x, T y) {
  return condition ? x : y;
}

}  // namespace mx::scalar
