// Plans of Fourier and Walsh-Hadamard transforms.
#include "metal_plan_helpers.h"
#include "ops/fft_params.h"
#include "ops/hadamard_params.h"

using namespace mx;

namespace {

using Names = std::vector<std::string>;

Planned fft_of(const Shape& shape, const Axes& axes) { return planned(fft_p, FftParams{axes, true, 0.5}, {unreal(Dtype::complex64, shape)}); }

}  // namespace

TEST_CASE("small primes fit a threadgroup, long sizes are split, others convolved") {
  CHECK(fft_of({3, 4096}, {1}).kernels() == Names{"fft_roots", "fft_lines"});
  CHECK(fft_of({8192}, {0}).kernels() == Names{"fft_roots", "fft_lines", "fft_roots", "fft_lines"});
  CHECK(fft_of({4096, 4096}, {0, 1}).kernels() == Names{"fft_roots", "fft_lines", "fft_roots", "fft_lines"});
  CHECK(fft_of({17}, {0}).has("fft_chirp_product"));
  CHECK(fft_of({int64_t(1) << 24}, {0}).taken);
  CHECK_FALSE(fft_of({int64_t(1) << 25}, {0}).taken);
}

TEST_CASE("every size is planned within the limits") {
  for (int64_t n = 1; n < 300; ++n) {
    for (const Shape& shape : {Shape{n}, Shape{2, n, 300}}) {
      CHECK(planned(rfft_p, RfftParams{shape.size() == 1 ? 0 : 1}, {unreal(Dtype::float32, shape)}).taken);
      Shape half(shape);
      half[shape.size() == 1 ? 0 : 1] = n / 2 + 1;
      CHECK(planned(irfft_p, IrfftParams{shape.size() == 1 ? 0 : 1, n}, {unreal(Dtype::complex64, half)}).taken);
    }
  }
  for (int64_t n : {4097, 5000, 3 * 4096, 13 * 13 * 13 * 13, 1000003, 1 << 20}) CHECK(fft_of({2, n}, {1}).taken);
  CHECK(fft_of({0, 8}, {1}).plan.launches.empty());
}

TEST_CASE("Hadamard transforms take an axis a factor") {
  auto kernels = [](Dtype t, const Shape& shape) { return planned(hadamard_p, HadamardParams{}, {unreal(t, shape)}).kernels(); };
  CHECK(kernels(Dtype::float32, {7, 4096}) == Names{"hadamard_lines"});
  CHECK(kernels(Dtype::float16, {7, 8192}) == Names{"hadamard_lines", "hadamard_lines"});
  CHECK(kernels(Dtype::complex64, {28 * 64}) == Names{"hadamard_lines", "hadamard_mix"});
  CHECK(kernels(Dtype::bfloat16, {1}) == Names{"hadamard_lines"});
  CHECK(kernels(Dtype::float32, {int64_t(1) << 26}).size() == 3);
  CHECK(planned(hadamard_p, HadamardParams{}, {unreal(Dtype::float16, {7, 8192})}).plan.temporaries == std::vector<size_t>{7 * 8192 * 4});
  CHECK_FALSE(planned(hadamard_p, HadamardParams{}, {unreal(Dtype::float64, {8})}).taken);
}
