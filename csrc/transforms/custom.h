// custom.h — functions with rules given by the user.
#pragma once

#include <memory>

#include "transforms/function.h"
#include "transforms/vmap.h"

namespace mx {

/// The user's rules; each may be empty. Then the function itself is transformed, or (jvp from vjp, vjp from
/// jvp) the other rule transposed.
struct CustomRules {
  std::string name = "custom_function";
  /// (primals, cotangents, outputs) -> one cotangent per primal.
  std::function<Arrays(const Arrays&, const Arrays&, const Arrays&)> vjp = {};
  /// (primals, tangents) -> one tangent per output.
  std::function<Arrays(const Arrays&, const Arrays&)> jvp = {};
  /// (inputs, axes) -> outputs and their axes.
  std::function<std::pair<Arrays, BatchAxes>(const Arrays&, const BatchAxes&)> vmap = {};
};

/// Calls `f` under `rules`. Arrays that `f` captures are differentiated as usual.
Arrays custom_function(const Function& f, std::shared_ptr<const CustomRules> rules, const Arrays& inputs);

struct CustomParams {
  std::shared_ptr<const CustomRules> rules;
  int n_args;
  auto fields() const { return std::tie(rules, n_args); }
};
extern const Primitive custom_p;

}  // namespace mx
