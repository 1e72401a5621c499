// rows.h — how kernels that work on rows share them out: teams of threads, as in metal/kernels/lanes.h.
#pragma once

#include "backend/metal/plan/layout.h"

namespace mx::metal {

/// The teams for rows of a length: `width` neighbouring threads each, or with `columns` 8 that are 32 apart.
struct Teams {
  uint32_t width, group;  ///< Threads of a team and of a threadgroup.
  uint64_t n_groups;
  Grid grid;
};
Teams make_teams(uint64_t n_rows, uint64_t length, bool columns);

/// The axes of an array but the last, not reordered: elements in row order are its rows.
Layout leading_layout(const array& first, std::initializer_list<const array*> others);

}  // namespace mx::metal
