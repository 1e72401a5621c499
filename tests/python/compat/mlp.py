"""A multilayer perceptron with dropout, trained by AdamW in a compiled step that captures its state."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 4)]
        self.norm = nn.LayerNorm(32)
        self.dropout = nn.Dropout(0.2)

    def __call__(self, x):
        x = nn.gelu(self.layers[0](x))
        x = self.dropout(nn.silu(self.norm(self.layers[1](x))))
        return self.layers[2](x)


def main(folder):
    mx.random.seed(3)
    x, y = mx.random.normal((64, 8)), mx.random.randint(0, 4, (64,))
    model = MLP()
    mx.eval(model.parameters())
    schedule = optim.join_schedules([optim.linear_schedule(0, 1e-2, 5), optim.cosine_decay(1e-2, 20)], [5])
    optimizer = optim.AdamW(learning_rate=schedule, weight_decay=0.05)
    state = [model.state, optimizer.state, mx.random.state]

    def loss_fn(model, x, y):
        return nn.losses.cross_entropy(model(x), y, label_smoothing=0.1, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        grads, norm = optim.clip_grad_norm(grads, 1.0)
        optimizer.update(model, grads)
        return loss, norm

    losses = []
    for _ in range(15):
        loss, norm = step(x, y)
        mx.eval(state)
        losses.append((loss.item(), norm.item()))
    model.eval()
    return {"losses": losses, "logits": model(x[:4]), "rate": optimizer.learning_rate, "step": optimizer.state["step"]}
