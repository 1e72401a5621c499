#!/usr/bin/env bash
# Runs every test in the active Python environment: builds the wheel, installs it with its test extra, runs
# pytest against the installed package, then builds and runs the C++ tests and those of the Metal backend. Extra arguments go
# to pytest.
# MXFORM_COMPAT=1 also installs MLX and compares with it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}

$python -m pip wheel --quiet --no-deps --wheel-dir build/dist .
$python -m pip install --quiet --force-reinstall --no-deps build/dist/mxform-*.whl
$python -m pip install --quiet "$(ls build/dist/mxform-*.whl)[test]"
# MLX itself, for the runs that compare with it; without it they are skipped.
if [ "${MXFORM_COMPAT:-0}" = 1 ]; then
  $python -m pip install --quiet "$(ls build/dist/mxform-*.whl)[compat]" || echo "compat: MLX cannot be installed here"
fi

# doctest, the C++ test framework, is a system package; without it CMake fetches its source.
if [ ! -e /usr/include/doctest/doctest.h ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  apt-get install -y -q doctest-dev >/dev/null || true
fi
scripts=$($python -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
export PATH="$scripts:$PATH"
# The compiler by the name that built the wheel: ccache, where there is one, then has most objects already.
export CXX=${CXX:-$($python -c 'import sysconfig; print((sysconfig.get_config_var("CXX") or "c++").split()[0])')}
cmake -G Ninja -S . -B build/cpp -DMXFORM_PYTHON=OFF -DMXFORM_TESTS=ON >/dev/null
cmake --build build/cpp
ctest --test-dir build/cpp --output-on-failure

# From another folder, so that the installed package is what is tested.
cd tests/python
$python -m pytest -c ../../pyproject.toml --rootdir ../.. . "$@"
cd ../..

# Metal: the same table of operations on the host double of a GPU.
PYTHON=$python tests/metal.sh
