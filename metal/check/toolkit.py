"""What the checks of the Apple build stand on: a cross compiler, metal-cpp's headers, and a folder of tools named as on a Mac.

The compiler is the Python package `ziglang` (clang with macOS's C headers; no SDK of Apple's is needed). metal-cpp's headers are
taken from a wheel of `mlx-metal`, downloaded by pip once and kept in the work folder. Nothing of either is in the repository.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import shutil
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUBS = ROOT / "metal" / "check" / "stubs"
MACOS = "14.0"
# The oldest glibc that Linux wheels run with (manylinux_2_28).
TARGETS = {"macos": f"aarch64-macos.{MACOS}", "linux-aarch64": "aarch64-linux-gnu.2.28"}


class Unavailable(Exception):
    """A tool or header that a check needs is not here and cannot be fetched; the text says how to get it."""


def work_folder():
    """Where downloads, tools and objects are kept: build/apple, or $MXFORM_APPLE_BUILD."""
    folder = pathlib.Path(os.environ.get("MXFORM_APPLE_BUILD") or ROOT / "build" / "apple")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def zig():
    """The cross compiler's program."""
    spec = importlib.util.find_spec("ziglang")
    if not spec:
        raise Unavailable("the cross compiler is missing: pip install ziglang")
    folder = pathlib.Path(spec.origin).parent
    return folder / ("zig.exe" if sys.platform == "win32" else "zig")


def compiler_version():
    out = subprocess.run([zig(), "c++", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"clang version (\S+)", out).group(1)


def metal_cpp():
    """The folder of metal-cpp: $MXFORM_METAL_CPP, what was fetched before, or fetched now."""
    chosen = os.environ.get("MXFORM_METAL_CPP")
    folder = pathlib.Path(chosen) if chosen else work_folder() / "metal-cpp"
    if (folder / "Metal" / "Metal.hpp").exists():
        return folder
    if chosen:
        raise Unavailable(f"MXFORM_METAL_CPP={chosen} has no Metal/Metal.hpp")
    downloads = work_folder() / "downloads"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform", "macosx_14_0_arm64",
               "--dest", downloads, "mlx-metal"]
    failed = subprocess.run(command, capture_output=True, text=True)
    wheels = sorted(downloads.glob("mlx_metal-*.whl")) if downloads.exists() else []
    if not wheels:
        raise Unavailable("metal-cpp's headers cannot be fetched (pip download mlx-metal); set MXFORM_METAL_CPP to a folder that has "
                          f"them: {failed.stderr.strip().splitlines()[-1:]}")
    # Whole or not at all: somebody else may look meanwhile.
    half = folder.with_name(f"metal-cpp.{os.getpid()}")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        for name in wheel.namelist():
            inner = name.partition("/metal_cpp/")[2]
            if inner and not name.endswith("/"):
                (half / inner).parent.mkdir(parents=True, exist_ok=True)
                (half / inner).write_bytes(wheel.read(name))
    if not folder.exists():
        half.rename(folder)
    shutil.rmtree(downloads, ignore_errors=True)
    return folder


def write_if_changed(path, text, executable=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    if executable:
        path.chmod(0o755)


def python_headers():
    """A copy of the running Python's headers: its pyconfig.h serves every 64-bit system with 4-byte wchar_t."""
    folder = work_folder() / f"python{sys.version_info.major}.{sys.version_info.minor}"
    source = pathlib.Path(sysconfig.get_path("include"))
    if not (source / "Python.h").exists():
        raise Unavailable(f"Python's headers are missing: {source}/Python.h (the package python3-dev)")
    shutil.copytree(source, folder, dirs_exist_ok=True)
    # Debian's is a switch between machines; this is the one that it leads to.
    shutil.copyfile(sysconfig.get_config_h_filename(), folder / "pyconfig.h")
    return folder


_COMPILER = """#!/bin/sh
# {version}
# Its linker makes libraries but breaks off at bundles, which differ by a number in the header.
for a do
  shift
  [ "$a" = -bundle ] && a=-dynamiclib
  set -- "$@" "$a"
done
exec "{zig}" {driver} -target {target} {flags} "$@" {last}
"""


def write_tools(target, optimize):
    """A folder with clang, clang++, ar, ranlib and, for macOS, xcrun: see apple_sdk.py. Returns it."""
    folder = work_folder() / target / "tools"
    # Clang on a Mac knows blocks and brings no sanitizer of its own accord. The last level of optimisation given counts.
    flags = "-fno-sanitize=all" + (f" -fblocks -isystem {STUBS} -F {folder.parent / 'sdk'} -L {folder.parent / 'sdk'}" if target == "macos" else "")
    last = "" if optimize else "-O0 -g0"
    for name, driver in (("clang++", "c++"), ("clang", "cc")):
        text = _COMPILER.format(version=compiler_version(), zig=zig(), driver=driver, target=TARGETS[target], flags=flags, last=last)
        write_if_changed(folder / name, text, executable=True)
    for name in ("ar", "ranlib"):
        write_if_changed(folder / name, f'#!/bin/sh\nexec "{zig()}" {name} "$@"\n', executable=True)
    return folder
