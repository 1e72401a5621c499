// format.h — arrays as text, as Python shows them: `array([1, 2.5], dtype=float32)`.
#pragma once

#include <ostream>
#include <string>

#include "graph/array.h"

namespace mx {

struct PrintOptions {
  /// Digits after the decimal point; negative: up to six significant digits, without trailing zeros.
  int precision = -1;
};

PrintOptions print_options();
void set_print_options(PrintOptions options);

/// Evaluates. Axes longer than six are shown by their first and last three elements. An array that is being
/// traced has no value: its shape and dtype are shown.
std::string str(const array& a);
std::ostream& operator<<(std::ostream& out, const array& a);

}  // namespace mx
