#include "runtime/nan_check.h"

#include <cmath>

#include "graph/primitive.h"
#include "runtime/eval.h"

namespace mx {

std::atomic<bool> nan_checks{false};

namespace {

template <class T>
bool is_nan(const T& x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return std::isnan(x.real()) || std::isnan(x.imag());
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return std::isnan(static_cast<float>(x));
  } else {
    return std::isnan(x);
  }
}

template <class T>
bool is_infinite(const T& x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return std::isinf(x.real()) || std::isinf(x.imag());
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return std::isinf(static_cast<float>(x));
  } else {
    return std::isinf(x);
  }
}

struct Found {
  int64_t n = 0;
  Shape first;  ///< Index of the first one.
  bool infinite = false;
};

// All NaNs of an inexact array, axis by axis. What is broadcast is read once, unless every element counts.
template <class T>
void search(const T* data, const array& a, bool every, size_t axis, Shape& index, Found& found) {
  if (axis == index.size()) {
    found.infinite |= is_infinite(*data);
    if (is_nan(*data) && found.n++ == 0) found.first = index;
    return;
  }
  int64_t stride = a.strides()[axis], n = a.shape()[axis];
  if (!every && stride == 0) n = std::min<int64_t>(n, 1);
  for (int64_t i = 0; i < n; ++i) {
    index[axis] = i;
    search(data + i * stride, a, every, axis + 1, index, found);
  }
}

Found nans_in(const array& a, bool every) {
  Found found;
  if (!is_inexact(a.dtype()) || a.size() == 0) return found;
  dispatch(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t> ||
                  std::is_same_v<T, complex64_t>) {
      Shape index(a.shape().size(), 0);
      search(a.data<T>(), a, every, 0, index, found);
    }
  });
  return found;
}

std::string element(const array& a, const Shape& index) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) offset += index[i] * a.strides()[i];
  return dispatch(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T x = a.data<T>()[offset];
    if constexpr (std::is_same_v<T, complex64_t>) {
      return cat(x.real(), x.imag() < 0 ? " - " : " + ", std::abs(x.imag()), "j");
    } else if constexpr (std::is_integral_v<T>) {
      return cat(+x);
    } else {
      return cat(static_cast<float>(x));
    }
  });
}

std::string message(const CallRecord& call, const array& out, const Found& found, bool infinite) {
  std::string text = cat("[", call.primitive->name, "] made the first NaN: ", found.n, " of ", out.size(),
                         out.size() == 1 ? " element" : " elements", " of the result, ", out.dtype(), out.shape());
  if (out.ndim() > 0) text += cat(found.n > 1 ? ", the first at " : ", at ", found.first);
  if (call.primitive->kind == Kind::elementwise && !call.inputs.empty()) {
    text += call.inputs.size() == 1 ? ", where the input is " : ", where the inputs are ";
    for (size_t i = 0; i < call.inputs.size(); ++i) {
      text += cat(i == 0 ? "" : i + 1 < call.inputs.size() ? ", " : " and ", element(call.inputs[i], found.first));
    }
  } else {
    text += call.inputs.size() == 1 ? ", from " : ", of inputs ";
    for (size_t i = 0; i < call.inputs.size(); ++i) text += cat(i ? ", " : "", call.inputs[i].dtype(), call.inputs[i].shape());
    if (infinite) text += " with infinities";
  }
  if (call.origin) return cat(text, ". (made at ", *call.origin, ")");
  return cat(text, ". Its line is not known: it was called before the checks were switched on.");
}

}  // namespace

void check_nans(CallRecord& call, std::span<array> outs) {
  const array* bad = nullptr;
  Found found;
  for (const array& out : outs) {
    found = nans_in(out, true);
    bad = &out;
    if (found.n) break;
  }
  if (!found.n) return;
  bool infinite = false;
  for (const array& in : call.inputs) {
    Found there = nans_in(in, false);
    if (there.n) return;
    infinite |= there.infinite;
  }
  const Primitive& p = *call.primitive;
  auto take_back = [&] {
    // Whoever asks for them again meets the same error.
    for (array& out : outs) {
      out.node()->available.store(false, std::memory_order_release);
      out.node()->storage = {};
    }
  };
  if (p.kind == Kind::elementwise && p.expand) {
    // A fused program. If all its operations pass, the NaN is one of its constants.
    try {
      StreamScope stream(call.stream);
      OriginScope origin(call.origin);
      Outs simpler = p.expand(call.params, Call(call));
      eval(std::span<const array>(simpler.begin(), simpler.size()));
    } catch (...) {
      take_back();
      throw;
    }
    return;
  }
  std::string text = message(call, *bad, found, infinite);
  take_back();
  throw NanError(text);
}

}  // namespace mx
