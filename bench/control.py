"""What a loop costs as one operation (scan), and unrolled by Python: an LSTM, forward and backward.

    python bench/control.py [--steps 10 100 1000 10000] [--size 64] [--batch 16]
    python bench/control.py --library jax|torch     # the same LSTM with one of these, 512 steps

For each number of steps: the time to build the graph of value_and_grad, to compute it, and the most memory that it
took. The best of five runs; unrolled, up to 1000 steps.
"""

import argparse
import time

import numpy as np


def parameters(size):
    rng = np.random.default_rng(0)
    return [(0.1 * rng.normal(size=(size, 4 * size))).astype("float32") for _ in range(2)]


def inputs(steps, batch, size):
    return np.random.default_rng(1).normal(size=(steps, batch, size)).astype("float32")


def lstm_step(lib, sigmoid, split, recurrent, state, gates):
    """One step; `gates` are the input's part, computed for all steps at once."""
    h, c = state
    i, f, o, g = split(gates + h @ recurrent)
    c = sigmoid(f) * c + sigmoid(i) * lib.tanh(g)
    h = sigmoid(o) * lib.tanh(c)
    return (h, c), h


def best(run, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def loss_of(mx, scan, batch, size):
    def step(recurrent):
        return lambda state, gates: lstm_step(mx, mx.sigmoid, lambda a: mx.split(a, 4, axis=-1), recurrent, state, gates)

    def unrolled(f, state, xs):
        ys = []
        for x in xs:
            state, y = f(state, x)
            ys.append(y)
        return state, mx.stack(ys)

    def loss(weights, recurrent, x):
        zero = mx.zeros((batch, size))
        _, hs = (mx.scan if scan else unrolled)(step(recurrent), (zero, zero), x @ weights)
        return (hs * hs).mean()

    return loss


def table(counts, batch, size):
    import mxform as mx

    print(f"{'steps':>6} {'':>9} {'build ms':>9} {'compute ms':>11} {'us/step':>8} {'memory MB':>10}")
    for steps in counts:
        for scan in (True, False):
            if not scan and steps > 1000:
                continue
            f = mx.value_and_grad(loss_of(mx, scan, batch, size), argnums=(0, 1))
            args = [mx.array(a) for a in (*parameters(size), inputs(steps, batch, size))]
            mx.eval(args)
            build = compute = float("inf")
            for _ in range(5):
                mx.clear_cache()
                mx.reset_peak_memory()
                before = mx.get_active_memory()
                start = time.perf_counter()
                found = f(*args)
                built = time.perf_counter()
                mx.eval(found)
                build, compute = min(build, built - start), min(compute, time.perf_counter() - built)
                memory = mx.get_peak_memory() - before
                del found
            print(f"{steps:6d} {'scan' if scan else 'unrolled':>9} {build * 1e3:9.2f} {compute * 1e3:11.1f} "
                  f"{(build + compute) / steps * 1e6:8.1f} {memory / 1e6:10.1f}", flush=True)


def peer(library, batch, size, steps=512):
    weights, recurrent, x = *parameters(size), inputs(steps, batch, size)
    if library == "jax":
        import jax

        def loss(weights, recurrent, x):
            zero = jax.numpy.zeros((batch, size))
            step = lambda s, g: lstm_step(jax.numpy, jax.nn.sigmoid, lambda a: jax.numpy.split(a, 4, -1), recurrent, s, g)
            hs = jax.lax.scan(step, (zero, zero), x @ weights)[1]
            return (hs * hs).mean()

        f = jax.jit(jax.value_and_grad(loss, (0, 1)))
        run = lambda: jax.block_until_ready(f(weights, recurrent, x))
    else:
        import torch

        lstm, x = torch.nn.LSTM(size, size), torch.tensor(x)
        run = lambda: (lstm(x)[0] ** 2).mean().backward()
    run()
    took = best(run)
    print(f"{library}: {steps} steps in {took * 1e3:.1f} ms, {took / steps * 1e6:.1f} us/step")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--library", choices=["jax", "torch"])
    chosen = parser.parse_args()
    if chosen.library:
        peer(chosen.library, chosen.batch, chosen.size)
    else:
        table(chosen.steps, chosen.batch, chosen.size)
