// pointer_map.h — a hash map from pointers to small values, for graph walks.
// Open addressing in one block: a walk of a small graph should not pay for node-based hashing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace mx {

template <class V>
class PointerMap {
 public:
  PointerMap() : slots_(16) {}

  /// The value of `key`, or null.
  V* find(const void* key) {
    for (size_t i = hash(key);; ++i) {
      Slot& s = slots_[i & (slots_.size() - 1)];
      if (s.key == key) return &s.value;
      if (!s.key) return nullptr;
    }
  }
  /// The value of `key` (made if absent) and whether it was absent. Stays valid until the next insert.
  std::pair<V*, bool> insert(const void* key) {
    if (2 * (n_ + 1) > slots_.size()) rehash();
    for (size_t i = hash(key);; ++i) {
      Slot& s = slots_[i & (slots_.size() - 1)];
      if (s.key == key) return {&s.value, false};
      if (!s.key) {
        s.key = key;
        ++n_;
        return {&s.value, true};
      }
    }
  }
  V& operator[](const void* key) { return *insert(key).first; }
  bool contains(const void* key) { return find(key) != nullptr; }
  size_t size() const { return n_; }

 private:
  struct Slot {
    const void* key = nullptr;
    V value{};
  };
  static size_t hash(const void* key) {
    return (reinterpret_cast<uintptr_t>(key) * 0x9e3779b97f4a7c15ull) >> 20;
  }
  void rehash() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    n_ = 0;
    for (Slot& s : old) {
      if (s.key) *insert(s.key).first = std::move(s.value);
    }
  }

  std::vector<Slot> slots_;
  size_t n_ = 0;
};

}  // namespace mx
