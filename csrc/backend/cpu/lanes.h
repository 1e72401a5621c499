// lanes.h — the vocabulary in which vector functions are written, once for everything that runs them.
//
// A function of vector_math.h is a template over a *lane type* F: some float32 or float64 numbers side by side. F may be a
// register of AVX-512, AVX2 or the baseline (lanes_avx512.h, lanes_avx2.h, lanes_baseline.h), or a value of a program that
// the code generator is writing (jit_lanes.h). So all of them compute the same function, to the bit where the processor has
// fused multiply-add. There is no control flow: both sides of a choice are computed and selected between.
//
// For a lane type F there are, as members or free functions found by their arguments:
//
//   typename F::R                  float or double, one lane
//   typename F::I, typename F::M   signed integers of the same size; truth values, one a lane
//   F::of(R), I::of(int64_t)       the same number in all lanes (numbers known when the function is written)
//   a + b, a - b, a * b, a / b, -a
//   fma(a, b, c), fnma(a, b, c)    a * b + c, c - a * b; rounded once where the processor can
//   min(a, b), max(a, b)           b where a or b is NaN, or where they are equal
//   abs(a), sqrt(a), floor(a), ceil(a), trunc(a), round(a)   round: nearest, ties to even
//   a < b, <=, >, >=, ==, !=       M; false with NaN, but for !=
//   bits(a), as_float(i)           the same bits as I, as F
//   to_int(a), to_float(i)         whole numbers within 31 bits (float64: 51 bits) to I and back; any number beyond them
//   scale(a, n)                    a * 2^n for a whole number n of type F within ±250 (float64: ±2040), right also where the
//                                  result is subnormal or infinite
//   i + j, i - j, i & j, i | j, i ^ j, i << k, i >> k (arithmetic), shift_right(i, k) (logical); i == j, i < j
//                                  k is known when the function is written; i >> k and i < j are slow for float64 without AVX-512
//   m & n, m | n, !m               of M
//   select(m, a, b)                a where m, else b; of F and of I
//   repair(rare, x, y, f)          y, but f(x) in the lanes where `rare`: R (*f)(R). For arguments that hardly occur and
//                                  that would cost all others time. Two arguments: repair(rare, x1, x2, y, f).
//
// A lane type whose fma rounds twice has a member `unfused`; a function that needs the rounding error of a product asks for
// it (vector_math_base.h). The register types also load and store; see lanes_registers.inl.
//
// Constants are written in full precision, and where a polynomial comes from stands beside it.
#pragma once

// What vector_math*.h needs stands here: those are included behind a target pragma, where no library header may be.
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "backend/cpu/clones.h"
#include "backend/cpu/instructions.h"
