// conv_channel_loops.h — the inner loops of convolutions by channel (conv_rows.h): sums over taps, vector by vector.
#pragma once

#include <cstdint>

namespace mx::cpu {

/// sum[j] (+)= x[0][j] * w[0] + ... + x[n - 1][j] * w[n - 1] for pixels j, `x_step` and `sum_step` elements apart, of `lanes`
/// elements each. T is float or double.
template <class T>
void add_taps(int n, const T* const* x, const T* const* w, T* sum, int64_t pixels, int64_t x_step, int64_t sum_step, int64_t lanes, bool add);

/// w[t] += sum over pixels of x[t][j] * y[j], for n taps.
template <class T>
void add_products(int n, const T* const* x, T* const* w, const T* y, int64_t pixels, int64_t x_step, int64_t y_step, int64_t lanes);

}  // namespace mx::cpu
