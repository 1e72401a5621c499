"""specs_conv.py — rows of convolutions; the reference is conv_reference.py."""

import numpy as np

import conv_reference
import mxform as mx
from specs import COMPLEX, FLOATS, C, a, row

INEXACT = FLOATS + COMPLEX


def conv(name, f, ref, *cases, **kw):
    kw.setdefault("dtypes", INEXACT)
    return row(name, f, ref, *cases, sums=True, ulp=8, **kw)


def transposed(name, f, *cases):
    return conv(name, f, conv_reference.conv_transpose, *cases, order=2)


def plain_reference(x, w, stride=1, padding=0, dilation=1, groups=1):
    return conv_reference.conv(x, w, stride, padding, dilation, 1, groups)


SPECS = [
    conv("conv1d", mx.conv1d, plain_reference, C(a(2, 5, 2), a(3, 3, 2)), C(a(1, 6, 2), a(2, 3, 2), stride=2, padding=1),
         C(a(1, 5, 4), a(4, 2, 2), groups=2, dilation=2), C(a(2, 4, 3), a(3, 3, 1), groups=3, padding=2), C(a(1, 3, 1), a(1, 1, 1)),
         C(a(0, 4, 2), a(3, 2, 2)), C(a(1, 4, 0), a(2, 3, 0)), C(a(1, 4, 2), a(0, 3, 2)), C(a(1, 0, 2), a(2, 3, 2), padding=2), order=3,
         big=[C(a(3, 700, 40), a(70, 5, 40), padding=2), C(a(2, 3000, 1), a(1, 9, 1)), C(a(2, 500, 33), a(33, 4, 1), groups=33, stride=2),
              C(a(1, 90, 600), a(3, 3, 600))]),
    conv("conv2d", mx.conv2d, plain_reference, C(a(1, 4, 3, 2), a(3, 2, 2, 2), padding=1), C(a(2, 5, 4, 1), a(2, 3, 2, 1), stride=(2, 1), padding=(1, 0)),
         C(a(1, 3, 4, 4), a(4, 2, 2, 2), groups=2, dilation=(1, 2)), C(a(1, 4, 4, 3), a(3, 3, 3, 1), groups=3, padding=1, stride=2),
         C(a(2, 3, 3, 2), a(2, 1, 1, 2), stride=3), C(a(1, 5, 5, 1), a(1, 2, 2, 1), padding=-1),
         big=[C(a(2, 20, 19, 35), a(50, 3, 3, 35), padding=1), C(a(2, 15, 17, 20), a(20, 3, 3, 1), groups=20, padding=1),
              C(a(2, 17, 15, 24), a(18, 3, 3, 4), groups=6, stride=2), C(a(1, 30, 31, 3), a(20, 7, 7, 3), stride=2, padding=3)]),
    conv("conv3d", mx.conv3d, plain_reference, C(a(1, 3, 2, 3, 2), a(2, 2, 1, 2, 2), padding=(1, 0, 1)),
         C(a(1, 3, 3, 2, 2), a(2, 2, 2, 2, 1), groups=2, stride=(2, 1, 1)), big=[C(a(2, 7, 6, 9, 10), a(17, 3, 3, 3, 10), padding=1)]),
    conv("conv_general", mx.conv_general, conv_reference.conv, C(a(2, 4, 2), a(2, 3, 2), stride=2, padding=([3], [1]), input_dilation=2, flip=True),
         C(a(1, 3, 4), a(4, 2, 2), groups=2, padding=([2], [-1]), input_dilation=3, kernel_dilation=2),
         C(a(1, 3, 2, 2), a(2, 2, 2, 1), groups=2, input_dilation=(2, 1), padding=[1, 2], flip=True),
         C(a(1, 2, 3, 2, 2, 2), a(2, 2, 2, 1, 2, 2), padding=([0, 1, 0, 0], [0, 0, 1, 0])), C(a(1, 4, 2), a(1, 2, 2), kernel_dilation=5, padding=3),
         C(a(1, 3, 1), a(2, 2, 1), stride=4, input_dilation=4, padding=1), order=3,
         big=[C(a(2, 14, 15, 30), a(40, 3, 3, 30), input_dilation=2, padding=2), C(a(2, 60, 20), a(20, 4, 1), input_dilation=3, groups=20, padding=2)]),
    transposed("conv_transpose1d", mx.conv_transpose1d, C(a(2, 3, 2), a(3, 3, 2), stride=2, output_padding=1),
               C(a(1, 4, 2), a(2, 2, 1), groups=2, padding=1, dilation=2), C(a(1, 3, 1), a(1, 1, 1), stride=2, padding=1)),
    transposed("conv_transpose2d", mx.conv_transpose2d, C(a(1, 2, 3, 2), a(2, 3, 2, 2), stride=(2, 1), padding=(1, 0), output_padding=(1, 0)),
               C(a(1, 2, 2, 4), a(2, 2, 2, 2), groups=2, stride=2)),
    transposed("conv_transpose3d", mx.conv_transpose3d, C(a(1, 2, 2, 2, 1), a(2, 2, 1, 2, 1), stride=(1, 2, 1), padding=(1, 0, 0))),
    conv("convolve", mx.convolve, np.convolve, C(a(4), a(3)), C(a(2), a(5), mode="same"), C(a(5), a(4), mode="same"), C(a(3), a(3), mode="valid"), C(a(1), a(1)),
         big=[C(a(5000), a(70)), C(a(64), a(900), mode="same")]),
]
