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
typename F::R sum_of_exp(const typename F::R* x, int64_t n, typename F::R less) {
  using R = typename F::R;
  constexpr int kSums = 256 / (F::lanes * static_cast<int>(sizeof(R))), kBlock = kSums * F::lanes;
  F sums[kSums], shift = F::of(less);
  for (F& s : sums) s = F::of(0);
  auto add = [&](const R* from) {
    for (int k = 0; k < kSums; ++k) sums[k] = sums[k] + vector_math::exp_of_negative(F::load(from + k * F::lanes) - shift);
  };
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) add(x + i);
  R lane[kBlock];
  if (i < n) {
    for (R& e : lane) e = -std::numeric_limits<R>::infinity();
    std::memcpy(lane, x + i, static_cast<size_t>(n - i) * sizeof(R));
    add(lane);
  }
  for (int k = 0; k < kSums; ++k) sums[k].store(lane + k * F::lanes);
  for (int half = kBlock / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lane[j] += lane[j + half];
  }
  return lane[0];
}

template <class F>
void scaled_exp(const typename F::R* x, int64_t n, typename F::R less, typename F::R by, typename F::R* y) {
  F shift = F::of(less), factor = F::of(by);
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) (vector_math::exp_of_negative(F::load(x + i) - shift) * factor).store(y + i);
  int left = static_cast<int>(n - i);
  if (left > 0) (vector_math::exp_of_negative(F::load(x + i, left) - shift) * factor).store(y + i, left);
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
