// jit_lower.cpp — see jit_lower.h. A value of the body is one node: float32 (float16 and bfloat16 too, rounded after
// every instruction), float64, a 4-byte integer (shorter ones too, wrapped after every instruction), an 8-byte
// integer, or a mask (bool). Real arithmetic is in jit_real.cpp; integers, bools and casts are here.

#include "backend/cpu/jit_lower.h"

#include <bit>
#include <cstring>

#include "backend/cpu/jit_lanes.h"

namespace mx::cpu::jit {

namespace {

bool is_half(Dtype t) { return t == Dtype::float16 || t == Dtype::bfloat16; }

Type type_of(Dtype t) {
  switch (t) {
    case Dtype::bool_: return Type::m32;
    case Dtype::float64: return Type::f64;
    case Dtype::int64:
    case Dtype::uint64: return Type::i64;
    case Dtype::float16:
    case Dtype::bfloat16:
    case Dtype::float32: return Type::f32;
    default: return Type::i32;
  }
}

/// Rows whose results on float16 and bfloat16 values are such values again, so that rounding is superfluous.
bool exact(ElementwiseCode code) {
  if (code.arity == 3) return true;
  if (code.arity == 2) {
    switch (static_cast<BinaryOp>(code.op)) {
      case BinaryOp::maximum:
      case BinaryOp::minimum:
      case BinaryOp::copysign: return true;
      default: return false;
    }
  }
  switch (static_cast<UnaryOp>(code.op)) {
    case UnaryOp::abs:
    case UnaryOp::negative:
    case UnaryOp::sign:
    case UnaryOp::floor:
    case UnaryOp::ceil:
    case UnaryOp::trunc:
    case UnaryOp::rint: return true;
    default: return false;
  }
}

class Lowering {
 public:
  Lowering(const LoopBody& body, Graph& g) : body_(body), g_(g) {}

  bool run() {
    size_t n = body_.inputs.size() + body_.constants.size() + body_.code.size();
    for (size_t v = 0; v < n; ++v) {
      dtypes_.push_back(dtype_of_value(body_, v));
      if (is_complex(dtypes_[v])) return false;
    }
    ids_.assign(dtypes_.size(), kNone);
    size_t first = body_.inputs.size() + body_.constants.size();
    for (size_t i = 0; i < body_.code.size(); ++i) {
      if (!instruction(body_.code[i], ids_[first + i]) || g_.refused) return false;
    }
    uint16_t place = 0;
    auto store = [&](uint16_t v, Dtype memory, bool stream) {
      Id value = get(v);
      if (memory == Dtype::bool_) value = g_.mask(value, Type::m32);
      g_.stores.push_back({value, memory, place, stream});
    };
    for (const auto& o : body_.outputs) {
      store(o.value, dtypes_[o.value], o.stream);
      ++place;
    }
    for (size_t k = 0; k < body_.reduced.size(); ++k, ++place) {
      uint16_t v = body_.reduced[k].value;
      if (reduced_from(body_, k).kind == ReducedFrom::tile) store(v, held(dtypes_[v]), false);
    }
    return !g_.refused && !g_.stores.empty();
  }

 private:
  static constexpr Id kNone = ~Id(0);

  Id get(size_t value) {
    Id& id = ids_[value];
    if (id != kNone) return id;
    Dtype t = dtypes_[value];
    if (value < body_.inputs.size()) {
      return id = g_.leaf(body_.inputs[value].scalar ? Op::scalar : Op::input, type_of(t), t, static_cast<uint16_t>(value));
    }
    uint64_t bits = body_.constants[value - body_.inputs.size()].bits;
    size_t size = mx::size_of(t);
    if (size < 8) bits &= (uint64_t(1) << (8 * size)) - 1;
    switch (t) {
      case Dtype::bool_: bits = bits != 0; break;
      case Dtype::float16: bits = std::bit_cast<uint32_t>(float16_t::to_float(static_cast<uint16_t>(bits))); break;
      case Dtype::bfloat16: bits <<= 16; break;
      case Dtype::int8: bits = static_cast<uint32_t>(static_cast<int8_t>(bits)); break;
      case Dtype::int16: bits = static_cast<uint32_t>(static_cast<int16_t>(bits)); break;
      default: break;
    }
    return id = g_.constant(type_of(t), bits);
  }

  bool instruction(const Instr& s, Id& out) {
    Id in[3] = {};
    in[0] = get(s.a);
    if (!s.cast && s.code.arity > 1) in[1] = get(s.b);
    if (!s.cast && s.code.arity > 2) in[2] = get(s.c);
    if (s.cast) return cast(s.in, s.out, in[0], out);
    if (s.code.arity == 3) {
      Type t = type_of(s.in);
      if (is_mask(t)) {
        for (int k : {0, 1, 2}) in[k] = g_.mask(in[k], Type::m32);
      }
      out = g_.select(t, in[0], in[1], in[2]);
      return true;
    }
    if (s.in == Dtype::bool_) return bool_row(s.code, g_.mask(in[0], Type::m32), s.code.arity == 2 ? g_.mask(in[1], Type::m32) : 0, out);
    if (is_integer(s.in)) {
      if (!integer_row(s.code, s.in, in, out)) return false;
      if (s.out != Dtype::bool_) out = wrap(s.out, out);
      return true;
    }
    if (!real_row(g_, s.code, type_of(s.in), in, out)) return false;
    if (is_half(s.out) && !exact(s.code)) out = round_to(s.out, out);
    return true;
  }

  // ---- rounding and wrapping

  /// The nearest number of a half type, as float32.
  Id round_to(Dtype t, Id x) {
    if (t == Dtype::float16) return g_.add(Op::round_half, Type::f32, {x});
    if (t != Dtype::bfloat16) return x;
    // To even: add half of the last place, less one if that is even. NaN becomes quiet.
    Type i = Type::i32;
    Id odd = g_.add(Op::and_, i, {g_.shift(Op::shr, i, x, 16), g_.constant(i, 1)});
    Id up = g_.add(Op::iadd, i, {x, g_.add(Op::iadd, i, {odd, g_.constant(i, 0x7fff)})});
    Id nan = g_.add(Op::or_, i, {x, g_.constant(i, 0x400000)});
    Id y = g_.select(i, g_.compare(Op::compare, Compare::unordered, Type::f32, x, x), nan, up);
    return g_.add(Op::and_, i, {y, g_.constant(i, 0xffff0000u)});
  }
  /// The low bits of a 4-byte integer, extended again.
  Id wrap(Dtype t, Id x) {
    Type i = Type::i32;
    switch (t) {
      case Dtype::uint8: return g_.add(Op::and_, i, {x, g_.constant(i, 0xff)});
      case Dtype::uint16: return g_.add(Op::and_, i, {x, g_.constant(i, 0xffff)});
      case Dtype::int8: return g_.shift(Op::sar, i, g_.shift(Op::shl, i, x, 24), 24);
      case Dtype::int16: return g_.shift(Op::sar, i, g_.shift(Op::shl, i, x, 16), 16);
      default: return x;
    }
  }

  // ---- casts: the values of scalar/cast.h

  bool cast(Dtype from, Dtype to, Id x, Id& out) {
    Type a = type_of(from), y = type_of(to);
    if (from == to) {
      out = x;
    } else if (to == Dtype::bool_) {
      out = is_float(a) ? g_.compare(Op::compare, Compare::ne, a, x, g_.of_float(a, 0)) : g_.compare(Op::icompare, Compare::ne, a, x, g_.constant(a, 0));
    } else if (from == Dtype::bool_) {
      Id one = is_float(y) ? g_.of_float(y, 1) : g_.constant(y, 1);
      out = g_.select(y, x, one, g_.constant(y, 0));
    } else if (is_float(a) && is_float(y)) {
      if (a == Type::f64 && is_half(to)) return false;  // Rounds once, by way of an odd float32.
      if (a != y) x = g_.convert(Op::convert, a, y, x);
      out = is_half(to) ? round_to(to, x) : x;
    } else if (is_float(y)) {
      bool exact_in_float = mx::size_of(from) <= 2;
      if (is_half(to) && !exact_in_float) return false;
      bool is_wide_unsigned = from == Dtype::uint32 || from == Dtype::uint64;
      x = g_.convert(is_wide_unsigned ? Op::uconvert : Op::convert, a, y, x);
      out = is_half(to) ? round_to(to, x) : x;
    } else if (is_float(a)) {
      return float_to_int(a, to, x, out);
    } else {
      if (y == Type::i64 && a == Type::i32) x = g_.convert(is_signed_integer(from) || mx::size_of(from) < 4 ? Op::convert : Op::uconvert, a, y, x);
      if (y == Type::i32 && a == Type::i64) x = g_.convert(Op::convert, a, y, x);
      out = wrap(to, x);
    }
    return !g_.refused;
  }

  bool float_to_int(Type a, Dtype to, Id x, Id& out) {
    Type y = type_of(to);
    bool is_wide_unsigned = to == Dtype::uint32 || to == Dtype::uint64;
    int width = 8 * static_cast<int>(mx::size_of(to));
    auto number = [&](double v) { return g_.of_float(a, v); };
    auto greater = [&](Id l, Compare c, Id r) { return g_.compare(Op::compare, c, a, l, r); };
    if (is_wide_unsigned) {
      // Too large numbers become all bits by themselves; what is not above 0 (NaN too) is 0.
      if (!g_.features.wide_integers) return false;
      Id t = g_.convert(Op::utruncate, a, y, x);
      out = g_.select(y, greater(x, Compare::gt, number(0)), t, g_.constant(y, 0));
      return true;
    }
    if (width < 32) {
      // Into range first; NaN to 0.
      double low = is_signed_integer(to) ? -static_cast<double>(int64_t(1) << (width - 1)) : 0;
      double high = static_cast<double>((int64_t(1) << (is_signed_integer(to) ? width - 1 : width)) - 1);
      Id t = g_.select(a, greater(x, Compare::unordered, x), number(0), x);
      t = g_.add(Op::min, a, {g_.add(Op::max, a, {t, number(low)}), number(high)});
      out = g_.convert(Op::truncate, a, y, t);
      return !g_.refused;
    }
    // Too small numbers become the lowest one by themselves, as do too large ones and NaN.
    Id t = g_.convert(Op::truncate, a, y, x);
    uint64_t top = width == 64 ? ~uint64_t(0) >> 1 : ~uint32_t(0) >> 1;
    t = g_.select(y, greater(x, Compare::ge, number(width == 64 ? 0x1p63 : 0x1p31)), g_.constant(y, top), t);
    out = g_.select(y, greater(x, Compare::unordered, x), g_.constant(y, 0), t);
    return !g_.refused;
  }

  // ---- bools

  bool bool_row(ElementwiseCode code, Id a, Id b, Id& out) {
    Type m = Type::m32;
    auto no = [&](Id x) { return g_.add(Op::mask_not, m, {x}); };
    auto op = [&](Op o, Id x, Id y) { return g_.add(o, m, {x, y}); };
    if (code.arity == 1) {
      switch (static_cast<UnaryOp>(code.op)) {
        case UnaryOp::abs:
        case UnaryOp::square:
        case UnaryOp::sign: out = a; return true;
        case UnaryOp::isnan:
        case UnaryOp::isinf:
        case UnaryOp::signbit: out = g_.constant(m, 0); return true;
        case UnaryOp::isfinite: out = g_.constant(m, 1); return true;
        case UnaryOp::logical_not:
        case UnaryOp::bitwise_invert: out = no(a); return true;
        default: return false;
      }
    }
    switch (static_cast<BinaryOp>(code.op)) {
      case BinaryOp::add:
      case BinaryOp::maximum:
      case BinaryOp::logical_or:
      case BinaryOp::bitwise_or: out = op(Op::mask_or, a, b); return true;
      case BinaryOp::subtract:
      case BinaryOp::not_equal:
      case BinaryOp::logical_xor:
      case BinaryOp::bitwise_xor: out = op(Op::mask_xor, a, b); return true;
      case BinaryOp::multiply:
      case BinaryOp::floor_divide:
      case BinaryOp::minimum:
      case BinaryOp::logical_and:
      case BinaryOp::bitwise_and: out = op(Op::mask_and, a, b); return true;
      case BinaryOp::remainder: out = g_.constant(m, 0); return true;
      case BinaryOp::power:
      case BinaryOp::greater_equal: out = op(Op::mask_or, a, no(b)); return true;
      case BinaryOp::equal: out = no(op(Op::mask_xor, a, b)); return true;
      case BinaryOp::less: out = op(Op::mask_and, no(a), b); return true;
      case BinaryOp::less_equal: out = op(Op::mask_or, no(a), b); return true;
      case BinaryOp::greater: out = op(Op::mask_and, a, no(b)); return true;
      default: return false;
    }
  }

  // ---- integers

  bool integer_row(ElementwiseCode code, Dtype t, const Id* in, Id& out) {
    Type i = type_of(t);
    bool wide = i == Type::i64, is_signed = is_signed_integer(t);
    if (wide && !g_.features.wide_integers) return false;
    Id a = in[0], b = in[1], zero = g_.constant(i, 0);
    auto op = [&](Op o, Id x, Id y) { return g_.add(o, i, {x, y}); };
    auto compare = [&](Compare c, Id x, Id y) { return g_.compare(is_signed ? Op::icompare : Op::ucompare, c, i, x, y); };
    if (code.arity == 1) {
      switch (static_cast<UnaryOp>(code.op)) {
        case UnaryOp::abs: out = is_signed ? op(Op::imax, a, op(Op::isub, zero, a)) : a; return true;
        case UnaryOp::negative: out = op(Op::isub, zero, a); return true;
        case UnaryOp::square: out = op(Op::imul, a, a); return true;
        case UnaryOp::sign: {
          Id one = g_.constant(i, 1);
          out = is_signed ? op(Op::imax, op(Op::imin, a, one), g_.constant(i, ~uint64_t(0))) : op(Op::umin, a, one);
          return true;
        }
        case UnaryOp::isnan:
        case UnaryOp::isinf: out = g_.constant(Type::m32, 0); return true;
        case UnaryOp::isfinite: out = g_.constant(Type::m32, 1); return true;
        case UnaryOp::signbit: out = is_signed ? compare(Compare::lt, a, zero) : g_.constant(Type::m32, 0); return true;
        case UnaryOp::bitwise_invert: out = op(Op::xor_, a, g_.constant(i, ~uint64_t(0))); return true;
        default: return false;
      }
    }
    switch (static_cast<BinaryOp>(code.op)) {
      case BinaryOp::add: out = op(Op::iadd, a, b); return true;
      case BinaryOp::subtract: out = op(Op::isub, a, b); return true;
      case BinaryOp::multiply: out = op(Op::imul, a, b); return true;
      case BinaryOp::maximum: out = op(is_signed ? Op::imax : Op::umax, a, b); return true;
      case BinaryOp::minimum: out = op(is_signed ? Op::imin : Op::umin, a, b); return true;
      case BinaryOp::equal: out = compare(Compare::eq, a, b); return true;
      case BinaryOp::not_equal: out = compare(Compare::ne, a, b); return true;
      case BinaryOp::less: out = compare(Compare::lt, a, b); return true;
      case BinaryOp::less_equal: out = compare(Compare::le, a, b); return true;
      case BinaryOp::greater: out = compare(Compare::gt, a, b); return true;
      case BinaryOp::greater_equal: out = compare(Compare::ge, a, b); return true;
      case BinaryOp::bitwise_and: out = op(Op::and_, a, b); return true;
      case BinaryOp::bitwise_or: out = op(Op::or_, a, b); return true;
      case BinaryOp::bitwise_xor: out = op(Op::xor_, a, b); return true;
      // Counts of the width or more, and negative ones, push everything out. (Of short types too: their numbers are extended.)
      case BinaryOp::left_shift: out = op(Op::shlv, a, b); return true;
      case BinaryOp::right_shift: out = op(is_signed ? Op::sarv : Op::shrv, a, b); return true;
      default: return false;
    }
  }

  const LoopBody& body_;
  Graph& g_;
  std::vector<Dtype> dtypes_;
  std::vector<Id> ids_;  // Of each value, once it is needed.
};

}  // namespace

Dtype dtype_of_value(const LoopBody& body, size_t value) {
  if (value < body.inputs.size()) return body.inputs[value].dtype;
  value -= body.inputs.size();
  return value < body.constants.size() ? body.constants[value].dtype : body.code[value - body.constants.size()].out;
}

ReducedFrom reduced_from(const LoopBody& body, size_t k) {
  uint16_t v = body.reduced[k].value;
  if (is_half(dtype_of_value(body, v))) return {};
  if (v < body.inputs.size() && !body.inputs[v].scalar) return {ReducedFrom::input, v};
  for (size_t o = 0; o < body.outputs.size(); ++o) {
    if (body.outputs[o].value == v) return {ReducedFrom::output, static_cast<uint16_t>(o)};
  }
  return {};
}

bool lower(const LoopBody& body, Graph& graph) {
  building = &graph;
  bool done = Lowering(body, graph).run();
  building = nullptr;
  return done;
}

}  // namespace mx::cpu::jit
