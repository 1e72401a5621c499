"""test_specs.py — runs every checker of checks.py on every row of the table, and sees that no primitive lacks a row."""

import pytest

import checks
import mxform as mx
from specs import load, inexact

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


@rows(lambda s: any(c.args for c in s.cases))
def test_strides_do_not_matter(spec):
    checks.check_layouts(spec)


@rows(has_inexact_input)
def test_derivatives_agree_with_differences_and_with_each_other(spec):
    checks.check_derivatives(spec)


@rows(lambda s: "complex64" in s.dtypes and has_inexact_input(s))
def test_complex_derivatives_agree(spec):
    checks.check_complex(spec)


@rows(lambda s: s.order == 0 and has_inexact_input(s))
def test_no_derivative_means_zero(spec):
    checks.check_zero_derivative(spec)


@rows(lambda s: any(c.args for c in s.cases))
def test_vmap_is_the_loop_over_examples(spec):
    checks.check_vmap(spec)


@rows(smooth)
def test_vmap_and_derivatives_commute_with_the_loop(spec):
    checks.check_vmap_of_derivatives(spec)


@rows()
def test_compiled_is_eager(spec):
    checks.check_compile(spec)


@rows()
def test_checkpoint_changes_nothing(spec):
    checks.check_checkpoint(spec)


def _trace(spec, case, dtype):
    """Graphs of a row: its value, both derivatives and a batch, not evaluated."""
    args = spec.to_mx(case, spec.make(case, dtype), dtype)
    yield from spec.call(case, *args)
    g, xs = checks.inexact_part(spec, case, args, dtype)
    if xs:
        yield from mx.vjp(g, xs, checks.random_like(spec, g(*xs)))[1]
        yield from mx.jvp(g, xs, checks.random_like(spec, xs))[1]


def test_every_primitive_is_met_by_a_row():
    if not hasattr(mx, "_core"):
        pytest.skip("no list of primitives")
    met = set()
    for spec in SPECS:
        for case in spec.cases[:4]:
            for dtype in {spec.main, spec.dtypes[0], spec.dtypes[-1]}:
                met.update(mx._core._primitives_of(*_trace(spec, case, dtype)))
    known = {p[0] for p in mx._core._primitives()}
    assert known, "the list of primitives is empty"
    assert not known - met, f"primitives without a row: {sorted(known - met)}"
