// random.cpp — keys, random bits, and the distributions made of them by elementwise arithmetic.
//
// The layout of counters and the formulas follow MLX, so that a key gives the same numbers there and here:
// word i of an array's n words and word i + ceil(n / 2) are the two halves of one Threefry block; uniform
// numbers are 32 bits scaled by 2^-32. Start at bits() and uniform(); where keys come from is at the end. Numbers of
// float32 are drawn by one primitive, others are made of them.

#include "ops/random.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <random>

#include "ops/cast.h"
#include "ops/composite.h"
#include "ops/index.h"
#include "ops/linalg_spectral.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/random_params.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/sort.h"

namespace mx {

namespace {

Dtype bits_type(int width) {
  switch (width) {
    case 1: return Dtype::uint8;
    case 2: return Dtype::uint16;
    case 4: return Dtype::uint32;
    default: return Dtype::uint64;
  }
}

/// `shape` for each of the keys (..., 2).
Shape drawn_shape(const array& keys, const Shape& shape) {
  Shape out(keys.shape().begin(), keys.shape().end() - 1);
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

/// Bits of shape `shape` for each key of `keys` (..., 2).
array bits_of(const array& keys, const Shape& shape, int width) {
  return make_node(random_bits_p, RandomBitsParams{shape, width}, {keys}, {bits_type(width), drawn_shape(keys, shape)});
}

/// float32 numbers of shape `shape` for each key of `keys` (..., 2).
array draw_of(const array& keys, const Shape& shape, Distribution from) {
  return make_node(random_draw_p, RandomDrawParams{shape, from}, {keys}, {Dtype::float32, drawn_shape(keys, shape)});
}

}  // namespace

const Primitive random_draw_p = define<RandomDrawParams>({
    .name = "random_draw",
    .infer = [](auto& p, const Call& c) { return Type{Dtype::float32, drawn_shape(c.in(0), p.shape)}; },
    .vmap = [](auto& p, const Batch& b) { return draw_of(b.in(0), p.shape, p.from); },
    .differentiable = false,
    .first_index_input = 0,
});

const Primitive random_bits_p = define<RandomBitsParams>({
    .name = "random_bits",
    .infer = [](auto& p, const Call& c) {
      return Type{bits_type(p.width), drawn_shape(c.in(0), p.shape)};
    },
    .vmap = [](auto& p, const Batch& b) { return bits_of(b.in(0), p.shape, p.width); },
    .differentiable = false,
    .first_index_input = 0,
});

const Primitive fold_in_p = define<NoParams>({
    .name = "fold_in",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .vmap = [](auto&, const Batch& b) {
      array keys = b.in(0);
      return make_node(fold_in_p, {}, {keys, b.in(1)}, keys.type());
    },
    .differentiable = false,
    .first_index_input = 0,
});

namespace random {

namespace {

constexpr float kBelowOne = 0.999999940395355224609375f;  // the float before 1

void check_key(const array& key, std::string_view op) {
  if (key.dtype() != Dtype::uint32) {
    throw DtypeError(cat("[", op, "] the key has dtype ", key.dtype(), "; need uint32. Make keys with random.key(seed)."));
  }
  if (key.shape() != Shape{2}) {
    throw ValueError(cat("[", op, "] the key has shape ", key.shape(), "; need (2,). Use one row of random.split(key)."));
  }
}

void check_shape(const Shape& shape, std::string_view op) {
  for (int64_t n : shape) {
    if (n < 0) throw ValueError(cat("[", op, "] negative size in shape ", shape, "; need sizes >= 0."));
  }
}

void check_floating(Dtype t, std::string_view op) {
  if (!is_floating(t)) throw DtypeError(cat("[", op, "] dtype is ", t, "; need a real floating point dtype."));
}

/// Parameters of shapes `a` and `b` must broadcast to `shape`.
void check_fits(const Shape& a, const Shape& b, const Shape& shape, std::string_view op) {
  Shape both = broadcast_shapes(a, b, op);
  if (broadcast_shapes(both, shape, op) != shape) {
    throw ValueError(cat("[", op, "] parameters of shape ", both, " do not broadcast to shape ", shape,
                         ". Give a shape that holds them."));
  }
}

array key_or_next(const array& key, std::string_view op) {
  if (!key.defined()) return next_key();
  check_key(key, op);
  return key;
}

array leaf_key(Threefry::Words w) {
  uint32_t words[2] = {w.a, w.b};
  return array::from<uint32_t>(words, Shape{2});
}

/// The largest number of dtype t below 1.
array below_one(Dtype t) {
  switch (t) {
    case Dtype::float16: return array(0.99951171875, t);
    case Dtype::bfloat16: return array(0.99609375, t);
    case Dtype::float64: return array(1 - 0x1p-53, t);
    default: return array(kBelowOne, t);
  }
}

/// Uniform in [0, 1).
array unit(const Shape& shape, Dtype t, const array& key) {
  if (t == Dtype::float64) {
    array high = right_shift(bits_of(key, shape, 8), array(11, Dtype::uint64));
    return astype(high, t) * array(0x1p-53, t);
  }
  array u = draw_of(key, shape, Distribution::unit);
  return t == Dtype::float32 ? u : minimum(astype(u, t), below_one(t));
}

/// Uniform in (-1, 1), in float32 whatever is made of it: what normal and laplace start from.
array symmetric(const Shape& shape, const array& key) {
  return unit(shape, Dtype::float32, key) * (1.0f + kBelowOne) - array(kBelowOne, Dtype::float32);
}

/// x * scale + loc, without what is not given.
array placed(array x, const array& loc, const array& scale) {
  if (scale.defined()) x = x * astype(scale, x.dtype());
  if (loc.defined()) x = x + astype(loc, x.dtype());
  return x;
}

}  // namespace

array key(uint64_t seed) { return leaf_key({static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)}); }

array split(const array& key, int64_t num) {
  check_key(key, "random.split");
  check_shape({num, 2}, "random.split");
  return bits_of(key, {num, 2}, 4);
}

array fold_in(const array& key, const array& data) {
  check_key(key, "random.fold_in");
  if (!is_integer(data.dtype()) || data.ndim() != 0) {
    throw ValueError(cat("[random.fold_in] data has dtype ", data.dtype(), " and shape ", data.shape(),
                         "; need an integer scalar."));
  }
  return make_node(fold_in_p, {}, {key, astype(data, Dtype::int64)}, key.type());
}

array bits(const Shape& shape, int width, const array& key) {
  if (width != 1 && width != 2 && width != 4 && width != 8) {
    throw ValueError(cat("[random.bits] width is ", width, "; need 1, 2, 4 or 8 bytes."));
  }
  check_shape(shape, "random.bits");
  return bits_of(key_or_next(key, "random.bits"), shape, width);
}

array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype, const array& key) {
  check_floating(dtype, "random.uniform");
  check_shape(shape, "random.uniform");
  check_fits(low.shape(), high.shape(), shape, "random.uniform");
  array lo = astype(low, dtype), hi = astype(high, dtype);
  return unit(shape, dtype, key_or_next(key, "random.uniform")) * (hi - lo) + lo;
}

array uniform(const Shape& shape, Dtype dtype, const array& key) {
  check_floating(dtype, "random.uniform");
  check_shape(shape, "random.uniform");
  return unit(shape, dtype, key_or_next(key, "random.uniform"));
}

array normal(const Shape& shape, Dtype dtype, const array& loc, const array& scale, const array& key) {
  if (!is_inexact(dtype)) throw DtypeError(cat("[random.normal] dtype is ", dtype, "; need a floating or complex one."));
  check_shape(shape, "random.normal");
  array k = key_or_next(key, "random.normal");
  if (is_complex(dtype)) {
    // Real and imaginary part have variance 1/2 each, which cancels the factor sqrt(2).
    Shape pairs(shape);
    pairs.push_back(2);
    return placed(squeeze(view(erfinv(symmetric(pairs, k)), dtype), -1), loc, scale);
  }
  if (dtype == Dtype::float32) return placed(draw_of(k, shape, Distribution::normal), loc, scale);
  array u = symmetric(shape, k);
  array x = dtype == Dtype::float64 ? erfinv(astype(u, dtype)) : astype(erfinv(u), dtype);
  array root_two(std::sqrt(2.0), dtype);
  return placed(x, loc, scale.defined() ? root_two * astype(scale, dtype) : root_two);
}

array normal(const Shape& shape, Dtype dtype, const array& key) { return normal(shape, dtype, {}, {}, key); }

array randint(const array& low, const array& high, const Shape& shape, Dtype dtype, const array& key) {
  if (!is_integer(dtype) && !is_bool(dtype)) {
    throw DtypeError(cat("[random.randint] dtype is ", dtype, "; need an integer dtype or bool."));
  }
  check_shape(shape, "random.randint");
  check_fits(low.shape(), high.shape(), shape, "random.randint");
  array last = astype(high - 1, dtype), first = astype(low, dtype);
  array u = uniform(low, high, shape, Dtype::float32, key_or_next(key, "random.randint"));
  return maximum(minimum(astype(floor(u), dtype), last), first);
}

array bernoulli(const array& p, const Shape& shape, const array& key) {
  if (!is_floating(p.dtype())) throw DtypeError(cat("[random.bernoulli] p has dtype ", p.dtype(), "; need a real floating point dtype."));
  check_shape(shape, "random.bernoulli");
  check_fits(p.shape(), {}, shape, "random.bernoulli");
  array u = unit(shape, Dtype::float32, key_or_next(key, "random.bernoulli"));
  return less(u, astype(p, Dtype::float32));
}

array bernoulli(const array& p, const array& key) { return bernoulli(p, p.shape(), key); }

array truncated_normal(const array& lower, const array& upper, const Shape& shape, Dtype dtype, const array& key) {
  check_floating(dtype, "random.truncated_normal");
  array root_two(std::sqrt(2.0), dtype);
  array lo = astype(lower, dtype), hi = astype(upper, dtype);
  check_shape(shape, "random.truncated_normal");
  check_fits(lo.shape(), hi.shape(), shape, "random.truncated_normal");
  array u = uniform(erf(lo / root_two), erf(hi / root_two), shape, dtype, key_or_next(key, "random.truncated_normal"));
  return maximum(minimum(erfinv(u) * root_two, hi), lo);
}

array truncated_normal(const array& lower, const array& upper, Dtype dtype, const array& key) {
  return truncated_normal(lower, upper, broadcast_shapes(lower.shape(), upper.shape(), "random.truncated_normal"), dtype, key);
}

array gumbel(const Shape& shape, Dtype dtype, const array& key) {
  check_floating(dtype, "random.gumbel");
  check_shape(shape, "random.gumbel");
  if (dtype == Dtype::float32) return draw_of(key_or_next(key, "random.gumbel"), shape, Distribution::gumbel);
  return negative(log(negative(log(unit(shape, dtype, key_or_next(key, "random.gumbel"))))));
}

array laplace(const Shape& shape, Dtype dtype, const array& loc, const array& scale, const array& key) {
  check_floating(dtype, "random.laplace");
  check_shape(shape, "random.laplace");
  array u = symmetric(shape, key_or_next(key, "random.laplace"));
  if (dtype == Dtype::float64) u = astype(u, dtype);
  return placed(astype(sign(u) * log1p(negative(abs(u))), dtype), loc, scale);
}

array laplace(const Shape& shape, Dtype dtype, const array& key) { return laplace(shape, dtype, {}, {}, key); }

// Standard normal vectors times the square root of the covariance, which does not depend on the signs of its eigenvectors.
array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype, const array& key) {
  constexpr std::string_view op = "random.multivariate_normal";
  if (dtype != Dtype::float32) throw DtypeError(cat("[", op, "] dtype is ", dtype, "; need float32."));
  if (mean.ndim() < 1 || cov.ndim() < 2) {
    throw ValueError(cat("[", op, "] too few dimensions: mean is ", mean.shape(), ", cov is ", cov.shape(),
                         "; need (..., n) and (..., n, n)."));
  }
  if (cov.shape(-1) != cov.shape(-2) || cov.shape(-1) != mean.shape(-1)) {
    throw ValueError(cat("[", op, "] sizes do not fit: mean is ", mean.shape(), ", cov is ", cov.shape(),
                         "; need (..., n) and (..., n, n)."));
  }
  check_shape(shape, op);
  Shape means(mean.shape().begin(), mean.shape().end() - 1), covs(cov.shape().begin(), cov.shape().end() - 2);
  Shape drawn = broadcast_shapes(broadcast_shapes(means, covs, op), shape, op);
  drawn.push_back(mean.shape(-1));
  // A covariance in float64 is used as such; the draws are float32.
  array root = linalg::psd_sqrt(astype(cov, cov.dtype() == Dtype::float64 ? Dtype::float64 : dtype));
  array x = astype(normal(drawn, dtype, key_or_next(key, op)), root.dtype());
  array y = squeeze(matmul(expand_dims(x, -2), root), -2);
  return mean.dtype() == Dtype::float64 ? y + mean : astype(y, dtype) + mean;
}

namespace {

// Draws from one distribution share its cumulative sum: one uniform number for each, not one for each category.
bool share_distribution(const array& logits, int at, const Shape& drawn) {
  return logits.size() > 0 && logits.size() == logits.shape(at) && !drawn.empty();
}

array from_cumulative(const array& logits, const Shape& drawn, const array& key) {
  array upto = cumsum(softmax(reshape(astype(logits, Dtype::float32), {logits.size()}), {0}), 0);
  array hit = searchsorted(upto, unit(drawn, Dtype::float32, key), true);
  // The sum of all may round to less than 1.
  return minimum(hit, array(static_cast<int64_t>(logits.size() - 1), hit.dtype()));
}

}  // namespace

// Otherwise: the largest of logits with Gumbel noise is a draw. Gumbel, Statistical theory of extreme values (1954).

array categorical(const array& logits, int axis, const Shape& shape, const array& key) {
  int at = normalize_axis(axis, logits.ndim(), "random.categorical");
  check_shape(shape, "random.categorical");
  Shape others = without_axis(logits.shape(), at);
  check_fits(others, {}, shape, "random.categorical");
  array k = key_or_next(key, "random.categorical");
  if (share_distribution(logits, at, shape)) return from_cumulative(logits, shape, k);
  int lead = static_cast<int>(shape.size() - others.size());
  Shape noise = with_axis(shape, logits.shape(at), lead + at);
  return argmax(logits + gumbel(noise, Dtype::float32, k), lead + at);
}

array categorical_num_samples(const array& logits, int axis, int64_t num_samples, const array& key) {
  int at = normalize_axis(axis, logits.ndim(), "random.categorical");
  Shape noise(logits.shape());
  noise.push_back(num_samples);
  check_shape(noise, "random.categorical");
  array k = key_or_next(key, "random.categorical");
  Shape drawn = without_axis(noise, at);
  if (share_distribution(logits, at, drawn)) return from_cumulative(logits, drawn, k);
  return argmax(expand_dims(logits, -1) + gumbel(noise, Dtype::float32, k), at);
}

array categorical(const array& logits, int axis, const array& key) {
  int at = normalize_axis(axis, logits.ndim(), "random.categorical");
  return categorical(logits, at, without_axis(logits.shape(), at), key);
}

array permutation(int64_t n, const array& key) {
  check_shape({n}, "random.permutation");
  return argsort(bits_of(key_or_next(key, "random.permutation"), {n}, 4), 0);
}

array permutation(const array& x, int axis, const array& key) {
  int at = normalize_axis(axis, x.ndim(), "random.permutation");
  return take(x, permutation(x.shape(at), key), at);
}

// ---- keys for those who bring none

namespace {

struct Sources {
  std::mutex lock;  ///< For the members; the functions are called without it.
  std::function<array()> keys;
  std::function<Arrays()> batch_indices;
  array state;  ///< Of the default sequence; undefined until it is needed.
};

// Never destroyed: a source may hold objects of an interpreter that ends before us.
Sources& sources() {
  static Sources* s = new Sources;
  return *s;
}

array next_default() {
  std::lock_guard guard(sources().lock);
  array& state = sources().state;
  if (!state.defined()) {
    std::random_device device;
    state = key(uint64_t(device()) << 32 | device());
  }
  auto [after, drawn] = draw(state);
  state = after;
  return drawn;
}

}  // namespace

std::pair<array, array> draw(const array& state) {
  check_key(state, "random");
  if (state.available() && state.node()->newest_mark == 0) {
    const uint32_t* words = state.data<uint32_t>();
    Threefry hash{words[0], words[state.strides()[0]]};
    // The four words of split(state, 2).
    Threefry::Words x = hash(0, 2), y = hash(1, 3);
    return {leaf_key({x.a, y.a}), leaf_key({x.b, y.b})};
  }
  array keys = random::split(state, 2);
  return {take(keys, int64_t(0), 0), take(keys, int64_t(1), 0)};
}

void seed(uint64_t seed) {
  std::lock_guard guard(sources().lock);
  sources().state = key(seed);
}

array next_key() {
  std::function<array()> keys;
  std::function<Arrays()> batch_indices;
  {
    std::lock_guard guard(sources().lock);
    keys = sources().keys;
    batch_indices = sources().batch_indices;
  }
  array k = keys ? keys() : next_default();
  if (batch_indices) {
    for (const array& i : batch_indices()) k = fold_in(k, i);
  }
  return k;
}

void set_key_source(std::function<array()> source) {
  std::lock_guard guard(sources().lock);
  sources().keys = std::move(source);
}

void set_batch_index_source(std::function<Arrays()> source) {
  std::lock_guard guard(sources().lock);
  sources().batch_indices = std::move(source);
}

}  // namespace random

}  // namespace mx
