// jacobian.cpp — the basis vectors are one-hot rows made from a running index, and vmap over that index is the batch:
// so a chunk of rows costs only its own memory. Start at jacfwd().

#include "transforms/jacobian.h"

#include <numeric>

#include "graph/marker.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/movement.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "transforms/vmap.h"

namespace mx {

namespace {

int64_t total_size(const Arrays& xs) {
  return std::accumulate(xs.begin(), xs.end(), int64_t{0}, [](int64_t n, const array& x) { return n + x.size(); });
}

// Basis vector `index` of the space of arrays like `xs`.
Arrays basis_vector(const Arrays& xs, const array& index) {
  Arrays out;
  int64_t offset = 0;
  for (const array& x : xs) {
    array places = reshape(arange(offset, offset + x.size(), int64_t{1}, Dtype::int64), x.shape());
    out.push_back(astype(equal(places, broadcast_to(index, x.shape())), x.dtype()));
    offset += x.size();
  }
  return out;
}

// A linear map applied to the whole basis of arrays like `xs`, with an axis for the basis in front of each result.
Arrays apply_to_basis(const Function& linear, const Arrays& xs, std::optional<int64_t> chunk_size) {
  int64_t n = total_size(xs);
  if (n == 1) {
    // Without a batch of one in every operation: the gradient of a scalar is the usual case.
    Arrays ones, rows;
    for (const array& x : xs) ones.push_back(ones_like(x));
    for (const array& y : linear(ones)) rows.push_back(expand_dims(y, 0));
    return rows;
  }
  Function row = [&](const Arrays& index) { return linear(basis_vector(xs, index[0])); };
  return vmap(row, {arange(int64_t{0}, n, int64_t{1}, Dtype::int64)}, {0}, [](size_t m) { return BatchAxes(m, 0); },
              {.axis_size = {}, .chunk_size = chunk_size});
}

// The part of `rows` for each of `xs`, its basis axis unfolded into the shape of x.
Arrays unfold(const array& rows, const Arrays& xs) {
  Arrays out;
  int64_t offset = 0;
  for (const array& x : xs) {
    Shape shape = x.shape();
    for (int axis = 1; axis < rows.ndim(); ++axis) shape.push_back(rows.shape(axis));
    out.push_back(reshape(slice_along(rows, 0, offset, offset + x.size()), shape));
    offset += x.size();
  }
  return out;
}

void check_inexact(const char* op, const char* what, const Arrays& xs) {
  for (size_t i = 0; i < xs.size(); ++i) {
    if (is_inexact(xs[i].dtype())) continue;
    throw TransformError(cat("[", op, "] ", what, " ", i, " has dtype ", xs[i].dtype(), "; need a floating or complex dtype. Use astype."));
  }
}

// A call of f on marks of the primals; its trace lives as long.
struct Traced {
  LiveTrace trace;
  Arrays marks, outs;
  Traced(const char* op, const Function& f, const Arrays& primals) {
    check_inexact(op, "primal", primals);
    marks = mark(primals);
    outs = f(marks);
    check_inexact(op, "output", outs);
  }
};

Arrays zeros_for_undefined(Arrays xs, const Arrays& like) {
  for (size_t i = 0; i < xs.size(); ++i) {
    if (!xs[i].defined()) xs[i] = zeros_like(like[i]);
  }
  return xs;
}

}  // namespace

Jacobian jacfwd(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size) {
  Traced call("jacfwd", f, primals);
  Arrays& outs = call.outs;
  Function pushforward = [&](const Arrays& ts) { return zeros_for_undefined(push(outs, call.marks, ts, call.trace.since()), outs); };
  Arrays rows = apply_to_basis(pushforward, primals, chunk_size);
  Jacobian j{std::move(outs), {}};
  for (const array& r : rows) {
    Arrays blocks = unfold(r, primals);
    for (size_t i = 0; i < blocks.size(); ++i) {
      // (in..., out...) -> (out..., in...)
      Axes axes;
      int n_in = primals[i].ndim();
      for (int a = 0; a < blocks[i].ndim(); ++a) axes.push_back((a + n_in) % blocks[i].ndim());
      blocks[i] = transpose(blocks[i], axes);
    }
    j.blocks.push_back(std::move(blocks));
  }
  return j;
}

Jacobian jacrev(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size) {
  Traced call("jacrev", f, primals);
  Arrays& outs = call.outs;
  for (size_t k = 0; k < outs.size(); ++k) {
    for (size_t i = 0; i < primals.size(); ++i) {
      if (is_complex(outs[k].dtype()) == is_complex(primals[i].dtype())) continue;
      throw TransformError(cat("[jacrev] output ", k, " has dtype ", outs[k].dtype(), " but primal ", i, " has dtype ", primals[i].dtype(),
                               "; need both real or both complex. Use jacfwd for complex outputs of real primals."));
    }
  }
  Function pullback = [&](const Arrays& cts) { return zeros_for_undefined(pull(outs, cts, call.marks, call.trace.since()), primals); };
  Arrays rows = apply_to_basis(pullback, outs, chunk_size);
  Jacobian j{outs, std::vector<Arrays>(outs.size())};
  for (array& r : rows) {
    // A pullback multiplies by the conjugate.
    if (is_complex(r.dtype())) r = conjugate(r);
    Arrays blocks = unfold(r, outs);
    for (size_t k = 0; k < outs.size(); ++k) j.blocks[k].push_back(blocks[k]);
  }
  return j;
}

namespace {

std::vector<int> all_of(const Arrays& xs) {
  std::vector<int> all(xs.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

Jacobian hessian(const Function& f, const Arrays& primals, std::optional<int64_t> chunk_size) {
  return jacfwd([&](const Arrays& xs) { return value_and_grad(f, xs, all_of(xs)).second; }, primals, chunk_size);
}

std::pair<Arrays, Arrays> hvp(const Function& f, const Arrays& primals, const Arrays& tangents) {
  Arrays values;
  Function gradient = [&](const Arrays& xs) {
    auto [outs, grads] = value_and_grad(f, xs, all_of(xs));
    values = std::move(outs);
    return grads;
  };
  Arrays products = jvp(gradient, primals, tangents).second;
  return {std::move(values), std::move(products)};
}

}  // namespace mx
