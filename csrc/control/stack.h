// stack.h — an output that a loop fills row by row while it runs.
#pragma once

#include "ops/create.h"
#include "ops/movement.h"

namespace mx {

class Stack {
 public:
  /// `all`: the type of the whole. Not `wanted`: nothing is kept.
  Stack(const Type& all, bool wanted) : type_(all), wanted_(wanted) {
    if (wanted_) rows_ = zeros(type_.shape, type_.dtype);
  }
  /// Row i becomes `row`. The memory is reused: nobody else holds the rows.
  void put(const array& row, int64_t i) {
    if (!wanted_) return;
    Shape start(type_.shape.size(), 0), stop = type_.shape;
    start[0] = i;
    stop[0] = i + 1;
    array before = std::move(rows_);
    rows_ = slice_update(std::move(before), expand_dims(row, 0), start, stop);
  }
  /// Appends what must be evaluated.
  void add_to(Arrays& pending) const {
    if (wanted_) pending.push_back(rows_);
  }
  /// Undefined if not wanted.
  const array& rows() const { return rows_; }

 private:
  Type type_;
  bool wanted_;
  array rows_;
};

}  // namespace mx
