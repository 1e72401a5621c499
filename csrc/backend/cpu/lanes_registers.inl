// lanes_registers.inl — the lane types of lanes.h that are registers, for any instruction set. No include guard: lanes_*.h
// include it in their own unnamed namespace, behind the functions below that differ between the sets (in `set`), for
// Vf<float> and Vf<double>; Vm<R> is what comparisons of them give:
//
//   fma min max sqrt  floor ceil trunc round  less less_equal equal not_equal  choose any lanes_of  to_int to_float scale
//   load store (the first n lanes of memory)
//
// Beyond the vocabulary of lanes.h, for loops:  F::lanes, F::load(p), F::load(p, n), a.store(p), a.store(p, n); what a partial
// load leaves out is 0.

template <class R>
struct FloatLanes;

template <class R>
struct MaskLanes {
  Vm<R> v;
  friend MX_INLINE MaskLanes operator&(MaskLanes a, MaskLanes b) { return {static_cast<Vm<R>>(a.v & b.v)}; }
  friend MX_INLINE MaskLanes operator|(MaskLanes a, MaskLanes b) { return {static_cast<Vm<R>>(a.v | b.v)}; }
  friend MX_INLINE MaskLanes operator^(MaskLanes a, MaskLanes b) { return {static_cast<Vm<R>>(a.v ^ b.v)}; }
  friend MX_INLINE MaskLanes operator!(MaskLanes a) { return {static_cast<Vm<R>>(~a.v)}; }
};

template <class R>
struct IntLanes {
  using M = MaskLanes<R>;
  using T = IntOf<R>;
  Vi<R> v;
  static MX_INLINE IntLanes of(int64_t x) { return {static_cast<T>(x) - Vi<R>{}}; }
  friend MX_INLINE IntLanes operator+(IntLanes a, IntLanes b) { return {(Vi<R>)((Vu<R>)a.v + (Vu<R>)b.v)}; }
  friend MX_INLINE IntLanes operator-(IntLanes a, IntLanes b) { return {(Vi<R>)((Vu<R>)a.v - (Vu<R>)b.v)}; }
  friend MX_INLINE IntLanes operator&(IntLanes a, IntLanes b) { return {a.v & b.v}; }
  friend MX_INLINE IntLanes operator|(IntLanes a, IntLanes b) { return {a.v | b.v}; }
  friend MX_INLINE IntLanes operator^(IntLanes a, IntLanes b) { return {a.v ^ b.v}; }
  friend MX_INLINE IntLanes operator<<(IntLanes a, int k) { return {(Vi<R>)((Vu<R>)a.v << k)}; }
  friend MX_INLINE IntLanes operator>>(IntLanes a, int k) { return {a.v >> k}; }
  friend MX_INLINE IntLanes shift_right(IntLanes a, int k) { return {(Vi<R>)((Vu<R>)a.v >> k)}; }
  friend MX_INLINE M operator==(IntLanes a, IntLanes b) { return {set::equal(a.v, b.v)}; }
  friend MX_INLINE M operator!=(IntLanes a, IntLanes b) { return !(a == b); }
  friend MX_INLINE M operator<(IntLanes a, IntLanes b) { return {set::less(a.v, b.v)}; }
  friend MX_INLINE M operator>(IntLanes a, IntLanes b) { return b < a; }
  friend MX_INLINE IntLanes select(M m, IntLanes a, IntLanes b) { return {(Vi<R>)set::choose(m.v, (Vf<R>)a.v, (Vf<R>)b.v)}; }
  friend MX_INLINE FloatLanes<R> as_float(IntLanes i) { return {(Vf<R>)i.v}; }
  friend MX_INLINE FloatLanes<R> to_float(IntLanes i) { return {set::to_float(i.v)}; }
};

template <class Real>
struct FloatLanes {
  using R = Real;
  using I = IntLanes<R>;
  using M = MaskLanes<R>;
  static constexpr int lanes = kRegisterBytes / sizeof(R);
  Vf<R> v;

  // x - 0, for 0 + x would turn -0 into 0.
  static MX_INLINE FloatLanes of(R x) { return {x - Vf<R>{}}; }
  static MX_INLINE FloatLanes load(const R* p) {
    Vf<R> v;
    __builtin_memcpy(&v, p, sizeof(v));
    return {v};
  }
  static MX_INLINE FloatLanes load(const R* p, int n) { return {set::load(p, n)}; }
  MX_INLINE void store(R* p) const { __builtin_memcpy(p, &v, sizeof(v)); }
  MX_INLINE void store(R* p, int n) const { set::store(p, n, v); }

  friend MX_INLINE FloatLanes operator+(FloatLanes a, FloatLanes b) { return {a.v + b.v}; }
  friend MX_INLINE FloatLanes operator-(FloatLanes a, FloatLanes b) { return {a.v - b.v}; }
  friend MX_INLINE FloatLanes operator*(FloatLanes a, FloatLanes b) { return {a.v * b.v}; }
  friend MX_INLINE FloatLanes operator/(FloatLanes a, FloatLanes b) { return {a.v / b.v}; }
  friend MX_INLINE FloatLanes operator-(FloatLanes a) { return as_float(bits(a) ^ sign()); }
  friend MX_INLINE FloatLanes fma(FloatLanes a, FloatLanes b, FloatLanes c) { return {set::fma(a.v, b.v, c.v)}; }
  friend MX_INLINE FloatLanes fnma(FloatLanes a, FloatLanes b, FloatLanes c) { return {set::fnma(a.v, b.v, c.v)}; }
  friend MX_INLINE FloatLanes min(FloatLanes a, FloatLanes b) { return {set::min(a.v, b.v)}; }
  friend MX_INLINE FloatLanes max(FloatLanes a, FloatLanes b) { return {set::max(a.v, b.v)}; }
  friend MX_INLINE FloatLanes abs(FloatLanes a) { return as_float(bits(a) & I::of(std::numeric_limits<IntOf<R>>::max())); }
  friend MX_INLINE FloatLanes sqrt(FloatLanes a) { return {set::sqrt(a.v)}; }
  friend MX_INLINE FloatLanes floor(FloatLanes a) { return {set::floor(a.v)}; }
  friend MX_INLINE FloatLanes ceil(FloatLanes a) { return {set::ceil(a.v)}; }
  friend MX_INLINE FloatLanes trunc(FloatLanes a) { return {set::trunc(a.v)}; }
  friend MX_INLINE FloatLanes round(FloatLanes a) { return {set::round(a.v)}; }

  friend MX_INLINE M operator<(FloatLanes a, FloatLanes b) { return {set::less(a.v, b.v)}; }
  friend MX_INLINE M operator<=(FloatLanes a, FloatLanes b) { return {set::less_equal(a.v, b.v)}; }
  friend MX_INLINE M operator>(FloatLanes a, FloatLanes b) { return {set::less(b.v, a.v)}; }
  friend MX_INLINE M operator>=(FloatLanes a, FloatLanes b) { return {set::less_equal(b.v, a.v)}; }
  friend MX_INLINE M operator==(FloatLanes a, FloatLanes b) { return {set::equal(a.v, b.v)}; }
  friend MX_INLINE M operator!=(FloatLanes a, FloatLanes b) { return {set::not_equal(a.v, b.v)}; }

  friend MX_INLINE I bits(FloatLanes a) { return {(Vi<R>)a.v}; }
  friend MX_INLINE I to_int(FloatLanes a) { return {set::to_int(a.v)}; }
  friend MX_INLINE FloatLanes scale(FloatLanes a, FloatLanes n) { return {set::scale(a.v, n.v)}; }
  friend MX_INLINE FloatLanes select(M m, FloatLanes a, FloatLanes b) { return {set::choose(m.v, a.v, b.v)}; }

  friend MX_INLINE FloatLanes repair(M rare, FloatLanes x, FloatLanes y, R (*f)(R)) {
    if (__builtin_expect(set::any(rare.v), 0)) repaired(rare, x, y, f);
    return y;
  }
  friend MX_INLINE FloatLanes repair(M rare, FloatLanes x1, FloatLanes x2, FloatLanes y, R (*f)(R, R)) {
    if (__builtin_expect(set::any(rare.v), 0)) repaired(rare, x1, x2, y, f);
    return y;
  }

 private:
  static MX_INLINE I sign() { return I::of(std::numeric_limits<IntOf<R>>::min()); }
  // By reference: GCC 12 clears the upper half of a register that holds a returned structure.
  static __attribute__((noinline, cold)) void repaired(M rare, FloatLanes x, FloatLanes& y, R (*f)(R)) {
    unsigned which = set::lanes_of(rare.v);
    for (int i = 0; i < lanes; ++i) {
      if (which >> i & 1) y.v[i] = f(x.v[i]);
    }
  }
  static __attribute__((noinline, cold)) void repaired(M rare, FloatLanes x1, FloatLanes x2, FloatLanes& y, R (*f)(R, R)) {
    unsigned which = set::lanes_of(rare.v);
    for (int i = 0; i < lanes; ++i) {
      if (which >> i & 1) y.v[i] = f(x1.v[i], x2.v[i]);
    }
  }

 public:
#ifdef MX_LANES_UNFUSED
  static constexpr bool unfused = true;
#endif
};

using F32 = FloatLanes<float>;
using F64 = FloatLanes<double>;
