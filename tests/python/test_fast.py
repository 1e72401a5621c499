"""test_fast.py — mx.fast and the products of chosen matrices beyond the table: what rows that see nothing give, that large
scores are never held, the same numbers for any number of threads, and kernels that this build cannot run."""

import os
import subprocess
import sys

import numpy as np
import pytest

import mxform as mx
from specs import to_np

F = mx.fast
attention = F.scaled_dot_product_attention


def normal(*shape, seed=0):
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# ---- attention

V = mx.arange(8).reshape(1, 1, 2, 4).astype(mx.float32)
ONES = mx.ones((1, 1, 2, 4))
NOTHING = mx.array([[False, False], [True, False]])


def test_a_query_that_sees_nothing_takes_the_mean_of_the_values():
    assert attention(ONES, ONES, V, scale=0.3, mask=NOTHING)[0, 0].tolist() == [[2, 3, 4, 5], [0, 1, 2, 3]]
    early = attention(mx.ones((1, 1, 4, 4)), ONES, V, scale=0.3, mask="causal")
    assert early[0, 0].tolist() == [[2, 3, 4, 5], [2, 3, 4, 5], [0, 1, 2, 3], [2, 3, 4, 5]]


def test_with_sinks_a_query_that_sees_nothing_gives_zeros():
    assert attention(ONES, ONES, V, scale=0.3, mask=NOTHING, sinks=mx.zeros(1))[0, 0, 0].tolist() == [0, 0, 0, 0]


def test_a_sink_of_minus_infinity_is_none():
    q = normal(1, 2, 3, 4)
    with_sinks = attention(q, q, q, scale=0.5, sinks=mx.array([-np.inf, -np.inf]))
    np.testing.assert_array_equal(to_np(with_sinks), to_np(attention(q, q, q, scale=0.5)))


@pytest.mark.parametrize("mask", [NOTHING, mx.array([[-np.inf, -np.inf], [0.0, -np.inf]])], ids=["boolean", "added"])
def test_gradients_of_rows_that_see_nothing_are_finite(mask):
    def loss(q, k, v):
        return mx.sum(mx.square(mx.where(mx.array([[False], [True]]), attention(q, k, v, scale=0.3, mask=mask), 0.0)))

    for g in mx.grad(loss, argnums=(0, 1, 2))(normal(1, 1, 2, 4), normal(1, 1, 2, 4, seed=1), V):
        assert np.isfinite(to_np(g)).all()
    out = attention(ONES, ONES, V, scale=0.3, mask=mask)
    assert np.isfinite(to_np(out)[0, 0, 1]).all()


def test_minus_infinity_in_whole_tiles_of_keys_is_skipped():
    n = 700
    q, k, v = normal(1, 1, 3, 8), normal(1, 1, n, 8, seed=1), normal(1, 1, n, 8, seed=2)
    mask = mx.where(mx.arange(n) < 600, -np.inf, 0.0)
    want = attention(q, k[:, :, 600:], v[:, :, 600:], scale=0.4)
    np.testing.assert_allclose(to_np(attention(q, k, v, scale=0.4, mask=mask)), to_np(want), rtol=1e-5, atol=1e-6)


def test_every_mask_that_broadcasts_is_its_full_form():
    q, k = normal(2, 4, 5, 8), normal(2, 2, 7, 8, seed=1)
    for shape in ((), (7,), (5, 1), (5, 7), (4, 1, 1), (2, 1, 5, 7), (2, 4, 5, 7)):
        mask = normal(*shape, seed=3)
        for m in (mask, mask > 0):
            full = mx.array(np.broadcast_to(to_np(m), (2, 4, 5, 7)).copy())
            np.testing.assert_array_equal(to_np(attention(q, k, k, scale=0.3, mask=m)), to_np(attention(q, k, k, scale=0.3, mask=full)))


def test_force_fused_is_accepted():
    assert attention(ONES, ONES, V, scale=1.0, force_fused=True).shape == (1, 1, 2, 4)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_scores_are_never_all_held(backward):
    """16 heads of 3000² float32 scores would be 576 MB."""
    q = normal(1, 16, 3000, 16)
    mx.eval(q)
    run = lambda: mx.grad(lambda q: attention(q, q, q, scale=0.3, mask="causal").sum())(q) if backward else attention(q, q, q, scale=0.3)  # noqa: E731
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(run())
    assert mx.get_peak_memory() - before < 60 << 20


def test_large_scores_do_not_overflow():
    q = 100 * normal(1, 1, 300, 8)
    out = attention(q, q, q, scale=10.0)
    assert np.isfinite(to_np(out)).all()
    half = attention(q.astype(mx.float16), q.astype(mx.float16), q.astype(mx.float16), scale=10.0)
    assert np.isfinite(to_np(half)).all()


# ---- rope

def test_rope_depends_on_distances_only():
    """Su et al. 2021: <turned q at m, turned k at n> is a function of m - n."""
    q, k = normal(1, 1, 8), normal(1, 1, 8, seed=1)
    turn = lambda x, at: F.rope(x, 8, traditional=True, base=100.0, scale=1.0, offset=at)  # noqa: E731
    dots = [mx.sum(turn(q, n + 3) * turn(k, n)).item() for n in (0, 5, 1000)]
    np.testing.assert_allclose(dots, dots[0], rtol=2e-5)


def test_rope_is_exact_at_far_positions():
    x = mx.ones((1, 1, 2))
    y = F.rope(x, 2, traditional=True, base=10.0, scale=1.0, offset=10_000_019)
    np.testing.assert_allclose(to_np(y)[0, 0], [np.cos(1e7 + 19) - np.sin(1e7 + 19), np.cos(1e7 + 19) + np.sin(1e7 + 19)], rtol=1e-6)


def test_rope_offsets_may_differ_between_compiled_calls():
    x = normal(1, 3, 4)
    f = mx.compile(lambda x, at: F.rope(x, 4, traditional=False, base=10.0, scale=1.0, offset=at))
    for at in (0, 1, 7):
        want = F.rope(x, 4, traditional=False, base=10.0, scale=1.0, offset=at)
        np.testing.assert_allclose(to_np(f(x, mx.array(at))), to_np(want), rtol=1e-6, atol=1e-7)


# ---- norms and loss

def test_norms_of_constant_rows():
    assert F.layer_norm(mx.full((2, 7), 0.1), None, None, 1e-5).tolist() == [[0.0] * 7] * 2
    g = mx.grad(lambda x: F.layer_norm(x, None, None, 1e-5).sum())(mx.zeros((2, 3)))
    assert g.tolist() == [[0.0] * 3] * 2


def test_half_types_are_rounded_once():
    x = normal(3, 500).astype(mx.float16)
    for f in (lambda x: F.rms_norm(x, None, 1e-5), lambda x: F.layer_norm(x, None, None, 1e-5)):
        assert mx.array_equal(f(x), f(x.astype(mx.float32)).astype(mx.float16))


def test_cross_entropy_of_impossible_classes():
    x = mx.array([[-np.inf, 0.0, 0.0], [-np.inf, -np.inf, -np.inf]])
    assert F.cross_entropy(x, mx.array([0, 1]))[0].item() == np.inf
    g = mx.grad(lambda x: F.cross_entropy(x, mx.array([1, 1])).sum())(x)
    np.testing.assert_allclose(to_np(g), [[0, -0.5, 0.5], [0, -1, 0]], atol=1e-6)


# ---- products of chosen matrices

def test_forward_over_reverse_of_gather_mm():
    """A Hessian-vector product; the peer has no jvp."""
    a, b, i = normal(4, 2, 3), normal(3, 3, 2, seed=1), mx.array([2, 0, 2, 2])
    loss = lambda a, b: mx.sum(mx.sin(mx.gather_mm(a, b, rhs_indices=i)))  # noqa: E731
    plain = lambda a, b: mx.sum(mx.sin(a @ b[i]))  # noqa: E731
    ts = [normal(4, 2, 3, seed=2), normal(3, 3, 2, seed=3)]
    for got, want in zip(mx.jvp(mx.grad(loss, argnums=(0, 1)), [a, b], ts)[1], mx.jvp(mx.grad(plain, argnums=(0, 1)), [a, b], ts)[1]):
        np.testing.assert_allclose(to_np(got), to_np(want), rtol=1e-5, atol=1e-5)


def test_gather_mm_does_not_copy_the_matrices():
    """2000 uses of 1 MB matrices."""
    a, b = normal(2000, 1, 512), normal(2, 512, 512, seed=1)
    i = mx.array(np.arange(2000) % 2)
    mx.eval(a, b, i)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(lambda b: mx.gather_mm(a, b, rhs_indices=i).sum())(b))
    assert mx.get_peak_memory() - before < 40 << 20


def test_an_index_of_another_example_is_out_of_bounds_under_vmap():
    a, b = normal(3, 2, 2, 2), normal(2, 2, 2)
    with pytest.raises(IndexError):
        mx.eval(mx.vmap(lambda a, i: mx.gather_mm(a, b, i, mx.array([0])))(a, mx.array([[0], [2], [1]])))


def test_masked_blocks_are_not_read():
    """Not even NaN in them counts, and their gradient is zero."""
    a = np.ones((64, 64), np.float32)
    a[:32, 32:] = np.nan
    lhs = mx.array([[1.0, 0.0], [1.0, 1.0]])
    for mask in (lhs, lhs > 0):
        out = mx.block_masked_mm(mx.array(a), mx.ones((64, 64)), 32, mask_lhs=mask)
        assert to_np(out)[::32, 0].tolist() == [32, 64]
        g = mx.grad(lambda a: mx.block_masked_mm(a, mx.ones((64, 64)), 32, mask_lhs=mask).sum())(mx.array(a))
        assert to_np(g)[::32, ::32].tolist() == [[64, 0], [64, 64]]


@pytest.mark.parametrize("segment, want", [((0, 100), 4), ((2, 100), 2), ((-3, 2), 2), ((5, 9), 0), ((3, 1), 0), ((-9, -2), 0)])
def test_segments_are_cut_to_the_inner_dimension(segment, want):
    a, b = mx.ones((1, 4)), mx.ones((4, 1))
    f = lambda a: mx.segmented_mm(a, b, mx.array(segment))  # noqa: E731
    assert f(a).item() == want
    assert mx.grad(lambda a: f(a).sum())(a).sum().item() == want
    assert mx.segmented_mm(a, b, mx.array(segment, dtype=mx.int64)).item() == want


# ---- threads

SUMS = """
import numpy as np, mxform as mx
x = lambda *s: mx.array(np.random.default_rng(0).standard_normal(s).astype(np.float32))
q = x(2, 4, 300, 24)
f = lambda q, w, b: mx.fast.scaled_dot_product_attention(mx.fast.layer_norm(q, w, b, 1e-5), q, q, scale=0.3, mask='causal')
g = lambda a, b: mx.gather_mm(a, b, rhs_indices=mx.arange(200) % 3)
d = lambda q: mx.fast.gated_delta_update(q, 0.1 * q, q, mx.ones(q.shape[:3]), 0.1 * mx.ones(q.shape[:3]))[0]
out = [f(q, x(24), x(24)), *mx.grad(lambda *a: f(*a).sum(), argnums=(0, 1, 2))(q, x(24), x(24)), g(x(200, 3, 40), x(3, 40, 30)),
       *mx.grad(lambda *a: mx.sin(g(*a)).sum(), argnums=(0, 1))(x(200, 3, 40), x(3, 40, 30)), mx.grad(lambda q: d(q).sum())(q)]
import hashlib
print(hashlib.sha256(b''.join(np.array(o).tobytes() for o in out)).hexdigest())
"""


def test_results_do_not_depend_on_the_number_of_threads():
    run = lambda n: subprocess.run([sys.executable, "-c", SUMS], env=os.environ | {"MXFORM_NUM_THREADS": n}, capture_output=True, text=True, check=True)  # noqa: E731
    assert len({run(n).stdout for n in ("1", "2", "5")}) == 1


# ---- kernels from source, groups

def test_a_metal_kernel_can_be_made_but_not_run():
    kernel = F.metal_kernel(name="twice", input_names=["x"], output_names=["y"], source="y[i] = 2 * x[i];", compile_options={"math_mode": "fast"})
    call = dict(inputs=[mx.ones(3)], template=[("T", mx.float32), ("n", 3), ("b", True)], grid=(3, 1, 1), threadgroup=(3, 1, 1), output_shapes=[(3,)],
                output_dtypes=[mx.float32], init_value=0, verbose=True, stream=mx.cpu)
    with pytest.raises(RuntimeError, match="Metal"):
        kernel(**call)
    with pytest.raises(TypeError):
        kernel(mx.ones(3))
    with pytest.raises(TypeError):
        type(kernel)()


def test_the_group_is_this_process():
    group = mx.distributed.init()
    assert (group.rank(), group.size()) == (0, 1) and isinstance(group, mx.distributed.Group)
    assert mx.distributed.all_sum(mx.ones(2), group=group, stream=mx.cpu).tolist() == [1, 1]
    with pytest.raises(TypeError):
        mx.distributed.Group()
