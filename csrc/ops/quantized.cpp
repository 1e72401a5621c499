// quantized.cpp — conversion to and from quantized formats. The words are integers, but scales and biases are functions of
// the matrix: of the element at the edge of a group (see quantize_p). Products are in quantized_matmul.cpp,
// kernels in backend/cpu/quantized.cpp.

#include "ops/quantized.h"

#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/quantized_detail.h"
#include "ops/reduce.h"

namespace mx {

using namespace detail;

const char* name(QuantMode mode) {
  static constexpr const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  return names[static_cast<size_t>(mode)];
}

namespace {

Shape with_last(Shape shape, int64_t size) {
  shape.back() = size;
  return shape;
}

Types quantized_types(const QuantFormat& f, const Type& w) {
  int64_t n = w.shape.back();
  Type words{Dtype::uint32, with_last(w.shape, f.words(n))};
  Type scales{f.affine() ? w.dtype : Dtype::uint8, with_last(w.shape, n / f.group_size)};
  return f.affine() ? Types{words, scales, scales} : Types{words, scales};
}

// One global scale for every row of w, of which `rows` is an array.
array of_rows(const array& global_scale, const array& rows) {
  return broadcast_to(global_scale, Shape(rows.shape().begin(), rows.shape().end() - 1));
}

// Node makers: `global` is undefined or has the shape of w without its last axis.
Arrays quantize_rows(const QuantizeParams& p, const array& w, const array& global) {
  SmallVector<array, 3> inputs{w};
  if (global.defined()) inputs.push_back(global);
  return make_nodes(quantize_p, p, std::move(inputs), quantized_types(p.format, w.type()));
}

array requantize_rows(const RequantizeParams& p, const array& x, const array& global) {
  SmallVector<array, 3> inputs{x};
  if (global.defined()) inputs.push_back(global);
  return make_node(requantize_p, p, std::move(inputs), {p.dtype, x.shape()});
}

Type dequantized_type(const DequantizeParams& p, const Type& w) {
  return {p.dtype, with_last(w.shape, p.format.elements(w.shape.back()))};
}

// `last` is biases, global scales or undefined.
array dequantize_rows(const DequantizeParams& p, const array& w, const array& scales, const array& last) {
  SmallVector<array, 3> inputs{w, scales};
  if (last.defined()) inputs.push_back(last);
  return make_node(dequantize_p, p, std::move(inputs), dequantized_type(p, w.type()));
}

array input_or_none(const Batch& b, int i) { return i < b.n_in() ? b.in(i) : array(); }

}  // namespace

// ---- records

// Where the edge of a group (its element of largest magnitude, or in 1-bit mode its smallest) is e, bias is e and
// scale is e / q for an integer q, or (largest - smallest) in 1-bit mode. So tangents come from there; elements that tie
// share. Groups of tiny numbers have a fixed scale and, if they round to zero, no bias: their tangents are zero.
const Primitive quantize_p = define<QuantizeParams>({
    .name = "quantize",
    .infer = [](auto& p, const Call& c) { return quantized_types(p.format, c.in(0).type()); },
    .jvp = [](auto& p, const Call& c, int, const array& t) -> Outs {
      if (!p.format.affine()) return Outs::none(2);
      Shape groups = with_last(c.in(0).shape(), c.in(0).shape(-1) / p.format.group_size);
      groups.push_back(p.format.group_size);
      array w = stop_gradient(reshape(c.in(0), groups)), tangent = reshape(t, groups);
      array scale = stop_gradient(c.out(1)), bias = stop_gradient(c.out(2));
      auto at = [&](const array& value) {
        array hit = astype(equal(w, expand_dims(value, -1)), t.dtype());
        return sum(tangent * hit, -1) / maximum(sum(hit, -1), array(1, t.dtype()));
      };
      if (p.format.bits == 1) {
        array largest = max(w, -1), low = at(bias);
        array spread_out = greater(largest - bias, array(1e-7, t.dtype()));
        return {array(), where(spread_out, at(largest) - low, zeros_like(low)), low};
      }
      array fixed = equal(bias, zeros_like(bias));
      array edge = where(fixed, zeros_like(bias), at(bias));
      return {array(), edge * where(fixed, zeros_like(bias), scale / where(fixed, ones_like(bias), bias)), edge};
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return quantize_rows(p, b.in(0), input_or_none(b, 1)); },
    .first_index_input = 1,
});

const Primitive dequantize_p = define<DequantizeParams>({
    .name = "dequantize",
    .infer = [](auto& p, const Call& c) { return dequantized_type(p, c.in(0).type()); },
    .jvp = [](auto& p, const Call& c, int i, const array& t) -> Outs {
      if (!p.format.affine()) {
        // Proportional to the global scale.
        DequantizeParams wide{p.format, p.dtype == Dtype::float64 ? Dtype::float64 : Dtype::float32};
        array unit = dequantize_rows(wide, c.in(0), c.in(1), ones_like(c.in(2)));
        return astype(unit * expand_dims(astype(t, wide.dtype), -1), p.dtype);
      }
      array repeated = repeat_groups(t, p.format.group_size);
      return i == 1 ? codes(p.format, c.in(0), p.dtype) * repeated : repeated;
    },
    .vmap = [](auto& p, const Batch& b) -> Outs { return dequantize_rows(p, b.in(0), b.in(1), input_or_none(b, 2)); },
});

const Primitive requantize_p = define<RequantizeParams>({
    .name = "requantize",
    .infer = [](auto& p, const Call& c) { return Type{p.dtype, c.in(0).shape()}; },
    // Both modes, or they would be found through `expand`, which has no derivative.
    .jvp = [](auto& p, const Call&, int, const array& t) -> Outs { return astype(t, p.dtype); },
    .vjp = [](auto&, const Call& c, int, const Outs& ct) { return astype(ct[0], c.in(0).dtype()); },
    .vmap = [](auto& p, const Batch& b) -> Outs { return requantize_rows(p, b.in(0), input_or_none(b, 1)); },
    .expand = [](auto& p, const Call& c) -> Outs {
      array global = c.n_in() > 1 ? c.in(1) : array();
      Arrays q = quantize_rows({p.format}, c.in(0), global);
      return dequantize_rows({p.format, p.dtype}, q[0], q[1], p.format.affine() ? q[2] : global);
    },
    .first_index_input = 1,
});

const Primitive to_fp8_p = define<NoParams>({
    .name = "to_fp8",
    .infer = [](auto&, const Call& c) { return Type{Dtype::uint8, c.in(0).shape()}; },
    .vmap = [](auto&, const Batch& b) -> Outs { return to_fp8(b.in(0)); },
    .differentiable = false,
});

const Primitive from_fp8_p = define<Fp8Params>({
    .name = "from_fp8",
    .infer = [](auto& p, const Call& c) { return Type{p.dtype, c.in(0).shape()}; },
    .vmap = [](auto& p, const Batch& b) -> Outs { return from_fp8(b.in(0), p.dtype); },
    .differentiable = false,
});

// ---- what the products share

namespace detail {

QuantFormat quant_format(const char* op, std::string_view mode, std::optional<int> group_size, std::optional<int> bits) {
  struct Known {
    QuantMode mode;
    int group_size, bits;
  };
  static constexpr Known known[] = {
      {QuantMode::affine, 64, 4}, {QuantMode::mxfp4, 32, 4}, {QuantMode::mxfp8, 32, 8}, {QuantMode::nvfp4, 16, 4}};
  for (const Known& k : known) {
    if (mode != name(k.mode)) continue;
    QuantFormat f{k.mode, group_size.value_or(k.group_size), bits.value_or(k.bits)};
    if (f.affine()) {
      if (f.group_size != 32 && f.group_size != 64 && f.group_size != 128) {
        throw ValueError(cat("[", op, "] no such group size: group_size is ", f.group_size, "; need 32, 64 or 128 in affine mode."));
      }
      if (f.bits < 1 || f.bits > 8 || f.bits == 7) {
        throw ValueError(cat("[", op, "] no such number of bits: bits is ", f.bits, "; need 1, 2, 3, 4, 5, 6 or 8 in affine mode."));
      }
    } else if (f.group_size != k.group_size || f.bits != k.bits) {
      throw ValueError(cat("[", op, "] mode '", mode, "' has one format: group_size is ", f.group_size, ", bits is ", f.bits,
                           "; need group_size ", k.group_size, " and ", k.bits, " bits."));
    }
    return f;
  }
  throw ValueError(cat("[", op, "] no such mode: mode is '", mode, "'; need 'affine', 'mxfp4', 'mxfp8' or 'nvfp4'."));
}

void check_packed(const char* op, const QuantFormat& f, const array& w, const array& scales, const std::optional<array>& biases) {
  if (w.dtype() != Dtype::uint32) {
    throw DtypeError(cat("[", op, "] a quantized matrix is made of uint32 words: w is ", w.dtype(), ". Make it with quantize."));
  }
  if (f.affine() && !biases) throw ValueError(cat("[", op, "] biases are missing: affine mode needs scales and biases."));
  if (!f.affine() && biases) {
    throw ValueError(cat("[", op, "] mode '", f.mode, "' has no biases: biases are ", biases->shape(), "; need None."));
  }
  if (!f.affine() && scales.dtype() != Dtype::uint8) {
    throw DtypeError(cat("[", op, "] scales have the wrong dtype: scales are ", scales.dtype(), "; mode '", f.mode, "' needs uint8."));
  }
  Shape expected = with_last(w.shape(), f.elements(w.shape(-1)) / f.group_size);
  bool whole = w.shape(-1) * 32 == expected.back() * f.group_size * f.bits;
  if (!whole || scales.shape() != expected || (biases && biases->shape() != expected)) {
    throw ValueError(cat("[", op, "] scales", f.affine() ? " and biases" : "", " do not fit the matrix: w is ", w.shape(), ", scales are ",
                         scales.shape(), biases ? cat(", biases are ", biases->shape()) : "", "; group_size ", f.group_size, " and ", f.bits,
                         " bits need ", whole ? cat(expected) : "whole groups", "."));
  }
}

array checked_global_scale(const char* op, const QuantFormat& f, const array& global_scale, const char* what) {
  if (f.mode != QuantMode::nvfp4) {
    throw ValueError(cat("[", op, "] ", what, " is for mode 'nvfp4': mode is '", f.mode, "'; need None."));
  }
  if (global_scale.size() != 1) {
    throw ValueError(cat("[", op, "] ", what, " must be a scalar: its shape is ", global_scale.shape(), "."));
  }
  if (global_scale.dtype() != Dtype::float32) {
    throw DtypeError(cat("[", op, "] ", what, " must be float32: it is ", global_scale.dtype(), ". Convert with astype."));
  }
  return reshape(global_scale, {});
}

void check_floating(const char* op, const char* what, const array& x) {
  if (is_floating(x.dtype())) return;
  throw DtypeError(cat("[", op, "] ", what, " must be real and floating: dtype is ", x.dtype(), ". Convert with astype."));
}

void check_groups(const char* op, const QuantFormat& f, const char* what, const array& x) {
  if (x.shape(-1) % f.group_size == 0) return;
  throw ValueError(cat("[", op, "] the last axis of ", what, " does not divide into groups: ", what, " is ", x.shape(), "; need a multiple of ",
                       f.group_size, "."));
}

array requantize(const QuantFormat& f, const array& x, const array& global, Dtype dtype) {
  return requantize_rows({f, dtype}, x, global.defined() ? of_rows(global, x) : array());
}

array codes(const QuantFormat& f, const array& w, Dtype dtype) {
  Shape groups = with_last(w.shape(), f.elements(w.shape(-1)) / f.group_size);
  return dequantize_rows({f, dtype}, w, ones(groups, dtype), zeros(groups, dtype));
}

array sum_groups(const array& x, int size) { return sum(unflatten(x, -1, {x.shape(-1) / size, size}), -1); }

array repeat_groups(const array& x, int size) {
  array wide = expand_dims(x, -1);
  return reshape(broadcast_to(wide, with_last(wide.shape(), size)), with_last(x.shape(), x.shape(-1) * size));
}

}  // namespace detail

// ---- public functions

Arrays quantize(const array& w, std::optional<int> group_size, std::optional<int> bits, std::string_view mode,
                const std::optional<array>& global_scale) {
  QuantFormat f = quant_format("quantize", mode, group_size, bits);
  check_floating("quantize", "w", w);
  if (w.ndim() < 2) throw ValueError(cat("[quantize] w must be a matrix or a batch of them: w is ", w.shape(), "; need two dimensions."));
  check_groups("quantize", f, "w", w);
  array global = global_scale ? of_rows(checked_global_scale("quantize", f, *global_scale), w) : array();
  return quantize_rows({f}, w, global);
}

array dequantize(const array& w, const array& scales, const std::optional<array>& biases, std::optional<int> group_size,
                 std::optional<int> bits, std::string_view mode, const std::optional<array>& global_scale, std::optional<Dtype> dtype) {
  QuantFormat f = quant_format("dequantize", mode, group_size, bits);
  if (w.ndim() < 2) throw ValueError(cat("[dequantize] w must be a matrix or a batch of them: w is ", w.shape(), "; need two dimensions."));
  check_packed("dequantize", f, w, scales, biases);
  if (dtype && !is_floating(*dtype)) throw DtypeError(cat("[dequantize] the result must be real and floating: dtype is ", *dtype, "."));
  if (f.affine()) {
    if (global_scale) checked_global_scale("dequantize", f, *global_scale);
    Dtype t = promote(scales.dtype(), biases->dtype());
    if (!is_floating(t)) {
      throw DtypeError(cat("[dequantize] scales and biases must be real and floating: they are ", scales.dtype(), " and ", biases->dtype(), "."));
    }
    array out = dequantize_rows({f, t}, w, astype(scales, t), astype(*biases, t));
    return astype(out, dtype.value_or(t));
  }
  array global = global_scale ? of_rows(checked_global_scale("dequantize", f, *global_scale), w) : array();
  Dtype t = dtype.value_or(global_scale ? Dtype::float32 : Dtype::bfloat16);
  return dequantize_rows({f, t}, w, scales, global);
}

array to_fp8(const array& x) {
  check_floating("to_fp8", "x", x);
  return make_node(to_fp8_p, {}, {x}, {Dtype::uint8, x.shape()});
}

array from_fp8(const array& x, Dtype dtype) {
  if (x.dtype() != Dtype::uint8) throw DtypeError(cat("[from_fp8] x must hold fp8 bytes: dtype is ", x.dtype(), "; need uint8. Make them with to_fp8."));
  if (!is_floating(dtype)) throw DtypeError(cat("[from_fp8] the result must be real and floating: dtype is ", dtype, "."));
  return make_node(from_fp8_p, Fp8Params{dtype}, {x}, {dtype, x.shape()});
}

}  // namespace mx
