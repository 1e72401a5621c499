// stack.h — an output that a loop fills row by row while it runs.
#pragma once

#include "ops/cast_params.h"
#include "ops/create.h"
#include "runtime/runner.h"

namespace mx {

class Stack {
 public:
  /// `all`: the type of the whole. Not `wanted`: nothing is kept.
  Stack(const Type& all, bool wanted) : type_(all), wanted_(wanted) {
    if (!wanted) return;
    row_size_ = n_elems(without_axis(type_.shape, 0));
    BufferRef buffer = device().allocator().allocate(static_cast<size_t>(n_elems(type_.shape)) * size_of(type_.dtype));
    rows_ = array::wrap(std::move(buffer), type_);
  }
  /// Has the runner compute its output k into row i.
  void expect(Runner& runner, size_t k, int64_t i) const {
    if (wanted_) runner.place(k, rows_.storage().buffer, i * row_size_);
  }
  /// Row i becomes `row`; nothing is to be done if it was computed there.
  void put(const array& row, int64_t i) {
    const Storage& s = row.storage();
    if (!wanted_ || (s.buffer == rows_.storage().buffer && s.offset == i * row_size_)) return;
    copy(row, {type_.dtype, row.shape()}, i);
  }
  /// Rows from i on become zeros.
  void clear_from(int64_t i) {
    if (!wanted_ || i >= type_.shape[0]) return;
    Type rest = type_;
    rest.shape[0] -= i;
    array zero(0, type_.dtype);
    copy(array::wrap(zero.storage().buffer, rest, 0, Strides(rest.shape.size(), 0)), rest, i);
  }
  /// `value`, or a copy if it is one of the rows: it would keep them all alive.
  array apart(const array& value) const {
    if (!wanted_ || value.storage().buffer != rows_.storage().buffer) return value;
    Stack one({value.dtype(), with_axis(value.shape(), 1)}, true);
    one.put(value, 0);
    return array::wrap(one.rows_.storage().buffer, value.type());
  }
  /// Undefined if not wanted.
  const array& rows() const { return rows_; }

 private:
  static Backend& device() { return backend(current_stream().device.kind); }
  void copy(const array& from, Type type, int64_t i) {
    array to = array::wrap(rows_.storage().buffer, std::move(type), i * row_size_);
    static const Params always = ContiguousParams{false, true};
    device().run({contiguous_p, always, {&from, 1}, {&to, 1}}, current_stream());
  }

  Type type_;
  bool wanted_;
  int64_t row_size_ = 0;
  array rows_;
};

}  // namespace mx
