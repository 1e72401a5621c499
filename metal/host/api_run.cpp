// api_run.cpp — the dispatches of a pass: hazards between them, the order in which they run, and replays.
//
// Between two barriers of a concurrent pass dispatches may run in any order. Bindings to the same address are a hazard for certain.
// Where bindings only overlap (parts of one buffer), the dispatches are also run on copies of the memory, forwards and
// backwards, and must leave the same. Start at run_pass().

#include "api_run.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "api_order.h"

namespace mx::metal::host {
namespace {

std::atomic<uint64_t> finished{0};
std::atomic<int> running{0};

using Segment = std::vector<const DispatchCommand*>;

/// Memory that stands in for a buffer's.
struct Copies {
  std::map<const BufferObject*, std::vector<std::byte>> of;
};

void run(const DispatchCommand& c, Copies* copies = nullptr) {
  Dispatch d;
  d.kernel = c.pipeline->kernel;
  d.constants = &c.pipeline->values;
  d.threads = c.threads;
  d.group = c.group;
  for (const Bound& b : c.bound) {
    if (!b.buffer) {
      d.buffers[b.slot] = {b.bytes->data(), b.bytes->size(), 0};
      continue;
    }
    std::byte* p = b.buffer->data;
    if (copies) {
      if (auto it = copies->of.find(b.buffer); it != copies->of.end()) p = it->second.data();
    }
    d.buffers[b.slot] = {p + b.offset, b.buffer->length - b.offset, b.offset};
  }
  for (auto [slot, n] : c.threadgroup) d.threadgroup_memory[slot] = n;
  ++running;
  struct Done {
    ~Done() {
      --running;
      ++finished;
    }
  } done;
  dispatch(d);
}

bool dead(CommandBufferObject& c, const DispatchCommand& d) {
  for (const Bound& b : d.bound) {
    if (b.buffer && b.buffer->dead) {
      c.fail("use-after-release", std::string("kernel ") + d.pipeline->kernel->name + ": buffer(" + std::to_string(b.slot) + ") is a " +
                                      b.buffer->name() + " that was released before the work was done");
      return true;
    }
  }
  if (!d.pipeline->dead) return false;
  c.fail("use-after-release", "the " + d.pipeline->name() + " was released before the work was done");
  return true;
}

/// The first hazard between dispatches of a concurrent pass, or "".
std::string hazard(const Pass& pass) {
  std::vector<Access> since;  // since the last barrier
  for (const Command& command : pass.commands) {
    if (auto* barrier = std::get_if<BarrierCommand>(&command)) {
      if (barrier->buffers.empty()) since.clear();
      std::erase_if(since, [&](const Access& a) { return std::find(barrier->buffers.begin(), barrier->buffers.end(), a.buffer) != barrier->buffers.end(); });
      continue;
    }
    std::vector<Access> now = accesses(std::get<DispatchCommand>(command));
    for (const Access& b : now) {
      for (const Access& a : since) {
        if (conflict(a, b)) return describe(a, b);
      }
    }
    since.insert(since.end(), now.begin(), now.end());
  }
  return "";
}

/// The written buffers of a segment if its dispatches may conflict and are few and small enough; or none.
std::vector<BufferObject*> to_copy(const Segment& s) {
  const Options& o = options();
  uint64_t threads = 0;
  for (auto* d : s) threads += d->threads.count();
  if (s.size() < 2 || threads > o.replay_threads) return {};
  bool may = false;
  std::vector<Access> before;
  std::set<BufferObject*> written;
  for (auto* d : s) {
    std::vector<Access> now = accesses(*d);
    for (const Access& b : now) {
      for (const Access& a : before) may |= may_conflict(a, b);
    }
    before.insert(before.end(), now.begin(), now.end());
    for (const Bound& b : d->bound) {
      if (b.buffer && b.written) written.insert(b.buffer);
    }
  }
  if (!may) return {};
  size_t n_bytes = 0;
  for (BufferObject* b : written) {
    n_bytes += b->length;
    // Copies of what other buffers also show would not show it.
    for (const Access& a : before) {
      if (a.buffer != b && a.low < b->data + b->length && b->data < a.high) return {};
    }
  }
  if (n_bytes > o.replay_bytes) return {};
  return {written.begin(), written.end()};
}

/// Whether the order of a segment's dispatches makes a difference; if so, between which two.
std::string replay(const Segment& s) {
  std::vector<BufferObject*> written = to_copy(s);
  if (written.empty()) return "";
  Copies forward;
  for (BufferObject* b : written) forward.of[b].assign(b->data, b->data + b->length);
  Copies backward = forward;
  for (auto* d : s) run(*d, &forward);
  for (auto it = s.rbegin(); it != s.rend(); ++it) run(**it, &backward);
  for (BufferObject* b : written) {
    auto &f = forward.of[b], &g = backward.of[b];
    auto at = std::mismatch(f.begin(), f.end(), g.begin()).first;
    if (at == f.end()) continue;
    auto offset = at - f.begin();
    for (size_t i = 0; i < s.size(); ++i) {
      for (size_t j = i + 1; j < s.size(); ++j) {
        for (const Access& a : accesses(*s[i])) {
          for (const Access& z : accesses(*s[j])) {
            if (may_conflict(a, z)) {
              return "the order of dispatches makes a difference at byte " + std::to_string(offset) + " of " + b->name() + "; maybe " + describe(a, z);
            }
          }
        }
      }
    }
  }
  return "";
}

void run_segment(CommandBufferObject& c, const Pass& pass, Segment s) {
  for (auto* d : s) {
    if (dead(c, *d)) return;
  }
  if (pass.concurrent) {
    std::string wrong = replay(s);
    if (!wrong.empty()) return c.fail("hazard", "no barrier between dispatches: " + wrong);
    if (uint64_t seed = options().order) {
      static std::mutex mutex;
      static std::mt19937_64 random(seed);
      std::lock_guard lock(mutex);
      std::shuffle(s.begin(), s.end(), random);
    }
  }
  for (auto* d : s) {
    if (dead(c, *d)) return;
    run(*d);
    note_run(d->pipeline->kernel->name, d->threads.count());
  }
}

}  // namespace

uint64_t progress() { return finished + (running ? uint64_t(std::chrono::steady_clock::now().time_since_epoch().count()) : 0); }

void run_pass(CommandBufferObject& c, const Pass& pass) {
  if (pass.concurrent) {
    std::string wrong = hazard(pass);
    if (!wrong.empty()) return c.fail("hazard", "no barrier between dispatches: " + wrong);
  }
  Segment s;
  try {
    for (const Command& command : pass.commands) {
      if (auto* d = std::get_if<DispatchCommand>(&command)) {
        s.push_back(d);
        continue;
      }
      run_segment(c, pass, std::exchange(s, {}));
      if (!c.error.empty()) return;
    }
    run_segment(c, pass, std::move(s));
  } catch (const KernelError& e) {
    c.fail("kernel", e.what(), MTL::CommandBufferErrorPageFault);
  }
}

}  // namespace mx::metal::host
