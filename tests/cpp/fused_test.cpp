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

namespace {

// ---- programs with rows. Numbers stay whole and small, so that sums are exact in any order.

bool real_number(Dtype t) { return !is_complex(t) && !is_bool(t); }

// An instruction for full or per-row operands; false if the draw does not fit. `stacked`: there are axes before a row's.
bool add_row_instr(Program& p, bool stacked, int& growth) {
  std::vector<Level> levels = p.levels();
  size_t n = p.n_values();
  auto usable = [&](size_t v) { return levels[v] != Level::per_column || v < p.inputs.size(); };
  auto a = static_cast<uint16_t>(pick(n));
  if (!usable(a)) return false;
  Instr i;
  i.in = i.out = p.dtype(a);
  i.a = i.b = i.c = a;
  for (int tries = 0; tries < 12; ++tries) {
    auto other = static_cast<uint16_t>(pick(n));
    if (usable(other) && p.dtype(other) == i.in) (tries % 2 ? i.b : i.c) = other;
  }
  // Nothing is computed of columns alone.
  auto together = [&](const Instr& x) {
    uint8_t l = 0;
    for (int k = 0; k < x.n_operands(); ++k) l |= static_cast<uint8_t>(levels[x.operand(k)]);
    return static_cast<Level>(l) != Level::per_column;
  };
  switch (pick(8)) {
    case 0:
      i.cast = true;
      i.out = kDtypes[pick(6)];
      break;
    case 1: i.code = BinaryOp::less; break;
    case 2:
      if (!real_number(i.in)) return false;
      i.code = BinaryOp::maximum;
      break;
    case 3:
      if (!real_number(i.in)) return false;
      i.code = UnaryOp::negative;
      break;
    case 4:
      if (is_bool(i.in) || ++growth > 2) return false;
      i.code = BinaryOp::add;
      break;
    case 5: {
      if (levels[a] != Level::full || (is_complex(i.in) && pick(2))) return false;
      i.reduce = is_complex(i.in) ? Reduce::sum : pick(2) ? Reduce::max : Reduce::min;
      if (pick(2) && growth < 2) growth = 2, i.reduce = Reduce::sum;
      if (i.reduce == Reduce::sum && !is_complex(i.in) && !is_floating(i.in)) i.out = is_unsigned(i.in) ? Dtype::uint32 : Dtype::int32;
      if (is_bool(i.in) && i.reduce != Reduce::sum) i.out = Dtype::bool_;
      i.b = i.c = 0;
      // Without such axes the operation that a column reduction stands for is none: it keeps -0, where a sum gives 0.
      i.columns = pick(4) == 0 && stacked;
      if (!i.columns) break;
      p.code.push_back(i);
      p.outputs.push_back(static_cast<uint16_t>(p.n_values() - 1));
      return true;
    }
    default:
      for (uint16_t cond = 0; cond < n; ++cond) {
        if (!is_bool(p.dtype(cond)) || !usable(cond) || pick(2)) continue;
        i.code = TernaryOp::select;
        i.c = i.b, i.b = a;
        i.a = cond;
        break;
      }
      if (i.code.arity == 0) return false;
  }
  if (i.code.arity == 2 && i.code != ElementwiseCode(TernaryOp::select)) i.out = result_dtype(i.code, i.in);
  if (!together(i)) return false;
  p.code.push_back(i);
  return true;
}

array whole_numbers(Shape shape, Dtype t) {
  return astype(random::randint(array(is_unsigned(t) ? 0 : -4), array(5), shape), t);
}

array row_input(const Shape& whole, int k, Level level, Dtype t) {
  auto first = whole.begin() + (static_cast<ptrdiff_t>(whole.size()) - k);
  Shape lead(whole.begin(), first), row(first, whole.end());
  switch (level) {
    case Level::single: return reshape(whole_numbers({}, t), Shape(pick(3), 1));
    case Level::per_row: {
      array x = pick(2) && !lead.empty() ? flip(whole_numbers(lead, t), 0) : whole_numbers(lead, t);
      if (pick(2)) return x;
      Shape ones(lead);
      for (int i = 0; i < k; ++i) ones.push_back(1);
      return reshape(x, ones);
    }
    case Level::per_column: {
      if (pick(2)) return whole_numbers(row, t);
      Shape ones(lead.size(), 1);
      for (int64_t n : row) ones.push_back(n);
      return pick(2) ? reshape(whole_numbers(row, t), ones) : flip(reshape(whole_numbers(row, t), ones), -1);
    }
    default: break;
  }
  array x = whole_numbers(whole, t);
  switch (pick(6)) {
    case 0: return x;
    case 1: return broadcast_to(whole_numbers(row, t), whole);
    case 2: return broadcast_to(slice_along(x, -1, 0, std::min<int64_t>(1, whole.back())), whole);
    case 3: return transpose(contiguous(transpose(x)));
    case 4: return flip(x, 0);
    default: return broadcast_to(whole_numbers({}, t), whole);
  }
}

}  // namespace

TEST_CASE("a fused program with rows gives what its operations give") {
  const std::pair<Shape, int> shapes[] = {{{5}, 1}, {{4, 5}, 1}, {{4, 5}, 2}, {{3, 1}, 1}, {{1, 40}, 1}, {{2, 3, 7}, 2}, {{30, 100}, 1}, {{7, 3000}, 1},
                                          {{2, 20000}, 1}, {{40000}, 1}, {{200, 33}, 1}, {{6, 5, 64}, 1}, {{0, 4}, 1}, {{3, 0}, 1}, {{60, 10}, 1}, {{2, 200, 150}, 2}};
  for (int round = 0; round < 1500; ++round) {
    CAPTURE(round);
    auto [shape, k] = shapes[pick(std::size(shapes))];
    bool empty_rows = shape.back() == 0;
    auto program = std::make_shared<Program>();
    Program& p = *program;
    p.row_axes = k;
    size_t n_in = 1 + pick(4);
    for (size_t i = 0; i < n_in; ++i) {
      p.inputs.push_back(kDtypes[pick(std::size(kDtypes))]);
      p.input_levels.push_back(i == 0 ? Level::full : static_cast<Level>(pick(4)));
    }
    for (size_t i = pick(3); i-- > 0;) p.constants.push_back({kDtypes[5 + pick(2)], 1});
    int growth = 0;
    for (size_t i = 0, wanted = 1 + pick(14); i < 200 && p.code.size() < wanted; ++i) add_row_instr(p, static_cast<int>(shape.size()) > k, growth);
    if (empty_rows && std::any_of(p.code.begin(), p.code.end(), [](const Instr& i) { return i.reduce == Reduce::max || i.reduce == Reduce::min; })) continue;
    if (shape[0] == 0 && std::any_of(p.code.begin(), p.code.end(), [](const Instr& i) { return i.columns && i.reduce != Reduce::sum; })) continue;
    std::vector<Level> levels = p.levels();
    for (size_t i = 0, n = 1 + pick(3); i < n; ++i) {
      size_t v = pick(p.n_values());
      if (levels[v] == Level::per_column) continue;
      p.outputs.push_back(static_cast<uint16_t>(v));
    }
    if (p.outputs.empty()) continue;
    for (size_t i = 0; i < p.outputs.size(); ++i) p.squeezed.push_back(pick(2));
    SmallVector<array, 3> inputs;
    for (size_t i = 0; i < n_in; ++i) inputs.push_back(row_input(shape, k, p.input_levels[i], p.inputs[i]));
    eval(Arrays(inputs.begin(), inputs.end()));
    Arrays fused = make_nodes(fused_p, FusedParams{program}, inputs);
    Outs apart = fused_p.expand(fused[0].call()->params, Call(*fused[0].node()->call));
    for (size_t o = 0; o < p.outputs.size(); ++o) {
      CAPTURE(o);
      REQUIRE(same_bits(fused[o], apart[o]));
    }
    // With inputs that nobody else holds.
    SmallVector<array, 3> fresh;
    for (const array& x : inputs) fresh.push_back(copy(x));
    eval(Arrays(fresh.begin(), fresh.end()));
    Arrays donated = make_nodes(fused_p, FusedParams{program}, std::move(fresh));
    for (size_t o = 0; o < p.outputs.size(); ++o) REQUIRE(same_bits(donated[o], apart[o]));
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
