"""A causal transformer with RoPE, grouped heads and a recurrent head, trained by Adam; one block is checkpointed."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map


class Attention(nn.Module):
    def __init__(self, dims, heads, kv_heads):
        super().__init__()
        self.heads, self.kv_heads, self.dims = heads, kv_heads, dims // heads
        self.q = nn.Linear(dims, dims, bias=False)
        self.kv = nn.Linear(dims, 2 * kv_heads * self.dims, bias=False)
        self.out = nn.Linear(dims, dims)
        self.rope = nn.RoPE(self.dims, traditional=False)

    def __call__(self, x, mask):
        b, t, _ = x.shape
        q = self.q(x).reshape(b, t, self.heads, -1).transpose(0, 2, 1, 3)
        k, v = mx.split(self.kv(x).reshape(b, t, 2 * self.kv_heads, -1).transpose(0, 2, 1, 3), 2, axis=1)
        y = mx.fast.scaled_dot_product_attention(self.rope(q), self.rope(k), v, scale=self.dims**-0.5, mask=mask)
        return self.out(y.transpose(0, 2, 1, 3).reshape(b, t, -1))


class Block(nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.attention = Attention(dims, 4, 2)
        self.norm1, self.norm2 = nn.RMSNorm(dims), nn.LayerNorm(dims)
        self.up, self.down = nn.Linear(dims, 2 * dims), nn.Linear(2 * dims, dims)

    def __call__(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.down(nn.gelu_approx(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, vocabulary=23, dims=32):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dims)
        self.blocks = [Block(dims), Block(dims)]
        self.encoder = nn.TransformerEncoder(1, dims, 2, checkpoint=True)
        self.lstm = nn.LSTM(dims, dims)
        self.gru = nn.GRU(dims, dims)

    def __call__(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, "causal")
        x = self.encoder(x, nn.MultiHeadAttention.create_additive_causal_mask(tokens.shape[1]))
        x = x + self.lstm(x)[0] + self.gru(x)
        return self.embed.as_linear(x)


def main(folder):
    mx.random.seed(5)
    tokens = mx.random.randint(0, 23, (4, 13))
    model = Model()
    mx.eval(model.parameters())
    optimizer = optim.Adam(learning_rate=3e-3, bias_correction=True)
    state = [model.state, optimizer.state]

    def loss_fn(tokens):
        return nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:], reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tokens):
        loss, grads = nn.value_and_grad(model, loss_fn)(tokens)
        optimizer.update(model, grads)
        return loss

    losses = []
    for _ in range(6):
        losses.append(step(tokens).item())
        mx.eval(state)
    sizes = dict(tree_flatten(tree_map(lambda p: p.size, model.parameters())))
    return {"losses": losses, "logits": model(tokens[:1, :3]), "parameters": sum(sizes.values())}
