// fast_attention_loops.inl — the templates behind the tables of fast_attention_loops.h, over a register type F of lanes.h.
// Included by one .cpp file for each instruction set, inside its target pragma and unnamed namespace.

template <class F, class Fold>
typename F::R fold_lanes(F v, Fold fold) {
  typename F::R x[F::lanes];
  v.store(x);
  for (int width = F::lanes; width > 1; width /= 2) {
    for (int i = 0; i < width / 2; ++i) x[i] = fold(x[2 * i], x[2 * i + 1]);
  }
  return x[0];
}
template <class F>
typename F::R sum_of_lanes(F v) {
  return fold_lanes(v, [](auto x, auto y) { return x + y; });
}

template <class F>
typename F::R largest(const typename F::R* x, int64_t n) {
  using R = typename F::R;
  R most = -std::numeric_limits<R>::infinity();
  int64_t i = 0;
  if (n >= F::lanes) {
    F a = F::of(most), b = a;
    for (; i + 2 * F::lanes <= n; i += 2 * F::lanes) {
      a = max(F::load(x + i), a);
      b = max(F::load(x + i + F::lanes), b);
    }
    if (i + F::lanes <= n) a = max(F::load(x + i), a);
    // The last vector may overlap those before.
    b = max(F::load(x + n - F::lanes), b);
    return fold_lanes(max(a, b), [](R p, R q) { return p > q ? p : q; });
  }
  for (; i < n; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

template <class F>
typename F::R exponentials(typename F::R* x, typename F::R top, int64_t n) {
  F sum = F::of(0), less = F::of(top);
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) {
    F e = vector_math::exp_of_negative(F::load(x + i) - less);
    e.store(x + i);
    sum = sum + e;
  }
  if (i < n) {
    int rest = static_cast<int>(n - i);
    vector_math::exp_of_negative(F::load(x + i, rest) - less).store(x + i, rest);
    sum = sum + F::load(x + i, rest);
  }
  return sum_of_lanes(sum);
}

template <class F>
void scale_row(typename F::R* x, typename F::R by, int64_t n) {
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) (F::load(x + i) * F::of(by)).store(x + i);
  for (; i < n; ++i) x[i] *= by;
}

template <class F>
typename F::R inner(const typename F::R* x, const typename F::R* y, int64_t n) {
  F a = F::of(0), b = a;
  int64_t i = 0;
  for (; i + 2 * F::lanes <= n; i += 2 * F::lanes) {
    a = fma(F::load(x + i), F::load(y + i), a);
    b = fma(F::load(x + i + F::lanes), F::load(y + i + F::lanes), b);
  }
  typename F::R sum = sum_of_lanes(a + b);
  for (; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

template <class F>
void centre(const typename F::R* w, typename F::R mean, typename F::R* y, int64_t n) {
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) (F::load(w + i) * (F::load(y + i) - F::of(mean))).store(y + i);
  for (; i < n; ++i) y[i] = w[i] * (y[i] - mean);
}

template <class F>
constexpr ScoreLoops<typename F::R> make_score_loops() {
  return {largest<F>, exponentials<F>, scale_row<F>, inner<F>, centre<F>};
}
