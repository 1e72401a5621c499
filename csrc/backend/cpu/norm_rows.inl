// norm_rows.inl — the functions of norm_rows.h over the lane types of the file that includes it (inside an unnamed namespace).

// A register of a row: the lanes from i on, all of them or the first `count`.
template <class F>
struct Whole {
  using R = typename F::R;
  int64_t i;
  MX_INLINE F operator()(const R* p) const { return F::load(p + i); }
  MX_INLINE void store(R* p, F v) const { v.store(p + i); }
  MX_INLINE F masked(F v) const { return v; }
};
template <class F>
struct Part {
  using R = typename F::R;
  int64_t i;
  int count;
  MX_INLINE F operator()(const R* p) const { return F::load(p + i, count); }
  MX_INLINE void store(R* p, F v) const { v.store(p + i, count); }
  /// v where there are elements, else 0.
  MX_INLINE F masked(F v) const {
    R ones[F::lanes];
    for (R& e : ones) e = 1;
    return select(F::load(ones, count) == F::of(0), F::of(0), v);
  }
};

template <class F, class G>
MX_INLINE void each(int64_t n, G&& f) {
  int64_t i = 0;
  for (; i + F::lanes <= n; i += F::lanes) f(Whole<F>{i});
  if (i < n) f(Part<F>{i, static_cast<int>(n - i)});
}

/// out[q] = term[q](0) + term[q](1) + ... + term[q](n - 1), where f(at, term) fills the terms of a register.
template <int kTerms, class F, class G>
MX_INLINE void lane_sums(int64_t n, typename F::R* out, G&& f) {
  using R = typename F::R;
  constexpr int kRegisters = 256 / (F::lanes * static_cast<int>(sizeof(R))), kBlock = kRegisters * F::lanes;
  F sums[kTerms][kRegisters];
  for (auto& s : sums) {
    for (F& e : s) e = F::of(0);
  }
  auto add = [&](auto at, int k) {
    F term[kTerms];
    f(at, term);
    for (int q = 0; q < kTerms; ++q) sums[q][k] = sums[q][k] + at.masked(term[q]);
  };
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    for (int k = 0; k < kRegisters; ++k) add(Whole<F>{i + k * F::lanes}, k);
  }
  for (int k = 0; i < n; ++k, i += F::lanes) {
    if (i + F::lanes <= n) {
      add(Whole<F>{i}, k);
    } else {
      add(Part<F>{i, static_cast<int>(n - i)}, k);
    }
  }
  for (int q = 0; q < kTerms; ++q) {
    R lane[kBlock];
    for (int k = 0; k < kRegisters; ++k) sums[q][k].store(lane + k * F::lanes);
    for (int half = kBlock / 2; half > 0; half /= 2) {
      for (int j = 0; j < half; ++j) lane[j] += lane[j + half];
    }
    out[q] = lane[0];
  }
}

/// The mean (0 unless centred) and one over the root mean square of what is left.
template <class R>
struct Moments {
  R mean, scale;
};
template <class F>
MX_INLINE Moments<typename F::R> moments(const typename F::R* x, int64_t n, typename F::R eps, bool centred) {
  using R = typename F::R;
  R count = static_cast<R>(n), mean = 0, square;
  if (centred) {
    lane_sums<1, F>(n, &mean, [=](auto at, F* term) { term[0] = at(x); });
    mean /= count;
    // What the rounding of the mean left out, so that equal elements less their mean are zero.
    R sums[2];
    F first = F::of(mean);
    lane_sums<2, F>(n, sums, [=](auto at, F* term) {
      term[0] = at(x) - first;
      term[1] = term[0] * term[0];
    });
    R rest = sums[0] / count;
    mean += rest;
    square = sums[1] / count - rest * rest;
    if (square < 0) square = 0;
  } else {
    lane_sums<1, F>(n, &square, [=](auto at, F* term) { term[0] = at(x) * at(x); });
    square /= count;
  }
  R root;
  sqrt(F::of(square + eps)).store(&root, 1);
  return {mean, R(1) / root};
}

template <class F>
void norm_row(const typename F::R* x, const typename F::R* weight, const typename F::R* bias, typename F::R* y, int64_t n,
              typename F::R eps, bool centred) {
  auto m = moments<F>(x, n, eps, centred);
  F mean = F::of(m.mean), scale = F::of(m.scale);
  if (weight && bias) {
    each<F>(n, [=](auto at) { at.store(y, (at(x) - mean) * scale * at(weight) + at(bias)); });
  } else if (weight) {
    each<F>(n, [=](auto at) { at.store(y, (at(x) - mean) * scale * at(weight)); });
  } else if (bias) {
    each<F>(n, [=](auto at) { at.store(y, (at(x) - mean) * scale + at(bias)); });
  } else {
    each<F>(n, [=](auto at) { at.store(y, (at(x) - mean) * scale); });
  }
}

template <class F>
void norm_vjp_row(const typename F::R* x, const typename F::R* ct, const typename F::R* weight, typename F::R* dx, typename F::R* dw,
                  typename F::R* db, int64_t n, typename F::R eps, bool centred) {
  using R = typename F::R;
  auto m = moments<F>(x, n, eps, centred);
  F mean = F::of(m.mean), scale = F::of(m.scale);
  R sums[2];
  auto g = [=](auto at) { return weight ? at(ct) * at(weight) : at(ct); };
  lane_sums<2, F>(n, sums, [=](auto at, F* term) {
    term[0] = g(at);
    term[1] = term[0] * (at(x) - mean);
  });
  F of_g = F::of(centred ? sums[0] / static_cast<R>(n) : R(0)), of_gu = F::of(sums[1] * (m.scale * m.scale / static_cast<R>(n)));
  each<F>(n, [=](auto at) {
    F left = at(x) - mean, c = at(ct), of_x = scale * (g(at) - of_g - left * of_gu);
    if (dw) at.store(dw, at(dw) + c * (left * scale));
    if (db) at.store(db, at(db) + c);
    at.store(dx, of_x);
  });
}
