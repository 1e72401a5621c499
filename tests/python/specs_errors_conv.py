"""specs_errors_conv.py — wrong convolutions; x (2, 3) and the other names are those of specs_errors.py."""

import mxform as mx

CONV = [
    ('mx.conv1d(x, x)', ValueError, ['[conv1d]', '(2, 3)', '(N, L, C_in)']),
    ('mx.conv2d(mx.zeros((1, 4, 4, 2)), mx.zeros((3, 2, 2)))', ValueError, ['[conv2d]', '(3, 2, 2)', 'C_out']),
    ('mx.conv2d(mx.zeros((1, 4, 4, 2)), mx.zeros((3, 2, 2, 3)))', ValueError, ['[conv2d]', '(1, 4, 4, 2)', '(3, 2, 2, 3)', 'channels']),
    ('mx.conv2d(mx.zeros((1, 4, 4, 2)), mx.zeros((3, 5, 2, 2)))', ValueError, ['[conv2d]', 'axis 1', '(3, 5, 2, 2)']),
    ('mx.conv2d(mx.zeros((1, 4, 4, 2)), mx.zeros((3, 2, 2, 2)), stride=(1, 2, 3))', ValueError, ['[conv2d]', 'stride', '(1, 2, 3)']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 0, 2)))', ValueError, ['[conv1d]', '(3, 0, 2)']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), stride=0)', ValueError, ['[conv1d]', 'stride', 'positive']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), dilation=-1)', ValueError, ['[conv1d]', 'dilation', 'positive']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), padding=-2)', ValueError, ['[conv1d]', 'axis 1', '(-2,)']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), groups=0)', ValueError, ['[conv1d]', 'groups', '0']),
    ('mx.conv1d(mx.zeros((1, 4, 3)), mx.zeros((4, 2, 1)), groups=2)', ValueError, ['[conv1d]', '(1, 4, 3)', 'groups is 2']),
    ('mx.conv1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 1)), groups=2)', ValueError, ['[conv1d]', '(3, 2, 1)', 'groups is 2']),
    ('mx.conv1d(mx.zeros((1, 4, 2), mx.int32), mx.zeros((3, 2, 2)))', mx.DtypeError, ['[conv1d]', 'int32']),
    ('mx.conv_general(x, x)', ValueError, ['[conv_general]', '(2, 3)']),
    ('mx.conv_general(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), input_dilation=0)', ValueError, ['[conv_general]', 'input_dilation']),
    ('mx.conv_general(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), padding=([1, 1], [0, 0]))', ValueError, ['[conv_general]', 'padding', '(1, 1)']),
    ('mx.conv_general(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), stride=2**40)', ValueError, ['[conv_general]', 'stride']),
    ('mx.conv_transpose1d(mx.zeros((1, 4, 2)), mx.zeros((3, 2, 2)), padding=3)', ValueError, ['[conv_transpose1d]', 'axis 1', '(3,)']),
    ('mx.conv_transpose2d(mx.zeros((1, 4, 4, 2)), mx.zeros((3, 2, 2, 3)))', ValueError, ['[conv_transpose2d]', '(3, 2, 2, 3)']),
    ('mx.convolve(x, v)', ValueError, ['[convolve]', '(2, 3)', '(3,)']),
    ('mx.convolve(v, mx.zeros(0))', ValueError, ['[convolve]', 'empty', '(0,)']),
    ('mx.convolve(v, v, mode="all")', ValueError, ['[convolve]', 'all', 'same']),
]
