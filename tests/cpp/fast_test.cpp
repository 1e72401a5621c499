// The fast functions: their kernels, forward and backward, give what the simpler operations they stand for give.
#include <doctest/doctest.h>

#include <cmath>

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/fast.h"
#include "ops/fast_params.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "helpers.h"

using namespace mx;

namespace {

// One call by its kernel, and by its expansion.
template <class P>
void check_kernel(const Primitive& primitive, const P& params, const Arrays& inputs, double tolerance) {
  CAPTURE(primitive.name);
  Arrays fast = make_nodes(primitive, params, SmallVector<array, 3>(inputs));
  Outs plain = primitive.expand(params, Call(*fast[0].node()->call));
  REQUIRE(fast.size() == plain.size());
  for (size_t k = 0; k < fast.size(); ++k) {
    CAPTURE(k);
    CHECK(difference(fast[k], plain[k]) < tolerance);
  }
}

double tolerance(Dtype t) { return t == Dtype::float64 ? 1e-11 : t == Dtype::float32 ? 2e-4 : 2e-2; }

}  // namespace

TEST_CASE("norms, of contiguous and of strided rows") {
  for (Dtype t : kFloating) {
    CAPTURE(t);
    array w = normal({300}, 1, t), b = normal({300}, 2, t);
    for (const array& x : {normal({4, 90, 300}, 3, t), swapaxes(normal({300, 40}, 4, t), 0, 1)}) {
      array ct = normal(x.shape(), 5, t);
      check_kernel(fast::layer_norm_p, fast::NormParams{1e-5, true, true}, {x, w, b}, tolerance(t));
      check_kernel(fast::rms_norm_p, fast::NormParams{1e-5, true, false}, {x, w}, tolerance(t));
      check_kernel(fast::layer_norm_vjp_p, fast::NormVjpParams{1e-5, true, true, true}, {x, ct, w}, tolerance(t));
      check_kernel(fast::rms_norm_vjp_p, fast::NormVjpParams{1e-5, true, true, false}, {x, ct, w}, tolerance(t));
      check_kernel(fast::layer_norm_vjp_p, fast::NormVjpParams{1e-5, false, false, true}, {x, ct}, tolerance(t));
    }
  }
}

TEST_CASE("cross entropy over many classes") {
  for (Dtype t : kFloating) {
    CAPTURE(t);
    array x = normal({20, 2500}, 1, t) * 3.0, target = random::randint(array(-2500), array(2500), {20}, Dtype::int64, random::key(2));
    check_kernel(fast::cross_entropy_p, NoParams{}, {x, target}, 1e-3 * tolerance(t) + 1e-6);
    array ct = normal({20}, 3, t == Dtype::float64 ? t : Dtype::float32);
    check_kernel(fast::cross_entropy_vjp_p, NoParams{}, {x, target, ct}, tolerance(t));
  }
}

TEST_CASE("attention in several tiles, with every kind of mask") {
  for (Dtype t : kFloating) {
    CAPTURE(t);
    for (bool causal : {false, true}) {
      for (int mask : {0, 1, 2}) {
        if (causal && mask) continue;
        for (bool sinks : {false, true}) {
          CAPTURE(causal);
          CAPTURE(mask);
          CAPTURE(sinks);
          int64_t tq = 130, tk = causal ? 120 : 290;  // Causal: the first queries see nothing.
          array q = swapaxes(normal({2, tq, 4, 12}, 1, t), 1, 2), k = normal({2, 2, tk, 12}, 2, t), v = normal({2, 2, tk, 9}, 3, t);
          Arrays inputs{q, k, v};
          array m = normal({4, tq, tk}, 4, t);
          if (mask) inputs.push_back(broadcast_to(mask == 1 ? greater(m, array(0.5, t)) : m, {2, 4, tq, tk}));
          if (sinks) inputs.push_back(broadcast_to(normal({4}, 5, t), {2, 4}));
          fast::AttentionParams p{0.4, causal, mask != 0, sinks};
          check_kernel(fast::attention_p, p, inputs, tolerance(t));
          inputs.push_back(normal({2, 4, tq, 9}, 6, t));
          check_kernel(fast::attention_vjp_p, fast::AttentionVjpParams{p, mask == 2, sinks}, inputs, tolerance(t));
        }
      }
    }
  }
}

TEST_CASE("one query against many keys") {
  array q = normal({1, 6, 1, 16}, 1), k = normal({1, 2, 777, 16}, 2), v = swapaxes(normal({1, 2, 20, 777}, 3), -1, -2);
  for (bool causal : {false, true}) check_kernel(fast::attention_p, fast::AttentionParams{0.3, causal, false, false}, {q, k, v}, 1e-11);
}

TEST_CASE("the gated delta rule, with heads that share keys and steps that do not count") {
  for (Dtype t : {Dtype::float64, Dtype::float32}) {
    for (bool mask : {false, true}) {
      array q = normal({2, 25, 2, 9}, 1, t), k = normal({2, 25, 2, 9}, 2, t) * 0.3, v = swapaxes(normal({2, 25, 7, 4}, 3, t), -1, -2);
      array gamma = sigmoid(normal({2, 25, 4, 9}, 4, t)), beta = sigmoid(normal({2, 25, 4}, 5, t)), state = normal({2, 4, 7, 9}, 6, t);
      Arrays inputs{q, k, v, gamma, beta, state};
      if (mask) inputs.push_back(greater(normal({2, 25}, 7), array(-0.5, Dtype::float64)));
      check_kernel(fast::gated_delta_update_p, fast::DeltaParams{mask}, inputs, tolerance(t));
      inputs.push_back(normal({2, 25, 4, 7}, 8, t));
      inputs.push_back(normal({2, 4, 7, 9}, 9, t));
      check_kernel(fast::gated_delta_update_vjp_p, fast::DeltaParams{mask}, inputs, tolerance(t));
    }
  }
}

TEST_CASE("turning there and back is the identity") {
  for (Dtype t : kFloating) {
    for (bool traditional : {false, true}) {
      array x = swapaxes(normal({2, 150, 3, 20}, 1, t), 1, 2);
      array offset = broadcast_to(expand_dims(array({5, 900}), 1), {2, 3});
      fast::RopeParams p{16, traditional, 100.0, 0.5, false, false};
      array there = make_node(fast::rope_p, p, {x, astype(offset, Dtype::int64)}, x.type());
      p.inverse = true;
      array back = make_node(fast::rope_p, p, {there, astype(offset, Dtype::int64)}, x.type());
      CHECK(difference(back, x) < tolerance(t));
      CHECK(difference(there, x) > 0.1);
    }
  }
}

TEST_CASE("wrong shapes are refused") {
  array x = zeros({2, 3}), q = zeros({1, 2, 3, 4});
  CHECK_THROWS_AS(fast::rms_norm(x, zeros({2}), 1e-5), ValueError);
  CHECK_THROWS_AS(fast::layer_norm(zeros({2, 3}, Dtype::int32), {}, {}, 1e-5), DtypeError);
  CHECK_THROWS_AS(fast::rope(zeros({1, 2, 4}), 3, false, 10.0, 1.0, array(0)), ValueError);
  CHECK_THROWS_AS(fast::cross_entropy(x, array({0})), ValueError);
  CHECK_THROWS_AS(fast::scaled_dot_product_attention(q, zeros({1, 2, 3, 5}), q, 1.0), ValueError);
  CHECK_THROWS_AS(fast::cross_entropy(x, array({0, 3})).eval(), IndexError);
}
