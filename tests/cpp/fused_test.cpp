// Fused programs give the bits that their operations give one by one, for any layout of the inputs.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "compile/program.h"
#include "mx.h"

using namespace mx;

namespace {

std::mt19937 rng(1);
size_t pick(size_t n) { return rng() % n; }

const Dtype kDtypes[] = {Dtype::float32, Dtype::float16, Dtype::bfloat16, Dtype::float64, Dtype::int32, Dtype::uint8, Dtype::bool_, Dtype::complex64};

// An instruction that is valid for operands among the first n values of the program.
Instr random_instr(const Program& p, size_t n) {
  Instr i;
  auto a = static_cast<uint16_t>(pick(n)), b = a, c = a;
  i.in = i.out = p.dtype(a);
  // Other operands of the same dtype.
  for (int tries = 0; tries < 8; ++tries) {
    auto other = static_cast<uint16_t>(pick(n));
    if (p.dtype(other) == i.in) (tries % 2 ? b : c) = other;
  }
  i.a = a;
  bool boolean = is_bool(i.in);
  switch (pick(boolean ? 3 : 6)) {
    case 0:
      i.cast = true;
      i.out = kDtypes[pick(std::size(kDtypes))];
      return i;
    case 1:
      for (uint16_t cond = 0; cond < n; ++cond) {
        if (!is_bool(p.dtype(cond))) continue;
        i.code = TernaryOp::select;
        i.a = cond;
        i.b = b;
        i.c = c;
        return i;
      }
      [[fallthrough]];
    case 2:
      i.code = BinaryOp::equal;
      break;
    case 3:
      i.code = UnaryOp::negative;
      return i;
    case 4:
      i.code = BinaryOp::multiply;
      break;
    default:
      i.code = BinaryOp::add;
  }
  i.b = b;
  i.out = result_dtype(i.code, i.in);
  return i;
}

array random_input(const Shape& shape, Dtype t) {
  array x = astype(multiply(random::uniform(array(-4.0f), array(4.0f), shape), array(2.0f)), t);
  switch (pick(5)) {
    case 0: return x;
    case 1: return shape.empty() ? x : broadcast_to(slice_along(x, 0, 0, std::min<int64_t>(1, shape[0])), shape);
    case 2: return broadcast_to(astype(array(3), t), shape);
    case 3: return shape.size() < 2 ? x : transpose(contiguous(transpose(x)));
    default: return shape.empty() ? x : flip(x, 0);
  }
}

bool same_bits(const array& a, const array& b) {
  array x = contiguous(a), y = contiguous(b);
  eval({x, y});
  return x.type() == y.type() && (x.size() == 0 || std::memcmp(x.bytes(), y.bytes(), x.n_bytes()) == 0);
}

}  // namespace

TEST_CASE("a fused program gives the bits of its operations") {
  const Shape shapes[] = {{}, {1}, {7}, {0}, {1000}, {40, 50}, {3, 1025}, {5000}, {123, 321}};
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const Shape& shape = shapes[pick(std::size(shapes))];
    auto program = std::make_shared<Program>();
    size_t n_in = 1 + pick(3), n_const = pick(3), n_code = 1 + pick(12);
    for (size_t k = 0; k < n_in; ++k) program->inputs.push_back(kDtypes[pick(std::size(kDtypes))]);
    for (size_t k = 0; k < n_const; ++k) program->constants.push_back({kDtypes[5 + pick(2)], 1});
    for (size_t k = 0; k < n_code; ++k) program->code.push_back(random_instr(*program, program->n_values()));
    size_t n_out = 1 + pick(3);
    for (size_t k = 0; k < n_out; ++k) program->outputs.push_back(static_cast<uint16_t>(pick(program->n_values())));

    SmallVector<array, 3> inputs;
    for (Dtype t : program->inputs) inputs.push_back(random_input(shape, t));
    eval(Arrays(inputs.begin(), inputs.end()));
    Arrays fused = make_nodes(fused_p, FusedParams{program}, inputs);
    Outs apart = fused_p.expand(fused[0].call()->params, Call(*fused[0].node()->call));
    for (size_t k = 0; k < n_out; ++k) CHECK(same_bits(fused[k], apart[k]));

    // Once more with inputs that nobody else holds: a single output may take their memory.
    SmallVector<array, 3> fresh;
    for (const array& x : inputs) fresh.push_back(copy(x));
    eval(Arrays(fresh.begin(), fresh.end()));
    Arrays donated = make_nodes(fused_p, FusedParams{program}, std::move(fresh));
    for (size_t k = 0; k < n_out; ++k) CHECK(same_bits(donated[k], fused[k]));
  }
}

TEST_CASE("results that are too large for the caches are streamed") {
  auto program = std::make_shared<Program>();
  program->inputs = {Dtype::float32, Dtype::float32};
  Instr square, add;
  square.code = BinaryOp::multiply;
  add.code = BinaryOp::add;
  add.a = 2;
  add.b = 1;
  program->code = {square, add};
  program->outputs = {3, 3};
  Shape shape{(9 << 20) + 5};
  array x = arange(shape[0], Dtype::float32), y = broadcast_to(array(1.0f), shape);
  Arrays fused = make_nodes(fused_p, FusedParams{program}, {x, y});
  array expected = x * x + y;
  CHECK(same_bits(fused[0], expected));
  CHECK(same_bits(fused[1], expected));
}
