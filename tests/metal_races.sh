#!/usr/bin/env bash
# Looks for races in the Metal kernels, in the active Python environment: builds the extension with every access of a kernel looked
# at (MXFORM_METAL_CHECKED), then runs the table of operations under all transformations twice: with the machine's own checks
# (races, bounds, threadgroup memory that nobody wrote), and with ThreadSanitizer, for which each thread of a dispatch is a
# thread. Then the planted faults. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
build=$PWD/build/metal-checked

cmake -G Ninja -S . -B "$build" -DMXFORM_METAL=host -DMXFORM_METAL_CHECKED=ON -DPython_EXECUTABLE="$(command -v "$python")" \
  -DCMAKE_PREFIX_PATH="$($python -m pybind11 --cmakedir)" >/dev/null
cmake --build "$build" --target _core

cd tests/python
run() { MXFORM_DEVICE=gpu PYTHONPATH="$build/python" "$@" "$python" -m pytest -c ../../pyproject.toml --rootdir ../.. "${tests[@]}"; }
tests=(test_specs.py test_metal.py "$@")
run env
# Without the options, what the host does counts, of whose order ThreadSanitizer knows nothing; and what was said once is not said again,
# so that later tests that meet it pass.
run env LD_PRELOAD="$(${CXX:-c++} -print-file-name=libtsan.so)" TSAN_OPTIONS="ignore_interceptors_accesses=1 suppress_equal_stacks=0 suppress_equal_addresses=0"
$python -m pytest -c ../../pyproject.toml --rootdir ../.. ../metal/test_races.py ../metal/test_faults.py
