# digits.py — train a small network on scikit-learn's handwritten digits, then look at what it finds hard.
#
#   python docs/examples/digits.py --output digits.png
#
# Shows mx.compile and mx.value_and_grad in a training step, Adam written by hand over a tree of parameters,
# and mx.vmap(mx.grad(...)) for one gradient per training image. Takes a few seconds.

import argparse
import functools
import math

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import mxform as mx

NOISE = 0.2  # added to pixels, which go from 0 to 1, while training


def init_params(sizes):
    """Weights with variance 2 / n_in, biases 0: a list with one dict for each layer."""
    return [
        {"weight": mx.random.normal((n_in, n_out)) * math.sqrt(2 / n_in), "bias": mx.zeros((n_out,))}
        for n_in, n_out in zip(sizes, sizes[1:])
    ]


def predict(params, x):
    """Logits (..., 10) for images (..., 64)."""
    for layer in params[:-1]:
        x = mx.maximum(x @ layer["weight"] + layer["bias"], 0.0)
    return x @ params[-1]["weight"] + params[-1]["bias"]


def example_loss(params, x, label):
    """Cross entropy of one image."""
    logits = predict(params, x)
    return mx.logsumexp(logits) - mx.take(logits, label)


def batch_loss(params, x, labels):
    losses = mx.vmap(example_loss, in_axes=(None, 0, 0))(params, x, labels)
    return losses.mean()


def adam(params, grads, state, rate, b1=0.9, b2=0.99, eps=1e-8):
    """One step of Adam. `state` holds the step count and the moments, trees like `params`."""
    count = state["count"] + 1
    mean = mx.tree_map(lambda m, g: b1 * m + (1 - b1) * g, state["mean"], grads)
    square = mx.tree_map(lambda v, g: b2 * v + (1 - b2) * g * g, state["square"], grads)

    def move(p, m, v):
        m_hat = m / (1 - b1**count)
        v_hat = v / (1 - b2**count)
        return p - rate * m_hat / (mx.sqrt(v_hat) + eps)

    return mx.tree_map(move, params, mean, square), {"count": count, "mean": mean, "square": square}


# The random state is read and written by each call, so each draws its own noise.
@functools.partial(mx.compile, inputs=mx.random.state, outputs=mx.random.state)
def train_step(params, state, x, labels, rate):
    x = x + NOISE * mx.random.normal(x.shape)
    loss, grads = mx.value_and_grad(batch_loss)(params, x, labels)
    params, state = adam(params, grads, state, rate)
    return params, state, loss


@mx.compile
def gradient_norms(params, x, labels):
    """The length of each example's own gradient, over all parameters."""
    grads = mx.vmap(mx.grad(example_loss), in_axes=(None, 0, 0))(params, x, labels)
    squares = [(g * g).reshape(g.shape[0], -1).sum(axis=1) for g in mx.tree_leaves(grads)]
    return mx.sqrt(sum(squares))


def accuracy(params, x, labels):
    return (mx.argmax(predict(params, x), axis=1) == labels).astype(mx.float32).mean().item()


def train(args, x, labels, x_test, labels_test):
    params = init_params([64, 128, 64, 10])
    zeros = mx.tree_map(mx.zeros_like, params)
    state = {"count": mx.array(0.0), "mean": zeros, "square": zeros}
    curve = {"loss": [], "accuracy": []}
    bar = tqdm(range(args.epochs), desc="training", unit="epoch")
    for epoch in bar:
        # Cosine decay; an array, so that a new value is not a new trace.
        rate = mx.array(args.rate * 0.5 * (1 + math.cos(math.pi * epoch / args.epochs)))
        order = mx.random.permutation(x.shape[0])
        losses = []
        for start in range(0, x.shape[0] - args.batch + 1, args.batch):
            chosen = order[start : start + args.batch]
            params, state, loss = train_step(params, state, x[chosen], labels[chosen], rate)
            losses.append(loss)
        mx.eval(params, state)
        curve["loss"].append(mx.mean(mx.stack(losses)).item())
        curve["accuracy"].append(accuracy(params, x_test, labels_test))
        bar.set_postfix(loss=f"{curve['loss'][-1]:.4f}", accuracy=f"{curve['accuracy'][-1]:.1%}")
    return params, curve


def draw(path, curve, images, captions):
    figure = plt.figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots(2, 1, sharex=True)
    axes[0].semilogy(curve["loss"])
    axes[0].set_ylabel("training loss")
    axes[1].plot(curve["accuracy"])
    axes[1].set_ylabel("test accuracy")
    axes[1].set_xlabel("epoch")
    right.suptitle("training images with the largest gradients")
    for axis, image, caption in zip(right.subplots(2, 4).flat, images, captions):
        axis.imshow(image.reshape(8, 8), cmap="gray_r")
        axis.set_title(caption, fontsize=8)
        axis.axis("off")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3, help="initial learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="digits.png", help="where to write the picture")
    args = parser.parse_args()

    mx.random.seed(args.seed)
    images, targets = load_digits(return_X_y=True)
    split = train_test_split(images / 16, targets, test_size=0.2, stratify=targets, random_state=args.seed)
    x, x_test = (mx.array(a.astype(np.float32)) for a in split[:2])
    labels, labels_test = (mx.array(a.astype(np.int32)) for a in split[2:])

    params, curve = train(args, x, labels, x_test, labels_test)

    guesses = mx.argmax(predict(params, x_test), axis=1)
    hits = (guesses == labels_test).astype(mx.float32)
    print(f"\ntest accuracy {hits.mean().item():.2%} on {len(split[3])} images")
    for digit in range(10):
        mask = (labels_test == digit).astype(mx.float32)
        print(f"  digit {digit}: {((hits * mask).sum() / mask.sum()).item():7.2%} of {int(mask.sum().item())}")

    norms = gradient_norms(params, x, labels)
    hardest = mx.argsort(-norms)[:8]
    guessed = mx.argmax(predict(params, x[hardest]), axis=1).tolist()
    captions = [f"{t}, guessed {g}\n|grad| {n:.2g}" for t, g, n in zip(labels[hardest].tolist(), guessed, norms[hardest].tolist())]
    print("largest gradients: " + "; ".join(c.replace("\n", ", ") for c in captions))
    draw(args.output, curve, np.array(x[hardest]), captions)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
