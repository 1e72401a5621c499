// fused_plan.h — how a program is run: its instructions cut into passes over the elements of rows, and phases over the rows
// between them. A reduction ends in the pass that computes its operand; the phase before the next pass works with the results.
//
// Phase 0, pass 0, phase 1, pass 1, ..., phase P. Full values that a later pass needs are computed there once more if that
// is cheap, else kept. Passes and phases are LoopBody values, which the code generator or the tile interpreter runs.
#pragma once

#include "backend/cpu/loop_body.h"

namespace mx::cpu {

/// How rows are passed.
enum class RowMode : uint8_t {
  flat,      ///< No rows: elements are elements.
  blocks,    ///< A few rows at a time, which stay in cache for all passes.
  tiny,      ///< Many short rows as one run of elements: per-row values are repeated, reductions are made afterwards.
  pieces,    ///< Long rows: each pass goes over all elements in pieces. Nothing is kept.
};

/// A place that a pass reads or writes.
struct PlanPlace {
  enum Kind : uint8_t {
    input,   ///< Of the program.
    output,  ///< Of the program.
    slot,    ///< A value per row.
    kept,    ///< A full value kept for later passes.
    column,  ///< A column reduction's results so far.
    staged,  ///< tiny: the elements that a reduction is made of.
  };
  Kind kind;
  uint16_t index;
};

struct Pass {
  LoopBody body;
  std::vector<PlanPlace> in, out;
  std::vector<uint16_t> reduced;  ///< Slots; as many as body.reduced (tiny: as `staged`).
  struct Staged {
    Reduction op;
    Dtype dtype;
  };
  std::vector<Staged> staged;     ///< tiny: the reductions, whose elements are written instead.
  std::shared_ptr<const LoopCode> code;

  bool empty() const { return out.empty() && reduced.empty(); }
};

struct RowPlan {
  std::vector<Pass> phases, passes;  ///< One phase more than passes.
  struct Slot {
    Dtype dtype;
    int home;      ///< The output whose memory it is, or -1.
  };
  std::vector<Slot> slots;
  std::vector<Dtype> kept;
  struct Column {
    Reduction op;
    Dtype work;    ///< In which it is combined.
    uint16_t output;
  };
  std::vector<Column> columns;
  /// Of each input: the last pass that reads it, -1 if only phases do. Of each output: the first pass that writes it, -1: a phase.
  std::vector<int> last_read, first_written;
  double cost = 0;    ///< Nanoseconds an element, roughly, for all passes.
  int most_operands = 0;  ///< Of a pass or phase: the longest list.
};

/// `levels` of the inputs as the arrays are: a broadcast may be of a lower level than the program says. `stream` is for
/// each output whether it is written past the caches.
RowPlan plan_rows(const Program& program, const std::vector<Level>& levels, const std::vector<bool>& stream, RowMode mode);

/// Nanoseconds an element, roughly, of one operation.
double cost_of(const Instr& instr);

}  // namespace mx::cpu
