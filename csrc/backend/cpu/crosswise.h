// crosswise.h — elementwise work on operands of which some lie across the others: transposed ones, or columns of one
// matrix that are operands of their own. They are turned block by block, so that every cache line is read once.
#pragma once

#include <functional>
#include <span>

#include "backend/cpu/strided.h"

namespace mx::cpu {

struct CrossOperand {
  std::byte* base;
  int64_t itemsize;
  Strides strides;  ///< Of the whole shape; zeros for a scalar.
};

class Crosswise {
 public:
  /// `operands`: inputs, then `n_out` row-contiguous outputs; they must live on. With `scalars`, of inputs that are one element
  /// everywhere one is given to the body.
  Crosswise(const Shape& shape, std::span<const CrossOperand> operands, size_t n_out, bool scalars);

  /// Whether some input can be turned; otherwise a Reader for each does as well.
  bool pays() const { return pays_; }

  /// Calls body(in, out, n) for pieces of the elements: n that lie side by side in every operand but scalars. On several threads; `grain` elements are worth one. `after` is called by each thread when it is done.
  using Body = std::function<void(const void* const* in, void* const* out, int64_t n)>;
  void run(int64_t grain, const Body& body, const std::function<void()>& after = {}) const;

 private:
  enum class Way : uint8_t { direct, scalar, turned, column, gathered };
  struct Input {
    Way way;
    int64_t room = 0;    ///< In scratch memory, in bytes for each element of a tile.
  };

  struct Columns {
    size_t first;        ///< The input that is the first column.
    size_t begin;        ///< In `members_`: all of them, in order.
    int n;
  };

  void find_ways();
  void find_columns();
  void turn(size_t k, const std::byte* from, int64_t rows, int64_t cols, int64_t col_step, std::byte* to) const;
  void run_block(int64_t unit, std::byte* room, std::byte** at, const Body& body) const;

  std::span<const CrossOperand> operands_;
  size_t n_in_;
  bool scalars_;
  Layout all_, outer_;
  SmallVector<Input, 8> inputs_;
  SmallVector<Columns, 2> columns_;
  SmallVector<size_t, 8> members_;
  bool pays_ = false;
  int64_t rows_ = 1, cols_ = 1;     ///< The last two dimensions.
  int64_t high_ = 1, wide_ = 64;    ///< Of a block.
  int64_t room_ = 0;                ///< Bytes for each element of a row of a block.
};

}  // namespace mx::cpu
