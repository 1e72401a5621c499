// ops_fast.cpp — the module mx.fast (ops/fast.h). Kernels that users write are in custom_kernel.cpp.

#include "bindings/bind.h"
#include "bindings/custom_kernel.h"
#include "ops/fast.h"

namespace mx::python {

namespace {

array attention_of(const Args& a) {
  std::optional<array> mask;
  auto kind = fast::AttentionMask::none;
  if (PyUnicode_Check(a.raw(4))) {
    if (a.str(4) != "causal") {
      throw ValueError(cat("[scaled_dot_product_attention] mask is '", a.str(4), "'; need 'causal', an array or None."));
    }
    kind = fast::AttentionMask::causal;
  } else if (is_array(a.raw(4))) {
    mask = a.arr(4);
  } else if (!a.is_none(4)) {
    throw py::type_error(cat(a.what(4), " is ", kind_of(a.raw(4)), "; need an array, 'causal' or None."));
  }
  (void)a.flag(6);  // There is one kernel, which is always used.
  return fast::scaled_dot_product_attention(a.arr(0), a.arr(1), a.arr(2), a.real(3), mask, kind, a.opt_arr(5));
}

}  // namespace

void bind_fast(py::module_& parent) {
  py::module_ m = parent.def_submodule("fast", "Functions of neural networks with kernels of their own.");

  def(m, "rms_norm(x, weight, eps, *, stream=None)", R"(Divide by the root mean square over the last axis.

Computes `x / sqrt(mean(x**2) + eps) * weight` (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019).

Args:
    x (array): Shape (..., n), real floating; integers if the weight is floating.
    weight (array, optional): Shape (n,). None: no scaling.
    eps (float): Added to the mean square.

Returns:
    array: The shape of `x`, in the promoted dtype; float16 and bfloat16 are computed in float32.

Raises:
    ValueError: If `x` is a scalar or the weight does not fit.
    DtypeError: If the promoted dtype is not a real floating one.

Example:
    >>> mx.fast.rms_norm(mx.array([3.0, 4.0]), None, 0.0).tolist()
    [0.8485281467437744, 1.1313709020614624]
)",
      [](const Args& a) { return fast::rms_norm(a.arr(0), a.opt_arr(1), a.real(2)); });

  def(m, "layer_norm(x, weight, bias, eps, *, stream=None)", R"(Subtract the mean and divide by the deviation over the last axis.

Computes `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` (Ba, Kiros and Hinton, "Layer Normalization", 2016).

Args:
    x (array): Shape (..., n), real floating; integers if weight or bias is floating.
    weight (array, optional): Shape (n,). None: no scaling.
    bias (array, optional): Shape (n,). None: nothing is added.
    eps (float): Added to the variance.

Returns:
    array: The shape of `x`, in the promoted dtype; float16 and bfloat16 are computed in float32.

Raises:
    ValueError: If `x` is a scalar, or weight or bias does not fit.
    DtypeError: If the promoted dtype is not a real floating one.

Example:
    >>> mx.fast.layer_norm(mx.array([1.0, 3.0]), mx.array([1.0, 2.0]), None, 0.0).tolist()
    [-1.0, 2.0]
)",
      [](const Args& a) { return fast::layer_norm(a.arr(0), a.opt_arr(1), a.opt_arr(2), a.real(3)); });

  def(m, "rope(a, dims, *, traditional, base, scale, offset, freqs=None, stream=None)", R"(Turn pairs of features by angles that grow with the position.

At position p, counted from `offset`, pair i turns by p * scale * base**(-2 * i / dims), or p * scale / freqs[i]: rotary position
embedding (Su et al., "RoFormer", 2021).

Args:
    a (array): Shape (batch, ..., positions, features), real floating.
    dims (int): How many features are turned, an even number; the rest stay as they are.
    traditional (bool): If true, pair i is features (2 * i, 2 * i + 1), else (i, i + dims / 2).
    base (float, optional): Base of the frequencies. Exactly one of `base` and `freqs` is given.
    scale (float): Factor of the positions.
    offset (int or array): The first position: an integer, or an array of one integer or one for each of the batch.
    freqs (array, optional): Shape (dims / 2,): the positions in which each pair turns by one radian.

Returns:
    array: The shape and dtype of `a`; angles are computed in float64.

Raises:
    ValueError: If shapes or dims do not fit, or not exactly one of `base` and `freqs` is given.
    DtypeError: If `a` is not real floating, or `offset` not an integer.

Example:
    >>> x = mx.array([[[1.0, 0.0], [1.0, 0.0]]])
    >>> y = mx.fast.rope(x, 2, traditional=True, base=10000.0, scale=1.0, offset=0)
    >>> mx.round(y, 2).tolist()
    [[[1.0, 0.0], [0.5400000214576721, 0.8399999737739563]]]
)",
      [](const Args& a) {
        return fast::rope(a.arr(0), a.integer(1), a.flag(2), a.opt_real(3), a.real(4), a.arr(5), a.opt_arr(6));
      });

  def(m, "cross_entropy(logits, targets, *, stream=None)", R"(Measure how unlikely the true classes are.

Computes `logsumexp(logits, axis=-1) - logits[..., targets]` in one pass over the logits, and its derivative in another
(Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

Args:
    logits (array): Shape (..., n), real floating: unnormalised log probabilities of n classes.
    targets (array): Shape (...), integers: the true classes, from -n to n - 1.

Returns:
    array: Shape (...), float32; float64 for logits in float64.

Raises:
    ValueError: If the shapes do not fit.
    DtypeError: If logits are not real floating, or targets not integers.
    IndexError: If a target is out of bounds, when the result is computed.

Example:
    >>> mx.fast.cross_entropy(mx.array([[0.0, 0.0]]), mx.array([1])).tolist()
    [0.6931471824645996]
)",
      [](const Args& a) { return fast::cross_entropy(a.arr(0), a.arr(1)); });

  def(m, "scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None, force_fused=False, stream=None)",
      R"(Average values, weighted by how well their keys match the queries: `softmax(scale * q @ k.T) @ v`.

Scores are made in tiles and never held all at once (Dao et al., "FlashAttention", 2022). Several heads of `q` may share one
of `k` and `v`: head h of q uses head h // (heads / key_heads).

Args:
    q (array): Queries, shape (batch, heads, tq, d).
    k (array): Keys, shape (batch, key_heads, tk, d); heads is a multiple of key_heads.
    v (array): Values, shape (batch, key_heads, tk, e).
    scale (float): Factor of the scores, usually 1 / sqrt(d).
    mask (array or "causal", optional): Broadcasts to (batch, heads, tq, tk). Booleans say which scores count, numbers are
        added to them. "causal": query i sees keys up to i + tk - tq, so that the last query sees all.
    sinks (array, optional): Shape (heads,): one more score a head, which takes weight but has no value.
    force_fused (bool): Accepted for compatibility: there is one kernel, which is always used.

Returns:
    array: Shape (batch, heads, tq, e), in the promoted dtype; float16 and bfloat16 are computed in float32. A query
    of which every score is hidden gets the mean of the values (zeros with sinks); one whose scores are all -inf, NaN.

Raises:
    ValueError: If the shapes do not fit or the mask is an unknown word.
    DtypeError: If the promoted dtype is not a real floating one, or mask or sinks do not promote to it.

Example:
    >>> q = k = mx.zeros((1, 1, 2, 4))
    >>> v = mx.array([[[[1.0], [3.0]]]])
    >>> mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal").flatten().tolist()
    [1.0, 2.0]
)",
      attention_of);

  def(m, "gated_delta_update(q, k, v, gamma, beta, initial_state=None, mask=None, stream=None)",
      R"(Run the gated delta rule, a linear attention whose state is overwritten where keys repeat.

Each head keeps a state S of shape (e, d). At each step, with A = gamma * S: S = A + beta * (v - A @ k) outer k, and y = S @ q
(Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024).

Args:
    q (array): Queries, shape (batch, t, key_heads, d).
    k (array): Keys, the same shape.
    v (array): Values, shape (batch, t, heads, e); heads is a multiple of key_heads.
    gamma (array): What remains of the state, shape (batch, t, heads), or (batch, t, heads, d) for each key feature.
    beta (array): How much of the difference is stored, shape (batch, t, heads).
    initial_state (array, optional): Shape (batch, heads, e, d); zeros if None.
    mask (array, optional): Shape (batch, t). Steps where it is zero give zeros and leave the state alone.

Returns:
    list(array): y of shape (batch, t, heads, e), in the promoted dtype of `q` and `k`; and the last state, in float32
    (float64 if y is).

Raises:
    ValueError: If the shapes do not fit.
    DtypeError: If an argument is complex.

Example:
    >>> x = mx.ones((1, 2, 1, 1))
    >>> y, state = mx.fast.gated_delta_update(x, x, x, mx.ones((1, 2, 1)), 0.5 * mx.ones((1, 2, 1)))
    >>> y.flatten().tolist()
    [0.5, 0.75]
)",
      [](const Args& a) {
        return fast::gated_delta_update(a.arr(0), a.arr(1), a.arr(2), a.arr(3), a.arr(4), a.opt_arr(5), a.opt_arr(6));
      });

  bind_custom_kernels(m);
}

}  // namespace mx::python
