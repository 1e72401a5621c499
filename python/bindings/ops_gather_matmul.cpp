// ops_gather_matmul.cpp — products of chosen, masked or segmented matrices (ops/gather_matmul.h).

#include "bindings/bind.h"
#include "ops/gather_matmul.h"

namespace mx::python {

namespace {

// An index or mask must be an array already: a list is more likely a mistake.
std::optional<array> optional_array(const Args& a, int i) {
  if (a.is_none(i) || is_array(a.raw(i))) return a.opt_arr(i);
  throw py::type_error(cat(a.what(i), " is ", kind_of(a.raw(i)), "; need an array or None."));
}

}  // namespace

void bind_gather_matmul(py::module_& m) {
  def(m, "gather_mm(a, b, /, lhs_indices=None, rhs_indices=None, *, sorted_indices=False, stream=None)",
      R"(Multiply matrices that are chosen by index: `a[lhs_indices] @ b[rhs_indices]`, without copying them.

Indices point into the batch axes of an operand as if they were flattened. Without indices an operand's matrices are taken in
order. The two index arrays broadcast. Pairs that share a matrix of `b` are multiplied together, sorted or not.

Args:
    a (array): Shape (..., m, k), or (k,) for a row. Real floating.
    b (array): Shape (..., k, n), or (k,) for a column. Real floating.
    lhs_indices (array, optional): Integers of any shape, from -count to count - 1, with `count` the matrices in `a`.
    rhs_indices (array, optional): The same for `b`.
    sorted_indices (bool): Says that the indices are sorted; nothing depends on it here.

Returns:
    array: Shape (*indices, m, n), in the promoted dtype; float16 and bfloat16 are summed in float32.

Raises:
    ValueError: If the shapes do not fit.
    DtypeError: If the promoted dtype is not a real floating one, or indices are not integers.
    IndexError: If an index is out of bounds, when the result is computed.

Example:
    >>> experts = mx.array([[[1.0], [1.0]], [[2.0], [2.0]]])
    >>> tokens = mx.array([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
    >>> mx.gather_mm(tokens, experts, rhs_indices=mx.array([1, 0, 1])).tolist()
    [[[6.0]], [[7.0]], [[22.0]]]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return gather_mm(x, y, optional_array(a, 2), optional_array(a, 3), a.flag(4));
      });

  def(m, "block_masked_mm(a, b, /, block_size=64, mask_out=None, mask_lhs=None, mask_rhs=None, *, stream=None)",
      R"(Multiply matrices of which blocks are masked: `mask_out * ((mask_lhs * a) @ (mask_rhs * b))`.

A mask has one value for each block of block_size × block_size elements (blocks at the edge are smaller). Boolean masks keep or
drop a block, numbers scale it. A block whose mask is zero is not read: it counts as zeros whatever it holds.

Args:
    a (array): Shape (..., m, k), or (k,) for a row. Real floating.
    b (array): Shape (..., k, n), or (k,) for a column. Real floating.
    block_size (int): 32 or 64.
    mask_out (array, optional): Broadcasts to (..., ceil(m / block_size), ceil(n / block_size)).
    mask_lhs (array, optional): Broadcasts to (..., ceil(m / block_size), ceil(k / block_size)).
    mask_rhs (array, optional): Broadcasts to (..., ceil(k / block_size), ceil(n / block_size)).

Returns:
    array: Shape (..., m, n), in the promoted dtype of `a` and `b`.

Raises:
    ValueError: If the shapes do not fit, or block_size is neither 32 nor 64.
    DtypeError: If the promoted dtype is not a real floating one.

Example:
    >>> a = mx.ones((64, 64))
    >>> mx.block_masked_mm(a, a, 32, mask_lhs=mx.array([[True, False], [True, True]]))[::32, 0].tolist()
    [32.0, 64.0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return block_masked_mm(x, y, a.small(2), optional_array(a, 3), optional_array(a, 4), optional_array(a, 5));
      });

  def(m, "segmented_mm(a, b, /, segments, *, stream=None)",
      R"(Multiply pieces of the inner dimension one by one: `a[:, begin:end] @ b[begin:end]` for each segment.

Args:
    a (array): Shape (m, k). Real floating.
    b (array): Shape (k, n). Real floating.
    segments (array): Integers of shape (..., 2): where each segment begins and ends. Segments may overlap or leave gaps.
        They are cut to [0, k]; one that ends before it begins is empty, and gives zeros.

Returns:
    array: Shape (..., m, n), in the promoted dtype of `a` and `b`.

Raises:
    ValueError: If the operands are no matrices that fit, or segments are not pairs.
    DtypeError: If the promoted dtype is not a real floating one, or segments are not integers.

Example:
    >>> a, b = mx.ones((1, 5)), mx.ones((5, 1))
    >>> mx.segmented_mm(a, b, mx.array([[0, 2], [2, 5]])).flatten().tolist()
    [2.0, 3.0]
)",
      [](const Args& a) {
        auto [x, y] = a.arr_pair(0, 1);
        return segmented_mm(x, y, a.arr(2));
      });
}

}  // namespace mx::python
