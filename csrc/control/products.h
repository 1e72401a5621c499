// products.h — sums that a loop adds up to from matrix products: one large product after the loop instead of a small one,
// and a pass over the sum, in every step. In reverse mode the gradients of weights are such sums.
#pragma once

#include "control/body.h"

namespace mx {

/// The sum over the steps of transpose(a) @ b (`transposed`) or a @ b.
struct SummedProduct {
  size_t carry;        ///< Which carry the sum was.
  bool transposed;
  size_t y;            ///< Which of the loop's ys stacks b.
  size_t a;            ///< Which of the xs (`from_x`) or of the ys is, or stacks, a.
  bool from_x;
};

/// Takes out of a traced step (inputs: carries, xs, perhaps the number) the carries from `first` on that begin at zero and
/// only have products added. Operands that are not among the xs and ys become further ys, if they need no more than a few
/// times the memory of the xs.
std::vector<SummedProduct> take_products(Traced& step, size_t n_carry, size_t n_x, size_t first);

/// The sum, from a and b stacked over the steps.
array summed_product(const SummedProduct& p, const array& a, const array& b);

}  // namespace mx
