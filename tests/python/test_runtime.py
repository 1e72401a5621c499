"""test_runtime.py — devices, streams, evaluation, memory, and use from several threads."""

import copy
import gc
import pickle
import sys
import threading
import time

import pytest

import mxform as mx


def test_devices():
    assert repr(mx.default_device()) == "Device(cpu, 0)" and mx.default_device() == mx.cpu == mx.Device(mx.cpu)
    assert mx.Device(mx.cpu) != mx.gpu and mx.Device(mx.cpu).type is mx.cpu and repr(mx.cpu) == "DeviceType.cpu"
    assert mx.is_available(mx.cpu) and mx.device_count(mx.cpu) == 1 and not mx.cuda.is_available()
    assert "device_name" in mx.device_info()
    assert pickle.loads(pickle.dumps(mx.Device(mx.cpu))) == mx.cpu and copy.deepcopy(mx.cpu) is mx.cpu
    for wrong in (lambda: mx.Device(3), lambda: mx.set_default_device("cpu"), lambda: mx.default_stream(None)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ValueError):
        mx.sin(mx.array(1.0), stream=mx.Device(mx.cpu, 7))


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="there is a GPU")
def test_without_a_gpu_its_use_is_an_error():
    for use in (lambda: mx.set_default_device(mx.gpu), lambda: mx.new_stream(mx.gpu), lambda: mx.sin(mx.array(1.0), stream=mx.gpu),
                lambda: mx.stream(mx.gpu), lambda: mx.synchronize(mx.gpu)):
        with pytest.raises(ValueError, match="no backend"):
            use()
    assert not mx.metal.is_available()


def test_streams():
    default = mx.default_stream(mx.cpu)
    other = mx.new_stream(mx.cpu)
    assert other != default and other.device == mx.cpu and repr(default) == "Stream(Device(cpu, 0), 0)"
    with mx.stream(other):
        assert mx.default_stream(mx.cpu) == other
        with mx.stream(mx.cpu):
            pass
        with pytest.raises(ZeroDivisionError), mx.stream(default):
            1 / 0
        assert mx.default_stream(mx.cpu) == other
    assert mx.default_stream(mx.cpu) == default
    mx.set_default_stream(other)
    assert mx.default_stream(mx.cpu) == other
    mx.set_default_stream(default)
    local = mx.new_thread_local_stream(mx.cpu)
    for s in (default, other, local, mx.cpu, mx.Device(mx.cpu), None):
        assert mx.add(1, 2, stream=s).item() == 3
    with pytest.raises(TypeError, match="stream is an int"):
        mx.add(1, 2, stream=3)
    mx.synchronize(), mx.synchronize(other), mx.clear_streams()


def test_eval_takes_trees():
    x = mx.ones((3,)) + 1
    mx.eval(), mx.eval(x), mx.eval([x, {"a": (x * 2, None, 3, "s")}], 5)
    y = x * 3
    mx.async_eval({"y": y})
    assert y.tolist() == [6, 6, 6]


def test_memory_figures():
    gc.collect()  # what earlier tests left
    mx.clear_cache()
    base = mx.get_active_memory()
    mx.reset_peak_memory()
    x = mx.ones((1 << 20,)) + 1
    mx.eval(x)
    assert mx.get_active_memory() - base >= 4 << 20 and mx.get_peak_memory() - base >= 4 << 20
    assert mx.get_array_buffer_size(x, [x]) >= 4 << 20
    del x
    assert mx.get_active_memory() == base and mx.get_cache_memory() >= 4 << 20
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    with pytest.raises(ValueError, match="not evaluated"):
        mx.get_array_buffer_size(mx.ones((2,)) + 1)


def test_limits():
    before = mx.set_cache_limit(0)
    try:
        mx.eval(mx.ones((1000,)) + 1)
        assert mx.get_cache_memory() == 0
    finally:
        assert mx.set_cache_limit(before) == 0
    before = mx.set_memory_limit(1 << 20)
    try:
        with pytest.raises(MemoryError):
            mx.eval(mx.ones((1 << 24,)) + 1)
    finally:
        mx.set_memory_limit(before)
    assert mx.get_memory_limit() == before
    for wrong, error in ((-1, ValueError), ("a", TypeError), (2**80, OverflowError)):
        with pytest.raises(error):
            mx.set_memory_limit(wrong)


def test_an_impossible_allocation_is_an_exception():
    with pytest.raises((MemoryError, OverflowError)):
        mx.eval(mx.ones((1 << 50,)) + 1)
    with pytest.raises(OverflowError):
        mx.zeros((1 << 40, 1 << 40))


def in_threads(n, f):
    errors = []

    def run(i):
        try:
            f(i)
        except BaseException as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
        assert not t.is_alive()
    assert not errors, errors


def test_arrays_can_be_used_and_released_on_any_thread():
    shared = mx.arange(1000) * 2.0
    results = {}

    def work(i):
        x = shared
        for k in range(20):
            x = x + i
            if k % 5 == 0:
                mx.eval(x)
        results[i] = x

    in_threads(6, work)
    for i, x in results.items():
        assert x[1].item() == 2 + 20 * i


def test_one_array_evaluated_by_many_threads():
    for _ in range(20):
        x = mx.ones((1000,))
        for _ in range(30):
            x = x * 1.01
        in_threads(4, lambda i: x.sum().item())


def test_the_interpreter_runs_while_arrays_are_computed():
    a = mx.ones((1200, 1200))
    mx.eval(a)
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    t = threading.Thread(target=tick)
    t.start()
    time.sleep(0.01)
    x = a
    for _ in range(8):
        x = (x @ a) * 1e-3
    begin = time.perf_counter()
    mx.eval(x)
    end = time.perf_counter()
    stop.set()
    t.join()
    inside = [s for s in ticks if begin < s < end]
    if end - begin > 0.05:
        assert len(inside) >= 2


def test_devices_of_other_threads_are_their_own():
    other = mx.new_stream(mx.cpu)
    default = mx.default_stream(mx.cpu)

    def work(_):
        with mx.stream(other):
            time.sleep(0.01)
            assert mx.default_stream(mx.cpu) == other

    t = threading.Thread(target=work, args=(0,))
    t.start()
    assert mx.default_stream(mx.cpu) == default
    t.join()


def test_errors_of_evaluation_name_the_line_when_origins_are_traced():
    mx.set_origin_tracing(True)
    try:
        line = sys._getframe().f_lineno + 1
        bad = mx.take(mx.array([1.0, 2.0]), mx.array([7])) + 1
        late = mx.grad(lambda x: mx.take(x, mx.array([9])).sum())(mx.array([1.0]))
    finally:
        mx.set_origin_tracing(False)
    with pytest.raises(IndexError, match=rf"test_runtime.py:{line}\)$"):
        mx.eval(bad)
    with pytest.raises(IndexError, match=rf"test_runtime.py:{line + 1}, in the vjp of gather\)$"):
        mx.eval(late)
    untraced = mx.take(mx.array([1.0]), mx.array([7]))
    with pytest.raises(IndexError) as caught:
        mx.eval(untraced)
    assert "made at" not in str(caught.value)
