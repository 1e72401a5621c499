// Convolutions, products of chosen, masked, segmented and quantized matrices, and quantization.

#include "export/check.h"
#include "ops/conv_params.h"
#include "ops/gather_matmul_params.h"
#include "ops/quantized_params.h"

namespace mx::exporting {

namespace {

Shape joined(Shape a, std::initializer_list<int64_t> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// ---- convolution

// Positions of all three sides stay within int64: see o * stride + k * kernel_dilation == i * input_dilation + pad.
void convolution(const ConvParams& p, const array& input, const Shape& kernel, const Shape& out) {
  size_t n = kernel.size();
  require(n >= 1 && p.size.size() == n && p.stride.size() == n && p.kernel_dilation.size() == n && p.input_dilation.size() == n && p.pad.size() == n,
          "a convolution with a wrong number of axes");
  sizes(p.size);
  auto bounded = [](__int128 x) { require(x > -(__int128(1) << 60) && x < (__int128(1) << 60), "a convolution that reaches too far"); };
  for (size_t i = 0; i < n; ++i) {
    require(p.stride[i] > 0 && p.kernel_dilation[i] > 0 && p.input_dilation[i] > 0, "a convolution with a stride that is not positive");
    bounded(__int128(out[i] + 1) * p.stride[i]);
    bounded(__int128(kernel[i] + 1) * p.kernel_dilation[i]);
    bounded(__int128(input.shape()[i + 1] + 1) * p.input_dilation[i]);
    bounded(p.pad[i]);
  }
}

Shape spatial(const array& a) {
  ndim_of(a, 3);
  return Shape(a.shape().begin() + 1, a.shape().end() - 1);
}

void two_sides(const ConvParams& p, const Call& c) {
  n_inputs(c, 2);
  const array &a = c.in(0), &b = c.in(1);
  inexact(a);
  same_dtype(a, b);
  ndim_of(a, 3);
  require(a.ndim() == b.ndim() && p.groups >= 1 && a.shape(-1) % p.groups == 0, "a convolution of inputs that do not fit");
}

// ---- products

// Index vectors (..., l) of int64.
void index_vectors(const Call& c, int first, const Shape& batch) {
  for (int i = first; i < c.n_in(); ++i) {
    dtype_is(c.in(i), Dtype::int64);
    require(leading(c.in(i), 1) == batch, "indices of another batch");
    same_shape(c.in(i), c.in(first));
  }
}

int64_t n_blocks(int64_t size, int block) { return (size + block - 1) / block; }

// (..., s, 2)
void segments(const array& s, const Shape& batch) {
  dtype_is(s, Dtype::int64);
  require(leading(s, 2) == batch && s.shape(-1) == 2, "segments of a wrong shape");
}

// ---- quantized matrices

void format(const QuantFormat& f) {
  bool known = false;
  switch (f.mode) {
    case QuantMode::affine:
      known = (f.group_size == 32 || f.group_size == 64 || f.group_size == 128) && f.bits >= 1 && f.bits <= 8 && f.bits != 7;
      break;
    case QuantMode::mxfp4: known = f.group_size == 32 && f.bits == 4; break;
    case QuantMode::mxfp8: known = f.group_size == 32 && f.bits == 8; break;
    case QuantMode::nvfp4: known = f.group_size == 16 && f.bits == 4; break;
  }
  require(known, "a quantized format that there is not");
}

void whole_groups(const QuantFormat& f, const array& x) {
  ndim_of(x, 1);
  require(x.shape(-1) % f.group_size == 0, "rows that are no whole groups");
}

void global_scales(const QuantFormat& f, const Call& c, int i, const array& rows) {
  if (c.n_in() == i) return;
  n_inputs(c, i + 1);
  require(f.mode == QuantMode::nvfp4, "global scales of a format that has none");
  dtype_is(c.in(i), Dtype::float32);
  shape_is(c.in(i), leading(rows, 1));
}

// Words, scales and biases from input `first` on; returns how many there are.
int packed(const QuantFormat& f, const Call& c, int first) {
  format(f);
  int n = f.affine() ? 3 : 2;
  some_inputs(c, first + n);
  const array &w = c.in(first), &scales = c.in(first + 1);
  dtype_is(w, Dtype::uint32);
  ndim_of(w, 1);
  require(w.shape(-1) < (int64_t(1) << 48), "rows that are too long");
  int64_t groups = f.elements(w.shape(-1)) / f.group_size;
  require(groups * f.group_size * f.bits == w.shape(-1) * 32, "rows that are no whole groups");
  shape_is(scales, joined(leading(w, 1), {groups}));
  if (f.affine()) {
    floating(scales);
    same_shape(scales, c.in(first + 2));
    same_dtype(scales, c.in(first + 2));
  } else {
    dtype_is(scales, Dtype::uint8);
  }
  return n;
}

// x (..., m, k) times the quantized matrices (..., r, p) from input 1 on.
int quantized_product(const QuantizedMatmulParams& p, const Call& c) {
  int n = packed(p.format, c, 1);
  const array &x = c.in(0), &w = c.in(1);
  floating(x);
  ndim_of(x, 2);
  ndim_of(w, 2);
  if (p.format.affine()) same_dtype(x, c.in(2));
  require(x.shape(-1) == (p.transpose ? p.format.elements(w.shape(-1)) : w.shape(-2)), "a product of matrices that do not fit");
  return 1 + n;
}

}  // namespace

Checks product_checks() {
  return {
      check_of<ConvParams>(conv_p, [](auto& p, const Call& c) {
        two_sides(p, c);
        require(c.in(1).shape(-1) == c.in(0).shape(-1) / p.groups && c.in(1).shape(0) % p.groups == 0, "a convolution of channels that do not fit");
        convolution(p, c.in(0), spatial(c.in(1)), p.size);
      }),
      check_of<ConvParams>(conv_weight_p, [](auto& p, const Call& c) {
        two_sides(p, c);
        require(c.in(1).shape(-1) % p.groups == 0 && c.in(0).shape(0) == c.in(1).shape(0), "a convolution of channels that do not fit");
        convolution(p, c.in(0), p.size, spatial(c.in(1)));
      }),
      check_of<GatherMatmulParams>(gather_mm_p, [](auto& p, const Call& c) {
        n_inputs(c, p.sums ? 5 : 4);
        const array &a = c.in(0), &b = c.in(1);
        floating(a);
        same_dtype(a, b);
        require(leading(a, 3) == leading(b, 3) && a.shape(-1) == b.shape(-2) && p.n_out >= 0, "a product of matrices that do not fit");
        index_vectors(c, 2, leading(a, 3));
      }),
      check_of<BlockMaskParams>(block_masked_mm_p, [](auto& p, const Call& c) {
        n_inputs(c, 2 + p.out + p.lhs + p.rhs);
        const array &a = c.in(0), &b = c.in(1);
        floating(a);
        same_dtype(a, b);
        require(p.block_size == 32 || p.block_size == 64, "blocks of a wrong size");
        require(leading(a, 2) == leading(b, 2) && a.shape(-1) == b.shape(-2), "a product of matrices that do not fit");
        int64_t m = n_blocks(a.shape(-2), p.block_size), k = n_blocks(a.shape(-1), p.block_size), n = n_blocks(b.shape(-1), p.block_size);
        int next = 2;
        auto mask = [&](int64_t rows, int64_t columns) {
          const array& x = c.in(next++);
          require(is_bool(x.dtype()) || x.dtype() == a.dtype(), "a mask of a wrong dtype");
          shape_is(x, joined(leading(a, 2), {rows, columns}));
        };
        if (p.out) mask(m, n);
        if (p.lhs) mask(m, k);
        if (p.rhs) mask(k, n);
      }),
      check_of<NoParams>(segmented_mm_p, [](auto&, const Call& c) {
        n_inputs(c, 3);
        const array &a = c.in(0), &b = c.in(1);
        floating(a);
        same_dtype(a, b);
        require(leading(a, 2) == leading(b, 2) && a.shape(-1) == b.shape(-2), "a product of matrices that do not fit");
        segments(c.in(2), leading(a, 2));
      }),
      check_of<NoParams>(segment_sum_mm_p, [](auto&, const Call& c) {
        n_inputs(c, 3);
        const array &x = c.in(0), &y = c.in(1);
        floating(x);
        same_dtype(x, y);
        require(leading(x, 3) == leading(y, 2) && x.shape(-1) == y.shape(-2), "a product of matrices that do not fit");
        segments(c.in(2), leading(x, 3));
        require(c.in(2).shape(-2) == x.shape(-3), "segments of a wrong number");
      }),
      check_of<QuantizeParams>(quantize_p, [](auto& p, const Call& c) {
        some_inputs(c, 1);
        format(p.format);
        floating(c.in(0));
        whole_groups(p.format, c.in(0));
        global_scales(p.format, c, 1, c.in(0));
      }),
      check_of<DequantizeParams>(dequantize_p, [](auto& p, const Call& c) {
        int n = packed(p.format, c, 0);
        require(is_floating(p.dtype), "a result that is not floating");
        if (p.format.affine()) {
          n_inputs(c, n);
          dtype_is(c.in(1), p.dtype);
        } else {
          global_scales(p.format, c, n, c.in(0));
        }
      }),
      check_of<RequantizeParams>(requantize_p, [](auto& p, const Call& c) {
        some_inputs(c, 1);
        format(p.format);
        floating(c.in(0));
        require(is_floating(p.dtype), "a result that is not floating");
        whole_groups(p.format, c.in(0));
        global_scales(p.format, c, 1, c.in(0));
      }),
      check_of<QuantizedMatmulParams>(quantized_matmul_p, [](auto& p, const Call& c) {
        n_inputs(c, quantized_product(p, c));
        require(leading(c.in(0), 2) == leading(c.in(1), 2), "a product of different batches");
      }),
      check_of<QuantizedMatmulParams>(gather_qmm_p, [](auto& p, const Call& c) {
        int n = quantized_product(p, c);
        n_inputs(c, n + 2);
        require(leading(c.in(0), 3) == leading(c.in(1), 3), "a product of different batches");
        index_vectors(c, n, leading(c.in(0), 3));
      }),
      check_of<NoParams>(to_fp8_p, [](auto&, const Call& c) {
        n_inputs(c, 1);
        floating(c.in(0));
      }),
      check_of<Fp8Params>(from_fp8_p, [](auto& p, const Call& c) {
        n_inputs(c, 1);
        dtype_is(c.in(0), Dtype::uint8);
        require(is_floating(p.dtype), "a result that is not floating");
      }),
  };
}

}  // namespace mx::exporting
