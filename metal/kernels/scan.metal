// scan.metal — running reductions. An operation is a struct with a State, a start, a step by one element, a way to combine states of
// neighbouring parts, and a value. Three ways to run it: scan_rows (a threadgroup a row, or a part of a long one), scan_lanes (a thread a
// row, for many short or interleaved ones), and scan_steps (a SIMD group a row, one element after the other, for operations that must not
// be combined). The planner is in plan/scan.cpp.

#include "arithmetic.h"
#include "lanes.h"
#include "strided.h"

constant uint op [[function_constant(0)]];           // OpCode
constant bool inclusive [[function_constant(1)]];
constant bool only_totals [[function_constant(2)]];  // scan_rows: the first pass over long rows
constant bool has_totals [[function_constant(3)]];   // scan_rows: the second pass
constant bool wide_places [[function_constant(4)]];  // places are written as int64, else as uint32

enum OpCode : uint { kSum, kProduct, kMaximum, kMinimum };

// The value that the lane `d` before this one has; undefined in the first d lanes.
template <class T>
inline T lane_up(T x, ushort d) { return simd_shuffle_up(x, d); }
inline bool lane_up(bool x, ushort d) { return simd_shuffle_up(ushort(x), d) != 0; }
inline ulong lane_up(ulong x, ushort d) {
  uint low = simd_shuffle_up(uint(x), d), high = simd_shuffle_up(uint(x >> 32), d);
  return ulong(high) << 32 | low;
}
inline long lane_up(long x, ushort d) { return long(lane_up(ulong(x), d)); }
inline complex64 lane_up(complex64 x, ushort d) {
  float re = simd_shuffle_up(x.re, d), im = simd_shuffle_up(x.im, d);
  return mx::scalar::make_complex(re, im);
}

// ---- operations

template <typename T>
struct Fold {
  using In = T;
  using Out = T;
  using State = Compute<T>;
  static State start() {
    switch (op) {
      case kSum: return convert<State>(uint(0));
      case kProduct: return convert<State>(uint(1));
      case kMaximum: return State(Extremes<T>::lowest());
      default: return State(Extremes<T>::highest());
    }
  }
  static State combine(State a, State b) {
    switch (op) {
      case kSum: return sum_of(a, b);
      case kProduct: return product_of(a, b);
      default: return better_than(b, a, op == kMaximum) ? b : a;
    }
  }
  static State step(State s, T x, long) { return combine(s, widen(x)); }
  static void put(device Out* out, long i, State s) { out[i] = T(s); }
  static State before(State s, ushort by) { return lane_up(s, by); }
};

// Where the extreme is; -1 before the first element.
template <typename T>
struct Place {
  using In = T;
  using Out = uchar;
  struct State {
    Compute<T> best;
    long at;
  };
  static State start() {
    State s;
    s.best = convert<Compute<T>>(uint(0));
    s.at = -1;
    return s;
  }
  static State combine(State a, State b) {
    if (b.at < 0) return a;
    return a.at < 0 || better_than(b.best, a.best, op == kMaximum) ? b : a;
  }
  static State step(State s, T x, long i) {
    State b;
    b.best = widen(x);
    b.at = i;
    return combine(s, b);
  }
  static void put(device uchar* out, long i, State s) {
    if (wide_places) {
      ((device long*)out)[i] = s.at;
    } else {
      ((device uint*)out)[i] = uint(s.at);
    }
  }
  static State before(State s, ushort by) {
    State b;
    b.best = lane_up(s.best, by);
    b.at = lane_up(s.at, by);
    return b;
  }
};

// log(sum(exp)) as the largest element (its real part) and the sum of exp(element - largest).
template <typename T>
struct LogSumExp {
  using In = T;
  using Out = T;
  struct State {
    float largest, sum;
  };
  static State make(float largest, float sum) {
    State s;
    s.largest = largest;
    s.sum = sum;
    return s;
  }
  static State start() { return make(-INFINITY, 0.0f); }
  static State combine(State a, State b) {
    if (b.largest == -INFINITY) return a;
    if (a.largest == b.largest) return make(a.largest, a.sum + b.sum);
    if (b.largest < a.largest) return make(a.largest, a.sum + b.sum * exp(b.largest - a.largest));
    return make(b.largest, a.sum * exp(a.largest - b.largest) + b.sum);
  }
  static State step(State s, T x, long) { return combine(s, make(float(x), 1.0f)); }
  static void put(device T* out, long i, State s) { out[i] = T(s.largest + log(s.sum)); }
  static State before(State s, ushort by) { return make(lane_up(s.largest, by), lane_up(s.sum, by)); }
};
template <>
struct LogSumExp<complex64> {
  using In = complex64;
  using Out = complex64;
  struct State {
    float largest;
    complex64 sum;
  };
  static State make(float largest, complex64 sum) {
    State s;
    s.largest = largest;
    s.sum = sum;
    return s;
  }
  static State start() { return make(-INFINITY, mx::scalar::make_complex(0.0f, 0.0f)); }
  static State combine(State a, State b) {
    if (b.largest == -INFINITY) return a;
    if (a.largest == b.largest) return make(a.largest, a.sum + b.sum);
    if (b.largest < a.largest) return make(a.largest, a.sum + b.sum * exp(b.largest - a.largest));
    return make(b.largest, a.sum * exp(a.largest - b.largest) + b.sum);
  }
  static State step(State s, complex64 x, long) {
    return combine(s, make(x.re, mx::scalar::make_complex(cos(x.im), sin(x.im))));
  }
  static void put(device complex64* out, long i, State s) {
    out[i] = mx::scalar::complex_detail::log(s.sum) + mx::scalar::make_complex(s.largest, 0.0f);
  }
  static State before(State s, ushort by) { return make(lane_up(s.largest, by), lane_up(s.sum, by)); }
};

// ---- the loops

// Rows lie n elements long at the places that a layout says; the scan meets element i at first + i * step. With `mirrored`, element i
// is number n - 1 - i of the row.
struct ScanParams {
  long n, rows;
  long in_first, in_step, out_first, out_step;
  long part, parts;  // scan_rows: elements of a threadgroup's part, parts of a row.
  uint mirrored;
};

inline long number_of(long i, constant ScanParams& p) { return p.mirrored ? p.n - 1 - i : i; }

// What the states of the threads before this one combine to, and in `total` all of them. All threads of the group take part.
template <typename Op>
inline typename Op::State states_before(typename Op::State s, thread typename Op::State& total, threadgroup typename Op::State* shared,
                                        uint lane, uint simd, uint n_simds) {
  using State = typename Op::State;
  for (ushort by = 1; by < 32; by *= 2) {
    State b = Op::before(s, by);
    if (lane >= by) s = Op::combine(b, s);
  }
  State mine = Op::before(s, 1);
  if (lane == 0) mine = Op::start();
  if (lane == 31) shared[simd] = s;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  total = Op::start();
  State first = total;
  for (uint k = 0; k < n_simds; ++k) {
    if (k == simd) first = total;
    total = Op::combine(total, shared[k]);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return Op::combine(first, mine);
}

// Each thread takes kEach neighbours of a chunk. x: parts of a row, a threadgroup each; y: rows.
template <typename Op>
[[kernel]] void scan_rows(
    device const typename Op::In* in [[buffer(0)]],
    device typename Op::Out* out [[buffer(1)]],
    device typename Op::State* totals [[buffer(2)]],
    constant ScanParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    threadgroup typename Op::State* shared [[threadgroup(0)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint tid [[thread_index_in_threadgroup]],
    uint3 size [[threads_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]],
    uint n_simds [[simdgroups_per_threadgroup]]) {
  using State = typename Op::State;
  constexpr int kEach = 8;
  Offsets<2> row = element_offsets<2>(layout, group.y);
  device const typename Op::In* x = in + (row.at[0] + p.in_first);
  device typename Op::Out* y = out;
  long y0 = row.at[1] + p.out_first;
  long begin = long(group.x) * p.part, end = min(p.n, begin + p.part);
  device State* row_totals = totals + long(group.y) * p.parts;
  State carry = Op::start();
  if (has_totals) {
    long each = (long(group.x) + size.x - 1) / size.x;
    State s = Op::start();
    for (long i = tid * each; i < min(long(group.x), (tid + 1) * each); ++i) s = Op::combine(s, row_totals[i]);
    states_before<Op>(s, carry, shared, lane, simd, n_simds);
  }
  for (long base = begin; base < end; base += long(size.x) * kEach) {
    State s = Op::start(), v[kEach];
    long first = base + long(tid) * kEach;
    for (int e = 0; e < kEach; ++e) {
      long i = first + e;
      if (i < end) s = Op::step(s, x[i * p.in_step], number_of(i, p));
      v[e] = s;
    }
    State total;
    State before = Op::combine(carry, states_before<Op>(s, total, shared, lane, simd, n_simds));
    if (!only_totals) {
      State previous = before;
      for (int e = 0; e < kEach; ++e) {
        State here = Op::combine(before, v[e]);
        if (first + e < end) Op::put(y, y0 + (first + e) * p.out_step, inclusive ? here : previous);
        previous = here;
      }
    }
    carry = Op::combine(carry, total);
  }
  if (only_totals && tid == 0) row_totals[group.x] = carry;
}

template <typename Op>
[[kernel]] void scan_lanes(
    device const typename Op::In* in [[buffer(0)]],
    device typename Op::Out* out [[buffer(1)]],
    constant ScanParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong r = linear_index(at, grid);
  if (r >= ulong(p.rows)) return;
  Offsets<2> row = element_offsets<2>(layout, r);
  typename Op::State s = Op::start();
  for (long i = 0; i < p.n; ++i) {
    long to = row.at[1] + p.out_first + i * p.out_step;
    if (!inclusive) Op::put(out, to, s);
    s = Op::step(s, in[row.at[0] + p.in_first + i * p.in_step], number_of(i, p));
    if (inclusive) Op::put(out, to, s);
  }
}

// Lane i of a SIMD group reads element i, then all lanes do the 32 steps; lane i keeps what comes out of step i. y: rows.
template <typename Op>
[[kernel]] void scan_steps(
    device const typename Op::In* in [[buffer(0)]],
    device typename Op::Out* out [[buffer(1)]],
    constant ScanParams& p [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    uint3 at [[thread_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  using State = typename Op::State;
  Offsets<2> row = element_offsets<2>(layout, at.y);
  State s = Op::start();
  for (long base = 0; base < p.n; base += 32) {
    long i = base + lane;
    State x = Op::start(), mine = x;
    if (i < p.n) x = widen(in[row.at[0] + p.in_first + i * p.in_step]);
    for (ushort k = 0; k < 32; ++k) {
      State next = Op::combine(s, lane_at(x, k));
      if (lane == k) mine = inclusive ? next : s;
      s = next;
    }
    if (i < p.n) Op::put(out, row.at[1] + p.out_first + i * p.out_step, mine);
  }
}

// ---- y = a * y_before + b. The operands of the layout are a, b and y; those of `steps` too, first elements, then steps.

template <typename W>
inline W recur(W a, W y, W b, bool first) { return first ? b : sum_of(product_of(a, y), b); }

template <typename T>
[[kernel]] void recurrence_lanes(
    device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* steps [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    constant ScanParams& p [[buffer(5)]],
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong r = linear_index(at, grid);
  if (r >= ulong(p.rows)) return;
  Offsets<3> row = element_offsets<3>(layout, r);
  for (int k = 0; k < 3; ++k) row.at[k] += steps[k];
  Compute<T> y = convert<Compute<T>>(uint(0));
  for (long i = 0; i < p.n; ++i) {
    y = recur(widen(a[row.at[0] + i * steps[3]]), y, widen(b[row.at[1] + i * steps[4]]), i == 0);
    out[row.at[2] + i * steps[5]] = T(y);
  }
}

template <typename T>
[[kernel]] void recurrence_steps(
    device const T* a [[buffer(0)]],
    device const T* b [[buffer(1)]],
    device T* out [[buffer(2)]],
    constant long* steps [[buffer(3)]],
    constant long* layout [[buffer(4)]],
    constant ScanParams& p [[buffer(5)]],
    uint3 at [[thread_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]) {
  Offsets<3> row = element_offsets<3>(layout, at.y);
  for (int k = 0; k < 3; ++k) row.at[k] += steps[k];
  Compute<T> y = convert<Compute<T>>(uint(0));
  for (long base = 0; base < p.n; base += 32) {
    long i = base + lane;
    Compute<T> u = y, v = y, mine = y;
    if (i < p.n) {
      u = widen(a[row.at[0] + i * steps[3]]);
      v = widen(b[row.at[1] + i * steps[4]]);
    }
    for (ushort k = 0; k < 32; ++k) {
      y = recur(lane_at(u, k), y, lane_at(v, k), base + k == 0);
      if (lane == k) mine = y;
    }
    if (i < p.n) out[row.at[2] + i * steps[5]] = T(mine);
  }
}

#define SCANS(Op, what, T, name)                        \
  INSTANTIATE(what "_rows_" name, scan_rows, Op<T>)     \
  INSTANTIATE(what "_lanes_" name, scan_lanes, Op<T>)
#define FOLDS(T, name) SCANS(Fold, "fold", T, name)
#define PLACES(T, name) SCANS(Place, "fold_place", T, name)
#define LOG_SUMS(T, name) SCANS(LogSumExp, "logcumsumexp", T, name)
#define STEPS(T, name) INSTANTIATE("fold_steps_" name, scan_steps, Fold<T>)
#define RECURRENCES(T, name)                                     \
  INSTANTIATE("recurrence_lanes_" name, recurrence_lanes, T)     \
  INSTANTIATE("recurrence_steps_" name, recurrence_steps, T)

FOR_ALL_TYPES(FOLDS)
FOR_ALL_TYPES(PLACES)
FOR_REALS(LOG_SUMS)
LOG_SUMS(complex64, "complex64")
FOR_REALS(STEPS)
STEPS(complex64, "complex64")
FOR_INTEGERS(RECURRENCES)
FOR_REALS(RECURRENCES)
RECURRENCES(complex64, "complex64")
