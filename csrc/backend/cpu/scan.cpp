// scan.cpp — running reductions. An operation is a struct with a State, a start, a step and a value; two loops
// serve them all: along rows when the axis is the last, and over lanes side by side when it is not. Long rows of
// sums and extremes run in blocks (scan_blocks.h). Start at run_scan().

#include "backend/cpu/scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "backend/cpu/clones.h"
#include "backend/cpu/copy.h"
#include "backend/cpu/pool.h"
#include "backend/cpu/scan_blocks.h"
#include "backend/cpu/scratch.h"
#include "ops/scan_params.h"

namespace mx::cpu {

namespace {

// ---- arithmetic

template <class T>
constexpr bool is_half = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
template <class T>
constexpr bool is_complex_v = std::is_same_v<T, complex64_t>;

// What T is computed in: float for the half types, unsigned for integers (overflow wraps).
template <class T, class = void>
struct WideOf { using type = T; };
template <class T>
struct WideOf<T, std::enable_if_t<is_half<T>>> { using type = float; };
template <class T>
struct WideOf<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> { using type = std::make_unsigned_t<T>; };
template <class T>
using Wide = typename WideOf<T>::type;

template <class W>
W add(W a, W b) { return static_cast<W>(a + b); }
template <class W>
W multiply(W a, W b) {
  if constexpr (is_complex_v<W>) {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
  } else if constexpr (std::is_same_v<W, uint16_t>) {
    return static_cast<W>(uint32_t(a) * uint32_t(b));  // uint16 promotes to int, which could overflow
  } else {
    return static_cast<W>(a * b);
  }
}

template <class T>
bool is_nan(T x) {
  if constexpr (is_complex_v<T>) {
    return std::isnan(x.real()) || std::isnan(x.imag());
  } else if constexpr (is_half<T>) {
    return std::isnan(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<T>) {
    return x != x;
  } else {
    return false;
  }
}

template <class T>
bool less(T a, T b) {
  if constexpr (is_complex_v<T>) {
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else {
    return static_cast<Wide<T>>(a) < static_cast<Wide<T>>(b);
  }
}
template <class T>
  requires std::is_integral_v<T>
bool less(T a, T b) { return a < b; }

template <class T>
T extreme(bool highest) {
  if constexpr (is_complex_v<T>) {
    float inf = std::numeric_limits<float>::infinity();
    return highest ? T(inf, inf) : T(-inf, -inf);
  } else if constexpr (is_half<T>) {
    float inf = std::numeric_limits<float>::infinity();
    return T(highest ? inf : -inf);
  } else if constexpr (std::is_floating_point_v<T>) {
    T inf = std::numeric_limits<T>::infinity();
    return highest ? inf : -inf;
  } else {
    return highest ? std::numeric_limits<T>::max() : std::numeric_limits<T>::lowest();
  }
}

// ---- operations

template <class T>
struct Sum {
  using In = T;
  using Out = T;
  using State = Wide<T>;
  static State start() { return State(0); }
  static State step(State s, T x, int64_t) { return add(s, static_cast<State>(x)); }
  static T value(State s) { return static_cast<T>(s); }
};

// Never in blocks: the product of a block may overflow where the running product does not.
template <class T>
struct Product {
  using In = T;
  using Out = T;
  using State = Wide<T>;
  static State start() { return State(1); }
  static State step(State s, T x, int64_t) { return multiply(s, static_cast<State>(x)); }
  static T value(State s) { return static_cast<T>(s); }
};

// A new element wins only if it is strictly better, so the first of several equals stays; NaN beats all.
template <class T, bool Max>
bool better(T x, T s) {
  bool more = Max ? less(s, x) : less(x, s);
  return (more | is_nan(x)) & !is_nan(s);
}

template <class T, bool Max>
struct Extreme {
  using In = T;
  using Out = T;
  using State = T;
  static State start() { return extreme<T>(!Max); }
  static State step(State s, T x, int64_t) { return better<T, Max>(x, s) ? x : s; }
  static T value(State s) { return s; }
};

template <class T, bool Max, class I>
struct ArgExtreme {
  using In = T;
  using Out = I;
  struct State {
    T best;
    int64_t at;
  };
  static State start() { return {extreme<T>(!Max), -1}; }
  static State step(State s, T x, int64_t i) { return s.at < 0 || better<T, Max>(x, s.best) ? State{x, i} : s; }
  static I value(State s) { return static_cast<I>(s.at); }
};

// log(sum(exp)) as the largest element and the sum of exp(element - largest).
template <class T>
struct LogSumExp {
  using In = T;
  using Out = T;
  struct State {
    double largest;
    double sum;
  };
  static State start() { return {-std::numeric_limits<double>::infinity(), 0.0}; }
  static State step(State s, T value, int64_t) {
    double x = static_cast<double>(value);
    if (x == -std::numeric_limits<double>::infinity()) return s;
    if (x == s.largest) return {x, s.sum + 1.0};
    if (x < s.largest) return {s.largest, s.sum + std::exp(x - s.largest)};
    return {x, s.sum * std::exp(s.largest - x) + 1.0};
  }
  static T value(State s) { return static_cast<T>(static_cast<Wide<T>>(s.largest + std::log(s.sum))); }
};

template <>
struct LogSumExp<complex64_t> {
  using In = complex64_t;
  using Out = complex64_t;
  struct State {
    float largest;
    std::complex<double> sum;
  };
  static State start() { return {-std::numeric_limits<float>::infinity(), 0.0}; }
  static State step(State s, complex64_t x, int64_t) {
    if (x.real() == -std::numeric_limits<float>::infinity()) return s;
    std::complex<double> turn = std::polar(1.0, double(x.imag()));
    if (x.real() == s.largest) return {s.largest, s.sum + turn};
    if (x.real() < s.largest) return {s.largest, s.sum + turn * std::exp(double(x.real()) - double(s.largest))};
    return {x.real(), s.sum * std::exp(double(s.largest) - double(x.real())) + turn};
  }
  static complex64_t value(State s) { return complex64_t(std::log(s.sum) + double(s.largest)); }
};

// ---- loops

// Memory of x in row order; copied only if it does not lie so.
class Contiguous {
 public:
  explicit Contiguous(const array& x) : data(x.size() ? x.bytes() : nullptr) {
    if (x.size() == 0 || x.row_contiguous()) return;
    copy_.emplace(x.n_bytes());
    copy_to(x, copy_->as<std::byte>());
    data = copy_->as<std::byte>();
  }
  const std::byte* data;

 private:
  std::optional<Scratch> copy_;
};

// An array around its axis: n elements `inner` apart, for each of outer x inner places.
struct Around {
  int64_t outer = 1, n = 1, inner = 1;
  Around(const Shape& shape, int axis) {
    for (size_t i = 0; i < shape.size(); ++i) {
      (static_cast<int>(i) < axis ? outer : static_cast<int>(i) == axis ? n : inner) *= shape[i];
    }
  }
};

// One row; `in` and `out` point at the element met first, and `way` is +1 or -1.
template <class Op>
void scan_row(const typename Op::In* in, typename Op::Out* out, int64_t n, int64_t way, bool inclusive, int64_t first) {
  auto s = Op::start();
  for (int64_t i = 0; i < n; ++i) {
    if (!inclusive) out[i * way] = Op::value(s);
    s = Op::step(s, in[i * way], first + i * way);
    if (inclusive) out[i * way] = Op::value(s);
  }
}

// `lanes` neighbouring columns, rows `stride` apart; `s` is their state.
template <class Op, class State>
MX_INLINE void step_lanes(const typename Op::In* in, typename Op::Out* out, int64_t n, int64_t stride, int64_t lanes, int64_t way,
                          bool inclusive, State* s) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t row = way > 0 ? i : n - 1 - i;
    const auto* x = in + row * stride;
    auto* y = out + row * stride;
    if (inclusive) {
      MX_INDEPENDENT
      for (int64_t k = 0; k < lanes; ++k) {
        s[k] = Op::step(s[k], x[k], row);
        y[k] = Op::value(s[k]);
      }
    } else {
      MX_INDEPENDENT
      for (int64_t k = 0; k < lanes; ++k) {
        auto before = Op::value(s[k]);
        s[k] = Op::step(s[k], x[k], row);
        y[k] = before;
      }
    }
  }
}
// For simple arithmetic, with the best vectors there are.
template <class Op, class State>
MX_CLONES void step_lanes_cloned(const typename Op::In* in, typename Op::Out* out, int64_t n, int64_t stride, int64_t lanes, int64_t way,
                                 bool inclusive, State* s) {
  step_lanes<Op>(in, out, n, stride, lanes, way, inclusive, s);
}

template <class Op>
void scan_lanes(const typename Op::In* in, typename Op::Out* out, int64_t n, int64_t stride, int64_t lanes, int64_t way,
                bool inclusive) {
  using State = decltype(Op::start());
  Scratch memory(sizeof(State) * static_cast<size_t>(lanes));
  State* s = memory.as<State>();
  std::uninitialized_fill_n(s, lanes, Op::start());
  if constexpr (std::is_arithmetic_v<State>) {
    step_lanes_cloned<Op>(in, out, n, stride, lanes, way, inclusive, s);
  } else {
    step_lanes<Op>(in, out, n, stride, lanes, way, inclusive, s);
  }
}

// Whether long rows of Op are scanned in blocks (scan_blocks.h): numbers of 4 and 8 bytes, complex excepted; and by what.
template <class Op>
struct InBlocks : std::false_type {};
template <class T>
  requires(std::is_arithmetic_v<T> && sizeof(T) >= 4)
struct InBlocks<Sum<T>> : std::true_type {
  static constexpr RowScan scan = scan_sums<T>;
};
template <class T, bool Max>
  requires(std::is_arithmetic_v<T> && sizeof(T) >= 4)
struct InBlocks<Extreme<T, Max>> : std::true_type {
  static constexpr RowScan scan = scan_extremes<T, Max>;
};

// Signed integers share the code of unsigned ones: the bits are the same.
template <class T>
using Bits = std::conditional_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, Wide<T>, T>;

template <class Op>
void run_scan(const Task& task) {
  const auto& p = task.params.get<ScanParams>();
  array& result = task.out[0];
  if (result.size() == 0) return;
  Contiguous x(task.in[0]);
  const auto* in = reinterpret_cast<const typename Op::In*>(x.data);
  auto* out = reinterpret_cast<typename Op::Out*>(result.bytes());
  Around a(result.shape(), p.axis);
  int64_t way = p.reverse ? -1 : 1, last = p.reverse ? a.n - 1 : 0;
  if (a.inner == 1) {
    if constexpr (InBlocks<Op>()) {
      if (a.n >= 64) {
        // An exclusive scan is an inclusive one moved by one element.
        int64_t moved = p.inclusive ? 0 : 1, from = p.reverse ? moved : 0, to = p.reverse ? 0 : moved;
        auto row = [&](int64_t r) {
          if (moved) out[r * a.n + last] = Op::value(Op::start());
          InBlocks<Op>::scan(in + r * a.n + from, out + r * a.n + to, a.n - moved, p.reverse);
        };
        if (a.outer == 1) return row(0);
        parallel_for(a.outer, std::max<int64_t>(1, 8192 / a.n), [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) row(r);
        });
        return;
      }
    }
    parallel_for(a.outer, std::max<int64_t>(1, 4096 / a.n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        scan_row<Op>(in + r * a.n + last, out + r * a.n + last, a.n, way, p.inclusive, last);
      }
    });
    return;
  }
  constexpr int64_t kLanes = 512;
  int64_t pieces = (a.inner + kLanes - 1) / kLanes;
  int64_t work = a.n * std::min(kLanes, a.inner);
  parallel_for(a.outer * pieces, std::max<int64_t>(1, 8192 / std::max<int64_t>(work, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t k = i % pieces * kLanes, at = i / pieces * a.n * a.inner + k;
      scan_lanes<Op>(in + at, out + at, a.n, a.inner, std::min(kLanes, a.inner - k), way, p.inclusive);
    }
  });
}

template <bool Max>
void arg_extreme(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (task.out[0].dtype() == Dtype::uint32) {
      run_scan<ArgExtreme<T, Max, uint32_t>>(task);
    } else {
      run_scan<ArgExtreme<T, Max, int64_t>>(task);
    }
  });
}

// y = a * y_before + b for `lanes` columns; a row is one lane.
template <class T>
void recurrence_lanes(const T* a, const T* b, T* y, int64_t n, int64_t stride, int64_t lanes, bool reverse) {
  using W = Wide<T>;
  std::vector<W> s(static_cast<size_t>(lanes));
  for (int64_t i = 0; i < n; ++i) {
    int64_t row = (reverse ? n - 1 - i : i) * stride;
    for (int64_t k = 0; k < lanes; ++k) {
      W next = add(multiply(static_cast<W>(a[row + k]), s[size_t(k)]), static_cast<W>(b[row + k]));
      s[size_t(k)] = i == 0 ? static_cast<W>(b[row + k]) : next;
      y[row + k] = static_cast<T>(s[size_t(k)]);
    }
  }
}

}  // namespace

void cumsum_kernel(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) { run_scan<Sum<Bits<typename decltype(tag)::type>>>(task); });
}
void cumprod_kernel(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) { run_scan<Product<Bits<typename decltype(tag)::type>>>(task); });
}
void cummax_kernel(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) { run_scan<Extreme<typename decltype(tag)::type, true>>(task); });
}
void cummin_kernel(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) { run_scan<Extreme<typename decltype(tag)::type, false>>(task); });
}
void cumargmax_kernel(const Task& task) { arg_extreme<true>(task); }
void cumargmin_kernel(const Task& task) { arg_extreme<false>(task); }

void logcumsumexp_kernel(const Task& task) {
  dispatch(task.in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T> || is_half<T> || is_complex_v<T>) run_scan<LogSumExp<T>>(task);
  });
}

void linear_recurrence_kernel(const Task& task) {
  const auto& p = task.params.get<ScanParams>();
  array& out = task.out[0];
  if (out.size() == 0) return;
  Contiguous a(task.in[0]), b(task.in[1]);
  Around s(out.shape(), p.axis);
  constexpr int64_t kLanes = 256;
  int64_t pieces = (s.inner + kLanes - 1) / kLanes;
  int64_t work = s.n * std::min(kLanes, s.inner);
  dispatch(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, bool>) {
      const T *pa = reinterpret_cast<const T*>(a.data), *pb = reinterpret_cast<const T*>(b.data);
      T* py = out.data<T>();
      parallel_for(s.outer * pieces, std::max<int64_t>(1, 8192 / std::max<int64_t>(work, 1)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t k = i % pieces * kLanes, at = i / pieces * s.n * s.inner + k;
          recurrence_lanes(pa + at, pb + at, py + at, s.n, s.inner, std::min(kLanes, s.inner - k), p.reverse);
        }
      });
    }
  });
}

}  // namespace mx::cpu
