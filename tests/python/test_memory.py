"""test_memory.py — when arrays are computed, what memory they take and give back, and that nobody sees it being shared,
reused and updated in place."""

import gc

import numpy as np
import pytest

import mxform as mx
from conftest import ON_GPU


# ---- laziness and memory

def test_nothing_is_computed_before_it_is_needed():
    before = mx.get_active_memory()
    x = mx.zeros((1 << 20,)) + 1
    assert mx.get_active_memory() - before < 1 << 20
    mx.eval(x)
    assert mx.get_active_memory() - before >= 4 << 20
    del x


def test_active_memory_returns_to_what_it_was():
    gc.collect()
    before = mx.get_active_memory()
    for _ in range(3):
        x = mx.random.normal((1000,), key=mx.random.key(0))
        y = mx.grad(lambda x: mx.sum(mx.tanh(x) * x))(x)
        z = mx.vmap(mx.compile(lambda a: a * 2 + 1))(y)
        mx.eval(x, y, z)
        assert mx.get_active_memory() > before
        del x, y, z
    gc.collect()
    assert mx.get_active_memory() == before


def loss_of(x):
    return lambda w: (mx.tanh(x @ w) ** 2).mean()


@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile], ids=["lazy", "compiled"])
def test_memory_returns_over_many_gradient_steps(wrap):
    x, w = mx.random.normal((8, 16)), mx.random.normal((16, 16))
    mx.eval(x, w)
    value_and_grad = mx.value_and_grad(wrap(loss_of(x)))

    def step(w):
        loss, grad = value_and_grad(w)
        w = w - 0.001 * grad
        mx.eval(loss, w)
        return loss, w

    loss, w = step(w)
    gc.collect()
    start = mx.get_active_memory()
    for _ in range(200 if ON_GPU else 10_000):  # the double of a GPU is slow
        loss, w = step(w)
    gc.collect()
    assert mx.get_active_memory() == start


def test_active_memory_returns_after_an_error():
    gc.collect()
    before = mx.get_active_memory()
    x = mx.ones((1000,))
    for _ in range(5):
        with pytest.raises(IndexError):
            mx.eval(mx.take(x * 2, mx.array([5000])))
    del x
    gc.collect()
    assert mx.get_active_memory() == before


def test_views_share_memory():
    gc.collect()
    x = mx.ones((1 << 20,)) + 1
    mx.eval(x)
    before = mx.get_active_memory()
    views = [x.reshape(1 << 10, 1 << 10).T, x[::2], mx.broadcast_to(x, (4, 1 << 20)), x[5:]]
    mx.eval(views)
    assert mx.get_active_memory() - before < 1 << 16


def test_peak_memory_is_the_largest_and_can_be_reset():
    mx.reset_peak_memory()
    x = mx.ones((1 << 20,)) + 1
    mx.eval(x)
    high = mx.get_peak_memory()
    assert high >= 4 << 20
    del x
    gc.collect()
    assert mx.get_peak_memory() == high
    mx.reset_peak_memory()
    assert mx.get_peak_memory() < high


def test_the_cache_can_be_emptied_and_limited():
    x = mx.ones((1 << 20,)) + 1
    mx.eval(x)
    del x
    gc.collect()
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    old = mx.set_cache_limit(0)
    try:
        x = mx.ones((1 << 20,)) + 1
        mx.eval(x)
        del x
        assert mx.get_cache_memory() == 0
    finally:
        mx.set_cache_limit(old)
    assert mx.set_cache_limit(old) == old


def test_eval_takes_trees_and_anything_else():
    x, y = mx.array(1.0) + 1, mx.array(2.0) + 1
    assert mx.eval([x, {"a": (y, None)}], 3, "text") is None
    mx.async_eval(x, [y])
    mx.synchronize()
    assert x.item() == 2 and y.item() == 3


# ---- values that arrays keep though they are made lazily

def test_a_leaf_made_from_numpy_does_not_follow_later_changes():
    a = np.ones(3, np.float32)
    x = mx.array(a)
    a[:] = 7
    assert x.tolist() == [1, 1, 1]


def test_an_update_in_place_does_not_reach_earlier_results():
    x = mx.array([1.0, 2.0, 3.0])
    y = x * 2
    view = x[1:]
    x[0] = 100.0
    x += 1
    assert y.tolist() == [2, 4, 6] and view.tolist() == [2, 3] and x.tolist() == [101, 3, 4]


# ---- updates, views and evaluation in any order

STEPS = ("view", "transpose", "copy", "compute", "assign", "assign_array", "augment", "accumulate", "scatter", "eval", "drop", "numpy")


def random_walk(seed, n_steps=60):
    """Arrays and NumPy twins, where every name has its own memory: what a program may observe, however memory is shared,
    reused and updated in place behind it."""
    rng = np.random.default_rng(seed)
    pool = [(mx.array(a), a.copy()) for a in (rng.integers(-3, 4, (3, 4)).astype(np.float32) for _ in range(2))]
    log = []
    for _ in range(n_steps):
        step = STEPS[rng.integers(len(STEPS))]
        k = int(rng.integers(len(pool)))
        x, a = pool[k]
        row, col = int(rng.integers(a.shape[0])), int(rng.integers(a.shape[1]))
        log.append((step, k, row, col))
        if step == "view":
            if min(a.shape) > 1:
                i = (slice(None, None, -1), slice(0, None)) if rng.random() < 0.5 else (slice(row % 2, None), slice(None, None, 1 + col % 2))
                pool.append((x[i], a[i].copy()))
        elif step == "transpose":
            pool.append((x.T, a.T.copy()))
        elif step == "copy":
            pool.append((mx.array(x), a.copy()))
        elif step == "compute":
            y, b = pool[int(rng.integers(len(pool)))]
            pool.append((x + mx.sum(y) % 8, a + b.sum() % 8))
        elif step == "assign":
            x[row, col] = 7
            a[row, col] = 7
        elif step == "assign_array":
            x[row] = x[:, :][0] * 2
            a[row] = a[0] * 2
        elif step == "augment":
            x += 1
            a += 1
        elif step == "accumulate":
            x[row:] -= x[: a.shape[0] - row]
            a[row:] -= a[: a.shape[0] - row].copy()
        elif step == "scatter":
            x = x.at[mx.array([row, row, 0])].add(1)
            np.add.at(a, [row, row, 0], 1)
        elif step == "eval":
            mx.eval([pool[j][0] for j in rng.integers(0, len(pool), 2)])
        elif step == "drop" and len(pool) > 2:
            del pool[k]
            continue
        elif step == "numpy":
            assert np.array_equal(np.array(x), a), log
        a = np.clip(a, -1000, 1000)
        pool[k] = (mx.clip(x, -1000, 1000), a) if np.abs(a).max(initial=0) >= 1000 else (x, a)
        pool = pool[-8:]
    for x, a in pool:
        assert np.array_equal(np.array(x), a), log


def test_updates_views_and_evaluation_in_any_order_are_as_if_nothing_were_shared():
    for seed in range(300):
        random_walk(seed)


@pytest.mark.long
def test_updates_views_and_evaluation_in_any_order_long():
    seed = int(np.random.default_rng().integers(2**32))
    print("first seed", seed)
    for k in range(20_000):
        random_walk(seed + k, 100)
