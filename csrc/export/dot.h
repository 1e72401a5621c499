// dot.h — a graph as a picture: Graphviz text.
#pragma once

#include <string>
#include <vector>

#include "graph/array.h"

namespace mx {

/// The graph above `outputs` that is not evaluated yet, in Graphviz's language: boxes for operations, ellipses for arrays.
/// Arrays in `names` carry their name, others letters.
std::string to_dot(const Arrays& outputs, const std::vector<std::pair<std::string, array>>& names = {});

/// A, B, ..., Z, AA, AB, ...: names for arrays.
std::string array_letters(size_t n);

}  // namespace mx
