"""test_export.py — functions as files: every operation, every transformation, several traces, damage; pictures of graphs.

The checker of the table's rows is in checks_export.py, shapeless exports in test_export_shapeless.py, fuzzed files in fuzz_files.py.
"""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import checks_export
import mxform as mx
from specs import load

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "function.mlxfn"
SPECS = load()
rows = pytest.mark.parametrize("spec", SPECS, ids=[s.name for s in SPECS])
rng = np.random.default_rng(0)


def normal(*shape):
    return mx.array(rng.standard_normal(shape).astype(np.float32))


@rows
def test_an_operation_comes_back_from_its_file(spec):
    checks_export.check_export(spec)


@rows
def test_a_shapeless_export_is_right_or_refused(spec):
    checks_export.check_shapeless(spec)


def test_every_primitive_is_exported_or_replaced():
    # Markers and prints vanish, fused programs become operations again.
    for p in mx._core._primitives():
        assert p["export"] in ("kept", "inlined", "dropped"), p
    assert {p["name"] for p in mx._core._primitives() if p["export"] == "dropped"} == {"debug_print"}


# ---- calls

def test_inputs_come_one_by_one_or_in_containers(path):
    x, y = normal(2, 3), normal(2, 3)
    mx.export_function(path, lambda x, y: x - y, x, y=y)
    f = mx.import_function(path)
    for out in (f(x, y=y), f((x,), {"y": y}), f([x], {"y": y})):
        assert isinstance(out, tuple) and len(out) == 1 and mx.array_equal(out[0], x - y)
    mx.export_function(path, lambda x, y: [x - y, y], [x, y])
    assert len(mx.import_function(path)(x, y)) == 2
    mx.export_function(path, lambda **kw: kw["b"] - kw["a"], b=x, a=y)
    f = mx.import_function(path)
    assert mx.array_equal(f(a=y, b=x)[0], x - y) and mx.array_equal(f({"b": x, "a": y})[0], x - y)
    mx.export_function(path, lambda: mx.array(1.0) + 2)
    assert mx.import_function(path)()[0].item() == 3


@pytest.mark.parametrize("call, text", [
    (lambda f, x: f(x, x), "no trace of the function takes these inputs"),
    (lambda f, x: f(), r"\(\) came"),
    (lambda f, x: f(x.astype(mx.int32)), "input 0 has dtype int32; need float32"),
    (lambda f, x: f(x.T), r"input 0 has shape \(3, 2\); need \(2, 3\)"),
    (lambda f, x: f(x, y=x), "came"),
    (lambda f, x: f(1.0), "the inputs are a float; need arrays"),
    (lambda f, x: f(x, {"y": x}), "need arrays"),
    (lambda f, x: f((x,), y=x), "and keywords"),
    (lambda f, x: f([x, 1]), "need arrays"),
    (lambda f, x: f(y=1.0), "'y' is a float; need an array"),
    (lambda f, x: f([x], {1: x}), "a keyword is an int"),
])
def test_wrong_inputs_are_named(path, call, text):
    x = normal(2, 3)
    mx.export_function(path, mx.exp, x)
    with pytest.raises(ValueError, match=text):
        call(mx.import_function(path), x)


@pytest.mark.parametrize("call, kind, text", [
    (lambda p: mx.export_function(p, lambda x: 3, mx.array(1)), ValueError, "returned an int"),
    (lambda p: mx.export_function(p, lambda x: {"a": x}, mx.array(1)), ValueError, "returned a dict"),
    (lambda p: mx.export_function(p, lambda x: (x, [x]), mx.array(1)), ValueError, "no array"),
    (lambda p: mx.export_function(p, lambda x: x, 1.0), ValueError, "the inputs are a float"),
    (lambda p: mx.export_function(p, 3, mx.array(1)), TypeError, "fun is an int; need a callable"),
    (lambda p: mx.export_function(3, mx.exp, mx.array(1)), TypeError, "need a str or a path"),
    (lambda p: mx.export_function(p + "/no/such", mx.exp, mx.array(1.0)), RuntimeError, "directory"),
    (lambda p: mx.export_function(lambda d: None, mx.exp, mx.array(1.0), metadata="m"), ValueError, "only a file keeps it"),
    (lambda p: mx.export_function(p, lambda x: x + x.item(), mx.array(1.0)), mx.TransformError, "export_function"),
    (lambda p: mx.exporter(p, 3), TypeError, "need a callable"),
    (lambda p: mx.exporter(p, mx.exp, metadata=3), TypeError, "metadata must be a str"),
    (lambda p: mx.import_function(p), RuntimeError, "No such file"),
    (lambda p: mx.import_function(p), FileNotFoundError, "No such file"),
    (lambda p: mx.import_function(3), TypeError, "need a str or a path"),
    (lambda p: mx.grad(lambda y: (mx.export_function(p, lambda x: x * y, mx.array(1.0)), y)[1])(mx.array(1.0)) and
     mx.vmap(lambda y: (mx.export_function(p, lambda x: x * y, mx.array(1.0)), y)[1])(mx.array([1.0])), mx.TransformError, "vmap"),
])
def test_what_cannot_be_exported_is_said(path, call, kind, text):
    with pytest.raises(kind, match=text):
        call(path)


def test_an_error_of_the_function_comes_through_and_leaves_the_file(path):
    mx.export_function(path, mx.exp, mx.array(1.0))

    def broken(x):
        raise KeyError("mine")

    for shapeless in (False, True):
        with pytest.raises(KeyError, match="mine"):
            mx.export_function(path, broken, mx.array(1.0), shapeless=shapeless)
    assert mx.import_function(path)(mx.array(0.0))[0].item() == 1


def test_an_interrupt_is_no_refusal(path):
    def f(x):
        if x.shape[0] != 4:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt):
        mx.export_function(path, f, normal(4), shapeless=True)


def test_metadata_and_paths(tmp_path):
    path = tmp_path / "ä f"
    mx.export_function(path, mx.exp, mx.array(1.0), metadata="m\0ü" * 100)
    f, metadata = mx.import_function(path, return_metadata=True)
    assert metadata == "m\0ü" * 100 == f.metadata and mx.import_function(str(path), True)[1] == metadata
    mx.export_function(path, mx.exp, mx.array(1.0))
    assert mx.import_function(path, True)[1] == ""
    assert "float32()" in repr(f) and f.traces == [[(None, (), mx.float32)]]


def test_several_traces_in_one_file(path):
    weight = normal(1000)

    def f(*xs):
        return weight + sum(xs)

    with mx.exporter(path, f, metadata="m") as export:
        assert type(export) is mx.FunctionExporter
        export(mx.array(1.0))
        export(mx.array(1.0), mx.array(2.0))
        export(mx.array(1))
        export(mx.zeros((3, 1)))
        with pytest.raises(RuntimeError, match="already"):
            export(mx.array(5.0))
    with pytest.raises(RuntimeError, match="closed"):
        export(mx.zeros((2, 1)))
    export.close()
    assert os.path.getsize(path) < 6000  # the weight is there once
    f, metadata = mx.import_function(path, True)
    assert metadata == "m" and len(f.traces) == 4
    assert mx.array_equal(f(mx.array(1.0), mx.array(2.0))[0], weight + 3.0)
    assert f(mx.zeros((3, 1)))[0].shape == (3, 1000)
    with pytest.raises(ValueError, match=r"float32\(3, 1\)"):
        f(mx.zeros((4, 1)))
    mx.exporter(path, f).close()
    with pytest.raises(ValueError, match="no trace"):
        mx.import_function(path)(weight)


def test_a_callback_is_told_the_trace():
    told = []
    c = mx.array([1.0, 2.0])
    mx.export_function(told.append, lambda x, y: mx.sum(x * c, axis=0, keepdims=True) + y, mx.array([3.0, 4.0]), y=mx.array([1.0]))
    kinds = [d["type"] for d in told]
    assert kinds[:4] == ["inputs", "keyword_inputs", "outputs", "constants"] and set(kinds[4:]) == {"primitive"}
    assert told[0]["inputs"] == [("A", (2,), mx.float32), ("B", (1,), mx.float32)] and told[1]["keywords"] == [("y", "B")]
    name, value = told[3]["constants"][0]
    assert mx.array_equal(value, c)
    steps = {d["name"]: d for d in told[4:]}
    assert steps["multiply"]["inputs"] == [("A", (2,), mx.float32), (name, (2,), mx.float32)]
    assert steps["sum"]["arguments"] == [[0], 1] and steps["add"]["outputs"] == told[2]["outputs"]


# ---- what a function may hold

def layers(x, w, key):
    h = mx.fast.layer_norm(x @ w, None, None, 1e-5)
    h = mx.checkpoint(lambda y: mx.tanh(y) * mx.random.uniform(shape=y.shape, key=key))(h)
    return mx.compile(lambda y: mx.exp(y * 0.5 - 1))(h)


def test_transformations_inside_and_outside(path):
    x, w, key = normal(3, 4), normal(4, 4), mx.random.key(1)
    f = lambda x: layers(x, w, key)
    mx.export_function(path, f, x)
    g = mx.import_function(path)
    assert mx.array_equal(g(x)[0], f(x))
    loss = lambda h: lambda x: mx.sum(mx.square(h(x)[0] if h is g else h(x)))
    assert mx.allclose(mx.grad(loss(g))(x), mx.grad(loss(f))(x), rtol=1e-5, atol=1e-6)
    second = lambda h: mx.grad(lambda x: mx.sum(mx.square(mx.grad(loss(h))(x))))(x)
    assert mx.allclose(second(g), second(f), rtol=1e-4, atol=1e-4)
    batch = normal(5, 3, 4)
    assert mx.allclose(mx.vmap(g)(batch)[0], mx.vmap(f)(batch), rtol=1e-5, atol=1e-6)
    assert mx.allclose(mx.compile(g)(x)[0], f(x), rtol=1e-6)
    for inner in (mx.grad(loss(f)), lambda x: mx.jvp(f, [x], [x])[1], lambda x: mx.vmap(lambda row: row @ w)(x),
                  lambda x: mx.compile(mx.grad(loss(f)))(x)):
        mx.export_function(path, inner, x)
        want = inner(x)
        assert mx.allclose(mx.import_function(path)(x)[0], want[0] if isinstance(want, list) else want, rtol=1e-5, atol=1e-6)


def test_the_rules_of_custom_functions_are_exported(path):
    scale = mx.array(3.0)

    @mx.custom_function
    def f(x, y):
        return mx.sin(x) * y

    @f.vjp
    def f_vjp(primals, cotangent, output):
        x, y = primals
        return scale * cotangent * y, cotangent * mx.sum(mx.arange(4.0)) + output

    def outer(x, y, z):
        local = x * z

        @mx.custom_function
        def g(x):
            return mx.cos(x)

        g.jvp(lambda primals, tangents: local * tangents[0])
        return f(x, y) + g(x)

    x, y, z = mx.array([1.0, 2.0]), mx.array([3.0, 4.0]), mx.array([5.0, 6.0])
    mx.export_function(path, outer, x, y, z)
    h = mx.import_function(path)
    loss = lambda fun: lambda *a: mx.sum(fun(*a)[0] if fun is h else fun(*a))
    for _ in range(2):
        for got, want in zip(mx.grad(loss(h), argnums=(0, 1, 2))(x, y, z), mx.grad(loss(outer), argnums=(0, 1, 2))(x, y, z)):
            assert mx.allclose(got, want)
        rows = [mx.stack([a, 2 * a]) for a in (x, y, z)]
        for got, want in zip(mx.vmap(mx.grad(loss(h), argnums=(0, 1)))(*rows), mx.vmap(mx.grad(loss(outer), argnums=(0, 1)))(*rows)):
            assert mx.allclose(got, want)
        ts = [mx.ones((2,))] * 3
        assert mx.allclose(mx.jvp(h, [x, y, z], ts)[1][0], mx.jvp(outer, [x, y, z], ts)[1][0])
        mx.export_function(path, h, x, y, z)  # and from the import once more
        h = mx.import_function(path)
    mx.export_function(path, outer, x, y, z, shapeless=True)
    h = mx.import_function(path)
    x, y, z = (mx.concatenate([a, a]) for a in (x, y, z))
    assert mx.allclose(mx.grad(loss(h))(x, y, z), mx.grad(loss(outer))(x, y, z))


def test_keyless_random_numbers_are_drawn_once(path):
    x = normal(3)
    for shapeless in (False, True):
        mx.random.seed(7)
        want = mx.random.normal((3,))
        after = mx.random.uniform()
        mx.random.seed(7)
        mx.export_function(path, lambda x: x + mx.random.normal(x.shape), x, shapeless=shapeless)
        assert mx.array_equal(mx.random.uniform(), after)  # as if the function had run once
        f = mx.import_function(path)
        assert mx.array_equal(f(x)[0], x + want) and mx.array_equal(f(x)[0], x + want)


def test_lazy_and_strided_constants(path):
    lazy, strided = mx.exp(normal(4)) + 1, mx.broadcast_to(normal(4, 1), (4, 6))[::-1, ::2]
    kinds = [mx.array([True, False]), mx.array([1 + 2j]), mx.array([1.5], mx.bfloat16), mx.zeros((0, 3)), mx.array(2**63, mx.uint64)]
    f = lambda x: [x + lazy, strided, *[k + 0 for k in kinds]]
    x = normal(4)
    mx.export_function(path, f, x)
    for got, want in zip(mx.import_function(path)(x), f(x)):
        assert got.dtype == want.dtype and got.shape == want.shape and bytes(got) == bytes(mx.contiguous(want))


def test_outputs_may_be_inputs_constants_or_repeated(path):
    c = mx.array(2.0)
    mx.export_function(path, lambda x: (x, c, x + c, x), mx.array(1.0))
    assert [a.item() for a in mx.import_function(path)(mx.array(5.0))] == [5, 2, 7, 5]


def test_a_function_of_100_000_operations(path):
    def f(x):
        for _ in range(100_000):
            x = x + 1.0
        return x

    mx.export_function(path, f, mx.array(0.0))
    assert os.path.getsize(path) < 4_000_000
    g = mx.import_function(path)
    assert g(mx.array(1.0))[0].item() == 100_001
    assert mx.grad(lambda x: g(x)[0])(mx.array(1.0)).item() == 1


def test_threads_may_call_and_release(path):
    mx.export_function(path, lambda x: mx.sum(x * 2), normal(4), shapeless=True)
    failed = []

    def work(f, n):
        for i in range(50):
            size = 2 + (n + i) % 30
            if f(mx.ones((size,)))[0].item() != 2 * size:
                failed.append(size)

    threads = [threading.Thread(target=work, args=(mx.import_function(path), n)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


# ---- files

def golden_function(x, scale=None):
    if scale is None:
        return x - mx.mean(x, axis=-1, keepdims=True)
    return mx.tanh(x) * 0 + x * scale * 2, mx.argsort(x, axis=-1)


def make_golden(path):
    """Only for a new version of the format: files of this one must stay readable."""
    with mx.exporter(path, golden_function, metadata="tests/python/test_export.py makes it", shapeless=True) as export:
        export(mx.zeros((4, 3)))
        export(mx.zeros((2, 4)), scale=mx.array(1.0))


def test_a_file_of_an_earlier_build_still_runs():
    f, metadata = mx.import_function(GOLDEN, True)
    assert metadata == "tests/python/test_export.py makes it"
    x, s = normal(3, 5), mx.array(2.0)
    assert mx.array_equal(f(x)[0], golden_function(x))
    for got, want in zip(f(x, scale=s), golden_function(x, s)):
        assert mx.array_equal(got, want)


def test_a_file_is_the_same_each_time(path):
    mx.export_function(path, mx.tanh, normal(3), metadata="m")
    first = Path(path).read_bytes()
    mx.export_function(path, mx.tanh, normal(3), metadata="m")
    assert Path(path).read_bytes() == first


def test_another_process_runs_the_file(path):
    w = normal(4, 2)
    mx.export_function(path, lambda x: mx.linalg.norm(x @ w, axis=-1), normal(3, 4))
    x = mx.ones((3, 4))
    code = "import sys, mxform as mx; print(mx.import_function(sys.argv[1])(mx.ones((3, 4)))[0].tolist())"
    out = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert eval(out) == mx.linalg.norm(x @ w, axis=-1).tolist()


def test_damage_is_an_error(path):
    w = normal(3)
    mx.export_function(path, lambda x: mx.exp(x) * w, normal(3))
    good = Path(path).read_bytes()
    for n in range(0, len(good), 3):
        for bad in (good[:n], good[:n] + bytes([good[n] ^ 4]) + good[n + 1:]):
            Path(path).write_bytes(bad)
            with pytest.raises(ValueError, match=r"\[import_function\]"):
                mx.import_function(path)
    Path(path).write_bytes(good[:8] + (99).to_bytes(4, "little") + good[12:])
    for kind in (ValueError, RuntimeError):
        with pytest.raises(kind, match="version 99 of the format; this library reads version 1"):
            mx.import_function(path)
    with pytest.raises((ValueError, RuntimeError)):
        mx.import_function(os.path.dirname(path))


# ---- pictures

def dot(*args, **kw):
    file = io.StringIO()
    mx.export_to_dot(file, *args, **kw)
    return file.getvalue()


def test_a_graph_is_drawn(tmp_path):
    x, y = mx.array([1.0, 2.0]), mx.array([3.0])
    mx.eval(x, y)
    want = """digraph {
{ rank=source; "x"; }
{ rank=source; "A"; }
{ 0 [label ="broadcast", shape=rectangle]; }
"A" -> 0
{ "B"; }
0 -> "B"
{ 1 [label ="multiply", shape=rectangle]; }
"x" -> 1
"B" -> 1
{ "product"; }
1 -> "product"
{ 2 [label ="exp", shape=rectangle]; }
"product" -> 2
{ rank=sink; "C"; }
2 -> "C"
}
"""
    z = x * y
    assert dot(mx.exp(z), x=x, product=z) == want
    assert dot({"a": [mx.exp(z)]}, x=x, product=z) == want  # trees, too
    mx.export_to_dot(tmp_path / "g.dot", mx.exp(z), x=x, product=z)
    assert (tmp_path / "g.dot").read_text() == want
    assert dot() == "digraph {\n}\n"


def test_operations_with_several_outputs_and_strange_names_are_drawn():
    q, r = mx.linalg.qr(mx.array([[1.0, 2.0], [3.0, 4.0]]))
    text = dot(r, **{'a "b"\\\n': q})
    assert text.count("label =") == 1 and '"a \\"b\\"\\\\\\n"' in text and text.count("rank=sink") == 2


def test_what_is_evaluated_is_not_drawn():
    x = mx.exp(mx.array(1.0))
    mx.eval(x)
    assert dot(mx.sin(x)).count("label =") == 1


def test_large_graphs_are_drawn():
    x = mx.array(1.0)
    for _ in range(100_000):
        x = x + x
    text = dot(x)
    assert text.count("label =") == 100_000


@pytest.mark.parametrize("call, kind, text", [
    (lambda: dot(3), ValueError, "int 3 is no array"),
    (lambda: dot(mx.array(1), x=3), ValueError, "x is an int; need an array"),
    (lambda: mx.export_to_dot(3, mx.array(1)), ValueError, "need a path, or an object with a method write"),
    (lambda: mx.export_to_dot("/no/such/folder/g.dot", mx.array(1)), RuntimeError, "cannot be written"),
])
def test_what_cannot_be_drawn_is_said(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
