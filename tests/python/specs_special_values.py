"""specs_special_values.py — values at zeros, infinities, NaN and ends of domains, as the array API standard 2024.12 states them.

Each row is (arguments, result). Arguments given as lists stand for all their elements: those of the classes below represent
"a finite number", "a positive finite number" and so on. A result may be a function of the arguments. For complex functions
arguments and results are pairs (real part, imaginary part) in the upper half plane; the lower half follows from
f(conj(z)) = conj(f(z)), which every function here obeys. `either(x)` leaves the sign open. test_array_api.py runs the rows.
"""

import math

INF, NAN, PI = math.inf, math.nan, math.pi
ZEROS, INFS = [0.0, -0.0], [INF, -INF]
POSITIVE, NEGATIVE = [0.5, 1.0, 3.0, 40.0], [-0.5, -1.0, -3.0, -40.0]
NONZERO = POSITIVE + NEGATIVE
FINITE = NONZERO + ZEROS
ANY = FINITE + INFS
ODD, EVEN, FRACTIONS = [1.0, 3.0, 5.0], [2.0, 4.0], [0.5, 2.5]


class either:
    """A result of either sign."""

    def __init__(self, x):
        self.x = x


def minus(values):
    return [-x for x in values]


def same(*x):
    return x[0] if len(x) == 1 else x


def odd(rows):
    """Rows and their mirror images f(-x) = -f(x)."""
    return rows + [((minus(x) if isinstance(x, list) else -x,), -y) for (x,), y in rows]


REAL_UNARY = {
    "abs": [((NAN,), NAN), ((-0.0,), 0.0), ((-INF,), INF)],
    "acos": [((NAN,), NAN), (([1.5, INF, -1.5, -INF],), NAN), ((1.0,), 0.0)],
    "acosh": [((NAN,), NAN), (([0.5, 0.0, -1.0, -INF],), NAN), ((1.0,), 0.0), ((INF,), INF)],
    "asin": [((NAN,), NAN), (([1.5, INF, -1.5, -INF],), NAN), ((0.0,), 0.0), ((-0.0,), -0.0)],
    "asinh": [((NAN,), NAN)] + odd([((0.0,), 0.0), ((INF,), INF)]),
    "atan": [((NAN,), NAN)] + odd([((0.0,), 0.0), ((INF,), PI / 2)]),
    "atanh": [((NAN,), NAN), (([1.5, -1.5, INF, -INF],), NAN)] + odd([((1.0,), INF), ((0.0,), 0.0)]),
    "ceil": [((NAN,), NAN), ((ZEROS + INFS + [3.0, -2.0],), same), ((-0.5,), -0.0)],
    "conj": [((NAN,), NAN), ((ANY,), same)],
    "cos": [((NAN,), NAN), ((ZEROS,), 1.0), ((INFS,), NAN)],
    "cosh": [((NAN,), NAN), ((ZEROS,), 1.0), ((INFS,), INF)],
    "exp": [((NAN,), NAN), ((ZEROS,), 1.0), ((INF,), INF), ((-INF,), 0.0)],
    "expm1": [((NAN,), NAN), ((ZEROS,), same), ((INF,), INF), ((-INF,), -1.0)],
    "floor": [((NAN,), NAN), ((ZEROS + INFS + [3.0, -2.0],), same), ((0.5,), 0.0)],
    "log": [((NAN,), NAN), ((NEGATIVE + [-INF],), NAN), ((ZEROS,), -INF), ((1.0,), 0.0), ((INF,), INF)],
    "log10": [((NAN,), NAN), ((NEGATIVE + [-INF],), NAN), ((ZEROS,), -INF), ((1.0,), 0.0), ((INF,), INF)],
    "log1p": [((NAN,), NAN), (([-1.5, -3.0, -INF],), NAN), ((-1.0,), -INF), ((ZEROS,), same), ((INF,), INF)],
    "log2": [((NAN,), NAN), ((NEGATIVE + [-INF],), NAN), ((ZEROS,), -INF), ((1.0,), 0.0), ((INF,), INF)],
    "negative": [((NAN,), NAN), ((ANY,), lambda x: -x)],
    "positive": [((NAN,), NAN), ((ANY,), same)],
    "reciprocal": [((NAN,), NAN)] + odd([((0.0,), INF), ((INF,), 0.0)]),
    "round": [((NAN,), NAN), ((ZEROS + INFS + [3.0, -2.0],), same), ((0.5,), 0.0), ((-0.5,), -0.0), ((2.5,), 2.0), ((-3.5,), -4.0)],
    "sign": [((NAN,), NAN), ((POSITIVE + [INF],), 1.0), ((NEGATIVE + [-INF],), -1.0), ((0.0,), 0.0)],
    "signbit": [((POSITIVE + [0.0, INF, NAN],), False), ((NEGATIVE + [-0.0, -INF, -NAN],), True)],
    "sin": [((NAN,), NAN), ((ZEROS,), same), ((INFS,), NAN)],
    "sinh": [((NAN,), NAN), ((ZEROS + INFS,), same)],
    "sqrt": [((NAN,), NAN), ((NEGATIVE + [-INF],), NAN), ((ZEROS,), same), ((INF,), INF)],
    "square": [((NAN,), NAN), ((INFS,), INF), ((ZEROS,), 0.0)],
    "tan": [((NAN,), NAN), ((ZEROS,), same), ((INFS,), NAN)],
    "tanh": [((NAN,), NAN), ((ZEROS,), same)] + odd([((INF,), 1.0)]),
    "trunc": [((NAN,), NAN), ((ZEROS + INFS + [3.0, -2.0],), same), ((0.5,), 0.0), ((-0.5,), -0.0)],
    "isfinite": [((FINITE,), True), ((INFS + [NAN],), False)],
    "isinf": [((INFS,), True), ((FINITE + [NAN],), False)],
    "isnan": [((NAN,), True), ((ANY,), False)],
}

NAN_WINS = [((NAN, ANY + [NAN]), NAN), ((ANY, NAN), NAN)]


def product_sign(x, y):
    return math.copysign(1, x) * math.copysign(1, y)


REAL_BINARY = {
    "add": NAN_WINS + [
        ((INF, -INF), NAN), ((-INF, INF), NAN), ((INFS, FINITE), lambda x, y: x), ((FINITE, INFS), lambda x, y: y),
        ((INF, INF), INF), ((-INF, -INF), -INF), ((-0.0, -0.0), -0.0), ((-0.0, 0.0), 0.0), ((0.0, ZEROS), 0.0),
        ((ZEROS, NONZERO), lambda x, y: y), ((NONZERO, ZEROS), lambda x, y: x), ((3.0, -3.0), 0.0)],
    "subtract": NAN_WINS + [((INF, INF), NAN), ((-INF, -INF), NAN), ((INFS, FINITE), lambda x, y: x), ((FINITE, INFS), lambda x, y: -y),
                            ((-0.0, 0.0), -0.0), ((0.0, ZEROS), 0.0), ((3.0, 3.0), 0.0)],
    "multiply": NAN_WINS + [((INFS, ZEROS), NAN), ((ZEROS, INFS), NAN), ((INFS, NONZERO + INFS), lambda x, y: INF * product_sign(x, y)),
                            ((NONZERO, INFS), lambda x, y: INF * product_sign(x, y)), ((ZEROS, FINITE), lambda x, y: 0.0 * product_sign(x, y))],
    "divide": NAN_WINS + [((INFS, INFS), NAN), ((ZEROS, ZEROS), NAN), ((ZEROS, NONZERO), lambda x, y: 0.0 * product_sign(x, y)),
                          ((NONZERO, ZEROS), lambda x, y: INF * product_sign(x, y)), ((INFS, FINITE), lambda x, y: INF * product_sign(x, y)),
                          ((FINITE, INFS), lambda x, y: 0.0 * product_sign(x, y))],
    # A finite number by an infinite one: 0 or, as Python and this library have it, -1 below 0.
    "floor_divide": NAN_WINS + [((INFS, INFS), NAN), ((ZEROS, ZEROS), NAN), ((ZEROS, NONZERO), lambda x, y: 0.0 * product_sign(x, y)),
                                ((NONZERO, ZEROS), lambda x, y: INF * product_sign(x, y)), ((INFS, NONZERO), lambda x, y: INF * product_sign(x, y)),
                                ((POSITIVE, INF), 0.0), ((NEGATIVE, -INF), 0.0), ((POSITIVE, -INF), -1.0), ((NEGATIVE, INF), -1.0)],
    "remainder": NAN_WINS + [((INFS, ANY), NAN), ((FINITE, ZEROS), NAN), ((ZEROS, POSITIVE), 0.0), ((ZEROS, NEGATIVE), -0.0),
                             ((POSITIVE, INF), lambda x, y: x), ((NEGATIVE, -INF), lambda x, y: x), ((POSITIVE, -INF), -INF), ((NEGATIVE, INF), INF)],
    "pow": [
        (([0.0, 2.0, -3.0, INF], NAN), NAN), ((ANY + [NAN], ZEROS), 1.0), ((NAN, NONZERO + INFS), NAN),
        (([1.5, -1.5], INF), INF), (([1.5, -1.5], -INF), 0.0), (([1.0, -1.0], INFS), 1.0), ((1.0, ANY), 1.0),
        (([0.5, -0.5], INF), 0.0), (([0.5, -0.5], -INF), INF), ((INF, POSITIVE), INF), ((INF, NEGATIVE), 0.0),
        ((-INF, ODD), -INF), ((-INF, EVEN + FRACTIONS), INF), ((-INF, minus(ODD)), -0.0), ((-INF, minus(EVEN + FRACTIONS)), 0.0),
        ((0.0, POSITIVE), 0.0), ((0.0, NEGATIVE), INF), ((-0.0, ODD), -0.0), ((-0.0, EVEN + FRACTIONS), 0.0),
        ((-0.0, minus(ODD)), -INF), ((-0.0, minus(EVEN + FRACTIONS)), INF), ((NEGATIVE, FRACTIONS + minus(FRACTIONS)), NAN)],
    "atan2": NAN_WINS + [
        ((POSITIVE, ZEROS), PI / 2), ((NEGATIVE, ZEROS), -PI / 2), ((0.0, POSITIVE + [0.0, INF]), 0.0), ((-0.0, POSITIVE + [0.0, INF]), -0.0),
        ((0.0, NEGATIVE + [-0.0, -INF]), PI), ((-0.0, NEGATIVE + [-0.0, -INF]), -PI), ((POSITIVE, INF), 0.0), ((POSITIVE, -INF), PI),
        ((NEGATIVE, INF), -0.0), ((NEGATIVE, -INF), -PI), ((INF, FINITE), PI / 2), ((-INF, FINITE), -PI / 2), ((INF, INF), PI / 4),
        ((INF, -INF), 3 * PI / 4), ((-INF, INF), -PI / 4), ((-INF, -INF), -3 * PI / 4)],
    "hypot": [((INFS, ANY + [NAN]), INF), ((ANY + [NAN], INFS), INF), ((NAN, FINITE + [NAN]), NAN), ((FINITE, NAN), NAN),
              ((ZEROS, FINITE), lambda x, y: abs(y)), ((FINITE, ZEROS), lambda x, y: abs(x))],
    "logaddexp": NAN_WINS + [((INF, ANY), INF), ((ANY, INF), INF), ((-INF, -INF), -INF), ((-INF, NONZERO), lambda x, y: y)],
    "maximum": NAN_WINS + [((INF, ANY), INF), ((-INF, ANY), lambda x, y: y)],
    "minimum": NAN_WINS + [((-INF, ANY), -INF), ((INF, ANY), lambda x, y: y)],
    "copysign": [((NONZERO, [0.0, INF, 2.0, NAN]), lambda x, y: abs(x)), ((NONZERO, [-0.0, -INF, -2.0, -NAN]), lambda x, y: -abs(x)),
                 ((ZEROS + INFS, NONZERO), math.copysign), ((NAN, ANY), NAN)],
    "nextafter": NAN_WINS + [((-0.0, 0.0), 0.0), ((0.0, -0.0), -0.0), ((INFS, INFS[:1]), lambda x, y: INF if x > 0 else "-max"),
                             ((INF, 0.0), "max"), ((-INF, 0.0), "-max"), ((ANY, ANY), lambda x, y: y if x == y else "between")],
    "less": [((NAN, ANY), False), ((ANY, NAN), False), ((ZEROS, ZEROS), False)],
    "equal": [((NAN, ANY + [NAN]), False), ((ANY, NAN), False), ((ZEROS, ZEROS), True), ((INF, INF), True), ((INF, -INF), False)],
    "not_equal": [((NAN, ANY + [NAN]), True), ((ANY, NAN), True), ((ZEROS, ZEROS), False)],
}


def cis(r):
    """r (cos b + j sin b), where an infinite r times an exact zero would be NaN: not asked for."""
    return lambda a, b: (r * math.cos(b), r * math.sin(b))


BOTH_NAN = (NAN, NAN)
UP = POSITIVE  # positive imaginary parts

COMPLEX = {
    "acos": [
        ((ZEROS, 0.0), (PI / 2, -0.0)), ((ZEROS, NAN), (PI / 2, NAN)), ((FINITE, INF), (PI / 2, -INF)), ((NONZERO, NAN), BOTH_NAN),
        ((-INF, UP), (PI, -INF)), ((INF, UP), (0.0, -INF)), ((-INF, INF), (3 * PI / 4, -INF)), ((INF, INF), (PI / 4, -INF)),
        ((INFS, NAN), (NAN, either(INF))), ((NAN, FINITE), BOTH_NAN), ((NAN, INF), (NAN, -INF)), ((NAN, NAN), BOTH_NAN)],
    "acosh": [
        ((ZEROS, 0.0), (0.0, PI / 2)), ((FINITE, INF), (INF, PI / 2)), ((NONZERO, NAN), BOTH_NAN), ((0.0, NAN), (NAN, either(PI / 2))),
        ((-INF, UP), (INF, PI)), ((INF, UP), (INF, 0.0)), ((-INF, INF), (INF, 3 * PI / 4)), ((INF, INF), (INF, PI / 4)),
        ((INFS, NAN), (INF, NAN)), ((NAN, FINITE), BOTH_NAN), ((NAN, INF), (INF, NAN)), ((NAN, NAN), BOTH_NAN)],
    "asinh": [
        ((0.0, 0.0), (0.0, 0.0)), ((POSITIVE + [0.0], INF), (INF, PI / 2)), ((FINITE, NAN), BOTH_NAN), ((INF, UP + [0.0]), (INF, 0.0)),
        ((INF, INF), (INF, PI / 4)), ((INF, NAN), (INF, NAN)), ((NAN, 0.0), (NAN, 0.0)), ((NAN, NONZERO), BOTH_NAN),
        ((NAN, INF), (either(INF), NAN)), ((NAN, NAN), BOTH_NAN)],
    "atanh": [
        ((0.0, 0.0), (0.0, 0.0)), ((0.0, NAN), (0.0, NAN)), ((1.0, 0.0), (INF, 0.0)), ((POSITIVE + [0.0], INF), (0.0, PI / 2)),
        ((POSITIVE, NAN), BOTH_NAN), ((INF, UP + [0.0]), (0.0, PI / 2)), ((INF, INF), (0.0, PI / 2)), ((INF, NAN), (0.0, NAN)),
        ((NAN, FINITE), BOTH_NAN), ((NAN, INF), (either(0.0), PI / 2)), ((NAN, NAN), BOTH_NAN)],
    "cosh": [
        ((0.0, 0.0), (1.0, 0.0)), ((0.0, INF), (NAN, either(0.0))), ((0.0, NAN), (NAN, either(0.0))), ((NONZERO, INF), BOTH_NAN),
        ((NONZERO, NAN), BOTH_NAN), ((INF, 0.0), (INF, 0.0)), ((INF, NONZERO), cis(INF)), ((INF, INF), (either(INF), NAN)),
        ((INF, NAN), (INF, NAN)), ((NAN, 0.0), (NAN, either(0.0))), ((NAN, NONZERO + INFS), BOTH_NAN), ((NAN, NAN), BOTH_NAN)],
    "sinh": [
        ((0.0, 0.0), (0.0, 0.0)), ((0.0, INF), (either(0.0), NAN)), ((0.0, NAN), (either(0.0), NAN)), ((POSITIVE, INF), BOTH_NAN),
        ((POSITIVE, NAN), BOTH_NAN), ((INF, 0.0), (INF, 0.0)), ((INF, UP), cis(INF)), ((INF, INF), (either(INF), NAN)),
        ((INF, NAN), (either(INF), NAN)), ((NAN, 0.0), (NAN, 0.0)), ((NAN, NONZERO + INFS), BOTH_NAN), ((NAN, NAN), BOTH_NAN)],
    "tanh": [
        ((0.0, 0.0), (0.0, 0.0)), ((NONZERO, INF), BOTH_NAN), ((0.0, INF), (0.0, NAN)), ((NONZERO, NAN), BOTH_NAN), ((0.0, NAN), (0.0, NAN)),
        ((INF, UP), (1.0, either(0.0))), ((INF, INF), (1.0, either(0.0))), ((INF, NAN), (1.0, either(0.0))), ((NAN, 0.0), (NAN, 0.0)),
        ((NAN, NONZERO), BOTH_NAN), ((NAN, NAN), BOTH_NAN)],
    "exp": [
        ((ZEROS, 0.0), (1.0, 0.0)), ((FINITE, INF), BOTH_NAN), ((FINITE, NAN), BOTH_NAN), ((INF, 0.0), (INF, 0.0)), ((-INF, FINITE), cis(0.0)),
        ((INF, NONZERO), cis(INF)), ((-INF, INF), (either(0.0), either(0.0))), ((INF, INF), (either(INF), NAN)),
        ((-INF, NAN), (either(0.0), either(0.0))), ((INF, NAN), (either(INF), NAN)), ((NAN, 0.0), (NAN, 0.0)),
        ((NAN, NONZERO + INFS), BOTH_NAN), ((NAN, NAN), BOTH_NAN)],
    "expm1": [
        ((ZEROS, 0.0), (either(0.0), 0.0)), ((FINITE, INF), BOTH_NAN), ((FINITE, NAN), BOTH_NAN), ((INF, 0.0), (INF, 0.0)),
        ((-INF, UP), lambda a, b: (-1.0, math.copysign(0.0, math.sin(b)))), ((INF, NONZERO), cis(INF)), ((-INF, INF), (-1.0, either(0.0))),
        ((INF, INF), (either(INF), NAN)), ((-INF, NAN), (-1.0, either(0.0))), ((INF, NAN), (either(INF), NAN)), ((NAN, 0.0), (NAN, 0.0)),
        ((NAN, NONZERO + INFS), BOTH_NAN), ((NAN, NAN), BOTH_NAN)],
    "log": [
        ((-0.0, 0.0), (-INF, PI)), ((0.0, 0.0), (-INF, 0.0)), ((FINITE, INF), (INF, PI / 2)), ((FINITE, NAN), BOTH_NAN), ((-INF, UP), (INF, PI)),
        ((INF, UP), (INF, 0.0)), ((-INF, INF), (INF, 3 * PI / 4)), ((INF, INF), (INF, PI / 4)), ((INFS, NAN), (INF, NAN)),
        ((NAN, FINITE), BOTH_NAN), ((NAN, INF), (INF, NAN)), ((NAN, NAN), BOTH_NAN)],
    "log1p": [
        ((-1.0, 0.0), (-INF, 0.0)), ((FINITE, INF), (INF, PI / 2)), ((FINITE, NAN), BOTH_NAN), ((-INF, UP), (INF, PI)), ((INF, UP), (INF, 0.0)),
        ((-INF, INF), (INF, 3 * PI / 4)), ((INF, INF), (INF, PI / 4)), ((INFS, NAN), (INF, NAN)), ((NAN, FINITE), BOTH_NAN),
        ((NAN, INF), (INF, NAN)), ((NAN, NAN), BOTH_NAN)],
    "sqrt": [
        ((ZEROS, 0.0), (0.0, 0.0)), ((ANY + [NAN], INF), (INF, INF)), ((FINITE, NAN), BOTH_NAN), ((-INF, UP), (0.0, INF)), ((INF, UP), (INF, 0.0)),
        ((-INF, NAN), (NAN, either(INF))), ((INF, NAN), (INF, NAN)), ((NAN, FINITE + [NAN]), BOTH_NAN)],
    "sign": [((ZEROS, ZEROS), (either(0.0), either(0.0))), ((NAN, FINITE + [NAN]), BOTH_NAN), ((FINITE, NAN), BOTH_NAN)],
    "conj": [((ANY + [NAN], ANY), lambda a, b: (a, -b))],
    "isfinite": [((FINITE, FINITE), True), ((INFS + [NAN], ANY), False), ((FINITE, NAN), False)],
    "isinf": [((INFS, ANY + [NAN]), True), ((ANY + [NAN], INFS), True), ((FINITE, FINITE + [NAN]), False), ((NAN, FINITE + [NAN]), False)],
    "isnan": [((NAN, ANY + [NAN]), True), ((ANY + [NAN], NAN), True), ((ANY, ANY), False)],
    "real": [((ANY, ANY + [NAN]), lambda a, b: a)],
    "imag": [((ANY + [NAN], ANY), lambda a, b: b)],
    "abs": [((INFS, ANY + [NAN]), INF), ((ANY + [NAN], INFS), INF), ((ZEROS, FINITE), lambda a, b: abs(b)), ((FINITE, ZEROS), lambda a, b: abs(a)),
            ((NAN, FINITE + [NAN]), NAN), ((FINITE, NAN), NAN)],
}
# Made of the above: sin z = -i sinh(i z) and so on. Tested as identities.
COMPLEX_BY_IDENTITY = {"asin": "asinh", "atan": "atanh", "cos": "cosh", "sin": "sinh", "tan": "tanh"}
