// Generated code gives the bits that the plain loops give one instruction after another, for every operation, dtype,
// length, and for programs that need more registers than there are.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "backend/cpu/jit.h"
#include "backend/cpu/jit_memory.h"
#include "backend/cpu/loops.h"

using namespace mx;
using namespace mx::cpu;
using jit::InstructionSet;

namespace {

constexpr Dtype kDtypes[] = {Dtype::float32, Dtype::float64, Dtype::bool_, Dtype::int32, Dtype::uint32, Dtype::float16, Dtype::bfloat16,
                             Dtype::int8,    Dtype::uint8,   Dtype::int16, Dtype::uint16, Dtype::int64, Dtype::uint64};

std::vector<InstructionSet> instruction_sets() {
  auto best = jit::best_instruction_set();
  if (best == InstructionSet::none) return {};
  if (best == InstructionSet::avx2) return {best};
  return {InstructionSet::avx2, InstructionSet::avx512};
}

Dtype held(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16 ? Dtype::float32 : t; }

using Bytes = std::vector<std::byte>;
/// `n` elements of dtype t at `misaligned` elements behind an address that is aligned to 64 bytes.
struct Elements {
  Dtype t;
  int64_t n;
  Bytes memory;
  size_t offset;
  Elements(Dtype dtype, int64_t count, int64_t misaligned = 0) : t(dtype), n(count), memory(static_cast<size_t>(count + misaligned + 8) * 8 + 128) {
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    offset = (64 - address % 64) % 64 + static_cast<size_t>(misaligned) * mx::size_of(t);
  }
  Elements(const Elements& other) : Elements(other.t, other.n) { std::memcpy(data(), other.data(), n_bytes()); }
  Elements(Elements&&) = default;
  std::byte* data() { return memory.data() + offset; }
  const std::byte* data() const { return memory.data() + offset; }
  size_t n_bytes() const { return static_cast<size_t>(n) * mx::size_of(t); }
};

Elements cast(const Elements& x, Dtype to) {
  Elements y(to, x.n);
  const void* in[3] = {x.data(), nullptr, nullptr};
  find_cast(x.t, to)(in, y.data(), x.n);
  return y;
}

/// Equal bits, or both NaN.
bool same(const Elements& a, const Elements& b, int64_t* where = nullptr) {
  if (std::memcmp(a.data(), b.data(), a.n_bytes()) == 0) return true;
  size_t size = mx::size_of(a.t);
  Elements x = cast(a, Dtype::float64), y = cast(b, Dtype::float64);
  for (int64_t i = 0; i < a.n; ++i) {
    if (std::memcmp(a.data() + static_cast<size_t>(i) * size, b.data() + static_cast<size_t>(i) * size, size) == 0) continue;
    double u, v;
    std::memcpy(&u, x.data() + i * 8, 8);
    std::memcpy(&v, y.data() + i * 8, 8);
    if (is_floating(a.t) && u != u && v != v) continue;
    if (where) *where = i;
    return false;
  }
  return true;
}

struct Results {
  std::vector<Elements> out;
  std::vector<uint64_t> reduced;
};

/// Instruction by instruction over whole arrays.
Results expected(const LoopBody& body, const std::vector<Elements>& in, int64_t n) {
  std::vector<Elements> values;
  auto whole = [&](Dtype t, const void* element, bool scalar) {
    Elements x(t, n);
    size_t size = mx::size_of(t);
    if (!scalar) std::memcpy(x.data(), element, x.n_bytes());
    for (int64_t i = 0; i < n && scalar; ++i) std::memcpy(x.data() + static_cast<size_t>(i) * size, element, size);
    return x;
  };
  for (size_t k = 0; k < in.size(); ++k) values.push_back(whole(in[k].t, in[k].data(), body.inputs[k].scalar));
  for (const Constant& c : body.constants) values.push_back(whole(c.dtype, &c.bits, true));
  for (const Instr& s : body.code) {
    std::vector<Elements> operands;
    const void* at[3] = {};
    uint16_t names[] = {s.a, s.b, s.c};
    int arity = s.cast ? 1 : s.code.arity;
    for (int k = 0; k < arity; ++k) operands.push_back(s.cast ? values[names[k]] : cast(values[names[k]], held(values[names[k]].t)));
    for (int k = 0; k < arity; ++k) at[k] = operands[static_cast<size_t>(k)].data();
    Elements y(s.cast ? s.out : held(s.out), n);
    Loop loop = s.cast ? find_cast(s.in, s.out) : find_loop(s.code, held(s.in));
    bool found = loop != nullptr;
    REQUIRE(found);
    loop(at, y.data(), n);
    values.push_back(cast(y, s.out));
  }
  Results r;
  for (const auto& o : body.outputs) r.out.push_back(values[o.value]);
  for (const auto& q : body.reduced) {
    Elements x = cast(values[q.value], held(values[q.value].t));
    uint64_t y = 0;
    reduce_loops(q.op, x.t).row(x.data(), n, &y);
    r.reduced.push_back(y);
  }
  return r;
}

Results run(const LoopCode& code, const LoopBody& body, const std::vector<Elements>& in, const std::vector<Dtype>& out, int64_t n, int64_t misaligned = 0) {
  Results r;
  std::vector<const void*> from;
  std::vector<void*> to, reduced;
  for (const auto& x : in) from.push_back(x.data());
  for (Dtype t : out) {
    r.out.emplace_back(t, n, misaligned);
    // Nothing may be written behind the end.
    std::memset(r.out.back().data() + r.out.back().n_bytes(), 0x5a, 64);
  }
  for (auto& x : r.out) to.push_back(x.data());
  r.reduced.assign(body.reduced.size(), 0);
  for (auto& x : r.reduced) reduced.push_back(&x);
  code.run(from.data(), to.data(), reduced.data(), n);
  for (auto& x : r.out) {
    for (size_t k = 0; k < 64; ++k) CHECK(x.data()[x.n_bytes() + k] == std::byte{0x5a});
  }
  return r;
}

Dtype dtype_of_value(const LoopBody& body, size_t v) {
  if (v < body.inputs.size()) return body.inputs[v].dtype;
  v -= body.inputs.size();
  return v < body.constants.size() ? body.constants[v].dtype : body.code[v - body.constants.size()].out;
}

/// Numbers of every kind: special values first, then random ones of all sizes.
Elements numbers(Dtype t, int64_t n, std::mt19937& rng) {
  constexpr double inf = INFINITY;
  static const double kSpecial[] = {0.0,  -0.0, 1,    -1,   0.5,  -0.5, 1.5,   2.5,   -2.5,   inf,    -inf,      NAN,       1e-45,     -1e-40, 1.2e-38, 3.4e38,
                                    -3e38, 2e9, -2.2e9, 4e9, 5e9, 255, 256, -129, 65535, 65536, 1e-310, 1e300, 88.5, -103, 127, -128};
  Elements x(Dtype::float64, n);
  for (int64_t i = 0; i < n; ++i) {
    double v;
    switch (rng() % 4) {
      case 0: v = kSpecial[rng() % std::size(kSpecial)]; break;
      case 1: v = static_cast<int>(rng() % 21) - 10; break;
      case 2: v = std::ldexp(static_cast<double>(rng()) / 4e9 - 0.5, static_cast<int>(rng() % 80) - 40); break;
      default: v = static_cast<double>(rng()) / 1e9 - 2;
    }
    if (is_integer(t) && rng() % 2) v = static_cast<double>(static_cast<int64_t>(rng()) - (int64_t(1) << 31));
    std::memcpy(x.data() + i * 8, &v, 8);
  }
  return cast(x, t);
}

constexpr int kTrials = 30;
const int64_t kLengths[] = {0, 1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 100, 127, 128, 129, 333};

/// Whether there is code, after checking what it computes.
bool check(const LoopBody& body, std::mt19937& rng, InstructionSet set, std::vector<int64_t> lengths) {
  auto code = jit::generate_code_for(body, set);
  if (!code) return false;
  std::vector<Dtype> out;
  for (const auto& o : body.outputs) out.push_back(dtype_of_value(body, o.value));
  for (int64_t n : lengths) {
    std::vector<Elements> in;
    for (const auto& i : body.inputs) in.push_back(numbers(i.dtype, i.scalar ? 1 : n, rng));
    Results a = run(*code, body, in, out, n, static_cast<int64_t>(rng() % 4)), b = expected(body, in, n);
    for (size_t k = 0; k < out.size(); ++k) {
      int64_t at = -1;
      bool equal = same(a.out[k], b.out[k], &at);
      INFO("set ", static_cast<int>(set), " n ", n, " output ", k, " element ", at, " of ", name(out[k]));
      if (!equal) {
        Elements x = cast(a.out[k], Dtype::float64), y = cast(b.out[k], Dtype::float64);
        double u, v;
        std::memcpy(&u, x.data() + at * 8, 8);
        std::memcpy(&v, y.data() + at * 8, 8);
        INFO("got ", u, " instead of ", v);
        CHECK(equal);
      }
      CHECK(equal);
    }
    if (n > kPiece) continue;
    for (size_t k = 0; k < body.reduced.size(); ++k) {
      Dtype t = held(dtype_of_value(body, body.reduced[k].value));
      Elements x(t, 1), y(t, 1);
      std::memcpy(x.data(), &a.reduced[k], x.n_bytes());
      std::memcpy(y.data(), &b.reduced[k], y.n_bytes());
      INFO("set ", static_cast<int>(set), " n ", n, " reduction ", k, " of ", name(t));
      CHECK(same(x, y));
    }
  }
  return true;
}

LoopBody one_row(ElementwiseCode code, Dtype t) {
  LoopBody b;
  Instr s;
  s.code = code;
  s.in = t;
  s.out = result_dtype(code, t);
  for (int k = 0; k < code.arity; ++k) b.inputs.push_back({code.arity == 3 && k == 0 ? Dtype::bool_ : t, false});
  s.b = 1;
  s.c = 2;
  b.code.push_back(s);
  b.outputs.push_back({static_cast<uint16_t>(code.arity), false});
  return b;
}

Accepts accepted_by(ElementwiseCode code) {
  static constexpr Accepts kUnary[] = {
#define UNARY(NAME, ACCEPTS, ...) Accepts::ACCEPTS,
#include "ops/unary.def"
  };
  static constexpr Accepts kBinary[] = {
#define BINARY(NAME, ACCEPTS, ...) Accepts::ACCEPTS,
#include "ops/binary.def"
  };
  return code.arity == 1 ? kUnary[code.op] : code.arity == 2 ? kBinary[code.op] : Accepts::Any;
}

std::vector<ElementwiseCode> all_rows() {
  std::vector<ElementwiseCode> rows;
#define UNARY(NAME, ...) rows.push_back(UnaryOp::NAME);
#include "ops/unary.def"
#define BINARY(NAME, ...) rows.push_back(BinaryOp::NAME);
#include "ops/binary.def"
  rows.push_back(TernaryOp::select);
  return rows;
}

/// Which sign a computed NaN has is not defined: rows that show it are no part of longer programs.
bool shows_sign_of_nan(ElementwiseCode code) {
  return code == ElementwiseCode(UnaryOp::signbit) || code == ElementwiseCode(BinaryOp::copysign);
}

bool computes(ElementwiseCode code, Dtype t) { return !is_complex(t) && computes_in(accepted_by(code), t) && find_loop(code, held(t)); }

/// A random program of n instructions over a few dtypes.
LoopBody random_body(std::mt19937& rng, size_t n, const std::vector<Dtype>& dtypes, const std::vector<ElementwiseCode>& rows, InstructionSet set) {
  LoopBody b;
  auto pick = [&](size_t m) { return static_cast<size_t>(rng() % m); };
  size_t n_in = 1 + pick(5), n_constants = pick(4);
  for (size_t k = 0; k < n_in; ++k) b.inputs.push_back({dtypes[pick(dtypes.size())], k > 0 && pick(4) == 0});
  for (size_t k = 0; k < n_constants; ++k) {
    Constant c;
    c.dtype = dtypes[pick(dtypes.size())];
    Elements x = numbers(c.dtype, 1, rng);
    std::memcpy(&c.bits, x.data(), x.n_bytes());
    b.constants.push_back(c);
  }
  auto of_dtype = [&](Dtype t) -> int {
    size_t m = n_in + n_constants + b.code.size(), start = pick(m);
    // Late values rather than early ones, but any.
    if (pick(3)) start = m - 1 - pick(std::min<size_t>(m, 40));
    for (size_t k = 0; k < m; ++k) {
      size_t v = (start + m - k) % m;
      if (dtype_of_value(b, v) == t) return static_cast<int>(v);
    }
    return -1;
  };
  while (b.code.size() < n) {
    Instr s;
    s.in = dtypes[pick(dtypes.size())];
    int x = of_dtype(s.in);
    if (x < 0) continue;
    s.a = s.b = s.c = static_cast<uint16_t>(x);
    LoopBody alone;
    if (pick(6) == 0) {
      s.cast = true;
      s.out = dtypes[pick(dtypes.size())];
      alone.inputs.push_back({s.in, false});
      Instr only = s;
      only.a = only.b = only.c = 0;
      alone.code.push_back(only);
      alone.outputs.push_back({1, false});
    } else {
      s.code = rows[pick(rows.size())];
      if (!computes(s.code, s.in) || shows_sign_of_nan(s.code)) continue;
      s.out = result_dtype(s.code, s.in);
      if (s.code.arity == 2) s.b = static_cast<uint16_t>(of_dtype(s.in));
      if (s.code.arity == 3) {
        int m = of_dtype(Dtype::bool_);
        if (m < 0) continue;
        s.a = static_cast<uint16_t>(m);
        s.b = static_cast<uint16_t>(of_dtype(s.in));
      }
      alone = one_row(s.code, s.in);
    }
    if (jit::code_bytes(alone, set).empty()) continue;
    b.code.push_back(s);
  }
  size_t m = n_in + n_constants + n;
  b.outputs.push_back({static_cast<uint16_t>(m - 1), false});
  for (size_t k = pick(4); k-- > 0;) b.outputs.push_back({static_cast<uint16_t>(pick(m)), false});
  if (pick(3) == 0) {
    // Of a late value, an output or an input.
    auto v = static_cast<uint16_t>(pick(3) ? m - 1 - pick(std::min<size_t>(n, 5)) : pick(2) ? b.outputs.back().value : 0);
    Dtype t = held(dtype_of_value(b, v));
    bool sums = !is_bool(t) && mx::size_of(t) >= 4;
    static constexpr Reduction kAll[] = {Reduction::max, Reduction::min, Reduction::sum, Reduction::prod};
    b.reduced.push_back({v, kAll[pick(sums ? 4 : 2)]});
  }
  return b;
}

}  // namespace

TEST_CASE("generated code: every operation and dtype, all short lengths") {
  std::mt19937 rng(1);
  for (InstructionSet set : instruction_sets()) {
    int generated = 0, all = 0;
    for (ElementwiseCode code : all_rows()) {
      for (Dtype t : kDtypes) {
        if (!computes(code, t)) continue;
        INFO(elementwise_primitive(code).name, " of ", name(t));
        ++all;
        generated += check(one_row(code, t), rng, set, {std::begin(kLengths), std::end(kLengths)});
      }
    }
    MESSAGE("instruction set ", static_cast<int>(set), ": ", generated, " of ", all, " rows are generated");
    CHECK(generated > all / 3);
  }
}

TEST_CASE("generated code: casts between all dtypes") {
  std::mt19937 rng(2);
  for (InstructionSet set : instruction_sets()) {
    int generated = 0;
    for (Dtype from : kDtypes) {
      for (Dtype to : kDtypes) {
        INFO(name(from), " to ", name(to));
        LoopBody b;
        b.inputs.push_back({from, false});
        Instr s;
        s.cast = true;
        s.in = from;
        s.out = to;
        b.code.push_back(s);
        b.outputs.push_back({1, false});
        generated += check(b, rng, set, {0, 1, 7, 16, 17, 333, 1000});
      }
    }
    MESSAGE("instruction set ", static_cast<int>(set), ": ", generated, " casts are generated");
    CHECK(generated > 60);
  }
}

TEST_CASE("generated code: random programs, from a few instructions to many more values than registers") {
  std::mt19937 rng(3);
  auto rows = all_rows();
  const std::vector<std::vector<Dtype>> families = {
      {Dtype::float32, Dtype::bool_},
      {Dtype::float32, Dtype::float64, Dtype::bool_, Dtype::int32},
      {Dtype::float64, Dtype::bool_},
      {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::bool_},
      {Dtype::int32, Dtype::uint32, Dtype::int8, Dtype::uint8, Dtype::int16, Dtype::uint16, Dtype::bool_, Dtype::float32},
      {Dtype::int64, Dtype::uint64, Dtype::float64, Dtype::bool_, Dtype::int32, Dtype::float32},
  };
  for (InstructionSet set : instruction_sets()) {
    int generated = 0, all = 0;
    for (const auto& family : families) {
      for (int trial = 0; trial < kTrials; ++trial) {
        size_t n = trial % 10 == 9 ? 100 + rng() % 156 : 1 + rng() % 20;
        LoopBody body = random_body(rng, n, family, rows, set);
        INFO("trial ", trial, " of dtype ", name(family[0]), ", ", n, " instructions");
        ++all;
        generated += check(body, rng, set, {1, 15, 64, static_cast<int64_t>(rng() % 700), 1024 + static_cast<int64_t>(rng() % 100)});
      }
    }
    MESSAGE("instruction set ", static_cast<int>(set), ": ", generated, " of ", all, " programs are generated");
    CHECK(generated > all * 3 / 4);
  }
}

namespace {

/// y = sqrt(x * x + 1.5) of float32.
LoopBody small_body() {
  LoopBody b;
  b.inputs.push_back({Dtype::float32, false});
  b.constants.push_back({Dtype::float32, 0x3fc00000});
  auto add = [&](ElementwiseCode code, int x, int y) {
    Instr s;
    s.code = code;
    s.a = static_cast<uint16_t>(x);
    s.b = static_cast<uint16_t>(y);
    b.code.push_back(s);
  };
  add(BinaryOp::multiply, 0, 0);
  add(BinaryOp::add, 2, 1);
  add(UnaryOp::sqrt, 3, 0);
  b.outputs.push_back({4, false});
  return b;
}

}  // namespace

TEST_CASE("generated code: an output may be the memory of an input") {
  std::mt19937 rng(4);
  for (InstructionSet set : instruction_sets()) {
    for (int trial = 0; trial < 40; ++trial) {
      LoopBody body = random_body(rng, 1 + rng() % 60, {Dtype::float32, Dtype::bool_}, all_rows(), set);
      // The last value of the input's dtype goes to the memory of input 0.
      size_t m = body.inputs.size() + body.constants.size() + body.code.size(), v = m - 1;
      while (dtype_of_value(body, v) != body.inputs[0].dtype) --v;
      body.outputs[0].value = static_cast<uint16_t>(v);
      auto code = jit::generate_code_for(body, set);
      REQUIRE(code != nullptr);
      for (int64_t n : {5, 64, 257, 1300}) {
        std::vector<Elements> in;
        for (const auto& i : body.inputs) in.push_back(numbers(i.dtype, i.scalar ? 1 : n, rng));
        Results right = expected(body, in, n);
        std::vector<Elements> out;
        for (const auto& o : body.outputs) out.emplace_back(dtype_of_value(body, o.value), n);
        std::vector<const void*> from;
        std::vector<void*> to;
        for (const auto& x : in) from.push_back(x.data());
        for (auto& x : out) to.push_back(x.data());
        to[0] = in[0].data();
        uint64_t result = 0;
        void* reduced[] = {&result};
        code->run(from.data(), to.data(), reduced, n);
        if (!body.reduced.empty() && n <= kPiece) {
          Elements x(held(dtype_of_value(body, body.reduced[0].value)), 1), y(x.t, 1);
          std::memcpy(x.data(), &result, x.n_bytes());
          std::memcpy(y.data(), &right.reduced[0], y.n_bytes());
          CHECK(same(x, y));
        }
        CHECK(same(in[0], right.out[0]));
        for (size_t k = 1; k < out.size(); ++k) CHECK(same(out[k], right.out[k]));
      }
    }
  }
}

TEST_CASE("generated code: streaming stores give the same elements, wherever outputs lie") {
  std::mt19937 rng(5);
  for (InstructionSet set : instruction_sets()) {
    for (Dtype t : {Dtype::float32, Dtype::float64}) {
      LoopBody body = one_row(BinaryOp::add, t);
      body.outputs = {{2, true}, {0, false}, {1, true}};
      auto code = jit::generate_code_for(body, set);
      REQUIRE(code != nullptr);
      for (int64_t misaligned : {0, 1, 3, 7}) {
        for (int64_t n : {0, 1, 5, 16, 33, 1000}) {
          std::vector<Elements> in{numbers(t, n, rng), numbers(t, n, rng)};
          Results a = run(*code, body, in, {t, t, t}, n, misaligned), b = expected(body, in, n);
          for (size_t k = 0; k < 3; ++k) CHECK(same(a.out[k], b.out[k]));
        }
      }
    }
  }
}

TEST_CASE("generated code: reductions of many pieces are those of the interpreter") {
  std::mt19937 rng(6);
  for (InstructionSet set : instruction_sets()) {
    for (Dtype t : {Dtype::float32, Dtype::float64, Dtype::int32, Dtype::float16}) {
      LoopBody body = one_row(BinaryOp::multiply, t);
      body.outputs.clear();
      for (Reduction r : {Reduction::sum, Reduction::max, Reduction::min}) body.reduced.push_back({2, r});
      auto code = jit::generate_code_for(body, set);
      REQUIRE(code != nullptr);
      for (int64_t n : {1, 7, 63, 64, 1000, 1024, 1025, 5000, 70000}) {
        std::vector<Elements> in{numbers(t, n, rng), numbers(t, n, rng)};
        Results a = run(*code, body, in, {}, n), b = run(*interpret(body), body, in, {}, n);
        for (size_t k = 0; k < 3; ++k) {
          Elements x(held(t), 1), y(held(t), 1);
          std::memcpy(x.data(), &a.reduced[k], x.n_bytes());
          std::memcpy(y.data(), &b.reduced[k], y.n_bytes());
          INFO(name(t), " n ", n, " reduction ", k);
          CHECK(same(x, y));
        }
      }
      int64_t nothing = 0;
      Results a = run(*code, body, {numbers(t, nothing, rng), numbers(t, nothing, rng)}, {}, nothing);
      uint64_t zero = 0;
      CHECK(std::memcmp(&a.reduced[0], &zero, mx::size_of(held(t))) == 0);
    }
  }
}

TEST_CASE("generated code: long programs reduce in the order of the interpreter, too") {
  std::mt19937 rng(7);
  for (InstructionSet set : instruction_sets()) {
    for (int trial = 0; trial < 10; ++trial) {
      LoopBody body = random_body(rng, 40 + rng() % 60, {Dtype::float32, Dtype::bool_}, all_rows(), set);
      size_t v = body.inputs.size() + body.constants.size() + body.code.size() - 1;
      while (dtype_of_value(body, v) != Dtype::float32) --v;
      body.outputs = {{0, false}};
      body.reduced = {{static_cast<uint16_t>(v), Reduction::sum}};
      auto code = jit::generate_code_for(body, set);
      REQUIRE(code != nullptr);
      int64_t n = 10000;
      std::vector<Elements> in;
      for (const auto& i : body.inputs) in.push_back(numbers(i.dtype, i.scalar ? 1 : n, rng));
      float a = 0, b = 0;
      Elements out(body.inputs[0].dtype, n);
      std::vector<const void*> from;
      for (const auto& x : in) from.push_back(x.data());
      void *to[] = {out.data()}, *first[] = {&a}, *second[] = {&b};
      code->run(from.data(), to, first, n);
      interpret(body)->run(from.data(), to, second, n);
      bool same_sum = a == b || (a != a && b != b);
      CHECK(same_sum);
    }
  }
}

TEST_CASE("generated code: none where the system refuses executable memory, and again where it does not") {
  if (instruction_sets().empty()) return;
  jit::refuse_executable_memory(true);
  CHECK(!generate_code(small_body()));
  jit::refuse_executable_memory(false);
  CHECK(bool(generate_code(small_body())));
}

TEST_CASE("generated code: many codes at once, from many threads, released in any order") {
  if (instruction_sets().empty()) return;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&wrong, t] {
      std::mt19937 rng(static_cast<unsigned>(t));
      std::vector<std::shared_ptr<const LoopCode>> codes(20);
      std::vector<float> x(100, 2.0f), y(100);
      for (int k = 0; k < 400; ++k) {
        auto& code = codes[rng() % codes.size()];
        code = generate_code(small_body());
        const void* in[] = {x.data()};
        void* out[] = {y.data()};
        code->run(in, out, nullptr, 100);
        wrong += y[99] != std::sqrt(5.5f);
      }
    });
  }
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

#if defined(__linux__)
TEST_CASE("generated code: a forked process runs what there was, and makes its own") {
  if (instruction_sets().empty()) return;
  auto code = generate_code(small_body());
  pid_t child = fork();
  if (child == 0) {
    float x = 2, y = 0;
    const void* in[] = {&x};
    void* out[] = {&y};
    code->run(in, out, nullptr, 1);
    bool right = y == std::sqrt(5.5f);
    for (int k = 0; k < 50; ++k) {
      auto mine = generate_code(small_body());
      y = 0;
      mine->run(in, out, nullptr, 1);
      right &= y == std::sqrt(5.5f);
    }
    _exit(right ? 0 : 1);
  }
  for (int k = 0; k < 50; ++k) generate_code(small_body());
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}
#endif
