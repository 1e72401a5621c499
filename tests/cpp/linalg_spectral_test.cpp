// Orthogonal factorisations, spectra and norms: shapes, values, errors, and what derivatives keep.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/linalg_spectral.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"

using namespace mx;

namespace {

double largest(const array& x) { return x.size() ? max(abs(x)).item<double>() : 0.0; }
array some(const Shape& shape, uint64_t seed) { return random::normal(shape, Dtype::float64, random::key(seed)); }
array unit(int64_t n) { return eye(n, n, 0, Dtype::float64); }

}  // namespace

TEST_CASE("factors multiply to the matrix, tall, wide and in batches") {
  for (Shape shape : {Shape{4, 4}, Shape{5, 2}, Shape{2, 5}, Shape{3, 2, 4}}) {
    array a = some(shape, 1);
    int64_t k = std::min(a.shape(-1), a.shape(-2));
    auto [q, r] = linalg::qr(a);
    CHECK(largest(matmul(q, r) - a) < 1e-13);
    CHECK(largest(matmul(matrix_transpose(q), q) - unit(k)) < 1e-13);
    CHECK(largest(tril(r, -1)) == 0);
    for (bool full : {false, true}) {
      auto [u, s, vh] = linalg::svd(a, full);
      CHECK(u.shape(-1) == (full ? a.shape(-2) : k));
      CHECK(vh.shape(-2) == (full ? a.shape(-1) : k));
      array product = matmul(slice_along(u, -1, 0, k) * expand_dims(s, -2), slice_along(vh, -2, 0, k));
      CHECK(largest(product - a) < 1e-13);
      CHECK(largest(matmul(u, matrix_transpose(u)) - unit(a.shape(-2))) < (full || k == a.shape(-2) ? 1e-13 : 2.0));
      CHECK(largest(linalg::singular_values(a) - s) < 1e-13);
    }
    array x = linalg::pinv(a);
    CHECK(largest(matmul(matmul(a, x), a) - a) < 1e-12);
  }
}

TEST_CASE("eigenvectors are turned into multiples of themselves") {
  array a = some({3, 4, 4}, 2), h = a + matrix_transpose(a);
  auto [w, v] = linalg::eigh(h);
  CHECK(largest(matmul(h, v) - v * expand_dims(w, -2)) < 1e-13);
  CHECK(largest(linalg::eigvalsh(h, "U") - w) < 1e-13);
  auto [z, y] = linalg::eig(a);
  CHECK(z.dtype() == Dtype::complex64);
  CHECK(largest(matmul(astype(a, Dtype::complex64), y) - y * expand_dims(z, -2)) < 1e-5);
  CHECK(largest(linalg::eigvals(a) - z) == 0);
}

TEST_CASE("norms by order") {
  array x{3.0f, -4.0f, 0.0f};
  double inf = std::numeric_limits<double>::infinity();
  CHECK(linalg::norm(x).item<float>() == 5);
  CHECK(linalg::norm(x, 0).item<float>() == 2);
  CHECK(linalg::norm(x, 1).item<float>() == 7);
  CHECK(linalg::norm(x, inf).item<float>() == 4);
  CHECK(linalg::norm(x, -inf).item<float>() == 0);
  array m = reshape(array{2.0f, 0.0f, 0.0f, -3.0f}, {2, 2});
  CHECK(linalg::norm(m, "nuc").item<float>() == doctest::Approx(5));
  CHECK(linalg::norm(m, 2, {}, true).shape() == Shape{1, 1});
  CHECK(linalg::norm(m, Axes{-1}).shape() == Shape{2});
}

TEST_CASE("wrong matrices, orders and axes are refused at the call") {
  CHECK_THROWS_AS(linalg::qr(zeros({3})), ValueError);
  CHECK_THROWS_AS(linalg::svd(zeros({2, 2}, Dtype::int32)), DtypeError);
  CHECK_THROWS_AS(linalg::eigh(zeros({2, 3})), ValueError);
  CHECK_THROWS_AS(linalg::eigvalsh(zeros({2, 2}), "lower"), ValueError);
  CHECK_THROWS_AS(linalg::norm(zeros({2, 2}), 3), ValueError);
  CHECK_THROWS_AS(linalg::norm(zeros({2, 2}), "max"), ValueError);
  CHECK_THROWS_AS(linalg::norm(zeros({2}), 2, Axes{1}), AxisError);
  CHECK_THROWS_AS(linalg::cross(zeros({4}), zeros({4})), ValueError);
  CHECK_THROWS_AS(linalg::lyapunov(zeros({2, 2}), zeros({2, 2}, Dtype::float64)), ValueError);
}

TEST_CASE("square roots and Lyapunov equations of covariance matrices") {
  array b = some({3, 3}, 3), a = matmul(b, matrix_transpose(b)), c = some({3, 3}, 4);
  array root = linalg::psd_sqrt(a);
  CHECK(largest(matmul(root, root) - a) < 1e-12);
  array x = linalg::lyapunov(root, c);
  CHECK(largest(matmul(root, x) + matmul(x, root) - c) < 1e-12);
}

TEST_CASE("the sum of squared singular values has twice the matrix as gradient, repeated values or not") {
  for (const array& a : {some({3, 2}, 5), unit(3) * 2.0, zeros({2, 3}, Dtype::float64)}) {
    auto f = [](const Arrays& in) { return Arrays{sum(square(linalg::singular_values(in[0])))}; };
    array g = vjp(f, {a}, {array(1.0, Dtype::float64)}).second[0];
    CHECK(largest(g - 2.0 * a) < 1e-12);
  }
}
