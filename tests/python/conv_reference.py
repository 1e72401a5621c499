"""conv_reference.py — convolution by its definition, in NumPy: one product for each element of the kernel.

Shapes as in mxform: input (N, ..., C_in), weight (C_out, ..., C_in / groups).
"""

import itertools

import numpy as np


def each(value, n):
    """One number for each of n axes."""
    value = list(value) if isinstance(value, (list, tuple)) else [value]
    return value * n if len(value) == 1 else value


def both_sides(padding, n):
    if isinstance(padding, (list, tuple)) and len(padding) == 2 and all(isinstance(p, (list, tuple)) for p in padding):
        return each(padding[0], n), each(padding[1], n)
    return each(padding, n), each(padding, n)


def spread(x, dilation):
    """Zeros between the elements of the spatial axes."""
    sizes = [max(0, (size - 1) * d + 1) for size, d in zip(x.shape[1:-1], dilation)]
    out = np.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    out[(slice(None), *(slice(None, None, d) for d in dilation))] = x
    return out


def padded(x, low, high):
    """Zeros around the spatial axes; negative numbers cut."""
    x = x[(slice(None), *(slice(max(0, -lo), size - max(0, -hi)) for lo, hi, size in zip(low, high, x.shape[1:-1])))]
    return np.pad(x, [(0, 0), *((max(0, lo), max(0, hi)) for lo, hi in zip(low, high)), (0, 0)])


def conv(x, w, stride=1, padding=0, kernel_dilation=1, input_dilation=1, groups=1, flip=False):
    n = x.ndim - 2
    stride, kernel_dilation, input_dilation = each(stride, n), each(kernel_dilation, n), each(input_dilation, n)
    if flip:
        w = np.flip(w, tuple(range(1, n + 1)))
    x = padded(spread(x, input_dilation), *both_sides(padding, n))
    kernel = w.shape[1:-1]
    sizes = [(s - d * (k - 1) - 1) // st + 1 for s, k, st, d in zip(x.shape[1:-1], kernel, stride, kernel_dilation)]
    out = np.zeros((x.shape[0], *sizes, w.shape[0]), np.result_type(x, w))
    c_in, c_out = x.shape[-1] // groups, w.shape[0] // groups
    for tap in itertools.product(*map(range, kernel)):
        places = tuple(slice(k * d, k * d + (o - 1) * s + 1, s) for k, d, o, s in zip(tap, kernel_dilation, sizes, stride))
        seen = x[(slice(None), *places)]
        for g in range(groups):
            weights = w[(slice(g * c_out, (g + 1) * c_out), *tap)]
            out[..., g * c_out:(g + 1) * c_out] += seen[..., g * c_in:(g + 1) * c_in] @ weights.T
    return out


def conv_transpose(x, w, stride=1, padding=0, dilation=1, output_padding=0, groups=1):
    n = x.ndim - 2
    low = [d * (k - 1) - p for d, k, p in zip(each(dilation, n), w.shape[1:-1], each(padding, n))]
    high = [lo + o for lo, o in zip(low, each(output_padding, n))]
    return conv(x, w, 1, (low, high), dilation, stride, groups, True)
