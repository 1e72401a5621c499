// atomic.h — atomic operations on memory of the device and of the threadgroup; relaxed, as Metal has them. Threads take turns on
// one core, so that plain loads and stores are atomic.
#pragma once

#include "msl/types.h"

namespace metal {

enum memory_order { memory_order_relaxed };
enum class mem_flags : uint { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4, mem_threadgroup_imageblock = 8 };
inline mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(uint(a) | uint(b)); }
inline mem_flags operator&(mem_flags a, mem_flags b) { return mem_flags(uint(a) & uint(b)); }

template <class T>
struct atomic {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, uint> || std::is_same_v<T, float> || std::is_same_v<T, bool>,
                "atomic types are those of int, uint, float and bool");
  T value;
};
template <class T>
using _atomic = atomic<T>;
using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_float = atomic<float>;
using atomic_bool = atomic<bool>;

namespace host_detail {
template <class T>
struct Same {
  using type = T;
};
/// The parameter that is no help in finding T.
template <class T>
using Value = typename Same<T>::type;

/// Exchanges by f(old), and returns the old value.
template <class T, class F>
MX_UNCHECKED T change(volatile atomic<T>* a, ::mx::metal::host::Place place, F f) {
  ::mx::metal::host::atomic_access(a, sizeof(T), true, place, __builtin_return_address(0));
  T old = a->value;
  a->value = f(old);
  return old;
}
template <class T>
MX_UNCHECKED T load(const volatile atomic<T>* a, ::mx::metal::host::Place place) {
  ::mx::metal::host::atomic_access(a, sizeof(T), false, place, __builtin_return_address(0));
  return a->value;
}
}  // namespace host_detail

template <class T>
inline T atomic_load_explicit(const volatile atomic<T>* a, memory_order, MX_HERE) {
  return host_detail::load(a, MX_PLACE("atomic_load_explicit"));
}
template <class T>
inline void atomic_store_explicit(volatile atomic<T>* a, host_detail::Value<T> v, memory_order, MX_HERE) {
  host_detail::change(a, MX_PLACE("atomic_store_explicit"), [&](T) { return v; });
}
#define MX_CHANGE(name, expression)                                                                              \
  template <class T>                                                                                             \
  inline T name(volatile atomic<T>* a, host_detail::Value<T> v, memory_order, MX_HERE) {                         \
    return host_detail::change(a, MX_PLACE(#name), [&](T old) { (void)old; return T(expression); });             \
  }
MX_CHANGE(atomic_exchange_explicit, v)
MX_CHANGE(atomic_fetch_add_explicit, old + v)
MX_CHANGE(atomic_fetch_sub_explicit, old - v)
MX_CHANGE(atomic_fetch_max_explicit, old < v ? v : old)
MX_CHANGE(atomic_fetch_min_explicit, v < old ? v : old)
MX_CHANGE(atomic_fetch_and_explicit, old & v)
MX_CHANGE(atomic_fetch_or_explicit, old | v)
MX_CHANGE(atomic_fetch_xor_explicit, old ^ v)
#undef MX_CHANGE
template <class T>
inline bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* a, T* expected, host_detail::Value<T> desired, memory_order,
                                                  memory_order, MX_HERE) {
  T wanted = *expected;
  auto same = [](T x, T y) { return std::memcmp(&x, &y, sizeof(T)) == 0; };
  T old = host_detail::change(a, MX_PLACE("atomic_compare_exchange_weak_explicit"), [&](T now) { return same(now, wanted) ? desired : now; });
  *expected = old;
  return same(old, wanted);
}
inline void atomic_thread_fence(mem_flags, memory_order) {}

}  // namespace metal
