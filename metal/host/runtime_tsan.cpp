// runtime_tsan.cpp — the talk with ThreadSanitizer's library. Start at enter().
//
// Fibers are dear to make, so that a fixed number is used again and again: thread n of a dispatch is fiber n modulo their number. Two
// threads that share a fiber are one for ThreadSanitizer, so that of threads farther apart than kFibers some races are missed; other
// schedules pair others. The host's own code is not compiled for ThreadSanitizer: only kernels are looked at, and with
// TSAN_OPTIONS=ignore_interceptors_accesses=1 not what memcpy and the like do, for the host or with a thread's stack.
#ifdef MX_METAL_CHECKED

#include "runtime_tsan.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <new>
#include <regex>
#include <sstream>

#include "runtime_checks.h"
#include "runtime_team.h"

#define MX_WEAK extern "C" __attribute__((weak))
MX_WEAK void* __tsan_get_current_fiber();
MX_WEAK void* __tsan_create_fiber(unsigned flags);
MX_WEAK void __tsan_switch_to_fiber(void* fiber, unsigned flags);
MX_WEAK void __tsan_set_fiber_name(void* fiber, const char* name);
MX_WEAK void __tsan_acquire(void* address);
MX_WEAK void __tsan_release(void* address);
MX_WEAK void __real___tsan_func_entry(void* pc);
MX_WEAK void __real___tsan_func_exit();
#define MX_ACCESSES(size)                                   \
  MX_WEAK void __tsan_read##size##_pc(void* p, void* pc);   \
  MX_WEAK void __tsan_write##size##_pc(void* p, void* pc);
MX_ACCESSES(1)
MX_ACCESSES(2)
MX_ACCESSES(4)
MX_ACCESSES(8)
MX_ACCESSES(16)
MX_WEAK void __tsan_read_range_pc(void* p, unsigned long size, void* pc);
MX_WEAK void __tsan_write_range_pc(void* p, unsigned long size, void* pc);
MX_WEAK unsigned char __tsan_atomic8_load(const volatile void* p, int order);
MX_WEAK unsigned __tsan_atomic32_load(const volatile void* p, int order);
MX_WEAK unsigned char __tsan_atomic8_fetch_or(volatile void* p, unsigned char v, int order);
MX_WEAK unsigned __tsan_atomic32_fetch_or(volatile void* p, unsigned v, int order);
MX_WEAK void __sanitizer_set_report_fd(void* file);

namespace mx::metal::host::tsan {

namespace {

constexpr size_t kFibers = 2048;
constexpr unsigned kNoSync = 1;  // __tsan_switch_to_fiber_no_sync
constexpr int kRelaxed = 0;

struct Fiber {
  void* of_tsan = nullptr;
  bool used = false;  // since the dispatch began
  int depth = 0;  // functions that it is in
};
// By its address ThreadSanitizer knows who met whom. Each threadgroup has new ones, on the heap: there they are forgotten.
struct alignas(8) Sync {
  char place[8];
};
struct Meetings {
  Sync at[1 + kThreads / kLanes][2];  // in turns: who is fast may be at the next one before the last has left
};

std::array<Fiber, kFibers> fibers;
size_t first = 0;          // the fiber of the threadgroup's thread 0
Fiber* running = nullptr;  // null: the host's own thread
void* host_fiber = nullptr;
Sync begins, ends;
Meetings* meetings = nullptr;
bool phase[1 + kThreads / kLanes];
int reports = -1;  // the file that they are written to

// What was written since the last time.
std::string take_reports() {
  std::string text(size_t(lseek(reports, 0, SEEK_CUR)), '\0');
  if (text.empty()) return text;
  if (pread(reports, text.data(), text.size(), 0) != ssize_t(text.size()) || ftruncate(reports, 0) != 0 || lseek(reports, 0, SEEK_SET) != 0)
    throw KernelError("[metal] ThreadSanitizer's reports cannot be read");
  return text;
}

// The first one, with the lines of libraries that were loaded after ThreadSanitizer first looked for some.
std::string readable(const std::string& text) {
  static const std::regex unknown(R"(<null> <null> \((.*)\+0x([0-9a-f]+)\))");
  std::istringstream rows(text);
  std::string all, row;
  while (std::getline(rows, row)) {
    if (row.empty() || row.find("====") == 0) continue;
    std::smatch m;
    if (std::regex_search(row, m, unknown)) {
      std::string line = checks::line_at(m[1], std::stoull(m[2], nullptr, 16));
      if (!line.empty()) row = m.prefix().str() + line;
    }
    all += "\n" + row;
    if (row.find("SUMMARY") == 0) break;
  }
  return all;
}

// What the fibers did comes before what the host does next.
void join() {
  for (Fiber& f : fibers) {
    if (!f.used) continue;
    __tsan_switch_to_fiber(f.of_tsan, kNoSync);
    __tsan_release(&ends);
    f.used = false;
  }
  __tsan_switch_to_fiber(host_fiber, kNoSync);
  __tsan_acquire(&ends);
}

// One report is enough, and many take long.
void stop_if_reported() {
  std::string text = take_reports();
  if (!text.empty()) team().stop(std::string("[metal] kernel ") + team().dispatch().kernel->name + ": ThreadSanitizer says" + readable(text));
}

// Programs that are started from here, such as a compiler, cannot do with it.
bool find_library() {
  if (!__tsan_create_fiber) return false;
  unsetenv("LD_PRELOAD");
  return true;
}
const bool is_loaded = find_library();

}  // namespace

bool loaded() { return is_loaded; }

void begin_dispatch() {
  if (!loaded()) return;
  if (reports < 0) {
    reports = memfd_create("tsan", MFD_CLOEXEC);
    __sanitizer_set_report_fd(reinterpret_cast<void*>(intptr_t(reports)));
  }
  host_fiber = __tsan_get_current_fiber();
  first = 0;
  // Where the last one failed.
  join();
  take_reports();
}

void end_dispatch() {
  if (!loaded()) return;
  stop_if_reported();
  join();
}

void begin_group(void* memory, size_t size) {
  if (!loaded()) return;
  // New pages at the old place: the one way to say that nobody has used this memory.
  if (size && mmap(memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) throw std::bad_alloc();
  meetings = new Meetings;
  __tsan_release(&begins);
}

void end_group(uint32_t n_threads) {
  if (!loaded()) return;
  if (running) __tsan_switch_to_fiber(host_fiber, kNoSync);
  running = nullptr;
  delete meetings;
  first = (first + n_threads) % kFibers;
}

void enter(uint32_t index) {
  if (!loaded()) return;
  running = &fibers[(first + index) % kFibers];
  if (!running->of_tsan) {
    __tsan_switch_to_fiber(host_fiber, kNoSync);
    running->of_tsan = __tsan_create_fiber(kNoSync);
  }
  running->used = true;
  __tsan_switch_to_fiber(running->of_tsan, kNoSync);
}

void thread_begins(const Thread& t) {
  if (!loaded()) return;
  stop_if_reported();
  // Of a thread that was stopped.
  while (running->depth) function_ends();
  __tsan_set_fiber_name(running->of_tsan, ("thread " + text(t.local) + " of threadgroup " + text(t.shared->group)).c_str());
  __tsan_acquire(&begins);
}

void* arrive(uint32_t meeting, uint32_t flags) {
  if (!running) return nullptr;
  stop_if_reported();
  if (!flags) return nullptr;
  void* sync = &meetings->at[meeting][phase[meeting]];
  __tsan_release(sync);
  return sync;
}
void complete(uint32_t meeting) { phase[meeting] = !phase[meeting]; }
void depart(void* arrived) {
  if (arrived) __tsan_acquire(arrived);
}

void access(void* p, size_t size, bool writes, bool atomic, const void* pc) {
  // Stacks go from thread to thread, and the machine's memory is no kernel's.
  if (!running || checks::is_internal(p, size)) return;
  void* at = const_cast<void*>(pc);
  if (!atomic) {
    if (reinterpret_cast<uintptr_t>(p) % size == 0) {
      switch (size) {
        case 1: return (writes ? __tsan_write1_pc : __tsan_read1_pc)(p, at);
        case 2: return (writes ? __tsan_write2_pc : __tsan_read2_pc)(p, at);
        case 4: return (writes ? __tsan_write4_pc : __tsan_read4_pc)(p, at);
        case 8: return (writes ? __tsan_write8_pc : __tsan_read8_pc)(p, at);
        case 16: return (writes ? __tsan_write16_pc : __tsan_read16_pc)(p, at);
      }
    }
    return (writes ? __tsan_write_range_pc : __tsan_read_range_pc)(p, size, at);
  }
  __real___tsan_func_entry(at);
  if (size == 1)
    writes ? __tsan_atomic8_fetch_or(p, 0, kRelaxed) : __tsan_atomic8_load(p, kRelaxed);
  else
    writes ? __tsan_atomic32_fetch_or(p, 0, kRelaxed) : __tsan_atomic32_load(p, kRelaxed);
  __real___tsan_func_exit();
}

void function_begins(const void* pc) {
  if (!running) return;
  ++running->depth;
  __real___tsan_func_entry(const_cast<void*>(pc));
}
void function_ends() {
  if (!running || !running->depth) return;
  --running->depth;
  __real___tsan_func_exit();
}

}  // namespace mx::metal::host::tsan

namespace mx::metal::host {

void next_thread(const Thread& t) {
  if (!tsan::loaded()) return;
  tsan::enter(t.index);
  tsan::thread_begins(t);
}

}  // namespace mx::metal::host

#endif
