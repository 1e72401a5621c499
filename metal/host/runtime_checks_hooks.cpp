// runtime_checks_hooks.cpp — what the compiler's instrumentation calls: ThreadSanitizer's functions for accesses, and those of
// UndefinedBehaviorSanitizer for indices of arrays of known size, alignment, and division by zero. No sanitizer's library is linked.
#ifdef MX_METAL_CHECKED

#include "runtime_checks.h"

namespace mx::metal::host {

void atomic_access(const volatile void* p, size_t size, bool writes, Place place) {
  using checks::Access;
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
}  // namespace

}  // namespace mx::metal::host

using mx::metal::host::checks::access;
using mx::metal::host::checks::Access;

#define MX_API extern "C" __attribute__((visibility("default")))
#define MX_HOOKS(size)                                                                                                         \
  MX_API void __tsan_read##size(void* p) { access(uintptr_t(p), size, Access::read, __builtin_return_address(0)); }            \
  MX_API void __tsan_write##size(void* p) { access(uintptr_t(p), size, Access::write, __builtin_return_address(0)); }          \
  MX_API void __tsan_unaligned_read##size(void* p) { access(uintptr_t(p), size, Access::read, __builtin_return_address(0)); }  \
  MX_API void __tsan_unaligned_write##size(void* p) { access(uintptr_t(p), size, Access::write, __builtin_return_address(0)); }
MX_HOOKS(1)
MX_HOOKS(2)
MX_HOOKS(4)
MX_HOOKS(8)
MX_HOOKS(16)
MX_API void __tsan_read_range(void* p, unsigned long n) { access(uintptr_t(p), n, Access::read, __builtin_return_address(0)); }
MX_API void __tsan_write_range(void* p, unsigned long n) { access(uintptr_t(p), n, Access::write, __builtin_return_address(0)); }
MX_API void __tsan_vptr_update(void**, void*) {}
MX_API void __tsan_init() {}
MX_API void __tsan_func_entry(void*) {}
MX_API void __tsan_func_exit() {}

MX_API void __ubsan_handle_out_of_bounds(const mx::metal::host::SourceLocation* at, unsigned long index) {
  mx::metal::host::refuse(at, "index " + std::to_string(long(index)) + " is out of the array's bounds");
}
MX_API void __ubsan_handle_type_mismatch_v1(const mx::metal::host::SourceLocation* at, unsigned long pointer) {
  mx::metal::host::refuse(at, pointer ? "access through a pointer that is not aligned as its type needs" : "access through a null pointer");
}
MX_API void __ubsan_handle_divrem_overflow(const mx::metal::host::SourceLocation* at, unsigned long, unsigned long) {
  mx::metal::host::refuse(at, "an integer is divided by zero");
}

#endif
