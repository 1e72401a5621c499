#!/usr/bin/env bash
# Runs the tests of the Metal backend on this machine, in the active Python environment: builds the extension with the host double
# of Metal, whose kernels run on the CPU, and runs with `mx.gpu` as the default device: the C++ tests of plans, driver and double,
# then a sample of the tests and the table of operations under all transformations, in two schedules, then the planted faults.
# MXFORM_LONG=1 runs the whole suite, in three schedules. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
build=$PWD/build/metal

cmake -G Ninja -S . -B "$build" -DMXFORM_METAL=host -DMXFORM_TESTS=ON -DPython_EXECUTABLE="$(command -v "$python")" \
  -DCMAKE_PREFIX_PATH="$($python -m pybind11 --cmakedir)" >/dev/null
cmake --build "$build" --target _core metal_tests kernel_quality
"$build/tests/cpp/metal_tests"
# The page on what the kernels cost is what their plans give.
"$build/tests/cpp/kernel_quality" | diff docs/metal_kernels.md -

cd tests/python
run() { MXFORM_DEVICE=gpu PYTHONPATH="$build/python" $python -m pytest -c ../../pyproject.toml --rootdir ../.. "$@"; }
if [ "${MXFORM_LONG:-0}" = 1 ]; then
  for order in in-order reversed 77; do
    MXFORM_METAL_SCHEDULE=$order MXFORM_METAL_ORDER=1 run . --ignore test_bench.py --ignore test_compat.py
  done
else
  run test_metal.py test_transforms.py test_compile.py test_control.py test_indexing.py test_random.py test_fast.py test_memory.py "$@"
  rm -f "$build/ran.txt"
  MXFORM_METAL_RAN=$build/ran.txt run test_specs.py "$@"
  # The Metal column of the coverage page is what just ran, if all of it did.
  [ $# != 0 ] || PYTHONPATH="$build/python" $python ../../python/make_coverage.py --metal "$build/ran.txt" --check
  MXFORM_METAL_SCHEDULE=77 MXFORM_METAL_ORDER=1 run test_specs.py "$@"
fi
$python -m pytest -c ../../pyproject.toml --rootdir ../.. ../metal
