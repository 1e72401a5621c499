"""conftest.py — settings of the whole test run: where modules are found, how Hypothesis draws."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

LONG = os.environ.get("MXFORM_LONG") == "1"

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


def pytest_collection_modifyitems(config, items):
    """`slow` tests run only with MXFORM_LONG=1."""
    if LONG:
        return
    skip = pytest.mark.skip(reason="long: set MXFORM_LONG=1")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs only with MXFORM_LONG=1")
