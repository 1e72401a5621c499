// Quantized formats: shapes, values and errors of the C++ functions; the loops of every instruction set against plain ones.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "backend/cpu/instructions.h"
#include "backend/cpu/quantized_formats.h"
#include "backend/cpu/quantized_loops.h"
#include "ops/cast.h"
#include "ops/create.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/operators.h"
#include "ops/quantized.h"
#include "ops/reduce.h"
#include "transforms/jvp.h"
#include "transforms/vjp.h"
#include "helpers.h"

using namespace mx;

namespace {

double largest_difference(const array& a, const array& b) { return max(abs(astype(a, Dtype::float64) - astype(b, Dtype::float64))).item<double>(); }

array ramp(const Shape& shape) { return reshape(sin(arange(n_elems(shape)) * 0.7), shape); }

}  // namespace

TEST_CASE("a matrix comes back within a step") {
  array w = ramp({2, 3, 128});
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    Arrays q = quantize(w, 64, bits);
    REQUIRE(q.size() == 3);
    CHECK(q[0].dtype() == Dtype::uint32);
    CHECK(q[0].shape() == Shape{2, 3, 128 * bits / 32});
    CHECK(q[1].shape() == Shape{2, 3, 2});
    CHECK(largest_difference(dequantize(q[0], q[1], q[2], 64, bits), w) <= 2.0 / ((1 << bits) - 1));
  }
  for (const char* mode : {"mxfp4", "mxfp8", "nvfp4"}) {
    Arrays q = quantize(w, {}, {}, mode);
    REQUIRE(q.size() == 2);
    CHECK(q[1].dtype() == Dtype::uint8);
    array back = dequantize(q[0], q[1], {}, {}, {}, mode);
    CHECK(back.dtype() == Dtype::bfloat16);
    CHECK(largest_difference(back, w) <= 0.2);
  }
}

TEST_CASE("numbers that a format holds come back unchanged") {
  array w = reshape(array{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f, 0.0f}, {1, 16});
  Arrays q = quantize(w, {}, {}, "nvfp4");
  CHECK(values(q[1]) == Values{0x38});
  CHECK(values(dequantize(q[0], q[1], {}, {}, {}, "nvfp4")) == values(w));
  CHECK(values(q[0]) == Values{0x76543210, 0x0fedcba9});
  CHECK(values(from_fp8(to_fp8(array{1.0f, -448.0f, 500.0f, 0.001953125f}), Dtype::float32)) == Values{1, -448, 448, 0.001953125});
}

TEST_CASE("products are those with the matrix that comes back") {
  array w = ramp({40, 128}), x = cos(ramp({3, 128}) * 5.0);
  for (const char* mode : {"affine", "mxfp4", "mxfp8", "nvfp4"}) {
    Arrays q = quantize(w, {}, {}, mode);
    std::optional<array> biases = q.size() > 2 ? std::optional(q[2]) : std::nullopt;
    array back = dequantize(q[0], q[1], biases, {}, {}, mode, {}, Dtype::float32);
    CHECK(largest_difference(quantized_matmul(x, q[0], q[1], biases, true, {}, {}, mode), matmul(x, transpose(back))) < 1e-4);
    CHECK(largest_difference(quantized_matmul(ramp({3, 40}), q[0], q[1], biases, false, {}, {}, mode), matmul(ramp({3, 40}), back)) < 1e-4);
    array chosen = gather_qmm(x, expand_dims(q[0], 0), expand_dims(q[1], 0), biases ? std::optional(expand_dims(*biases, 0)) : biases, {},
                              array{0, 0}, true, {}, {}, mode);
    CHECK(chosen.shape() == Shape{2, 3, 40});
  }
}

TEST_CASE("qqmm rounds both factors and lets gradients through") {
  array x = ramp({2, 32}), w = ramp({3, 32});
  auto rounded = [](const array& a) {
    Arrays q = quantize(a, {}, {}, "mxfp8");
    return dequantize(q[0], q[1], {}, {}, {}, "mxfp8", {}, Dtype::float32);
  };
  CHECK(largest_difference(qqmm(x, w, {}, {}, {}, "mxfp8"), matmul(rounded(x), transpose(rounded(w)))) < 1e-5);
  Function f = [&](const Arrays& a) -> Arrays { return {sum(qqmm(a[0], w, {}, {}, {}, "mxfp8"))}; };
  CHECK(largest_difference(grad(f)({x})[0], broadcast_to(sum(rounded(w), 0), {2, 32})) < 1e-5);
}

TEST_CASE("what does not fit is refused") {
  array w = ramp({2, 64});
  Arrays q = quantize(w);
  CHECK_THROWS_AS(quantize(w, 48), ValueError);
  CHECK_THROWS_AS(quantize(w, {}, {}, "fp6"), ValueError);
  CHECK_THROWS_AS(quantize(ramp({2, 63})), ValueError);
  CHECK_THROWS_AS(quantize(astype(w, Dtype::int32)), DtypeError);
  CHECK_THROWS_AS(dequantize(q[0], q[1]), ValueError);
  CHECK_THROWS_AS(quantized_matmul(ramp({3, 65}), q[0], q[1], q[2]), ValueError);
  CHECK_THROWS_AS(from_fp8(w), DtypeError);
  array bad = gather_qmm(w, expand_dims(q[0], 0), expand_dims(q[1], 0), expand_dims(q[2], 0), {}, array{1});
  CHECK_THROWS_AS(bad.eval(), IndexError);
}

#if defined(MXFORM_TEST_BACKENDS)

namespace {

using namespace mx::cpu;

std::vector<const QuantLoops*> tables() {
  std::vector<const QuantLoops*> all{&quant_loops_baseline};
#if defined(__x86_64__)
  if (has_avx2()) all.push_back(&quant_loops_avx2);
  if (has_avx512()) all.push_back(&quant_loops_avx512);
#endif
  return all;
}

float number(Codes kind, uint32_t code) {
  static const float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
  return kind == Codes::e2m1 ? e2m1[code] : kind == Codes::e4m3 ? from_e4m3(code) : static_cast<float>(code);
}

}  // namespace

TEST_CASE("the loops of every instruction set read, multiply and add all codes") {
  std::mt19937 rng(3);
  auto uniform = [&] { return static_cast<float>(rng() % 2001) / 1000 - 1; };
  const int bits_of[] = {1, 2, 3, 4, 5, 6, 8, 4, 8};
  for (int k = 0; k < kCodes; ++k) {
    auto kind = static_cast<Codes>(k);
    bool affine = kind <= Codes::u8;
    int bits = bits_of[k];
    for (int size : {16, 32, 64, 128}) {
      if (affine ? size == 16 : size > 32 || (kind == Codes::e4m3 && size != 32)) continue;
      int64_t n_groups = 5, n = n_groups * size, row = n * bits / 8;
      // Exactly as long as the codes are, so that a checker sees what reads beyond them.
      std::vector<uint8_t> codes(static_cast<size_t>(kQuantTile * row));
      for (uint8_t& c : codes) c = static_cast<uint8_t>(rng() & (kind == Codes::e4m3 ? 0xbf : 0xff));
      std::vector<float> scales, biases, x;
      for (int64_t i = 0; i < kQuantTile * n_groups; ++i) scales.push_back(uniform()), biases.push_back(uniform());
      for (int64_t i = 0; i < kMaxQuantRows * n; ++i) x.push_back(uniform());
      auto code = [&](int64_t j, int64_t i) {
        uint32_t c = 0;
        for (int b = 0; b < bits; ++b) {
          int64_t at = i * bits + b;
          c |= uint32_t(codes[static_cast<size_t>(j * row + at / 8)] >> (at % 8) & 1) << b;
        }
        return number(kind, c);
      };
      auto element = [&](int64_t j, int64_t i) {
        auto g = static_cast<size_t>(j * n_groups + i / size);
        return double(code(j, i)) * scales[g] + (affine ? biases[g] : 0);
      };
      for (const QuantLoops* loops : tables()) {
        CAPTURE(k);
        CAPTURE(size);
        CAPTURE(loops->pairs);
        std::vector<float> unpacked(static_cast<size_t>(n));
        loops->unpack[k](codes.data(), n, unpacked.data());
        for (int64_t i = 0; i < n; ++i) REQUIRE(unpacked[static_cast<size_t>(i)] == code(0, i));
        QuantRows rows{n_groups, size, codes.data(), row, scales.data(), affine ? biases.data() : nullptr, n_groups};
        // x as the table wants it.
        std::vector<float> ordered(x);
        if (loops->pairs && bits == 4) {
          int64_t step = 2 * loops->pairs;
          for (int64_t p = 0; p + step <= n; p += step) {
            for (int64_t r = 0; r < kMaxQuantRows; ++r) {
              for (int64_t i = 0; i < step; ++i) {
                ordered[static_cast<size_t>(r * n + p + (i % 2 ? loops->pairs : 0) + i / 2)] = x[static_cast<size_t>(r * n + p + i)];
              }
            }
          }
        }
        for (int rows_of_x = 1; rows_of_x <= kMaxQuantRows; ++rows_of_x) {
          float out[kQuantTile * kMaxQuantRows];
          loops->dots[k][rows_of_x](rows, ordered.data(), n, out);
          std::vector<float> sums(static_cast<size_t>(kMaxQuantRows * n), 1.0f), one(sums);
          loops->add[k][rows_of_x](rows, x.data(), 8, sums.data(), n);
          loops->add_one[k][rows_of_x](rows, x.data(), 8, one.data(), n);
          for (int i = 0; i < rows_of_x; ++i) {
            for (int j = 0; j < kQuantTile; ++j) {
              double sum = 0, magnitude = 0;
              for (int64_t p = 0; p < n; ++p) {
                double term = element(j, p) * x[static_cast<size_t>(i * n + p)];
                sum += term;
                magnitude += std::abs(term);
              }
              REQUIRE(std::abs(out[j * kMaxQuantRows + i] - sum) <= 1e-5 * magnitude);
            }
            for (int64_t p = 0; p < n; ++p) {
              double first = 1 + x[static_cast<size_t>(i * 8)] * element(0, p), all = 1, magnitude = 1;
              for (int j = 0; j < kQuantTile; ++j) {
                all += x[static_cast<size_t>(i * 8 + j)] * element(j, p);
                magnitude += std::abs(element(j, p));
              }
              REQUIRE(std::abs(one[static_cast<size_t>(i * n + p)] - first) <= 1e-5 * magnitude);
              REQUIRE(std::abs(sums[static_cast<size_t>(i * n + p)] - all) <= 1e-5 * magnitude);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a NaN among fp8 numbers spoils its row and nothing else") {
  for (const QuantLoops* loops : tables()) {
    std::vector<uint8_t> codes(kQuantTile * 32, 0x38);
    codes[32 + 7] = 0xff;
    std::vector<float> scales(kQuantTile, 1.0f), x(32, 1.0f), sums(32, 0.0f), numbers(32);
    QuantRows rows{1, 32, codes.data(), 32, scales.data(), nullptr, 1};
    float out[kQuantTile * kMaxQuantRows];
    size_t kind = static_cast<size_t>(Codes::e4m3);
    loops->dots[kind][1](rows, x.data(), 32, out);
    CHECK(out[0] == 32);
    CHECK(std::isnan(out[kMaxQuantRows]));
    loops->add[kind][1](rows, x.data(), 1, sums.data(), 32);
    loops->unpack[kind](codes.data() + 32, 32, numbers.data());
    for (size_t i = 0; i < 32; ++i) {
      CHECK(std::isnan(sums[i]) == (i == 7));
      CHECK(std::isnan(numbers[i]) == (i == 7));
    }
  }
}

#endif
