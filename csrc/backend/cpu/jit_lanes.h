// jit_lanes.h — the lane types of lanes.h whose operations write code: each appends a node to the graph that this thread
// is building. Instantiating a vector function with them gives its instructions.
#pragma once

#include <bit>

#include "backend/cpu/jit_ir.h"

namespace mx::cpu::jit {

/// The graph that lane values of this thread belong to.
inline thread_local Graph* building = nullptr;

template <class R>
constexpr Type kFloat = sizeof(R) == 8 ? Type::f64 : Type::f32;
template <class R>
constexpr Type kInt = sizeof(R) == 8 ? Type::i64 : Type::i32;

/// The mask of floats of type R.
template <class R>
constexpr Type kMask = sizeof(R) == 8 ? Type::m64 : Type::m32;

template <class R>
struct LaneF;

template <class R>
struct LaneM {
  Id id;
  friend LaneM operator&(LaneM a, LaneM b) { return {building->add(Op::mask_and, kMask<R>, {a.id, b.id})}; }
  friend LaneM operator|(LaneM a, LaneM b) { return {building->add(Op::mask_or, kMask<R>, {a.id, b.id})}; }
  friend LaneM operator^(LaneM a, LaneM b) { return {building->add(Op::mask_xor, kMask<R>, {a.id, b.id})}; }
  friend LaneM operator!(LaneM a) { return {building->add(Op::mask_not, kMask<R>, {a.id})}; }
  friend LaneM select(LaneM m, LaneM a, LaneM b) { return {building->select(kMask<R>, m.id, a.id, b.id)}; }
};

template <class R>
struct LaneI {
  using M = LaneM<R>;
  static constexpr Type type = kInt<R>;
  Id id;
  static LaneI of(int64_t x) { return {building->constant(type, static_cast<uint64_t>(x))}; }
  friend LaneI operator+(LaneI a, LaneI b) { return {building->add(Op::iadd, type, {a.id, b.id})}; }
  friend LaneI operator-(LaneI a, LaneI b) { return {building->add(Op::isub, type, {a.id, b.id})}; }
  friend LaneI operator&(LaneI a, LaneI b) { return {building->add(Op::and_, type, {a.id, b.id})}; }
  friend LaneI operator|(LaneI a, LaneI b) { return {building->add(Op::or_, type, {a.id, b.id})}; }
  friend LaneI operator^(LaneI a, LaneI b) { return {building->add(Op::xor_, type, {a.id, b.id})}; }
  friend LaneI operator<<(LaneI a, int k) { return {building->shift(Op::shl, type, a.id, k)}; }
  friend LaneI operator>>(LaneI a, int k) { return {building->shift(Op::sar, type, a.id, k)}; }
  friend LaneI shift_right(LaneI a, int k) { return {building->shift(Op::shr, type, a.id, k)}; }
  friend M operator==(LaneI a, LaneI b) { return {building->compare(Op::icompare, Compare::eq, type, a.id, b.id)}; }
  friend M operator!=(LaneI a, LaneI b) { return {building->compare(Op::icompare, Compare::ne, type, a.id, b.id)}; }
  friend M operator<(LaneI a, LaneI b) { return {building->compare(Op::icompare, Compare::lt, type, a.id, b.id)}; }
  friend M operator>(LaneI a, LaneI b) { return {building->compare(Op::icompare, Compare::gt, type, a.id, b.id)}; }
  friend LaneI select(M m, LaneI a, LaneI b) { return {building->select(type, m.id, a.id, b.id)}; }
  friend LaneF<R> as_float(LaneI i) { return {i.id}; }
  friend LaneF<R> to_float(LaneI i) { return {building->to_float(kFloat<R>, i.id)}; }
};

template <class Real>
struct LaneF {
  using R = Real;
  using I = LaneI<R>;
  using M = LaneM<R>;
  static constexpr Type type = kFloat<R>;
  Id id;

  static LaneF of(R x) { return {building->of_float(type, x)}; }

  friend LaneF operator+(LaneF a, LaneF b) { return {building->add(Op::add, type, {a.id, b.id})}; }
  friend LaneF operator-(LaneF a, LaneF b) { return {building->add(Op::sub, type, {a.id, b.id})}; }
  friend LaneF operator*(LaneF a, LaneF b) { return {building->add(Op::mul, type, {a.id, b.id})}; }
  friend LaneF operator/(LaneF a, LaneF b) { return {building->add(Op::div, type, {a.id, b.id})}; }
  friend LaneF operator-(LaneF a) { return {building->add(Op::xor_, I::type, {a.id, sign()})}; }
  friend LaneF fma(LaneF a, LaneF b, LaneF c) { return {building->add(Op::fma, type, {a.id, b.id, c.id})}; }
  friend LaneF fnma(LaneF a, LaneF b, LaneF c) { return {building->add(Op::fnma, type, {a.id, b.id, c.id})}; }
  friend LaneF min(LaneF a, LaneF b) { return {building->add(Op::min, type, {a.id, b.id})}; }
  friend LaneF max(LaneF a, LaneF b) { return {building->add(Op::max, type, {a.id, b.id})}; }
  friend LaneF abs(LaneF a) {
    return {building->add(Op::and_, I::type, {a.id, building->constant(I::type, type == Type::f64 ? ~uint64_t(0) >> 1 : ~uint32_t(0) >> 1)})};
  }
  friend LaneF sqrt(LaneF a) { return {building->add(Op::sqrt, type, {a.id})}; }
  friend LaneF floor(LaneF a) { return rounded(a, Rounding::down); }
  friend LaneF ceil(LaneF a) { return rounded(a, Rounding::up); }
  friend LaneF trunc(LaneF a) { return rounded(a, Rounding::zero); }
  friend LaneF round(LaneF a) { return rounded(a, Rounding::nearest); }

  friend M operator<(LaneF a, LaneF b) { return compared(Compare::lt, a, b); }
  friend M operator<=(LaneF a, LaneF b) { return compared(Compare::le, a, b); }
  friend M operator>(LaneF a, LaneF b) { return compared(Compare::gt, a, b); }
  friend M operator>=(LaneF a, LaneF b) { return compared(Compare::ge, a, b); }
  friend M operator==(LaneF a, LaneF b) { return compared(Compare::eq, a, b); }
  friend M operator!=(LaneF a, LaneF b) { return compared(a.id == b.id ? Compare::unordered : Compare::ne, a, b); }

  friend I bits(LaneF a) { return {a.id}; }
  friend I to_int(LaneF a) { return {building->to_int(type, a.id)}; }
  friend LaneF scale(LaneF a, LaneF n) { return {building->scale(type, a.id, n.id)}; }
  friend LaneF select(M m, LaneF a, LaneF b) { return {building->select(type, m.id, a.id, b.id)}; }

  friend LaneF repair(M rare, LaneF x, LaneF y, R (*f)(R)) {
    return {building->repair(type, {rare.id, x.id, y.id}, reinterpret_cast<const void*>(f))};
  }
  friend LaneF repair(M rare, LaneF x1, LaneF x2, LaneF y, R (*f)(R, R)) {
    return {building->repair(type, {rare.id, x1.id, x2.id, y.id}, reinterpret_cast<const void*>(f))};
  }

 private:
  static Id sign() { return building->constant(I::type, type == Type::f64 ? uint64_t(1) << 63 : uint64_t(1) << 31); }
  static LaneF rounded(LaneF a, Rounding r) { return {building->add(Op::round, type, {a.id}, static_cast<uint16_t>(r))}; }
  static M compared(Compare c, LaneF a, LaneF b) { return {building->compare(Op::compare, c, type, a.id, b.id)}; }
};

}  // namespace mx::cpu::jit
