// fused_source.h — fused programs as Metal source: the arithmetic of the elementwise kernels in one kernel for each structure.
#pragma once

#include "backend/metal/plan/fused.h"

namespace mx::metal {

/// Whether a call of the program can be printed: it needs not more buffers than there are, nor reductions in narrow integers.
bool fits_source(const FusedCall& call);

/// The source of a program's kernels, without the prelude: fused_contiguous and fused_strided, or fused_rows.
std::string source_of(const Program& program);

/// The launches of that source.
bool plan_source(const FusedCall& call, const std::string& source, Plan& plan);

}  // namespace mx::metal
