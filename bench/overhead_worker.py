"""One peer of overhead.py: reads row names from stdin, answers with seconds per call."""

import importlib
import json
import sys
import time

SMALL = 0.02  # seconds a sample should last


def rows_mlx_style(mx):
    """mxform and MLX share an API, so they share the rows."""
    a1, b1 = mx.array(1.0), mx.array(2.0)
    a100, b100 = mx.ones((100,)), mx.ones((100,))
    mx.eval(a1, b1, a100, b100)

    def chain(x):
        for _ in range(5):
            x = mx.sin(x) + x
        return x

    def twenty(x, y):
        for _ in range(10):
            x = mx.tanh(x) * y
        return x

    one = mx.compile(lambda x, y: x + y)
    many = mx.compile(twenty)
    gradient = mx.grad(mx.sin)
    params = {f"layer{i}": {"w": mx.ones((4,)), "b": mx.ones((4,))} for i in range(50)}
    mx.eval(params)

    def loss(p):
        total = mx.array(0.0)
        for layer in p.values():
            total = total + (layer["w"] * layer["b"]).sum()
        return total

    tree = mx.value_and_grad(loss)
    compiled_tree = mx.compile(tree)

    def build():
        a1 + b1

    return {
        "build one node": build,
        "a + b, 1 element": lambda: mx.eval(a1 + b1),
        "a + b, 100 elements": lambda: mx.eval(a100 + b100),
        "10-operation chain": lambda: mx.eval(chain(a100)),
        "grad(sin)": lambda: mx.eval(gradient(a1)),
        "compiled call, 1 operation": lambda: mx.eval(one(a100, b100)),
        "compiled call, 20 operations": lambda: mx.eval(many(a100, b100)),
        "value_and_grad of 100 parameters": lambda: mx.eval(tree(params)),
        "the same, compiled": lambda: mx.eval(compiled_tree(params)),
    }


def rows_jax(jax):
    """Functions are jitted where that is JAX's way to be fast: gradients and compiled rows."""
    jnp = jax.numpy
    a1, b1 = jnp.float32(1.0) + jnp.zeros(()), jnp.float32(2.0) + jnp.zeros(())
    a100, b100 = jnp.ones((100,)), jnp.ones((100,))

    def chain(x):
        for _ in range(5):
            x = jnp.sin(x) + x
        return x

    def twenty(x, y):
        for _ in range(10):
            x = jnp.tanh(x) * y
        return x

    one, many = jax.jit(lambda x, y: x + y), jax.jit(twenty)
    gradient = jax.jit(jax.grad(jnp.sin))
    params = {f"layer{i}": {"w": jnp.ones((4,)), "b": jnp.ones((4,))} for i in range(50)}

    def loss(p):
        total = jnp.float32(0.0)
        for layer in p.values():
            total = total + (layer["w"] * layer["b"]).sum()
        return total

    tree = jax.jit(jax.value_and_grad(loss))
    wait = jax.block_until_ready
    return {
        "a + b, 1 element": lambda: wait(a1 + b1),
        "a + b, 100 elements": lambda: wait(a100 + b100),
        "10-operation chain": lambda: wait(chain(a100)),
        "grad(sin)": lambda: wait(gradient(a1)),
        "compiled call, 1 operation": lambda: wait(one(a100, b100)),
        "compiled call, 20 operations": lambda: wait(many(a100, b100)),
        "value_and_grad of 100 parameters": lambda: wait(tree(params)),
        "the same, compiled": lambda: wait(tree(params)),
    }


def rows_torch(torch):
    torch.set_num_threads(2)
    a1, b1 = torch.tensor(1.0), torch.tensor(2.0)
    a100, b100 = torch.ones(100), torch.ones(100)

    def chain(x):
        for _ in range(5):
            x = torch.sin(x) + x
        return x

    def gradient():
        x = a1.clone().requires_grad_()
        return torch.autograd.grad(torch.sin(x), x)

    params = [torch.ones(4, requires_grad=True) for _ in range(100)]

    def tree():
        total = torch.tensor(0.0)
        for w, b in zip(params[::2], params[1::2]):
            total = total + (w * b).sum()
        return torch.autograd.grad(total, params)

    return {
        "a + b, 1 element": lambda: a1 + b1,
        "a + b, 100 elements": lambda: a100 + b100,
        "10-operation chain": lambda: chain(a100),
        "grad(sin)": gradient,
        "value_and_grad of 100 parameters": tree,
    }


def rows_numpy(np):
    a1, b1 = np.float32(1.0) * np.ones(()), np.float32(2.0) * np.ones(())
    a100, b100 = np.ones(100, np.float32), np.ones(100, np.float32)

    def chain(x):
        for _ in range(5):
            x = np.sin(x) + x
        return x

    return {
        "a + b, 1 element": lambda: a1 + b1,
        "a + b, 100 elements": lambda: a100 + b100,
        "10-operation chain": lambda: chain(a100),
    }


def load(peer):
    if peer in ("mxform", "mlx"):
        mx = importlib.import_module({"mxform": "mxform", "mlx": "mlx.core"}[peer])
        return rows_mlx_style(mx), mx.__version__
    module = importlib.import_module(peer)
    return {"jax": rows_jax, "torch": rows_torch, "numpy": rows_numpy}[peer](module), module.__version__


def seconds_per_call(f):
    f()
    start = time.perf_counter()
    f()
    once = max(time.perf_counter() - start, 1e-8)
    n = max(1, min(100_000, int(SMALL / once)))
    start = time.perf_counter()
    for _ in range(n):
        f()
    return (time.perf_counter() - start) / n


def main():
    try:
        rows, version = load(sys.argv[1])
    except ImportError:
        return
    print(json.dumps({"rows": list(rows), "version": version}), flush=True)
    for line in sys.stdin:
        f = rows.get(line.strip())
        print(json.dumps(seconds_per_call(f) if f else None), flush=True)


if __name__ == "__main__":
    main()
