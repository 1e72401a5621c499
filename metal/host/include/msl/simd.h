// simd.h — barriers, and what the 32 lanes of a SIMD group and the 4 of a quad do together. All lanes that still run must call the
// same function at the same place. The value from a lane that does not take part is undefined in Metal: here it is NaN, or all ones.
#pragma once

#include "msl/atomic.h"
#include "msl/integer.h"

namespace metal {

inline void threadgroup_barrier(mem_flags flags, MX_HERE) { ::mx::metal::host::barrier(uint(flags), MX_PLACE("threadgroup_barrier")); }
inline void simdgroup_barrier(mem_flags flags, MX_HERE) { ::mx::metal::host::simd_barrier(uint(flags), MX_PLACE("simdgroup_barrier")); }

namespace host_detail {

using ::mx::metal::host::Place;

inline bool has(uint active, int lane) { return lane >= 0 && lane < 32 && ((active >> lane) & 1); }

/// f over the active lanes of each group of `width`, in the order of lanes; the result for all of them.
template <int width, class T, class F>
inline T fold(const T& v, Place place, F f) {
  return ::mx::metal::host::together<T>(v, place, [&](const T* in, uint active, T* out) {
    for (int base = 0; base < 32; base += width) {
      bool any = false;
      T sum{};
      for (int i = base; i < base + width; ++i)
        if (has(active, i)) {
          sum = any ? f(sum, in[i]) : in[i];
          any = true;
        }
      for (int i = base; i < base + width; ++i) out[i] = sum;
    }
  });
}

/// What all lanes up to this one (inclusive or not) give.
template <class T, class F>
inline T scan(const T& v, Place place, bool inclusive, T first, F f) {
  return ::mx::metal::host::together<T>(v, place, [&](const T* in, uint active, T* out) {
    T sum = first;
    for (int i = 0; i < 32; ++i) {
      T next = has(active, i) ? T(f(sum, in[i])) : sum;
      out[i] = inclusive ? next : sum;
      sum = next;
    }
  });
}

template <class T>
struct From {
  T value;
  int lane;   // whose value is wanted
  bool keep;  // or one's own
};
template <class T>
inline T fetch(const T& v, int lane, bool keep, Place place) {
  return ::mx::metal::host::together<T>(From<T>{v, lane, keep}, place, [](const From<T>* in, uint active, T* out) {
    for (int i = 0; i < 32; ++i) {
      if (!has(active, i)) continue;
      if (in[i].keep)
        out[i] = in[i].value;
      else if (has(active, in[i].lane))
        out[i] = in[in[i].lane].value;
      else
        std::memset(static_cast<void*>(&out[i]), 0xFF, sizeof(T));
    }
  });
}

inline int lane() { return int(::mx::metal::host::current->lane); }

}  // namespace host_detail

#define MX_FOLD(name, expression)                                                                                             \
  template <class T>                                                                                                          \
  inline T simd_##name(T v, MX_HERE) {                                                                                        \
    return host_detail::fold<32>(v, MX_PLACE("simd_" #name), [](T a, T b) { return T(expression); });                         \
  }                                                                                                                           \
  template <class T>                                                                                                          \
  inline T quad_##name(T v, MX_HERE) {                                                                                        \
    return host_detail::fold<4>(v, MX_PLACE("quad_" #name), [](T a, T b) { return T(expression); });                          \
  }
MX_FOLD(sum, a + b)
MX_FOLD(product, a* b)
MX_FOLD(max, metal::max(a, b))
MX_FOLD(min, metal::min(a, b))
MX_FOLD(and, a& b)
MX_FOLD(or, a | b)
MX_FOLD(xor, a ^ b)
#undef MX_FOLD

inline bool simd_all(bool v, MX_HERE) {
  return host_detail::fold<32>(v, MX_PLACE("simd_all"), [](bool a, bool b) { return a && b; });
}
inline bool simd_any(bool v, MX_HERE) {
  return host_detail::fold<32>(v, MX_PLACE("simd_any"), [](bool a, bool b) { return a || b; });
}

template <class T>
inline T simd_prefix_inclusive_sum(T v, MX_HERE) {
  return host_detail::scan(v, MX_PLACE("simd_prefix_inclusive_sum"), true, T(0), [](T a, T b) { return T(a + b); });
}
template <class T>
inline T simd_prefix_exclusive_sum(T v, MX_HERE) {
  return host_detail::scan(v, MX_PLACE("simd_prefix_exclusive_sum"), false, T(0), [](T a, T b) { return T(a + b); });
}
template <class T>
inline T simd_prefix_inclusive_product(T v, MX_HERE) {
  return host_detail::scan(v, MX_PLACE("simd_prefix_inclusive_product"), true, T(1), [](T a, T b) { return T(a * b); });
}
template <class T>
inline T simd_prefix_exclusive_product(T v, MX_HERE) {
  return host_detail::scan(v, MX_PLACE("simd_prefix_exclusive_product"), false, T(1), [](T a, T b) { return T(a * b); });
}

template <class T>
inline T simd_shuffle(T v, ushort lane, MX_HERE) {
  return host_detail::fetch(v, int(lane), false, MX_PLACE("simd_shuffle"));
}
template <class T>
inline T simd_shuffle_xor(T v, ushort mask, MX_HERE) {
  return host_detail::fetch(v, host_detail::lane() ^ int(mask), false, MX_PLACE("simd_shuffle_xor"));
}
/// Lanes at the end keep what they have.
template <class T>
inline T simd_shuffle_down(T v, ushort delta, MX_HERE) {
  int from = host_detail::lane() + int(delta);
  return host_detail::fetch(v, from, from > 31, MX_PLACE("simd_shuffle_down"));
}
template <class T>
inline T simd_shuffle_up(T v, ushort delta, MX_HERE) {
  int from = host_detail::lane() - int(delta);
  return host_detail::fetch(v, from, from < 0, MX_PLACE("simd_shuffle_up"));
}
template <class T>
inline T simd_shuffle_rotate_down(T v, ushort delta, MX_HERE) {
  return host_detail::fetch(v, (host_detail::lane() + int(delta)) % 32, false, MX_PLACE("simd_shuffle_rotate_down"));
}
template <class T>
inline T simd_shuffle_rotate_up(T v, ushort delta, MX_HERE) {
  return host_detail::fetch(v, (host_detail::lane() - int(delta) % 32 + 32) % 32, false, MX_PLACE("simd_shuffle_rotate_up"));
}
template <class T>
inline T simd_broadcast(T v, ushort lane, MX_HERE) {
  return host_detail::fetch(v, int(lane), false, MX_PLACE("simd_broadcast"));
}
template <class T>
inline T simd_broadcast_first(T v, MX_HERE) {
  return ::mx::metal::host::together<T>(v, MX_PLACE("simd_broadcast_first"), [](const T* in, uint active, T* out) {
    for (int i = 0; i < 32; ++i) out[i] = in[__builtin_ctz(active)];
  });
}
template <class T>
inline T quad_shuffle_xor(T v, ushort mask, MX_HERE) {
  return host_detail::fetch(v, host_detail::lane() ^ int(mask & 3), false, MX_PLACE("quad_shuffle_xor"));
}
template <class T>
inline T quad_broadcast(T v, ushort lane, MX_HERE) {
  return host_detail::fetch(v, (host_detail::lane() & ~3) + int(lane), false, MX_PLACE("quad_broadcast"));
}
template <class T>
inline T quad_shuffle_down(T v, ushort delta, MX_HERE) {
  int at = host_detail::lane() % 4 + int(delta);
  return host_detail::fetch(v, host_detail::lane() + int(delta), at > 3, MX_PLACE("quad_shuffle_down"));
}

/// One bit for each lane.
struct simd_vote {
  using vote_t = ulong;
  vote_t bits;
  explicit simd_vote(vote_t v = 0) : bits(v) {}
  explicit operator vote_t() const { return bits; }
  bool all() const { return bits == 0xFFFFFFFFul; }
  bool any() const { return bits != 0; }
};
inline simd_vote simd_ballot(bool v, MX_HERE) {
  return simd_vote(::mx::metal::host::together<uint>(v, MX_PLACE("simd_ballot"), [](const bool* in, uint active, uint* out) {
    uint bits = 0;
    for (int i = 0; i < 32; ++i)
      if (host_detail::has(active, i) && in[i]) bits |= 1u << i;
    for (int i = 0; i < 32; ++i) out[i] = bits;
  }));
}
inline simd_vote simd_active_threads_mask(MX_HERE) { return simd_ballot(true, mx_file, mx_line); }
inline bool simd_is_first(MX_HERE) {
  return ulong(simd_ballot(true, mx_file, mx_line)) << (63 - host_detail::lane()) == 1ul << 63;
}

}  // namespace metal
