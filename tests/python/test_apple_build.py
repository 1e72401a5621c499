"""What can be said on this machine of the build for Macs: kernels by name, and the whole extension cross-compiled for arm64 macOS.

The cross build needs the package `ziglang` and metal-cpp's headers (metal/check/toolkit.py) and takes minutes when it is first
run; it runs where `ziglang` is installed (the extra `apple`).
"""

import importlib.util
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "metal" / "check"
pytestmark = pytest.mark.skipif(not CHECK.is_dir(), reason="the sources are not here")


def check(*arguments, timeout=1500):
    return subprocess.run([sys.executable, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=timeout)


@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ preprocessor")
def test_plans_and_kernels_name_each_other():
    done = check(CHECK / "names.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_kernels_keep_to_the_subset():
    done = check(CHECK / "lint.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_lint_finds_what_is_outside_of_the_subset():
    done = check(CHECK / "lint.py", "--prove")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def headers():
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("the cross compiler is missing: pip install 'mxform[apple]'")
    if platform.system() == "Windows":
        pytest.skip("the tools are shell scripts")
    sys.path.insert(0, str(CHECK))
    import toolkit

    try:
        return toolkit.metal_cpp()
    except toolkit.Unavailable as why:
        pytest.skip(str(why))


def test_extension_cross_builds_for_macos(headers):
    done = check(CHECK / "cross_build.py")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
