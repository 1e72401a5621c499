// axes.cpp — see Grouping for how axes are found that can only change together.

#include "export/axes.h"

#include <algorithm>

namespace mx::exporting {

void refuse(const std::string& why) {
  throw ValueError(cat("[export_function] the function cannot be exported with shapeless=True: ", why,
                       ". Export it for several shapes with exporter instead."));
}

// ---- running

Probe::Probe(const Function& f, Types inputs) : f_(f), inputs_(std::move(inputs)) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    for (size_t k = 0; k < inputs_[i].shape.size(); ++k) axes.push_back({i, k, inputs_[i].shape[k]});
  }
}

std::optional<Sample> Probe::change(const std::vector<size_t>& which, int64_t size, uint64_t* progress) const {
  Types types(inputs_);
  for (size_t a : which) types[axes[a].input].shape[axes[a].axis] = size;
  return run(types, {}, progress);
}

std::optional<Sample> Probe::run(const std::vector<int64_t>& sizes) const {
  Types types(inputs_);
  for (const Axis& a : axes) {
    if (a.symbol >= 0) types[a.input].shape[a.axis] = sizes[static_cast<size_t>(a.symbol)];
  }
  return run(types, sizes, nullptr);
}

Sample Probe::example() const { return Sample(trace(f_, inputs_), {}); }

std::optional<Sample> Probe::run(const Types& types, std::vector<int64_t> sizes, uint64_t* progress) const {
  try {
    return Sample(trace(f_, types, progress), std::move(sizes));
  } catch (const std::exception&) {
    // Sizes that the function does not take; what a Python function raises is an exception, too.
    return std::nullopt;
  }
}

namespace {

std::string name_of(const Axis& a) { return cat("axis ", a.axis, " of input ", a.input); }

}  // namespace

std::vector<int64_t> other_sizes(int64_t size) {
  std::vector<int64_t> out;
  for (int64_t n : {size + 1, size + 2, 2 * size, 3 * size, 2 * size + 1, 4 * size}) {
    if (n >= 2 && n != size && std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
  }
  return out;
}

// ---- which axes may change

namespace {

class Grouping {
 public:
  explicit Grouping(Probe& r) : r_(r), example_(r.example()) {}

  int run() {
    std::vector<size_t> bound;
    for (size_t a = 0; a < r_.axes.size(); ++a) {
      switch (try_together({a})) {
        case works: r_.axes[a].symbol = n_symbols_++; break;
        case fails: bound.push_back(a); break;
        case differs: break;
      }
    }
    for (size_t a : bound) {
      if (r_.axes[a].symbol >= 0) continue;
      std::vector<size_t> others;
      for (size_t b : bound) {
        if (b != a && r_.axes[b].symbol < 0 && r_.axes[b].size == r_.axes[a].size) others.push_back(b);
      }
      if (others.empty()) continue;
      std::vector<size_t> group = together(a, others);
      if (group.empty()) continue;
      for (size_t b : group) r_.axes[b].symbol = n_symbols_;
      ++n_symbols_;
    }
    return n_symbols_;
  }

 private:
  enum Outcome { works, fails, differs };

  // Whether axes of one size may change together. What works has the example's structure, or (from size 0 or 1, where
  // broadcasts are made otherwise) one structure of its own.
  Outcome try_together(const std::vector<size_t>& which) {
    int64_t size = r_.axes[which[0]].size;
    std::optional<Sample> first;
    for (int64_t n : other_sizes(size)) {
      std::optional<Sample> s = r_.change(which, n);
      if (!s) continue;
      std::optional<std::string> d = difference(example_, *s);
      if (!d) return works;
      if (size > 1) refuse(cat(*d, " depends on the size of ", name_of(r_.axes[which[0]])));
      if (!first) {
        first = std::move(s);
      } else {
        return difference(*first, *s) ? differs : works;
      }
    }
    return first ? differs : fails;
  }

  // The axes that have to change with `a`: added one by one, always the one with which the function comes furthest.
  std::vector<size_t> together(size_t a, const std::vector<size_t>& others) {
    for (int64_t size : {r_.axes[a].size + 1, 2 * r_.axes[a].size, 3 * r_.axes[a].size}) {
      if (size < 2) continue;
      std::vector<size_t> group{a}, left(others);
      uint64_t progress = 0;
      r_.change(group, size, &progress);
      while (!left.empty()) {
        uint64_t best = progress;
        size_t found = left.size();
        bool done = false;
        for (size_t i = 0; i < left.size() && !done; ++i) {
          std::vector<size_t> trial(group);
          trial.push_back(left[i]);
          uint64_t p = 0;
          done = r_.change(trial, size, &p).has_value();
          if (done || p > best) best = p, found = i;
        }
        if (found == left.size()) break;
        group.push_back(left[found]);
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(found));
        progress = best;
        if (done) return try_together(group) == works ? group : std::vector<size_t>();
      }
      // All at once, then as few of them as will do.
      group = others;
      group.push_back(a);
      if (!r_.change(group, size)) continue;
      for (size_t i = 0; i < group.size();) {
        std::vector<size_t> fewer(group);
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (group[i] != a && r_.change(fewer, size)) {
          group = std::move(fewer);
        } else {
          ++i;
        }
      }
      return try_together(group) == works ? group : std::vector<size_t>();
    }
    return {};
  }

  Probe& r_;
  Sample example_;
  int n_symbols_ = 0;
};

}  // namespace

int group_axes(Probe& r) { return Grouping(r).run(); }

// ---- which may change at once

std::vector<int64_t> example_sizes(const Probe& r, int n) {
  std::vector<int64_t> sizes(static_cast<size_t>(n));
  for (const Axis& a : r.axes) {
    if (a.symbol >= 0) sizes[static_cast<size_t>(a.symbol)] = a.size;
  }
  return sizes;
}

std::vector<int64_t> start_sizes(Probe& r, int& n) {
  std::vector<int64_t> sizes = example_sizes(r, n), chosen;
  int64_t next = 2;
  n = keep_symbols(r, n, [&](int s) {
    int64_t& size = sizes[static_cast<size_t>(s)];
    if (size > 1) {
      chosen.push_back(size);
      return true;
    }
    int64_t before = size;
    while (std::find(sizes.begin(), sizes.end(), next) != sizes.end()) ++next;
    size = next;
    if (!r.run(sizes)) {
      size = before;
      return false;
    }
    chosen.push_back(size);
    return true;
  });
  return chosen;
}

}  // namespace mx::exporting
