// fft_lanes.inl — the templates behind fft_lanes.h, included by the file of each instruction set after it has defined
//   Simd<float>: V, lanes, load, store, set1, fma(a, b, c) = a * b + c, fms(a, b, c) = a * b - c
// Everything is inlined into the functions of the table, so that it is compiled for that instruction set.

using S = Simd<float>;
using V = S::V;
constexpr int L = S::lanes;

struct C {
  V re, im;
};

// Calls f with 0, 1, ..., N - 1 as constants: arrays indexed by them live in registers.
template <int N, class F>
MX_INLINE void unroll(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) { (f(std::integral_constant<int, I>()), ...); }
  (std::make_integer_sequence<int, N>());
}


MX_INLINE C operator+(C a, C b) { return {a.re + b.re, a.im + b.im}; }
MX_INLINE C operator-(C a, C b) { return {a.re - b.re, a.im - b.im}; }
MX_INLINE C operator*(C a, float b) { return {a.re * b, a.im * b}; }
// a * -i and a * i.
MX_INLINE C down(C a) { return {a.im, -a.re}; }
MX_INLINE C up(C a) { return {-a.im, a.re}; }
MX_INLINE C times(C a, V re, V im) { return {S::fms(a.re, re, a.im * im), S::fma(a.re, im, a.im * re)}; }

// ---- transforms of a few numbers, in place, results in natural order

// cos and sin of 2 pi j / R for R = 3, 5, 7.
constexpr double kRoots[3][2][3] = {
    {{-0.5, 0, 0}, {0.86602540378443864676, 0, 0}},
    {{0.30901699437494742410, -0.80901699437494742410, 0}, {0.95105651629515357212, 0.58778525229247312917, 0}},
    {{0.62348980185873353053, -0.22252093395631440429, -0.90096886790241912624},
     {0.78183148246802980871, 0.97492791218182360702, 0.43388373911755812048}}};

template <int R>
struct Small {
  // Odd R: x_j and x_(R-j) meet the same cosine and opposite sines.
  static constexpr int H = (R - 1) / 2;
  static MX_INLINE void transform(C* x) {
    constexpr int which = R == 3 ? 0 : R == 5 ? 1 : 2;
    C sum[H], difference[H], x0 = x[0];
    unroll<H>([&](auto j) __attribute__((always_inline)) {
      sum[j] = x[j + 1] + x[R - 1 - j];
      difference[j] = x[j + 1] - x[R - 1 - j];
      x[0] = x[0] + sum[j];
    });
    unroll<H>([&](auto k) __attribute__((always_inline)) {
      C even = x0, odd = {V{}, V{}};
      unroll<H>([&](auto j) __attribute__((always_inline)) {
        constexpr int turn = (j + 1) * (k + 1) % R, at = (turn <= H ? turn : R - turn) - 1;
        constexpr float c = float(kRoots[which][0][at]), s = float(turn <= H ? kRoots[which][1][at] : -kRoots[which][1][at]);
        even = {S::fma(sum[j].re, S::set1(c), even.re), S::fma(sum[j].im, S::set1(c), even.im)};
        odd = {S::fma(difference[j].re, S::set1(s), odd.re), S::fma(difference[j].im, S::set1(s), odd.im)};
      });
      x[k + 1] = even + down(odd);
      x[R - 1 - k] = even + up(odd);
    });
  }
};

template <>
struct Small<2> {
  static MX_INLINE void transform(C* x) {
    C a = x[0], b = x[1];
    x[0] = a + b;
    x[1] = a - b;
  }
};

template <>
struct Small<4> {
  static MX_INLINE void transform(C* x) {
    C a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = down(x[1] - x[3]);
    x[0] = a + c;
    x[1] = b + d;
    x[2] = a - c;
    x[3] = b - d;
  }
};

template <>
struct Small<8> {
  static MX_INLINE void transform(C* x) {
    constexpr float h = 0.70710678118654752440f;
    C even[4], odd[4];
    unroll<4>([&](auto j) __attribute__((always_inline)) {
      even[j] = x[j] + x[j + 4];
      odd[j] = x[j] - x[j + 4];
    });
    C a = odd[1], b = odd[3];
    odd[1] = C{a.re + a.im, a.im - a.re} * h;
    odd[2] = down(odd[2]);
    odd[3] = C{b.im - b.re, -b.re - b.im} * h;
    Small<4>::transform(even);
    Small<4>::transform(odd);
    unroll<4>([&](auto j) __attribute__((always_inline)) {
      x[2 * j] = even[j];
      x[2 * j + 1] = odd[j];
    });
  }
};

// ---- passes

template <int R>
void pass(Planes x, Planes y, const float* twiddles, int64_t m, int64_t s) {
  auto butterfly = [&](int64_t from, int64_t to, const V* w) __attribute__((always_inline)) {
    C c[R];
    unroll<R>([&](auto j) __attribute__((always_inline)) {
      int64_t at = (from + j * s * m) * L;
      c[j] = {S::load(x.re + at), S::load(x.im + at)};
    });
    Small<R>::transform(c);
    unroll<R>([&](auto k) __attribute__((always_inline)) {
      int64_t at = (to + k * s) * L;
      if constexpr (k > 0) {
        if (w) c[k] = times(c[k], w[2 * k - 2], w[2 * k - 1]);
      }
      S::store(y.re + at, c[k].re);
      S::store(y.im + at, c[k].im);
    });
  };
  for (int64_t q = 0; q < s; ++q) butterfly(q, q, nullptr);
  for (int64_t p = 1; p < m; ++p) {
    V w[2 * R - 2];
    unroll<2 * R - 2>([&](auto k) __attribute__((always_inline)) { w[k] = S::set1(twiddles[k]); });
    twiddles += 2 * R - 2;
    for (int64_t q = 0; q < s; ++q) butterfly(q + s * p, q + s * R * p, w);
  }
}

void odd_pass(Planes x, Planes y, const float* twiddles, int64_t m, int64_t s, int r, const float* roots) {
  constexpr int most = (kLargestRadix - 1) / 2;
  int half = (r - 1) / 2;
  C sum[most], difference[most];
  for (int64_t p = 0; p < m; ++p) {
    const float* w = twiddles + (p - 1) * 2 * (r - 1);
    for (int64_t q = 0; q < s; ++q) {
      int64_t from = (q + s * p) * L, step = s * m * L, to = (q + s * r * p) * L;
      auto read = [&](int j) __attribute__((always_inline)) { return C{S::load(x.re + from + j * step), S::load(x.im + from + j * step)}; };
      auto write = [&](int k, C c) __attribute__((always_inline)) {
        if (p > 0 && k > 0) c = times(c, S::set1(w[2 * k - 2]), S::set1(w[2 * k - 1]));
        S::store(y.re + to + k * s * L, c.re);
        S::store(y.im + to + k * s * L, c.im);
      };
      C x0 = read(0), total = x0;
      for (int j = 0; j < half; ++j) {
        C a = read(j + 1), b = read(r - 1 - j);
        sum[j] = a + b;
        difference[j] = a - b;
        total = total + sum[j];
      }
      write(0, total);
      for (int k = 1; k <= half; ++k) {
        C even = x0, odd = {V{}, V{}};
        for (int j = 0, turn = k; j < half; ++j) {
          V c = S::set1(roots[2 * turn]), d = S::set1(roots[2 * turn + 1]);
          even = {S::fma(sum[j].re, c, even.re), S::fma(sum[j].im, c, even.im)};
          odd = {S::fma(difference[j].re, d, odd.re), S::fma(difference[j].im, d, odd.im)};
          turn += k;
          if (turn >= r) turn -= r;
        }
        write(k, even + down(odd));
        write(r - k, even + up(odd));
      }
    }
  }
}

// ---- between memory and planes

// Element i of the result is element Index::of(i) of a followed by b.
template <class Index, int... I>
MX_INLINE V pick(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, Index::of(I)...);
}
template <class Index>
MX_INLINE V pick(V a, V b) {
  return pick<Index>(a, b, std::make_integer_sequence<int, L>());
}
struct Even { static constexpr int of(int i) { return 2 * i; } };
struct Odd { static constexpr int of(int i) { return 2 * i + 1; } };
struct Low { static constexpr int of(int i) { return i / 2 + i % 2 * L; } };
struct High { static constexpr int of(int i) { return i / 2 + L / 2 + i % 2 * L; } };
struct Reversed { static constexpr int of(int i) { return L - 1 - i; } };

// Exchanges groups of G floats between two vectors, where bit h of the group's place differs.
template <int G, int h>
struct Keep { static constexpr int of(int i) { return i / G & h ? L + i - h * G : i; } };
template <int G, int h>
struct Take { static constexpr int of(int i) { return i / G & h ? L + i : i + h * G; } };

// Transposes L / G vectors of L / G groups of G floats.
template <int G, int h = 1>
MX_INLINE void turn(V* rows) {
  if constexpr (h < L / G) {
    unroll<L / G>([&](auto i) __attribute__((always_inline)) {
      if constexpr ((i & h) == 0) {
        V a = rows[i], b = rows[i + h];
        rows[i] = pick<Keep<G, h>>(a, b);
        rows[i + h] = pick<Take<G, h>>(a, b);
      }
    });
    turn<G, 2 * h>(rows);
  }
}

MX_INLINE C load_complex(const float* p) {
  V a = S::load(p), b = S::load(p + L);
  return {pick<Even>(a, b), pick<Odd>(a, b)};
}
MX_INLINE void store_complex(float* p, C c) {
  S::store(p, pick<Low>(c.re, c.im));
  S::store(p + L, pick<High>(c.re, c.im));
}
MX_INLINE C reversed(C c) { return {pick<Reversed>(c.re, c.re), pick<Reversed>(c.im, c.im)}; }

void load_columns(const float* src, int64_t step, int64_t n, Planes to) {
  for (int64_t j = 0; j < n; ++j) {
    C c = load_complex(src + 2 * j * step);
    S::store(to.re + j * L, c.re);
    S::store(to.im + j * L, c.im);
  }
}

void store_columns(Planes from, int64_t n, float* dst, int64_t step, float scale) {
  for (int64_t j = 0; j < n; ++j) store_complex(dst + 2 * j * step, C{S::load(from.re + j * L), S::load(from.im + j * L)} * scale);
}

// Rows go in tiles of L lanes by H elements, two at a time: lanes 0 to H - 1 and the others.
constexpr int H = L / 2;

void load_rows(const float* src, int64_t step, int64_t n, Planes to) {
  int64_t j = 0;
  for (; j + H <= n; j += H) {
    V first[H], second[H];
    unroll<H>([&](auto l) __attribute__((always_inline)) {
      first[l] = S::load(src + 2 * (j + l * step));
      second[l] = S::load(src + 2 * (j + (l + H) * step));
    });
    turn<2>(first);
    turn<2>(second);
    unroll<H>([&](auto k) __attribute__((always_inline)) {
      S::store(to.re + (j + k) * L, pick<Even>(first[k], second[k]));
      S::store(to.im + (j + k) * L, pick<Odd>(first[k], second[k]));
    });
  }
  for (; j < n; ++j) {
    for (int l = 0; l < L; ++l) {
      to.re[j * L + l] = src[2 * (j + l * step)];
      to.im[j * L + l] = src[2 * (j + l * step) + 1];
    }
  }
}

void store_rows(Planes from, int64_t n, float* dst, int64_t step, float scale) {
  int64_t j = 0;
  for (; j + H <= n; j += H) {
    V first[H], second[H];
    unroll<H>([&](auto k) __attribute__((always_inline)) {
      C c = C{S::load(from.re + (j + k) * L), S::load(from.im + (j + k) * L)} * scale;
      first[k] = pick<Low>(c.re, c.im);
      second[k] = pick<High>(c.re, c.im);
    });
    turn<2>(first);
    turn<2>(second);
    unroll<H>([&](auto l) __attribute__((always_inline)) {
      S::store(dst + 2 * (j + l * step), first[l]);
      S::store(dst + 2 * (j + (l + H) * step), second[l]);
    });
  }
  for (; j < n; ++j) {
    for (int l = 0; l < L; ++l) {
      dst[2 * (j + l * step)] = from.re[j * L + l] * scale;
      dst[2 * (j + l * step) + 1] = from.im[j * L + l] * scale;
    }
  }
}

void load_turned(Planes src, int64_t step, int64_t n, Planes to) {
  auto plane = [&](const float* from, float* into) __attribute__((always_inline)) {
    V rows[L];
    unroll<L>([&](auto l) __attribute__((always_inline)) { rows[l] = S::load(from + l * step); });
    turn<1>(rows);
    unroll<L>([&](auto k) __attribute__((always_inline)) { S::store(into + k * L, rows[k]); });
  };
  for (int64_t j = 0; j < n; j += L) {
    plane(src.re + j, to.re + j * L);
    plane(src.im + j, to.im + j * L);
  }
}

void store_twiddled(Planes from, int64_t n, const float* twiddles, Planes dst, int64_t step) {
  for (int64_t j = 0; j < n; ++j) {
    C c = times({S::load(from.re + j * L), S::load(from.im + j * L)}, S::load(twiddles + 2 * j * L), S::load(twiddles + (2 * j + 1) * L));
    S::store(dst.re + j * step, c.re);
    S::store(dst.im + j * step, c.im);
  }
}

void mix_mirrored(const float* in, float* out, int64_t h, const float* cosines, const float* sines, float turn, float factor) {
  int64_t k = 1;
  for (; 2 * (k + L) <= h + 1; k += L) {
    int64_t mirror = h - k - L + 1;
    C a = load_complex(in + 2 * k), b = reversed(load_complex(in + 2 * mirror));
    b.im = -b.im;
    C sum = a + b, turned = times(a - b, -S::load(sines + k), S::load(cosines + k) * turn);
    C mirrored = (sum - turned) * factor;
    mirrored.im = -mirrored.im;
    store_complex(out + 2 * k, (sum + turned) * factor);
    store_complex(out + 2 * mirror, reversed(mirrored));
  }
  for (; 2 * k <= h; ++k) {
    int64_t m = h - k;
    float sum_re = in[2 * k] + in[2 * m], sum_im = in[2 * k + 1] - in[2 * m + 1];
    float re = in[2 * k] - in[2 * m], im = in[2 * k + 1] + in[2 * m + 1], s = -sines[k], c = cosines[k] * turn;
    float turned_re = re * s - im * c, turned_im = re * c + im * s;
    out[2 * k] = (sum_re + turned_re) * factor;
    out[2 * k + 1] = (sum_im + turned_im) * factor;
    out[2 * m] = (sum_re - turned_re) * factor;
    out[2 * m + 1] = (turned_im - sum_im) * factor;
  }
}

constexpr LaneKernels make_kernels() {
  return {
      .lanes = L,
      .pass = {nullptr, nullptr, pass<2>, pass<3>, pass<4>, pass<5>, nullptr, pass<7>, pass<8>},
      .odd_pass = odd_pass,
      .load_columns = load_columns,
      .store_columns = store_columns,
      .load_rows = load_rows,
      .store_rows = store_rows,
      .load_turned = load_turned,
      .store_twiddled = store_twiddled,
      .mix_mirrored = mix_mirrored,
  };
}
