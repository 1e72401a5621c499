"""Rows of training steps and of gradients."""

import numpy as np

from bench.rows import Row

RATE = 1e-3


def mlp_data(batch, *sizes):
    def data(rng):
        params = []
        for m, n in zip(sizes, sizes[1:]):
            params.append(rng.standard_normal((m, n), dtype=np.float32) / np.float32(np.sqrt(m)))
            params.append(np.zeros(n, np.float32))
        x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
        y = rng.standard_normal((batch, sizes[-1]), dtype=np.float32)
        return [params, x, y]

    return data


def mlp_loss(activation, mean):
    """The mean squared error of an MLP; the same formula in every library."""

    def loss(params, x, y):
        for i in range(0, len(params) - 2, 2):
            x = activation(x @ params[i] + params[i + 1])
        error = x @ params[-2] + params[-1] - y
        return mean(error * error)

    return loss


def step_functional(loss_of):
    """For libraries whose gradients are functions: mxform, MLX and JAX."""

    def program(lib, jit):
        gradient = lib.value_and_grad(loss_of(lib))

        def step(params, x, y):
            value, grads = gradient(params, x, y)
            return value, [p - RATE * g for p, g in zip(params, grads)]

        return jit(step)

    return program


def step_torch(loss_of):
    """In place, as PyTorch's optimizers do; the parameters drift from call to call, the work does not."""

    def program(torch, jit):
        loss = jit(loss_of(torch))

        def step(params, x, y):
            for p in params:
                p.requires_grad_()
            value = loss(params, x, y)
            grads = torch.autograd.grad(value, params)
            with torch.no_grad():
                for p, g in zip(params, grads):
                    p.sub_(g, alpha=RATE)
            return value, params

        return step

    return program


def steps(mx, jax, torch):
    return {"mx": step_functional(mx), "jax": step_functional(jax), "torch": step_torch(torch)}


TANH_MLP = steps(
    lambda mx: mlp_loss(mx.tanh, mx.mean),
    lambda jax: mlp_loss(jax.numpy.tanh, jax.numpy.mean),
    lambda torch: mlp_loss(torch.tanh, torch.mean),
)
RELU_MLP = steps(
    lambda mx: mlp_loss(lambda x: mx.maximum(x, 0), mx.mean),
    lambda jax: mlp_loss(jax.nn.relu, jax.numpy.mean),
    lambda torch: mlp_loss(torch.relu, torch.mean),
)


# --- 22: one step of Adam for 100 parameters of 64x64 with given gradients

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_data(rng):
    draw = lambda: [rng.standard_normal((64, 64), dtype=np.float32) for _ in range(100)]
    zeros = lambda: [np.zeros((64, 64), np.float32) for _ in range(100)]
    return [draw(), draw(), zeros(), zeros(), np.array(1.0, np.float32)]


def adam(sqrt):
    def step(params, grads, ms, vs, t):
        c1, c2 = 1 - BETA1**t, 1 - BETA2**t
        ms = [BETA1 * m + (1 - BETA1) * g for m, g in zip(ms, grads)]
        vs = [BETA2 * v + (1 - BETA2) * (g * g) for v, g in zip(vs, grads)]
        return [p - RATE * (m / c1) / (sqrt(v / c2) + EPSILON) for p, m, v in zip(params, ms, vs)], ms, vs

    return step


def adam_torch(torch, jit):
    made = []

    def step(params, grads, ms, vs, t):
        if not made:
            optimizer = torch.optim.Adam(params, lr=RATE, betas=(BETA1, BETA2), eps=EPSILON)
            for p, g in zip(params, grads):
                p.grad = g
            made.extend([optimizer, optimizer.step])
        made[1]()
        state = [made[0].state[p] for p in params]
        return params, [s["exp_avg"] for s in state], [s["exp_avg_sq"] for s in state]

    return step


ADAM = {
    "mx": lambda mx, jit: jit(adam(mx.sqrt)),
    "jax": lambda jax, jit: jit(adam(jax.numpy.sqrt)),
    "torch": adam_torch,
    "numpy": lambda np, jit: adam(np.sqrt),
}


# --- 23: a training step of a small convolutional net on 32x32 images, batch 32. Channels last, but for PyTorch.


def conv_net_data(rng):
    def weights(*shape):
        fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(fan_in))

    params = [weights(32, 3, 3, 3), weights(64, 3, 3, 32), weights(64, 3, 3, 64), weights(64, 10)]
    return [params, rng.standard_normal((32, 32, 32, 3), dtype=np.float32), rng.integers(0, 10, 32).astype(np.int32)]


def conv_net_mx(mx):
    def loss(params, x, y):
        for w, stride in zip(params[:3], (1, 2, 2)):
            x = mx.maximum(mx.conv2d(x, w, stride=stride, padding=1), 0)
        logits = mx.mean(x, axis=(1, 2)) @ params[3]
        return mx.mean(mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, y[:, None], axis=-1)[:, 0])

    return loss


def conv_net_jax(jax):
    def loss(params, x, y):
        for w, stride in zip(params[:3], (1, 2, 2)):
            x = jax.lax.conv_general_dilated(
                x, w, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x)
        logits = x.mean((1, 2)) @ params[3]
        picked = jax.numpy.take_along_axis(logits, y[:, None], axis=-1)[:, 0]
        return (jax.nn.logsumexp(logits, axis=-1) - picked).mean()

    return loss


def conv_net_torch(torch):
    F = torch.nn.functional

    def loss(params, x, y):
        for w, stride in zip(params[:3], (1, 2, 2)):
            x = F.relu(F.conv2d(x, w, stride=stride, padding=1))
        return F.cross_entropy(x.mean((2, 3)) @ params[3], y.long())

    return loss


def turned(axes):
    """Apply an axis order to everything with four axes."""
    turn = lambda a: np.ascontiguousarray(a.transpose(axes)) if a.ndim == 4 else a
    return turn


CONV_NET_LAYOUT = {
    "jax": lambda inputs: [[turned((1, 2, 3, 0))(w) for w in inputs[0]], *inputs[1:]],
    "torch": lambda inputs: [[turned((0, 3, 1, 2))(w) for w in inputs[0]], turned((0, 3, 1, 2))(inputs[1]), inputs[2]],
}
CONV_NET_RESULT = {"jax": turned((3, 0, 1, 2)), "torch": turned((0, 2, 3, 1))}


# --- 24: an LSTM of 64 units over 512 steps, batch 16: the loss and the gradients of both weights


def lstm_data(rng):
    wx, wh = [(0.1 * rng.standard_normal((64, 256))).astype(np.float32) for _ in range(2)]
    return [wx, wh, rng.standard_normal((512, 16, 64), dtype=np.float32)]


def lstm_step(m, sigmoid, wh):
    def step(state, gates):
        h, c = state
        i, f, g, o = m.split(gates + h @ wh, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * m.tanh(g)
        h = sigmoid(o) * m.tanh(c)
        return (h, c), h

    return step


def unrolled(step, state, xs):
    ys = []
    for x in xs:
        state, y = step(state, x)
        ys.append(y)
    return state, ys


def lstm_loss(m, sigmoid, scan, stack=lambda ys: ys):
    def loss(wx, wh, x):
        zero = m.zeros((x.shape[1], wh.shape[0]))
        hs = stack(scan(lstm_step(m, sigmoid, wh), (zero, zero), x @ wx)[1])
        return m.mean(hs * hs)

    return loss


def lstm_torch(torch, jit):
    made = []

    def f(wx, wh, x):
        if not made:
            made.append(torch.nn.LSTM(64, 64, bias=False))
            with torch.no_grad():
                made[0].weight_ih_l0.copy_(wx.T)
                made[0].weight_hh_l0.copy_(wh.T)
        hs = made[0](x)[0]
        value = torch.mean(hs * hs)
        return value, torch.autograd.grad(value, [made[0].weight_ih_l0, made[0].weight_hh_l0])

    return f


LSTM = {
    "mxform": lambda mx, jit: jit(mx.value_and_grad(lstm_loss(mx, mx.sigmoid, mx.scan), argnums=(0, 1))),
    "mlx": lambda mx, jit: mx.value_and_grad(lstm_loss(mx, mx.sigmoid, unrolled, mx.stack), argnums=(0, 1)),
    "jax": lambda jax, jit: jit(jax.value_and_grad(lstm_loss(jax.numpy, jax.nn.sigmoid, jax.lax.scan), (0, 1))),
    "torch": lstm_torch,
}

ROWS = [
    Row("2", "gradient step of a small MLP (8-32-1, batch 16)", mlp_data(16, 8, 32, 1), TANH_MLP, bar=2.0),
    Row("13", "MLP training step (784-512-512-10), batch 256", mlp_data(256, 784, 512, 512, 10), RELU_MLP,
        flops=2 * 256 * (2 * 784 * 512 + 3 * 512 * 512 + 3 * 512 * 10)),
    Row("22", "Adam step of 100 parameters of 64x64", adam_data, ADAM, bytes=7 * 4 * 100 * 64 * 64, skip=("inductor",)),
    Row("23", "conv net step, 32x32 images, batch 32", conv_net_data, steps(conv_net_mx, conv_net_jax, conv_net_torch),
        layout=CONV_NET_LAYOUT, canonical=CONV_NET_RESULT,
        flops=2 * 32 * 9 * (2 * 1024 * 3 * 32 + 3 * 256 * 32 * 64 + 3 * 64 * 64 * 64)),
    Row("24", "LSTM of 512 steps, forward + backward", lstm_data, LSTM, skip=("inductor", "numpy"), tolerance=1e-3,
        canonical={"torch": lambda a: a.T if a.ndim == 2 else a}, flops=2 * 512 * 16 * (3 * 64 * 256 + 2 * 64 * 256)),
]
