// Shapes, errors and a value of each factorisation and solver; derivatives through both modes; LAPACK's own interface.
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "backend/cpu/lapack.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/linalg.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/reduce.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"
#include "helpers.h"

using namespace mx;

namespace {

array matrix(std::initializer_list<double> xs) { return reshape(array(xs), {2, 2}); }
double far(const array& a, const array& b) { return max(abs(a - b)).item<double>(); }
}  // namespace

TEST_CASE("LAPACK is found and factors columns") {
  CHECK(!cpu::lapack::library().empty());
  std::array<double, 4> a{4, 2, 2, 5};
  CHECK(cpu::lapack::potrf('L', 2, a.data(), 2) == 0);
  CHECK(a[0] == 2);
  CHECK(a[1] == 1);
  CHECK(a[3] == 2);
  std::array<double, 4> indefinite{1, 2, 2, 1};
  CHECK(cpu::lapack::potrf('L', 2, indefinite.data(), 2) == 2);
}

TEST_CASE("factors multiply to the matrix") {
  array a = matrix({4, 2, 2, 5});
  CHECK(values(linalg::cholesky(a)) == Values{2, 0, 1, 2});
  CHECK(values(linalg::cholesky(a, true)) == Values{2, 1, 0, 2});
  CHECK(far(matmul(linalg::cholesky_inv(linalg::cholesky(a)), a), eye(2, 2, 0, Dtype::float64)) < 1e-15);
  Arrays plu = linalg::lu(matrix({2, 1, 4, 6}));
  CHECK(plu[0].dtype() == Dtype::uint32);
  CHECK(values(plu[0]) == Values{1, 0});
  CHECK(values(plu[1]) == Values{1, 0, 0.5, 1});
  CHECK(values(plu[2]) == Values{4, 6, 0, -2});
  auto [factors, pivots] = linalg::lu_factor(matrix({2, 1, 4, 6}));
  CHECK(values(factors) == Values{4, 6, 0.5, -2});
  CHECK(values(pivots) == Values{1, 1});
}

TEST_CASE("systems and inverses") {
  array a = matrix({2, 1, 1, 1});
  CHECK(values(linalg::inv(a)) == Values{1, -1, -1, 2});
  CHECK(values(linalg::tri_inv(matrix({2, 9, 1, 1}))) == Values{0.5, 0, -0.5, 1});
  CHECK(values(linalg::solve(a, array{3.0, 2.0})) == Values{1, 1});
  CHECK(values(linalg::solve_triangular(matrix({2, 9, 1, 4}), array{2.0, 9.0})) == Values{1, 2});
  CHECK(values(linalg::solve_triangular(matrix({2, 1, 9, 4}), array{4.0, 8.0}, true)) == Values{1, 2});
  CHECK(linalg::solve(ones({3, 1, 2, 2}) + identity(2), ones({4, 2, 5})).shape() == Shape{3, 4, 2, 5});
  CHECK(linalg::solve(ones({3, 2, 2}) + identity(2), ones({2})).shape() == Shape{3, 2});
  CHECK(linalg::inv(zeros({2, 0, 0})).eval().shape() == Shape{2, 0, 0});
}

TEST_CASE("determinants") {
  CHECK(linalg::det(matrix({1, 2, 4, 4})).item<double>() == -4);
  CHECK(linalg::det(astype(matrix({1, 2, 4, 4}), Dtype::int32)).dtype() == Dtype::float32);
  auto [sign, log] = linalg::slogdet(zeros({2, 2}, Dtype::float64));
  CHECK(sign.item<double>() == 0);
  CHECK(log.item<double>() == -INFINITY);
  CHECK(linalg::det(zeros({0, 0})).item<double>() == 1);
}

TEST_CASE("derivatives: both modes, a mapped batch, singular matrices") {
  auto f = [](const Arrays& x) { return Arrays{linalg::solve(x[0], x[1])}; };
  array a = matrix({2, 1, 1, 3}), b = array{1.0, 2.0}, t = matrix({0.5, -1, 2, 1});
  array pushed = jvp(f, {a, b}, {t, ones_like(b)}).second[0];
  CHECK(far(matmul(a, pushed), ones_like(b) - matmul(t, linalg::solve(a, b))) < 1e-14);
  Arrays pulled = vjp(f, {a, b}, {array{1.0, -1.0}}).second;
  double forward = sum(array{1.0, -1.0} * pushed).item<double>();
  double backward = sum(pulled[0] * t).item<double>() + sum(pulled[1]).item<double>();
  CHECK(forward == doctest::Approx(backward));

  auto det_gradient = [](const array& x) {
    return vjp([](const Arrays& y) { return Arrays{linalg::det(y[0])}; }, {x}, {array(1.0, Dtype::float64)}).second[0];
  };
  CHECK(far(det_gradient(matrix({1, 2, 2, 4})), matrix({4, -2, -2, 1})) < 1e-14);
}

TEST_CASE("errors say what came") {
  CHECK_THROWS_AS(linalg::inv(zeros({2, 3})), ValueError);
  CHECK_THROWS_AS(linalg::cholesky(zeros({2, 2}, Dtype::int32)), DtypeError);
  CHECK_THROWS_AS(linalg::solve(zeros({2, 2}), zeros({3})), ValueError);
  CHECK_THROWS_WITH_AS(linalg::inv(zeros({2, 2})).eval(), doctest::Contains("[linalg.inv] the matrix is singular: pivot 0"), BackendError);
  CHECK_THROWS_WITH_AS(linalg::solve(zeros({3, 2, 2}), ones({2})).eval(), doctest::Contains("of the batch is singular"), BackendError);
  array L = linalg::cholesky(matrix({1, 2, 2, 1}));
  CHECK(std::isnan(values(L)[0]));
}
