"""Minimax polynomials for csrc/backend/cpu/vector_math*.h: Remez's exchange, then coefficients rounded one after another,
lowest first, each time fitting the rest anew (or all at once, where that is better). Needs mpmath.

    python tests/tools/minimax.py            # every polynomial, as the headers have them
    python tests/tools/minimax.py exp erf    # those whose names begin so

Each row of the table: name, the function f that the polynomial in x approximates, the weight (how much an error in f
counts in the result, relative to it), the interval of x, the number of coefficients for float32 and float64 (0: none).
Printed beside the name: the largest weighted error, as a power of 2.
"""

import sys

from mpmath import mp, mpf, matrix, lu_solve, log, exp, sin, cos, tan, atan, asin, tanh, cosh, sinh, asinh, acosh, atanh, erf, erfc, erfinv, sqrt, pi

mp.dps = 50


def remez(ys, weights, xs, powers, rounds=12):
    """Coefficients of the x^powers that make the largest |weights * (ys - p(xs))| smallest, and that largest error."""
    n = len(powers)
    if n == 0:
        return [], max(abs(w * y) for w, y in zip(weights, ys))
    columns = [[x**p for x in xs] for p in powers]
    last = len(xs) - 1
    picked = [round(last * float((1 - cos(pi * (k + 0.5) / (n + 1))) / 2)) for k in range(n + 1)]
    best = None
    for _ in range(rounds):
        a, b = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for row, i in enumerate(picked):
            for k in range(n):
                a[row, k] = columns[k][i]
            a[row, n] = (-1) ** row / weights[i]
            b[row] = ys[i]
        solution = list(lu_solve(a, b))
        c = solution[:n]
        errors = [w * (y - sum(ck * column[i] for ck, column in zip(c, columns))) for i, (w, y) in enumerate(zip(weights, ys))]
        worst = max(map(abs, errors))
        if best is None or worst < best[1]:
            best = c, worst
        if worst < abs(solution[n]) * mpf("1.02"):
            break
        # The largest error of every run of one sign.
        runs = []
        for i, e in enumerate(errors):
            if runs and (errors[runs[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[runs[-1]]):
                    runs[-1] = i
            else:
                runs.append(i)
        while len(runs) > n + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        if len(runs) < n + 1:
            break
        picked = runs
    return best


def rounded(c, bits):
    with mp.workprec(bits):
        return +c


def fit(f, weight, low, high, powers, bits):
    """Like remez, with coefficients of so many bits."""
    low, high = mpf(low), mpf(high)
    count = 24 * (len(powers) + 2)
    xs = [low + (high - low) * (1 - cos(pi * (k + mpf("0.37")) / count)) / 2 for k in range(count)]
    ys, weights = [f(x) for x in xs], [weight(x) for x in xs]

    def worst(c):
        return max(abs(w * (y - mp.polyval(c[::-1], x))) for w, y, x in zip(weights, ys, xs))

    at_once = [rounded(c, bits) for c in remez(ys, weights, xs, list(powers))[0]]
    one_by_one, left, rest = [], list(powers), ys
    while left:
        c, _ = remez(rest, weights, xs, left)
        p = left.pop(0)
        one_by_one.append(rounded(c[0], bits))
        rest = [y - one_by_one[-1] * x**p for x, y in zip(xs, rest)]
    return min(((c, worst(c)) for c in (at_once, one_by_one)), key=lambda pair: pair[1])


LN2 = log(mpf(2))
ROWS = []


def row(name, f, weight, low, high, f32, f64):
    ROWS.append((name, f, weight, low, high, f32, f64))


def one(x):
    return mpf(1)


def main():
    exec(open(__file__.replace("minimax.py", "minimax_table.py")).read(), globals())
    wanted = sys.argv[1:]
    for name, f, weight, low, high, f32, f64 in ROWS:
        if wanted and not any(name.startswith(w) for w in wanted):
            continue
        for n, bits, digits in ((f32, 24, 9), (f64, 53, 17)):
            if n:
                c, error = fit(f, weight, low, high, range(n), bits)
                print(f"{name} f{32 if bits == 24 else 64}, 2^{float(mp.log(error, 2)):.1f}")
                print("  " + ", ".join(mp.nstr(x, digits) for x in reversed(c)), flush=True)


if __name__ == "__main__":
    main()
