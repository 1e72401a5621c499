"""A small convolutional network with batch norm, pooling and a transposed convolution, trained by SGD with momentum."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm(8)
        self.conv2 = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.norm = nn.GroupNorm(2, 4, pytorch_compatible=True)
        self.pool, self.mean = nn.MaxPool2d(2, 2), nn.AvgPool2d(2, 2)
        self.conv1d = nn.Conv1d(4, 4, 3, padding=1)
        self.out = nn.Linear(4 * 4 * 4, 5)

    def __call__(self, x):
        x = nn.relu(self.bn(self.conv1(x)))
        x = self.norm(self.up(nn.leaky_relu(self.conv2(x))))
        x = self.mean(self.pool(x))
        n, h, w, c = x.shape
        x = nn.tanh(self.conv1d(x.reshape(n, h * w, c)))
        return self.out(x.reshape(n, -1))


def main(folder):
    mx.random.seed(11)
    x, y = mx.random.normal((8, 16, 16, 3)), mx.random.randint(0, 5, (8,))
    model = ConvNet()
    mx.eval(model.parameters())
    optimizer = optim.SGD(learning_rate=0.05, momentum=0.9, nesterov=True)
    state = [model.state, optimizer.state]

    def loss_fn(x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(x, y)
        optimizer.update(model, grads)
        return loss

    losses = []
    for _ in range(8):
        losses.append(step(x, y).item())
        mx.eval(state)
    model.eval()
    return {"losses": losses, "logits": model(x), "running_mean": model.bn.running_mean, "running_var": model.bn.running_var}
