// jit_allocate.cpp — see jit_allocate.h. A body has no branches, so registers are given out in one pass that knows for every
// value where it is used next: the one that is needed last gives way, to the frame if it has no other home.
// What is the same in every step is computed before the loops; constants and such values stay in registers
// that the bodies leave over, those used most first. A long body is cut into several loops, which hand values on in tiles: within
// a short one the processor sees beyond the next step, and registers are enough. Start at Generator::run().

#include "backend/cpu/jit_allocate.h"

#include <algorithm>
#include <bit>
#include <span>

namespace mx::cpu::jit {

namespace {

constexpr uint32_t kNever = ~uint32_t(0);
constexpr size_t kMaxSteps = 1 << 14;
constexpr int kMaxSlots = 512;
constexpr size_t kMostCopies = 4;

class Generator {
 public:
  Generator(const Graph& graph, Encoder& encoder) : g_(graph), enc_(encoder) {
    for (int f : {0, 1}) files_[f].usable = enc_.registers(f);
  }

  std::vector<uint8_t> run() {
    find_reachable();
    if (n_reachable_ > kMaxSteps) return {};
    std::vector<bool> scalars;
    bool repairs = false;
    int n_out = 0;
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      const Node& n = g_.nodes[i];
      if (n.op == Op::input || n.op == Op::scalar) {
        if (n.imm >= scalars.size()) scalars.resize(n.imm + 1u, true);
        if (uses_[i]) scalars[n.imm] = n.op == Op::scalar;
      }
      repairs |= n.op == Op::repair && uses_[i];
    }
    for (const auto& s : g_.stores) n_out = std::max(n_out, s.output + 1);
    make_body();
    cut();
    enc_.enter(scalars, n_out, repairs, tiles_);
    prepare_invariants();
    if (tiles_.n) enc_.begin_tiles();
    for (const auto& [begin, end] : parts_) {
      if (tiles_.n) enc_.next_loop();
      run_loops({body_.data() + begin, end - begin});
    }
    if (tiles_.n) enc_.end_tiles();
    if (n_slots_ > kMaxSlots) return {};
    return std::move(enc_.finish(n_slots_));
  }

 private:
  /// A node, or store number `id`.
  struct Step {
    Id id;
    bool store;
    uint32_t next[4] = {kNever, kNever, kNever, kNever};  ///< Of each operand: the next step that uses it.
    uint32_t first = kNever;                              ///< The first step that uses the node itself.
  };
  struct Value {
    int8_t reg = -1;
    int slot = -1;
    uint32_t next = kNever;  ///< The step that uses it next.
  };
  struct File {
    uint32_t usable = 0, free = 0, locked = 0;
    uint32_t owner[32] = {};
  };

  // ---- what is computed

  void find_reachable() {
    uses_.assign(g_.nodes.size(), 0);
    for (const auto& s : g_.stores) ++uses_[s.value];
    for (size_t i = g_.nodes.size(); i-- > 0;) {
      if (!uses_[i]) continue;
      ++n_reachable_;
      const Node& n = g_.nodes[i];
      for (int k = 0; k < n.n_in; ++k) ++uses_[n.in[k]];
      if (n.op == Op::input) last_input_ = std::max(last_input_, static_cast<Id>(i));
    }
    size_t n = g_.nodes.size();
    home_.assign(n, -1);
    pinned_.assign(n, -1);
    seen_.assign(n, 0);
    last_.resize(n);
    ready_.resize(n);
    count_.resize(n);
    values_.resize(n * kMostCopies);
  }

  bool constant(Id i) const { return g_.nodes[i].op == Op::constant; }
  bool loose(Id i) const { return uses_[i] && !g_.nodes[i].invariant; }

  using Steps = std::span<Step>;

  /// All steps. Stores follow the value, but not before all inputs have been read, since an output may be the
  /// memory of an input.
  void make_body() {
    body_.reserve(n_reachable_ + g_.stores.size());
    std::vector<std::pair<Id, Id>> stores;
    for (Id s = 0; s < g_.stores.size(); ++s) stores.push_back({std::max(g_.stores[s].value, last_input_), s});
    std::sort(stores.begin(), stores.end());
    size_t next = 0;
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      if (loose(i)) body_.push_back({i, false});
      for (; next < stores.size() && stores[next].first == i; ++next) body_.push_back({stores[next].second, true});
    }
  }

  /// Cuts a long body where few values are alive.
  void cut() {
    tile_of_.assign(g_.nodes.size(), -1);
    // Measured: processors see some 20 operations ahead of an operation that waits, and a tile costs two.
    constexpr size_t kLong = 36, kShortest = 8, kLongest = 20;
    constexpr int kTileBytes = 24 << 10;
    parts_ = {{0, body_.size()}};
    if (body_.size() < kLong) return;
    // Alive behind each step, and where each value is needed last.
    std::vector<int> alive(body_.size(), 0);
    std::vector<uint32_t> last(g_.nodes.size(), 0);
    for (uint32_t at = 0; at < body_.size(); ++at) {
      Id ids[4];
      int n = operands(body_[at], ids);
      for (int k = 0; k < n; ++k) last[ids[k]] = at;
    }
    for (uint32_t at = 0; at < body_.size(); ++at) {
      if (body_[at].store) continue;
      ++alive[at];
      --alive[last[body_[at].id]];
    }
    for (size_t at = 1; at < body_.size(); ++at) alive[at] += alive[at - 1];
    parts_.clear();
    size_t begin = 0;
    while (body_.size() - begin > kLongest) {
      size_t best = 0;
      for (size_t end = begin + kShortest; end < body_.size() - kShortest / 2; ++end) {
        if (end > begin + kLongest && best) break;
        if (alive[end - 1] > std::min(3 + static_cast<int>(end - begin) / 12, 8)) continue;
        if (!best || alive[end - 1] <= alive[best - 1]) best = end;
      }
      if (!best) break;
      parts_.push_back({begin, best});
      begin = best;
    }
    parts_.push_back({begin, body_.size()});
    // A tile for each value that is used behind the part that computes it, free again when the last such part is over.
    std::vector<int> unused;
    std::vector<std::vector<int>> ends(parts_.size());
    for (size_t p = 0, q = 0; p < parts_.size(); ++p) {
      for (size_t at = parts_[p].first; at < parts_[p].second; ++at) {
        if (body_[at].store) continue;
        Id i = body_[at].id;
        if (last[i] < parts_[p].second) continue;
        if (unused.empty()) unused.push_back(tiles_.n++);
        tile_of_[i] = unused.back();
        unused.pop_back();
        for (q = p; last[i] >= parts_[q].second; ++q) {
        }
        ends[q].push_back(tile_of_[i]);
      }
      unused.insert(unused.end(), ends[p].begin(), ends[p].end());
    }
    tiles_.length = tiles_.n ? std::clamp(kTileBytes / (8 * tiles_.n) & ~63, 128, 512) : 0;
  }

  int operands(const Step& s, Id* ids) const {
    if (s.store) {
      ids[0] = g_.stores[s.id].value;
      return 1;
    }
    const Node& n = g_.nodes[s.id];
    for (int k = 0; k < n.n_in; ++k) ids[k] = n.in[k];
    return n.n_in;
  }
  size_t value_of(Id i, int copy) const {
    return static_cast<size_t>(i) * kMostCopies + static_cast<size_t>(g_.nodes[i].invariant ? 0 : copy);
  }

  /// The nodes of these steps and of their operands. Tables of nodes are set only for them, for there may be many parts.
  void collect(Steps steps) {
    touched_.clear();
    ++epoch_;
    auto touch = [&](Id i) {
      if (seen_[i] == epoch_) return;
      seen_[i] = epoch_;
      touched_.push_back(i);
    };
    for (const Step& s : steps) {
      Id ids[4];
      int n = operands(s, ids);
      for (int q = 0; q < n; ++q) touch(ids[q]);
      if (!s.store) touch(s.id);
    }
  }

  /// Who uses what next.
  void find_uses(Steps steps, const std::vector<Id>& live_out) {
    collect(steps);
    for (Id i : touched_) last_[i] = kNever;
    for (Id i : live_out) last_[i] = static_cast<uint32_t>(steps.size());
    for (size_t at = steps.size(); at-- > 0;) {
      Step& s = steps[at];
      if (!s.store) {
        s.first = last_[s.id];
        last_[s.id] = kNever;
      }
      Id ids[4];
      int n = operands(s, ids);
      for (int k = 0; k < n; ++k) s.next[k] = last_[ids[k]];
      for (int k = 0; k < n; ++k) last_[ids[k]] = static_cast<uint32_t>(at);
    }
  }

  // ---- planning

  /// The most values alive at a time, of each register file.
  void find_pressure(Steps steps) {
    int live[2] = {0, 0};
    peak_[0] = peak_[1] = 0;
    auto begins = [&](Id i) {
      int f = enc_.file(g_.nodes[i].type);
      peak_[f] = std::max(peak_[f], ++live[f]);
    };
    for (uint32_t at = 0; at < steps.size(); ++at) {
      const Step& s = steps[at];
      Id ids[4];
      int n = operands(s, ids);
      // last_ has the first use of what comes from elsewhere.
      for (int k = 0; k < n; ++k) {
        bool repeated = std::find(ids, ids + k, ids[k]) != ids + k;
        if (!repeated && !g_.nodes[ids[k]].invariant && last_[ids[k]] == at) begins(ids[k]);
      }
      if (!s.store) begins(s.id);
      for (int k = 0; k < n; ++k) {
        bool repeated = std::find(ids, ids + k, ids[k]) != ids + k;
        if (!repeated && !g_.nodes[ids[k]].invariant && s.next[k] == kNever) --live[enc_.file(g_.nodes[ids[k]].type)];
      }
      if (!s.store && s.first == kNever) --live[enc_.file(g_.nodes[s.id].type)];
    }
  }

  static double latency(const Node& n) {
    switch (n.op) {
      case Op::div: return lane_size(n.type) == 8 ? 16 : 12;
      case Op::sqrt: return lane_size(n.type) == 8 ? 22 : 16;
      case Op::and_:
      case Op::or_:
      case Op::xor_:
      case Op::andn:
      case Op::iadd:
      case Op::isub: return 1;
      default: return 4;
    }
  }

  /// Several steps at a time hide the latency of long chains of operations, more than what a processor looks ahead by itself,
  /// and the cost of the loop; if registers are enough.
  void choose_unroll(Steps steps) {
    find_pressure(steps);
    constexpr double kLookAhead = 100, kEachCycle = 2.2;
    constexpr size_t kMany = 1500;  // Whose code would be large.
    for (Id i : touched_) ready_[i] = 0;
    double longest = 1, n = 1;
    for (const Step& s : steps) {
      if (s.store) continue;
      const Node& node = g_.nodes[s.id];
      float start = 0;
      for (int k = 0; k < node.n_in; ++k) start = std::max(start, ready_[node.in[k]]);
      ready_[s.id] = start + static_cast<float>(latency(node));
      longest = std::max<double>(longest, ready_[s.id]);
      ++n;
    }
    double wanted = longest * kEachCycle / n, given = kLookAhead / n;
    int n_vectors = std::popcount(files_[0].usable), n_masks = std::popcount(files_[1].usable);
    auto fits = [&](int u) {
      return u * peak_[0] + 2 <= n_vectors && (n_masks == 0 || u * peak_[1] <= n_masks + 2) && n * u < 5000;
    };
    unroll_ = (n > 12 && given >= wanted) || n_reachable_ > kMany ? (fits(2) ? 2 : 1) : fits(4) ? 4 : fits(2) ? 2 : 1;
  }

  void pin(Steps steps) {
    int room = std::popcount(files_[0].usable) - std::max(unroll_ * peak_[0] + 1, 5);
    if (room <= 0) return;
    std::vector<std::pair<int, Id>> wanted;
    for (Id i : touched_) count_[i] = 0;
    for (const Step& s : steps) {
      Id ids[4];
      int n = operands(s, ids);
      for (int k = 0; k < n; ++k) count_[ids[k]] += g_.nodes[ids[k]].invariant;
    }
    for (Id i : touched_) {
      if (count_[i] && enc_.file(g_.nodes[i].type) == 0) wanted.push_back({-count_[i], i});
    }
    std::sort(wanted.begin(), wanted.end());
    for (auto [n, i] : wanted) {
      if (room-- <= 0) break;
      int reg = 31 - std::countl_zero(files_[0].usable);
      files_[0].usable &= ~(uint32_t(1) << reg);
      bring(i, reg);
      pinned_[i] = static_cast<int8_t>(reg);
    }
  }

  // ---- places

  int new_slot() {
    if (free_slots_.empty()) return n_slots_++;
    int s = free_slots_.back();
    free_slots_.pop_back();
    return s;
  }
  /// The home of a constant in the pool, in the frame of what is the same in every step, in a tile of what another loop has left.
  Place home(Id i, int copy = 0) {
    if (tile_of_[i] >= 0) return {Place::tile, tile_of_[i], copy};
    if (!constant(i)) return {Place::frame, home_[i]};
    if (home_[i] < 0) home_[i] = enc_.pool(g_.nodes[i].type, g_.nodes[i].bits);
    return {Place::pool, home_[i]};
  }
  /// A value that has a home, to a register.
  void bring(Id i, int reg, int copy = 0) {
    const Node& n = g_.nodes[i];
    if (constant(i) && (n.bits == 0 || is_mask(n.type))) enc_.load_constant(n.type, n.bits, reg);
    else enc_.load(n.type, reg, home(i, copy));
  }
  static Id node_of(size_t value) { return static_cast<Id>(value / kMostCopies); }
  bool has_home(Id i) const { return constant(i) || home_[i] >= 0 || tile_of_[i] >= 0; }

  int take(int file) {
    File& f = files_[file];
    if (!f.free) evict(file);
    int reg = std::countr_zero(f.free);
    f.free &= ~(uint32_t(1) << reg);
    return reg;
  }
  void evict(int file) {
    File& f = files_[file];
    int victim = -1;
    uint32_t latest = 0;
    for (uint32_t bits = f.usable & ~f.locked & ~f.free; bits; bits &= bits - 1) {
      int reg = std::countr_zero(bits);
      uint32_t next = values_[f.owner[reg]].next;
      if (victim < 0 || next > latest) {
        victim = reg;
        latest = next;
      }
    }
    size_t v = f.owner[victim];
    Value& value = values_[v];
    if (!has_home(node_of(v)) && value.slot < 0) {
      value.slot = new_slot();
      enc_.save(g_.nodes[node_of(v)].type, victim, {Place::frame, value.slot});
    }
    value.reg = -1;
    f.free |= uint32_t(1) << victim;
  }
  void put(size_t v, int file, int reg) {
    values_[v].reg = static_cast<int8_t>(reg);
    files_[file].owner[reg] = static_cast<uint32_t>(v);
    files_[file].locked |= uint32_t(1) << reg;
  }

  // ---- steps

  void run_loops(Steps steps) {
    for (int f : {0, 1}) files_[f].usable = enc_.registers(f);
    for (Id i : touched_) pinned_[i] = -1;
    find_uses(steps, {});
    choose_unroll(steps);
    pin(steps);
    enc_.begin_main(unroll_);
    run_steps(steps);
    enc_.end_main();
    unroll_ = 1;
    enc_.begin_rest();
    run_steps(steps);
    enc_.end_rest();
  }

  void run_steps(Steps steps) {
    for (Id i : touched_) std::fill_n(&values_[value_of(i, 0)], unroll_, Value());
    for (File& f : files_) {
      f.free = f.usable;
      f.locked = 0;
    }
    for (uint32_t at = 0; at < steps.size(); ++at) {
      for (int copy = 0; copy < unroll_; ++copy) run_step(steps[at], at, copy);
    }
  }

  /// The copies of step p are steps p * unroll and following; `next` is a step's number without copies.
  uint32_t next_of(uint32_t next, uint32_t at, Id i, int copy) const {
    auto u = static_cast<uint32_t>(unroll_), c = static_cast<uint32_t>(copy);
    bool shared = g_.nodes[i].invariant;
    if (shared && c + 1 < u) return at * u + c + 1;
    return next == kNever ? kNever : next * u + (shared ? 0 : c);
  }

  void run_step(const Step& s, uint32_t at, int copy) {
    Id ids[4];
    int n = operands(s, ids);
    size_t v[4];
    uint32_t next[4], now = at * static_cast<uint32_t>(unroll_) + static_cast<uint32_t>(copy);
    Place in[4];
    for (int k = 0; k < n; ++k) {
      v[k] = value_of(ids[k], copy);
      next[k] = next_of(s.next[k], at, ids[k], copy);
      int reg = pinned_[ids[k]] >= 0 ? pinned_[ids[k]] : values_[v[k]].reg;
      if (reg >= 0) files_[enc_.file(g_.nodes[ids[k]].type)].locked |= uint32_t(1) << reg;
    }
    bool memory = false;
    for (int k = 0; k < n; ++k) {
      Type t = g_.nodes[ids[k]].type;
      if (pinned_[ids[k]] >= 0) {
        in[k] = {Place::reg, pinned_[ids[k]]};
        continue;
      }
      Value& value = values_[v[k]];
      if (value.reg < 0) {
        bool repeated = std::count(v, v + n, v[k]) > 1;
        bool soon = next[k] < now + 8 * static_cast<uint32_t>(unroll_);
        bool kept = has_home(ids[k]);
        if (!s.store && !memory && !repeated && (constant(ids[k]) || !soon) && enc_.takes_memory(g_.nodes[s.id], k)) {
          memory = true;
          in[k] = kept ? home(ids[k], copy) : Place{Place::frame, value.slot};
          continue;
        }
        int file = enc_.file(t), reg = take(file);
        if (kept) bring(ids[k], reg, copy);
        else enc_.load(t, reg, {Place::frame, value.slot});
        put(v[k], file, reg);
      }
      in[k] = {Place::reg, value.reg};
    }
    for (int k = 0; k < n; ++k) values_[v[k]].next = next[k];

    if (s.store) {
      const Graph::Store& store = g_.stores[s.id];
      enc_.store(store, g_.nodes[store.value].type, in[0].n, copy);
      release(ids, v, n, -1, -1);
    } else {
      const Node& node = g_.nodes[s.id];
      int file = enc_.file(node.type), to = -1;
      // A register whose value ends here. Fused multiply-adds overwrite an operand, the summand best; repairs their last.
      static constexpr int kOrder[] = {2, 0, 1};
      for (int q = 0; q < n && to < 0; ++q) {
        int k = n == 3 && node.op != Op::repair ? kOrder[q] : q;
        if (node.op == Op::repair && k != n - 1) continue;
        bool ends = values_[v[k]].next == kNever && pinned_[ids[k]] < 0 && in[k].kind == Place::reg;
        if (ends && enc_.file(g_.nodes[ids[k]].type) == file) to = in[k].n;
      }
      bool late = node.op == Op::repair;  // Reads its operands after it has written the result.
      if (!late) release(ids, v, n, file, to);
      if (to < 0) to = take(file);
      enc_.emit(node, to, in, copy);
      if (late) release(ids, v, n, file, to);
      size_t own = value_of(s.id, copy);
      put(own, file, to);
      values_[own].next = next_of(s.first, at, s.id, copy);
      if (tile_of_[s.id] >= 0) enc_.save(node.type, to, home(s.id, copy));
      if (values_[own].next == kNever) give_back(own, file);
    }
    for (File& f : files_) f.locked = 0;
  }

  void give_back(size_t v, int file) {
    files_[file].free |= uint32_t(1) << values_[v].reg;
    values_[v].reg = -1;
  }

  /// Gives back what values that are not used any more occupy, except for register `keep`.
  void release(const Id* ids, const size_t* v, int n, int file, int keep) {
    for (int k = 0; k < n; ++k) {
      Value& value = values_[v[k]];
      if (value.next != kNever || pinned_[ids[k]] >= 0) continue;
      if (value.reg >= 0) {
        int f = enc_.file(g_.nodes[ids[k]].type);
        if (f != file || value.reg != keep) files_[f].free |= uint32_t(1) << value.reg;
        value.reg = -1;
      }
      if (value.slot >= 0) free_slots_.push_back(value.slot);
      value.slot = -1;
    }
  }

  /// What is the same in every step, to places in the frame.
  void prepare_invariants() {
    std::vector<Step> steps;
    std::vector<Id> live_out;
    std::vector<bool> wanted(g_.nodes.size(), false);
    for (const auto& s : g_.stores) wanted[s.value] = true;
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      const Node& n = g_.nodes[i];
      for (int k = 0; k < n.n_in && loose(i); ++k) wanted[n.in[k]] = true;
    }
    for (Id i = 0; i < g_.nodes.size(); ++i) {
      if (!uses_[i] || !g_.nodes[i].invariant || constant(i)) continue;
      steps.push_back({i, false});
      if (wanted[i]) live_out.push_back(i);
    }
    if (steps.empty()) return;
    unroll_ = 1;
    find_uses(steps, live_out);
    run_steps(steps);
    for (Id i : live_out) {
      Value& value = values_[value_of(i, 0)];
      if (value.slot < 0) {
        value.slot = new_slot();
        enc_.save(g_.nodes[i].type, value.reg, {Place::frame, value.slot});
      }
      home_[i] = value.slot;
    }
  }

  const Graph& g_;
  Encoder& enc_;
  std::vector<uint32_t> uses_;
  std::vector<int> home_;        // Of constants in the pool, of invariant values in the frame.
  std::vector<int8_t> pinned_;   // Registers that hold such a value through the loops.
  size_t n_reachable_ = 0;
  Id last_input_ = 0;
  File files_[2];
  int unroll_ = 1, n_slots_ = 0;
  std::vector<int> free_slots_;
  std::vector<Value> values_;
  std::vector<Id> touched_;
  std::vector<uint32_t> seen_;
  uint32_t epoch_ = 0;
  std::vector<float> ready_;
  std::vector<int> count_;
  std::vector<Step> body_;
  std::vector<std::pair<size_t, size_t>> parts_;  ///< Of the body: one loop each.
  Tiles tiles_;
  std::vector<int> tile_of_;
  std::vector<uint32_t> last_;
  int peak_[2] = {0, 0};
};

}  // namespace

std::vector<uint8_t> assemble(const Graph& graph, Encoder& encoder) { return Generator(graph, encoder).run(); }

}  // namespace mx::cpu::jit
