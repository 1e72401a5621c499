// The tables' primitives and astype: equal shapes, and a dtype that the row computes in.

#include "export/check.h"
#include "ops/cast_params.h"
#include "ops/elementwise_params.h"

namespace mx::exporting {

namespace {

void elementwise(const Call& c, int arity, Accepts accepts) {
  n_inputs(c, arity);
  for (int i = 0; i < arity; ++i) {
    same_shape(c.in(i), c.in(0));
    same_dtype(c.in(i), c.in(0));
  }
  require(computes_in(accepts, c.in(0).dtype()), "a dtype that the operation does not take");
}

}  // namespace

Checks elementwise_checks() {
  Checks checks;
#define UNARY(NAME, ACCEPTS, ...) \
  checks.push_back(check_of<NoParams>(NAME##_p, [](auto&, const Call& c) { elementwise(c, 1, Accepts::ACCEPTS); }));
#include "ops/unary.def"
#define BINARY(NAME, ACCEPTS, ...) \
  checks.push_back(check_of<NoParams>(NAME##_p, [](auto&, const Call& c) { elementwise(c, 2, Accepts::ACCEPTS); }));
#include "ops/binary.def"
  checks.push_back(check_of<NoParams>(select_p, [](auto&, const Call& c) {
    n_inputs(c, 3);
    dtype_is(c.in(0), Dtype::bool_);
    same_dtype(c.in(1), c.in(2));
    same_shape(c.in(1), c.in(2));
    same_shape(c.in(0), c.in(1));
  }));
  checks.push_back(check_of<CastParams>(astype_p, [](auto&, const Call& c) { n_inputs(c, 1); }));
  return checks;
}

}  // namespace mx::exporting
