// runtime_checks_hooks.cpp — what the compiler's instrumentation calls: ThreadSanitizer's functions for accesses, and those of
// UndefinedBehaviorSanitizer for indices of arrays of known size, alignment, and division by zero. No sanitizer's library is linked:
// the linker's --wrap (checked_link.txt) leads kernels here, also where ThreadSanitizer's is loaded, which then is asked in turn.
#ifdef MX_METAL_CHECKED

#include "runtime_checks.h"
#include "runtime_tsan.h"

namespace mx::metal::host {

void atomic_access(const volatile void* p, size_t size, bool writes, Place place, const void* pc) {
  using checks::Access;
  if (tsan::loaded()) return tsan::access(const_cast<void*>(p), size, writes, true, pc);
  checks::access(reinterpret_cast<uintptr_t>(p), size, writes ? Access::atomic_write : Access::atomic_read, checks::pc_of(place));
}

namespace {
struct SourceLocation {
  const char* file;
  uint32_t line, column;
};
[[noreturn]] void refuse(const SourceLocation* at, const std::string& message) {
  fail(std::string(at->file ? at->file : "?") + ":" + std::to_string(at->line) + ": " + message);
}
inline void plain_access(void* p, size_t size, bool writes, const void* pc) {
  if (tsan::loaded()) return tsan::access(p, size, writes, false, pc);
  checks::access(reinterpret_cast<uintptr_t>(p), size, writes ? checks::Access::write : checks::Access::read, pc);
}
}  // namespace

}  // namespace mx::metal::host

namespace tsan = mx::metal::host::tsan;
using mx::metal::host::plain_access;

#define MX_API extern "C" __attribute__((visibility("default")))
#define MX_HOOK(name, size, writes) \
  MX_API void __wrap___tsan_##name(void* p) { plain_access(p, size, writes, __builtin_return_address(0)); }
#define MX_HOOKS(size)             \
  MX_HOOK(read##size, size, false) \
  MX_HOOK(write##size, size, true)
#define MX_UNALIGNED_HOOKS(size)             \
  MX_HOOK(unaligned_read##size, size, false) \
  MX_HOOK(unaligned_write##size, size, true)
MX_HOOKS(1)
MX_HOOKS(2)
MX_HOOKS(4)
MX_HOOKS(8)
MX_HOOKS(16)
MX_UNALIGNED_HOOKS(2)
MX_UNALIGNED_HOOKS(4)
MX_UNALIGNED_HOOKS(8)
MX_UNALIGNED_HOOKS(16)
MX_API void __wrap___tsan_read_range(void* p, unsigned long n) { plain_access(p, n, false, __builtin_return_address(0)); }
MX_API void __wrap___tsan_write_range(void* p, unsigned long n) { plain_access(p, n, true, __builtin_return_address(0)); }
MX_API void __wrap___tsan_vptr_update(void**, void*) {}
MX_API void __wrap___tsan_init() {}
MX_API void __wrap___tsan_func_entry(void* pc) { tsan::function_begins(pc); }
MX_API void __wrap___tsan_func_exit() { tsan::function_ends(); }

MX_API void __wrap___ubsan_handle_out_of_bounds(const mx::metal::host::SourceLocation* at, unsigned long index) {
  mx::metal::host::refuse(at, "index " + std::to_string(long(index)) + " is out of the array's bounds");
}
MX_API void __wrap___ubsan_handle_type_mismatch_v1(const mx::metal::host::SourceLocation* at, unsigned long pointer) {
  mx::metal::host::refuse(at, pointer ? "access through a pointer that is not aligned as its type needs" : "access through a null pointer");
}
MX_API void __wrap___ubsan_handle_divrem_overflow(const mx::metal::host::SourceLocation* at, unsigned long, unsigned long) {
  mx::metal::host::refuse(at, "an integer is divided by zero");
}

#endif
