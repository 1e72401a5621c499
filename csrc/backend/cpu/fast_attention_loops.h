// fast_attention_loops.h — the inner loops over rows of scores, as a table for each instruction set. The tables are made by
// fast_attention_baseline.cpp, _avx2.cpp and _avx512.cpp from fast_attention_loops.inl.
#pragma once

#include <cstdint>

#include "backend/cpu/instructions.h"

namespace mx::cpu::attention {

template <class T>
struct ScoreLoops {
  /// The largest of n numbers; NaN does not count. -inf for none.
  T (*largest)(const T* x, int64_t n);
  /// x = exp(x - top) for x <= top, or NaN; returns their sum.
  T (*exponentials)(T* x, T top, int64_t n);
  void (*scale)(T* x, T by, int64_t n);
  /// The sum of x * y.
  T (*inner)(const T* x, const T* y, int64_t n);
  /// y = w (y - mean).
  void (*centre)(const T* w, T mean, T* y, int64_t n);
};

extern const ScoreLoops<float> score_loops_baseline_f32;
extern const ScoreLoops<double> score_loops_baseline_f64;
#if defined(__x86_64__)
extern const ScoreLoops<float> score_loops_avx2_f32, score_loops_avx512_f32;
extern const ScoreLoops<double> score_loops_avx2_f64, score_loops_avx512_f64;
#endif

/// The best table for the processor we run on. T is float or double.
template <class T>
const ScoreLoops<T>& score_loops() {
  if constexpr (sizeof(T) == 4) {
#if defined(__x86_64__)
    static const ScoreLoops<float>& best = best_of(score_loops_avx512_f32, score_loops_avx2_f32, score_loops_baseline_f32);
    return best;
#else
    return score_loops_baseline_f32;
#endif
  } else {
#if defined(__x86_64__)
    static const ScoreLoops<double>& best = best_of(score_loops_avx512_f64, score_loops_avx2_f64, score_loops_baseline_f64);
    return best;
#else
    return score_loops_baseline_f64;
#endif
  }
}

}  // namespace mx::cpu::attention
