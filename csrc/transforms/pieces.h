// pieces.h — the sum of cotangents that meet at an array of which slices were taken.
#pragma once

#include "graph/array.h"

namespace mx {

/// sum + ct. Where both are slices put into zeros, and the slices do not overlap, `ct`'s is put into `sum` instead: n slices
/// of an array cost one pass over it and not n.
array sum_of_pieces(const array& sum, const array& ct);

/// Whether an array is zeros by the way it was made: nothing is computed to find out.
bool is_zeros(const array& a);

}  // namespace mx
