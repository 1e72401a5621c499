// jacobian.h — whole Jacobians and Hessians, and Hessian-vector products.
//
// A Jacobian is its linear map applied to each vector of the standard basis: the function runs once, its derivative
// once for a batch of them. Forward mode takes the basis of the inputs, reverse mode that of the outputs.
#pragma once

#include <optional>
#include <utility>

#include "transforms/function.h"

namespace mx {

struct Jacobian {
  Arrays outputs;
  /// `blocks[k][i]`: the shape of output k followed by that of primal i.
  std::vector<Arrays> blocks;
};

/// The Jacobian by forward mode, for few inputs. `chunk_size`: how many basis vectors at a time, to bound memory.
/// Complex primals: the derivative of a holomorphic function. Throws TransformError unless primals and outputs are floating
/// or complex. Blocks have the dtype of the output.
Jacobian jacfwd(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size = {});

/// The Jacobian by reverse mode, for few outputs. Blocks have the dtype of the primal; a complex output of real primals
/// has no such block and throws too.
Jacobian jacrev(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size = {});

/// The gradients (as `outputs`) and second derivatives of `f`, whose first output is a real scalar.
Jacobian hessian(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size = {});

/// The outputs of `f`, whose first is a real scalar, and its Hessian times `tangents` (undefined: zero), by forward over
/// reverse mode: a few times the cost of `f`.
std::pair<Arrays, Arrays> hvp(const Function& f, const Arrays& primals, const Arrays& tangents);

}  // namespace mx
