"""test_robust.py — nothing that a user can type ends the process, hangs it, or gives a number that is not right.

What could crash runs in a process of its own: `survives(code)`. Misuse with plain errors is in test_errors.py.
"""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import mxform as mx

BIG = 2**62


def survives(code, timeout=60):
    """Runs `code` in another interpreter, which must end well; returns what it printed."""
    code = "import mxform as mx, numpy as np\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, env=dict(os.environ))
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


# ---- sizes that do not fit


@pytest.mark.parametrize("make", [
    "mx.zeros((BIG,)) + 1", "mx.ones((2**31, 2**31), mx.float64) * 2", "mx.hanning(BIG)", "mx.bartlett(BIG)", "mx.identity(2**31)",
    "mx.random.gumbel((BIG,))", "mx.random.truncated_normal(0, 1, (BIG,))", "mx.broadcast_to(mx.array(1.0), (BIG,)) + 1",
    "mx.unique(mx.array([1, 2]), size=BIG)", "mx.arange(2**61, dtype=mx.int64)", "mx.linspace(0, 1, BIG)", "mx.repeat(mx.array([1.0]), BIG)",
    "mx.tile(mx.array([1.0]), (BIG,))", "mx.pad(mx.array([1.0]), BIG)", "mx.eye(2**40)", "mx.full((2**20, 2**20, 2**20, 8), 1.0)"])
def test_an_array_larger_than_any_memory_is_an_error(make):
    survives(f"""
        BIG = 2**62
        try:
            mx.eval({make})
        except (OverflowError, MemoryError, ValueError) as e:
            assert str(e).startswith("["), e
        else:
            raise SystemExit("no error")
    """)


def test_sizes_beside_a_zero_may_be_as_large_as_they_like():
    x = mx.zeros((BIG, 0, BIG))
    assert x.size == 0 and mx.sum(x).item() == 0 and (x + 1).shape == (BIG, 0, BIG) and "array" in repr(mx.zeros((0, BIG)))


@pytest.mark.parametrize("f", [lambda: mx.split(mx.zeros((0,)), 2**40), lambda: mx.split(mx.zeros((0, 3)), 2**31),
                               lambda: mx.unstack(mx.zeros((2**40, 0)))])
def test_a_list_of_too_many_arrays_is_an_error(f):
    with pytest.raises(ValueError, match="arrays; need at most"):
        f()


def test_an_axis_of_vmap_is_not_cut_to_32_bits():
    for axes in (2**32, -(2**32), 2**40, (2**33,)):
        with pytest.raises(mx.AxisError):
            mx.vmap(lambda x: x, in_axes=axes)(mx.zeros((3, 2)))
    with pytest.raises(mx.AxisError):
        mx.vmap(lambda x: x, out_axes=2**32)(mx.zeros((3, 2)))


# ---- containers


def test_containers_that_contain_themselves_are_an_error_whatever_the_recursion_limit():
    survives("""
        import sys
        sys.setrecursionlimit(10**6)
        loop = []
        loop.append(loop)
        deep = []
        for _ in range(10**5):
            deep = [deep]
        keyed = {}
        keyed["a"] = keyed
        for c in (loop, deep, keyed):
            for f in (mx.eval, mx.async_eval, mx.tree_flatten, mx.compile(lambda x: x), mx.vmap(lambda x: x), mx.grad(lambda x: x),
                      mx.array, lambda c: mx.add(c, 1), mx.stack, mx.zeros, lambda c: mx.zeros(2)[c], lambda c: mx.tree_map(id, c)):
                try:
                    f(c)
                except (RecursionError, ValueError, TypeError):
                    continue
                raise SystemExit(f"no error: {f}")
        del c, deep
    """)


def test_containers_changed_while_they_are_read_do_no_harm():
    survives("""
        L = []
        class Clears:
            def __index__(self): L.clear(); return "x"
            def __array__(self, *a, **k): L.clear(); return np.zeros(3, np.float32)
        for f in (mx.zeros, mx.stack, mx.array, mx.concatenate, lambda l: mx.zeros((3, 3))[l], lambda l: mx.sum(mx.zeros((3, 3)), l),
                  lambda l: mx.reshape(mx.zeros(3), l), lambda l: mx.pad(mx.zeros(3), l), lambda l: mx.tile(mx.zeros(3), l),
                  lambda l: mx.broadcast_to(1, l), lambda l: mx.einsum("i,i", l, l), lambda l: mx.split(mx.zeros(3), l),
                  lambda l: mx.tree_leaves(l, is_leaf=lambda x: l.clear()), lambda l: mx.tree_map(lambda x, y: l.clear(), l, l),
                  lambda l: mx.vmap(lambda x: l.clear() or x)(l), lambda l: mx.compile(lambda x: l.clear() or x)(l)):
            for fill in ([Clears(), Clears(), 1], [mx.zeros(3), Clears(), mx.zeros(3)], [mx.zeros(3)] * 4):
                L[:] = fill
                try:
                    f(L)
                except (ValueError, TypeError, IndexError):
                    pass
    """)


def test_constants_whose_comparison_clears_the_cache_do_no_harm():
    survives("""
        class Odd:
            def __init__(self, v): self.v = v
            def __hash__(self): return 1
            def __eq__(self, o): f.cache.clear(); return self.v == o.v
            def __repr__(self): f.cache.clear(); return "odd"
        f = mx.compile(lambda x, c: x + 1)
        for i in range(30):
            assert f(mx.zeros(2), Odd(i % 4)).tolist() == [1, 1]
            assert f(mx.zeros(2), [Odd(i % 3)]).tolist() == [1, 1]
    """)


def test_is_leaf_may_return_anything_with_a_truth():
    assert mx.tree_leaves([[1], 2], is_leaf=lambda x: "yes" if x == [1] else None) == [[1], 2]
    with pytest.raises(TypeError, match=r"\[tree_leaves\] is_leaf must be callable"):
        mx.tree_leaves([1], is_leaf=3)
    with pytest.raises(TypeError, match=r"\[tree_map\] fn must be callable"):
        mx.tree_map(3, [1])


def test_strange_keywords_of_protocols_are_clear_errors():
    x = mx.zeros(3)
    for f in (lambda: x.__array__(copy="x"), lambda: x.__dlpack__(dl_device=x), lambda: x.__dlpack__(max_version=(1,)),
              lambda: x.__dlpack__(max_version=3.5), lambda: mx.grad(mx.sum, argnames=3), lambda: mx.einsum("é->é", x),
              lambda: mx.random.key([1]), lambda: mx.random.seed(None)):
        with pytest.raises((ValueError, TypeError, BufferError)) as e:
            f()
        assert str(e.value).startswith("["), e.value


# ---- functions that do strange things


def test_custom_rules_that_return_nothing_mean_zero_in_both_modes_and_batched():
    x = mx.ones((3,))
    for rule in ("vjp", "jvp"):
        f = mx.custom_function(lambda x: x * 2)
        getattr(f, rule)(lambda *args: None)
        assert mx.grad(lambda x: f(x).sum())(x).tolist() == [0, 0, 0]
        assert mx.jvp(f, [x], [x])[1][0].tolist() == [0, 0, 0]
        xs = mx.ones((2, 3))
        assert mx.vmap(mx.grad(lambda x: f(x).sum()))(xs).tolist() == [[0, 0, 0]] * 2
        assert mx.jvp(mx.vmap(f), [xs], [xs])[1][0].tolist() == [[0, 0, 0]] * 2
        assert mx.vmap(lambda x: mx.jvp(f, [x], [x])[1][0])(xs).tolist() == [[0, 0, 0]] * 2
        assert mx.grad(lambda xs: mx.vmap(f)(xs).sum())(xs).tolist() == [[0, 0, 0]] * 2


def test_endless_recursion_through_transformations_is_a_recursion_error():
    survives("""
        for wrap in (mx.vmap, mx.compile, mx.checkpoint, mx.custom_function, lambda f: mx.grad(lambda x: f(x).sum()),
                     lambda f: lambda x: mx.jvp(f, [x], [x])[0][0], lambda f: lambda x: mx.vjp(f, [x], [x])[0][0],
                     lambda f: lambda x: mx.tree_map(f, [x])):
            def f(x):
                return wrap(f)(x[None])
            try:
                f(mx.zeros(2))
            except RecursionError:
                continue
            raise SystemExit("no error")
    """)


def test_placeholders_that_escape_are_safe_everywhere():
    survives("""
        import copy, pickle, threading
        leaked = []
        def f(x):
            leaked.extend([x, x + 1])
            return x
        mx.vmap(f)(mx.zeros((3, 2)))
        mx.compile(f)(mx.zeros(3))
        mx.grad(lambda x: f(x).sum())(mx.zeros(3))
        mx.jvp(f, [mx.zeros(3)], [mx.zeros(3)])
        uses = (repr, hash, bool, len, list, np.array, memoryview, pickle.dumps, copy.deepcopy, mx.eval, mx.async_eval, lambda x: x.tolist(),
                lambda x: x.__dlpack__(), lambda x: mx.eval(x + 1), lambda x: x[0].item(), lambda x: x.__setitem__(0, 1),
                lambda x: mx.compile(lambda y: y + x)(mx.zeros(3)), lambda x: mx.vmap(lambda y: y * x)(mx.zeros((2, 3))))
        def use(x):
            for g in uses:
                try:
                    g(x)
                except (ValueError, TypeError, BufferError, IndexError):
                    pass
        for x in leaked:
            use(x)
            t = threading.Thread(target=use, args=(x,))
            t.start()
            t.join()
        mx.synchronize()
        x = leaked.pop()
        t = threading.Thread(target=leaked.clear)
        t.start()
        t.join()
    """)


def test_a_trace_that_fails_leaves_everything_as_it_was():
    state = {"a": mx.zeros(3), "l": [1, mx.zeros(2)]}

    def f(x, bad):
        state["a"] = state["a"] + x
        state["new"] = x
        state["l"].append(x)
        if bad:
            raise KeyError("bad")
        return x

    g = mx.compile(f, inputs=state, outputs=state)
    with pytest.raises(KeyError):
        g(mx.ones(3), True)
    assert set(state) == {"a", "l"} and len(state["l"]) == 2 and state["a"].tolist() == [0, 0, 0]
    g(mx.ones(3), False)
    g(mx.ones(3), False)
    assert state["a"].tolist() == [2, 2, 2] and len(state["l"]) == 4


# ---- the end of the process


@pytest.mark.parametrize("code", [
    # threads that compute when the interpreter ends
    """
    import threading, time
    def work():
        while True:
            mx.eval(mx.ones((200, 200)) @ mx.ones((200, 200)))
            mx.compile(lambda x: x + 1)(mx.zeros(3)).tolist()
            mx.asarray(np.zeros(10, np.float32), copy=False) + 1
    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    time.sleep(0.2)
    """,
    # objects that compute while they are destroyed
    """
    class Last:
        def __del__(self):
            y = mx.zeros(3) + 1
            mx.eval(y)
            mx.async_eval(y + 1)
            mx.grad(lambda x: x.sum())(y)
            mx.compile(lambda x: x + 1)(y).tolist()
    last = Last()
    """,
    # work that is not done yet, on borrowed memory
    """
    a = mx.asarray(np.zeros(100000, np.float32), copy=False)
    f = mx.compile(lambda x: x + a)
    view, array = memoryview(mx.zeros(3)), np.array(mx.zeros(3))
    loop = [a, f]
    loop.append(loop)
    mx.async_eval(f(a), mx.exp(mx.zeros((1000, 1000))) @ mx.zeros((1000, 1000)))
    """,
    # arrays that belong to threads
    """
    import threading
    own = threading.local()
    def work():
        own.x = [mx.zeros(3) + i for i in range(500)]
        mx.eval(own.x[:250])
    for _ in range(5):
        t = threading.Thread(target=work)
        t.start()
        t.join()
    """], ids=["daemon threads", "finalizers", "pending work", "thread locals"])
def test_the_interpreter_ends_in_peace(code):
    survives(code)


def test_a_fork_of_a_busy_process_can_compute():
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    survives("""
        import os, threading, time
        x = mx.random.normal((400, 400))
        stop = []
        def work():
            while not stop:
                mx.eval(mx.tanh(x @ x) + mx.sort(x))
        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads: t.start()
        for _ in range(10):
            time.sleep(0.003)
            pid = os.fork()
            if pid == 0:
                mx.eval(x @ x + 1, mx.split(x, 2))
                mx.async_eval(x * 2)
                mx.synchronize()
                os._exit(0)
            end = time.time() + 20
            while not (done := os.waitpid(pid, os.WNOHANG))[0]:
                if time.time() > end:
                    os.kill(pid, 9)
                    stop.append(1)
                    raise SystemExit("the child hangs")
                time.sleep(0.001)
            assert done[1] == 0, done
        stop.append(1)
        for t in threads: t.join()
    """)


def test_an_interrupt_leaves_the_library_usable():
    survives("""
        import os, signal, threading
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background jobs of a shell
        x = mx.ones((500, 500))
        def endless(x):
            while True:
                x = x + 1
        def busy(x):
            while True:
                mx.eval(x @ x)
        for f in (busy, mx.vmap(endless), mx.compile(endless), mx.grad(endless)):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                f(x)
            except KeyboardInterrupt:
                continue
            raise SystemExit("not interrupted")
        assert mx.grad(lambda x: (x * x).sum())(mx.ones(3)).tolist() == [2, 2, 2]
    """)


def test_after_a_memory_error_the_same_array_can_be_computed():
    survives("""
        x = mx.ones((1000, 1000))
        mx.eval(x)
        y = mx.exp(x) + 1
        before = mx.set_memory_limit(mx.get_active_memory() + 1000)
        for _ in range(2):
            try:
                mx.eval(y)
                raise SystemExit("no error")
            except MemoryError:
                pass
        mx.set_memory_limit(before)
        assert abs(y[0, 0].item() - 3.7182817) < 1e-5
    """)


# ---- threads and garbage


def test_threads_may_change_and_read_the_same_objects():
    survives("""
        import random, sys, threading, time
        sys.setswitchinterval(1e-5)
        shared = [mx.random.normal((50,)) for _ in range(4)]
        state = {"a": mx.zeros(50)}
        f = mx.compile(lambda x: mx.exp(x) * 2)
        g = mx.compile(lambda x: state.update(a=state["a"] + x) or x, inputs=state, outputs=state)
        stop, errors = [], []
        def work(seed):
            r = random.Random(seed)
            uses = (lambda i: shared[i].__iadd__(1), lambda i: shared[i].__setitem__(r.randrange(50), 2.0), lambda i: shared[i].tolist(),
                    lambda i: mx.eval(shared), lambda i: repr(shared[i]), lambda i: mx.grad(lambda x: (x * shared[0]).sum())(shared[i]),
                    lambda i: f(shared[i]), lambda i: shared.__setitem__(i, mx.tanh(shared[i])), lambda i: g(shared[i]),
                    lambda i: mx.vmap(lambda x: x * shared[1][0])(shared[i]), lambda i: memoryview(shared[i]), lambda i: f.cache.clear(),
                    lambda i: shared[i].__setstate__(mx.ones(50).__getstate__()), lambda i: mx.async_eval(shared[i] * 2))
            while not stop:
                try:
                    r.choice(uses)(r.randrange(4))
                except Exception as e:
                    errors.append(repr(e))
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for t in threads: t.start()
        time.sleep(1.5)
        stop.append(1)
        for t in threads: t.join(30)
        assert not any(t.is_alive() for t in threads)
        assert not errors, errors[:3]
    """)


@pytest.mark.parametrize("make", [
    lambda o, a: mx.compile(lambda x: (x + a, o)[0])(a) is None or mx.compile(lambda x: (x, o)[0]),
    lambda o, a: mx.grad(lambda x: (x * a).sum() + 0 * len(str(o))), lambda o, a: mx.vmap(lambda x: (o, x)[1]),
    lambda o, a: mx.custom_function(lambda x: (o, x)[1]), lambda o, a: mx.checkpoint(lambda x: (o, x)[1])])
def test_a_transformed_function_in_a_cycle_is_collected(make):
    import gc
    import weakref

    class Owner:
        pass

    o, a = Owner(), mx.ones(3)
    o.f = make(o, a)
    o.f(a)
    gone = weakref.ref(o)
    del o
    gc.collect()
    assert gone() is None


def test_sixty_four_and_more_dimensions_work_or_are_refused():
    x = mx.ones((1,) * 99 + (3,))
    assert (x.transpose() + x.transpose()).sum().item() == 6
    assert mx.reshape(mx.sort(x) + mx.cumsum(x, -1), (3,)).tolist() == [2, 3, 4]
    assert mx.grad(lambda x: (x * x).sum())(x).reshape(3).tolist() == [2, 2, 2]
    try:
        assert np.array(x).ndim == 100
    except (ValueError, BufferError):
        pass


# ---- memory from elsewhere


def test_bools_of_odd_bytes_are_true():
    odd = np.array([2, 0, 255], np.uint8).view(bool)
    b = mx.array(odd)
    assert b.tolist() == [True, False, True] and mx.sum(b).item() == 2 and mx.nonzero(b)[0].tolist() == [0, 2]
    assert (b * 3).tolist() == [3, 0, 3] and mx.sum(mx.array(np.array([2, 0, 255], np.uint8)).view(mx.bool_)).item() == 2


def test_memory_that_is_not_aligned_is_copied():
    odd = np.arange(9, dtype=np.uint8)[1:].view(np.float32)
    for convert in (mx.array, mx.asarray, mx.from_dlpack):
        try:
            x = convert(odd)
        except (BufferError, ValueError):  # NumPy may refuse to export it
            continue
        assert np.array_equal(np.array(x + 0), odd)
    with pytest.raises((BufferError, ValueError)):
        mx.asarray(odd, copy=False)


# ---- numbers at the edge


def test_rounding_to_absurd_decimals_is_zero_or_the_number_itself():
    x = mx.array([5.0, -3e38, 0.0, float("inf")])
    for decimals in (-39, -1000, -(2**31)):
        assert mx.round(x, decimals).tolist() == [0, 0, 0, float("inf")]
        assert mx.round(mx.array([5, 2**31 - 1]), decimals).tolist() == [0, 0]
    assert mx.round(x, 2**31 - 1).tolist() == x.tolist() and mx.round(mx.array(5.0, mx.float64), -309).item() == 0


def test_numbers_that_fit_nothing_are_overflow_errors():
    huge = 10**400
    for f in (lambda: mx.linspace(0, huge), lambda: mx.grad(mx.sum, argnums=huge)(mx.ones(2)), lambda: mx.array(huge),
              lambda: mx.zeros((huge,)), lambda: mx.sum(mx.ones(2), axis=huge), lambda: mx.allclose(mx.ones(2), mx.ones(2), rtol=huge)):
        with pytest.raises((OverflowError, ValueError)) as e:
            f()
        assert str(e.value).startswith("["), e.value
    with pytest.raises(TypeError, match=r"\[format\]"):
        mx.array(1.0).__format__(None)


@pytest.mark.parametrize("name", ["TreeDef", "ArrayAt", "ArrayIterator", "Stream", "ThreadLocalStream"])
def test_objects_without_a_value_cannot_be_made(name):
    cls = getattr(mx, name)
    for make in (cls, lambda: cls.__new__(cls)):
        with pytest.raises(TypeError):
            make()


@pytest.mark.parametrize("call", [
    "_run_grad(1, 2, 3, 4)", "_run_grad(_core._grad_spec('grad', [0], []), mx.sin, 3, 4)", "_run_vmap(mx.sin, 0, 0, 3, None)",
    "_run_custom(1, 2, 3, 4, 5, 6)", "_run_checkpoint(1, 2, 3)", "_compiled(1, mx.sin, None, None)", "_compile_info(1, 2)",
    "_run_vjp(1, 2, 3)", "_run_jvp(mx.sin, 3, [1])",
])
def test_private_entry_points_refuse_what_they_are_not_for(call):
    survives(f"""
import mxform as mx
from mxform import _core
try:
    _core.{call}
except (TypeError, ValueError):
    pass
else:
    raise SystemExit("no error")
""")
