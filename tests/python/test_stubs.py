"""The committed type stubs are those of the module, and they parse."""

import ast
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("make_stubs", ROOT / "python" / "make_stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STUBS = generator().stubs()


@pytest.mark.parametrize("name", STUBS)
def test_committed_stub_is_the_generated_one(name):
    assert (ROOT / "python" / "mxform" / name).read_text() == STUBS[name], "run python python/make_stubs.py"


@pytest.mark.parametrize("name", STUBS)
def test_stub_parses(name):
    ast.parse(STUBS[name])


def test_the_stub_knows_operations_methods_and_transformations():
    text = STUBS["__init__.pyi"]
    for line in ("def sum(a: ArrayLike, /, axis: int | Sequence[int] | None = None", "class array:", "def value_and_grad(",
                 "    def reshape(self", "    def shape(self) -> tuple[int, ...]"):
        assert line in text
