// scan_blocks.h — running sums and extremes of one long row of numbers of 4 or 8 bytes.
//
// Blocks of a fixed size are scanned on several threads, each from its own start; then what came before a block is added
// to all of it. So results depend neither on the number of threads nor on the processor.
#pragma once

#include <cstdint>

namespace mx::cpu {

/// Inclusive; `in` and `out` point at the lowest address, also of a row that is scanned backwards.
using RowScan = void (*)(const void* in, void* out, int64_t n, bool backwards);

template <class T>
void scan_sums(const void* in, void* out, int64_t n, bool backwards);
/// A NaN is better than anything.
template <class T, bool Max>
void scan_extremes(const void* in, void* out, int64_t n, bool backwards);

}  // namespace mx::cpu
