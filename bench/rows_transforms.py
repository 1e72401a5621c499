"""Rows of transformations: per-example gradients, a Hessian, the two additions of MLX's documentation, graphs that grow."""

import numpy as np

from bench.rows import Row, normal
from bench.rows_training import mlp_data, mlp_loss

# --- 20: the gradient of the loss of each example, batch 256, MLP 128-128-10


def per_example(map_over, gradient, loss_of):
    """`map_over(gradient(loss))` over the examples, with the parameters shared."""

    def program(lib, jit):
        return jit(map_over(lib)(gradient(lib)(loss_of(lib)), (None, 0, 0)))

    return program


PER_EXAMPLE = {
    "mx": per_example(lambda mx: lambda f, axes: mx.vmap(f, in_axes=axes), lambda mx: mx.grad,
                      lambda mx: mlp_loss(mx.tanh, mx.mean)),
    "jax": per_example(lambda jax: jax.vmap, lambda jax: jax.grad,
                       lambda jax: mlp_loss(jax.numpy.tanh, jax.numpy.mean)),
    "torch": per_example(lambda torch: torch.func.vmap, lambda torch: torch.func.grad,
                         lambda torch: mlp_loss(torch.tanh, torch.mean)),
}


# --- 21: the Hessian of a function of 64 inputs: sum(tanh(tanh(x·A)·B))


def hessian_data(rng):
    x, a, b = normal((64,), (64, 64), (64, 64))(rng)
    return [x, a / 8, b / 8]


def network(m):
    return lambda x, a, b: m.sum(m.tanh(m.tanh(x @ a) @ b))


def hessian_mlx(mx, jit):
    gradient = mx.grad(network(mx))

    def f(x, a, b):
        column = lambda v: mx.jvp(lambda x: gradient(x, a, b), [x], [v])[1][0]
        return mx.vmap(column)(mx.eye(x.size))

    return jit(f)


HESSIAN = {
    "mxform": lambda mx, jit: jit(mx.hessian(network(mx))),
    "mlx": hessian_mlx,
    "jax": lambda jax, jit: jit(jax.hessian(network(jax.numpy))),
    "torch": lambda torch, jit: jit(torch.func.hessian(network(torch))),
}


# --- 25: as function-transforms of MLX's documentation has it, not compiled


def naive_add(xs, ys):
    return [xs[:, i] + ys[i] for i in range(xs.shape[1])]


NAIVE = {
    "mx": lambda mx, jit: naive_add,
    "jax": lambda jax, jit: jit(naive_add),
    "torch": lambda torch, jit: naive_add,
    "numpy": lambda np, jit: naive_add,
}
VMAP_ADD = {
    "mx": lambda mx, jit: mx.vmap(lambda x, y: x + y, in_axes=(1, 0)),
    "jax": lambda jax, jit: jit(jax.vmap(lambda x, y: x + y, in_axes=(1, 0))),
    "torch": lambda torch, jit: torch.vmap(lambda x, y: x + y, in_dims=(1, 0)),
    "numpy": lambda np, jit: lambda xs, ys: xs.T + ys,
}


# --- 32: build a graph of n nodes, its gradient, compile that, and run it once on 4 elements


def growing(nodes):
    def chain(m):
        def f(x):
            y = x
            for _ in range(nodes // 2):
                y = m.sin(y) * x
            return m.sum(y)

        return f

    def eager(torch, jit):
        def f(x):
            x = x.detach().requires_grad_()
            return torch.autograd.grad(chain(torch)(x), x)

        return f

    return {
        "mx": lambda mx, jit: lambda x: jit(mx.grad(chain(mx)))(x),
        "jax": lambda jax, jit: lambda x: jit(jax.grad(chain(jax.numpy)))(x),
        "torch": eager,
    }


# What a peer cannot do, or would need minutes for: XLA fails on a chain of 1000, MLX hands one kernel of it all to g++.
LONG = ("inductor", "mlx", "jax")
TOO_SLOW = {10: ("inductor",), 100: ("inductor",), 1000: LONG, 10_000: LONG, 100_000: LONG}

ROWS = [
    Row("20", "per-example gradients, MLP 128-128-10, batch 256", mlp_data(256, 128, 128, 10), PER_EXAMPLE,
        bytes=4 * 256 * (129 * 128 + 129 * 10)),
    Row("21", "Hessian of a function of 64 inputs", hessian_data, HESSIAN),
    Row("25a", "naive_add, 100 x 4096", normal((4096, 100), (100, 4096)), NAIVE, skip=("inductor",)),
    Row("25b", "vmap_add, 100 x 4096", normal((4096, 100), (100, 4096)), VMAP_ADD, skip=("inductor",)),
    *[
        Row(f"32{letter}", f"build + grad + compile + run, {nodes} nodes",
            lambda rng: [np.full(4, 0.5, np.float32) + rng.random(4, dtype=np.float32)], growing(nodes),
            once=True, skip=slow, not_counted=("torch",),
            note="PyTorch eager has nothing to compile and is shown for scale")
        for letter, (nodes, slow) in zip("abcde", TOO_SLOW.items())
    ],
]
