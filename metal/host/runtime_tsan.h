// runtime_tsan.h — ThreadSanitizer as the judge of races, in checked builds that run with its library (LD_PRELOAD=libtsan.so).
//
// Each thread of a dispatch is a fiber of ThreadSanitizer's. What orders them is told to it: a dispatch's begin and end,
// barriers of a threadgroup or SIMD group that name memory; nothing else. Its reports become the dispatch's error.
// The machine's own checks (runtime_checks.h) rest meanwhile.
#pragma once

#include "machine.h"

namespace mx::metal::host::tsan {

#ifdef MX_METAL_CHECKED
/// Is the library there?
bool loaded();

void begin_dispatch();
/// Throws KernelError with what ThreadSanitizer said since begin_dispatch(), if nothing before has.
void end_dispatch();
/// [memory, memory + size): of the threadgroup before; nobody has used it for this one.
void begin_group(void* memory, size_t size);
void end_group(uint32_t n_threads);

/// The thread with this index in the threadgroup runs from now on.
void enter(uint32_t index);
void thread_begins(const Thread& t);

/// Meetings whose accesses before come before those after. Number 0 is the threadgroup, 1 + n SIMD group n. `flags`: metal::mem_flags.
/// arrive() gives what depart() needs; the one who is last calls complete() in between.
void* arrive(uint32_t meeting, uint32_t flags);
void complete(uint32_t meeting);
void depart(void* arrived);

void access(void* p, size_t size, bool writes, bool atomic, const void* pc);
void function_begins(const void* pc);
void function_ends();
#else
inline void begin_dispatch() {}
inline void end_dispatch() {}
inline void begin_group(void*, size_t) {}
inline void end_group(uint32_t) {}
inline void enter(uint32_t) {}
inline void thread_begins(const Thread&) {}
inline void* arrive(uint32_t, uint32_t) { return nullptr; }
inline void complete(uint32_t) {}
inline void depart(void*) {}
#endif

}  // namespace mx::metal::host::tsan
