// atomics.h — atomic access to plain variables, as std::atomic_ref gives it. Libraries of Xcode before 16.3 lack that.
#pragma once

namespace mx {

/// What `place` holds, with all that was written before it was stored there.
template <class T>
T load_acquire(const T& place) {
  return __atomic_load_n(&place, __ATOMIC_ACQUIRE);
}

/// Whoever loads this value sees all that was written before.
template <class T>
void store_release(T& place, T value) {
  __atomic_store_n(&place, value, __ATOMIC_RELEASE);
}

}  // namespace mx
