// runtime_team.h — one threadgroup at work: who runs, who waits for whom, and what is not to be waited for.
//
// Threads that wait have stacks of their own (runtime_fibers.h). A thread that waits hands the core to the next one directly; one
// that ends hands its stack to the next that begins, so that threads that never wait share one.
#pragma once

#include <array>
#include <random>

#include "machine.h"
#include "runtime_fibers.h"

namespace mx::metal::host {

class Team {
 public:
  /// What is the same for all threadgroups of a dispatch.
  void begin(const Dispatch& d, uint64_t order);
  /// Runs one threadgroup; throws KernelError.
  void run(Size group, Size group_size);
  void end();

  const Dispatch& dispatch() const { return *shared_.dispatch; }
  const Shared& shared() const { return shared_; }
  const Stacks& stacks() const { return stacks_; }

  /// Ends the threadgroup; run() throws the error. From outside of threads, throws it itself.
  [[noreturn]] void stop(const std::string& error);

  // The other side of machine.h.
  void barrier(uint32_t flags, Place place);
  bool simd_meet(Place place);
  void simd_done();
  bool all_lanes() const { return simds_[current->simd].begun == ~0u; }
  Meeting& meeting() { return simds_[current->simd].meeting; }
  void* variable(uint32_t ordinal, size_t size, size_t alignment);
  void* argument(uint32_t slot);

  Counts counts;

 private:
  struct Fiber {
    Thread thread;
    void* sp = nullptr;
    int stack = -1;
  };
  struct Simd {
    uint32_t begun = 0;       // lanes that there are
    uint32_t live = 0;        // that have not ended
    uint32_t ready = 0;       // may run
    uint32_t met = 0;         // wait in simd_meet
    uint32_t at_barrier = 0;
    int worker = -1;          // the waiting lane that has to work because the last lane that was awaited ended
    Place place = {};
    Meeting meeting;
  };
  struct Variable {
    void* memory = nullptr;
    size_t size = 0;
  };

  static void entry();
  static void loop();
  void run_threads(int stack);
  Fiber* pick();
  void pass();
  void finish();
  void release();
  void make_current(Fiber* f);
  void start_group(Size group, Size group_size);
  void* allocate(size_t size);
  std::string stuck() const;

  Stacks stacks_;
  Shared shared_{};
  std::array<Fiber, kThreads> fibers_;
  Simd simds_[kThreads / kLanes];
  Fiber* fiber_ = nullptr;
  void* main_ = nullptr;
  uint32_t count_ = 0, live_ = 0, arrived_ = 0;
  uint32_t last_simd_ = 0;
  uint32_t flags_ = 0;
  Place barrier_ = {};
  std::string error_;
  uint64_t order_ = 0;
  std::mt19937_64 random_;
  Size placed_{0, 0, 0};  // the threadgroup's size for which the fibers' places were computed

  std::vector<Variable> variables_;
  void* arguments_[kSlots] = {};
  char* memory_ = nullptr;
  size_t memory_used_ = 0, memory_counted_ = 0;
};

/// The only one.
Team& team();

std::string text(const Place& place);
std::string text(const Size& s);

}  // namespace mx::metal::host
