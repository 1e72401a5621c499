// effects_params.h — parameters of the operations with effects.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "graph/primitive.h"

namespace mx {

/// Is told the values of one example.
using Observer = std::function<void(const Arrays&)>;

/// debug_print: the first n_args inputs are told to the observer, once for each example: their leading axes are
/// `batch`. Further inputs are only waited for. The output is a token: bool, of shape `batch`.
struct ObserveParams {
  std::string text;  ///< What is printed, for those who read the program.
  std::shared_ptr<const Observer> observer;
  int n_args = 0;
  Shape batch;
  auto fields() const { return std::tie(text, observer, n_args, batch); }
};

/// with_effects: the first n_out inputs are passed on, the others are tokens.
struct EffectsParams {
  int n_out = 0;
  auto fields() const { return std::tie(n_out); }
};

extern const Primitive debug_print_p, with_effects_p;

}  // namespace mx
