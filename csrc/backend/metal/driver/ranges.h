// ranges.h — sets of address ranges: what the encoder knows of the memory that launches read and write.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

namespace mx::metal {

/// The addresses from `begin` up to `end`.
struct Range {
  uintptr_t begin = 0, end = 0;
  size_t n_bytes() const { return end - begin; }
};

/// Ranges that touch or overlap become one.
class RangeSet {
 public:
  bool overlaps(Range r) const {
    if (r.begin >= r.end) return false;
    auto after = ranges_.lower_bound(r.end);  // the first that begins at or after the end
    return after != ranges_.begin() && std::prev(after)->second > r.begin;
  }
  void add(Range r) {
    if (r.begin >= r.end) return;
    auto it = ranges_.upper_bound(r.begin);
    if (it != ranges_.begin() && std::prev(it)->second >= r.begin) --it;
    while (it != ranges_.end() && it->first <= r.end) {
      r = {std::min(r.begin, it->first), std::max(r.end, it->second)};
      it = ranges_.erase(it);
    }
    ranges_.emplace_hint(it, r.begin, r.end);
  }
  void clear() { ranges_.clear(); }
  size_t size() const { return ranges_.size(); }

 private:
  std::map<uintptr_t, uintptr_t> ranges_;
};

/// What ran since the last barrier. A launch that reads what one of them writes, or writes what one of them uses, needs a
/// barrier in front.
class Hazards {
 public:
  bool reads(Range r) const { return written_.overlaps(r); }
  bool writes(Range r) const { return written_.overlaps(r) || read_.overlaps(r); }
  void add(Range r, bool written) { (written ? written_ : read_).add(r); }
  void clear() {
    read_.clear();
    written_.clear();
  }

 private:
  RangeSet read_, written_;
};

}  // namespace mx::metal
