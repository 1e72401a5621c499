"""test_complex.py — the convention of docs/complex.md, on every row of the table that takes complex64: tangents of second and
third order are differences of the reference in double precision, and pullbacks are their transposes.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import checks
import mxform as mx
from specs import A, C, at, load, name_of, row, to_np

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "complex.md").read_text()
SPECS = [s for s in load() if "complex64" in s.dtypes]
# The sign of complex numbers has a derivative; the row of argpartition reads elements where it says.
HAS_DERIVATIVE = [s for s in SPECS if (s.order > 0 or s.name == "sign") and s.name != "argpartition"]
SMOOTH = [s for s in HAS_DERIVATIVE if s.ref is not None and (s.complex_order > 1 or s.name == "sign")]


def rows(specs):
    return pytest.mark.parametrize("spec", specs, ids=[s.name for s in specs])


# ---- derivatives of any order, from the reference

def differences(spec, case, values, where, directions, h):
    """The derivative of the reference along all directions, one after the other, by central differences."""
    total = None
    for signs in itertools.product((1, -1), repeat=len(directions)):
        wide = [v.astype(np.complex128) if i in where else v for i, v in enumerate(values)]
        for k, i in enumerate(where):
            wide[i] = wide[i] + sum(s * h * d[k] for s, d in zip(signs, directions))
        out = spec.ref(*wide, **case.static)
        terms = [np.prod(signs) * np.asarray(o) for o in (out if isinstance(out, (tuple, list)) else (out,)) if np.asarray(o).dtype.kind in "fc"]
        total = terms if total is None else [a + b for a, b in zip(total, terms)]
    return [t / (2 * h) ** len(directions) for t in total]


def compare_higher(spec, case, order, h, tol):
    values = spec.make(case, "complex64")
    where = spec.differentiable(case, "complex64")
    g, xs = checks.inexact_part(spec, case, spec.to_mx(case, values, "complex64"), "complex64")
    if not xs:
        return
    ts = [checks.random_like(spec, xs, "direction", k) for k in range(order)]
    pushed, pulled = g, checks.pulled(g, cts := checks.random_like(spec, g(*xs), "ct"))
    for t in ts:
        pushed = checks.pushed(pushed, t)
    for t in ts[1:]:
        pulled = checks.pushed(pulled, t)
    want = differences(spec, case, values, where, [[to_np(m).astype(np.complex128) for m in t] for t in ts], h)
    for got, w in zip(pushed(*xs), want):
        checks.assert_agree(to_np(got), w, tol, f"tangent of order {order}")
    transposed, size = checks.inner(pulled(*xs), ts[0])
    terms = np.concatenate([np.real(np.conj(to_np(c)) * w).reshape(-1) for c, w in zip(cts, want)])
    assert abs(transposed - terms.sum()) <= tol * max(size, np.abs(terms).sum(), 1.0), f"pullback: {transposed}, expected {terms.sum()}"


@rows(SMOOTH)
def test_second_derivatives_are_second_differences(spec):
    report = checks.Report(spec)
    for case in spec.cases:
        report.run(f"{case}", compare_higher, spec, case, 2, 1e-4, 3e-4)
    report.close()


@rows([s for s in SMOOTH if s.order > 2])
def test_third_derivatives_are_third_differences(spec):
    report = checks.Report(spec)
    for case in spec.cases[:3]:
        report.run(f"{case}", compare_higher, spec, case, 3, 2e-3, 3e-3)
    report.close()


def test_the_check_of_second_derivatives_sees_a_missing_one():
    lie = mx.custom_function(lambda z: mx.exp(z))
    lie.jvp(lambda z, t: t * mx.stop_gradient(mx.exp(z)))
    spec = row("lie", lie, np.exp, C(A((2,))), dtypes=("complex64",))
    compare_higher(spec, spec.cases[0], 1, 1e-5, 3e-4)
    with pytest.raises(AssertionError):
        compare_higher(spec, spec.cases[0], 2, 1e-4, 3e-4)


# ---- the convention

Z = mx.array([0.3 + 0.8j, -1.2 + 0.1j, 0.5 - 2j])
REAL_VALUED = {
    "|z|^2": lambda z: mx.sum(mx.square(mx.abs(z))),
    "|z|": lambda z: mx.sum(mx.abs(z)),
    "Re z^2": lambda z: mx.sum(mx.real(z * z)),
    "Im z": lambda z: mx.sum(mx.imag(z)),
    "Re exp": lambda z: mx.sum(mx.real(mx.exp(z))),
    "Im log": lambda z: mx.sum(mx.imag(mx.log(z))),
    "Re z conj(z)": lambda z: mx.sum(mx.real(z * mx.conjugate(z))),
    "power": lambda z: mx.sum(mx.abs(z ** (0.5 + 1j))),
    "prod": lambda z: mx.imag(mx.prod(z)),
    "cumprod": lambda z: mx.sum(mx.real(mx.cumprod(z) * mx.cumprod(z, reverse=True))),
    "std": lambda z: mx.std(z),
    "var": lambda z: mx.var(z),
    "sign": lambda z: mx.sum(mx.real(mx.sign(z) * (1 - 2j))),
    "max": lambda z: mx.abs(mx.max(z)),
    "fft": lambda z: mx.sum(mx.abs(mx.fft.fft(z))),
    "irfft": lambda z: mx.sum(mx.fft.irfft(z) ** 3),
    "matmul": lambda z: mx.abs(z @ mx.conjugate(z * z)),
}


@pytest.mark.parametrize("name", REAL_VALUED)
def test_the_gradient_is_the_direction_of_steepest_ascent(name):
    """∂f/∂x + i ∂f/∂y, also by grad with respect to the parts."""
    f = REAL_VALUED[name]
    g = np.array(mx.vjp(f, [Z], [mx.array(1.0)])[1][0])
    gx, gy = mx.grad(lambda x, y: f(x + 1j * y), argnums=(0, 1))(mx.real(Z), mx.imag(Z))
    checks.assert_agree(np.array(gx) + 1j * np.array(gy), g, 1e-5)
    h = 1e-2
    for k in range(3):
        e = mx.array(np.eye(3)[k].astype(np.complex64) * h)
        slopes = [(f(Z + e * u) - f(Z - e * u)).item() / (2 * h) for u in (1, 1j)]
        assert abs(complex(*slopes) - g[k]) < 2e-2 * max(1, np.abs(g).max()), (name, k)


def test_the_gradient_of_a_square_is_twice_the_number():
    assert mx.allclose(mx.vjp(REAL_VALUED["|z|^2"], [Z], [mx.array(1.0)])[1][0], 2 * Z)


@pytest.mark.parametrize("f, slope", [(mx.exp, np.exp), (mx.sin, np.cos), (lambda z: 1 / z, lambda z: -1 / z**2), (lambda z: z ** 3, lambda z: 3 * z**2)])
def test_holomorphic_functions_multiply_by_the_slope_and_by_its_conjugate(f, slope):
    t = mx.array([1 - 1j, 2j, 0.5])
    d = slope(np.array(Z).astype(np.complex128))
    checks.assert_agree(np.array(mx.jvp(f, [Z], [t])[1][0]), d * np.array(t), 1e-5)
    checks.assert_agree(np.array(mx.vjp(f, [Z], [t])[1][0]), np.conj(d) * np.array(t), 1e-5)


MIXED = {
    "add": mx.add, "multiply": mx.multiply, "divide": mx.divide, "power": mx.power, "logaddexp": mx.logaddexp, "maximum": mx.maximum,
    "matmul": lambda a, b: a @ b.T, "where": lambda a, b: mx.where(mx.array([True, False]), a, b), "concatenate": lambda a, b: mx.concatenate([a, b]),
    "addmm": lambda a, b: mx.addmm(a, b, b.T), "einsum": lambda a, b: mx.einsum("ij,kj->ik", a, b), "kron": mx.kron,
    "parts": lambda a, b: mx.real(a) * mx.imag(b) + mx.abs(a * b), "fft": lambda a, b: mx.fft.fft(a) * b,
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("first, second", [("float32", "complex64"), ("complex64", "float32")])
def test_real_and_complex_arguments_meet(name, first, second):
    """Derivatives by a real argument are real, and both modes agree, twice."""
    from checks_derivatives import linearize
    spec = row("mixed", MIXED[name], None, C(A((2, 2), lo=0.3, hi=1.5, dtype=first), A((2, 2), lo=0.3, hi=1.5, dtype=second)), dtypes=("complex64",))
    case, report = spec.cases[0], checks.Report(spec)
    xs = spec.to_mx(case, spec.make(case, "complex64"), "complex64")
    linearize(report, spec, lambda *x: spec.call(case, *x), xs, 2, 1e-4, name, False)
    report.close()
    cts = checks.random_like(spec, spec.call(case, *xs))
    assert [name_of(m) for m in mx.vjp(lambda *x: spec.call(case, *x), xs, cts)[1]] == [first, second]


# ---- special points

FLAT = [s for s in SPECS if s.name in ("abs", "sign", "square", "power_2", "power_3", "prod", "cumprod", "var", "std", "mean", "max", "maximum", "sort",
                                       "softmax", "cumsum", "clip", "matmul", "fft", "irfft", "where", "conjugate", "norm")]


@rows(FLAT)
def test_derivatives_at_zeros_and_ties_are_finite_and_agree(spec):
    from checks_derivatives import linearize
    report = checks.Report(spec)
    for case in spec.cases[:3]:
        for value in (0.0, 1.0, 1j):
            args = [A(x.shape, values=np.full(x.shape, value, np.complex64)) if x.dtype is None else x for x in case.args]
            same = C(*args, **case.static)
            g, xs = checks.inexact_part(spec, same, spec.to_mx(same, spec.make(same, "complex64"), "complex64"), "complex64")
            if xs:
                linearize(report, spec, g, xs, min(spec.order, 2) or 1, 1e-4, f"{same} {value}", False)
    report.close()


@pytest.mark.parametrize("f", [mx.sqrt, mx.log, mx.reciprocal, mx.rsqrt, lambda z: z ** 0.5, lambda z: 1 / z, mx.abs, mx.sign, mx.log2])
def test_a_branch_that_was_not_taken_is_not_heard_of(f):
    z = mx.array([0j, 1 + 1j])
    g = lambda v: mx.where(mx.abs(v) > 0, f(v), 0)  # noqa: E731
    t = mx.array([1 + 2j, 1j])
    tangent, ct = mx.jvp(g, [z], [t])[1][0], mx.ones(2).astype(g(z).dtype)
    pulled = mx.vjp(g, [z], [ct])[1][0]
    for m in (tangent, pulled):
        assert m[0].item() == 0 and mx.all(mx.isfinite(m)).item()


def test_sums_of_nothing_but_zeros_under_a_logarithm():
    for dtype in (mx.float32, mx.complex64):
        x = mx.array([-mx.inf, -mx.inf]).astype(dtype)
        assert mx.real(mx.logsumexp(x)).item() == -mx.inf
        assert np.array_equal(np.array(mx.vjp(mx.logsumexp, [x], [mx.array(1.0).astype(dtype)])[1][0]), [0, 0])


def test_values_at_branch_cuts_and_poles_are_numpys():
    points = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-20, 80.0, -80.0, 1e19, -1e30]
    z = np.array([complex(x, y) for x in points for y in points], np.complex64)
    with np.errstate(all="ignore"):
        for name in ("sqrt", "log", "log2", "log10", "exp", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh",
                     "arctanh", "abs", "square"):
            want = getattr(np, name)(z.astype(np.complex128))
            got = np.array(getattr(mx, name)(mx.array(z)))
            narrow = want.astype(got.dtype)
            close = np.abs(got - want) <= 4e-6 * np.abs(want) + 1e-37
            same = (got == narrow) | (np.isnan(got) & np.isnan(narrow)) | (np.isinf(np.abs(got)) & np.isinf(np.abs(narrow)))
            assert (close | same).all(), (name, z[~(close | same)][:3])
        for a, b in ((0, 0), (0, 2), (0, 2 + 1j), (-1, 0.5), (1j, 2), (-2, 3), (2, -1)):
            got = mx.power(mx.array(complex(a)), mx.array(complex(b))).item()
            assert abs(got - np.power(complex(a), complex(b))) < 1e-6


# ---- the lists in the page

def public(name):
    for space, prefix in ((mx, ""), (mx.linalg, "linalg."), (mx.fft, "fft."), (mx.fast, "fast.")):
        found = getattr(space, name, None)
        if callable(found) and not isinstance(found, type):
            return prefix + name


def lists():
    """The public functions with a complex row: those with a derivative, and the others."""
    named = [(public(s.name), s in HAS_DERIVATIVE) for s in SPECS]
    return [sorted({n for n, smooth in named if n and smooth is kind}) for kind in (True, False)]


@pytest.mark.parametrize("title, names", list(zip(("With derivatives:", "With values only, or a derivative that is 0 by definition:"), lists())), ids=["smooth", "values"])
def test_the_page_lists_what_is_tested(title, names):
    listed = re.findall(r"`([\w.]+)`", PAGE.split(title)[1].split("\n\n")[1])
    assert len(names) > 20 and listed == names, "the list should be: " + " ".join(f"`{n}`" for n in names)


def test_what_is_not_listed_refuses_complex_numbers():
    x = mx.array([1 + 1j])
    for f in (mx.erf, mx.erfinv, mx.floor, mx.ceil, mx.trunc, lambda z: mx.arctan2(z, z), lambda z: mx.remainder(z, z), lambda z: mx.floor_divide(z, z)):
        with pytest.raises(ValueError, match="complex64"):
            f(x)
