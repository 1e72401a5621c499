"""Every layer of mlx.nn that has no training program of its own here: outputs and gradients, and each optimizer."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten


def outputs_and_gradients(layer, x):
    mx.eval(layer.parameters())

    def loss(x):
        y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
        return (y * mx.cos(mx.arange(y.size).reshape(y.shape))).sum()

    value, of_x = mx.value_and_grad(loss)(x)
    found = [value, of_x.square().sum()]
    if tree_flatten(layer.trainable_parameters()):
        grads = nn.value_and_grad(layer, loss)(x)[1]
        found += [g.square().sum() for _, g in tree_flatten(grads)]
    return found


ACTIVATIONS = ("relu", "relu6", "relu2", "leaky_relu", "elu", "celu", "selu", "sigmoid", "log_sigmoid", "softplus", "softsign",
               "silu", "mish", "gelu", "gelu_approx", "gelu_fast_approx", "hardswish", "hard_tanh", "hard_shrink", "softshrink",
               "softmax", "log_softmax", "softmin", "tanh")


def main(folder):
    mx.random.seed(1)
    x = mx.random.normal((2, 6, 8))
    image = mx.random.normal((2, 6, 6, 4))
    volume = mx.random.normal((1, 4, 4, 4, 2))
    found = {}
    for layer, at in (
        (nn.Linear(8, 5), x), (nn.Bilinear(8, 8, 3), None), (nn.RNN(8, 5), x), (nn.GRU(8, 5), x), (nn.LSTM(8, 5), x),
        (nn.LayerNorm(8), x), (nn.RMSNorm(8), x), (nn.GroupNorm(2, 8), x), (nn.InstanceNorm(8, affine=True), x), (nn.BatchNorm(8), x),
        (nn.PReLU(), x), (nn.GLU(), x), (nn.Conv1d(8, 4, 3), x), (nn.ConvTranspose1d(8, 4, 3, stride=2), x),
        (nn.Conv2d(4, 6, 3, dilation=2, padding=2), image), (nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1), image),
        (nn.Conv3d(2, 3, 2), volume), (nn.ConvTranspose3d(2, 3, 2), volume), (nn.MaxPool1d(2, 2), x), (nn.AvgPool1d(3, 1, padding=1), x),
        (nn.MaxPool2d(3, 2, padding=1), image), (nn.AvgPool2d(2, 1), image), (nn.MaxPool3d(2), volume), (nn.AvgPool3d(2), volume),
        (nn.Upsample(2, "nearest"), image), (nn.Upsample(1.5, "linear", align_corners=True), image), (nn.Upsample(2.0, "cubic"), image),
        (nn.RoPE(8), x), (nn.RoPE(4, traditional=True), x), (nn.TransformerEncoderLayer(8, 2, norm_first=True), None),
        (nn.MultiHeadAttention(8, 2), None),
    ):
        name = f"{type(layer).__name__} {len(found)}"
        if at is not None:
            found[name] = outputs_and_gradients(layer, at)
        elif isinstance(layer, nn.Bilinear):
            found[name] = layer(x, x[..., ::-1])
        elif isinstance(layer, nn.MultiHeadAttention):
            found[name] = layer(x, x, x, mask=layer.create_additive_causal_mask(6))
        else:
            found[name] = layer(x, None)
    found["sinusoidal"] = nn.SinusoidalPositionalEncoding(8)(mx.arange(3))
    found["alibi"] = nn.ALiBi()(mx.random.normal((1, 2, 3, 3)))
    for name in ACTIVATIONS:
        found[name] = getattr(nn, name)(x[0, 0])
    p, q = mx.sigmoid(x[0]), mx.sigmoid(x[1])
    for name in ("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "log_cosh_loss", "binary_cross_entropy", "kl_div_loss", "hinge_loss",
                 "cosine_similarity_loss"):
        found[name] = getattr(nn.losses, name)(p, q, reduction="mean")
    found["triplet"] = nn.losses.triplet_loss(x[0], x[1], x[0] * 2, reduction="sum")
    found["gaussian_nll"] = nn.losses.gaussian_nll_loss(p, q, q, reduction="mean")
    found["margin"] = nn.losses.margin_ranking_loss(p, q, mx.sign(p - 0.5), reduction="mean")
    for init in (nn.init.normal(), nn.init.uniform(), nn.init.glorot_normal(), nn.init.glorot_uniform(), nn.init.he_normal(),
                 nn.init.he_uniform(), nn.init.identity(), nn.init.sparse(0.5), nn.init.orthogonal()):
        found[f"init {len(found)}"] = init(mx.zeros((4, 4)))
    for optimizer in (optim.SGD(0.1, weight_decay=0.1), optim.RMSprop(0.01), optim.Adagrad(0.1), optim.AdaDelta(0.1), optim.Adam(0.1),
                      optim.AdamW(0.1), optim.Adamax(0.1), optim.Lion(0.1), optim.Adafactor(), optim.Muon(0.1)):
        layer = nn.Linear(8, 4)
        step = nn.value_and_grad(layer, lambda x: layer(x).square().mean())
        losses = []
        for _ in range(3):
            value, grads = step(x)
            optimizer.update(layer, grads)
            mx.eval(layer.parameters(), optimizer.state)
            losses.append(value)
        found[type(optimizer).__name__] = losses
    return found
