// format.cpp — see format.h. Start at str(); rows() walks the axes, put() writes one element.

#include "runtime/format.h"

#include <atomic>
#include <cmath>
#include <cstdio>

#include "runtime/eval.h"

namespace mx {

namespace {

constexpr int64_t kEdge = 3;  // elements shown at each end of a long axis

std::atomic<int> precision{-1};

void put(std::string& out, double x) {
  // 310 digits before the point are the most that %f writes.
  char text[400];
  int p = std::min(precision.load(std::memory_order_relaxed), 60);
  int n = p < 0 ? std::snprintf(text, sizeof text, "%g", x) : std::snprintf(text, sizeof text, "%.*f", p, x);
  if (std::isnan(x)) {
    out += "nan";  // never "-nan"
  } else {
    out.append(text, static_cast<size_t>(n));
  }
}
void put(std::string& out, float x) { put(out, static_cast<double>(x)); }
void put(std::string& out, bool x) { out += x ? "True" : "False"; }
void put(std::string& out, complex64_t z) {
  put(out, z.real());
  if (z.imag() >= 0 || std::isnan(z.imag())) out += '+';
  put(out, z.imag());
  out += 'j';
}
template <std::integral I>
void put(std::string& out, I x) {
  out += std::to_string(x);
}

// The elements from `p` on, axes `axis` and later. `depth` columns lie to the left of a new line.
template <class T>
void rows(std::string& out, const array& a, const T* p, size_t axis) {
  if (axis == a.shape().size()) {
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
      put(out, static_cast<float>(*p));
    } else {
      put(out, *p);
    }
    return;
  }
  int64_t n = a.shape()[axis], stride = a.strides()[axis];
  bool innermost = axis + 1 == a.shape().size();
  std::string separator = innermost ? ", " : ",\n" + std::string(7 + axis, ' ');
  out += '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i) out += separator;
    if (n > 2 * kEdge && i == kEdge) {
      out += "..." + separator;
      i = n - kEdge;
    }
    rows(out, a, p + i * stride, axis + 1);
  }
  out += ']';
}

}  // namespace

PrintOptions print_options() { return {precision.load()}; }
void set_print_options(PrintOptions options) { precision = options.precision; }

std::string str(const array& a) {
  std::string out = "array(";
  try {
    a.eval();
  } catch (const TransformError&) {
    return cat("array(<traced", a.node()->why ? " by " : "", a.node()->why ? a.node()->why : "", ">, shape=", a.shape(),
               ", dtype=", a.dtype(), ")");
  }
  dispatch(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    static const T nothing{};
    rows<T>(out, a, a.size() ? a.data<T>() : &nothing, 0);
  });
  return cat(out, ", dtype=", a.dtype(), ")");
}

std::ostream& operator<<(std::ostream& out, const array& a) { return out << str(a); }

}  // namespace mx
