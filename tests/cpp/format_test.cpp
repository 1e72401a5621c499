// Text of arrays: rows, elision, options. The same text is what Python prints (tests/python/test_printing.py).
#include <doctest/doctest.h>

#include <limits>

#include "mx.h"
#include "runtime/format.h"

using namespace mx;

TEST_CASE("elements print by their dtype") {
  CHECK(str(array{1, 2}) == "array([1, 2], dtype=int32)");
  CHECK(str(array(2.5)) == "array(2.5, dtype=float32)");
  CHECK(str(array{true, false}) == "array([True, False], dtype=bool)");
  CHECK(str(array(complex64_t(1, -0.5f))) == "array(1-0.5j, dtype=complex64)");
  CHECK(str(array{1e10f, -std::numeric_limits<float>::infinity()}) == "array([1e+10, -inf], dtype=float32)");
  CHECK(cat(array{1} + array{2}) == "array([3], dtype=int32)");
}

TEST_CASE("axes become rows, long ones are elided, strides are followed") {
  CHECK(str(reshape(arange(4), {2, 2})) == "array([[0, 1],\n       [2, 3]], dtype=int32)");
  CHECK(str(transpose(reshape(arange(4), {2, 2}))) == "array([[0, 2],\n       [1, 3]], dtype=int32)");
  CHECK(str(arange(100)) == "array([0, 1, 2, ..., 97, 98, 99], dtype=int32)");
  CHECK(str(zeros({2, 0})) == "array([[],\n       []], dtype=float32)");
}

TEST_CASE("precision fixes the digits after the point") {
  set_print_options({.precision = 2});
  CHECK(str(array(1.0 / 3, Dtype::float64)) == "array(0.33, dtype=float64)");
  set_print_options({});
  CHECK(str(array(1.0 / 3, Dtype::float64)) == "array(0.333333, dtype=float64)");
}

TEST_CASE("an array without a value shows its type") {
  array x = array::placeholder({Dtype::float32, {2, 3}}, "vmap");
  CHECK(str(x) == "array(<traced by vmap>, shape=(2, 3), dtype=float32)");
  CHECK(str(x + 1.0) == "array(<traced>, shape=(2, 3), dtype=float32)");
}
