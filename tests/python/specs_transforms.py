"""specs_transforms.py — transformations as operations: their results go through every check like any row."""

import numpy as np

import mxform as mx
from specs import C, a, row

ONE = (C(a(3)), C(a(2, 2)))


def f(x):
    return mx.sin(x) * x


def f_ref(x):
    return np.sin(x) * x


def df_ref(x):
    return np.cos(x) * x + np.sin(x)


@mx.custom_function
def with_vjp(x):
    return f(x)


@with_vjp.vjp
def with_vjp_rule(primals, cotangent, output):
    x = primals[0] if isinstance(primals, (tuple, list)) else primals
    return cotangent * (mx.cos(x) * x + mx.sin(x))


@mx.custom_function
def with_jvp(x):
    return f(x)


@with_jvp.jvp
def with_jvp_rule(primals, tangents):
    x, t = (v[0] if isinstance(v, (tuple, list)) else v for v in (primals, tangents))
    return t * (mx.cos(x) * x + mx.sin(x))


SPECS = [
    row("custom_vjp", with_vjp, f_ref, *ONE),
    row("custom_jvp", with_jvp, f_ref, *ONE),
    row("checkpointed", mx.checkpoint(f), f_ref, *ONE, order=3),
    row("compiled", mx.compile(f), f_ref, *ONE, order=3),
    row("grad_of", mx.grad(lambda x: mx.sum(f(x))), df_ref, *ONE, order=2),
    row("vmap_of", mx.vmap(f), f_ref, *ONE, order=3),
    row("vmap_last", mx.vmap(f, in_axes=-1, out_axes=-1), f_ref, *ONE, order=2),
    row("jvp_of", lambda x, t: mx.jvp(f, [x], [t])[1][0], lambda x, t: t * df_ref(x), C(a(3), a(3)), order=2),
    row("vjp_of", lambda x, ct: mx.vjp(f, [x], [ct])[1][0], lambda x, ct: ct * df_ref(x), C(a(3), a(3)), order=2),
    row("grad_compiled", lambda x: mx.grad(lambda y: mx.compile(lambda z: mx.sum(f(z)))(y))(x), df_ref, *ONE, order=2),
    row("vmap_grad", mx.vmap(mx.grad(f)), df_ref, C(a(3)), order=2),
]
