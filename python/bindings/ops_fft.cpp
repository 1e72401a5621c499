// ops_fft.cpp — the module mx.fft (ops/fft.h): transforms. Frequencies, shifts and short-time transforms are in
// ops_fft_time.cpp, and with them the Walsh-Hadamard transform. Documentation is put together from what kinds of transforms
// say alike (Kind) and each one's own words.

#include "bindings/bind.h"
#include "ops/fft.h"

namespace mx::python {

void bind_fft_time(py::module_& m);
void bind_hadamard(py::module_& m);

namespace {

fft::Norm norm_of(const Args& a, int i) { return fft::parse_norm(a.str(i), a.signature().name); }

using OneAxis = array (*)(const array&, std::optional<int64_t>, int, fft::Norm);
using SeveralAxes = array (*)(const array&, const std::optional<Shape>&, const std::optional<Axes>&, fft::Norm);

// What transforms of a kind say of their input, sizes and result: over one axis, over several.
struct Kind {
  const char* input;
  const char* n;
  const char* n_result;
  const char* s;
  const char* s_result;
};

constexpr const char* kInput = "Any shape and dtype but a scalar.";
constexpr const char* kSize = "Size of the axis: the input is cut or filled up with zeros at the end. Default: that of `a`.";
constexpr const char* kSizes = "Sizes of `axes`: the input is cut or filled up with zeros at the end. Default: those of `a`.";

constexpr Kind kComplex = {
    .input = kInput,
    .n = kSize,
    .n_result = "complex64, the axis of size `n`.",
    .s = kSizes,
    .s_result = "complex64, with the sizes `s`.",
};
constexpr Kind kFromReal = {
    .input = "Any shape but a scalar. Of complex numbers the imaginary part is dropped.",
    .n = kSize,
    .n_result = "complex64, the axis of size `n // 2 + 1`.",
    .s = kSizes,
    .s_result = "complex64, with the sizes `s`, the last of them `s[-1] // 2 + 1`.",
};
constexpr Kind kToReal = {
    .input = kInput,
    .n = R"(Size of the result: the input is cut or filled up with zeros to
        `n // 2 + 1`. Default: `2 * (a.shape[axis] - 1)`; pass it for an odd size.)",
    .n_result = "float32, the axis of size `n`.",
    .s = R"(Sizes of the result; the input is cut or filled up to them, along the last of
        `axes` to `s[-1] // 2 + 1`. Default: those of `a`, the last one `2 * (m - 1)`.)",
    .s_result = "float32, with the sizes `s`.",
};

constexpr const char* kNorm = R"(
    norm (str, optional): Which direction is divided by the number of points: "backward" (the inverse), "ortho" (both, by
        its square root) or "forward". Default: "backward".
)";

void def_one_axis(py::module_& m, const char* name, const Kind& kind, const char* text, const char* example, OneAxis f) {
  std::string doc = cat(text, "\n\nArgs:\n    a (array): ", kind.input, "\n    n (int, optional): ", kind.n,
                        "\n    axis (int, optional): The axis to transform. Default: -1.", kNorm, "\nReturns:\n    array: ", kind.n_result, R"(

Raises:
    ValueError: If the axis is out of range, the size is not positive, or the norm is unknown.

Example:
    )", example, "\n");
  def(m, cat(name, "(a, n=None, axis=-1, norm='backward', stream=None)"), doc.c_str(),
      [f](const Args& a) { return f(a.arr(0), a.opt_integer(1), a.small(2), norm_of(a, 3)); });
}

void bind_one_axis(py::module_& m) {
  def_one_axis(m, "fft", kComplex, R"(Transform an axis to frequencies: X[k] = sum over j of x[j] exp(-2πi jk / n).

Any length is fast, primes too.)",
               R"(>>> mx.fft.fft(mx.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [(10+0j), (-2+2j), (-2+0j), (-2-2j)])", fft::fft);

  def_one_axis(m, "ifft", kComplex, "Transform an axis back from frequencies: x[j] = sum over k of X[k] exp(2πi jk / n) / n.",
               R"(>>> mx.fft.ifft(mx.array([10, -2 + 2j, -2, -2 - 2j])).tolist()
    [(1+0j), (2+0j), (3+0j), (4+0j)])", fft::ifft);

  def_one_axis(m, "rfft", kFromReal, R"(Transform an axis of real numbers to the frequencies that are not negative.

The others would be their conjugates.)",
               R"(>>> mx.fft.rfft(mx.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [(10+0j), (-2+2j), (-2+0j)])", fft::rfft);

  def_one_axis(m, "irfft", kToReal, R"(Transform frequencies that are not negative back to real numbers; the inverse of rfft.

Imaginary parts at frequency 0 and, for even `n`, at the highest are ignored.)",
               R"(>>> mx.fft.irfft(mx.array([10, -2 + 2j, -2]), n=4).tolist()
    [1.0, 2.0, 3.0, 4.0])", fft::irfft);
}

// fft2, fftn and their like differ in the axes they take when none are named.
void bind_several_axes(py::module_& m, bool two) {
  const char* axes = two ? "two axes" : "several axes";
  auto name = [&](const char* stem) { return cat(stem, two ? "2" : "n"); };
  auto bind = [&](const char* stem, const Kind& kind, const std::string& text, const std::string& example, SeveralAxes f) {
    std::string doc = cat(text, "\n\nArgs:\n    a (array): ", kind.input, "\n    s (tuple of int, optional): ", kind.s,
                          "\n    axes (tuple of int, optional): The axes to transform",
                          two ? ". Default: the last two." : "; must be given if `s` is. Default: None, all of them.", kNorm,
                          "\nReturns:\n    array: ", kind.s_result, R"(

Raises:
    ValueError: If an axis is out of range or named twice, a size is not positive, `s` does not go with `axes`, or the
        norm is unknown.

Example:
    )", example, "\n");
    def(m, cat(name(stem), "(a, s=None, axes=", two ? "[-2, -1]" : "None", ", norm='backward', stream=None)"), doc.c_str(),
        [f](const Args& a) { return f(a.arr(0), a.opt_shape(1), a.opt_axes(2), norm_of(a, 3)); });
  };
  bind("fft", kComplex, cat("Transform ", axes, " to frequencies; see `fft`."),
       cat(">>> mx.fft.", name("fft"), R"((mx.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[(10+0j), (-2+0j)], [(-4+0j), 0j]])"), two ? fft::fft2 : fft::fftn);
  bind("ifft", kComplex, cat("Transform ", axes, " back from frequencies; see `ifft`."),
       cat(">>> mx.fft.", name("ifft"), R"((mx.array([[10.0, -2.0], [-4.0, 0.0]])).tolist()
    [[(1+0j), (2+0j)], [(3+0j), (4+0j)]])"), two ? fft::ifft2 : fft::ifftn);
  bind("rfft", kFromReal, cat("Transform ", axes, " of real numbers, the last of them as `rfft` does, the others as `fft`."),
       cat(">>> mx.fft.", name("rfft"), R"((mx.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])).shape
    (2, 2))"), two ? fft::rfft2 : fft::rfftn);
  bind("irfft", kToReal, cat("Transform ", axes, " back to real numbers: the inverse of ", name("rfft"), "."),
       cat(R"(>>> x = mx.array([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]])
    >>> mx.allclose(mx.fft.)", name("irfft"), "(mx.fft.", name("rfft"), R"((x)), x).item()
    True)"), two ? fft::irfft2 : fft::irfftn);
}

}  // namespace

void bind_fft(py::module_& parent) {
  py::module_ m = parent.def_submodule("fft", "Discrete Fourier transforms.");
  bind_one_axis(m);
  bind_several_axes(m, true);
  bind_several_axes(m, false);
  bind_fft_time(m);
  bind_hadamard(parent);
}

}  // namespace mx::python
