"""On a Mac: builds mxform, runs all its tests and the benchmark, and writes build/mac-report.md to attach to a report of a problem.

    python3 metal/check/mac_report.py               everything; about half an hour
    python3 metal/check/mac_report.py --no-bench    tests alone

Needs Xcode 16 or newer (docs/metal.md) and Python 3.10 or newer; all else is installed into build/mac. Steps that fail do not
stop the others: the report says which failed, with the end of what they printed. The command fails if a step did.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mac"

FACTS = {
    "system": ["sw_vers"],
    "processor": ["sysctl", "-n", "machdep.cpu.brand_string"],
    "memory in bytes": ["sysctl", "-n", "hw.memsize"],
    "GPU": ["system_profiler", "SPDisplaysDataType"],
    "Xcode": ["xcodebuild", "-version"],
    "C++ compiler": ["c++", "--version"],
    "Metal compiler": ["xcrun", "-sdk", "macosx", "metal", "--version"],
    "revision": ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
}
# Metal's own validation, as Xcode switches it on: of calls, and of what shaders do with memory.
API_VALIDATION = {"MTL_DEBUG_LAYER": "1", "MTL_DEBUG_LAYER_ERROR_MODE": "assert", "METAL_DEVICE_WRAPPER_TYPE": "1"}
SHADER_VALIDATION = API_VALIDATION | {"MTL_SHADER_VALIDATION": "1"}

SMALL_PROOF = """
import mxform as mx
assert mx.metal.is_available(), 'no GPU is in use'
print(mx.default_device(), mx.device_info() if hasattr(mx, 'device_info') else mx.metal.device_info())
x = mx.random.normal((512, 512), key=mx.random.key(0))
on = {}
for device in (mx.cpu, mx.gpu):
    with mx.stream(device):
        y = mx.softmax(x @ x.T, axis=-1)
        mx.eval(y)
        on[device] = y
print('largest difference between CPU and GPU:', mx.abs(on[mx.cpu] - on[mx.gpu]).max().item())
"""


def fact(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.strip() or "?"
    except (OSError, subprocess.SubprocessError) as error:
        return f"? ({error})"


class Report:
    def __init__(self):
        self.lines, self.failed = [], []

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)

    def step(self, name, command, environment=None, keep=40):
        """Runs a command, shows it running, keeps the end of what it prints."""
        print(f"\n== {name}: {' '.join(map(str, command))}", flush=True)
        started, printed = time.monotonic(), []
        try:
            process = subprocess.Popen([str(c) for c in command], cwd=ROOT, env={**os.environ, **(environment or {})}, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
            for line in process.stdout:
                sys.stdout.write(line)
                printed.append(line.rstrip())
            code = process.wait()
        except OSError as error:
            code, printed = 1, [str(error)]
        if code:
            self.failed.append(name)
        # What failed is listed first: it may be far above the end.
        marked = [l for l in printed if re.match(r"(FAILED|ERROR|.*error:)", l)][:100] if code else []
        self.lines += [f"## {name}: {'failed' if code else 'passed'} ({time.monotonic() - started:.0f} s)", "",
                       f"`{' '.join(f'{k}={v}' for k, v in (environment or {}).items())} {' '.join(map(str, command))}`".replace("` ", "`"), "",
                       "```", *marked, *(["..."] if marked else []), *printed[-keep:], "```", ""]
        return code == 0

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        verdict = f"Failed: {', '.join(self.failed)}" if self.failed else "Everything passed"
        path.write_text("\n".join([self.lines[0], "", verdict + ".", "", *self.lines[1:]]) + "\n")
        print(f"\n{verdict}. The report is {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-bench", action="store_true", help="leave the benchmark out")
    parser.add_argument("--any-system", action="store_true", help="also where there is no Metal (to try this tool)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "mac-report.md")
    options = parser.parse_args()
    if not options.any_system and (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        sys.exit("mac_report: this needs a Mac with Apple Silicon; off a Mac see docs/metal.md for what can be checked there")

    report = Report()
    report.say(f"# mxform on a Mac, {datetime.datetime.now():%Y-%m-%d %H:%M}")
    for name, command in FACTS.items():
        report.lines += [f"- {name}: " + " / ".join(l.strip() for l in fact(command).splitlines() if l.strip())]
    report.lines += [f"- Python: {sys.version.split()[0]}", ""]

    venv.create(WORK, with_pip=True, clear=True)
    python = WORK / "bin" / "python"
    in_environment = {"PATH": f"{WORK / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHON": str(python)}
    specs = ["tests/python/test_specs.py", "-c", "pyproject.toml", "--rootdir", ".", "-p", "no:cacheprovider"]
    report.step("build and all tests", ["tests/run.sh", "-rs"], in_environment, keep=80)
    report.step("a product on CPU and GPU", [python, "-c", SMALL_PROOF])
    report.step("operations on the CPU device", [python, "-m", "pytest", *specs], {"MXFORM_DEVICE": "cpu"})
    report.step("operations under Metal's validation of calls", [python, "-m", "pytest", *specs], API_VALIDATION | {"MXFORM_DEVICE": "gpu"})
    report.step("operations under Metal's validation of shaders", [python, "-m", "pytest", *specs, "-k", "value"],
                SHADER_VALIDATION | {"MXFORM_DEVICE": "gpu"})
    if not options.no_bench:
        report.step("MLX to compare with", [python, "-m", "pip", "install", "--quiet", "mlx", "matplotlib"])
        report.step("benchmark", [python, "-m", "bench", "--out", WORK / "bench.md"], keep=20)
        if (WORK / "bench.md").exists():
            report.lines += ["## Benchmark", "", (WORK / "bench.md").read_text()]
    report.write(options.out)
    sys.exit(bool(report.failed))


if __name__ == "__main__":
    main()
