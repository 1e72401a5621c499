"""conftest.py — settings of the whole test run: where modules are found, how Hypothesis draws."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

LONG = os.environ.get("MXFORM_LONG") == "1"
ON_GPU = os.environ.get("MXFORM_DEVICE") == "gpu"

try:
    from hypothesis import HealthCheck, settings
except ImportError:
    pass
else:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    # Short runs are the same every time; a long run draws anew and prints how to repeat what failed.
    settings.register_profile("short", max_examples=25, deadline=None, derandomize=True, suppress_health_check=slow, print_blob=True)
    settings.register_profile("long", max_examples=2000, deadline=None, suppress_health_check=slow, print_blob=True)
    settings.load_profile("long" if LONG else "short")


@pytest.fixture
def mx():
    import mxform
    return mxform


@pytest.fixture
def path(tmp_path):
    """Where an exported function may go."""
    return str(tmp_path / "f.mlxfn")


# With MXFORM_DEVICE=gpu: tests that are about the CPU, or about errors that a GPU raises only when somebody waits.
NOT_ON_GPU = {
    "test_errors.py::test_a_wrong_call_raises_and_says_what_came[mx.fast.metal_kernel('k'": "there is a GPU",
    "test_errors.py::test_a_wrong_call_raises_and_says_what_came[mx.metal.start_capture": "there is a GPU",
    "test_printing.py::test_repr_and_str_are_as_in_mlx[mx.default_device()": "names the CPU",
    "test_runtime.py::test_devices": "names the CPU",
    "test_doctests.py::test_a_docstring_shows_what_happens[mx.fft.": "prints rounding errors of the CPU's FFT",
    "test_fused_matmul.py::": "matrix products take epilogues on the CPU",
    "test_fusion.py::test_compiled_elementwise_programs": "float64 parts run on the CPU, in other roundings",
    "test_robust.py::test_a_fork_of_a_busy_process_can_compute": "a forked child has no GPU",
}


def pytest_collection_modifyitems(config, items):
    """`long` tests run only with MXFORM_LONG=1."""
    if ON_GPU:
        for item in items:
            for name, why in NOT_ON_GPU.items():
                if name in item.nodeid:
                    item.add_marker(pytest.mark.skip(reason=f"not on the GPU: {why}"))
    if LONG:
        return
    skip = pytest.mark.skip(reason="long: set MXFORM_LONG=1")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


# With MXFORM_METAL_RAN=FILE: which primitives were launched on the GPU while rows of the table were tested, and under which
# transformation. python/make_coverage.py reads it.
RAN_FILE = os.environ.get("MXFORM_METAL_RAN")
RAN = set()


@pytest.fixture(autouse=bool(RAN_FILE))
def record_launches(request):
    import mxform
    mxform._core.metal._launched()
    yield
    launched = mxform._core.metal._launched()
    callspec = getattr(request.node, "callspec", None)
    if callspec and "spec" in callspec.params:
        test = request.node.originalname
        words = [w for w in ("derivative", "vmap", "compile") if w in test] or ["value"] * ("checkpoint" not in test)
        RAN.update((word, name) for word in words for name in launched)


def pytest_sessionfinish():
    if RAN:
        with open(RAN_FILE, "a") as f:
            f.writelines(f"{word} {name}\n" for word, name in sorted(RAN))


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs only with MXFORM_LONG=1")
