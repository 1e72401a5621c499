// cast.cpp — astype and view, and the primitives that pass their input on: stop_gradient, contiguous, depends.

#include "ops/cast.h"

#include "ops/cast_params.h"
#include "ops/movement.h"

namespace mx {

// Real to complex and complex to real are each other's transposes.
const Primitive astype_p = define<CastParams>({
    .name = "astype",
    .infer = [](auto& p, const Call& c) { return Type{p.dtype, c.in(0).shape()}; },
    .jvp = [](auto& p, const Call&, int, const array& t) -> Outs { return is_inexact(p.dtype) ? astype(t, p.dtype) : array(); },
    .vjp = [](auto& p, const Call& c, int, const Outs& ct) { return is_inexact(p.dtype) ? astype(ct, c.in(0).dtype()) : array(); },
    .vmap = [](auto& p, const Batch& b) { return astype(b.in(0), p.dtype); },
    .kind = Kind::elementwise,
});

array astype(const array& a, Dtype dtype) {
  if (a.dtype() == dtype) return a;
  return make_node(astype_p, CastParams{dtype}, {a}, {dtype, a.shape()});
}

namespace {

Shape viewed_shape(const Shape& shape, Dtype from, Dtype to) {
  int64_t a = static_cast<int64_t>(size_of(from)), b = static_cast<int64_t>(size_of(to));
  if (a == b) return shape;
  if (shape.empty()) {
    throw ValueError(cat("[view] a scalar cannot change its size: a is ", from, ", dtype is ", to, "; need dtypes of the same size. Reshape to (1,) first."));
  }
  Shape out = shape;
  if (out.back() * a % b != 0) {
    throw ValueError(cat("[view] the last axis does not divide: a has shape ", shape, " and dtype ", from, "; need a multiple of ",
                         b / a, " elements along the last axis to view them as ", to, "."));
  }
  out.back() = out.back() * a / b;
  return out;
}

}  // namespace

const Primitive view_p = define<CastParams>({
    .name = "view",
    .infer = [](auto& p, const Call& c) { return Type{p.dtype, viewed_shape(c.in(0).shape(), c.in(0).dtype(), p.dtype)}; },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      // The batch axis must not become the last one.
      if (b.shape(0).empty()) return reshape(view(reshape(b.in(0), {b.size(), 1}), p.dtype), {b.size()});
      return view(b.in(0), p.dtype);
    },
    .view = [](auto& p, const array& in, const Shape& out) -> std::optional<View> {
      int64_t a = static_cast<int64_t>(in.itemsize()), b = static_cast<int64_t>(size_of(p.dtype)), offset = in.storage().offset;
      if (a == b) return View{in.strides()};
      // Through rows of other sizes only where memory is in row order and starts on a whole element.
      if (!in.row_contiguous() || offset * a % b != 0) return std::nullopt;
      return View{row_strides(out), offset * a / b - offset};
    },
    .differentiable = false,
});

array view(const array& a, Dtype dtype) {
  if (a.dtype() == dtype) return a;
  // Bytes other than 0 and 1 are no bools.
  if (dtype == Dtype::bool_) return astype(view(a, Dtype::uint8), dtype);
  return make_node(view_p, CastParams{dtype}, {a}, {dtype, viewed_shape(a.shape(), a.dtype(), dtype)});
}

const Primitive stop_gradient_p = define<NoParams>({
    .name = "stop_gradient",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .vmap = [](auto&, const Batch& b) { return stop_gradient(b.in(0)); },
    .view = [](auto&, const array& in, const Shape&) -> std::optional<View> { return View{in.strides()}; },
    .differentiable = false,
});

array stop_gradient(const array& a) { return make_node(stop_gradient_p, {}, {a}, a.type()); }

namespace {

bool is_col_major(const Shape& shape, const Strides& strides) {
  Shape shape_t;
  Strides strides_t;
  for (size_t i = shape.size(); i-- > 0;) {
    shape_t.push_back(shape[i]);
    strides_t.push_back(strides[i]);
  }
  return is_row_contiguous(shape_t, strides_t);
}

array contiguous_with(const array& a, ContiguousParams p) { return make_node(contiguous_p, p, {a}, a.type()); }

}  // namespace

const Primitive contiguous_p = define<ContiguousParams>({
    .name = "contiguous",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call&, int, const array& t) { return contiguous_with(t, p); },
    .vjp = [](auto&, const Call&, int, const Outs& ct) { return ct[0]; },
    .vmap = [](auto& p, const Batch& b) -> Outs {
      // An example in column order is not a batch in column order.
      return contiguous_with(b.in(0), {false, p.always});
    },
    .view = [](auto& p, const array& in, const Shape& out) -> std::optional<View> {
      if (p.always) return std::nullopt;
      if (in.row_contiguous() || (p.allow_col_major && is_col_major(out, in.strides()))) return View{in.strides()};
      return std::nullopt;
    },
});

array contiguous(const array& a, bool allow_col_major) { return contiguous_with(a, {allow_col_major, false}); }
array copy(const array& a) { return contiguous_with(a, {false, true}); }

// The scheduler computes all inputs before it expands, and that is all there is to do.
const Primitive depends_p = define<DependsParams>({
    .name = "depends",
    .infer = [](auto& p, const Call& c) -> Inferred {
      Types types;
      for (int i = 0; i < p.n_out; ++i) types.push_back(c.in(i).type());
      return types;
    },
    .expand = [](auto& p, const Call& c) {
      Outs outs;
      for (int i = 0; i < p.n_out; ++i) outs.push_back(c.in(i));
      return outs;
    },
});

Arrays depends(const Arrays& inputs, const Arrays& dependencies) {
  if (inputs.empty()) return {};
  SmallVector<array, 3> all(inputs.begin(), inputs.end());
  for (const array& d : dependencies) all.push_back(d);
  return make_nodes(depends_p, DependsParams{static_cast<int>(inputs.size())}, std::move(all));
}

}  // namespace mx
