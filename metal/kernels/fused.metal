// fused.metal — fused_interpret: a fused program (csrc/compile/program.h) of the kind without rows as data, run for one element a thread.
// Values are kept as bits. plan/fused.cpp launches it where a program is not compiled.

#include "rows.h"
#include "strided.h"

#define MAX_INPUTS 12
#define MAX_OUTPUTS 6
#define MAX_VALUES 96

constant bool strided [[function_constant(0)]];
// X(k, slot, function constant), for inputs and outputs.
#define FOR_INPUTS(X) \
  X(0, 4, 1) X(1, 5, 2) X(2, 6, 3) X(3, 7, 4) X(4, 8, 5) X(5, 9, 6) X(6, 10, 7) X(7, 11, 8) X(8, 12, 9) X(9, 13, 10) X(10, 14, 11) X(11, 15, 12)
#define FOR_OUTPUTS(X) X(0, 16, 13) X(1, 17, 14) X(2, 18, 15) X(3, 19, 16) X(4, 20, 17) X(5, 21, 18)
#define HAS_INPUT(K, SLOT, CONSTANT) constant bool has_input##K [[function_constant(CONSTANT)]];
FOR_INPUTS(HAS_INPUT)
#define HAS_OUTPUT(K, SLOT, CONSTANT) constant bool has_output##K [[function_constant(CONSTANT)]];
FOR_OUTPUTS(HAS_OUTPUT)

enum Kind : int { kUnary, kBinary, kSelect, kCast };

// Dtypes are numbers of csrc/base/dtype.h.
struct Step {
  uchar kind, op, in, out;
  ushort a, b, c, unused;
};
struct Counts {
  ulong n;
  uint n_inputs, n_constants, n_steps, n_outputs;
  uchar input_dtypes[MAX_INPUTS], output_dtypes[MAX_OUTPUTS], unused[6];
  ushort outputs[MAX_OUTPUTS];
  ushort more_unused[2];
};

// Elements as the bits of memory, and back.
template <class T>
struct Bits {
  static T value(ulong bits) { return T(bits); }
  static ulong of(T x) { return ulong(x); }
};
template <>
struct Bits<bool> {
  static bool value(ulong bits) { return bits != 0; }
  static ulong of(bool x) { return x ? 1ul : 0ul; }
};
template <>
struct Bits<half> {
  static half value(ulong bits) { return as_type<half>(ushort(bits)); }
  static ulong of(half x) { return as_type<ushort>(x); }
};
template <>
struct Bits<bfloat> {
  static bfloat value(ulong bits) { return as_type<bfloat>(ushort(bits)); }
  static ulong of(bfloat x) { return as_type<ushort>(x); }
};
template <>
struct Bits<float> {
  static float value(ulong bits) { return as_type<float>(uint(bits)); }
  static ulong of(float x) { return as_type<uint>(x); }
};
template <>
struct Bits<complex64> {
  static complex64 value(ulong bits) { return mx::scalar::make_complex(as_type<float>(uint(bits)), as_type<float>(uint(bits >> 32))); }
  static ulong of(complex64 x) { return ulong(as_type<uint>(x.im)) << 32 | as_type<uint>(x.re); }
};

inline ulong read_bits(device const uchar* p, long i, int dtype) {
  switch (dtype) {
    case 0:
    case 1:
    case 5: return p[i];
    case 2:
    case 6:
    case 9:
    case 10: return reinterpret_cast<device const ushort*>(p)[i];
    case 3:
    case 7:
    case 11: return reinterpret_cast<device const uint*>(p)[i];
    default: return reinterpret_cast<device const ulong*>(p)[i];
  }
}
inline void write_bits(device uchar* p, ulong i, int dtype, ulong bits) {
  switch (dtype) {
    case 0:
    case 1:
    case 5: p[i] = uchar(bits); break;
    case 2:
    case 6:
    case 9:
    case 10: reinterpret_cast<device ushort*>(p)[i] = ushort(bits); break;
    case 3:
    case 7:
    case 11: reinterpret_cast<device uint*>(p)[i] = uint(bits); break;
    default: reinterpret_cast<device ulong*>(p)[i] = bits; break;
  }
}

template <class T>
inline ulong cast_bits(T x, int dtype) {
  switch (dtype) {
    case 0: return Bits<bool>::of(convert<bool>(x));
    case 1: return Bits<uchar>::of(convert<uchar>(x));
    case 2: return Bits<ushort>::of(convert<ushort>(x));
    case 3: return Bits<uint>::of(convert<uint>(x));
    case 4: return Bits<ulong>::of(convert<ulong>(x));
    case 5: return Bits<char>::of(convert<char>(x));
    case 6: return Bits<short>::of(convert<short>(x));
    case 7: return Bits<int>::of(convert<int>(x));
    case 8: return Bits<long>::of(convert<long>(x));
    case 9: return Bits<half>::of(convert<half>(x));
    case 10: return Bits<bfloat>::of(convert<bfloat>(x));
    case 11: return Bits<float>::of(convert<float>(x));
    default: return Bits<complex64>::of(convert<complex64>(x));
  }
}

// A step whose operands have type T.
template <class T>
inline ulong step_in(Step s, thread const ulong* values) {
  using C = Compute<T>;
  T a = Bits<T>::value(values[s.a]);
  if (s.kind == kCast) return cast_bits(a, s.out);
  if (s.kind == kUnary) {
    // The other results are bool, and the parts of complex numbers.
    if (s.out == s.in) return Bits<T>::of(T(apply_unary<C>(s.op, widen(a))));
    if (s.out == 0) return Bits<bool>::of(apply_unary<bool>(s.op, widen(a)));
    return Bits<float>::of(apply_unary<float>(s.op, widen(a)));
  }
  T b = Bits<T>::value(values[s.b]);
  if (s.out == s.in) return Bits<T>::of(T(apply_binary<C>(s.op, widen(a), widen(b))));
  return Bits<bool>::of(apply_binary<bool>(s.op, widen(a), widen(b)));
}

inline ulong run_step(Step s, thread const ulong* values) {
  if (s.kind == kSelect) return values[s.a] != 0 ? values[s.b] : values[s.c];
  switch (s.in) {
    case 0: return step_in<bool>(s, values);
    case 1: return step_in<uchar>(s, values);
    case 2: return step_in<ushort>(s, values);
    case 3: return step_in<uint>(s, values);
    case 4: return step_in<ulong>(s, values);
    case 5: return step_in<char>(s, values);
    case 6: return step_in<short>(s, values);
    case 7: return step_in<int>(s, values);
    case 8: return step_in<long>(s, values);
    case 9: return step_in<half>(s, values);
    case 10: return step_in<bfloat>(s, values);
    case 11: return step_in<float>(s, values);
    default: return step_in<complex64>(s, values);
  }
}

[[kernel]] void fused_interpret(
    constant Counts& counts [[buffer(0)]],
    constant Step* steps [[buffer(1)]],
    constant ulong* constants [[buffer(2)]],
    constant long* layout [[buffer(3), function_constant(strided)]],
#define INPUT(K, SLOT, CONSTANT) device const uchar* input##K [[buffer(SLOT), function_constant(has_input##K)]],
    FOR_INPUTS(INPUT)
#define OUTPUT(K, SLOT, CONSTANT) device uchar* output##K [[buffer(SLOT), function_constant(has_output##K)]],
    FOR_OUTPUTS(OUTPUT)
    uint3 at [[thread_position_in_grid]],
    uint3 grid [[threads_per_grid]]) {
  ulong i = linear_index(at, grid);
  if (i >= counts.n) return;
  long places[MAX_INPUTS];
  for (int k = 0; k < MAX_INPUTS; ++k) places[k] = strided ? 0 : long(i);
  if (strided) {
    long dims = layout[0];
    ulong left = i;
    for (long d = dims; d > 0; --d) {
      long place = left >> 32 == 0 && layout[d] >> 32 == 0 ? long(uint(left) % uint(layout[d])) : long(left % ulong(layout[d]));
      left = (left - ulong(place)) / ulong(layout[d]);
      for (uint k = 0; k < counts.n_inputs; ++k) places[k] += place * layout[(k + 1) * dims + d];
    }
  }
  ulong values[MAX_VALUES];
#define READ(K, SLOT, CONSTANT) \
  if (has_input##K) values[K] = read_bits(input##K, places[K], counts.input_dtypes[K]);
  FOR_INPUTS(READ)
  uint n = counts.n_inputs;
  for (uint k = 0; k < counts.n_constants; ++k) values[n++] = constants[k];
  for (uint k = 0; k < counts.n_steps; ++k) values[n++] = run_step(steps[k], values);
#define WRITE(K, SLOT, CONSTANT) \
  if (has_output##K) write_bits(output##K, i, counts.output_dtypes[K], values[counts.outputs[K]]);
  FOR_OUTPUTS(WRITE)
}
