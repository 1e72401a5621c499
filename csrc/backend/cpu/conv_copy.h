// conv_copy.h — short lines copied many at a time, for the patches of convolutions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mx::cpu {

/// Copies `lines` lines of n bytes, `from_step` and `to_step` bytes apart.
void copy_lines(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t lines, int64_t n);

}  // namespace mx::cpu
