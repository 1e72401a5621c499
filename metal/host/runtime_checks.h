// runtime_checks.h — every access to memory, looked at: bounds, reads of threadgroup memory that nobody wrote, races.
//
// Only in checked builds (MX_METAL_CHECKED), where the compiler calls the functions of ThreadSanitizer's interface for each access of
// a kernel: runtime_checks_hooks.cpp has its own, which ask runtime_checks.cpp. Elsewhere all of this is empty.
#pragma once

#include "machine.h"

namespace mx::metal::host::checks {

#ifdef MX_METAL_CHECKED
constexpr bool enabled = true;
/// The kernel's buffers become what may be accessed. [internal, internal_end): the machine's own memory, not looked at.
void begin_dispatch(const Dispatch& d, const void* internal, const void* internal_end);
/// Is it the machine's own?
bool is_internal(const void* p, size_t size);
void end_dispatch();
void begin_group(uint32_t number);
/// Memory that the threadgroup may use from now on, and where all such memory lies.
void add_threadgroup(void* memory, size_t size, const char* name);
void set_arena(void* memory, size_t size);
/// A barrier for the threadgroup or one SIMD group, for the memory that the flags (metal::mem_flags) name.
void barrier(uint32_t flags);
void simd_barrier(uint32_t simd, uint32_t flags);

enum class Access : uint8_t { read, write, atomic_read, atomic_write };
/// Stops the threadgroup with a message if the current thread may not do this. `pc`: the instruction after it.
void access(uintptr_t address, size_t size, Access how, const void* pc);
/// Stands for a place as an instruction would.
const void* pc_of(const Place& place);
/// The line of the source that the running kernel's module has at this offset; "" if it is another module.
std::string line_at(const std::string& module, uintptr_t offset);
#else
constexpr bool enabled = false;
inline void begin_dispatch(const Dispatch&, const void*, const void*) {}
inline void end_dispatch() {}
inline void begin_group(uint32_t) {}
inline void add_threadgroup(void*, size_t, const char*) {}
inline void set_arena(void*, size_t) {}
inline void barrier(uint32_t) {}
inline void simd_barrier(uint32_t, uint32_t) {}
#endif

}  // namespace mx::metal::host::checks
