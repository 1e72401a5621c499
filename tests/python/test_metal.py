"""The GPU as a device: streams and events between them, errors, memory, threads, kernels from source."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import mxform as mx

pytestmark = pytest.mark.skipif(not mx.metal.is_available(), reason="needs a GPU")

HOST = not sys.platform.startswith("darwin")


@pytest.fixture(autouse=True)
def on_gpu():
    before = mx.default_device()
    mx.set_default_device(mx.gpu)
    yield
    mx.synchronize()
    mx.set_default_device(before)


def fork_child(code, **environment):
    """The output of a Python process that runs `code`."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env=dict(os.environ, MXFORM_DEVICE="gpu", **environment))


# ---- the device

def test_the_device_describes_itself():
    info = mx.metal.device_info()
    for key in ("memory_size", "max_buffer_length", "max_recommended_working_set_size"):
        assert info[key] > 0
    assert isinstance(info["architecture"], str) and info["device_name"]
    # A test build does not pretend to be a GPU.
    assert ("host double" in info["backend"]) == HOST
    assert mx.device_info(mx.gpu) == info


def test_captures_need_to_be_allowed(tmp_path):
    with pytest.raises(mx.BackendError, match="stop_capture"):
        mx.metal.stop_capture()
    if "MTL_CAPTURE_ENABLED" not in os.environ:
        with pytest.raises(mx.BackendError, match="MTL_CAPTURE_ENABLED"):
            mx.metal.start_capture(str(tmp_path / "x.gputrace"))


def test_a_capture_is_begun_and_ended_once(tmp_path):
    r = fork_child(f"""
import mxform as mx
mx.metal.start_capture({str(tmp_path / "x.gputrace")!r})
try:
    mx.metal.start_capture({str(tmp_path / "y.gputrace")!r})
except mx.BackendError as e:
    print(e)
print((mx.ones((4,)) + 1).tolist())
mx.metal.stop_capture()
try:
    mx.metal.stop_capture()
except mx.BackendError as e:
    print(e)
""", MTL_CAPTURE_ENABLED="1")
    assert r.returncode == 0, r.stderr
    assert "under way; end it" in r.stdout and "[2.0, 2.0, 2.0, 2.0]" in r.stdout and "no capture is under way" in r.stdout


def test_a_wired_limit_is_set_and_given_back():
    before = mx.set_wired_limit(1 << 20)
    assert mx.set_wired_limit(before) == 1 << 20
    with pytest.raises(ValueError, match="set_wired_limit"):
        mx.set_wired_limit(1 << 62)


# ---- streams

def test_streams_wait_for_each_other():
    a, b = mx.new_stream(mx.gpu), mx.new_stream(mx.gpu)
    x = mx.zeros((64,))
    for i in range(50):
        x = mx.add(x, 1, stream=(a, b, mx.gpu)[i % 3])
        if i % 10 == 0:
            mx.async_eval(x)
    assert x.tolist() == [50.0] * 64


def test_cpu_and_gpu_read_what_the_other_made():
    x = mx.arange(100, dtype=mx.float32)
    for i in range(10):
        x = mx.add(x, 1, stream=mx.cpu if i % 2 else mx.gpu)
    assert np.array_equal(np.array(x), np.arange(100) + 10)


def test_what_the_gpu_lacks_runs_on_the_cpu():
    x = mx.array([1.0, 2.0], dtype=mx.float64)
    assert (x + 1).dtype == mx.float64 and (x + 1).tolist() == [2.0, 3.0]
    a = mx.array([[2.0, 0.0], [1.0, 3.0]])
    assert np.allclose(np.array(mx.linalg.inv(a) @ a), np.eye(2), atol=1e-5)


def test_numpy_memory_is_read_in_place_and_returned():
    for n in (10, 100_000):
        x = np.ones(n, np.float32)
        y = mx.array(x) + 1
        assert np.array_equal(np.array(y), np.full(n, 2, np.float32))
    base = np.arange(50_000, dtype=np.float32)
    assert np.array_equal(np.array(mx.array(base[::-2]) * 2), base[::-2] * 2)


# ---- much work

def test_thousands_of_operations_without_a_wait():
    x = mx.zeros((8,))
    for _ in range(3000):
        x = mx.sin(x) + 1
    y = np.zeros(8, np.float32)
    for _ in range(3000):
        y = np.sin(y) + 1
    assert np.allclose(np.array(x), y, rtol=1e-4)


def test_values_that_are_not_asked_for_are_given_up():
    for _ in range(100):
        mx.async_eval(mx.ones((1000,)) * 2)
    mx.synchronize()
    gc.collect()


def test_memory_comes_back():
    mx.synchronize()
    gc.collect()
    before = mx.get_active_memory()
    x = mx.ones((1 << 18,)) + 1
    mx.eval(x)
    assert mx.get_active_memory() >= before + (1 << 20)
    del x
    gc.collect()
    assert mx.get_active_memory() <= before + 1024
    mx.clear_cache()
    assert mx.get_cache_memory() == 0


def test_threads_share_the_device():
    results = {}

    def work(i):
        with mx.stream(mx.new_stream(mx.gpu)):
            x = mx.full((32,), float(i))
            for _ in range(20):
                x = x + 1
            results[i] = x.tolist()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: [i + 20.0] * 32 for i in range(4)}


# ---- errors

def test_a_bad_index_is_met_by_who_asks_for_the_value():
    x = mx.arange(10, dtype=mx.float32)
    good, bad = mx.take(x, mx.array([1, 2])), mx.take(x, mx.array([1, 40]))
    later = bad + 1
    assert good.tolist() == [1.0, 2.0]
    for y in (bad, later, bad):
        with pytest.raises(IndexError, match="40"):
            mx.eval(y)
    assert x.tolist() == list(range(10)) and good.tolist() == [1.0, 2.0]
    assert (x + 1).tolist()[0] == 1.0


def test_a_bad_index_crosses_streams():
    x = mx.arange(4)
    bad = mx.take(x, mx.array([9]))
    there = mx.add(bad, 1, stream=mx.new_stream(mx.gpu))
    on_cpu = mx.add(bad, 1, stream=mx.cpu)
    for y in (there, on_cpu):
        with pytest.raises(IndexError):
            mx.eval(y)


def test_an_error_in_the_background_comes_with_the_value():
    y = mx.take(mx.arange(4), mx.array([9]))
    mx.async_eval(y)
    with pytest.raises(IndexError):
        y.tolist()


@pytest.mark.skipif(not HOST, reason="a Mac's GPU does not notice")
def test_an_error_of_the_gpu_names_the_lines_of_its_work():
    kernel = mx.fast.metal_kernel(name="half_barrier", input_names=["x"], output_names=["y"], source="""
        uint i = thread_position_in_grid.x;
        if (i % 2 == 0) threadgroup_barrier(mem_flags::mem_threadgroup);
        y[i] = x[i];
    """)
    mx.synchronize()
    mx.set_origin_tracing(True)
    try:
        line = sys._getframe().f_lineno + 1
        bad, = kernel(inputs=[mx.ones((64,))], output_shapes=[(64,)], output_dtypes=[mx.float32], grid=(64, 1, 1), threadgroup=(64, 1, 1))
    finally:
        mx.set_origin_tracing(False)
    with pytest.raises(mx.BackendError, match=rf"\(made at .*test_metal.py:{line}\)$"):
        bad.tolist()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_gets_an_error_and_may_use_the_cpu():
    r = fork_child("""
import os, warnings
warnings.simplefilter("ignore")
import mxform as mx
x = mx.ones((4,)) + 1
mx.eval(x)
pid = os.fork()
if pid == 0:
    try:
        mx.eval(x * 2)
        print("no error", flush=True)
    except mx.BackendError as e:
        print(e, flush=True)
    with mx.stream(mx.cpu):
        print((x * 3).tolist(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print((x * 5).tolist(), flush=True)
""")
    assert r.returncode == 0, r.stderr
    assert "fork()" in r.stdout and "[6.0, 6.0, 6.0, 6.0]" in r.stdout and "[10.0, 10.0, 10.0, 10.0]" in r.stdout, r.stdout


# ---- kernels from source

TWICE = dict(name="twice", input_names=["x"], output_names=["y"], source="uint i = thread_position_in_grid.x; y[i] = 2 * x[i];")


def twice(x, **options):
    kernel = mx.fast.metal_kernel(**TWICE)
    return kernel(inputs=[x], output_shapes=[x.shape], output_dtypes=[x.dtype], grid=(x.size, 1, 1), threadgroup=(32, 1, 1), **options)[0]


def test_a_kernel_from_source():
    for dtype in (mx.float32, mx.float16, mx.int32):
        x = mx.arange(100).astype(dtype)
        y = twice(x)
        assert y.dtype == dtype and mx.array_equal(y, 2 * x)


def test_a_kernel_has_template_arguments_and_a_header():
    kernel = mx.fast.metal_kernel(
        name="scaled", input_names=["x", "factor"], output_names=["y"],
        header="template <typename T> inline T scaled(T x, T f) { return x * f; }",
        source="uint i = thread_position_in_grid.x; y[i] = (U)scaled<T>(x[i], factor) + N + (B ? 1 : 0);")
    x = mx.arange(50, dtype=mx.float32)
    y, = kernel(inputs=[x, 3.0], template=[("T", mx.float32), ("U", mx.int32), ("N", 10), ("B", True)], output_shapes=[(50,)],
                output_dtypes=[mx.int32], grid=(50, 1, 1), threadgroup=(256, 1, 1))
    assert y.tolist() == [3 * i + 11 for i in range(50)]


def test_a_kernel_sees_strides_unless_rows_are_asked_for():
    source = """
        uint i = thread_position_in_grid.x;
        y[i] = x[elem_to_loc(i, x_shape, x_strides, x_ndim)];
    """
    x = mx.arange(24, dtype=mx.float32).reshape(4, 6).T
    for rows in (False, True):
        kernel = mx.fast.metal_kernel(name="read", input_names=["x"], output_names=["y"], source=source, ensure_row_contiguous=rows)
        y, = kernel(inputs=[x], output_shapes=[x.shape], output_dtypes=[x.dtype], grid=(24, 1, 1), threadgroup=(8, 1, 1))
        assert mx.array_equal(y, x)


def test_outputs_begin_with_a_value_and_may_be_atomic():
    kernel = mx.fast.metal_kernel(
        name="count", input_names=["x"], output_names=["bins", "rest"], atomic_outputs=True,
        source="uint i = thread_position_in_grid.x; atomic_fetch_add_explicit(&bins[x[i]], 1, memory_order_relaxed);")
    x = mx.array([0, 1, 1, 2, 2, 2, 0, 2, 3] * 5)
    bins, rest = kernel(inputs=[x], output_shapes=[(4,), (3,)], output_dtypes=[mx.int32, mx.int32], grid=(x.size, 1, 1), threadgroup=(16, 1, 1),
                        init_value=0)
    assert bins.tolist() == [10, 10, 20, 5] and rest.tolist() == [0, 0, 0]


def test_attributes_and_threadgroup_memory():
    kernel = mx.fast.metal_kernel(
        name="row_sum", input_names=["x"], output_names=["y"],
        source="""
            threadgroup float parts[64];
            uint t = thread_position_in_threadgroup.x;
            uint row = threadgroup_position_in_grid.y;
            parts[t] = x[row * threads_per_threadgroup.x + t];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            if (t == 0) {
              float s = 0;
              for (uint k = 0; k < threads_per_threadgroup.x; ++k) s += parts[k];
              y[row] = s;
            }
        """)
    x = mx.arange(64 * 3, dtype=mx.float32).reshape(3, 64)
    y, = kernel(inputs=[x], output_shapes=[(3,)], output_dtypes=[mx.float32], grid=(64, 3, 1), threadgroup=(64, 1, 1))
    assert mx.array_equal(y, x.sum(axis=1))


def test_verbose_prints_the_source(capsys):
    twice(mx.ones((4,)), verbose=True)
    out = capsys.readouterr().out
    assert "[[kernel]] void custom_kernel_twice(" in out and "uint3 thread_position_in_grid [[thread_position_in_grid]]" in out


def test_a_source_that_does_not_compile_says_why():
    kernel = mx.fast.metal_kernel(name="wrong", input_names=["x"], output_names=["y"], source="y[0] = no_such_thing;")
    y, = kernel(inputs=[mx.ones((4,))], output_shapes=[(1,)], output_dtypes=[mx.float32], grid=(1, 1, 1), threadgroup=(1, 1, 1))
    with pytest.raises(mx.BackendError, match="no_such_thing"):
        mx.eval(y)
    assert twice(mx.ones((4,))).tolist() == [2.0] * 4


def test_kernels_run_on_the_gpu_only():
    with pytest.raises(mx.BackendError, match=r"\[metal_kernel\].*GPU"):
        twice(mx.ones((4,)), stream=mx.cpu)
    with pytest.raises(ValueError, match="float64"):
        twice(mx.array([1.0], dtype=mx.float64))
    with pytest.raises(ValueError, match="threadgroup"):
        mx.fast.metal_kernel(**TWICE)(inputs=[mx.ones((4,))], output_shapes=[(4,)], output_dtypes=[mx.float32], grid=(4096, 1, 1),
                                      threadgroup=(2048, 1, 1))


def test_a_kernel_has_the_derivative_that_it_is_given():
    with pytest.raises(mx.TransformError, match="custom_function"):
        mx.grad(lambda x: twice(x).sum())(mx.ones((4,)))

    @mx.custom_function
    def f(x):
        return twice(x) * x

    @f.vjp
    def f_vjp(primals, cotangent, output):
        x = primals[0] if isinstance(primals, (tuple, list)) else primals
        return twice(x) * 2 * cotangent

    x = mx.arange(5, dtype=mx.float32)
    assert mx.array_equal(mx.grad(lambda x: f(x).sum())(x), 4 * x)
    assert mx.array_equal(mx.vmap(twice)(mx.stack([x, x + 1])), 2 * mx.stack([x, x + 1]))
    assert mx.array_equal(mx.compile(lambda x: twice(x) + 1)(x), 2 * x + 1)


# ---- rows that several threadgroups share

@pytest.mark.parametrize("shape, axis", [((300_001,), 0), ((2, 70_000), 1), ((30_000, 40), 0), ((3, 5_000, 33), 1)])
def test_the_first_of_equal_elements_in_a_long_row_is_found(shape, axis):
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape)  # many are equal
    for name in ("argmax", "argmin"):
        found, wanted = getattr(mx, name), getattr(np, name)
        assert np.array_equal(np.array(found(mx.array(x), axis=axis)), wanted(x, axis=axis))
        y = rng.standard_normal(shape).astype(np.float32)
        y[rng.random(shape) < 2e-4] = np.nan
        for z, strided in ((y, mx.array(y)), (y[..., ::-1], mx.array(y)[..., ::-1])):
            assert np.array_equal(np.array(found(strided, axis=axis)), wanted(z, axis=axis))


# ---- machine code that is kept, and fused work that is compiled

def test_machine_code_is_kept_between_processes(tmp_path):
    code = f"""
import mxform as mx
kernel = mx.fast.metal_kernel(**{TWICE!r})
print(kernel(inputs=[mx.ones((4,))], output_shapes=[(4,)], output_dtypes=[mx.float32], grid=(4, 1, 1), threadgroup=(4, 1, 1))[0].tolist())
"""

    def run(folder):
        r = fork_child(code, MXFORM_CACHE=str(folder))
        assert r.returncode == 0 and r.stdout == "[2.0, 2.0, 2.0, 2.0]\n", r.stderr
        return {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.metalar")}

    made = run(tmp_path)
    assert len(made) == 1
    assert run(tmp_path) == made  # found, not written again
    archive, = made
    whole = archive.read_bytes()
    archive.write_bytes(b"damaged" + whole[: len(whole) // 2])
    assert list(run(tmp_path)) == [archive] and archive.read_bytes() == whole
    assert run(archive / "no folder") == run(tmp_path)  # where nothing can be written, nothing is kept


def test_compiled_fused_work_gives_the_interpreters_bits():
    code = """
import mxform as mx
@mx.compile
def f(a, b, c):
    x = a * b + c
    return mx.tanh(x) * a - mx.erf(b) / c + mx.power(mx.abs(x), 0.3), x - a * c
for dtype in (mx.float32, mx.float16, mx.bfloat16):
    a, b, c = (mx.random.normal((700,), key=mx.random.key(i)).astype(dtype) for i in range(3))
    for _ in range(2):
        for y in f(a, b, c):
            print(mx.view(y, mx.uint32 if dtype == mx.float32 else mx.uint16).tolist())
"""
    ways = [fork_child(code, MXFORM_METAL_FUSED=way) for way in ("interpreter", "source")]
    assert all(r.returncode == 0 for r in ways), ways
    assert ways[0].stdout == ways[1].stdout and len(ways[0].stdout) > 10_000
