// runtime_team.cpp — the scheduler of a threadgroup, its barriers and the meetings of its SIMD groups.
#include "runtime_team.h"

#include <sys/mman.h>

#include <new>
#include <algorithm>
#include <numeric>

#include "runtime_checks.h"
#include "runtime_tsan.h"

namespace mx::metal::host {

Thread* current = nullptr;

namespace {

bool same(const Place& a, const Place& b) {
  auto equal = [](const char* x, const char* y) { return x == y || std::strcmp(x, y) == 0; };
  return a.line == b.line && equal(a.file, b.file) && equal(a.what, b.what);
}

// Room for what lies between variables, too.
constexpr size_t kArena = 16 * kThreadgroupMemory;

void* unused_sp;  // where a thread that never comes back saves its stack pointer

}  // namespace

Team& team() {
  // Never destroyed: a queue may be at work when the process ends. Not on the heap, where the checks look for stray accesses.
  alignas(Team) static std::byte place[sizeof(Team)];
  static Team& t = *new (place) Team;
  return t;
}

std::string text(const Place& p) { return std::string(p.what) + " at " + p.file + ":" + std::to_string(p.line); }
std::string text(const Size& s) { return "(" + std::to_string(s.x) + ", " + std::to_string(s.y) + ", " + std::to_string(s.z) + ")"; }

void fail(const std::string& message) {
  std::string where;
  if (current)
    where = std::string("[metal] kernel ") + team().dispatch().kernel->name + ", thread " + text(current->position) + " of threadgroup " +
            text(team().shared().group) + ": ";
  team().stop(where + message);
}
void fail(const Place& place, const std::string& message) { fail(text(place) + ": " + message); }

void barrier(uint32_t flags, Place place) { team().barrier(flags, place); }
void simd_barrier(uint32_t flags, Place place) {
  uint32_t simd = current->simd;
  void* arrived = tsan::arrive(1 + simd, flags);
  if (simd_meet(place)) {
    checks::simd_barrier(simd, flags);
    tsan::complete(1 + simd);
    simd_done();
  }
  tsan::depart(arrived);
}
Meeting& meeting() { return team().meeting(); }
bool simd_meet(Place place) { return team().simd_meet(place); }
void simd_done() { team().simd_done(); }
void need_all_lanes(Place place) {
  if constexpr (checks::enabled) {
    if (simd_meet(place)) {
      if (meeting().active != ~0u) fail(place, "not all 32 lanes of the SIMD group take part");
      simd_done();
    }
  } else if (!team().all_lanes()) {
    fail(place, "not all 32 lanes of the SIMD group take part");
  }
}
void multiply_add(const float (&a)[8][8], const float (&b)[8][8], float (&c)[8][8]) {
  for (int i = 0; i < 8; ++i)
    for (int k = 0; k < 8; ++k)
      for (int j = 0; j < 8; ++j) c[i][j] += a[i][k] * b[k][j];
}
void* threadgroup_variable(uint32_t ordinal, size_t size, size_t alignment) { return team().variable(ordinal, size, alignment); }
void* threadgroup_argument(uint32_t slot) { return team().argument(slot); }

// ---------------------------------------------------------------- groups

void Team::begin(const Dispatch& d, uint64_t order) {
  shared_.dispatch = &d;
  shared_.groups = {(d.threads.x + d.group.x - 1) / d.group.x, (d.threads.y + d.group.y - 1) / d.group.y,
                    (d.threads.z + d.group.z - 1) / d.group.z};
  counts = {};
  order_ = order;
  random_.seed(order);
  if (!memory_) {
    void* p = mmap(nullptr, kArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<char*>(p);
  }
  checks::set_arena(memory_, kArena);
  variables_.reserve(kSlots);
}

void Team::end() {
  current = nullptr;
  fiber_ = nullptr;
}

void Team::start_group(Size group, Size size) {
  shared_.group = group;
  shared_.group_size = size;
  count_ = uint32_t(size.count());
  shared_.simds = (count_ + kLanes - 1) / kLanes;
  counts.threads += count_;
  variables_.clear();
  tsan::begin_group(memory_, memory_used_);
  memory_used_ = memory_counted_ = 0;
  error_.clear();
  checks::begin_group(group.x + shared_.groups.x * (group.y + shared_.groups.y * group.z));
  for (uint32_t i = 0; i < kSlots; ++i) {
    size_t n = shared_.dispatch->threadgroup_memory[i];
    arguments_[i] = n ? allocate(n) : nullptr;
    if (n) checks::add_threadgroup(arguments_[i], n, "a threadgroup argument");
  }
}

void Team::run(Size group, Size size) {
  start_group(group, size);
  int stack = stacks_.take();
  if (shared_.dispatch->kernel->plain) {
    mx_fiber_switch(&main_, stacks_.prepare(stack, &Team::loop));
    stacks_.give(stack);
  } else {
    run_threads(stack);
  }
  tsan::end_group(count_);
  current = nullptr;
  if (error_.empty()) return;
  for (Fiber& f : fibers_) f.stack = -1;
  stacks_.give_all();
  throw KernelError(error_);
}

// All threads of a plain kernel, on a stack that stop() can leave.
void Team::loop() {
  Team& team = host::team();
  const Dispatch& d = team.dispatch();
  const Size& g = team.shared_.group;
  uint32_t count = team.count_;
  Span span{{g.x * d.group.x, g.y * d.group.y, g.z * d.group.z}, team.shared_.group_size, 1, 0};
  if (team.order_ == 1 && count > 1) {
    span.step = count - 1;
    span.first = count - 1;
  } else if (team.order_ > 1) {
    span.first = uint32_t(team.random_() % count);
    do span.step = uint32_t(team.random_() % count) + 1;
    while (std::gcd(span.step, count) != 1);
  }
  Thread t;
  t.shared = &team.shared_;
  current = &t;
  d.kernel->loop(t, span);
  mx_fiber_switch(&unused_sp, team.main_);
}

void Team::run_threads(int stack) {
  live_ = count_;
  arrived_ = 0;
  for (uint32_t s = 0; s < shared_.simds; ++s) {
    uint32_t lanes = std::min(kLanes, count_ - s * kLanes);
    Simd& g = simds_[s];
    g.begun = g.live = g.ready = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    g.met = g.at_barrier = 0;
    g.worker = -1;
  }
  const Size& size = shared_.group_size;
  if (placed_.x != size.x || placed_.y != size.y || placed_.z != size.z) {
    for (uint32_t i = 0; i < count_; ++i)
      fibers_[i].thread = {{}, {i % size.x, i / size.x % size.y, i / size.x / size.y}, i, i % kLanes, i / kLanes, &shared_};
    placed_ = size;
  }
  last_simd_ = order_ == 1 ? shared_.simds - 1 : 0;
  Fiber* first = pick();
  first->stack = stack;
  make_current(first);
  mx_fiber_switch(&main_, stacks_.prepare(first->stack, &Team::entry));
}

// ---------------------------------------------------------------- threads

void Team::make_current(Fiber* f) {
  fiber_ = f;
  current = &f->thread;
  tsan::enter(current->index);
}

// Takes the next thread that may run out of those that are ready: of the same SIMD group if possible.
Team::Fiber* Team::pick() {
  uint32_t n = shared_.simds, s = last_simd_;
  if (order_ > 1) s = uint32_t(random_() % n);
  for (uint32_t i = 0; i < n; ++i) {
    Simd& g = simds_[s];
    if (g.ready) {
      int lane = order_ == 1 ? 31 - __builtin_clz(g.ready) : __builtin_ctz(g.ready);
      if (order_ > 1) {
        uint32_t left = g.ready;
        for (uint64_t skip = random_() % uint64_t(__builtin_popcount(left)); skip > 0; --skip) left &= left - 1;
        lane = __builtin_ctz(left);
      }
      g.ready &= ~(1u << lane);
      last_simd_ = s;
      return &fibers_[s * kLanes + uint32_t(lane)];
    }
    s = order_ == 1 ? (s ? s - 1 : n - 1) : (s + 1 == n ? 0 : s + 1);
  }
  return nullptr;
}

// Runs threads to their ends, one after the other, as long as the next one is new.
void Team::entry() {
  Team& t = team();
  for (;;) {
    Fiber* me = t.fiber_;
    const Size &g = t.shared_.group, &size = t.dispatch().group, &local = me->thread.local;
    me->thread.position = {g.x * size.x + local.x, g.y * size.y + local.y, g.z * size.z + local.z};
    tsan::thread_begins(me->thread);
    t.dispatch().kernel->call(me->thread);
    t.finish();
    Fiber* next = t.pick();
    if (!next) {
      if (t.live_) t.stop(t.stuck());
      t.stacks_.give(me->stack);
      me->stack = -1;
      mx_fiber_switch(&unused_sp, t.main_);
    }
    t.make_current(next);
    if (next->stack < 0) {
      std::swap(next->stack, me->stack);
      continue;
    }
    t.stacks_.give(me->stack);
    me->stack = -1;
    ++t.counts.switches;
    mx_fiber_switch(&unused_sp, next->sp);
  }
}

// Lets others run; comes back when somebody made this thread ready and it was picked.
void Team::pass() {
  Fiber* me = fiber_;
  Fiber* next = pick();
  if (!next) stop(stuck());
  if (next == me) return;
  make_current(next);
  if (next->stack < 0) {
    next->stack = stacks_.take();
    next->sp = stacks_.prepare(next->stack, &Team::entry);
  }
  ++counts.switches;
  mx_fiber_switch(&me->sp, next->sp);
}

void Team::finish() {
  Simd& s = simds_[current->simd];
  s.live &= ~(1u << current->lane);
  --live_;
  if (arrived_) fail(barrier_, "not every thread of the threadgroup gets there; this one returned before");
  if (s.met && s.met == s.live) {
    s.worker = __builtin_ctz(s.met);
    s.ready |= 1u << s.worker;
  }
}

// Ends the threadgroup: all threads are left where they are. (Nothing is thrown from them: what a compiler's instrumentation calls
// must not throw.)
void Team::stop(const std::string& error) {
  if (!current) throw KernelError(error);
  error_ = error;
  mx_fiber_switch(&unused_sp, main_);
  __builtin_unreachable();
}

std::string Team::stuck() const {
  for (uint32_t i = 0; i < shared_.simds; ++i) {
    const Simd& s = simds_[i];
    if (!s.met) continue;
    std::string m = std::string("[metal] kernel ") + dispatch().kernel->name + ", SIMD group " + std::to_string(i) + " of threadgroup " +
                    text(shared_.group) + ": " + text(s.place) + ": not every lane gets there";
    if (s.at_barrier) m += "; lane " + std::to_string(__builtin_ctz(s.at_barrier)) + " waits for " + text(barrier_);
    return m;
  }
  return std::string("[metal] kernel ") + dispatch().kernel->name + ": " + text(barrier_) + ": threads wait for ever";
}

// ---------------------------------------------------------------- waiting

void Team::barrier(uint32_t flags, Place place) {
  if (live_ != count_) fail(place, "not every thread of the threadgroup gets there; another one returned before");
  if (arrived_ == 0) {
    barrier_ = place;
    flags_ = flags;
  } else if (!same(barrier_, place)) {
    fail(place, "other threads of the threadgroup wait for another barrier, " + text(barrier_));
  } else {
    flags_ &= flags;
  }
  simds_[current->simd].at_barrier |= 1u << current->lane;
  void* arrived = tsan::arrive(0, flags);
  if (++arrived_ < count_)
    pass();
  else
    release();
  tsan::depart(arrived);
}

// Everybody is at the barrier.
void Team::release() {
  ++counts.barriers;
  tsan::complete(0);
  arrived_ = 0;
  checks::barrier(flags_);
  for (uint32_t i = 0; i < shared_.simds; ++i) {
    simds_[i].ready = simds_[i].at_barrier;
    simds_[i].at_barrier = 0;
  }
  simds_[current->simd].ready &= ~(1u << current->lane);
}

bool Team::simd_meet(Place place) {
  Simd& s = simds_[current->simd];
  if (!s.met)
    s.place = place;
  else if (!same(s.place, place))
    fail(place, "lane " + std::to_string(__builtin_ctz(s.met)) + " of this SIMD group is at another operation, " + text(s.place));
  s.met |= 1u << current->lane;
  if (s.met != s.live) {
    pass();
    if (s.worker != int(current->lane)) return false;
    s.worker = -1;
  }
  s.meeting.active = s.met;
  return true;
}

void Team::simd_done() {
  Simd& s = simds_[current->simd];
  ++counts.simd_operations;
  s.ready |= s.met & ~(1u << current->lane);
  s.met = 0;
}

// ---------------------------------------------------------------- memory of the threadgroup

void* Team::allocate(size_t size) {
  size_t room = (size + 15) / 16 * 16;
  memory_counted_ += room;
  counts.threadgroup_bytes = std::max(counts.threadgroup_bytes, memory_counted_);
  if (memory_counted_ > kThreadgroupMemory)
    fail("threadgroup memory: " + std::to_string(memory_counted_) + " bytes; there are " + std::to_string(kThreadgroupMemory));
  void* p = memory_ + memory_used_;
  // In checked builds a gap behind each.
  memory_used_ += ((checks::enabled ? room + std::min<size_t>(room, 1024) + 64 : room) + 63) / 64 * 64;
  std::memset(p, 0xFF, room);  // NaN: who reads what nobody wrote, sees it
  return p;
}

void* Team::variable(uint32_t ordinal, size_t size, size_t) {
  if (ordinal >= variables_.size()) variables_.resize(ordinal + 1);
  Variable& v = variables_[ordinal];
  if (!v.memory) {
    v = {allocate(size), size};
    checks::add_threadgroup(v.memory, size, "a threadgroup variable");
  }
  return v.memory;
}

void* Team::argument(uint32_t slot) { return arguments_[slot]; }

}  // namespace mx::metal::host
