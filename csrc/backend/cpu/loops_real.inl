// loops_real.inl — the loops of loops_real.h over the lane types of the file that includes it (inside an unnamed namespace).
// What is left at the end is computed like the rest, in a register that is not full.

template <class Op, class F>
void unary_loop(const void* const* in, void* out, int64_t n) {
  using R = typename F::R;
  const R* x = static_cast<const R*>(in[0]);
  R* y = static_cast<R*>(out);
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) Op::of(F::load(x + i)).store(y + i);
  if (i < n) Op::of(F::load(x + i, static_cast<int>(n - i))).store(y + i, static_cast<int>(n - i));
}

template <class Op, class F>
void binary_loop(const void* const* in, void* out, int64_t n) {
  using R = typename F::R;
  const R *a = static_cast<const R*>(in[0]), *b = static_cast<const R*>(in[1]);
  R* y = static_cast<R*>(out);
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) Op::of(F::load(a + i), F::load(b + i)).store(y + i);
  int left = static_cast<int>(n - i);
  if (left > 0) Op::of(F::load(a + i, left), F::load(b + i, left)).store(y + i, left);
}

template <class F>
constexpr VectorLoops make_loops() {
  VectorLoops t = {};
#define ROW(NAME) t.unary[static_cast<int>(UnaryOp::NAME)] = unary_loop<vector_rows::unary_##NAME, F>;
  ROW(exp) ROW(expm1) ROW(log) ROW(log2) ROW(log10) ROW(log1p) ROW(sigmoid) ROW(erf) ROW(erfinv)
  ROW(sin) ROW(cos) ROW(tan) ROW(arcsin) ROW(arccos) ROW(arctan)
  ROW(sinh) ROW(cosh) ROW(tanh) ROW(arcsinh) ROW(arccosh) ROW(arctanh)
#undef ROW
#define ROW(NAME) t.binary[static_cast<int>(BinaryOp::NAME)] = binary_loop<vector_rows::binary_##NAME, F>;
  ROW(floor_divide) ROW(remainder) ROW(power) ROW(arctan2) ROW(hypot) ROW(logaddexp)
#undef ROW
  return t;
}
