#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#ifdef MXFORM_TEST_BACKENDS
#include "runtime/backend.h"
#endif

int main(int argc, char** argv) {
#ifdef MXFORM_TEST_BACKENDS
  mx::register_backends();
#endif
  return doctest::Context(argc, argv).run();
}
