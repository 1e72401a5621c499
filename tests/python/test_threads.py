"""test_threads.py — arrays, functions and compiled functions used and released from any thread."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mxform as mx

N_THREADS = 8


def everywhere(f, n=N_THREADS):
    """Runs f(i) on n threads that start together; returns results, raises what they raised."""
    barrier = threading.Barrier(n)

    def run(i):
        barrier.wait()
        return f(i)

    with ThreadPoolExecutor(n) as pool:
        return [r.result(timeout=60) for r in [pool.submit(run, i) for i in range(n)]]


def test_one_lazy_array_is_evaluated_by_many_threads():
    for _ in range(20):
        x = mx.ones((500,))
        for k in range(30):
            x = mx.sin(x) + k * 0.01
        want = None
        got = everywhere(lambda i: np.array(x).tolist())
        want = got[0]
        assert all(g == want for g in got)


def test_overlapping_graphs_are_evaluated_by_many_threads():
    for _ in range(10):
        shared = mx.exp(mx.arange(200) * 0.01) * 2
        parts = [shared * i + mx.sum(shared) for i in range(N_THREADS)]
        got = everywhere(lambda i: mx.sum(parts[i]).item())
        base = np.exp(np.arange(200) * 0.01) * 2
        np.testing.assert_allclose(got, [(base * i + base.sum()).sum() for i in range(N_THREADS)], rtol=1e-5)


def test_arrays_made_on_one_thread_are_used_on_another():
    made = everywhere(lambda i: mx.full((10,), float(i)) * 2)
    assert [mx.sum(x).item() for x in made] == [20.0 * i for i in range(N_THREADS)]
    assert mx.sum(mx.stack(made)).item() == 20.0 * sum(range(N_THREADS))


def test_a_compiled_function_is_called_from_many_threads():
    f = mx.compile(lambda x, y: mx.tanh(x) * y + x)
    x = np.linspace(-1, 1, 100).astype(np.float32)

    def run(i):
        return [np.array(f(mx.array(x[: 10 + k]), mx.array(float(i)))) for k in range(10)]

    for i, results in enumerate(everywhere(run)):
        for k, r in enumerate(results):
            v = x[: 10 + k].astype(np.float64)
            np.testing.assert_allclose(r, np.tanh(v) * i + v, rtol=1e-5, atol=1e-6)


def test_transformations_run_on_many_threads():
    def run(i):
        x = mx.arange(1, 5, dtype=mx.float32) * (i + 1)
        g = mx.grad(lambda x: mx.sum(x * x * x))(x)
        v = mx.vmap(mx.grad(lambda x: x * x * x))(x)
        j = mx.jvp(lambda x: x * x * x, [x], [mx.ones((4,))])[1][0]
        return [np.array(a).tolist() for a in (g, v, j)]

    for i, results in enumerate(everywhere(run)):
        want = (3 * (np.arange(1, 5) * (i + 1.0)) ** 2).tolist()
        assert results == [want] * 3


def test_a_transformation_on_one_thread_does_not_meet_one_on_another():
    """Levels of nesting are told apart by their markers, not by a global stack."""
    inside, go = threading.Event(), threading.Event()

    def slow(x):
        inside.set()
        go.wait(20)
        return mx.sum(x * x)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(lambda: mx.grad(slow)(mx.array([3.0])).item())
        inside.wait(20)
        assert mx.grad(lambda x: x * x * x)(mx.array(2.0)).item() == 12
        assert mx.vmap(lambda x: x + 1)(mx.zeros(3)).tolist() == [1, 1, 1]
        go.set()
        assert pending.result(20) == 6


def test_captured_arrays_of_one_thread_in_a_batch_on_another():
    w = mx.arange(3) * 2.0
    assert everywhere(lambda i: mx.vmap(lambda x: mx.sum(w * x))(mx.ones((4, 3))).tolist()) == [[6.0] * 4] * N_THREADS


def test_arrays_and_functions_are_released_on_other_threads():
    gc.collect()
    before = mx.get_active_memory()

    def run(box):
        box.clear()
        gc.collect()

    for _ in range(10):
        x = mx.random.normal((1000,), key=mx.random.key(0))
        f = mx.compile(lambda a, x=x: a * x)
        lazy = f(x) + 1
        mx.eval(f(x))
        box = [x, f, lazy, mx.grad(lambda a: mx.sum(f(a)))(x)]
        del x, f, lazy
        t = threading.Thread(target=run, args=(box,))
        t.start()
        t.join(30)
        assert not t.is_alive()
    gc.collect()
    assert mx.get_active_memory() == before


def test_arrays_that_outlive_their_thread_are_usable():
    kept = []
    t = threading.Thread(target=lambda: kept.extend([mx.arange(5) * 2, mx.compile(lambda x: x + 1), mx.new_stream(mx.cpu)]))
    t.start()
    t.join()
    x, f, stream = kept
    assert f(x).tolist() == [1, 3, 5, 7, 9]
    assert mx.add(x, 1, stream=stream).tolist() == [1, 3, 5, 7, 9]


def test_streams_of_one_thread_are_used_on_another():
    stream = mx.new_stream(mx.cpu)
    x = mx.arange(10)
    assert everywhere(lambda i: mx.sum(mx.add(x, i, stream=stream)).item()) == [45 + 10 * i for i in range(N_THREADS)]


def test_the_default_stream_is_each_threads_own():
    stream = mx.new_stream(mx.cpu)
    with mx.stream(stream):
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: mx.default_stream(mx.cpu)).result()
        assert mx.default_stream(mx.cpu) == stream and other != stream


def test_the_gil_is_released_while_computing():
    """A Python thread counts while another is inside one long evaluation."""
    x = mx.random.normal((1200, 1200), key=mx.random.key(0))
    mx.eval(x)
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)

    y = x
    for _ in range(4):
        y = mx.sin(y @ x) + y
    t = threading.Thread(target=count)
    t.start()
    try:
        time.sleep(0.01)
        before = counted[0]
        mx.eval(y)
        during = counted[0] - before
    finally:
        stop.set()
        t.join()
    assert during > 10


def test_two_threads_compute_at_the_same_time():
    """Each waits inside a custom function for the other: if one held the lock, neither would ever end."""
    barrier = threading.Barrier(2, timeout=20)

    def f(x):
        barrier.wait()
        return x * 2

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(lambda: mx.vmap(f)(mx.ones((3,))).tolist()) for _ in range(2)]
        assert [j.result(30) for j in jobs] == [[2.0, 2.0, 2.0]] * 2


def test_errors_stay_on_the_thread_that_made_them():
    x = mx.arange(5)

    def run(i):
        if i % 2:
            with pytest.raises(IndexError):
                mx.eval(mx.take(x, mx.array([100])))
            return "error"
        return mx.sum(x * i).item()

    assert everywhere(run) == ["error" if i % 2 else 10 * i for i in range(N_THREADS)]


def test_an_array_whose_evaluation_fails_fails_on_every_thread():
    bad = mx.take(mx.arange(5), mx.array([100])) + 1

    def run(i):
        with pytest.raises(IndexError):
            mx.eval(bad)

    everywhere(run)


def test_random_draws_with_keys_do_not_depend_on_the_thread():
    want = mx.random.normal((50,), key=mx.random.key(9)).tolist()
    assert everywhere(lambda i: mx.random.normal((50,), key=mx.random.key(9)).tolist()) == [want] * N_THREADS


def test_keyless_draws_on_many_threads_do_not_crash_or_repeat():
    got = everywhere(lambda i: [tuple(mx.random.uniform(shape=(4,)).tolist()) for _ in range(20)])
    assert len({d for draws in got for d in draws}) >= 20


def test_updates_in_place_on_many_threads_are_separate():
    x = mx.zeros((4,))

    def run(i):
        y = mx.array(x)
        for k in range(50):
            y[k % 4] = float(i)
            y += 1
        return mx.sum(y).item() > 0

    assert all(everywhere(run)) and x.tolist() == [0, 0, 0, 0]


def test_interpreter_exits_cleanly_with_running_threads():
    import subprocess
    import sys

    code = ("import threading, mxform as mx\n"
            "x = mx.ones((200, 200))\n"
            "def work():\n"
            "    for _ in range(20000): mx.eval(x @ x)\n"
            "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
            "kept = [mx.exp(x) for _ in range(10)]\n"
            "mx.async_eval(kept)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def test_results_do_not_depend_on_the_number_of_threads():
    """Every large case of the table, bit for bit."""
    import os
    import pathlib
    import subprocess
    import sys

    code = ("import hashlib, numpy as np\n"
            "from specs import load, to_np\n"
            "for spec in load():\n"
            "    for case in spec.big:\n"
            "        for dtype in [d for d in ('float32', 'float16', 'int32') if d in spec.dtypes]:\n"
            "            args = spec.to_mx(case, spec.make(case, dtype), dtype)\n"
            "            for out in spec.call(case, *args):\n"
            "                print(spec.name, case, dtype, hashlib.sha1(np.ascontiguousarray(to_np(out)).tobytes()).hexdigest())\n")
    printed = []
    for n in ("1", "2", "7"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, cwd=pathlib.Path(__file__).parent,
                              env={**os.environ, "MXFORM_NUM_THREADS": n})
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        printed.append(done.stdout.decode().splitlines())
    assert len(printed[0]) > 100
    for other in printed[1:]:
        differ = [line for line, twin in zip(printed[0], other) if line != twin]
        assert not differ, differ[:5]
