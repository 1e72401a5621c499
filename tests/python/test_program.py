"""make_program shows what a function does, with lines, costs and types; eval_shape finds types; nothing is computed."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import mxform as mx

HERE = Path(__file__).name
F32 = mx.float32


def struct(*shape, dtype=F32):
    return mx.ShapeDtypeStruct(shape, dtype)


def here(offset=0):
    import sys
    return sys._getframe(1).f_lineno + offset


def test_a_program_names_values_types_parameters_and_lines():
    def loss(w, x, *, scale=2.0):
        y = mx.matmul(x, w)
        return mx.max(y, axis=1, keepdims=True) * scale

    line = loss.__code__.co_firstlineno
    p = mx.make_program(loss)(struct(3, 4), struct(2, 3))
    assert str(p).splitlines() == [
        "program loss: 4 steps, 58 flops, 136 bytes".replace("136", str(p.bytes)),
        "  %0 float32[3, 4] = input w",
        "  %1 float32[2, 3] = input x",
        "  %2 float32[] = constant 2",
        f"  %3 float32[2, 4] = matmul(%1, %0)  # {HERE}:{line + 1}",
        f"  %4 float32[2, 1] = max(%3, axes=(1,), keepdims=True)  # {HERE}:{line + 2}",
        f"  %5 float32[2, 1] = broadcast(%2, shape=(2, 1))  # {HERE}:{line + 2}",
        f"  %6 float32[2, 1] = multiply(%4, %5)  # {HERE}:{line + 2}",
        "  return %6",
    ]
    assert repr(p) == str(p) and "#" not in p.text(lines=False)
    assert p.name == "loss"
    assert p.input_types == (struct(3, 4), struct(2, 3))
    assert p.output_types == struct(2, 1)
    assert p.counts() == {"matmul": 1, "max": 1, "broadcast": 1, "multiply": 1}
    assert p.flops == 2 * 2 * 3 * 4 + 8 + 2 and p.bytes == 4 * (12 + 6 + 8) + 4 * (8 + 2) + 4 * (2 + 1 + 2)  # a broadcast reads one element


def test_steps_can_be_read_one_by_one():
    line = here(1)
    p = mx.make_program(lambda x: mx.softmax(x, axis=-1))(struct(2, 5))
    (s,) = p.steps
    assert (s.op, s.params, s.inputs, s.outputs) == ("softmax", {"axes": "(1,)", "keepdims": s.params["keepdims"]}, ["%0"], ["%1"])
    assert s.types == [struct(2, 5)] and s.flops == 50 and s.bytes == 80 and s.bodies == {}
    assert s.line.endswith(f"{HERE}:{line}")
    assert repr(s) == "<step softmax>"


def test_arguments_are_named_by_their_path():
    def f(params, *rest, mask=None):
        return {"out": params["layers"][0] + rest[0], "n": 3, "mask": mask}

    p = mx.make_program(f)({"layers": [struct(2), None]}, struct(2), mask=struct(4, dtype=mx.bool_))
    text = str(p)
    for name in ("params['layers'][0]", "rest[0]", "mask"):
        assert re.search(rf"= input {re.escape(name)}$", text, re.M), text
    assert p.input_types == (({"layers": [struct(2), None]}, struct(2)), {"mask": struct(4, dtype=mx.bool_)})
    assert p.output_types == {"out": struct(2), "n": 3, "mask": struct(4, dtype=mx.bool_)}


def test_other_arguments_are_constants():
    p = mx.make_program(lambda x, n, axis: mx.sum(x * n, axis=axis))(mx.zeros((2, 3)), 3, axis=1)
    assert "constant 3" in str(p) and p.output_types == struct(2)
    assert p.input_types == ((struct(2, 3), 3), {"axis": 1})


def test_nothing_is_computed():
    huge = struct(10**6, 10**6)
    p = mx.make_program(mx.grad(lambda x: mx.exp(x @ x).sum()))(huge)
    assert p.output_types == huge and p.flops > 10**18
    with pytest.raises(mx.TransformError, match="make_program.* a value was needed inside bad"):
        def bad(x):
            return x if x.sum() > 0 else -x
        mx.make_program(bad)(struct(3))


def f_body(x):
    return mx.sin(x) * mx.exp(x)


def test_bodies_are_indented():
    p = mx.make_program(mx.checkpoint(f_body))(struct(3))
    text = p.text(lines=False).splitlines()
    assert text[2:] == ["  %1 float32[3] = checkpoint(%0)", "    graph:", "      %0 float32[3] = input", "      %1 float32[3] = sin(%0)",
                        "      %2 float32[3] = exp(%0)", "      %3 float32[3] = multiply(%1, %2)", "      return %3", "  return %1"]
    (s,) = p.steps
    assert list(s.bodies) == ["graph"] and [t.op for t in s.bodies["graph"].steps] == ["sin", "exp", "multiply"]
    assert f"{HERE}:{f_body.__code__.co_firstlineno + 1}" in s.bodies["graph"].steps[0].line
    assert p.counts() == {"checkpoint": 1, "sin": 1, "exp": 1, "multiply": 1}
    assert p.flops == 9


def test_custom_functions_are_named():
    @mx.custom_function
    def clipped(x):
        return mx.clip(x, 0, 1)

    @clipped.vjp
    def clipped_vjp(x, ct, out):
        raise RuntimeError("not asked for")

    assert "custom(%0, %2, name='clipped', rules=(vjp))" in re.sub(r"%[1-9]\d*", "%2", str(mx.make_program(clipped)(struct(3))))


def test_compiled_functions_show_operations_or_fused_programs():
    g = mx.compile(lambda x: (mx.sin(x) * 2.0 + 1.0).sum())
    plain = mx.make_program(g)(struct(4))
    assert plain.counts()["sin"] == 1 and "fused" not in plain.counts()
    fused = mx.make_program(g, fused=True)(struct(4))
    assert [s.op for s in fused.steps] == ["fused"]
    assert list(fused.steps[0].bodies) == ["program"]
    assert fused.counts()["sin"] == 1
    assert fused.flops == plain.flops == 4 * 3 + 4
    assert fused.bytes == 4 * (4 + 1) < plain.bytes
    line = here(-9)
    assert all(f":{line}" in (s.line or "") for s in plain.steps if s.op in ("sin", "sum")), str(plain)
    assert g.cache.n_traces == 1


def test_transformed_functions_show_what_the_transformation_made():
    def f(x):
        return mx.log(x).sum()

    line = f.__code__.co_firstlineno + 1
    p = mx.make_program(mx.grad(f))(struct(3))
    assert any(s.line.endswith(f"{HERE}:{line}, in the vjp of log") for s in p.steps), str(p)
    assert f"# {HERE}:{line}, in the vjp of log" in str(p)
    p = mx.make_program(mx.vmap(f))(struct(5, 3))
    assert "%1 float32[5, 3] = log(%0)" in str(p)
    assert all(s.line.endswith(f"{HERE}:{line}") for s in p.steps if s.op in ("log", "sum")), str(p)
    p = mx.make_program(lambda x: mx.jvp(f, [x], [x]))(struct(3))
    assert "in the jvp of log" in str(p)


def test_prints_are_shown():
    def f(x):
        mx.debug_print("x is {}", x)
        return x + 1

    text = str(mx.make_program(f)(struct(3)))
    assert "debug_print(%0, text='x is {}', n_args=1, batch=())" in text
    assert "debug_print" in str(mx.make_program(mx.compile(f))(struct(3)))


def test_loops_are_bodies_and_count_for_each_step():
    if not hasattr(mx, "scan"):
        pytest.skip("no scan")

    def total(xs):
        return mx.scan(lambda c, x: (c + mx.sin(x), c), mx.array(0.0), xs)[0]

    p = mx.make_program(total)(struct(7))
    (s,) = [s for s in p.steps if s.op == "scan"]
    assert list(s.bodies) == ["body"] and s.params["length"] == "7"
    assert s.flops == 7 * 2
    p = mx.make_program(lambda x: mx.cond(x > 0, lambda x: mx.sin(x), lambda x: x, x))(struct())
    (s,) = [s for s in p.steps if s.op == "switch"]
    assert list(s.bodies) == ["branches[0]", "branches[1]"] and s.flops == 1
    p = mx.make_program(lambda x: mx.while_loop(lambda x: x < 3, lambda x: x + 1, x))(struct())
    (s,) = [s for s in p.steps if s.op == "while_loop"]
    assert list(s.bodies) == ["cond", "body"]


def test_drawing():
    p = mx.make_program(lambda x, y: mx.exp(x) * 2.0 + y)(struct(2), struct(2))
    dot = p.to_dot()
    assert dot.startswith("digraph {") and dot.endswith("}\n")
    for text in ('"x"', '"y"', "= 2", 'label ="exp"', 'label ="add"'):
        assert text in dot, dot


# ---- costs

def cost(f, *shapes, dtype=F32):
    p = mx.make_program(f)(*[struct(*s, dtype=dtype) for s in shapes])
    return p.flops, p.bytes


def test_costs_of_products():
    m, k, n = 3, 5, 7
    assert cost(mx.matmul, (m, k), (k, n)) == (2 * m * k * n, 4 * (m * k + k * n + m * n))
    assert cost(mx.matmul, (2, m, k), (2, k, n))[0] == 2 * 2 * m * k * n
    assert cost(lambda a, b, c: mx.addmm(c, a, b), (m, k), (k, n), (m, n))[0] == 2 * m * n * (k + 1)
    # 4 output channels, 3 taps of 2 channels, 8 positions
    assert cost(lambda x, w: mx.conv1d(x, w, padding=1), (1, 8, 2), (4, 3, 2))[0] == 2 * 4 * 3 * 2 * 8
    assert cost(lambda x, w: mx.conv1d(x, w, padding=1, groups=2), (1, 8, 2), (4, 3, 1))[0] == 2 * 4 * 3 * 1 * 8


def test_costs_of_attention():
    b, h, t, d = 2, 4, 16, 8

    def attention(mask=None):
        return lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=mask)

    shapes = [(b, h, t, d)] * 3
    assert cost(attention(), *shapes) == (b * h * t * t * (4 * d + 5), 4 * 4 * b * h * t * d)
    assert cost(attention("causal"), *shapes)[0] == b * h * (t * (t + 1) // 2) * (4 * d + 5)


def test_costs_of_reductions_and_elementwise_operations():
    n = 24
    assert cost(mx.sum, (4, 6)) == (n, 4 * (n + 1))
    assert cost(mx.softmax, (4, 6))[0] == 5 * n
    assert cost(lambda x: mx.logsumexp(x, axis=0), (4, 6))[0] == 4 * n
    assert cost(mx.exp, (4, 6)) == (n, 8 * n)
    assert cost(lambda x: mx.where(x > 0, x, x), (4, 6))[0] == 2 * n
    assert cost(lambda x: mx.cumsum(x, axis=0), (4, 6))[0] == n
    assert cost(lambda x: mx.sort(x, axis=1), (4, 8))[0] == 32 * 3
    assert cost(mx.exp, (4, 6), dtype=mx.complex64)[0] == 4 * n


def test_moving_data_costs_bytes_only():
    assert cost(lambda x: mx.transpose(x)[::2], (4, 6)) == (0, 0)
    assert cost(lambda x: mx.concatenate([x, x]), (4, 6)) == (0, 4 * (24 + 24 + 48))
    assert cost(lambda x: x.astype(mx.float16), (4, 6)) == (0, 24 * 6)
    flops, n_bytes = cost(lambda x: mx.take(x, mx.array([1, 2]), axis=0), (1000, 6))
    assert flops <= 8 and n_bytes < 500  # not the whole table


def test_costs_of_transforms_and_factorisations():
    n = 64
    assert cost(mx.fft.fft, (3, n), dtype=mx.complex64)[0] == 3 * 5 * n * math.log2(n)
    assert cost(mx.fft.rfft, (3, n))[0] == 3 * 2.5 * n * math.log2(n)
    assert cost(mx.linalg.cholesky, (n, n))[0] == pytest.approx(n**3 / 3, rel=0.02)
    assert cost(lambda a: mx.linalg.qr(a), (n, n))[0] == 4 * n**3


def test_the_gradient_of_a_product_costs_two():
    f = mx.grad(lambda a, b: mx.matmul(a, b).sum(), argnums=(0, 1))
    p = mx.make_program(f)(struct(32, 32), struct(32, 32))
    products = [s for s in p.steps if s.op == "matmul"]
    assert len(products) == 2 and sum(s.flops for s in products) == 4 * 32**3


# ---- eval_shape

def test_eval_shape():
    def f(x, n, *, y=None):
        return {"a": x.astype(mx.float16)[:n], "b": [y.sum(0), None, "text"]}

    found = mx.eval_shape(f, struct(10, 3), 4, y=np.zeros((2, 5), np.float32))
    assert found == {"a": struct(4, 3, dtype=mx.float16), "b": [struct(5), None, "text"]}
    assert mx.eval_shape(mx.grad(lambda x: (x * x).sum()), mx.zeros((3,))) == struct(3)
    assert mx.eval_shape(mx.compile(mx.vmap(lambda x: x.sum())), struct(4, 3)) == struct(4)
    assert mx.eval_shape(mx.random.normal, (2, 3)) == struct(2, 3)
    with pytest.raises(mx.TransformError, match="eval_shape.* a value was needed"):
        mx.eval_shape(lambda x: x.item(), struct())
    with pytest.raises(ValueError, match="inner|matmul"):
        mx.eval_shape(mx.matmul, struct(2, 3), struct(2, 3))


def test_shape_dtype_structs_are_values():
    s = struct(2, 3, dtype=mx.float16)
    assert (s.shape, s.dtype, s.ndim, s.size, s.itemsize, s.nbytes) == ((2, 3), mx.float16, 2, 6, 2, 12)
    assert s == mx.ShapeDtypeStruct([2, 3], mx.float16) and s != struct(2, 3) and s != "text"
    assert len({s, struct(2, 3, dtype=mx.float16), struct(2, 3)}) == 2
    assert repr(s) == "ShapeDtypeStruct(shape=(2, 3), dtype=float16)"
    assert pickle.loads(pickle.dumps(s)) == s
    with pytest.raises(AttributeError):
        s.shape = (1,)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="fun must be callable"):
        mx.make_program(3)
    with pytest.raises(TypeError, match="fun must be callable"):
        mx.eval_shape(3)
    for cls in (mx.Program, mx.ProgramStep):
        with pytest.raises(TypeError):
            cls.__new__(cls)
