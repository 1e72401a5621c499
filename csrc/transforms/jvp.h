// jvp.h — forward mode.
#pragma once

#include <utility>

#include "transforms/function.h"

namespace mx {

/// Outputs of `f` at `primals`, and their directional derivatives along `tangents` (same shapes and dtypes as
/// the primals; an undefined tangent is a zero). Throws TransformError on a mismatch.
std::pair<Arrays, Arrays> jvp(const Function& f, const Arrays& primals, const Arrays& tangents);

/// Tangents of `outputs` when `sources` (markers made since `since`) move along `tangents`; undefined: zero.
Arrays push(const Arrays& outputs, const Arrays& sources, const Arrays& tangents, uint64_t since);

}  // namespace mx
