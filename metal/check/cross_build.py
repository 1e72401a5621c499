"""Builds the whole extension for Apple Silicon, or for Linux on ARM, on this machine, and looks at what comes out.

    python metal/check/cross_build.py                          macOS, arm64: the CMake build that a Mac runs, Metal driver and all
    python metal/check/cross_build.py --target linux-aarch64   the CPU build for Linux on ARM

The build is the repository's own CMakeLists.txt with a toolchain file: every source, group and option that a Mac would see. Only
these are stand-ins: the compiler is clang from the package `ziglang`; the frameworks that it links are lists of symbols (write_sdk);
`xcrun` is xcrun.py, which checks how it is called. Objects are kept in build/apple, so only what changed is compiled again.
"""

import argparse
import ctypes
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import macho
import toolkit
from toolkit import MACOS, ROOT, TARGETS, Unavailable, write_if_changed

# Install names, and which symbols a library has.
FRAMEWORKS = {
    "Metal": ("A", r"_MTL[A-Z]|_OBJC_CLASS_\$_MTL"),
    "Foundation": ("C", r"_NS[A-Z]|_OBJC_CLASS_\$_NS"),
    "QuartzCore": ("A", r"_CA[A-Z]|_OBJC_CLASS_\$_CA"),
}
OBJC = r"_objc_|_sel_|_class_"
# What macOS 14 certainly has. Anything else of a framework must be a weak reference, so that older systems still load the file.
ALWAYS_THERE = {"_MTLCreateSystemDefaultDevice", "_MTLCopyAllDevices", "_MTLCopyAllDevicesWithObserver", "_MTLRemoveDeviceObserver"}
SYSTEM_LIBRARIES = {"/usr/lib/libSystem.B.dylib", "/usr/lib/libc++.1.dylib", "/usr/lib/libobjc.A.dylib"}

ALL_OF_METAL_CPP = """
#define NS_PRIVATE_IMPLEMENTATION
#define CA_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION
#include <Metal/Metal.hpp>
#include <QuartzCore/QuartzCore.hpp>
#include <objc/objc.h>
"""


def run(command, **kwargs):
    """Runs it; on failure shows its output and ends."""
    kwargs.setdefault("cwd", ROOT)
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    if result.returncode:
        sys.exit(f"{' '.join(str(c) for c in command)}\n{result.stdout[-12000:]}{result.stderr[-12000:]}")
    return result.stdout


def stub_library(path, install_name, symbols):
    write_if_changed(path, "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\n"
                     f"install-name: '{install_name}'\nexports:\n  - targets: [ arm64-macos ]\n    symbols: [ {', '.join(sorted(symbols))} ]\n...\n")


def framework_path(name):
    return f"/System/Library/Frameworks/{name}.framework/Versions/{FRAMEWORKS[name][0]}/{name}"


def write_sdk(tools, headers):
    """Lists of symbols in place of frameworks: what the whole of metal-cpp asks of them, by prefix."""
    folder = tools.parent / "sdk"
    source, made = folder / "all.cpp", folder / "all.o"
    write_if_changed(source, ALL_OF_METAL_CPP)
    if not made.exists():
        run([tools / "clang++", "-std=c++20", "-I", headers, "-c", source, "-o", made])
    wanted = {s.name for s in macho.MachO(made).undefined()}
    for name, (_, pattern) in FRAMEWORKS.items():
        stub_library(folder / f"{name}.framework" / f"{name}.tbd", framework_path(name), {s for s in wanted if re.match(pattern, s)})
    objc = {s for s in wanted if re.match(OBJC, s)} | {"_objc_autoreleasePoolPush", "_objc_autoreleasePoolPop", "_objc_msgSend"}
    stub_library(folder / "libobjc.tbd", "/usr/lib/libobjc.A.dylib", objc)


def toolchain(tools, target):
    system, processor = ("Darwin", "arm64") if target == "macos" else ("Linux", "aarch64")
    lines = [f"set(CMAKE_SYSTEM_NAME {system})", f"set(CMAKE_SYSTEM_PROCESSOR {processor})", f'set(CMAKE_CXX_COMPILER "{tools}/clang++")',
             f'set(CMAKE_C_COMPILER "{tools}/clang")', f'set(CMAKE_AR "{tools}/ar")', f'set(CMAKE_RANLIB "{tools}/ranlib")']
    if target == "macos":
        lines += ['set(CMAKE_OSX_SYSROOT "")', 'set(CMAKE_INSTALL_NAME_TOOL "/usr/bin/true")']
    file = tools.parent / "toolchain.cmake"
    write_if_changed(file, "\n".join(lines) + "\n")
    return file


def cmake_program():
    return shutil.which("cmake") or next(iter(pathlib.Path(sys.executable).parent.glob("cmake")), None)


def ninja_program():
    return shutil.which("ninja") or next(iter(pathlib.Path(sys.executable).parent.glob("ninja")), None)


def configure(target, optimize, metal):
    """Runs CMake for `target`; returns the build folder."""
    for name, found in (("cmake", cmake_program()), ("ninja", ninja_program()), ("pybind11", importlib.util.find_spec("pybind11"))):
        if not found:
            raise Unavailable(f"{name} is missing: pip install {name}")
    import pybind11

    tools = toolkit.write_tools(target, optimize)
    options = {"CMAKE_TOOLCHAIN_FILE": toolchain(tools, target), "CMAKE_BUILD_TYPE": "Release" if optimize else "Debug",
               "CMAKE_MAKE_PROGRAM": ninja_program(), "CMAKE_EXPORT_COMPILE_COMMANDS": "ON", "SKBUILD": "ON",
               "Python_EXECUTABLE": sys.executable, "Python_INCLUDE_DIR": toolkit.python_headers(), "pybind11_DIR": pybind11.get_cmake_dir(),
               "PYTHON_MODULE_DEBUG_POSTFIX": "", "MXFORM_METAL": "auto" if metal else "off"}
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    options["PYTHON_MODULE_EXTENSION"] = f".cpython-{version}-{'darwin' if target == 'macos' else 'aarch64-linux-gnu'}.so"
    if target == "macos":
        if metal:
            options["MXFORM_METAL_CPP"] = toolkit.metal_cpp()
            write_sdk(tools, options["MXFORM_METAL_CPP"])
        write_if_changed(tools / "xcrun", f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/metal/check/xcrun.py" "$@"\n', executable=True)
    build = tools.parent / ("build-release" if optimize else "build")
    run([cmake_program(), "-G", "Ninja", "-S", ROOT, "-B", build, *(f"-D{k}={v}" for k, v in options.items())], env=environment(tools))
    return build


def environment(tools):
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "CCACHE_COMPILERCHECK": "content"}


def compile_all(build, jobs):
    """Builds and installs as a wheel would; returns the folder of the package."""
    tools = build.parent / "tools"
    result = subprocess.run([ninja_program(), "-C", build, "-j", str(jobs), "-k", "0", "_core"], capture_output=True, text=True, env=environment(tools))
    if result.returncode:
        lines = result.stdout.splitlines()
        errors = [l for l in lines if re.search(r"(error:|undefined symbol|FAILED:)", l)]
        (build / "log.txt").write_text(result.stdout)
        sys.exit("\n".join(errors[:60] or lines[-60:]) + f"\nThe whole of it is in {build / 'log.txt'}")
    for line in result.stdout.splitlines():
        if "warning:" in line:
            print(line)
    installed = build / "installed"
    shutil.rmtree(installed, ignore_errors=True)
    run([cmake_program(), "--install", build, "--component", "python", "--prefix", installed], env=environment(tools))
    return installed / "mxform"


def sources_built(build):
    """The repository's sources that the build compiled, those in groups included."""
    found = set()
    for command in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(command["file"])
        if file.suffix == ".cxx":
            found.update(pathlib.Path(p) for p in re.findall(r'#include "([^"]+)"', file.read_text()))
        else:
            found.add(file)
    return {f.resolve().relative_to(ROOT) for f in found if f.resolve().is_relative_to(ROOT) and not f.is_relative_to(build)}


def check_sources(build, metal):
    want = {p.relative_to(ROOT) for folder in ("csrc", "python/bindings") for p in (ROOT / folder).rglob("*.cpp")}
    if not metal:
        want = {p for p in want if not p.as_posix().startswith(("csrc/backend/metal/backend", "csrc/backend/metal/driver"))}
    return [f"{p} is not part of the build" for p in sorted(want - sources_built(build))]


def python_has(symbol):
    """Whether the running Python, which stands for a Mac's, exports the C function or variable."""
    try:
        ctypes.c_byte.in_dll(ctypes.pythonapi, symbol)
        return True
    except ValueError:
        return False


def check_bundle(package, metal):
    """What is wrong with the extension module for macOS: a list of sentences."""
    wrong = []
    modules = list(package.glob("_core*.so"))
    if len(modules) != 1 or not modules[0].name.endswith("-darwin.so"):
        return [f"one module _core*-darwin.so is needed, found {[m.name for m in modules]}"]
    file = macho.MachO(modules[0])
    minimum = tuple(int(x) for x in MACOS.split("."))
    if file.cpu != macho.CPU_ARM64 or file.kind not in (macho.BUNDLE, macho.LIBRARY):
        wrong.append(f"the module is no arm64 library: cpu {file.cpu:#x}, kind {file.kind}")
    if file.platform != 1 or file.minimum_os != minimum:
        wrong.append(f"the module is for platform {file.platform}, version {file.minimum_os}; need macOS {minimum}")
    frameworks = {framework_path(name): name for name in FRAMEWORKS}
    for library in file.libraries:
        if library not in SYSTEM_LIBRARIES and library not in frameworks:
            wrong.append(f"the module loads {library}, which is no library of the system")
    for name in ("Metal", "Foundation") if metal else ():
        if framework_path(name) not in file.libraries:
            wrong.append(f"the module does not load {name}")
    wrong += [f"the module has the run path {p}, a path of the build machine" for p in file.rpaths if not p.startswith("@")]
    if "_PyInit__core" not in file.exported():
        wrong.append("the module exports no PyInit__core")
    for s in file.undefined():
        if s.library == "dynamic lookup":
            if not re.match(r"__?Py", s.name):
                wrong.append(f"{s.name} is in no library")
            elif not python_has(s.name[1:]):
                wrong.append(f"{s.name} is not exported by this Python")
        elif s.library in frameworks and s.name not in ALWAYS_THERE and not s.weak:
            wrong.append(f"{s.name} of {frameworks[s.library]} is not a weak reference, and macOS {MACOS} may lack it")
        elif s.library.startswith("ordinal"):
            wrong.append(f"{s.name} is looked for in {s.library}, which is none")
    wrong += [f"{s} is code for another processor" for s in file.exported() if re.search(r"avx|sse\d", s)]
    if metal:
        listed = (package / "mxform.metallib").read_text().splitlines()[1:] if (package / "mxform.metallib").exists() else []
        want = sorted(str(p) for p in (ROOT / "metal" / "kernels").glob("*.metal"))
        if sorted(listed) != want:
            wrong.append(f"mxform.metallib beside the module holds {len(listed)} of {len(want)} kernel files")
    return wrong


def check_missing_toolchain(build):
    """CMake must say what to install where Apple's Metal compiler cannot run."""
    tools = build.parent / "tools"
    result = subprocess.run([cmake_program(), build], capture_output=True, text=True, env={**environment(tools), "MXFORM_XCRUN": "missing"})
    run([cmake_program(), build], env=environment(tools))
    told = "xcodebuild -downloadComponent MetalToolchain" in result.stderr and "MXFORM_METAL=off" in result.stderr
    return [] if result.returncode and told else [f"CMake does not say what to install without the Metal toolchain:\n{result.stderr}"]


def check_elf(package):
    modules = list(package.glob("_core*.so"))
    header = modules[0].read_bytes()[:20] if modules else b""
    return [] if header[:4] == b"\x7fELF" and header[18:20] == b"\xb7\x00" else ["the module is no ELF file for aarch64"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=sorted(TARGETS), default="macos")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--optimize", action="store_true", help="with the optimisation of a release, instead of none (slow)")
    parser.add_argument("--no-metal", action="store_true", help="macOS without the Metal backend")
    options = parser.parse_args()
    metal = options.target == "macos" and not options.no_metal
    try:
        build = configure(options.target, options.optimize, metal)
    except Unavailable as why:
        sys.exit(f"cross build: {why}")
    package = compile_all(build, options.jobs)
    wrong = check_sources(build, metal)
    wrong += check_bundle(package, metal) if options.target == "macos" else check_elf(package)
    if metal:
        wrong += check_missing_toolchain(build)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{options.target}: {len(sources_built(build))} sources, {sorted(p.name for p in package.iterdir())}: as they should be")


if __name__ == "__main__":
    main()
