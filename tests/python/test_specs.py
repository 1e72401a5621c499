"""test_specs.py — runs every checker of checks.py on every row of the table, and sees that no primitive lacks a row."""

import numpy as np
import pytest

import checks
import checks_derivatives
import checks_vmap
import mxform as mx
from specs import C, a, inexact, load, row

SPECS = load()


def rows(keep=lambda s: True):
    kept = [s for s in SPECS if keep(s)]
    return pytest.mark.parametrize("spec", kept, ids=[s.name for s in kept])


def has_inexact_input(s):
    return inexact(s.main) and any(s.differentiable(c, s.main) for c in s.cases)


def smooth(s):
    return s.order > 0 and has_inexact_input(s)


@rows()
def test_value_dtype_and_shape_are_numpys(spec):
    checks.check_value(spec)


@rows(lambda s: s.big)
def test_large_arrays_have_the_same_values(spec):
    checks.check_large(spec)


@rows(lambda s: any(c.args for c in s.cases))
def test_strides_do_not_matter(spec):
    checks.check_layouts(spec)


@rows(has_inexact_input)
def test_derivatives_agree_with_differences_and_with_each_other(spec):
    checks_derivatives.check_derivatives(spec)


@rows(smooth)
def test_derivatives_by_parts_and_in_narrow_dtypes_agree(spec):
    checks_derivatives.check_parts_and_precision(spec)


@rows(lambda s: "complex64" in s.dtypes and has_inexact_input(s))
def test_complex_derivatives_agree(spec):
    checks_derivatives.check_complex(spec)


@rows(lambda s: s.order == 0 and has_inexact_input(s))
def test_no_derivative_means_zero(spec):
    checks_derivatives.check_zero_derivative(spec)


@rows(lambda s: any(c.args for c in s.cases))
def test_vmap_is_the_loop_over_examples(spec):
    checks_vmap.check_vmap(spec)


@rows(smooth)
def test_vmap_and_derivatives_commute_with_the_loop(spec):
    checks_vmap.check_vmap_of_derivatives(spec)


@rows()
def test_compiled_is_eager(spec):
    checks.check_compile(spec)


@rows()
def test_checkpoint_changes_nothing(spec):
    checks.check_checkpoint(spec)


def graphs(spec, case, dtype):
    """Arrays of a row that are not evaluated: its value, both derivatives, a batch, a compiled call."""
    args = spec.to_mx(case, spec.make(case, dtype), dtype)
    yield from spec.call(case, *args)
    g, xs = checks.inexact_part(spec, case, args, dtype)
    if xs:
        yield from mx.vjp(g, xs, checks.random_like(spec, g(*xs)))[1]
        yield from mx.jvp(g, xs, checks.random_like(spec, xs))[1]
    if args:
        examples = checks_vmap.Examples(spec, case, dtype, tuple(range(len(args))), 2)
        axes = examples.axes(0)
        out = mx.vmap(lambda *a: spec.call(case, *a), in_axes=axes)(*examples.batch(axes))
        yield from out if isinstance(out, (tuple, list)) else (out,)
    yield from mx.compile(lambda *a: spec.call(case, *a))(*args)


def primitives():
    return {p["name"]: p for p in mx._core._primitives()}


def test_every_primitive_is_met_by_a_row():
    met = set()
    for spec in SPECS:
        for case in spec.cases[:4] + spec.kinks[:1]:
            for dtype in sorted({spec.main, spec.dtypes[0], spec.dtypes[-1]}):
                met.update(mx._core._primitives_of(*graphs(spec, case, dtype)))
    known = set(primitives())
    assert known, "the list of primitives is empty"
    # Identity nodes of a running transformation: never part of what a user's function returns. And what prints: test_debug.py.
    # Programs are made when a compiled call is run: test_fusion.py.
    inner = {"marker", "debug_print", "with_effects", "fused", "fused_matmul"}
    assert not known - met - inner, f"primitives without a row: {sorted(known - met - inner)}"
    assert not met - known, f"primitives that are not listed: {sorted(met - known)}"


def test_every_primitive_has_all_three_rules():
    for name, p in primitives().items():
        assert p["vmap"] != "none", f"{name} has no vmap, not even by a loop"
        if p["differentiable"]:
            assert p["jvp"] != "none" and p["vjp"] != "none", f"{name} lacks a derivative: {p}"


# ---- the checkers themselves: each must see what it is there for

def wrong(**rules):
    """sin with a rule that lies."""
    f = mx.custom_function(lambda x: mx.sin(x))
    for name, rule in rules.items():
        getattr(f, name)(rule)
    return f


def first(x):
    return x[0] if isinstance(x, (tuple, list)) else x


LIES = {
    "value": (lambda x: mx.sin(x) * 1.00001, checks.check_value),
    "dtype": (lambda x: mx.sin(x).astype(mx.float32), checks.check_value),
    "shape": (lambda x: mx.expand_dims(mx.sin(x), 0), checks.check_value),
    "strides": (lambda x: mx.where(mx.array(np.array(x).strides[-1:] != (x.itemsize,)), 0.0, mx.sin(x)), checks.check_layouts),
    "vjp": (wrong(vjp=lambda p, ct, y: ct * mx.cos(first(p)) * 1.001), checks_derivatives.check_derivatives),
    "second vjp": (wrong(vjp=lambda p, ct, y: ct * mx.stop_gradient(mx.cos(first(p)))), checks_derivatives.check_derivatives),
    "vmap": (wrong(vmap=lambda xs, axes: (mx.sin(first(xs)) * mx.array([1.0, 1.0, 2.0]).astype(first(xs).dtype)[: first(xs).shape[0]].reshape(
        -1, *[1] * (first(xs).ndim - 1)), 0)), checks_vmap.check_vmap),
}


@pytest.mark.parametrize("lie", LIES)
def test_checkers_see_a_wrong_rule(lie):
    f, check = LIES[lie]
    with pytest.raises(AssertionError):
        check(row("lie", f, np.sin, C(a(2, 3)), order=2))
