#!/usr/bin/env bash
# The C++ tests under sanitizers: AddressSanitizer with UBSan, then ThreadSanitizer. Takes some minutes.
#     tests/sanitize.sh [address,undefined | thread]
set -euo pipefail
cd "$(dirname "$0")/.."
for kind in ${1:-address,undefined thread}; do
  build=build/sanitize-${kind%%,*}
  cmake -G Ninja -S . -B "$build" -DMXFORM_PYTHON=OFF -DMXFORM_TESTS=ON -DMXFORM_SANITIZE="$kind" -DCMAKE_BUILD_TYPE=RelWithDebInfo
  cmake --build "$build" --target core_tests eval_tests example_cpp
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
    ctest --test-dir "$build" --output-on-failure -L 'core|eval'
done
