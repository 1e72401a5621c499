// api_order.cpp — passes in flight, and what each of them is ordered after.

#include "api_order.h"

#include <algorithm>

namespace mx::metal::host {

namespace {
constexpr size_t kMostNodes = 1 << 10;  // remembered of a program that never asks whether work is done
}

std::vector<Access> accesses(const DispatchCommand& d) {
  std::vector<Access> all;
  for (const Bound& b : d.bound) {
    // Many kernels report errors at one place, with an atomic flag.
    if (!b.buffer || b.report) continue;
    std::byte* p = b.buffer->data;
    all.push_back({p + b.offset, p, p + b.buffer->length, b.buffer, b.written, b.buffer->tracked, b.slot, d.pipeline->kernel});
  }
  return all;
}

std::string describe(const Access& a, const Access& b) {
  auto binding = [](const Access& x) { return std::string(x.kernel->name) + ", buffer(" + std::to_string(x.slot) + ")"; };
  const char* kind = a.written ? b.written ? "write after write" : "read after write" : "write after read";
  return std::string(kind) + ": " + binding(a) + ", then " + binding(b) + ", of " + a.buffer->name() + " at byte " +
         std::to_string(a.begin - a.low);
}

Order& Order::instance() {
  static Order* o = new Order;
  return *o;
}

uint64_t Order::epoch() {
  std::lock_guard lock(mutex_);
  return epoch_;
}

void Order::committed(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  outstanding_.insert(epoch);
}

void Order::over(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  outstanding_.erase(outstanding_.find(epoch));
  prune();
}

// What all work to come is ordered after need not be remembered.
void Order::prune() {
  uint64_t oldest = outstanding_.empty() ? epoch_ : *outstanding_.begin();
  std::erase_if(nodes_, [&](const Node& n) { return n.known_at <= oldest; });
}

void Order::known(const void* queue, uint64_t number) {
  std::lock_guard lock(mutex_);
  NodeSet also;
  ++epoch_;
  for (Node& n : nodes_) {
    if (n.queue != queue || n.number > number || n.known_at != UINT64_MAX) continue;
    n.known_at = epoch_;
    also.insert(n.before.begin(), n.before.end());
  }
  for (Node& n : nodes_) {
    if (n.known_at == UINT64_MAX && also.count(n.id)) n.known_at = epoch_;
  }
  prune();
}

void Order::known(const NodeSet& done) {
  std::lock_guard lock(mutex_);
  ++epoch_;
  for (Node& n : nodes_) {
    if (n.known_at == UINT64_MAX && done.count(n.id)) n.known_at = epoch_;
  }
  prune();
}

std::string Order::begin(const void* queue, uint64_t number, uint64_t epoch, const Pass& pass, NodeSet& after) {
  Node self{0, queue, number, UINT64_MAX, {}, {}};
  for (const Command& c : pass.commands) {
    auto* d = std::get_if<DispatchCommand>(&c);
    if (!d) continue;
    for (Access& a : accesses(*d)) {
      // One of each kind is enough.
      auto same = [&](const Access& b) { return a.begin == b.begin && a.high == b.high && a.written == b.written; };
      if (std::none_of(self.accesses.begin(), self.accesses.end(), same)) self.accesses.push_back(a);
    }
  }
  std::lock_guard lock(mutex_);
  self.id = ++last_id_;
  auto add = [&](const Node& n) {
    after.insert(n.id);
    after.insert(n.before.begin(), n.before.end());
  };
  for (const Node& n : nodes_) {
    if (after.count(n.id)) add(n);
  }
  // Metal itself orders passes of a queue by the resources that it tracks.
  for (const Node& n : nodes_) {
    if (n.queue != queue) continue;
    for (const Access& a : n.accesses) {
      for (const Access& b : self.accesses) {
        if (a.tracked && b.tracked && a.buffer == b.buffer && (a.written || b.written)) add(n);
      }
    }
  }
  std::string wrong;
  for (const Node& n : nodes_) {
    if (n.known_at <= epoch || after.count(n.id)) continue;
    for (const Access& a : n.accesses) {
      for (const Access& b : self.accesses) {
        if (wrong.empty() && conflict(a, b)) {
          wrong = std::string(n.queue == queue ? "no fence or event between passes" : "no event between queues") + ": " + describe(a, b);
        }
      }
    }
  }
  std::erase_if(after, [&](uint64_t id) { return std::none_of(nodes_.begin(), nodes_.end(), [&](auto& n) { return n.id == id; }); });
  self.before = after;
  after.insert(self.id);
  nodes_.push_back(std::move(self));
  if (nodes_.size() > kMostNodes) nodes_.erase(nodes_.begin(), nodes_.begin() + kMostNodes / 2);
  return wrong;
}

NodeSet Order::all_of(const void* queue) {
  std::lock_guard lock(mutex_);
  NodeSet all;
  for (const Node& n : nodes_) {
    if (n.queue != queue) continue;
    all.insert(n.id);
    all.insert(n.before.begin(), n.before.end());
  }
  return all;
}

}  // namespace mx::metal::host
