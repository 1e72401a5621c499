"""Comparisons that several test files share."""

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


def must_fail(call, text, kind=mx.TransformError):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value), str(caught.value)
