// fuse.cpp — which steps run as one. Groups are of elementwise steps of one shape and, where there is a *frame* (a whole shape and
// a number of axes in a row), of reductions along rows or over all rows, of what is computed with a row's results, and of
// views that spread these along the row again. A group that is never framed is elementwise.
//
// Every step has a stage, no smaller than those of its inputs; it is larger where the step does not run in the group of a
// fusible input. So a path that leaves a group comes to a larger stage and cannot come back, and running the group at once is
// safe. Start at fuse_elementwise().

#include "compile/fuse.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <unordered_map>

#include "ops/cast_params.h"
#include "ops/movement_params.h"
#include "ops/reduce_params.h"

namespace mx {

namespace {

// Value numbers of a program are 16 bits wide; far below that, longer groups gain nothing.
constexpr size_t kMaxGroup = 256;
// Column sums have an accumulator for each column and range of rows, which should stay in a cache.
constexpr int64_t kFewestColumns = 64, kMostColumns = 32768, kFewestRows = 16;

// ---- what a step may be in a group

// The axes of a row that a broadcast spreads values along; 0 if it does anything else.
int spread_axes(const Shape& from, const Shape& to) {
  if (from.size() != to.size() || n_elems(to) == 0) return 0;
  size_t i = 0;
  while (i < to.size() && from[i] == to[i]) ++i;
  for (size_t j = i; j < to.size(); ++j) {
    if (from[j] != 1) return 0;
  }
  return static_cast<int>(to.size() - i);
}

// A step's wish: to be with others in this frame. Not framed: with others of this shape.
std::optional<Frame> frame_of(const Step& s, const SlotTable& slots) {
  if (is_elementwise(s)) return Frame{s.types[0].shape, 0};
  if (s.primitive == &broadcast_p) {
    const Shape& to = s.types[0].shape;
    int k = spread_axes(slots.type_of(s.in[0]).shape, to);
    return k > 0 ? std::optional(Frame{to, k}) : std::nullopt;
  }
  if (reduction_of(*s.primitive)) {
    const Shape& in = slots.type_of(s.in[0]).shape;
    int k = reduced_row_axes(s, in);
    if (k == 0) return std::nullopt;
    Frame frame{in, std::abs(k)};
    int64_t length = 1, size = n_elems(in);
    for (int i = 0; i < frame.row_axes; ++i) length *= in[in.size() - 1 - static_cast<size_t>(i)];
    if (size == 0 || size == length * (k < 0 ? 1 : 0) || (k > 0 && length == 1)) return std::nullopt;
    if (k < 0 && (length < kFewestColumns || length > kMostColumns || size / length < kFewestRows)) return std::nullopt;
    return frame;
  }
  return std::nullopt;
}

bool is_column(const Step& s, const SlotTable& slots) {
  return reduction_of(*s.primitive).has_value() && reduced_row_axes(s, slots.type_of(s.in[0]).shape) < 0;
}

// ---- groups

// Disjoint sets of steps; the frame of each.
class Sets {
 public:
  explicit Sets(size_t n) : parent_(n), size_(n, 1), frame_(n) { std::iota(parent_.begin(), parent_.end(), size_t(0)); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  Frame& frame(size_t i) { return frame_[find(i)]; }
  size_t size(size_t i) { return size_[find(i)]; }
  void join(size_t a, size_t b) {
    a = find(a), b = find(b);
    if (a == b) return;
    parent_[a] = b;
    size_[b] += size_[a];
  }

 private:
  std::vector<size_t> parent_, size_;
  std::vector<Frame> frame_;
};

// The frame of two groups together.
std::optional<Frame> together(const Frame& a, const Frame& b) {
  if (a.row_axes == 0 && b.row_axes == 0) return a.whole == b.whole ? std::optional(a) : std::nullopt;
  if (a.row_axes == 0) return together(b, a);
  if (b.row_axes == 0) return b.whole == a.whole || a.is_per_row(b.whole) ? std::optional(a) : std::nullopt;
  return a == b ? std::optional(a) : std::nullopt;
}

class Grouping {
 public:
  Grouping(const Subgraph& g, const SlotTable& slots) : g_(g), slots_(slots), sets_(g.steps.size()), light_(g.steps.size()), stage_(g.steps.size()) {}

  void run() {
    for (size_t i = 0; i < g_.steps.size(); ++i) place(i);
    join_readers();
  }
  bool light(size_t i) const { return light_[i]; }
  size_t set(size_t i) { return sets_.find(i); }
  const Frame& frame(size_t i) { return sets_.frame(i); }

 private:
  void place(size_t i) {
    const Step& s = g_.steps[i];
    std::optional<Frame> wish = wished(s);
    int with = wish ? joined_stage(s, *wish) : -1;
    if (!wish || (with < 0 && s.primitive == &broadcast_p)) {
      stage_[i] = stage_after(s);
      return;
    }
    light_[i] = true;
    if (with < 0) {
      stage_[i] = stage_after(s);
      sets_.frame(i) = *wish;
      return;
    }
    stage_[i] = with;
    Frame frame = *wish;
    for (int in : s.in) {
      int m = maker(in);
      if (m < 0 || stage_[static_cast<size_t>(m)] != with || !light_[static_cast<size_t>(m)]) continue;
      frame = *together(frame, sets_.frame(static_cast<size_t>(m)));
      sets_.join(static_cast<size_t>(m), i);
      sets_.frame(i) = frame;
    }
  }

  // Groups of one stage that read the same array, or views of it, read it together: no path leads from one to another.
  void join_readers() {
    std::unordered_map<uint64_t, size_t> first;  // Slot and stage -> a step.
    std::vector<int> seen(static_cast<size_t>(g_.n_slots));  // What a slot is a view of.
    std::iota(seen.begin(), seen.end(), 0);
    for (size_t i = 0; i < g_.steps.size(); ++i) {
      const Step& s = g_.steps[i];
      if (!light_[i] && s.primitive->view && s.in.size() == 1) seen[static_cast<size_t>(s.out[0])] = seen[static_cast<size_t>(s.in[0])];
    }
    for (size_t i = 0; i < g_.steps.size(); ++i) {
      if (!light_[i]) continue;
      for (int in : g_.steps[i].in) {
        int m = maker(in);
        bool inside = m >= 0 && light_[static_cast<size_t>(m)] && stage_[static_cast<size_t>(m)] == stage_[i];
        int whole = seen[static_cast<size_t>(in)];
        // What a broadcast blows up stays apart: the results of all would have to be held at once.
        if (n_elems(slots_.type_of(in).shape) > n_elems(slots_.type_of(whole).shape)) whole = in;
        if (inside || n_elems(slots_.type_of(in).shape) < 2) continue;
        uint64_t key = static_cast<uint64_t>(whole) << 32 | static_cast<uint32_t>(stage_[i]);
        size_t other = first.emplace(key, i).first->second;
        if (sets_.find(other) == sets_.find(i) || g_.steps[other].stream != g_.steps[i].stream) continue;
        const Frame &a = sets_.frame(other), &b = sets_.frame(i);
        if (slots_.type_of(in).shape != a.whole || a.whole != b.whole || sets_.size(other) + sets_.size(i) > kMaxGroup) continue;
        std::optional<Frame> all = together(a, b);
        if (!all) continue;
        sets_.join(other, i);
        sets_.frame(i) = *all;
      }
    }
  }

  int maker(int slot) const { return slots_.maker_of(slot); }

  // What the step may be with; nothing if it does not fuse.
  std::optional<Frame> wished(const Step& s) {
    if (s.primitive == &reshape_p) {
      // Within a frame, values per row may lack the axes of the row or have them.
      int m = maker(s.in[0]);
      if (m < 0 || !light_[static_cast<size_t>(m)]) return std::nullopt;
      const Frame& frame = sets_.frame(static_cast<size_t>(m));
      bool same = frame.is_per_row(slots_.type_of(s.in[0]).shape) && frame.is_per_row(s.types[0].shape);
      return same ? std::optional(frame) : std::nullopt;
    }
    std::optional<Frame> wish = frame_of(s, slots_);
    if (wish && reduction_of(*s.primitive)) {
      // The kernel knows how to read what lies crosswise.
      int m = maker(s.in[0]);
      if (m >= 0 && g_.steps[static_cast<size_t>(m)].primitive == &transpose_p) return std::nullopt;
    }
    return wish;
  }

  // Whether a step may run in the group that makes an input. Nothing is computed of column sums in their group.
  bool joins(const Step& s, const Frame& wish, size_t m) {
    return light_[m] && g_.steps[m].stream == s.stream && !is_column(g_.steps[m], slots_) && together(wish, sets_.frame(m));
  }

  // The stage at which the step runs in the groups of its inputs; -1 if it cannot.
  int joined_stage(const Step& s, const Frame& wish) {
    int latest = 0;
    bool any = false;
    for (int in : s.in) {
      int m = maker(in);
      if (m < 0) continue;
      auto i = static_cast<size_t>(m);
      latest = std::max(latest, stage_[i] + (light_[i] && !joins(s, wish, i) ? 1 : 0));
    }
    Frame frame = wish;
    for (int in : s.in) {
      int m = maker(in);
      if (m < 0 || !light_[static_cast<size_t>(m)] || stage_[static_cast<size_t>(m)] != latest) continue;
      std::optional<Frame> all = together(frame, sets_.frame(static_cast<size_t>(m)));
      if (!all) return -1;
      frame = *all;
      any = true;
    }
    return any ? latest : -1;
  }

  // The stage of a step that runs apart from the groups of its inputs.
  int stage_after(const Step& s) const {
    int stage = 0;
    for (int in : s.in) {
      int m = maker(in);
      if (m >= 0) stage = std::max(stage, stage_[static_cast<size_t>(m)] + (light_[static_cast<size_t>(m)] ? 1 : 0));
    }
    return stage;
  }

  const Subgraph& g_;
  const SlotTable& slots_;
  Sets sets_;
  std::vector<bool> light_;
  std::vector<int> stage_;
};

// Steps that run as one, and the unit of every step.
struct Units {
  std::vector<Group> groups;
  std::vector<size_t> of;
};

Units units_of(const Subgraph& g, const SlotTable& slots) {
  Grouping grouping(g, slots);
  grouping.run();
  Units units{{}, std::vector<size_t>(g.steps.size())};
  // A group that is too long is cut in order, so that its parts depend on each other one way only.
  std::vector<size_t> open(g.steps.size(), SIZE_MAX);
  for (size_t i = 0; i < g.steps.size(); ++i) {
    size_t& unit = open[grouping.set(i)];
    if (unit == SIZE_MAX || units.groups[unit].members.size() == kMaxGroup) {
      unit = units.groups.size();
      units.groups.push_back({{}, grouping.light(i) ? grouping.frame(i) : Frame()});
    }
    units.groups[unit].members.push_back(i);
    units.of[i] = unit;
  }
  return units;
}

// The units in an order that respects their dependencies and otherwise stays close to the original one.
std::vector<size_t> schedule(const Subgraph& g, const SlotTable& slots, const Units& units) {
  std::vector<std::vector<size_t>> users(units.groups.size());
  std::vector<int> waits(units.groups.size());
  for (size_t i = 0; i < g.steps.size(); ++i) {
    for (int in : g.steps[i].in) {
      int m = slots.maker_of(in);
      if (m < 0 || units.of[static_cast<size_t>(m)] == units.of[i]) continue;
      users[units.of[static_cast<size_t>(m)]].push_back(units.of[i]);
      ++waits[units.of[i]];
    }
  }
  auto later = [&](size_t a, size_t b) { return units.groups[a].members.back() > units.groups[b].members.back(); };
  std::priority_queue<size_t, std::vector<size_t>, decltype(later)> ready(later);
  for (size_t u = 0; u < units.groups.size(); ++u) {
    if (waits[u] == 0) ready.push(u);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    size_t u = ready.top();
    ready.pop();
    order.push_back(u);
    for (size_t user : users[u]) {
      if (--waits[user] == 0) ready.push(user);
    }
  }
  return order;
}

// Slots that something outside their maker's unit reads.
std::vector<bool> escaping(const Subgraph& g, const SlotTable& slots, const Units& units) {
  std::vector<bool> escapes(static_cast<size_t>(g.n_slots));
  for (size_t i = 0; i < g.steps.size(); ++i) {
    for (int in : g.steps[i].in) {
      int m = slots.maker_of(in);
      if (m >= 0 && units.of[static_cast<size_t>(m)] != units.of[i]) escapes[static_cast<size_t>(in)] = true;
    }
  }
  for (int o : g.outputs) escapes[static_cast<size_t>(o)] = true;
  return escapes;
}

}  // namespace

bool is_elementwise(const Step& s) { return s.primitive == &astype_p || elementwise_code(*s.primitive).has_value(); }

std::optional<Reduce> reduction_of(const Primitive& p) {
  if (&p == &sum_p) return Reduce::sum;
  if (&p == &prod_p) return Reduce::prod;
  if (&p == &max_p || &p == &any_p) return Reduce::max;
  if (&p == &min_p || &p == &all_p) return Reduce::min;
  return std::nullopt;
}

int reduced_row_axes(const Step& s, const Shape& in) {
  const Axes& axes = s.params.get<ReduceParams>().axes;
  int n = static_cast<int>(axes.size()), ndim = static_cast<int>(in.size());
  if (axes.back() - axes.front() + 1 != n) return 0;
  if (axes.back() == ndim - 1) return n;
  return axes.front() == 0 ? -(ndim - n) : 0;
}

Shape Frame::per_row() const {
  Shape s(whole);
  for (size_t i = s.size() - static_cast<size_t>(row_axes); i < s.size(); ++i) s[i] = 1;
  return s;
}

SlotTable::SlotTable(const Subgraph& g, const Numbers& numbers) : maker(static_cast<size_t>(g.n_slots), -1), type(static_cast<size_t>(g.n_slots)) {
  size_t slot = 0;
  for (const Type& t : g.input_types) type[slot++] = &t;
  for (const Type& t : g.captured_types) type[slot++] = &t;
  for (const auto& [n, value] : numbers) type[static_cast<size_t>(n)] = &value.second;
  for (size_t i = 0; i < g.steps.size(); ++i) {
    const Step& s = g.steps[i];
    for (size_t k = 0; k < s.out.size(); ++k) {
      maker[static_cast<size_t>(s.out[k])] = static_cast<int>(i);
      type[static_cast<size_t>(s.out[k])] = &s.types[k];
    }
  }
}

void fuse_elementwise(Subgraph& g, const Arrays& captured) {
  Numbers numbers;
  open_composites(g, numbers);
  SlotTable slots(g, numbers);
  Units units = units_of(g, slots);
  std::vector<bool> escapes = escaping(g, slots, units);
  GroupWriter writer(g, slots, numbers, escapes, captured);
  std::vector<Step> steps;
  std::vector<size_t> order = schedule(g, slots, units);
  std::vector<Product> products = products_for(g, slots, units.groups, units.of, order);
  std::vector<bool> taken(g.steps.size());
  for (const Product& p : products) {
    if (p.step) taken[static_cast<size_t>(p.step - g.steps.data())] = true;
  }
  for (size_t unit : order) {
    if (!taken[units.groups[unit].members[0]]) writer.write(units.groups[unit], products[unit], steps);
  }
  g.steps = std::move(steps);
}

}  // namespace mx
