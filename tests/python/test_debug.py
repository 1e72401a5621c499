"""debug_nans finds the first NaN, with the line that called the operation; debug_print prints when values are computed."""

import re
from pathlib import Path

import pytest

import mxform as mx

HERE = Path(__file__).name


def line_of(mark):
    """The line of this file that ends with the comment `# mark`."""
    for number, text in enumerate(Path(__file__).read_text().splitlines(), 1):
        if text.endswith(f"# {mark}"):
            return number
    raise LookupError(mark)


# ---- planted NaNs: a function, its arguments, the operation that makes the first NaN, in the forward or backward pass

def log_of_negative(x):
    y = x - 3.0
    z = mx.log(y)  # log
    return (z + 1.0).sum()


def zero_by_zero(x):
    s = mx.maximum(x - 5.0, 0.0)
    y = x * s
    return (y / s).sum()  # divide


def root_of_negative(x):
    return mx.sum(mx.exp(mx.sqrt(-x)))  # sqrt


def infinity_minus_infinity(x):
    big = mx.exp(x * 100.0)
    return mx.sum(big - big * 2.0)  # subtract


def zero_times_infinity(x):
    big = mx.exp(x * 100.0)
    return mx.sum(big * (x - x))  # multiply


def normalised_zeros(x):
    centred = x - x
    return mx.mean(centred / mx.sqrt((centred * centred).sum()))  # normalised


def arccos_outside(x):
    return mx.arccos(x + 1.0).max()  # arccos


def matmul_of_infinities(x):
    a = mx.exp(x * 100.0)
    b = mx.concatenate([a[:1], -a[1:]])
    return mx.matmul(a, b)  # matmul


def helper(x):
    return mx.log1p(x)  # log1p


def in_a_helper(x):
    return (helper(-x * x - 1.0) * 2.0).sum()


FORWARD = [
    (log_of_negative, "log", "log"),
    (zero_by_zero, "divide", "divide"),
    (root_of_negative, "sqrt", "sqrt"),
    (infinity_minus_infinity, "subtract", "subtract"),
    (zero_times_infinity, "multiply", "multiply"),
    (normalised_zeros, "divide", "normalised"),
    (arccos_outside, "arccos", "arccos"),
    (matmul_of_infinities, "matmul", "matmul"),
    (in_a_helper, "log1p", "log1p"),
]


def hidden_branch(x):
    safe = x > 5.0
    return mx.where(safe, mx.log(x - 5.0) * 0.0, x).sum()  # hidden


def cancelling_slopes(x):
    zero = x - x  # cancelling
    return (mx.sqrt(zero) * 2.0).sum()


def sum_of_slopes(x):
    zero = mx.maximum(x[0] - 1.0, 0.0)
    both = mx.broadcast_to(zero, (2,))  # sum
    return (mx.sqrt(both) * mx.array([1.0, -1.0])).sum()


def product_of_slopes(x):
    w = mx.array([[1.0, -2.0], [-1.0, 2.0]])
    zero = mx.matmul(x[:2] / x[:2], w)  # product
    return mx.sqrt(zero).sum()


def slopes_in_a_helper(x):
    return difference(mx.sqrt, x * 2.0) + 1.0


def difference(f, x):
    return mx.mean(f(x - x))  # helper


BACKWARD = [
    (cancelling_slopes, "add", "subtract", "cancelling"),
    (sum_of_slopes, "sum", "broadcast", "sum"),
    (product_of_slopes, "matmul", "matmul", "product"),
    (slopes_in_a_helper, "add", "subtract", "helper"),
]

X = [1.0, 2.0, 2.5]


def caught(compute):
    with mx.debug_nans():
        with pytest.raises(mx.NanError) as error:
            mx.eval(compute())
    return str(error.value)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("f, op, mark", FORWARD, ids=lambda p: getattr(p, "__name__", None))
def test_the_first_nan_is_found_in_the_forward_pass(f, op, mark, compiled):
    g = mx.compile(f) if compiled else f
    assert mx.isnan(g(mx.array(X))).item()  # a trace without lines exists already
    text = caught(lambda: g(mx.array(X)))
    assert text.startswith(f"[{op}] made the first NaN: "), text
    assert text.endswith(f"{HERE}:{line_of(mark)})"), (text, line_of(mark))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("f, op, mark", FORWARD, ids=lambda p: getattr(p, "__name__", None))
def test_a_nan_of_the_forward_pass_is_found_from_the_gradient(f, op, mark, compiled):
    g = mx.value_and_grad(f)
    text = caught(lambda: (mx.compile(g) if compiled else g)(mx.array(X)))
    assert f"{HERE}:{line_of(mark)}" in text, (text, line_of(mark))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("f, op, rule, mark", BACKWARD, ids=lambda p: getattr(p, "__name__", None))
def test_a_nan_that_only_the_backward_pass_makes_is_found(f, op, rule, mark, compiled):
    g = mx.grad(f)
    g = mx.compile(g) if compiled else g
    assert not mx.isnan(f(mx.array(X))).item()
    assert mx.any(mx.isnan(g(mx.array(X)))).item()
    text = caught(lambda: g(mx.array(X)))
    assert text.startswith(f"[{op}] made the first NaN: "), text
    assert text.endswith(f"{HERE}:{line_of(mark)}, in the vjp of {rule})"), (text, line_of(mark))


def test_a_nan_in_a_branch_that_is_thrown_away_is_found():
    text = caught(lambda: hidden_branch(mx.array(X)))
    assert text.startswith("[log]") and f":{line_of('hidden')})" in text


def test_forward_mode_and_vmap_name_the_line_too():
    def f(x):
        y = mx.sqrt(x - 1.0)
        return y - mx.sqrt(x - 1.0)  # forward mode
    text = caught(lambda: mx.jvp(f, [mx.array(X)], [mx.array(X)])[1])
    assert text.startswith("[add]") and f":{line_of('forward mode')}, in the jvp of subtract)" in text, text
    text = caught(lambda: mx.vmap(log_of_negative)(mx.array([X, X])))
    assert text.startswith("[log]") and f":{line_of('log')})" in text


def test_checkpoint_and_loops_name_the_line_within():
    text = caught(lambda: mx.checkpoint(log_of_negative)(mx.array(X)))
    assert f":{line_of('log')})" in text
    text = caught(lambda: mx.grad(mx.checkpoint(cancelling_slopes))(mx.array(X)))
    assert f":{line_of('cancelling')}, in the vjp of subtract)" in text
    if hasattr(mx, "scan"):
        def step(c, x):
            return mx.log(c - x), c  # in a loop
        text = caught(lambda: mx.scan(step, mx.array(1.0), mx.array([0.1, 2.0])))
        assert text.startswith("[log]") and f":{line_of('in a loop')})" in text


def test_a_rule_of_the_users_own_has_its_own_line():
    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f_vjp(x, ct, out):
        return ct / (x - x) * 0.0  # own rule

    text = caught(lambda: mx.grad(lambda x: f(x).sum())(mx.array(X)))
    assert text.startswith("[multiply]") and text.endswith(f":{line_of('own rule')})")


def test_the_message_tells_what_went_in():
    text = caught(lambda: mx.array([[1.0, -1.0], [0.0, 0.0]]) / mx.array([[1.0, 1.0], [1.0, 0.0]]))
    assert "1 of 4 elements of the result, float32(2, 2), at (1, 1), where the inputs are 0 and 0." in text
    text = caught(lambda: mx.matmul(mx.array([[mx.inf, -mx.inf]]), mx.ones((2, 1))))
    assert "1 of 1 element of the result, float32(1, 1), at (0, 0), of inputs float32(1, 2), float32(2, 1) with infinities." in text
    with mx.stream(mx.cpu):
        text = caught(lambda: mx.array([0j]) / mx.array([0j]))
    assert "where the inputs are 0 + 0j and 0 + 0j" in text
    text = caught(lambda: mx.array([mx.inf], mx.float16) * mx.array([0.0], mx.float16))
    assert "float16(1,)" in text


def test_nan_in_the_data_is_passed_over():
    with mx.debug_nans():
        x = mx.array([1.0, mx.nan])
        y = mx.compile(lambda x: mx.sin(x) * mx.nan + x)(mx.array([1.0, 2.0]))
        mx.eval(x + 1, mx.sum(x), x[::-1], mx.broadcast_to(x, (3, 2)), y, mx.full((2,), mx.nan) * 2)
        assert mx.isnan(y).tolist() == [True, True]


def test_an_error_repeats_and_without_the_checks_the_value_is_there():
    x = mx.array(-1.0)
    with mx.debug_nans():
        y = mx.log(x)
        for _ in range(2):
            with pytest.raises(FloatingPointError):
                y.item()
    assert mx.isnan(y).item()


def test_what_was_called_before_is_found_without_a_line():
    y = mx.log(mx.array(-1.0))
    text = caught(lambda: y)
    assert text.endswith("Its line is not known: it was called before the checks were switched on.")


def test_the_switch():
    nan = mx.log(mx.array(-1.0))
    mx.debug_nans()
    try:
        with pytest.raises(mx.NanError):
            mx.eval(nan)
        with mx.debug_nans(False):
            mx.eval(mx.log(mx.array(-1.0)))
        with pytest.raises(mx.NanError):
            mx.eval(mx.log(mx.array(-2.0)))
    finally:
        mx.debug_nans(False)
    mx.eval(nan)
    with pytest.raises(TypeError, match="enabled must be a bool"):
        mx.debug_nans(1)


def test_memory_is_not_reused_while_checking():
    # In-place results would hide what went in.
    with mx.debug_nans():
        x = mx.ones((64,)) + 1.0
        for _ in range(5):
            x = mx.sqrt(x)
        mx.eval(x)


def test_lines_are_traced_again_only_where_wanted():
    f = mx.compile(lambda x: mx.sin(x) * 2)
    x = mx.array(1.0)
    f(x)
    with mx.debug_nans():
        f(x), f(x)
    f(x)
    assert f.cache.n_traces == 2
    assert f.cache.reason == "the lines of calls are wanted"


# ---- debug_print

def printed(capsys, *arrays):
    mx.eval(*arrays)
    return capsys.readouterr().out.splitlines()


def test_it_prints_at_once_where_it_can(capsys):
    assert mx.debug_print("x = {}, {y:.2f} {}", mx.array([1.5, 2.0]), "text", y=mx.array(0.123)) is None
    assert capsys.readouterr().out == "x = [1.5, 2], 0.12 text\n"
    mx.debug_print("{0[1]} {0.shape} {0!r} {1}", mx.array([1, 2]), {"a": mx.array(True)})
    assert capsys.readouterr().out == "2 (2,) array([1, 2], dtype=int32) {'a': array(True, dtype=bool)}\n"
    mx.debug_print("nothing")
    assert capsys.readouterr().out == "nothing\n"
    mx.debug_print("{}\n{:.1f}", mx.array([[1, 2], [3, 4]]), mx.array([[1.0], [2.0]]))
    assert capsys.readouterr().out == "[[1, 2],\n [3, 4]]\n[[1.0], [2.0]]\n"


def test_a_compiled_function_prints_in_each_evaluation(capsys):
    @mx.compile
    def f(x):
        y = x * 2
        mx.debug_print("y {}", y)
        mx.debug_print("constant {}", mx.array(7))
        mx.debug_print("text")
        return y + 1, y - 1

    a, b = f(mx.array(1.0))
    assert capsys.readouterr().out == ""
    assert sorted(printed(capsys, a)) == ["constant 7", "text", "y 2"]
    assert printed(capsys, b) == []
    f(mx.array(1.0))
    assert capsys.readouterr().out == ""  # never computed
    assert sorted(printed(capsys, *f(mx.array(3.0)))) == ["constant 7", "text", "y 6"]


def test_prints_stay_in_order(capsys):
    @mx.compile
    def f(x):
        for i in range(5):
            x = x + 1
            mx.debug_print(f"{i}: {{}}", x)
        return x

    assert printed(capsys, f(mx.array(0))) == ["0: 1", "1: 2", "2: 3", "3: 4", "4: 5"]


def test_equal_prints_are_not_merged(capsys):
    @mx.compile
    def f(x):
        mx.debug_print("{}", x)
        mx.debug_print("{}", x)
        return x + 1

    assert printed(capsys, f(mx.array(1))) == ["1", "1"]


def test_a_function_that_returns_nothing_prints(capsys):
    @mx.compile
    def f(x):
        mx.debug_print("{}", x)

    f(mx.array(1))
    assert capsys.readouterr().out == "1\n"


def loss(x):
    y = mx.sin(x)
    mx.debug_print("y {:.3f}", y)
    return (y * y).sum()


@pytest.mark.parametrize("wrap", [
    lambda f: mx.grad(f), lambda f: mx.compile(mx.grad(f)), lambda f: mx.grad(mx.compile(f)), lambda f: mx.value_and_grad(f),
    lambda f: mx.grad(mx.checkpoint(f)), lambda f: mx.compile(mx.grad(mx.checkpoint(f))), lambda f: mx.checkpoint(mx.grad(f)),
    lambda f: mx.grad(mx.checkpoint(mx.compile(f))), lambda f: mx.compile(mx.compile(f)),
    lambda f: lambda x: mx.jvp(f, [x], [x])[1], lambda f: lambda x: mx.jvp(mx.compile(f), [x], [x])[1],
    lambda f: lambda x: mx.vjp(f, [x], [mx.array(1.0)])[1],
    lambda f: mx.grad(lambda x: mx.grad(f)(x).sum()), lambda f: mx.compile(mx.grad(lambda x: mx.grad(f)(x).sum())),
], ids=range(14))
def test_derivatives_print_forward_values_once(capsys, wrap):
    x = mx.array([0.5, 1.0])
    leaves, _ = mx.tree_flatten(wrap(loss)(x))
    assert printed(capsys, *leaves) == ["y [0.479, 0.841]"]


@pytest.mark.parametrize("wrap", [
    lambda f: mx.vmap(f), lambda f: mx.compile(mx.vmap(f)), lambda f: mx.vmap(mx.compile(f)), lambda f: mx.vmap(mx.grad(f)),
    lambda f: mx.grad(lambda x: mx.vmap(f)(x).sum()), lambda f: mx.vmap(mx.checkpoint(f)), lambda f: mx.vmap(f, in_axes=0, chunk_size=1),
], ids=range(7))
def test_vmap_prints_once_for_each_example(capsys, wrap):
    x = mx.array([[0.5, 1.0], [0.0, 0.5]])
    assert printed(capsys, wrap(loss)(x)) == ["y [0.479, 0.841]", "y [0.000, 0.479]"]


def test_nested_vmap_prints_examples_in_order(capsys):
    def f(x, y):
        mx.debug_print("{} {}", x, y)
        return x * y

    g = mx.vmap(mx.vmap(f, in_axes=(None, 0)), in_axes=(0, None))
    assert printed(capsys, g(mx.array([1, 2]), mx.array([5, 6]))) == ["1 5", "1 6", "2 5", "2 6"]


def test_a_loop_prints_in_each_step(capsys):
    if not hasattr(mx, "scan"):
        pytest.skip("no scan")

    def step(c, x):
        mx.debug_print("{} {}", c, x)
        return c + x, c

    def total(xs):
        return mx.scan(step, mx.array(0.0), xs)[0]

    assert printed(capsys, total(mx.array([1.0, 2.0]))) == ["0 1", "1 2"]
    assert printed(capsys, mx.grad(total)(mx.array([1.0, 2.0]))) == ["0 1", "1 2"]
    assert printed(capsys, mx.compile(total)(mx.array([1.0, 2.0]))) == ["0 1", "1 2"]


def test_rules_of_custom_functions_may_print(capsys):
    @mx.custom_function
    def f(x):
        return x * 2

    @f.jvp
    def f_jvp(x, t):
        mx.debug_print("x {}", x)
        return t * 2

    assert mx.grad(f)(mx.array(1.0)).item() == 2.0
    mx.eval(mx.jvp(f, [mx.array(1.0)], [mx.array(1.0)]))


def test_exported_functions_do_not_print(capsys, tmp_path):
    def f(x):
        mx.debug_print("{}", x)
        return x + 1

    for g in (f, mx.compile(f)):
        mx.export_function(str(tmp_path / "f.mlxfn"), g, mx.array(1.0))
        assert mx.import_function(str(tmp_path / "f.mlxfn"))(mx.array(1.0))[0].item() == 2
    assert mx.eval_shape(f, mx.array(1.0)).shape == ()
    assert capsys.readouterr().out == ""


def test_format_strings_are_checked_when_called():
    x = mx.array(1.0)
    with pytest.raises(IndexError):
        mx.compile(lambda x: mx.debug_print("{} {}", x))(x)
    with pytest.raises(KeyError):
        mx.debug_print("{y}", x)
    with pytest.raises(TypeError, match="fmt must be a str"):
        mx.debug_print(x)


def test_an_error_while_printing_reaches_the_evaluation(capsys):
    f = mx.compile(lambda x: (mx.debug_print("{:q}", x), x + 1)[1])
    y = f(mx.array(1.0))
    with pytest.raises(ValueError):
        mx.eval(y)


def test_printing_in_the_background(capsys):
    f = mx.compile(lambda x: (mx.debug_print("{}", x), x + 1)[1])
    y = f(mx.array(1.0))
    mx.async_eval(y)
    mx.synchronize()
    assert re.findall(r"1", capsys.readouterr().out) == ["1"]
    assert y.item() == 2
