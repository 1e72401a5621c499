// sets_test.cpp — distinct elements, membership, repeats by counts, and the array API standard's linear algebra.

#include <doctest/doctest.h>

#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/index.h"
#include "ops/linalg_standard.h"
#include "ops/movement.h"
#include "ops/reduce.h"
#include "ops/sets.h"

using namespace mx;

TEST_CASE("distinct gives values, first places, inverse and counts") {
  Distinct d = distinct(array({2, 1, 2, 3, 1}));
  CHECK(array_equal(d.values, array({1, 2, 3})).item<bool>());
  CHECK(array_equal(d.index, array({1, 0, 3})).item<bool>());
  CHECK(array_equal(d.counts, array({2, 2, 1})).item<bool>());
  CHECK(array_equal(take(d.values, d.inverse, 0), array({2, 1, 2, 3, 1})).item<bool>());
}

TEST_CASE("isin finds elements, and nothing in an empty set") {
  array a({1, 2, 3});
  CHECK(array_equal(isin(a, array({3, 1})), array({true, false, true})).item<bool>());
  CHECK(all(isin(a, zeros({0}), true)).item<bool>());
}

TEST_CASE("repeat by counts checks them") {
  array a({1, 2, 3});
  CHECK(array_equal(repeat(a, array({2, 0, 1}), 0), array({1, 1, 3})).item<bool>());
  CHECK_THROWS_AS(repeat(a, array({1, 2}), 0), ValueError);
  CHECK_THROWS_AS(repeat(a, array({1, -1, 1}), 0), ValueError);
  CHECK_THROWS_AS(repeat(a, array({1.0f, 1.0f, 1.0f}), 0), DtypeError);
}

TEST_CASE("matrix powers, ranks and norms") {
  array a = reshape(array({1.0f, 1.0f, 0.0f, 1.0f}), {2, 2});
  CHECK(linalg::matrix_power(a, 10).shape() == Shape{2, 2});
  CHECK(allclose(linalg::matrix_power(a, 10), reshape(array({1.0f, 10.0f, 0.0f, 1.0f}), {2, 2})).item<bool>());
  CHECK_THROWS_AS(linalg::matrix_power(zeros({2, 3}), 2), ValueError);
  CHECK(linalg::matrix_rank(ones({3, 2})).item<int>() == 1);
  CHECK(linalg::vector_norm(full({2, 2}, 2.0f, Dtype::float32), Axes{0, 1}).item<float>() == doctest::Approx(4.0));
}
