"""test_random.py — which numbers a key draws (those that MLX draws), how they are spread, seeds and the global state."""

import numpy as np
import pytest

import mxform as mx
from specs import name_of, to_np

R = mx.random

# Drawn by MLX 0.32 with the same keys.
DRAWN = [
    ('R.key(0)', 'uint32', [0, 0]),
    ('R.key(7)', 'uint32', [0, 7]),
    ('R.key(2**32 + 5)', 'uint32', [1, 5]),
    ('R.split(R.key(0))', 'uint32', [[4146024105, 967050713], [2718843009, 1272950319]]),
    ('R.split(R.key(3), 3)', 'uint32', [[877192987, 1614509672], [1950127089, 3448417067], [2823528474, 3529024829]]),
    ('R.uniform(key=R.key(0))', 'float32', 0.41845712065696716),
    ('R.uniform(shape=(3,), key=R.key(0))', 'float32', [0.9653214812278748, 0.3146817088127136, 0.6330299973487854]),
    ('R.uniform(-1, 2, shape=(2, 2), key=R.key(1))', 'float32', [[0.7056577205657959, -0.03263181447982788], [1.6679890155792236, 0.41507387161254883]]),
    ('R.uniform(shape=(5,), key=R.key(42))', 'float32', [0.7298188805580139, 0.8691938519477844, 0.1964380443096161, 0.20818570256233215, 0.18662425875663757]),
    ('R.uniform(0, mx.array([1.0, 10.0]), shape=(2, 2), key=R.key(5))', 'float32', [[0.8368936777114868, 1.2452545166015625], [0.4155372381210327, 8.879343032836914]]),
    ('R.uniform(shape=(4,), dtype=mx.float16, key=R.key(0))', 'float16', [0.96533203125, 0.2252197265625, 0.6328125, 0.29638671875]),
    ('R.uniform(shape=(4,), dtype=mx.bfloat16, key=R.key(0))', 'bfloat16', [0.96484375, 0.2255859375, 0.6328125, 0.296875]),
    ('R.normal(key=R.key(0))', 'float32', -0.2058420479297638),
    ('R.normal((3,), key=R.key(0))', 'float32', [1.8160871267318726, -0.48262301087379456, 0.339889258146286]),
    ('R.normal((2, 3), key=R.key(11))', 'float32', [[0.707868754863739, 0.9820488691329956, -0.5831930637359619], [0.26725003123283386, -0.9659074544906616, -0.4762696921825409]]),
    ('R.normal((3,), loc=2.0, scale=0.5, key=R.key(1))', 'float32', [2.0863451957702637, 1.676172137260437, 2.611485481262207]),
    ('R.normal((3,), dtype=mx.float16, key=R.key(0))', 'float16', [1.8154296875, -0.482666015625, 0.33984375]),
    ('R.normal((3,), dtype=mx.bfloat16, key=R.key(0))', 'bfloat16', [1.8125, -0.482421875, 0.33984375]),
    ('R.bernoulli(key=R.key(0))', 'bool', True),
    ('R.bernoulli(0.3, (6,), key=R.key(0))', 'bool', [False, True, False, False, False, False]),
    ('R.bernoulli(mx.array([0.1, 0.5, 0.9]), key=R.key(2))', 'bool', [False, False, True]),
    ('R.randint(0, 10, (6,), key=R.key(0))', 'int32', [5, 0, 7, 8, 5, 4]),
    ('R.randint(-5, 5, (2, 3), key=R.key(9))', 'int32', [[-1, -3, 1], [-1, -2, -1]]),
    ('R.randint(0, 100, (3,), dtype=mx.uint8, key=R.key(0))', 'uint8', [96, 31, 63]),
    ('R.randint(0, 2**40, (3,), dtype=mx.int64, key=R.key(0))', 'int64', [1061382193152, 345996197888, 696023842816]),
    ('R.truncated_normal(-1.0, 1.0, (4,), key=R.key(0))', 'float32', [0.9065213799476624, -0.4891465902328491, 0.2296501249074936, -0.35580840706825256]),
    ('R.truncated_normal(mx.array([0.0, -2.0]), mx.array(0.5), key=R.key(3))', 'float32', [0.21924811601638794, -0.3370620906352997]),
    ('R.gumbel((3,), key=R.key(0))', 'float32', [3.3440396785736084, -0.14513324201107025, 0.7825523614883423]),
    ('R.laplace((3,), key=R.key(0))', 'float32', [-2.6684885025024414, 0.4630463123321533, -0.3093280792236328]),
    ('R.laplace((3,), loc=1.0, scale=2.0, key=R.key(4))', 'float32', [0.5152575969696045, -6.166208744049072, -0.16005122661590576]),
    ('R.categorical(mx.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]), key=R.key(0))', 'uint32', [2, 0]),
    ('R.categorical(mx.zeros((2, 4)), num_samples=3, key=R.key(1))', 'uint32', [[2, 3, 3], [3, 3, 1]]),
    ('R.categorical(mx.zeros((3, 2)), axis=0, key=R.key(1))', 'uint32', [1, 1]),
    ('R.categorical(mx.zeros((4,)), shape=(5,), key=R.key(6))', 'uint32', [2, 0, 2, 2, 0]),
    ('R.permutation(6, key=R.key(0))', 'uint32', [1, 5, 0, 4, 2, 3]),
    ('R.permutation(mx.arange(5), key=R.key(1))', 'int32', [1, 2, 4, 3, 0]),
    ('R.permutation(mx.arange(6).reshape(2, 3), axis=1, key=R.key(2))', 'int32', [[2, 0, 1], [5, 3, 4]]),
    ('R.permutation(mx.arange(6).reshape(3, 2), key=R.key(2))', 'int32', [[4, 5], [0, 1], [2, 3]]),
]
# seed; then uniform((2,)), normal((2,)), randint(0, 100, (3,)).
SEEDED = [
    (0, [0.5765508413314819, 0.2991722524166107], [0.008707307279109955, -0.048885006457567215], [1, 18, 30]),
    (1, [0.20965856313705444, 0.404448539018631], [0.5752229690551758, 0.004251753445714712], [22, 27, 82]),
    (123, [0.8531038761138916, 0.09700696170330048], [-0.292961061000824, 0.6951300501823425], [29, 37, 31]),
]


@pytest.mark.parametrize("expression, dtype, value", DRAWN)
def test_a_key_draws_the_numbers_that_it_draws_in_mlx(expression, dtype, value):
    got = eval(expression)
    assert name_of(got).rstrip("_") == dtype
    assert got.shape == np.shape(value)
    np.testing.assert_allclose(to_np(got), value, rtol=1e-5 if dtype == "float32" else 0, atol=1e-6 if dtype == "float32" else 0)


@pytest.mark.parametrize("seed, uniform, normal, randint", SEEDED)
def test_a_seed_draws_the_numbers_that_it_draws_in_mlx(seed, uniform, normal, randint):
    R.seed(seed)
    np.testing.assert_allclose(to_np(R.uniform(shape=(2,))), uniform, rtol=1e-6)
    np.testing.assert_allclose(to_np(R.normal((2,))), normal, rtol=1e-4, atol=1e-6)
    assert R.randint(0, 100, (3,)).tolist() == randint


def test_keyless_draws_differ_and_seeds_repeat_them():
    R.seed(4)
    first = [R.uniform(shape=(3,)).tolist() for _ in range(3)]
    R.seed(4)
    assert [R.uniform(shape=(3,)).tolist() for _ in range(3)] == first
    assert first[0] != first[1] != first[2]


def test_state_is_a_key_that_draws_advance():
    R.seed(5)
    assert len(R.state) == 1
    before = to_np(R.state[0])
    assert before.tolist() == [0, 5]
    R.uniform()
    assert to_np(R.state[0]).tolist() != before.tolist()


def test_compiled_draws_without_state_repeat_and_with_state_differ():
    """Documented capture semantics: the state is a constant of the trace unless it is an input and an output."""
    from functools import partial

    @partial(mx.compile, inputs=R.state, outputs=R.state)
    def draw():
        return R.uniform(shape=(3,))

    R.seed(1)
    compiled = [draw().tolist() for _ in range(3)]
    R.seed(1)
    assert compiled == [R.uniform(shape=(3,)).tolist() for _ in range(3)]
    assert compiled[0] != compiled[1]


# ---- batches

def test_keyless_draws_in_a_batch_differ_between_examples():
    R.seed(3)
    got = to_np(mx.vmap(lambda x: x + R.uniform())(mx.zeros(8)))
    assert len(set(got.tolist())) == 8


def test_keyless_draws_in_nested_batches_differ_between_examples():
    R.seed(3)
    got = to_np(mx.vmap(mx.vmap(lambda x: x + R.normal()))(mx.zeros((4, 5))))
    assert len(set(got.reshape(-1).tolist())) == 20


def test_keyless_draws_in_a_batch_repeat_with_the_seed():
    f = mx.vmap(lambda x: x + R.uniform(shape=(2,)))
    R.seed(3)
    first = to_np(f(mx.zeros((4, 2))))
    second = to_np(f(mx.zeros((4, 2))))
    R.seed(3)
    assert np.array_equal(to_np(f(mx.zeros((4, 2)))), first)
    assert not np.array_equal(first, second)


def test_two_draws_in_a_batch_are_independent():
    R.seed(0)
    a, b = mx.vmap(lambda x: (x + R.uniform(), x + R.uniform()))(mx.zeros(1000))
    assert abs(np.corrcoef(to_np(a), to_np(b))[0, 1]) < 0.1
    assert abs(np.corrcoef(to_np(a)[1:], to_np(a)[:-1])[0, 1]) < 0.1


@pytest.mark.parametrize("draw", [
    lambda: R.uniform(), lambda: R.normal(), lambda: R.randint(0, 2**30).astype(mx.float32), lambda: R.gumbel(), lambda: R.laplace(),
    lambda: R.truncated_normal(-1.0, 1.0), lambda: mx.sum(R.permutation(8).astype(mx.float32) * mx.arange(8)),
    lambda: mx.sum(R.bernoulli(shape=(30,)).astype(mx.float32) * 2.0 ** mx.arange(30)),
    lambda: mx.sum(R.categorical(mx.zeros(4), num_samples=12).astype(mx.float32) * 4.0 ** mx.arange(12)),
], ids=["uniform", "normal", "randint", "gumbel", "laplace", "truncated_normal", "permutation", "bernoulli", "categorical"])
def test_every_keyless_draw_differs_between_examples(draw):
    R.seed(8)
    got = to_np(mx.vmap(lambda x: x + draw())(mx.zeros(6)))
    assert len(set(got.tolist())) == 6


def test_keyless_draws_in_a_batch_differ_under_grad_too():
    R.seed(3)
    got = to_np(mx.vmap(mx.grad(lambda x: x * R.uniform()))(mx.ones(5)))
    assert len(set(got.tolist())) == 5
    R.seed(3)
    outside = to_np(mx.grad(lambda x: mx.sum(mx.vmap(lambda y: y * R.uniform())(x)))(mx.ones(5)))
    assert len(set(outside.tolist())) == 5


def test_an_unmapped_draw_beside_a_batch_is_still_one_per_example():
    """The draw does not touch the mapped argument; each example still makes its own."""
    R.seed(2)
    got = to_np(mx.vmap(lambda x: (x, R.uniform())[1] + 0 * x)(mx.zeros(4)))
    assert len(set(got.tolist())) == 4


def test_a_key_shared_by_the_batch_draws_the_same_for_every_example():
    k = R.key(5)
    got = to_np(mx.vmap(lambda x: x + R.uniform(key=k))(mx.zeros(4)))
    assert len(set(got.tolist())) == 1


def test_a_checkpoint_draws_the_same_numbers_again():
    """The gradient of x * u is u; if the backward pass drew anew, value and gradient would disagree."""
    R.seed(6)
    f = mx.checkpoint(lambda x: x * R.uniform())
    value, slope = mx.value_and_grad(f)(mx.array(2.0))
    assert value.item() == pytest.approx(2 * slope.item(), rel=1e-6)
    value, slope = mx.vmap(mx.value_and_grad(f))(mx.full((5,), 2.0))
    np.testing.assert_allclose(to_np(value), 2 * to_np(slope), rtol=1e-6)


# ---- distributions

N = 200_000


def moments(x):
    x = to_np(x).astype(np.float64)
    return x.mean(), x.var()


@pytest.mark.parametrize("name, draw, mean, var", [
    ("uniform", lambda k: R.uniform(shape=(N,), key=k), 1 / 2, 1 / 12),
    ("uniform range", lambda k: R.uniform(-2, 4, shape=(N,), key=k), 1, 3),
    ("normal", lambda k: R.normal((N,), key=k), 0, 1),
    ("normal scaled", lambda k: R.normal((N,), loc=3.0, scale=2.0, key=k), 3, 4),
    ("bernoulli", lambda k: R.bernoulli(0.3, (N,), key=k).astype(mx.float32), 0.3, 0.21),
    ("gumbel", lambda k: R.gumbel((N,), key=k), np.euler_gamma, np.pi**2 / 6),
    ("laplace", lambda k: R.laplace((N,), key=k), 0, 2),
    ("randint", lambda k: R.randint(0, 10, (N,), key=k), 4.5, 8.25),
    ("truncated normal", lambda k: R.truncated_normal(-1.0, 1.0, (N,), key=k), 0, 0.29112),
])
def test_mean_and_variance_are_those_of_the_distribution(name, draw, mean, var):
    for seed in (0, 1):
        m, v = moments(draw(R.key(seed)))
        assert m == pytest.approx(mean, abs=5 * np.sqrt(var / N))
        assert v == pytest.approx(var, rel=0.03)


def test_uniform_is_uniform_in_every_bin():
    x = to_np(R.uniform(shape=(N,), key=R.key(3)))
    assert x.min() >= 0 and x.max() < 1
    counts, _ = np.histogram(x, 50, (0, 1))
    assert ((counts - N / 50) ** 2 / (N / 50)).sum() < 100  # chi-square with 49 degrees of freedom


def test_uniform_stays_below_its_upper_bound_in_every_dtype():
    for dtype in (mx.float32, mx.float16, mx.bfloat16):
        x = to_np(R.uniform(0, 1, (N,), dtype=dtype, key=R.key(0)))
        assert (x >= 0).all() and (x < 1).all()


def test_randint_covers_its_range_and_not_its_end():
    x = to_np(R.randint(-3, 4, (10_000,), key=R.key(1)))
    assert sorted(set(x.tolist())) == [-3, -2, -1, 0, 1, 2, 3]


def test_normal_has_tails_and_no_infinity():
    x = to_np(R.normal((N,), key=R.key(2)))
    assert np.isfinite(x).all() and 3.5 < np.abs(x).max() < 6.5
    assert (np.abs(x) < 1).mean() == pytest.approx(0.6827, abs=0.005)


def test_truncated_normal_stays_inside():
    x = to_np(R.truncated_normal(0.5, 0.75, (10_000,), key=R.key(0)))
    assert x.min() >= 0.5 and x.max() <= 0.75


def test_categorical_follows_the_logits():
    p = np.array([0.1, 0.2, 0.7])
    x = to_np(R.categorical(mx.array(np.log(p)), num_samples=N, key=R.key(0)))
    np.testing.assert_allclose(np.bincount(x, minlength=3) / N, p, atol=0.005)


def test_categorical_takes_one_sample_per_row_of_any_axis():
    logits = mx.zeros((2, 3, 4))
    assert R.categorical(logits, key=R.key(0)).shape == (2, 3)
    assert R.categorical(logits, axis=1, key=R.key(0)).shape == (2, 4)
    assert R.categorical(logits, num_samples=5, key=R.key(0)).shape == (2, 3, 5)
    assert R.categorical(logits, shape=(7, 2, 3), key=R.key(0)).shape == (7, 2, 3)


def test_permutation_keeps_the_elements():
    x = to_np(R.permutation(100, key=R.key(0)))
    assert sorted(x.tolist()) == list(range(100)) and x.tolist() != list(range(100))
    y = to_np(R.permutation(mx.arange(12).reshape(6, 2), key=R.key(0)))
    assert sorted(map(tuple, y.tolist())) == [(2 * i, 2 * i + 1) for i in range(6)]


def test_permutations_are_evenly_spread():
    keys = R.split(R.key(0), 6000)
    x = to_np(mx.vmap(lambda k: R.permutation(3, key=k))(keys))
    _, counts = np.unique(x, axis=0, return_counts=True)
    assert len(counts) == 6 and (np.abs(counts - 1000) < 150).all()


def test_split_keys_are_distinct_and_draw_apart():
    keys = R.split(R.key(0), 100)
    assert len({tuple(k) for k in keys.tolist()}) == 100
    x = to_np(mx.vmap(lambda k: R.uniform(shape=(500,), key=k))(keys))
    correlation = np.corrcoef(x) - np.eye(100)
    assert np.abs(correlation).max() < 0.25


def test_draws_do_not_depend_on_the_shape_they_come_in():
    k = R.key(7)
    assert R.uniform(shape=(12,), key=k).tolist() == R.uniform(shape=(3, 4), key=k).reshape(-1).tolist()


@pytest.mark.parametrize("shape", [(0,), (2, 0), (), (1, 1, 1)])
def test_draws_of_odd_shapes(shape):
    assert R.uniform(shape=shape, key=R.key(0)).shape == shape
    assert R.normal(shape, key=R.key(0)).shape == shape
    assert R.randint(0, 5, shape, key=R.key(0)).shape == shape
