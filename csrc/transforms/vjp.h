// vjp.h — reverse mode.
#pragma once

#include <utility>

#include "transforms/function.h"

namespace mx {

/// Outputs of `f` at `primals`, and the cotangents of the primals for `cotangents` of the outputs (one each,
/// same shapes; an undefined one is a zero). Throws TransformError on a mismatch.
std::pair<Arrays, Arrays> vjp(const Function& f, const Arrays& primals, const Arrays& cotangents);

/// The value and gradient of `f` whose first output is a scalar, with respect to the inputs `argnums`.
/// Further outputs are returned as they are.
std::pair<Arrays, Arrays> value_and_grad(const Function& f, const Arrays& primals, const std::vector<int>& argnums);

/// The gradient function: `grad(f)(x)` for a scalar function of arrays, with respect to `argnum`.
Function grad(Function f, int argnum = 0);

/// Cotangents of `sources` (markers made since `since`) for cotangents of `outputs`; undefined: zero.
Arrays pull(const Arrays& outputs, const Arrays& cotangents, const Arrays& sources, uint64_t since);

}  // namespace mx
