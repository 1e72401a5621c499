// quantized_loops.inl — the templates behind the tables of quantized_loops.h. Included by one .cpp file for each
// instruction set, inside its target pragma and unnamed namespace, after it has defined:
//   S: Simd<float> with V, load, store, set1, fma(a, b, c) = a * b + c; V, kLanes, sum_lanes(V)
//   kMostRows: as QuantLoops says
//   read<C>(p, q): elements q * kLanes ... of the kCodeStep elements at p; NaNs of e4m3 come out finite
//   with_nan(p, q, v): those elements of e4m3 with their NaNs; has_nan(p, n): whether n, a multiple of 32, have any
//   kPairs: 0, or kLanes if read_pairs<C>(p, even, odd) reads the codes of 2 * kLanes elements of four bits; then
//     halves(a, b): a in the lower half of the lanes, b in the upper one
//   kTables: whether codes of up to four bits can be looked up: numbers<C>() by their code and
//     look_up<C>(p, q, table), look_up_pairs(p, table, even, odd)
// Nothing here may use the standard library: its inline functions would be compiled for this instruction
// set and could replace the ones that run on every machine.

#if defined(__clang__)
#define MX_UNROLL _Pragma("unroll")
#else
#define MX_UNROLL _Pragma("GCC unroll 16")
#endif
#define MX_ALWAYS __attribute__((always_inline))

constexpr int bits_of(Codes c) {
  constexpr int bits[] = {1, 2, 3, 4, 5, 6, 8, 4, 8};
  return bits[static_cast<int>(c)];
}
constexpr bool is_affine(Codes c) { return c <= Codes::u8; }

template <Codes C>
void unpack(const uint8_t* codes, int64_t n, float* to) {
  for (int64_t p = 0; p < n; p += kCodeStep) {
    MX_UNROLL for (int q = 0; q < kCodeStep / kLanes; ++q) {
      V v = read<C>(codes, q);
      if constexpr (C == Codes::e4m3) v = with_nan(codes, q, v);
      S::store(to + p + q * kLanes, v);
    }
    codes += kCodeStep * bits_of(C) / 8;
  }
}

// The elements of a group, with scale and bias.
template <Codes C>
struct Group {
  static constexpr bool looked_up = kTables && bits_of(C) <= 4;
  V scale, bias, table;

  MX_ALWAYS void set(const QuantRows& w, int64_t row, int64_t g) {
    scale = S::set1(w.scales[row * w.scales_row + g]);
    if constexpr (is_affine(C)) bias = S::set1(w.biases[row * w.scales_row + g]);
    if constexpr (looked_up) table = whole(numbers<C>());
  }
  MX_ALWAYS V whole(V code) const {
    if constexpr (is_affine(C)) return S::fma(code, scale, bias);
    return code * scale;
  }
  MX_ALWAYS V at(const uint8_t* p, int q) const {
    if constexpr (looked_up) return look_up<C>(p, q, table);
    return whole(read<C>(p, q));
  }
  MX_ALWAYS void pairs(const uint8_t* p, V& even, V& odd) const {
    if constexpr (looked_up) {
      look_up_pairs(p, table, even, odd);
    } else {
      read_pairs<C>(p, even, odd);
      even = whole(even);
      odd = whole(odd);
    }
  }
};

// One group of kCodeStep elements in row `row`, its x in order.
template <Codes C>
float last_dot(const QuantRows& w, const uint8_t* codes, int row, int64_t g, const float* x) {
  float each[kCodeStep], sum = 0;
  unpack<C>(codes + row * w.codes_row, kCodeStep, each);
  for (int i = 0; i < kCodeStep; ++i) sum += each[i] * x[i];
  return sum * w.scales[row * w.scales_row + g];
}

template <Codes C, int kX>
void dots(const QuantRows& w, const float* x, int64_t x_row, float* out) {
  constexpr bool pairs = kPairs != 0 && bits_of(C) == 4;
  constexpr int step = pairs ? 2 * kPairs : kCodeStep;
  // With one row of x a second set of sums, so that no product waits for the one before.
  constexpr int chains = kX == 1 ? 2 : 1;
  V sum[chains][kQuantTile][kX];
  MX_UNROLL for (int c = 0; c < chains; ++c) {
    MX_UNROLL for (int j = 0; j < kQuantTile; ++j) {
      MX_UNROLL for (int i = 0; i < kX; ++i) sum[c][j][i] = S::set1(0);
    }
  }
  const uint8_t* codes = w.codes;
  auto multiply = [&](const V* elements, const float* from, int part) MX_ALWAYS {
    auto& to = sum[part % chains];
    MX_UNROLL for (int i = 0; i < kX; ++i) {
      V v = S::load(from + i * x_row);
      MX_UNROLL for (int j = 0; j < kQuantTile; ++j) to[j][i] = S::fma(elements[j], v, to[j][i]);
    }
  };
  int64_t g = 0;
  if constexpr (step > kCodeStep && !is_affine(C)) {
    // Two groups a step, each in half of the lanes.
    for (; w.group_size < step && g + 2 <= w.n_groups; g += 2) {
      V even[kQuantTile], odd[kQuantTile];
      MX_UNROLL for (int j = 0; j < kQuantTile; ++j) {
        read_pairs<C>(codes + j * w.codes_row, even[j], odd[j]);
        V scale = halves(w.scales[j * w.scales_row + g], w.scales[j * w.scales_row + g + 1]);
        even[j] = even[j] * scale;
        odd[j] = odd[j] * scale;
      }
      multiply(even, x, 0);
      multiply(odd, x + kPairs, 1);
      codes += step / 2;
      x += step;
    }
  }
  for (; w.group_size >= step && g < w.n_groups; ++g) {
    Group<C> group[kQuantTile];
    MX_UNROLL for (int j = 0; j < kQuantTile; ++j) {
      group[j].set(w, j, g);
      // Where the next tile will be: rows often are pages, and no processor looks beyond those by itself.
      __builtin_prefetch(codes + (j + kQuantTile) * w.codes_row);
    }
    for (int p = 0; p < w.group_size; p += step) {
      if constexpr (pairs) {
        V even[kQuantTile], odd[kQuantTile];
        MX_UNROLL for (int j = 0; j < kQuantTile; ++j) group[j].pairs(codes + j * w.codes_row, even[j], odd[j]);
        multiply(even, x, 0);
        multiply(odd, x + kPairs, 1);
      } else {
        MX_UNROLL for (int q = 0; q < kCodeStep / kLanes; ++q) {
          V elements[kQuantTile];
          MX_UNROLL for (int j = 0; j < kQuantTile; ++j) elements[j] = group[j].at(codes + j * w.codes_row, q);
          multiply(elements, x + q * kLanes, q);
        }
      }
      codes += step * bits_of(C) / 8;
      x += step;
    }
  }
  MX_UNROLL for (int j = 0; j < kQuantTile; ++j) {
    // A NaN spoils the whole sum.
    bool spoilt = C == Codes::e4m3 && has_nan(w.codes + j * w.codes_row, w.n_groups * w.group_size);
    MX_UNROLL for (int i = 0; i < kX; ++i) {
      float* to = out + j * kMaxQuantRows + i;
      V whole = sum[0][j][i];
      if constexpr (chains == 2) whole = whole + sum[1][j][i];
      *to = spoilt ? __builtin_nanf("") : sum_lanes(whole);
      if (g < w.n_groups) *to += last_dot<C>(w, codes, j, g, x + i * x_row);
    }
  }
}

template <Codes C, int kX, int kRows>
void add(const QuantRows& w, const float* x, int64_t x_row, float* sums, int64_t sums_row) {
  const uint8_t* codes = w.codes;
  for (int64_t g = 0; g < w.n_groups; ++g) {
    Group<C> group[kRows];
    MX_UNROLL for (int j = 0; j < kRows; ++j) group[j].set(w, j, g);
    for (int p = 0; p < w.group_size; p += kCodeStep) {
      MX_UNROLL for (int q = 0; q < kCodeStep / kLanes; ++q) {
        V elements[kRows];
        MX_UNROLL for (int j = 0; j < kRows; ++j) {
          const uint8_t* at = codes + j * w.codes_row;
          if constexpr (C == Codes::e4m3) {
            elements[j] = group[j].whole(with_nan(at, q, read<C>(at, q)));
          } else {
            elements[j] = group[j].at(at, q);
          }
        }
        MX_UNROLL for (int i = 0; i < kX; ++i) {
          float* to = sums + i * sums_row + q * kLanes;
          V sum = S::load(to);
          MX_UNROLL for (int j = 0; j < kRows; ++j) sum = S::fma(elements[j], S::set1(x[i * x_row + j]), sum);
          S::store(to, sum);
        }
      }
      codes += kCodeStep * bits_of(C) / 8;
      sums += kCodeStep;
    }
  }
}

template <Codes C, int kX = 1>
constexpr void fill_rows(QuantLoops& t) {
  if constexpr (kX <= kMaxQuantRows) {
    t.dots[static_cast<int>(C)][kX] = dots<C, kX>;
    t.add[static_cast<int>(C)][kX] = add<C, kX, kQuantTile>;
    t.add_one[static_cast<int>(C)][kX] = add<C, kX, 1>;
    fill_rows<C, kX + 1>(t);
  }
}

template <int kC = 0>
constexpr void fill_codes(QuantLoops& t) {
  if constexpr (kC < kCodes) {
    t.unpack[kC] = unpack<static_cast<Codes>(kC)>;
    fill_rows<static_cast<Codes>(kC)>(t);
    fill_codes<kC + 1>(t);
  }
}

constexpr QuantLoops make_loops() {
  QuantLoops t{};
  fill_codes(t);
  t.most_rows = kMostRows;
  t.pairs = kPairs;
  return t;
}

#undef MX_UNROLL
#undef MX_ALWAYS
