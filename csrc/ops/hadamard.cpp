// hadamard.cpp — the Walsh-Hadamard transform: linear, and its transpose is the transform with the transposed matrix
// (which differs for m = 20 and 28). The matrices are in backend/cpu/hadamard.cpp.

#include "ops/hadamard.h"

#include <cmath>

#include "ops/cast.h"
#include "ops/movement.h"

namespace mx {

namespace {

array node(const array& a, const HadamardParams& p) { return make_node(hadamard_p, p, {a}, a.type()); }

bool has_matrix(int64_t n) {
  int64_t odd = n;
  while (odd > 0 && odd % 2 == 0) odd /= 2;
  int64_t powers = n > 0 ? n / odd : 0;
  return odd == 1 || ((odd == 3 || odd == 5 || odd == 7) && powers >= 4);
}

}  // namespace

const Primitive hadamard_p = define<HadamardParams>({
    .name = "hadamard",
    .infer = [](auto&, const Call& c) { return c.in(0).type(); },
    .jvp = [](auto& p, const Call&, int, const array& t) { return node(t, p); },
    .vjp = [](auto& p, const Call&, int, const array& ct) { return node(ct, {p.scale, !p.transposed}); },
    .vmap = [](auto& p, const Batch& b) { return node(b.in(0), p); },
});

array hadamard_transform(const array& a, std::optional<double> scale) {
  if (a.ndim() == 0) return reshape(hadamard_transform(reshape(a, {1}), scale), {});
  int64_t n = a.shape(-1);
  if (!has_matrix(n)) {
    throw ValueError(cat("[hadamard_transform] no matrix of this size: the last axis of a, ", a.shape(), ", has size ", n,
                         "; need m * 2**k with m in (1, 12, 20, 28)."));
  }
  return node(astype(a, at_least_float(a.dtype())), {scale.value_or(1 / std::sqrt(static_cast<double>(n)))});
}

}  // namespace mx
