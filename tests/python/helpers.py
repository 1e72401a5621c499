"""Comparisons that several test files share."""

import numpy as np
import pytest

import mxform as mx


def same(got, need):
    """Equal structure, values and dtypes."""
    leaves, structure = mx.tree_flatten(got)
    need_leaves, need_structure = mx.tree_flatten(need)
    assert structure == need_structure, (structure, need_structure)
    for a, b in zip(leaves, need_leaves):
        if isinstance(b, (int, float)) and isinstance(a, mx.array):
            assert a.shape == () and abs(a.item() - b) < 1e-5 * max(1, abs(b)), (got, need)
        elif isinstance(b, mx.array):
            assert a.dtype == b.dtype and a.shape == b.shape and mx.allclose(a, b, rtol=1e-5, atol=1e-6).item(), (got, need)
        else:
            assert a == b, (got, need)
    return True


def agree(got, want):
    """Whether types are equal, and values but for the order in which sums are rounded: operations may be grouped anew."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    if not mx.issubdtype(got.dtype, mx.inexact):
        return np.array_equal(np.array(got), np.array(want))
    eps = mx.finfo(got.dtype).eps
    a, b = (np.array(x.astype(mx.complex64 if x.dtype == mx.complex64 else mx.float64)) for x in (got, want))
    largest = np.max(np.abs(b), initial=0, where=np.isfinite(b))
    return np.allclose(a, b, rtol=8 * eps, atol=8 * eps * largest, equal_nan=True)


def must_fail(call, text, kind=mx.TransformError):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value), str(caught.value)
