#include "base/shape.h"

#include <limits>

#include "base/error.h"

namespace mx {

int64_t n_elems(const Shape& shape) {
  int64_t n = 1;
  bool overflow = false;
  for (int64_t d : shape) {
    if (d == 0) return 0;
    overflow |= __builtin_mul_overflow(n, d, &n);
  }
  if (overflow) throw OverflowError(cat("[array] shape ", shape, " holds more than 2**63 - 1 elements."));
  return n;
}

Strides row_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    // An array without elements may have sizes whose product overflows; its strides are never used.
    if (__builtin_mul_overflow(step, std::max<int64_t>(shape[i], 1), &step)) step = 1;
  }
  return strides;
}

template <class V>
static std::ostream& print_tuple(std::ostream& out, const V& xs) {
  out << '(';
  for (size_t i = 0; i < xs.size(); ++i) out << (i ? ", " : "") << xs[i];
  return out << (xs.size() == 1 ? ",)" : ")");
}
std::ostream& operator<<(std::ostream& out, const Shape& shape) { return print_tuple(out, shape); }
std::ostream& operator<<(std::ostream& out, const Axes& axes) { return print_tuple(out, axes); }
std::string str(const Shape& shape) { return cat(shape); }

int normalize_axis(int64_t axis, int64_t ndim, std::string_view op) {
  int64_t fixed = axis < 0 ? axis + ndim : axis;
  if (fixed < 0 || fixed >= ndim) {
    throw AxisError(cat("[", op, "] axis ", axis, " is out of range: the array has ", ndim, " dimension",
                        ndim == 1 ? "" : "s", "; need ", -ndim, " <= axis < ", ndim, "."));
  }
  return static_cast<int>(fixed);
}

Axes normalize_axes(std::span<const int> axes, int64_t ndim, std::string_view op) {
  Axes fixed;
  for (int a : axes) fixed.push_back(normalize_axis(a, ndim, op));
  std::sort(fixed.begin(), fixed.end());
  if (std::adjacent_find(fixed.begin(), fixed.end()) != fixed.end()) {
    throw ValueError(cat("[", op, "] the same axis is named twice: axes ", Axes(axes.begin(), axes.end()), "."));
  }
  return fixed;
}

Axes all_axes(int64_t ndim) {
  Axes axes;
  for (int i = 0; i < ndim; ++i) axes.push_back(i);
  return axes;
}

Axes shift(const Axes& axes) {
  Axes out(axes);
  for (int& a : out) ++a;
  return out;
}

Shape with_axis(const Shape& shape, int64_t size, int axis) {
  Shape out(shape);
  out.insert(out.begin() + axis, size);
  return out;
}

Shape without_axis(const Shape& shape, int axis) {
  Shape out(shape);
  out.erase(out.begin() + axis);
  return out;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op) {
  const Shape &big = a.size() >= b.size() ? a : b, &small = a.size() >= b.size() ? b : a;
  Shape out(big);
  size_t lead = big.size() - small.size();
  for (size_t i = 0; i < small.size(); ++i) {
    int64_t x = big[lead + i], y = small[i];
    if (x == y || y == 1) continue;
    if (x != 1) {
      throw ValueError(cat("[", op, "] shapes ", a, " and ", b, " cannot be broadcast: size ", a[a.size() - small.size() + i],
                           " meets ", b[b.size() - small.size() + i], "; need equal sizes, or 1."));
    }
    out[lead + i] = y;
  }
  return out;
}

bool is_row_contiguous(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] == 1) continue;
    if (strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

}  // namespace mx
