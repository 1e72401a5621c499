// fused.h — plans of fused programs (compile/program.h). Three ways, with the same results: printed as Metal source (fused_source.h),
// which the driver compiles once; by the interpreter of the library (metal/kernels/fused.metal), for programs without rows; or instruction
// by instruction, with kernels of the library. A program's first run takes one of the latter two; so do all where sources
// are not allowed.
#pragma once

#include <span>

#include "backend/metal/plan/copy.h"
#include "backend/metal/plan/planners.h"
#include "compile/program.h"

namespace mx::metal {

enum class FusedWay : uint8_t { automatic, source, interpreter, instructions };

/// From now on, for all programs. Without it: what $MXFORM_METAL_FUSED says (its names here), else `automatic`, and
/// `interpreter` on the host double.
void set_fused_way(FusedWay way);
FusedWay fused_way();

bool plan_fused(const Task& task, Plan& plan);

/// A call as the ways see it.
struct FusedCall {
  const Program& program;
  Shape whole;
  std::vector<Place> inputs;   ///< With strides over the whole shape, 0 along axes that they lack.
  std::vector<Level> levels;   ///< Of all values.
  std::span<const array> out;
  int64_t n_rows = 1, length = 1;

  /// The shape of values of a level, with ones for what is missing.
  Shape shape_of(Level level) const;
};

}  // namespace mx::metal
