// runtime_dispatch.cpp — a dispatch: what Metal's validation would say to it, then its threadgroups one after the other.
#include <new>
#include <cstdlib>
#include <mutex>
#include <random>

#include "runtime_checks.h"
#include "runtime_library.h"
#include "runtime_team.h"
#include "runtime_tsan.h"

namespace mx::metal::host {

namespace {

// Function constants are global to a source while its kernels run, and so is the team.
std::recursive_mutex turn;

uint64_t schedule_of_environment() {
  const char* s = std::getenv("MXFORM_METAL_SCHEDULE");
  if (!s || !*s || std::string(s) == "in-order") return 0;
  if (std::string(s) == "reversed") return 1;
  char* end = nullptr;
  uint64_t seed = std::strtoull(s, &end, 10);
  if (*end) throw KernelError(std::string("[metal] MXFORM_METAL_SCHEDULE is \"") + s + "\"; it may be in-order, reversed or a number.");
  return seed;
}

uint64_t& order() {
  static uint64_t value = schedule_of_environment();
  return value;
}

[[noreturn]] void refuse(const Kernel& k, const std::string& message) {
  throw KernelError(std::string("[metal] kernel ") + k.name + " (" + k.file + ":" + std::to_string(k.line) + "): " + message);
}

std::string of(const Argument& a) {
  return std::string(a.kind == Argument::buffer ? "buffer(" : "threadgroup(") + std::to_string(a.slot) + ") (" + a.name + ")";
}

void check_buffer(const Kernel& k, const Argument& a, const Memory& m) {
  if (!m.pointer) refuse(k, of(a) + " is not bound");
  if (a.reference && m.size < a.size)
    refuse(k, of(a) + " has " + std::to_string(m.size) + " bytes; its type has " + std::to_string(a.size));
  if (reinterpret_cast<uintptr_t>(m.pointer) % a.alignment)
    refuse(k, of(a) + " is bound to memory that is not aligned to " + std::to_string(a.alignment) + " bytes, as its type needs");
}

void check_threadgroup(const Kernel& k, const Argument& a, size_t size) {
  if (size == 0) refuse(k, of(a) + " has no length");
  if (a.reference && size < a.size)
    refuse(k, of(a) + " has " + std::to_string(size) + " bytes; its type has " + std::to_string(a.size));
}

// With the constants applied.
void check(const Dispatch& d) {
  const Kernel& k = *d.kernel;
  if (d.threads.count() == 0) refuse(k, "no threads: the grid is " + text(d.threads));
  if (d.group.count() == 0) refuse(k, "the threadgroup's size is " + text(d.group));
  uint32_t most = std::min(k.max_threads, kThreads);
  if (uint64_t(d.group.x) * d.group.y > most || d.group.count() > most)
    refuse(k, "a threadgroup of " + text(d.group) + " threads; there may be " + std::to_string(most));
  size_t sum = 0;
  for (uint32_t i = 0; i < kSlots; ++i) {
    size_t n = d.threadgroup_memory[i];
    if (n % 16) refuse(k, "threadgroup(" + std::to_string(i) + ") has " + std::to_string(n) + " bytes; need a multiple of 16");
    sum += n;
  }
  if (sum > kThreadgroupMemory)
    refuse(k, "the threadgroup arguments have " + std::to_string(sum) + " bytes; there are " + std::to_string(kThreadgroupMemory));
  for (uint32_t i = 0; i < k.n_arguments; ++i) {
    const Argument& a = k.arguments[i];
    if (a.gate && !*static_cast<const bool*>(a.gate->value)) continue;
    if (a.kind == Argument::buffer)
      check_buffer(k, a, d.buffers[a.slot]);
    else
      check_threadgroup(k, a, d.threadgroup_memory[a.slot]);
  }
}

void prepare(const Dispatch& d) {
  if (!d.kernel) throw KernelError("[metal] a dispatch without a kernel");
  static const std::vector<ConstantValue> none;
  const std::vector<ConstantValue>& values = d.constants ? *d.constants : none;
  check_constants(*d.kernel, values);
  apply_constants(*d.kernel, values);
  check(d);
}

// All numbers below n once, in the order of the schedule.
template <class F>
void visit(uint64_t n, uint64_t order, F f) {
  if (order == 0) {
    for (uint64_t i = 0; i < n; ++i) f(i);
  } else if (order == 1) {
    for (uint64_t i = n; i-- > 0;) f(i);
  } else {
    // Steps of a prime that does not divide n visit everything.
    static const uint64_t primes[] = {1000003, 15485863, 32452843, 49979687, 67867967, 86028121};
    uint64_t step = 1, at = order % n;
    for (uint64_t i = 0; i < 6; ++i)
      if (n % primes[(order + i) % 6]) {
        step = primes[(order + i) % 6];
        break;
      }
    for (uint64_t i = 0; i < n; ++i, at = (at + step) % n) f(at);
  }
}

}  // namespace

void set_schedule(uint64_t value) { order() = value; }
uint64_t schedule() { return order(); }
bool checked() { return checks::enabled; }

void validate(const Dispatch& d) {
  std::lock_guard lock(turn);
  prepare(d);
}

Counts dispatch(const Dispatch& given) {
  std::lock_guard lock(turn);
  prepare(given);
  alignas(Dispatch) static std::byte place[sizeof(Dispatch)];  // As team()'s.
  static Dispatch& d = *new (place) Dispatch;
  d = given;
  Team& t = team();
  struct Ending {
    Team& t;
    ~Ending() {
      checks::end_dispatch();
      t.end();
    }
  } ending{t};
  checks::begin_dispatch(d, t.stacks().begin(), t.stacks().end());
  tsan::begin_dispatch();
  t.begin(d, order());
  Size groups = t.shared().groups;
  visit(groups.count(), order(), [&](uint64_t i) {
    Size g{uint32_t(i % groups.x), uint32_t(i / groups.x % groups.y), uint32_t(i / groups.x / groups.y)};
    t.run(g, {std::min(d.group.x, d.threads.x - g.x * d.group.x), std::min(d.group.y, d.threads.y - g.y * d.group.y),
              std::min(d.group.z, d.threads.z - g.z * d.group.z)});
  });
  tsan::end_dispatch();
  return t.counts;
}

}  // namespace mx::metal::host
