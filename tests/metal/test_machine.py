"""The machine itself: what SIMD groups, matrices, barriers, atomics, half and bfloat do, against NumPy and in every schedule."""
import numpy as np
import pytest

from machine import Machine, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "")
schedules = pytest.mark.parametrize("schedule", [0, 1, 4711], ids=["in_order", "reversed", "random"])


@pytest.fixture(scope="module", params=[False, True], ids=["fast", "checked"])
def machine(request):
    return Machine(checked=request.param)


LANES = '#include "common.h"\n' + "".join(f"""
[[kernel]] void {name}(device const int* in [[buffer(0)]], device int* out [[buffer(1)]], uint i [[thread_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {{ int v = in[i]; out[i] = int({expression}); }}""" for name, expression in {
        "sum": "simd_sum(v)", "largest": "simd_max(v)", "least": "simd_min(v)", "product": "simd_product(v | 1)", "inclusive": "simd_prefix_inclusive_sum(v)",
        "exclusive": "simd_prefix_exclusive_sum(v)", "up": "simd_shuffle_up(v, 3)", "down": "simd_shuffle_down(v, 5)",
        "crossed": "simd_shuffle_xor(v, 12)", "picked": "simd_shuffle(v, ushort((lane * 7) % 32))", "first": "simd_broadcast_first(v)",
        "spread": "simd_broadcast(v, 9)", "ballot": "ulong(simd_ballot(v > 50))", "all": "simd_all(v > 3)", "any": "simd_any(v > 95)",
        "quads": "quad_sum(v)", "either": "simd_or(v)", "rotated": "simd_shuffle_rotate_down(v, 30)"}.items())


def lanes_of(v):
    lane = np.arange(32)
    return {
        "sum": np.full(32, v.sum()), "largest": np.full(32, v.max()), "least": np.full(32, v.min()), "inclusive": v.cumsum(),
        "product": np.full(32, np.multiply.reduce((v | 1).astype(np.int32))), "exclusive": v.cumsum() - v, "up": np.where(lane < 3, v, np.roll(v, 3)),
        "down": np.where(lane > 26, v, np.roll(v, -5)), "crossed": v[lane ^ 12], "picked": v[lane * 7 % 32], "first": np.full(32, v[0]),
        "spread": np.full(32, v[9]), "ballot": np.full(32, np.uint32(((v > 50) * 2.0**lane).sum()).astype(np.int32)),
        "all": np.full(32, (v > 3).all()), "any": np.full(32, (v > 95).any()), "quads": v.reshape(8, 4).sum(1).repeat(4),
        "either": np.full(32, np.bitwise_or.reduce(v)), "rotated": np.roll(v, -30)}


@schedules
@pytest.mark.parametrize("name", lanes_of(np.zeros(32, np.int32)))
def test_lanes(machine, name, schedule):
    v = np.random.default_rng(1).integers(0, 100, 96).astype(np.int32)
    out = np.zeros_like(v)
    machine.library(LANES).run(name, [v, out], 96, 96, schedule=schedule)
    expected = np.concatenate([lanes_of(row)[name] for row in v.reshape(3, 32)])
    np.testing.assert_array_equal(out, expected.astype(np.int32))


def test_lanes_that_do_not_exist_or_have_returned_do_not_count(machine):
    text = '#include "common.h"\n[[kernel]] void k(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) ' \
           "{ if (i % 3 == 2) return; out[i] = simd_sum(1); }"
    out = np.zeros(40, np.int32)
    machine.library(text).run("k", [out], 40, 64)
    counts = [sum(i % 3 != 2 for i in range(32)), sum(i % 3 != 2 for i in range(32, 40))]
    assert out.tolist() == [0 if i % 3 == 2 else counts[i // 32] for i in range(40)]


MATRIX = """#include "common.h"
template <class T> [[kernel]] void product(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device float* c [[buffer(2)]],
    constant int& n [[buffer(3)]]) {
  simdgroup_matrix<T, 8, 8> x, y;
  simdgroup_matrix<float, 8, 8> sum = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  for (int k = 0; k < n; k += 8) {
    simdgroup_load(x, a, n, ulong2(k, 0));
    simdgroup_load(y, b, n, ulong2(k, 0), true);
    simdgroup_multiply_accumulate(sum, x, y, sum);
  }
  simdgroup_store(sum, c, 8);
}
INSTANTIATE("product_float32", product, float)
INSTANTIATE("product_float16", product, half)
[[kernel]] void layout(device float* out [[buffer(0)]], uint lane [[thread_index_in_simdgroup]]) {
  simdgroup_float8x8 m;
  m.thread_elements()[0] = float(2 * lane);
  m.thread_elements()[1] = float(2 * lane + 1);
  simdgroup_store(m, out, 8);
}
"""


@schedules
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_matrices(machine, dtype, schedule):
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((8, 40)).astype(dtype), rng.standard_normal((8, 40)).astype(dtype)
    c = np.zeros((8, 8), np.float32)
    machine.library(MATRIX).run(f"product_{dtype}", [a, b, c, np.array([40], np.int32)], 32, 32, schedule=schedule)
    np.testing.assert_allclose(c, a.astype(np.float64) @ b.astype(np.float64).T, rtol=1e-4, atol=1e-4)


def test_elements_of_lanes(machine):
    out = np.zeros((8, 8), np.float32)
    machine.library(MATRIX).run("layout", [out], 32, 32)
    for lane in range(32):
        q = lane // 4
        row, column = (q & 4) + lane // 2 % 4, (q & 2) * 2 + lane % 2 * 2
        assert out[row, column] == 2 * lane and out[row, column + 1] == 2 * lane + 1


SMALL = """#include "common.h"
[[kernel]] void to_half(device const float* in [[buffer(0)]], device half* out [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = half(in[i]); }
[[kernel]] void to_bfloat(device const float* in [[buffer(0)]], device bfloat* out [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = bfloat(in[i]); }
[[kernel]] void from_half(device const half* in [[buffer(0)]], device float* out [[buffer(1)]], uint i [[thread_position_in_grid]]) { out[i] = float(in[i]); }
[[kernel]] void vectors(device const float4* in [[buffer(0)]], device float4* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  float4 v = in[i];
  v.xy = v.zw * 2 + v.yx;
  v += float4(v.xyz, 1.0f);
  out[i] = select(v, -v, v < 0.0f) + dot(v.xy, v.zw);
}
[[kernel]] void integers(device const uint* in [[buffer(0)]], device uint* out [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  uint v = in[i];
  out[i] = popcount(v) + 100 * clz(v) + 10000 * ctz(v) + mulhi(v, 12345u) + reverse_bits(v) + rotate(v, 5u) + extract_bits(v, 3, 9);
}
[[kernel]] void count(device atomic_uint* n [[buffer(0)]], device atomic_float* sum [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(n, 1u, memory_order_relaxed);
  float old = atomic_load_explicit(sum, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(sum, &old, old + float(i), memory_order_relaxed, memory_order_relaxed)) {}
}
"""


def test_half_rounds_as_numpy(machine):
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    wide = np.zeros(65536, np.float32)
    machine.library(SMALL).run("from_half", [every, wide], 65536, 256)
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2**32, 100000, dtype=np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        x = np.concatenate([x, wide, wide * np.float32(1.00048828125)])
    x = np.concatenate([x, np.float32([65519.9, 65520, 2.0**-25, 2.0**-24 * 1.5])])
    x = x[~np.isnan(x)]
    out = np.zeros(x.size, np.float16)
    machine.library(SMALL).run("to_half", [x, out], x.size, 256)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out.view(np.uint16), x.astype(np.float16).view(np.uint16))


def test_bfloat_rounds_to_even(machine):
    x = np.random.default_rng(4).integers(0, 2**32, 100000, dtype=np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    out = np.zeros(x.size, np.uint16)
    machine.library(SMALL).run("to_bfloat", [x, out], x.size, 256)
    bits = x.view(np.uint32).astype(np.uint64)
    np.testing.assert_array_equal(out, ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16))


def test_vectors(machine):
    v = np.random.default_rng(5).standard_normal((50, 4)).astype(np.float32)
    out = np.zeros_like(v)
    machine.library(SMALL).run("vectors", [v, out], 50, 32)
    w = v.copy()
    w[:, :2] = v[:, 2:] * 2 + v[:, [1, 0]]
    w = w + np.concatenate([w[:, :3], np.ones((50, 1), np.float32)], 1)
    np.testing.assert_allclose(out, abs(w) + (w[:, :2] * w[:, 2:]).sum(1, keepdims=True), rtol=1e-5, atol=1e-5)


def test_integers(machine):
    v = np.random.default_rng(6).integers(0, 2**32, 1000, dtype=np.uint32)
    v[:3] = 0, 1, 2**32 - 1
    out = np.zeros_like(v)
    machine.library(SMALL).run("integers", [v, out], 1000, 64)

    def one(x):
        text = format(x, "032b")
        ctz = len(text) - len(text.rstrip("0"))
        parts = (text.count("1"), 100 * (len(text) - len(text.lstrip("0"))), 10000 * ctz, x * 12345 >> 32, int(text[::-1], 2),
                 (x << 5 | x >> 27) & 0xFFFFFFFF, x >> 3 & 511)
        return sum(parts) & 0xFFFFFFFF

    assert out.tolist() == [one(int(x)) for x in v]


@schedules
def test_atomics(machine, schedule):
    n, total = np.zeros(1, np.uint32), np.zeros(1, np.float32)
    machine.library(SMALL).run("count", [n, total], 300, 64, schedule=schedule)
    assert n[0] == 300 and total[0] == 300 * 299 / 2


GRID = """#include "common.h"
constant int a [[function_constant(0)]];
constant bool b [[function_constant(7)]];
constant int twice = 2 * a;
constant bool given = is_function_constant_defined(b);
[[kernel]] void places(device uint* out [[buffer(0)]], uint3 p [[thread_position_in_grid]], uint3 size [[threads_per_grid]],
    ushort2 local [[thread_position_in_threadgroup]], uint3 group [[threadgroup_position_in_grid]], uint3 full [[dispatch_threads_per_threadgroup]],
    uint3 own [[threads_per_threadgroup]]) {
  uint at = p.x + size.x * (p.y + size.y * p.z);
  bool right = p.x == group.x * full.x + local.x && p.y == group.y * full.y + local.y && local.x < own.x && own.x <= full.x;
  out[at] += right ? at : 0u;
}
[[kernel]] void constants(device int* out [[buffer(0)]], device const int* more [[buffer(1), function_constant(b)]]) {
  out[0] = twice + (given && b ? more[0] : 100);
}
"""


@schedules
def test_every_thread_runs_once_at_its_place(machine, schedule):
    out = np.zeros(7 * 5 * 3, np.uint32)
    library = machine.library(GRID)
    assert library.is_plain("places")
    library.run("places", [out], (7, 5, 3), (4, 2, 2), constants=[(0, "int", 1)], schedule=schedule)
    assert out.tolist() == list(range(105))


def test_constants_belong_to_a_dispatch(machine):
    out, more, run = np.zeros(1, np.int32), np.array([5], np.int32), machine.library(GRID).run
    run("constants", [out], 1, 1, constants=[(0, "int", 21)])
    assert out[0] == 142
    run("constants", [out, more], 1, 1, constants=[(0, "int", -4), (7, "bool", True)])
    assert out[0] == -3
    run("constants", [out], 1, 1, constants=[(0, "int", 1), (7, "bool", False)])
    assert out[0] == 102
