// axes.h — running a function at sizes of one's choice, and which axes of its inputs may change, alone or together.
#pragma once

#include "export/sample.h"
#include "transforms/function.h"

namespace mx::exporting {

/// Throws the ValueError that a shapeless export ends with.
[[noreturn]] void refuse(const std::string& why);

struct Axis {
  size_t input, axis;
  int64_t size;      ///< Of the example.
  int symbol = -1;   ///< Those with the same one change together; -1: fixed.
};

/// Runs the function at sizes of the symbols' choice.
class Probe {
 public:
  Probe(const Function& f, Types inputs);

  /// The function with some axes changed; nullopt if it threw. Then, or else, `progress` says how far it came.
  std::optional<Sample> change(const std::vector<size_t>& which, int64_t size, uint64_t* progress = nullptr) const;
  /// With a size for each symbol.
  std::optional<Sample> run(const std::vector<int64_t>& sizes) const;
  Sample example() const;

  std::vector<Axis> axes;

 private:
  std::optional<Sample> run(const Types& types, std::vector<int64_t> sizes, uint64_t* progress) const;
  const Function& f_;
  Types inputs_;
};

/// Sizes that an axis is tried at, apart from that of the example.
std::vector<int64_t> other_sizes(int64_t size);

/// Gives every axis its symbol; returns their number. Throws ValueError if the function's graph depends on sizes
/// otherwise than by numbers.
int group_axes(Probe& r);

/// Of each symbol the size in the example.
std::vector<int64_t> example_sizes(const Probe& r, int n);

/// Drops the symbols that `keep` refuses and numbers the others anew; returns their number.
template <class F>
int keep_symbols(Probe& r, int n, F&& keep) {
  std::vector<int> now(static_cast<size_t>(n), -1);
  int next = 0;
  for (int s = 0; s < n; ++s) {
    if (keep(s)) now[static_cast<size_t>(s)] = next++;
  }
  for (Axis& a : r.axes) {
    if (a.symbol >= 0) a.symbol = now[static_cast<size_t>(a.symbol)];
  }
  return next;
}

/// The sizes of the first trace: those of the example, except that 0 and 1 are avoided, since there broadcasts are made
/// otherwise. Of axes of size 1 that would be broadcast against each other only the first may change: `n` is the number
/// of symbols left.
std::vector<int64_t> start_sizes(Probe& r, int& n);

}  // namespace mx::exporting
