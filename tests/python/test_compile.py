"""mx.compile from Python: what is traced anew, captured state, nesting, clean-up."""

import collections
import dataclasses
import enum
import gc
import subprocess
import sys
import threading
import weakref
from fractions import Fraction

import numpy as np
import pytest

import mxform as mx


class Traced:
    """A compiled function that counts how often it is traced."""

    def __init__(self, fun, **options):
        self.count = 0

        def counted(*args, **kwargs):
            self.count += 1
            return fun(*args, **kwargs)

        self.fun = mx.compile(counted, **options)

    def __call__(self, *args, **kwargs):
        return self.fun(*args, **kwargs)


ONE, TWO = mx.array(1.0), mx.array(2.0)


def values(tree):
    return mx.tree_map(lambda x: x.tolist() if isinstance(x, mx.array) else x, tree)


def test_a_second_call_is_not_traced():
    f = Traced(lambda x, y: (x + y) * 2)
    assert f(ONE, TWO).item() == 6
    assert f(TWO, TWO).item() == 8
    assert f.count == 1
    assert f.fun.cache.n_traces == 1


# ---- the key


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


def make_named(name):
    return collections.namedtuple(name, "a b")


P, Q = make_named("P"), make_named("Q")

DISTINCT = [
    0, 0.0, -0.0, False, True, 1, 1.0, 1 + 0j, complex(1.0, -0.0), 0j, complex(-0.0, 0.0), "0", "1", "", b"", b"0", None, Ellipsis,
    2**80, 2**80 + 1, float("nan"), float("inf"), Number.ONE, Color.RED, Color.BLUE, Fraction(1), Fraction(0),
    [], (), {}, [1], (1,), [1.0], [True], {"a": 1}, {"a": 1.0}, {"b": 1}, {1: 1}, {1.0: 1}, {True: 1}, P(1, 2), Q(1, 2), (1, 2), [1, 2],
    [[1], 2], [1, [2]], [[1, 2]], [1, 2, None], collections.OrderedDict(a=1), {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": None}, {"a": {}},
    slice(0, 1), slice(0.0, 1), slice(None), slice(0, 1, None), slice(0, 1, 1), range(0), range(5, 5), range(1),
    frozenset([0]), frozenset([0.0]), frozenset([False]), frozenset([(0,)]), frozenset([(0.0,)]), frozenset(),
    np.float32(0.0), np.float32(-0.0), np.float64(0.0), np.int32(0), np.int64(0), np.bool_(False), mx.float32, mx.int32, len, sum,
]  # fmt: skip


def spell(x):
    return f"{type(x).__name__} {x!r}"


def test_constants_are_told_apart_by_type_and_value():
    f = mx.compile(lambda x, c: (x, spell(c)))
    unique = {spell(c): c for c in DISTINCT}
    for _ in range(2):
        for text, c in unique.items():
            assert f(ONE, c)[1] == text
    # slice(0, 1) is listed with slice(0, 1, None), range(0) equals no other.
    assert f.cache.n_traces == len(unique)


def test_constants_are_told_apart_inside_containers_and_keywords():
    f = mx.compile(lambda x, *args, **kwargs: (x, spell((args, kwargs))))
    seen = set()
    for a in (0, 0.0, False, "0", None, [0], (0,)):
        for args, kwargs in (([a], {}), ([[a]], {}), ([(a,)], {}), ([a, a], {}), ([[a, a]], {}), ([], {"a": a}), ([], {"b": a}), ([{"a": a}], {})):
            text = spell((tuple(args), kwargs))
            for _ in range(2):
                assert f(ONE, *args, **kwargs)[1] == text
            seen.add(text)
    assert f.cache.n_traces == len(seen)


def test_arrays_are_told_apart_by_place_dtype_and_shape():
    f = Traced(lambda *args: mx.tree_map(lambda x: x * 2, args))
    calls = [
        ([ONE], [TWO]), ([ONE, [TWO]],), ([ONE, TWO],), ((ONE, TWO),), (ONE, TWO), (ONE, 2.0), (1.0, TWO), (mx.array(1), TWO),
        (mx.ones((1,)), TWO), (mx.ones((1, 1)), TWO), (mx.ones((2,)), TWO), ({"a": ONE},), ({"b": ONE},), (mx.array(1.0, mx.float16), TWO),
    ]  # fmt: skip
    for _ in range(2):
        for args in calls:
            assert values(f(*args)) == values(mx.tree_map(lambda x: x * 2, args))
    assert f.count == len(calls)


def test_nan_is_one_constant():
    f = Traced(lambda x, c: x * c)
    f(ONE, float("nan")), f(ONE, float("nan"))
    assert f.count == 1


def test_the_order_of_keywords_and_keys_is_seen():
    f = mx.compile(lambda x, **kwargs: (x, list(kwargs)))
    assert f(ONE, a=1, b=2)[1] == ["a", "b"]
    assert f(ONE, b=2, a=1)[1] == ["b", "a"]


def test_look_up_does_not_go_through_the_other_constants():
    comparisons = []

    class Constant:
        def __init__(self, value):
            self.value = value

        def __hash__(self):
            return hash(self.value)

        def __eq__(self, other):
            comparisons.append(other)
            return self.value == other.value

    f = mx.compile(lambda x, c: x * c.value)
    for i in range(500):
        f(ONE, Constant(i))
    assert f.cache.n_traces == 500
    comparisons.clear()
    assert f(ONE, Constant(77)).item() == 77
    assert f.cache.n_traces == 500 and len(comparisons) <= 3


def test_at_most_512_traces_are_kept_and_the_least_recent_goes():
    f = Traced(lambda x, c: x * c)
    for c in range(512):
        f(ONE, c)
    f(ONE, 0)
    f(ONE, 512)
    assert f.count == 513
    f(ONE, 0)
    f(ONE, 2)
    assert f.count == 513
    f(ONE, 1)
    assert f.count == 514


def test_a_retrace_is_explained():
    def step(params, n=1, **kwargs):
        return mx.tree_map(lambda p: p * 2, params)

    f = mx.compile(step)
    reasons = [f.cache.reason]
    p = {"w": [ONE]}
    for args, kwargs in (((p,), {}), ((p, 1), {}), ((p, 2), {}), ((p, 2.0), {}), (({"w": [mx.ones((3,))]}, 2.0), {}),
                         (({"w": (mx.ones((3,)),)}, 2.0), {}), ((p,), {"key": 1}), ((p,), {"key": 2})):  # fmt: skip
        f(*args, **kwargs)
        reasons.append(f.cache.reason)
    assert reasons[0] == ""
    assert reasons[1] == "the first call"
    assert "structure differs" in reasons[2]
    assert reasons[3] == "n is int 2, not int 1"
    assert reasons[4] == "n is float 2.0, not int 2"
    assert reasons[5] == "params['w'][0] is float32 of shape (3,), not float32 of shape ()"
    assert "at [0]['w'] one has a tuple of 1, the other a list of 1" in reasons[6]
    assert reasons[8] == "key is int 2, not int 1"


def test_what_cannot_be_a_constant_is_named():
    @dataclasses.dataclass
    class Unhashable:
        a: int

        def __eq__(self, other):
            return True

    def step(x, options):
        return x

    f = mx.compile(step)
    for bad in ({1, 2}, bytearray(b"x"), np.ones(3)):
        with pytest.raises(mx.TransformError, match=r"\[compile\] options\['k'\]\[1\] of step is .*neither an array nor hashable"):
            f(ONE, {"k": [0, bad]})


def test_equality_in_python_may_fail():
    class Odd:
        def __eq__(self, other):
            raise ZeroDivisionError

        def __hash__(self):
            return 1

    f = mx.compile(lambda x, c: x)
    f(ONE, Odd())
    with pytest.raises(ZeroDivisionError):
        f(ONE, Odd())


def test_each_stream_has_its_trace():
    f = Traced(lambda x: x * 2)
    f(ONE)
    with mx.stream(mx.new_stream(mx.cpu)):
        assert f(ONE).item() == 2
    assert f.count == 2


# ---- results


def test_any_tree_may_be_returned():
    keep = object()

    def f(x):
        return {"b": (x, 1, "s", None), "a": [x * 2, keep], "p": P(x, {})}

    for _ in range(2):
        got = mx.compile(f)(ONE)
        assert list(got) == ["b", "a", "p"] and got["a"][1] is keep and isinstance(got["p"], P)
        assert values(got) == values(f(ONE))
    for const in (None, 2, "text", (), [1, 2]):
        g = mx.compile(lambda x: const)
        assert g(ONE) == const and g(TWO) == const


def test_returned_containers_are_fresh():
    f = mx.compile(lambda x: [x, [x]])
    first = f(ONE)
    first[1].append("mine")
    assert len(f(ONE)[1]) == 1


def test_inputs_and_captured_arrays_can_be_returned():
    captured = mx.array(5.0)
    f = mx.compile(lambda x: (x, x, captured))
    assert values(f(TWO)) == (2.0, 2.0, 5.0)
    assert values(f(ONE)) == (1.0, 1.0, 5.0)


def test_captured_arrays_are_listed():
    w = mx.array([1.0, 2.0])
    f = mx.compile(lambda x: (x * w).sum())
    assert f.cache.captured == []
    assert f(ONE).item() == 3
    assert [a.tolist() for a in f.cache.captured] == [[1.0, 2.0]]
    assert "input" in f.cache.graph and "return" in f.cache.graph


def test_a_function_without_arguments_compiles():
    f = Traced(lambda: mx.ones((2,)) * 3)
    assert f().tolist() == [3, 3] and f().tolist() == [3, 3] and f.count == 1


def test_reading_a_value_while_tracing_is_an_error():
    for read in (lambda x: x.item(), lambda x: x if x > 0 else -x, lambda x: np.array(x), lambda x: x.tolist(), mx.eval):
        with pytest.raises(mx.TransformError, match="compile"):
            mx.compile(read)(ONE)
    shown = []
    mx.compile(lambda x: (shown.append(repr(x)), x)[1])(ONE)
    assert "compile" in shown[0]


# ---- captured state


def test_state_is_read_and_updated_in_place():
    inner = {"x": mx.array(1.0)}
    state = [mx.array(0.0), inner]

    def step(x):
        state[0] = state[0] + x
        state[1]["x"] = state[1]["x"] * 2
        return state[0] * 10

    f = Traced(step, inputs=state, outputs=state)
    for i in range(1, 4):
        assert f(ONE).item() == 10 * i
        assert values(state) == [i, {"x": 2.0**i}]
        assert state[1] is inner
    assert f.count == 1
    inner["x"] = mx.array(100.0)
    f(ONE)
    assert inner["x"].item() == 200 and f.count == 1


def test_state_may_gain_and_lose_keys():
    state = {"old": ONE}

    def step(x):
        state.pop("old", None)
        state["new"] = state.get("new", mx.array(0.0)) + x

    f = Traced(step, inputs=state, outputs=state)
    for i in range(1, 5):
        f(ONE)
        assert values(state) == {"new": float(i)}
    assert f.count == 2


def test_lists_in_state_may_grow():
    state = []
    f = Traced(lambda x: state.append(x * len(state)), outputs=state)
    for i in range(4):
        f(TWO)
        assert values(state) == [2.0 * k for k in range(i + 1)]


def test_state_that_is_only_read_stays():
    state = {"w": mx.array(3.0)}

    def step(x):
        state["w"] = state["w"] + x  # not in outputs: forgotten
        return state["w"]

    f = mx.compile(step, inputs=state)
    for _ in range(3):
        assert f(ONE).item() == 4
        assert state["w"].item() == 3


def test_state_is_restored_when_the_function_fails():
    inner = [ONE]
    state = {"a": inner, "b": TWO}

    def step(x):
        state["a"][0] = x
        state["c"] = x
        state["b"] = None
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mx.compile(step, inputs=state, outputs=state)(ONE)
    assert state["a"] is inner and values(state) == {"a": [1.0], "b": 2.0}


@dataclasses.dataclass
class Model:
    weight: object
    name: str = "model"


class Slots:
    """Indexed like a list, registered as a tree node."""

    def __init__(self, *items):
        self.items = list(items)

    def __setitem__(self, i, value):
        self.items[i] = value


mx.register_tree_node(Slots, lambda s: (s.items, None), lambda _, children: Slots(*children))


class Module(dict):
    def __getattr__(self, name):
        return self[name]


def test_objects_can_be_state():
    model = Model({"w": mx.array(1.0)})
    slots = Slots(mx.array(10.0))
    module = Module(layer=Module(w=mx.array(100.0)))
    layer = module.layer
    pair = {"t": (mx.array(1000.0), P([mx.array(0.0)], 7))}
    held = pair["t"][1].a

    def step(x):
        model.weight["w"] = model.weight["w"] + x
        slots[0] = slots.items[0] + x
        module.layer["w"] = module.layer.w + x
        t = pair["t"]
        t[1].a[0] = t[1].a[0] + x
        pair["t"] = (t[0] + x, t[1])

    state = [model, slots, module, pair]
    f = Traced(step, inputs=state, outputs=state)
    for i in range(1, 4):
        f(ONE)
        assert model.weight["w"].item() == 1 + i and slots.items[0].item() == 10 + i and module.layer.w.item() == 100 + i
        assert values(pair) == {"t": (1000.0 + i, P([i], 7))}
    assert f.count == 1
    assert module.layer is layer and pair["t"][1].a is held and isinstance(pair["t"][1], P)


def test_the_random_state_can_be_captured():
    def draw(x):
        return x + mx.random.uniform(shape=(3,))

    mx.random.seed(7)
    eager = [draw(ONE).tolist() for _ in range(3)]
    mx.random.seed(7)
    f = Traced(draw, inputs=mx.random.state, outputs=mx.random.state)
    assert [f(ONE).tolist() for _ in range(3)] == eager
    assert f.count == 1
    frozen = mx.compile(draw)
    assert frozen(ONE).tolist() == frozen(ONE).tolist()


def test_captured_arrays_are_constants():
    state = {"w": TWO}
    f = mx.compile(lambda x: x * state["w"])
    assert f(ONE).item() == 2
    state["w"] = mx.array(50.0)
    assert f(ONE).item() == 2


def test_a_change_of_the_type_of_state_is_seen():
    state = {"w": TWO}
    f = Traced(lambda x: x * state["w"], inputs=state)
    f(ONE)
    state["w"] = mx.array([1.0, 2.0])
    assert f(ONE).tolist() == [1, 2]
    state["w"] = mx.array(3)
    assert f(ONE).item() == 3
    assert f.count == 3


def test_state_that_cannot_be_updated_is_refused():
    with pytest.raises(TypeError, match="inputs must be a container"):
        mx.compile(lambda x: x, inputs=ONE)
    with pytest.raises(TypeError, match="outputs must be a container"):
        mx.compile(lambda x: x, outputs=object())
    pair = (ONE, {"a": ONE})
    f = mx.compile(lambda x: pair[1].update(a=x * 2), inputs=pair, outputs=pair)
    with pytest.raises(mx.TransformError, match="tuple came that holds an array itself"):
        f(TWO)


# ---- transformations


def test_compile_works_inside_and_outside_of_transformations():
    g = lambda x: (mx.sin(x) * x).sum()
    dg = lambda x: mx.sin(x) + x * mx.cos(x)
    x = mx.array([0.5, 1.0, 2.0])
    need = dg(x).tolist()
    for h in (
        mx.compile(mx.grad(g)),
        mx.grad(mx.compile(g)),
        mx.compile(mx.grad(mx.compile(g))),
        mx.vmap(mx.grad(mx.compile(g))),
        mx.vmap(mx.compile(mx.grad(g))),
        mx.compile(mx.vmap(mx.grad(g))),
        lambda x: mx.jvp(mx.compile(g), [x], [mx.ones((3,))])[1][0] * 0 + mx.grad(g)(x),
        mx.compile(mx.compile(mx.grad(g))),
    ):
        for _ in range(2):
            assert mx.allclose(h(x), mx.array(need), atol=1e-5).item()
    assert mx.allclose(mx.jvp(mx.compile(g), [x], [mx.ones((3,))])[1][0], dg(x).sum(), atol=1e-5).item()


def test_a_trace_made_inside_a_transformation_does_not_leak():
    def outer(w):
        inner = mx.compile(lambda x: x * w)
        return inner(TWO)

    assert mx.grad(outer)(ONE).item() == 2
    shared = mx.compile(lambda x: x * x)
    assert mx.grad(shared)(TWO).item() == 4
    assert mx.vmap(shared)(mx.array([1.0, 3.0])).tolist() == [1, 9]
    assert shared(TWO).item() == 4
    holder = {}

    def captured(w):
        holder["w"] = w
        return holder["f"](TWO)

    holder["f"] = mx.compile(lambda x: x * holder["w"])
    assert mx.grad(captured)(ONE).item() == 2
    assert mx.grad(captured)(mx.array(7.0)).item() == 2
    assert mx.vmap(captured)(mx.array([1.0, 2.0, 3.0])).tolist() == [2, 4, 6]


def test_state_works_under_grad():
    state = {"n": mx.array(0.0)}

    def loss(w):
        state["n"] = state["n"] + 1
        return w * w * state["n"]

    step = mx.compile(mx.value_and_grad(loss), inputs=state, outputs=state)
    for i in range(1, 4):
        value, dw = step(TWO)
        assert (value.item(), dw.item(), state["n"].item()) == (4 * i, 4 * i, i)


def test_shapeless_never_guesses():
    f = mx.compile(lambda x: x.reshape(-1) * x.size, shapeless=True)
    for n in (2, 3, 2):
        assert f(mx.ones((n, n))).tolist() == [n * n] * (n * n)


# ---- switching off, threads, clean-up


def test_disable_compile_runs_the_function_itself():
    f = Traced(lambda x: x.item() * 2)
    try:
        mx.disable_compile()
        assert f(TWO) == 4 and f(TWO) == 4 and f.count == 2
    finally:
        mx.enable_compile()
    with pytest.raises(mx.TransformError):
        f(TWO)


def test_the_environment_disables_compile():
    code = "import mxform as mx; print(mx.compile(lambda x: x.item())(mx.array(3)))"
    import os

    env = dict(os.environ, MXFORM_DISABLE_COMPILE="1")
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout == "3\n"


def test_constants_and_traces_go_with_the_function():
    class Token:
        pass

    token = Token()
    ref = weakref.ref(token)
    f = mx.compile(lambda x, c: x)
    f(ONE, token)
    del token
    gc.collect()
    assert ref() is not None
    f.cache.clear()
    assert ref() is None
    token = Token()
    token.f = f  # a cycle through the cache
    ref = weakref.ref(token)
    f(ONE, token)
    del token, f
    gc.collect()
    assert ref() is None


def test_a_compiled_function_can_be_shared_by_threads():
    state = {"n": mx.array(0)}

    def step(x):
        state["n"] = state["n"] + 1
        return x * 2

    f = mx.compile(step, inputs=state, outputs=state)
    wrong = []

    def work(k):
        for i in range(50):
            if f(mx.full((i % 5 + 1,), float(k))).tolist() != [2.0 * k] * (i % 5 + 1):
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong and f.cache.n_traces <= 20
    assert state["n"].item() == 200


def test_recursion_through_a_compiled_function_works():
    @mx.compile
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    assert power(TWO, 10).item() == 1024
