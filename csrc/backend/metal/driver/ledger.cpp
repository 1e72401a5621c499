// ledger.cpp — errors by serial, and how they spread to what was computed from spoilt values.

#include "backend/metal/driver/ledger.h"

#include <algorithm>

namespace mx::metal {

namespace {
constexpr size_t kMostFaults = 1 << 12;  // remembered

[[noreturn]] void throw_fault(const Fault& f) {
  if (f.index) throw IndexError(f.text);
  throw BackendError(f.text);
}
}  // namespace

Ledger& Ledger::instance() {
  static Ledger& ledger = *new Ledger;
  return ledger;
}

Fault* Ledger::find(const WorkQueue* queue, uint64_t serial) {
  auto it = faults_.find({queue, serial});
  return it != faults_.end() ? &it->second : nullptr;
}

void Ledger::insert(Fault fault) {
  std::pair key{fault.queue, fault.serial};
  faults_.emplace(key, std::move(fault));
  if (faults_.size() > kMostFaults) faults_.erase(faults_.begin());
  n_faults_.store(faults_.size(), std::memory_order_release);
}

void Ledger::add(Fault fault) {
  std::lock_guard guard(lock_);
  insert(std::move(fault));
}

void Ledger::add(std::unique_ptr<Finished> finished) {
  std::lock_guard guard(lock_);
  finished_.push_back(std::move(finished));
  n_finished_.store(finished_.size(), std::memory_order_release);
}

// Whether a source's own errors are not known yet: another queue's report is still to come.
bool Ledger::blocked(const Finished& f, const std::vector<std::unique_ptr<Finished>>& before) const {
  return std::any_of(f.dependencies.begin(), f.dependencies.end(), [&](const Dependency& d) {
    if (f.has(d.queue, d.source)) return false;
    if (!d.queue->done(d.source)) return true;
    return std::any_of(before.begin(), before.end(), [&](auto& b) { return b->has(d.queue, d.source); });
  });
}

void Ledger::settle() {
  if (n_finished_.load(std::memory_order_acquire) == 0) return;
  std::vector<std::unique_ptr<Finished>> over;  // destroyed without the lock: arrays may go
  std::lock_guard guard(lock_);
  // Later work has larger numbers than what it was made from.
  std::sort(finished_.begin(), finished_.end(), [](auto& a, auto& b) { return a->first < b->first; });
  std::vector<std::unique_ptr<Finished>> waiting;
  for (auto& f : finished_) {
    if (blocked(*f, waiting)) {
      waiting.push_back(std::move(f));
      continue;
    }
    for (const Dependency& d : f->dependencies) {
      if (faults_.empty()) break;
      const Fault* source = find(d.queue, d.source);
      if (!source || find(f->queue, d.serial)) continue;
      // Who waits for this one has met the source.
      insert({f->queue, d.serial, source->text, source->index, true});
    }
    over.push_back(std::move(f));
  }
  finished_ = std::move(waiting);
  n_finished_.store(finished_.size(), std::memory_order_release);
}

void Ledger::raise(const WorkQueue* queue, uint64_t serial) {
  if (clean()) return;
  std::lock_guard guard(lock_);
  Fault* found = find(queue, serial);
  if (!found) return;
  // A fault and all that it spoilt have one text.
  for (auto& [key, f] : faults_) f.raised |= f.text == found->text;
  throw_fault(*found);
}

void Ledger::raise_unmet(const WorkQueue* queue, uint64_t serial, bool indices) {
  if (clean()) return;
  std::lock_guard guard(lock_);
  for (auto& [key, f] : faults_) {
    if (f.raised || f.queue != queue || f.serial > serial || (f.index && !indices)) continue;
    f.raised = true;
    throw_fault(f);
  }
}

bool Ledger::unsettled(const WorkQueue* queue, uint64_t serial) {
  if (n_finished_.load(std::memory_order_acquire) == 0) return false;
  std::lock_guard guard(lock_);
  return std::any_of(finished_.begin(), finished_.end(), [&](auto& f) { return f->has(queue, serial); });
}

}  // namespace mx::metal
