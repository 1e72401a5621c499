// api_object.cpp — reference counts, autorelease pools, the quarantine of released objects, the list of faults.

#include "api_object.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

namespace mx::metal::host {
namespace {

constexpr size_t kQuarantine = 1 << 14;  // released objects whose use is still noticed

struct World {
  std::mutex mutex;
  std::vector<Fault> faults;
  std::string loose;  // the oldest fault that no command buffer has got yet
  std::map<std::string, int64_t> live;
  std::deque<Object*> quarantine;
  bool log = std::getenv("MXFORM_METAL_LOG") != nullptr;
};
// Never destroyed: the queues' threads may outlive main().
World& world() {
  static World* w = new World;
  return *w;
}

uint64_t number(const char* variable, uint64_t otherwise) {
  const char* s = std::getenv(variable);
  return s && *s ? std::strtoull(s, nullptr, 10) : otherwise;
}

struct Pool : Object {
  static constexpr const char* kType = "NS::AutoreleasePool";
  std::vector<Object*> objects;
  Pool() : Object(kType) {}
  void die() override;
};
thread_local std::vector<Pool*> pools;

void drain(Pool& p) {
  while (!p.objects.empty()) {
    std::vector<Object*> now;
    now.swap(p.objects);
    for (Object* o : now) release(o);
  }
}

// Pools that were made later and not released end with it, as Foundation's do.
void Pool::die() {
  auto at = std::find(pools.begin(), pools.end(), this);
  if (at == pools.end()) {
    if (!objects.empty()) fault("pool-thread", "NS::AutoreleasePool released on another thread than the one that made it");
    drain(*this);
    return;
  }
  while (pools.back() != this) {
    Pool* inner = pools.back();
    pools.pop_back();
    drain(*inner);
  }
  pools.pop_back();
  drain(*this);
}

void bury(Object* o) {
  o->die();
  Object* old = nullptr;
  {
    World& w = world();
    std::lock_guard lock(w.mutex);
    --w.live[o->type];
    w.quarantine.push_back(o);
    if (w.quarantine.size() > kQuarantine) {
      old = w.quarantine.front();
      w.quarantine.pop_front();
    }
  }
  delete old;
}

}  // namespace

Options& options() {
  static Options* o = [] {
    auto* p = new Options;
    p->strict = number("MXFORM_METAL_STRICT", 1);
    p->order = number("MXFORM_METAL_ORDER", 0);
    p->late_us = number("MXFORM_METAL_LATE", 0);
    p->event_timeout_ms = number("MXFORM_METAL_TIMEOUT", p->event_timeout_ms);
    return p;
  }();
  return *o;
}

void record(const char* kind, const std::string& message) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  if (w.log) std::fprintf(stderr, "[metal host] %s: %s\n", kind, message.c_str());
  w.faults.push_back({kind, message});
}

void fault(const char* kind, const std::string& message) {
  record(kind, message);
  World& w = world();
  std::lock_guard lock(w.mutex);
  if (w.loose.empty()) w.loose = message;
}

std::string take_loose_fault() {
  World& w = world();
  std::lock_guard lock(w.mutex);
  std::string m = std::exchange(w.loose, {});
  return options().strict ? m : "";
}

std::vector<Fault> take_faults() {
  World& w = world();
  std::lock_guard lock(w.mutex);
  w.loose.clear();
  return std::exchange(w.faults, {});
}

size_t fault_count() {
  World& w = world();
  std::lock_guard lock(w.mutex);
  return w.faults.size();
}

int64_t live_objects(const std::string& type) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  int64_t n = 0;
  for (auto& [name, count] : w.live) {
    if (type.empty() || type == name) n += count;
  }
  return n;
}

Object::Object(const char* t) : type(t) {
  World& w = world();
  std::lock_guard lock(w.mutex);
  ++w.live[type];
}

Object::~Object() = default;

void pin(Object* o) { ++o->pins; }

// The last of pins and references buries it. `dead` is set before pins are looked at on one side, pins lowered before `dead` is
// looked at on the other; the exchange lets one of the two do it.
void unpin(Object* o) {
  if (--o->pins == 0 && o->dead && o->pins.exchange(INT64_MIN / 2) == 0) bury(o);
}

void* retain(const void* p) {
  if (!p) return nullptr;
  Object* o = as_object(p);
  if (o->dead) {
    fault("use-after-release", "retain of a " + o->name() + " that was released before");
  } else {
    ++o->refs;
  }
  return o;
}

void release(const void* p) {
  if (!p) return;
  Object* o = as_object(p);
  if (o->dead) {
    fault("over-release", "release of a " + o->name() + " that was released before: one release too many");
    return;
  }
  if (o->refs.load() == 1) {
    if (const char* why = o->reason_to_stay()) fault("released-early", o->name() + " released " + why);
  }
  if (--o->refs > 0) return;
  o->dead = true;
  if (o->pins.load() > 0) {
    fault("use-after-release", o->name() + " released while a command buffer that uses it, and holds no reference, is not completed");
  }
  int64_t none = 0;
  if (o->pins.compare_exchange_strong(none, INT64_MIN / 2)) bury(o);
}

void* autorelease(const void* p) {
  if (!p) return nullptr;
  Object* o = as_object(p);
  if (o->dead) {
    fault("use-after-release", "autorelease of a " + o->name() + " that was released before");
  } else if (pools.empty()) {
    fault("no-pool", "a " + o->name() + " was autoreleased on a thread without NS::AutoreleasePool: it leaks");
  } else {
    pools.back()->objects.push_back(o);
  }
  return o;
}

uintptr_t retain_count(const void* p) { return p ? static_cast<uintptr_t>(as_object(p)->refs.load()) : 0; }

void* copy(const void* p) {
  if (!p) return nullptr;
  Object& o = *as_object(p);
  if (Object* c = o.copied()) return c;
  return retain(&o);  // immutable, or nobody needs it
}

void bad_object(const void* p, const char* wanted, const char* method) {
  if (!p) {
    fault("null", std::string(method) + ": " + wanted + " is null");
  } else if (as_object(p)->dead) {
    fault("use-after-release", std::string(method) + ": the " + as_object(p)->name() + " was released before");
  } else {
    fault("wrong-class", std::string(method) + ": got a " + as_object(p)->name() + ", needs a " + wanted);
  }
}

}  // namespace mx::metal::host

extern "C" {
__attribute__((visibility("default"))) size_t mxform_metal_fault_count() { return mx::metal::host::fault_count(); }

__attribute__((visibility("default"))) size_t mxform_metal_take_faults(char* text, size_t n_bytes) {
  auto faults = mx::metal::host::take_faults();
  std::string all;
  for (auto& f : faults) all += f.kind + ": " + f.message + '\n';
  if (n_bytes > 0) {
    size_t n = std::min(all.size(), n_bytes - 1);
    std::memcpy(text, all.data(), n);
    text[n] = 0;
  }
  return faults.size();
}
}

namespace host = mx::metal::host;

namespace NS {
AutoreleasePool* AutoreleasePool::alloc() { return host::handle<AutoreleasePool>(new host::Pool); }
AutoreleasePool* AutoreleasePool::init() {
  host::pools.push_back(&host::self<host::Pool>(this, "AutoreleasePool::init"));
  return this;
}
void AutoreleasePool::drain() { host::release(this); }
void AutoreleasePool::addObject(Object* o) { host::self<host::Pool>(this, "AutoreleasePool::addObject").objects.push_back(host::as_object(o)); }
void AutoreleasePool::showPools() {
  for (auto* p : host::pools) std::fprintf(stderr, "pool %p: %zu objects\n", static_cast<void*>(p), p->objects.size());
}
}  // namespace NS
