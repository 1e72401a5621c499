"""Random draws: the same key gives the same numbers."""

import mlx.core as mx


def main(folder):
    key = mx.random.key(7)
    a, b = mx.random.split(key)
    draws = {
        "split": mx.random.split(key, 3),
        "uniform": mx.random.uniform(-1, 2, (7,), key=a),
        "uniform16": mx.random.uniform(shape=(7,), dtype=mx.float16, key=a),
        "uniform_bf16": mx.random.uniform(shape=(7,), dtype=mx.bfloat16, key=a).astype(mx.float32),
        "normal": mx.random.normal((3, 3), loc=1.0, scale=2.0, key=b),
        "normal16": mx.random.normal((5,), dtype=mx.float16, key=b),
        "truncated_normal": mx.random.truncated_normal(-1.0, 0.5, (6,), key=a),
        "gumbel": mx.random.gumbel((5,), key=a),
        "laplace": mx.random.laplace((5,), key=a),
        "randint": mx.random.randint(-10, 100, (9,), key=b),
        "randint_wide": mx.random.randint(0, 2**31 - 1, (5,), key=b),
        "bernoulli": mx.random.bernoulli(mx.array([0.1, 0.5, 0.9]), (4, 3), key=a),
        "permutation": mx.random.permutation(12, key=a),
        "permutation_rows": mx.random.permutation(mx.arange(12).reshape(4, 3), axis=0, key=b),
        "categorical": mx.random.categorical(mx.array([[0.1, 2.0, -1.0], [1.0, 1.0, 1.0]]), num_samples=6, key=a),
        "multivariate_normal": mx.random.multivariate_normal(
            mx.array([1.0, -2.0]), mx.array([[2.0, 0.5], [0.5, 1.0]]), (4,), key=key),
    }
    mx.random.seed(42)
    draws["seeded"] = [mx.random.uniform(shape=(3,)), mx.random.normal((3,)), mx.random.randint(0, 9, (4,)), mx.random.state[0]]
    return draws
