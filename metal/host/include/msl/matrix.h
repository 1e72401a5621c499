// matrix.h — simdgroup_matrix of 8 x 8: two neighbouring elements of a row in each lane.
//
// The layout is that of Apple's GPUs, as kernels that use thread_elements() know it: lane l, with q = l / 4, holds row
// (q & 4) + (l / 2) % 4, columns (q & 2) * 2 + (l % 2) * 2 and the next.
#pragma once

#include "msl/simd.h"

namespace metal {

namespace host_detail {
inline int row_of(int lane) { return ((lane / 4) & 4) + (lane / 2) % 4; }
inline int column_of(int lane) { return ((lane / 4) & 2) * 2 + (lane % 2) * 2; }
}  // namespace host_detail

template <class T, int Columns, int Rows>
struct simdgroup_matrix {
  static_assert(Columns == 8 && Rows == 8, "a simdgroup_matrix is 8 x 8");
  static_assert(mx_msl::is_real<T>, "a simdgroup_matrix is of float, half or bfloat");
  using storage_type = vec<T, 2>;

  simdgroup_matrix() = default;
  /// `v` on the diagonal.
  explicit simdgroup_matrix(T v) {
    int lane = host_detail::lane();
    for (int k = 0; k < 2; ++k) elements_[k] = host_detail::row_of(lane) == host_detail::column_of(lane) + k ? v : T(0);
  }
  storage_type& thread_elements() { return elements_; }
  const storage_type& thread_elements() const { return elements_; }

 private:
  storage_type elements_;
};

using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;
using simdgroup_bfloat8x8 = simdgroup_matrix<bfloat, 8, 8>;

template <class T, int C, int R>
inline simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(T v) {
  simdgroup_matrix<T, C, R> m;
  m.thread_elements() = vec<T, 2>(v);
  return m;
}

namespace host_detail {

// Row and column of the element k of this lane in memory.
template <class F>
inline void places(ulong stride, ulong2 origin, bool transpose, F f) {
  int r = row_of(lane()), c = column_of(lane());
  for (int k = 0; k < 2; ++k) {
    ulong row = ulong(transpose ? c + k : r) + origin.y, column = ulong(transpose ? r : c + k) + origin.x;
    f(k, row * stride + column);
  }
}

template <class A, class B, class C>
struct Operands {
  A a[2];
  B b[2];
  C c[2];
};
template <class D>
struct Two {
  D d[2];
};

template <class D, class A, class B, class C>
inline void multiply_add(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a, const simdgroup_matrix<B, 8, 8>& b,
                         const simdgroup_matrix<C, 8, 8>& c, Place place) {
  const auto &x = a.thread_elements(), &y = b.thread_elements();
  const auto& z = c.thread_elements();
  using In = Operands<A, B, C>;
  Two<D> r = ::mx::metal::host::together<Two<D>>(In{{x[0], x[1]}, {y[0], y[1]}, {z[0], z[1]}}, place, [&](const In* in, uint active, Two<D>* out) {
    if (active != 0xFFFFFFFFu) ::mx::metal::host::fail(place, "not all 32 lanes of the SIMD group take part");
    float left[8][8], right[8][8], sum[8][8];
    for (int l = 0; l < 32; ++l)
      for (int k = 0; k < 2; ++k) {
        int row = row_of(l), column = column_of(l) + k;
        left[row][column] = float(in[l].a[k]);
        right[row][column] = float(in[l].b[k]);
        sum[row][column] = float(in[l].c[k]);
      }
    ::mx::metal::host::multiply_add(left, right, sum);
    for (int l = 0; l < 32; ++l)
      for (int k = 0; k < 2; ++k) out[l].d[k] = D(sum[row_of(l)][column_of(l) + k]);
  });
  d.thread_elements() = vec<D, 2>(r.d[0], r.d[1]);
}

}  // namespace host_detail

template <class T>
inline void simdgroup_load(simdgroup_matrix<T, 8, 8>& d, const T* source, ulong stride = 8, ulong2 origin = ulong2(0, 0),
                           bool transpose = false, MX_HERE) {
  ::mx::metal::host::need_all_lanes(MX_PLACE("simdgroup_load"));
  host_detail::places(stride, origin, transpose, [&](int k, ulong at) { d.thread_elements()[k] = source[at]; });
}
template <class T>
inline void simdgroup_store(const simdgroup_matrix<T, 8, 8>& m, T* target, ulong stride = 8, ulong2 origin = ulong2(0, 0),
                            bool transpose = false, MX_HERE) {
  ::mx::metal::host::need_all_lanes(MX_PLACE("simdgroup_store"));
  host_detail::places(stride, origin, transpose, [&](int k, ulong at) { target[at] = m.thread_elements()[k]; });
}
/// d = a b + c, summed in float.
template <class D, class A, class B, class C>
inline void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
                                          const simdgroup_matrix<B, 8, 8>& b, const simdgroup_matrix<C, 8, 8>& c, MX_HERE) {
  host_detail::multiply_add(d, a, b, c, MX_PLACE("simdgroup_multiply_accumulate"));
}
template <class D, class A, class B>
inline void simdgroup_multiply(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a, const simdgroup_matrix<B, 8, 8>& b,
                               MX_HERE) {
  host_detail::multiply_add(d, a, b, make_filled_simdgroup_matrix<D, 8, 8>(D(0)), MX_PLACE("simdgroup_multiply"));
}

}  // namespace metal
