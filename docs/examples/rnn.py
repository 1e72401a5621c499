# rnn.py — a recurrent network learns to continue waves: a scan, trained with a compiled step.
#
#   python docs/examples/rnn.py
#
# The network sees the beginning of a sum of two sines whose frequencies differ from wave to wave, and predicts
# each next value. Afterwards it goes on alone, fed with its own predictions: a second scan over the same cell.

import mxform as mx

HIDDEN, BATCH, STEPS = 32, 64, 60


def initial_parameters(key):
    keys = mx.random.split(key, 3)
    return {
        "input": 0.5 * mx.random.normal((1, 3 * HIDDEN), key=keys[0]),
        "state": HIDDEN**-0.5 * mx.random.normal((HIDDEN, 3 * HIDDEN), key=keys[1]),
        "bias": mx.zeros(3 * HIDDEN),
        "output": HIDDEN**-0.5 * mx.random.normal((HIDDEN, 1), key=keys[2]),
    }


def cell(p, h, x):
    """A gated recurrent unit (Cho et al., 2014); x: (batch, 1), h: (batch, HIDDEN)."""
    from_x = mx.split(x @ p["input"] + p["bias"], 3, axis=-1)
    from_h = mx.split(h @ p["state"], 3, axis=-1)
    update, reset = (mx.sigmoid(a + b) for a, b in zip(from_x[:2], from_h[:2]))
    h = update * h + (1 - update) * mx.tanh(from_x[2] + reset * from_h[2])
    return h, h @ p["output"]


def predict(p, waves):
    """The value after each of `waves`, (steps, batch, 1), and the last state."""
    return mx.scan(lambda h, x: cell(p, h, x), mx.zeros((waves.shape[1], HIDDEN)), waves)


def go_on(p, waves, steps):
    h, seen = predict(p, waves)

    def step(carry, _):
        h, x = carry
        h, y = cell(p, h, x)
        return (h, y), y

    return mx.scan(step, (h, seen[-1]), length=steps)[1]


def some_waves(key):
    keys = mx.random.split(key, 3)
    frequency = mx.random.uniform(0.2, 0.5, (BATCH,), key=keys[0])
    phase = mx.random.uniform(0, 6.28, (2, BATCH), key=keys[1])
    t = mx.arange(STEPS)[:, None]
    return (mx.sin(frequency * t + phase[0]) + 0.5 * mx.sin(2 * frequency * t + phase[1]))[:, :, None]


def loss(p, waves, key):
    """Of predictions from noisy values: alone, the network will have to live with its own errors."""
    noisy = waves + 0.1 * mx.random.normal(waves.shape, key=key)
    return mx.mean(mx.square(predict(p, noisy[:-1])[1][10:] - waves[11:]))


@mx.compile
def training_step(p, momentum, scale, key):
    """Adam (Kingma and Ba, 2015) without its bias correction."""
    value, gradients = mx.value_and_grad(loss)(p, some_waves(key), mx.random.fold_in(key, 0))
    momentum = mx.tree_map(lambda m, g: 0.9 * m + 0.1 * g, momentum, gradients)
    scale = mx.tree_map(lambda s, g: 0.99 * s + 0.01 * g * g, scale, gradients)
    p = mx.tree_map(lambda w, m, s: w - 0.01 * m / (mx.sqrt(s) + 1e-6), p, momentum, scale)
    return value, p, momentum, scale


if __name__ == "__main__":
    p = initial_parameters(mx.random.key(0))
    momentum, scale = (mx.tree_map(mx.zeros_like, p) for _ in range(2))
    keys = mx.random.split(mx.random.key(1), 300)
    for i in range(300):
        value, p, momentum, scale = training_step(p, momentum, scale, keys[i])
        mx.eval(value, p, momentum, scale)
        if i % 50 == 0 or i == 299:
            print(f"step {i:3}: mean squared error {value.item():.5f}")
    waves = some_waves(mx.random.key(2))
    error = mx.mean(mx.square(go_on(p, waves[:40], 10) - waves[41:51])).item()
    print(f"alone for 10 steps: mean squared error {error:.5f}, variance of the waves {mx.var(waves).item():.3f}")
    if not (value.item() < 0.05 and error < 0.1):
        raise SystemExit("the network did not learn")
