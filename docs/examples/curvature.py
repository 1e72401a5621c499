# curvature.py — second derivatives by nesting transformations, checked against closed forms.
#
#   python docs/examples/curvature.py
#
# 1. Hessian-vector products, forward over reverse: jvp of grad, at the price of a few gradients.
# 2. Newton's method on a batch of scalar equations: vmap(grad(grad(f))).

import mxform as mx


def hvp(f, x, v):
    """The product of the Hessian of f at x with v, without the Hessian."""
    _, (product,) = mx.jvp(mx.grad(f), [x], [v])
    return product


def check(name, got, need, tolerance):
    error = mx.abs(got - need).max().item()
    print(f"{name}: largest error {error:.1e}")
    if not error <= tolerance:
        raise SystemExit(f"{name}: expected at most {tolerance}")


def hessian_vector_products():
    # f(x) = x'Ax / 2 + sum(exp(x)) has the Hessian A + diag(exp(x)), for symmetric A.
    n = 200
    half = mx.random.normal((n, n)) / n**0.5
    a = half + half.T
    x, v = mx.random.normal((n,)), mx.random.normal((n,))
    f = lambda x: 0.5 * (x @ (a @ x)) + mx.exp(x).sum()
    need = a @ v + mx.exp(x) * v
    check("Hessian-vector product", hvp(f, x, v), need, 1e-4)
    check("  reverse over reverse ", mx.grad(lambda x: (mx.grad(f)(x) * v).sum())(x), need, 1e-4)

    # All columns at once: a batch of directions gives the whole Hessian.
    hessian = mx.vmap(lambda e: hvp(f, x, e))(mx.eye(n))
    check("Hessian, column by column", hessian, a + mx.diag(mx.exp(x)), 1e-4)


def batched_newton():
    # Minimise x - c log x for each c: the minimum is at x = c.
    c = mx.linspace(0.5, 5.0, 1000)
    f = lambda x, c: x - c * mx.log(x)
    first, second = mx.grad(f), mx.grad(mx.grad(f))

    @mx.compile
    def newton_step(x, c):
        slope = mx.vmap(first)(x, c)
        curvature = mx.vmap(second)(x, c)
        return x - slope / curvature

    x = c * 0.5
    for _ in range(8):
        x = newton_step(x, c)
    check("Newton's minima of x - c log x", x, c, 1e-5)
    check("  curvature there is 1 / c     ", mx.vmap(second)(x, c), 1 / c, 1e-4)


if __name__ == "__main__":
    mx.random.seed(0)
    hessian_vector_products()
    batched_newton()
