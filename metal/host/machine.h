// machine.h — what translated kernels and the library that they include (include/metal_stdlib) see of the machine: the thread
// that runs, threadgroup memory, barriers, and the meeting of a SIMD group's lanes. runtime_team.cpp has the other side.
//
// Nothing here is thread-safe: one dispatch runs at a time, and its threads take turns on one core.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels.h"

namespace mx::metal::host {

/// Where in a source something was asked for, and what it was.
struct Place {
  const char* file;
  int line;
  const char* what;
};

/// What the threads of a threadgroup share.
struct Shared {
  const Dispatch* dispatch;
  Size group;       ///< Which one of `groups`.
  Size group_size;  ///< Its threads; less than dispatch->group at the ends of the grid.
  Size groups;
  uint32_t simds;
};

struct Thread {
  Size position, local;  ///< In the grid, in the threadgroup.
  uint32_t index = 0;    ///< In the threadgroup, linear.
  uint32_t lane = 0, simd = 0;
  const Shared* shared = nullptr;
};

/// The thread that runs now.
extern Thread* current;

/// Throws KernelError: `message`, with kernel and thread, and the place if there is one.
[[noreturn]] void fail(const std::string& message);
[[noreturn]] void fail(const Place& place, const std::string& message);

/// Waits for all threads of the threadgroup. `flags`: the memory whose accesses it puts in order (metal::mem_flags).
void barrier(uint32_t flags, Place place);
/// The same within a SIMD group.
void simd_barrier(uint32_t flags, Place place);

// ---- Memory of the threadgroup

/// The variable number `ordinal` that the running kernel declares.
void* threadgroup_variable(uint32_t ordinal, size_t size, size_t alignment);
void* threadgroup_argument(uint32_t slot);

// ---- What lanes do together

constexpr size_t kLaneBytes = 64;  ///< Of one lane's operand and result, at most.

/// The meeting place of the current thread's SIMD group.
struct Meeting {
  alignas(64) unsigned char in[kLanes * kLaneBytes];
  alignas(64) unsigned char out[kLanes * kLaneBytes];
  uint32_t active;  ///< The lanes that take part.
};
Meeting& meeting();
/// Waits until all lanes that still run are here. True for the one that has to do the work for all and then calls simd_done().
bool simd_meet(Place place);
void simd_done();
/// Throws if the SIMD group has fewer lanes. Checked builds wait for all of them, and find those that have ended.
void need_all_lanes(Place place);
/// c += a b, of 8 x 8 each.
void multiply_add(const float (&a)[8][8], const float (&b)[8][8], float (&c)[8][8]);

#ifdef MX_METAL_CHECKED
#define MX_UNCHECKED __attribute__((no_sanitize("thread"), noinline))
/// Atomic operations tell of their access themselves: atomic accesses never race with each other. `pc`: the kernel's instruction.
void atomic_access(const volatile void* p, size_t size, bool writes, Place place, const void* pc);
/// The next thread of a plain kernel; the one before has ended.
void next_thread(const Thread& t);
#else
#define MX_UNCHECKED
inline void atomic_access(const volatile void*, size_t, bool, Place, const void*) {}
inline void next_thread(const Thread&) {}
#endif

/// work(in, active, out) computes every lane's result of R from every lane's operand of T; where a lane does not take part,
/// in[lane] is undefined.
template <class R, class T, class F>
MX_UNCHECKED R together(const T& operand, Place place, F work) {
  static_assert(sizeof(T) <= kLaneBytes && sizeof(R) <= kLaneBytes, "too large for an operation of a SIMD group");
  Meeting& m = meeting();
  uint32_t lane = current->lane;
  std::memcpy(m.in + lane * sizeof(T), &operand, sizeof(T));
  if (simd_meet(place)) {
    work(reinterpret_cast<const T*>(m.in), m.active, reinterpret_cast<R*>(m.out));
    simd_done();
  }
  R result;
  std::memcpy(static_cast<void*>(&result), m.out + lane * sizeof(R), sizeof(R));
  return result;
}

// ---- How translated kernels get their arguments

/// Built-in values: what a kernel asks for is a scalar or a vector of 2 or 3.
struct Value3 {
  Size v;
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  operator T() const { return T(v.x); }
  template <class V, class = typename V::Scalar, int N = V::size>
  operator V() const {
    typename V::Scalar c[3] = {typename V::Scalar(v.x), typename V::Scalar(v.y), typename V::Scalar(v.z)};
    V r;
    for (int i = 0; i < N; ++i) r[i] = c[i];
    return r;
  }
};

namespace builtin {
inline Value3 thread_position_in_grid(const Thread& t) { return {t.position}; }
inline Value3 thread_position_in_threadgroup(const Thread& t) { return {t.local}; }
inline Value3 threadgroup_position_in_grid(const Thread& t) { return {t.shared->group}; }
inline Value3 threads_per_grid(const Thread& t) { return {t.shared->dispatch->threads}; }
inline Value3 threads_per_threadgroup(const Thread& t) { return {t.shared->group_size}; }
inline Value3 dispatch_threads_per_threadgroup(const Thread& t) { return {t.shared->dispatch->group}; }
inline Value3 threadgroups_per_grid(const Thread& t) { return {t.shared->groups}; }
inline uint32_t thread_index_in_threadgroup(const Thread& t) { return t.index; }
inline uint32_t thread_index_in_simdgroup(const Thread& t) { return t.lane; }
inline uint32_t simdgroup_index_in_threadgroup(const Thread& t) { return t.simd; }
inline uint32_t threads_per_simdgroup(const Thread&) { return kLanes; }
inline uint32_t simdgroups_per_threadgroup(const Thread& t) { return t.shared->simds; }
inline uint32_t dispatch_simdgroups_per_threadgroup(const Thread& t) {
  return uint32_t((t.shared->dispatch->group.count() + kLanes - 1) / kLanes);
}
inline uint32_t dispatch_threads_per_simdgroup(const Thread&) { return kLanes; }
inline uint32_t thread_index_in_quadgroup(const Thread& t) { return t.lane % 4; }
inline uint32_t quadgroup_index_in_threadgroup(const Thread& t) { return t.index / 4; }
inline uint32_t grid_size(const Thread& t) { return t.shared->dispatch->threads.x; }
}  // namespace builtin

/// A parameter's type, to describe and to pass.
template <class P>
struct Parameter {
  using Element = std::remove_reference_t<std::conditional_t<std::is_pointer_v<P>, std::remove_pointer_t<P>, P>>;
  static constexpr bool writable = !std::is_const_v<Element>;
  static constexpr uint32_t size = sizeof(Element), alignment = alignof(Element);
};
template <class F>
struct Signature;
template <class... P>
struct Signature<void(P...)> {
  template <unsigned I, class First, class... Rest>
  struct At {
    using type = typename At<I - 1, Rest...>::type;
  };
  template <class First, class... Rest>
  struct At<0, First, Rest...> {
    using type = First;
  };
  template <unsigned I>
  using parameter = typename At<I, P...>::type;
};

/// The memory in a slot as the pointer or the reference that the parameter is.
struct BoundPointer {
  void* p;
  template <class T>
  operator T*() const { return static_cast<T*>(p); }
};
struct BoundReference {
  void* p;
  template <class T>
  operator T&() const { return *static_cast<T*>(p); }
};
inline BoundPointer buffer_pointer(const Thread& t, unsigned slot) { return {t.shared->dispatch->buffers[slot].pointer}; }
inline BoundReference buffer_reference(const Thread& t, unsigned slot) { return {t.shared->dispatch->buffers[slot].pointer}; }
inline BoundPointer threadgroup_pointer(unsigned slot) { return {threadgroup_argument(slot)}; }
inline BoundReference threadgroup_reference(unsigned slot) { return {threadgroup_argument(slot)}; }

// ---- Threads one after the other

/// In which order the threads of a threadgroup run: number i is thread (i * step + first) % count.
struct Span {
  Size origin;  ///< Position of the threadgroup's first thread in the grid.
  Size size;
  uint32_t step, first;
};
template <class Call>
void loop(Thread& t, const Span& s, Call call) {
  uint32_t count = uint32_t(s.size.count());
  auto place = [&](uint32_t x, uint32_t y, uint32_t z, uint32_t index) {
    t.local = {x, y, z};
    t.position = {s.origin.x + x, s.origin.y + y, s.origin.z + z};
    t.index = index;
    t.lane = index % kLanes;
    t.simd = index / kLanes;
    next_thread(t);
  };
  if (s.step == 1 && s.first == 0) {
    uint32_t index = 0;
    for (uint32_t z = 0; z < s.size.z; ++z)
      for (uint32_t y = 0; y < s.size.y; ++y)
        for (uint32_t x = 0; x < s.size.x; ++x) {
          place(x, y, z, index++);
          call(t);
        }
    return;
  }
  uint32_t index = s.first;
  for (uint32_t i = 0; i < count; ++i) {
    place(index % s.size.x, index / s.size.x % s.size.y, index / s.size.x / s.size.y, index);
    call(t);
    index = uint32_t((uint64_t(index) + s.step) % count);
  }
}

}  // namespace mx::metal::host
