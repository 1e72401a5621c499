# The rows of minimax.py. `root(f)` is f as a function of the square.
def root(f):
    return lambda z: f(sqrt(z))


def erfinv_of(w):
    """erfinv(x) / x for x = sqrt(1 - e^-w), by Newton's method on erfc: mpmath's erfinv is not accurate enough near 1."""
    x = sqrt(-mp.expm1(-w))
    y, above = erfinv(x), exp(-w) / (1 + x)
    for _ in range(4):
        y += (erfc(y) - above) * sqrt(pi) / 2 * exp(y * y)
    return y / x


# vector_math_exp.h
row("exp", lambda r: (exp(r) - 1 - r) / r**2, lambda r: r**2 / exp(r), "-0.3475", "0.3475", 5, 11)
row("expm1", lambda r: (exp(r) - 1 - r) / r**2, lambda r: abs(r**2 / (exp(r) - 1)), "-0.3475", "0.3475", 6, 12)
row("exp2", lambda r: (exp(r * LN2) - 1) / r, lambda r: abs(r / exp(r * LN2)), "-0.502", "0.502", 7, 13)
# vector_math_log.h
row("log", lambda f: (log(1 + f) - f + f**2 / 2) / f**3, lambda f: abs(f**3 / log(1 + f)), "-0.2929", "0.4143", 8, 0)
row("log_s", root(lambda s: (2 * atanh(s) / s - 2) / s**2), lambda z: z / 2, 0, "0.0295", 4, 7)
row("log_pair", root(lambda s: ((2 * atanh(s) / s - 2) / s**2 - mpf(2) / 3) / s**2), lambda z: z**2 / 2, 0, "0.0295", 3, 7)
row("atanh", root(lambda s: (atanh(s) / s - 1) / s**2), lambda z: z, 0, "0.0802", 4, 10)
# vector_math_trig.h
row("sin", root(lambda r: (sin(r) / r - 1) / r**2), root(lambda r: r**3 / sin(r)), 0, "0.624", 3, 6)
row("cos", root(lambda r: (cos(r) - 1 + r**2 / 2) / r**4), root(lambda r: r**4 / cos(r)), 0, "0.624", 3, 6)
row("tan", root(lambda r: (tan(r) / r - 1) / r**2), root(lambda r: r**3 / tan(r)), 0, "0.624", 7, 15)
row("asin", root(lambda r: (asin(r) / r - 1) / r**2), root(lambda r: r**3 / asin(r)), 0, "0.25", 5, 12)
row("atan", root(lambda r: (atan(r) / r - 1) / r**2), root(lambda r: r**3 / atan(r)), 0, "0.1717", 5, 11)
# vector_math_hyperbolic.h
row("sinh", root(lambda r: (sinh(r) / r - 1) / r**2), root(lambda r: r**3 / sinh(r)), 0, "0.121", 2, 5)
row("cosh", root(lambda r: (cosh(r) - 1) / r**2), root(lambda r: r**2 / cosh(r)), 0, "0.121", 3, 6)
row("tanh", root(lambda r: (tanh(r) / r - 1) / r**2), root(lambda r: r**3 / tanh(r)), 0, "0.303", 5, 12)
row("asinh", root(lambda r: (asinh(r) / r - 1) / r**2), root(lambda r: r**3 / asinh(r)), 0, "0.2501", 6, 14)
row("acosh", lambda t: (acosh(1 + t) / sqrt(2 * t) - 1) / t, lambda t: t * sqrt(2 * t) / acosh(1 + t), 0, "0.5", 6, 13)
# vector_math_error.h
row("erf_near", root(lambda x: erf(x) / x - 1), root(lambda x: x / erf(x)), 0, "0.87", 7, 13)
row("erf_far", lambda a: -log(erfc(a)), lambda a: erfc(a) / erf(a), "0.925", "4.0", 7, 0)
row("erf_far", lambda a: -log(erfc(a)), lambda a: erfc(a) / erf(a), "0.925", "6.0", 0, 20)
row("erfinv_near", lambda v: erfinv_of(v + mpf("2.5703125")), lambda v: 1 / erfinv_of(v + mpf("2.5703125")), "-2.5703124", "2.43", 11, 0)
row("erfinv_far", lambda v: erfinv_of((v + 3) ** 2), lambda v: 1 / erfinv_of((v + 3) ** 2), "-0.77", "1.1", 11, 0)
row("erfinv_1", lambda v: erfinv_of(v + mpf("3.125")), lambda v: 1 / erfinv_of(v + mpf("3.125")), "-3.1249999", "3.125", 0, 24)
row("erfinv_2", lambda v: erfinv_of((v + mpf("3.25")) ** 2), lambda v: 1 / erfinv_of((v + mpf("3.25")) ** 2), "-0.75", "0.75", 0, 20)
row("erfinv_3", lambda v: erfinv_of((v + 5) ** 2), lambda v: 1 / erfinv_of((v + 5) ** 2), "-1.0", "1.05", 0, 20)
