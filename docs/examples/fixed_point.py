# fixed_point.py — the derivative of a solver without a derivative of its iterations.
#
#   python docs/examples/fixed_point.py
#
# x* solves x = f(w, x); a while_loop finds it. By the implicit function theorem a cotangent v of x* gives w the
# cotangent u (df/dw), where u = v + u (df/dx): a fixed point again, found by the same solver. A custom rule says so.
# The other way, differentiating the iterations, keeps all of them; both must agree.

import mxform as mx

TOLERANCE = 1e-6


def iterate(f, x, max_steps=None):
    """x <- f(x) until it hardly changes."""
    def moves(state):
        before, x = state
        return mx.max(mx.abs(x - before)) > TOLERANCE * (1 + mx.max(mx.abs(x)))

    return mx.while_loop(moves, lambda state: (state[1], f(state[1])), (x, f(x)), max_steps=max_steps)[1]


def solver(f):
    """w, x -> the fixed point of f(w, .) found from x, with the derivative of the solution."""
    @mx.custom_function
    def solve(w, x):
        return iterate(lambda x: f(w, x), x)

    @solve.vjp
    def solve_vjp(primals, cotangent, solution):
        w, x = primals
        _, pull_x = mx.vjp_fn(lambda x: f(w, x), solution)
        _, pull_w = mx.vjp_fn(lambda w: f(w, solution), w)
        u = iterate(lambda u: cotangent + pull_x(u)[0], cotangent)
        return pull_w(u)[0], mx.zeros_like(x)

    return solve


def layer(w, x):
    """An equilibrium layer (Bai, Kolter and Koltun, 2019); a contraction, as the weights are small."""
    return mx.tanh(w["state"] @ x + w["bias"])


if __name__ == "__main__":
    n = 100
    w = {"state": 0.4 * n**-0.5 * mx.random.normal((n, n), key=mx.random.key(0)), "bias": mx.random.normal((n,), key=mx.random.key(1))}
    start, solve = mx.zeros(n), solver(layer)
    implicit = lambda w: mx.sum(mx.square(solve(w, start)))
    unrolled = lambda w: mx.sum(mx.square(iterate(lambda x: layer(w, x), start, max_steps=100)))

    x = solve(w, start)
    print(f"residual {mx.max(mx.abs(x - layer(w, x))).item():.1e}")
    gradients, memory = [], []
    for loss in implicit, unrolled:
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        gradients.append(mx.grad(loss)(w))
        mx.eval(gradients)
        memory.append(mx.get_peak_memory() - before)
    print("kilobytes: implicit {:.0f}, unrolled {:.0f}".format(*(m / 1000 for m in memory)))
    worst = max(mx.max(mx.abs(gradients[0][k] - gradients[1][k])).item() for k in w)
    print(f"largest difference of the gradients: {worst:.1e}")

    # The rule survives vmap: a batch of problems, each of which stops on its own.
    biases = mx.random.normal((8, n), key=mx.random.key(2))
    each = lambda b: mx.grad(lambda b: mx.sum(solve({**w, "bias": b}, start)))(b)
    batched = mx.vmap(each)(biases)
    apart = mx.max(mx.abs(batched - mx.stack([each(b) for b in biases]))).item()
    print(f"a batch of 8, from one by one: {apart:.1e}")
    if not (worst < 1e-4 and apart < 1e-4):
        raise SystemExit("the derivatives disagree")
