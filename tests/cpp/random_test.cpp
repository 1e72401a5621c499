// Random numbers: known answers, the same numbers for the same key however they are drawn, independence, errors.
#include <doctest/doctest.h>

#include <set>

#include "mx.h"
#include "ops/random_params.h"
#include "helpers.h"

using namespace mx;

namespace {

using Words = std::vector<uint32_t>;

}  // namespace

TEST_CASE("threefry_gives_the_published_answers") {
  // The known answers that come with the paper's software: Threefry-2x32, 20 rounds.
  auto zero = Threefry{0, 0}(0, 0);
  CHECK(zero.a == 0x6b200159u);
  CHECK(zero.b == 0x99ba4efeu);
  auto ones = Threefry{0xffffffffu, 0xffffffffu}(0xffffffffu, 0xffffffffu);
  CHECK(ones.a == 0x1cb996fcu);
  CHECK(ones.b == 0xbb002be7u);
  auto pi = Threefry{0x13198a2eu, 0x03707344u}(0x243f6a88u, 0x85a308d3u);
  CHECK(pi.a == 0xc4923a9cu);
  CHECK(pi.b == 0x483df7a0u);
}

TEST_CASE("words_of_an_array_are_the_halves_of_blocks") {
  Threefry hash{0, 7};
  array k = random::key(7);
  for (int64_t n : {1, 2, 3, 6, 7, 40, 41, 10001}) {
    CAPTURE(n);
    Words got = values<uint32_t>(random::bits({n}, 4, k)), want(static_cast<size_t>(n));
    int64_t half = n / 2, upper = half + n % 2;
    for (int64_t i = 0; i < half; ++i) {
      auto w = hash(static_cast<uint32_t>(i), static_cast<uint32_t>(upper + i));
      want[static_cast<size_t>(i)] = w.a;
      want[static_cast<size_t>(upper + i)] = w.b;
    }
    if (n % 2) want[static_cast<size_t>(half)] = hash(static_cast<uint32_t>(half), 0).a;
    CHECK(got == want);
  }
  // Other widths are the same bytes, cut where they end.
  Words wide = values<uint32_t>(random::bits({3}, 4, k));
  std::vector<uint8_t> narrow = values<uint8_t>(random::bits({11}, 1, k));
  CHECK(std::equal(narrow.begin(), narrow.end(), reinterpret_cast<const uint8_t*>(wide.data())));
}

TEST_CASE("a_batch_of_keys_draws_what_each_key_draws") {
  array keys = random::split(random::key(3), 5);
  auto draw = [](const Arrays& in) { return Arrays{random::bits({7}, 2, in[0])}; };
  array batch = vmap(draw, {keys}, {0}, front)[0];
  for (int i = 0; i < 5; ++i) CHECK(array_equal(take(batch, i, 0), draw({take(keys, i, 0)})[0]).item<bool>());
}

TEST_CASE("examples_of_a_batch_draw_their_own_without_a_key") {
  auto noisy = [](const Arrays& in) { return Arrays{in[0] + random::uniform({})}; };
  std::vector<float> got = values<float>(vmap(noisy, {zeros({100})}, {0}, front)[0]);
  CHECK(std::set<float>(got.begin(), got.end()).size() == 100);
}

TEST_CASE("seeds_repeat_and_keys_differ") {
  random::seed(11);
  array first = random::normal({4}), second = random::normal({4});
  random::seed(11);
  CHECK(array_equal(first, random::normal({4})).item<bool>());
  CHECK(array_equal(second, random::normal({4})).item<bool>());
  CHECK_FALSE(array_equal(first, second).item<bool>());
  std::set<Words> keys;
  for (int i = 0; i < 50; ++i) keys.insert(values<uint32_t>(random::fold_in(random::key(0), array(i))));
  keys.insert(values<uint32_t>(random::split(random::key(0), 1)));
  CHECK(keys.size() == 51);
}

TEST_CASE("one_step_of_a_sequence_is_a_split") {
  array k = random::key(5);
  auto [after, drawn] = random::draw(k);
  array both = random::split(k);
  CHECK(array_equal(after, take(both, 0, 0)).item<bool>());
  CHECK(array_equal(drawn, take(both, 1, 0)).item<bool>());
}

TEST_CASE("moments_and_ranges") {
  array k = random::key(1);
  array u = random::uniform(array(-2.0f), array(4.0f), {200000}, Dtype::float32, k);
  CHECK(min(u).item<float>() >= -2);
  CHECK(max(u).item<float>() < 4);
  CHECK(mean(u).item<float>() == doctest::Approx(1).epsilon(0.02));
  array z = random::normal({200000}, Dtype::float32, k);
  CHECK(std::abs(mean(z).item<float>()) < 0.01);
  CHECK(var(z).item<float>() == doctest::Approx(1).epsilon(0.02));
  CHECK(max(random::uniform({100000}, Dtype::bfloat16, k)).item<float>() < 1);
  CHECK(values<uint32_t>(sort(random::permutation(5, k))) == Words{0, 1, 2, 3, 4});
}

TEST_CASE("wrong_arguments") {
  array k = random::key(1);
  CHECK_THROWS_AS(random::uniform({2}, Dtype::int32, k), DtypeError);
  CHECK_THROWS_AS(random::uniform({2}, Dtype::float32, array{1, 2}), DtypeError);
  CHECK_THROWS_AS(random::uniform({2}, Dtype::float32, random::split(k)), ValueError);
  CHECK_THROWS_AS(random::uniform({-1}, Dtype::float32, k), ValueError);
  CHECK_THROWS_AS(random::uniform(zeros({3}), ones({3}), {2}, Dtype::float32, k), ValueError);
  CHECK_THROWS_AS(random::randint(array(0), array(3), {2}, Dtype::float32, k), DtypeError);
  CHECK_THROWS_AS(random::bits({2}, 3, k), ValueError);
  CHECK_THROWS_AS(random::categorical(zeros({2, 3}), 2, k), AxisError);
}
