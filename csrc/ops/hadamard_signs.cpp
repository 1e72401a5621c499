// hadamard_signs.cpp — the Hadamard matrices of order 12, 20 and 28.

#include <string_view>

#include "ops/hadamard_params.h"

namespace mx {

namespace {

// Paley's second construction with q = 5: the conference matrix C of order q + 1 gives C (x) [1 1; 1 -1] + I (x) [1 -1; -1 -1].
HadamardSigns paley_12() {
  constexpr int q = 5, character[q] = {0, 1, -1, -1, 1};
  HadamardSigns h{12, std::vector<int8_t>(144)};
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 12; ++j) {
      int a = i / 2, b = j / 2, in = i % 2, jn = j % 2;
      int c = a == 0 || b == 0 ? 1 : character[(b - a + q) % q];
      int sign = a == b ? (in + jn == 0 ? 1 : -1) : c * (in + jn == 2 ? -1 : 1);
      h.values[static_cast<size_t>(i * 12 + j)] = static_cast<int8_t>(sign);
    }
  }
  return h;
}

// Williamson's: four symmetric circulants A, B, C, D, given by their first rows.
HadamardSigns williamson(std::string_view a, std::string_view b, std::string_view c, std::string_view d) {
  struct Part {
    std::string_view row;
    int sign;
  };
  const Part parts[4][4] = {{{a, 1}, {b, 1}, {c, 1}, {d, 1}},
                            {{b, -1}, {a, 1}, {d, -1}, {c, 1}},
                            {{c, -1}, {d, 1}, {a, 1}, {b, -1}},
                            {{d, -1}, {c, -1}, {b, 1}, {a, 1}}};
  int q = static_cast<int>(a.size()), order = 4 * q;
  HadamardSigns h{order, {}};
  for (int i = 0; i < order; ++i) {
    for (int j = 0; j < order; ++j) {
      const Part& part = parts[i / q][j / q];
      bool plus = part.row[static_cast<size_t>((j % q - i % q + q) % q)] == '+';
      h.values.push_back(static_cast<int8_t>(plus ? part.sign : -part.sign));
    }
  }
  return h;
}

}  // namespace

const HadamardSigns& hadamard_signs(int64_t n) {
  static const HadamardSigns one, twelve = paley_12(), twenty = williamson("+----", "+----", "++--+", "+-++-"),
                          twenty_eight = williamson("+------", "++----+", "+-+--+-", "+--++--");
  return n % 3 == 0 ? twelve : n % 5 == 0 ? twenty : n % 7 == 0 ? twenty_eight : one;
}

}  // namespace mx
