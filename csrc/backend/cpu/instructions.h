// instructions.h — which of the instruction sets that have their own inner loops this processor offers.
#pragma once

namespace mx::cpu {

#if defined(__x86_64__)

/// What simd_avx2.h is compiled for. Whoever has AVX2 and FMA has F16C.
inline bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/// What simd_avx512.h is compiled for.
inline bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

/// One of three tables of functions.
template <class Table>
const Table& best_of(const Table& avx512, const Table& avx2, const Table& baseline) {
  return has_avx512() ? avx512 : has_avx2() ? avx2 : baseline;
}

#endif

}  // namespace mx::cpu
