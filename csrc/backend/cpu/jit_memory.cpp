// jit_memory.cpp — see jit_memory.h. Every code has pages of its own, private to the process: nothing that another thread is
// running, or a forked process, is ever writable. Pages that are given back are kept for the next code of their size.

#include "backend/cpu/jit_memory.h"

#include <atomic>
#include <cstring>
#include <mutex>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#define MX_HAS_MMAP 1
#endif

namespace mx::cpu::jit {

namespace {

std::atomic<bool> refused{false};

#ifdef MX_HAS_MMAP

#if defined(__APPLE__) && defined(__aarch64__)
// Pages that a thread may write or run, by a switch of its own.
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_JIT, kMapProtection = PROT_READ | PROT_WRITE | PROT_EXEC;
bool make_writable(void*, size_t) {
  pthread_jit_write_protect_np(0);
  return true;
}
bool make_executable(void* p, size_t n) {
  pthread_jit_write_protect_np(1);
  __builtin___clear_cache(static_cast<char*>(p), static_cast<char*>(p) + n);
  return true;
}
#else
constexpr int kMapFlags = MAP_PRIVATE | MAP_ANONYMOUS, kMapProtection = PROT_READ | PROT_WRITE;
bool make_writable(void* p, size_t n) { return mprotect(p, n, PROT_READ | PROT_WRITE) == 0; }
bool make_executable(void* p, size_t n) {
  __builtin___clear_cache(static_cast<char*>(p), static_cast<char*>(p) + n);
  return mprotect(p, n, PROT_READ | PROT_EXEC) == 0;
}
#endif

constexpr size_t kKeptSizes = 8, kKeptEach = 16;

/// Pages given back, by their number.
struct Kept {
  std::mutex mutex;
  std::vector<void*> pages[kKeptSizes];
};

Kept& kept() {
  // Never destroyed: code may be released while the process ends.
  static Kept& k = [] () -> Kept& {
    static Kept* made = new Kept;
    pthread_atfork([] { kept().mutex.lock(); }, [] { kept().mutex.unlock(); }, [] { kept().mutex.unlock(); });
    return *made;
  }();
  return k;
}

size_t page_size() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void* take_pages(size_t n_bytes) {
  size_t n = n_bytes / page_size();
  if (n < kKeptSizes) {
    Kept& k = kept();
    std::lock_guard lock(k.mutex);
    if (!k.pages[n].empty()) {
      void* p = k.pages[n].back();
      k.pages[n].pop_back();
      return p;
    }
  }
  void* p = mmap(nullptr, n_bytes, kMapProtection, kMapFlags, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void give_back(void* p, size_t n_bytes) {
  size_t n = n_bytes / page_size();
  if (n < kKeptSizes && make_writable(p, n_bytes)) {
    Kept& k = kept();
    std::lock_guard lock(k.mutex);
    if (k.pages[n].size() < kKeptEach) {
      k.pages[n].push_back(p);
      return;
    }
  }
  munmap(p, n_bytes);
}

#endif

}  // namespace

void refuse_executable_memory(bool refuse) { refused = refuse; }

#ifdef MX_HAS_MMAP

std::unique_ptr<ExecutableCode> ExecutableCode::make(const uint8_t* code, size_t n) {
  if (refused || n == 0) return nullptr;
  size_t n_bytes = (n + page_size() - 1) / page_size() * page_size();
  void* p = take_pages(n_bytes);
  if (!p) return nullptr;
  if (make_writable(p, n_bytes)) std::memcpy(p, code, n);
  if (!make_executable(p, n_bytes)) {
    munmap(p, n_bytes);
    return nullptr;
  }
  return std::unique_ptr<ExecutableCode>(new ExecutableCode(p, n_bytes));
}
ExecutableCode::~ExecutableCode() { give_back(address_, n_bytes_); }

#else

std::unique_ptr<ExecutableCode> ExecutableCode::make(const uint8_t*, size_t) { return nullptr; }
ExecutableCode::~ExecutableCode() = default;

#endif

}  // namespace mx::cpu::jit
