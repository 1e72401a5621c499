"""Rows of matrix products, convolution, attention and a transformer block."""

import numpy as np

from bench.rows import Row, normal

CUBE = 2 * 1024**3


def matmul(lib, jit):
    return jit(lambda a, b: a @ b)


MATMUL = {"mx": matmul, "jax": matmul, "torch": matmul, "numpy": matmul}


# --- 12: each library in its usual axis order; the data is in channels-last order.

CONV = {
    "mx": lambda mx, jit: jit(lambda x, w: mx.conv2d(x, w, padding=1)),
    "jax": lambda jax, jit: jit(
        lambda x, w: jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    ),
    "torch": lambda torch, jit: jit(lambda x, w: torch.nn.functional.conv2d(x, w, padding=1)),
}
CONV_LAYOUT = {
    "jax": lambda inputs: [inputs[0], inputs[1].transpose(1, 2, 3, 0)],
    "torch": lambda inputs: [inputs[0].transpose(0, 3, 1, 2), inputs[1].transpose(0, 3, 1, 2)],
}
CONV_RESULT = {"torch": lambda y: y.transpose(0, 2, 3, 1)}


# --- 14: causal attention, (batch, heads, time, head size)


def attention_numpy(np, jit):
    def f(q, k, v):
        t = q.shape[2]
        s = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(q.shape[-1]))
        s = np.where(np.tri(t, dtype=bool), s, np.float32(-np.inf))
        e = np.exp(s - s.max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True)) @ v

    return f


ATTENTION = {
    "mx": lambda mx, jit: jit(
        lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask="causal")
    ),
    "jax": lambda jax, jit: jit(lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=True)),
    "torch": lambda torch, jit: jit(
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    ),
    "numpy": attention_numpy,
}
HEADS_INSIDE = {"jax": lambda inputs: [np.ascontiguousarray(a.transpose(0, 2, 1, 3)) for a in inputs]}
HEADS_OUTSIDE = {"jax": lambda y: y.transpose(0, 2, 1, 3)}


# --- 15: a transformer block, forward: norm, causal attention of 8 heads, norm, feed-forward of 4 times the width

HEADS = 8


def block_data(rng):
    d = 512
    shapes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    weights = {k: rng.standard_normal(s, dtype=np.float32) / np.float32(np.sqrt(s[0])) for k, s in shapes.items()}
    for name in ("norm1", "norm2"):
        weights[name] = [np.ones(d, np.float32), np.zeros(d, np.float32)]
    return [weights, rng.standard_normal((2, 128, d), dtype=np.float32)]


def block_mx(mx, jit):
    def f(p, x):
        b, t, d = x.shape
        h = mx.fast.layer_norm(x, *p["norm1"], 1e-5)
        q, k, v = [a.reshape(b, t, HEADS, -1).transpose(0, 2, 1, 3) for a in mx.split(h @ p["qkv"], 3, axis=-1)]
        h = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask="causal")
        x = x + h.transpose(0, 2, 1, 3).reshape(b, t, d) @ p["out"]
        h = mx.fast.layer_norm(x, *p["norm2"], 1e-5) @ p["up"]
        return x + (0.5 * h * (1 + mx.tanh(0.7978845608028654 * (h + 0.044715 * h * h * h)))) @ p["down"]

    return jit(f)


def block_jax(jax, jit):
    def norm(x, w, b):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * w + b

    def f(p, x):
        b, t, d = x.shape
        h = norm(x, *p["norm1"])
        q, k, v = [a.reshape(b, t, HEADS, -1) for a in jax.numpy.split(h @ p["qkv"], 3, axis=-1)]
        x = x + jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(b, t, d) @ p["out"]
        return x + jax.nn.gelu(norm(x, *p["norm2"]) @ p["up"], approximate=True) @ p["down"]

    return jit(f)


def block_torch(torch, jit):
    F = torch.nn.functional

    def f(p, x):
        b, t, d = x.shape
        h = F.layer_norm(x, (d,), *p["norm1"], 1e-5)
        q, k, v = [a.reshape(b, t, HEADS, -1).transpose(1, 2) for a in torch.split(h @ p["qkv"], d, dim=-1)]
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + h.transpose(1, 2).reshape(b, t, d) @ p["out"]
        return x + F.gelu(F.layer_norm(x, (d,), *p["norm2"], 1e-5) @ p["up"], approximate="tanh") @ p["down"]

    return jit(f)


# --- 26: a vector times a quantized matrix: groups of 64 unsigned numbers with a scale and a bias, and PyTorch's own formats

GROUP = 64


def quantized_data(bits):
    def data(rng):
        w = rng.standard_normal((4096, 4096 // GROUP, GROUP), dtype=np.float32)
        low, high = w.min(-1, keepdims=True), w.max(-1, keepdims=True)
        scale = (high - low) / np.float32(2**bits - 1)
        q = np.round((w - low) / scale).astype(np.uint8).reshape(4096, 4096)
        return [rng.standard_normal((1, 4096), dtype=np.float32), q, scale[..., 0], low[..., 0]]

    return data


def packed(bits):
    def layout(inputs):
        x, q, scale, bias = inputs
        if bits == 4:
            q = q[:, ::2] | (q[:, 1::2] << 4)
        return [x, np.ascontiguousarray(q).view(np.uint32), scale, bias]

    return layout


def quantized_mx(bits):
    return lambda mx, jit: jit(
        lambda x, w, scale, bias: mx.quantized_matmul(x, w, scale, bias, transpose=True, group_size=GROUP, bits=bits)
    )


def quantized_jax(jax, jit):
    def f(x, q, scale, bias):
        w = q.reshape(4096, -1, GROUP).astype(x.dtype) * scale[..., None] + bias[..., None]
        return x @ w.reshape(4096, 4096).T

    return jit(f)


def quantized_torch_8(torch, jit):
    made = []

    def f(x, q, scale, bias):  # one symmetric scale for each row
        if not made:
            w = (q.reshape(4096, -1, GROUP) * scale[..., None] + bias[..., None]).reshape(4096, 4096)
            s = w.abs().amax(1) / 127
            made.extend([(w / s[:, None]).round().to(torch.int8), s.bfloat16(), x.bfloat16()])
        return torch._weight_int8pack_mm(made[2], made[0], made[1])

    return f


def quantized_torch_4(torch, jit):
    made = []

    def f(x, q, scale, bias):
        if not made:
            pairs = torch.stack([scale, bias + 8 * scale], -1).transpose(0, 1).contiguous()
            made.extend([torch._convert_weight_to_int4pack_for_cpu(q.int(), 1), pairs.bfloat16(), x.bfloat16()])
        return torch._weight_int4pack_mm_for_cpu(made[2], made[0], GROUP, made[1])

    return f


ROWS = [
    Row("9a", "matmul 128^3", normal((128, 128), (128, 128)), MATMUL, flops=2 * 128**3),
    Row("9b", "matmul 1024^3", normal((1024, 1024), (1024, 1024)), MATMUL, bar=0.95, flops=CUBE),
    Row("10", "batched matmul 256x32x32", normal((256, 32, 32), (256, 32, 32)), MATMUL, bar=2.0,
        flops=2 * 256 * 32**3, bytes=12 * 256 * 32 * 32),
    Row("11", "bf16 matmul 1024^3", normal((1024, 1024), (1024, 1024)), MATMUL, bar=0.95, flops=CUBE,
        dtype="bfloat16", skip=("numpy",), tolerance=2e-2),
    Row("12", "conv 3x3, 64 channels, 8x56x56", normal((8, 56, 56, 64), (64, 3, 3, 64)), CONV, bar=0.95,
        flops=2 * 8 * 56 * 56 * 64 * 64 * 9, layout=CONV_LAYOUT, canonical=CONV_RESULT, skip=("numpy",)),
    Row("14", "causal attention, T = 1024", normal(*[(1, 8, 1024, 64)] * 3), ATTENTION, flops=2 * 1024**2 * 64 * 8,
        layout=HEADS_INSIDE, canonical=HEADS_OUTSIDE),
    Row("15", "transformer block, 2x128x512", block_data, {"mx": block_mx, "jax": block_jax, "torch": block_torch},
        flops=2 * 256 * 12 * 512**2 + 4 * 128**2 * 512),
    *[
        Row(f"26{letter}", f"{bits}-bit quantized matvec 4096^2", quantized_data(bits),
            {"mx": quantized_mx(bits), "jax": quantized_jax, "torch": torch_program}, bytes=4096**2 * bits / 8,
            layout={"mx": packed(bits)}, skip=("inductor",), tolerance=0.05)
        for letter, bits, torch_program in (("a", 8, quantized_torch_8), ("b", 4, quantized_torch_4))
    ],
]
