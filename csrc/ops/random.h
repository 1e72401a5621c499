// random.h — random numbers from counter-based keys (Threefry-2x32).
//
// A key is a uint32 array of shape (2,); the same key always gives the same numbers. A function whose `key`
// is left undefined draws one with next_key(). Inside vmap and loops such a draw folds in the index of the running
// example or step, so that they differ. Start at bits(): everything else is arithmetic on it.
#pragma once

#include <functional>
#include <utility>

#include "graph/array.h"

namespace mx::random {

/// The key of a seed: its high and low halves.
array key(uint64_t seed);

/// `num` new keys, shape (num, 2).
array split(const array& key, int64_t num = 2);

/// A new key from `key` and an integer scalar; different `data` give independent keys.
array fold_in(const array& key, const array& data);

/// Random bits, as unsigned integers of `width` bytes (1, 2, 4 or 8).
array bits(const Shape& shape, int width = 4, const array& key = {});

/// Uniform in [low, high); low and high broadcast to `shape`. Differentiable in both.
array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype = Dtype::float32,
              const array& key = {});
/// Uniform in [0, 1).
array uniform(const Shape& shape, Dtype dtype = Dtype::float32, const array& key = {});

/// Normal with mean `loc` and standard deviation `scale`; undefined ones mean 0 and 1. Differentiable in both.
array normal(const Shape& shape, Dtype dtype, const array& loc, const array& scale, const array& key = {});
/// Standard normal.
array normal(const Shape& shape, Dtype dtype = Dtype::float32, const array& key = {});

/// Integers in [low, high), which broadcast to `shape`. Drawn as float32, so of wide ranges only 2**24 values.
array randint(const array& low, const array& high, const Shape& shape, Dtype dtype = Dtype::int32,
              const array& key = {});

/// True with probability `p`, which broadcasts to `shape`.
array bernoulli(const array& p, const Shape& shape, const array& key = {});
/// One draw for each element of `p`.
array bernoulli(const array& p, const array& key = {});

/// Standard normal restricted to (lower, upper), which broadcast to `shape`.
array truncated_normal(const array& lower, const array& upper, const Shape& shape, Dtype dtype = Dtype::float32,
                       const array& key = {});
array truncated_normal(const array& lower, const array& upper, Dtype dtype = Dtype::float32, const array& key = {});

/// Standard Gumbel.
array gumbel(const Shape& shape, Dtype dtype = Dtype::float32, const array& key = {});

/// Laplace with the given centre and scale; undefined ones mean 0 and 1. Differentiable in both.
array laplace(const Shape& shape, Dtype dtype, const array& loc, const array& scale, const array& key = {});
array laplace(const Shape& shape, Dtype dtype = Dtype::float32, const array& key = {});

/// Jointly normal vectors (..., n) with mean (..., n) and covariance (..., n, n), which must be symmetric and positive
/// semi-definite; an empty `shape` means the batch shape of the two. Differentiable in both. dtype: float32.
array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype = Dtype::float32,
                          const array& key = {});

/// Indices (uint32) along `axis` drawn with probabilities softmax(logits); the other axes broadcast to `shape`.
array categorical(const array& logits, int axis, const Shape& shape, const array& key = {});
/// `num_samples` draws per distribution, in a new last axis.
array categorical_num_samples(const array& logits, int axis, int64_t num_samples, const array& key = {});
/// One draw per distribution.
array categorical(const array& logits, int axis = -1, const array& key = {});

/// `x` with its slices along `axis` in random order.
array permutation(const array& x, int axis = 0, const array& key = {});
/// 0 ... n-1 in random order, as uint32.
array permutation(int64_t n, const array& key = {});

// ---- keys for those who bring none

/// One step of a key sequence: its state afterwards, and the key drawn. No graph is made if `state` has a value.
std::pair<array, array> draw(const array& state);
/// Restarts the default key sequence.
void seed(uint64_t seed);
/// The next key of the current source: successive, thread-safe, folded with the enclosing vmaps' examples and loops' steps.
array next_key();
/// Replaces where next_key() takes its keys (the Python layer: `mx.random.state`); empty restores the default.
void set_key_source(std::function<array()> source);
/// Installs how next_key() learns the indices of the running examples and steps (transforms/running_index.h does).
void set_batch_index_source(std::function<Arrays()> source);

}  // namespace mx::random
