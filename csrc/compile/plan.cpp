// plan.cpp — making a plan, in three passes over the steps: what each slot sees (views are found here), which outputs take
// over an input's memory, and where temporaries lie. Then running it. Start at CallPlan::CallPlan() and CallPlan::run().

#include "compile/plan.h"

#include <algorithm>
#include <map>

#include "base/pointer_map.h"
#include "ops/cast_params.h"
#include "ops/effects_params.h"
#include "runtime/eval.h"
#include "transforms/custom.h"

namespace mx {

namespace {

constexpr size_t kLine = 64;
constexpr size_t kNowhere = SIZE_MAX;

size_t rounded(size_t n) { return std::max(kLine, (n + kLine - 1) & ~(kLine - 1)); }

// What passes inputs on: the first input that is an output, or -1.
int passes_from(const Step& s) {
  if (s.primitive == &depends_p || s.primitive == &with_effects_p) return 0;
  return s.primitive == &custom_p ? s.params.get<CustomParams>().n_args : -1;
}

// A handle to a buffer that is not counted: its owner outlives the handle.
BufferRef uncounted(Buffer& b) { return BufferRef(std::shared_ptr<void>(), &b); }

bool needs_alignment(const Step& s) { return s.primitive == &view_p; }

}  // namespace

size_t CallPlan::find(size_t root) const {
  while (roots_[root].joined >= 0) root = static_cast<size_t>(roots_[root].joined);
  return root;
}

size_t CallPlan::new_root(Root::Kind kind, size_t index, size_t n_bytes) {
  roots_.emplace_back();
  Root& r = roots_.back();
  r.kind = kind;
  r.index = index;
  r.n_bytes = n_bytes;
  return roots_.size() - 1;
}

array CallPlan::see(size_t root, const Type& type, int64_t offset, const Strides& strides) {
  return array::wrap(uncounted(roots_[root].buffer), type, offset, strides);
}

CallPlan::CallPlan(const Subgraph& graph, const Arrays& captured, std::span<const array> like) : graph_(graph), captured_(captured) {
  auto n_slots = static_cast<size_t>(graph.n_slots);
  root_of_.assign(n_slots, kNowhere);
  values_.resize(n_slots);
  size_t slot = 0;
  for (size_t i = 0; i < like.size(); ++i, ++slot) {
    root_of_[slot] = new_root(Root::input, i, 0);
    const Shape& shape = graph.input_types[i].shape;
    values_[slot] = see(root_of_[slot], graph.input_types[i], 0, like[i].row_contiguous() ? row_strides(shape) : like[i].strides());
  }
  for (size_t c = 0; c < captured.size(); ++c, ++slot) {
    root_of_[slot] = new_root(Root::captured, c, 0);
    roots_.back().buffer = {captured[c].address(), 0};
    roots_.back().buffer.part_of = &captured[c].storage().buffer->block();
    values_[slot] = see(root_of_[slot], captured[c].type(), 0, captured[c].strides());
  }
  std::vector<bool> read(like.size());
  auto reads = [&](int v, size_t s) {
    auto at = static_cast<size_t>(v);
    if (at < like.size()) read[at] = true;
    roots_[root_of_[at]].last = s;
  };
  for (size_t s = 0; s < graph.steps.size(); ++s) {
    const Step& step = graph.steps[s];
    auto out_slot = [&](size_t k) { return static_cast<size_t>(step.out[k]); };
    for (int i : step.in) reads(i, s);
    if (int from = passes_from(step); from >= 0) {
      for (size_t k = 0; k < step.out.size(); ++k) {
        auto in = static_cast<size_t>(step.in[static_cast<size_t>(from) + k]);
        root_of_[out_slot(k)] = root_of_[in];
        values_[out_slot(k)] = values_[in];
      }
      continue;
    }
    if (step.primitive->view) {
      auto in = static_cast<size_t>(step.in[0]);
      const array& x = values_[in];
      aligned_ |= needs_alignment(step) && roots_[root_of_[in]].kind == Root::input;
      if (auto view = step.primitive->view(step.params, x, step.types[0].shape)) {
        root_of_[out_slot(0)] = root_of_[in];
        values_[out_slot(0)] = see(root_of_[in], step.types[0], x.storage().offset + view->offset, view->strides);
        continue;
      }
    }
    Backend& device = backend(step.stream.device.kind);
    Op op{&step, device.has_kernel(*step.primitive) ? &device : nullptr, {}, {}, {}, {}};
    if (!device_) device_ = &device;
    for (int i : step.in) op.in.push_back(values_[static_cast<size_t>(i)]);
    for (size_t k = 0; k < step.out.size(); ++k) {
      const Type& type = step.types[k];
      size_t r = new_root(Root::own, 0, static_cast<size_t>(n_elems(type.shape)) * size_of(type.dtype));
      roots_[r].born = roots_[r].last = s;
      roots_[r].device = &device;
      roots_[r].foreign = !op.device;
      root_of_[out_slot(k)] = r;
      values_[out_slot(k)] = see(r, type, 0, row_strides(type.shape));
      op.out.push_back(values_[out_slot(k)]);
    }
    // What has no kernel keeps its inputs for as long as it likes, and makes its outputs itself.
    if (!op.device) {
      for (int i : step.in) roots_[root_of_[static_cast<size_t>(i)]].seen = true;
    }
    ops_.push_back(std::move(op));
  }
  for (int o : graph.outputs) {
    auto at = static_cast<size_t>(o);
    if (at < like.size()) read[at] = true;
    Root& r = roots_[root_of_[at]];
    r.last = graph.steps.size();
    r.seen = true;
  }
  for (size_t i = 0; i < like.size(); ++i) {
    if (!read[i]) continue;
    layout_.push_back(i);
    strides_.push_back(like[i].row_contiguous() ? Strides() : like[i].strides());
  }
  size_t first_step = 0;
  for (Op& op : ops_) {
    first_step = static_cast<size_t>(op.step - graph.steps.data());
    if (op.device && op.out.size() == 1) shares_input(op, first_step);
  }
  place_temporaries();
}

CallPlan::~CallPlan() = default;

// The scheduler's rule for work in place: an elementwise operation may write over an input of its layout that nothing reads
// afterwards, an update over its first.
bool CallPlan::shares_input(Op& op, size_t s) {
  const Step& step = *op.step;
  Kind kind = step.primitive->kind;
  if (kind != Kind::elementwise && kind != Kind::update) return false;
  size_t out = find(root_of_[static_cast<size_t>(step.out[0])]);
  for (size_t i = 0; i < (kind == Kind::update ? 1 : step.in.size()); ++i) {
    const array& x = op.in[i];
    size_t r = find(root_of_[static_cast<size_t>(step.in[i])]);
    Root& from = roots_[r];
    if (from.last != s || from.kind == Root::captured || x.storage().offset != 0 || !x.row_contiguous() ||
        x.shape() != op.out[0].shape() || x.itemsize() != op.out[0].itemsize()) {
      continue;
    }
    // Nobody else may read the same memory otherwise.
    size_t readers = 0;
    for (int other : step.in) readers += find(root_of_[static_cast<size_t>(other)]) == r;
    if (readers != 1) continue;
    if (from.kind == Root::input) {
      roots_[out].donors.push_back(from.index);
      continue;
    }
    if (from.seen || from.foreign || from.n_bytes != roots_[out].n_bytes) continue;
    from.last = roots_[out].last;
    from.seen = roots_[out].seen;
    roots_[out].joined = static_cast<int>(r);
    return true;
  }
  return false;
}

// Temporaries share a block; each takes the smallest gap that fits.
void CallPlan::place_temporaries() {
  size_t n_steps = graph_.steps.size();
  std::vector<std::vector<size_t>> begin(n_steps), end(n_steps + 1);
  for (size_t r = 0; r < roots_.size(); ++r) {
    Root& root = roots_[r];
    if (root.kind != Root::own || root.joined >= 0) continue;
    if (!root.seen && !root.foreign) root.kind = Root::temporary;
    begin[root.born].push_back(r);
    end[root.last].push_back(r);
  }
  std::map<size_t, size_t> gaps;            // offset -> size
  std::multimap<size_t, size_t> by_size;    // size -> offset
  auto forget = [&](std::map<size_t, size_t>::iterator gap) {
    auto [first, last] = by_size.equal_range(gap->second);
    while (first->second != gap->first) ++first;
    by_size.erase(first);
    (void)last;
    return gaps.erase(gap);
  };
  auto add_gap = [&](size_t offset, size_t n) {
    auto after = gaps.lower_bound(offset);
    if (after != gaps.end() && offset + n == after->first) {
      n += after->second;
      after = forget(after);
    }
    if (after != gaps.begin()) {
      auto before = std::prev(after);
      if (before->first + before->second == offset) {
        offset = before->first;
        n += before->second;
        forget(before);
      }
    }
    gaps.emplace(offset, n);
    by_size.emplace(n, offset);
  };
  size_t top = 0;
  for (size_t s = 0, o = 0; s < n_steps; ++s) {
    for (size_t r : begin[s]) {
      Root& root = roots_[r];
      if (root.kind != Root::temporary) continue;
      size_t n = rounded(root.n_bytes);
      auto gap = by_size.lower_bound(n);
      if (gap != by_size.end()) {
        root.offset = gap->second;
        size_t left = gap->first - n;
        gaps.erase(gap->second);
        by_size.erase(gap);
        if (left) add_gap(root.offset + n, left);
        continue;
      }
      // A gap at the end grows.
      if (!gaps.empty() && gaps.rbegin()->first + gaps.rbegin()->second == top) {
        root.offset = gaps.rbegin()->first;
        forget(std::prev(gaps.end()));
      } else {
        root.offset = top;
      }
      top = root.offset + n;
    }
    for (size_t r : end[s]) {
      if (roots_[r].kind == Root::temporary) add_gap(roots_[r].offset, rounded(roots_[r].n_bytes));
    }
    if (o < ops_.size() && ops_[o].step == &graph_.steps[s]) {
      Op& op = ops_[o++];
      for (size_t r : begin[s]) {
        if (roots_[r].kind == Root::own && op.device) op.fresh.push_back(r);
      }
      for (size_t r : end[s]) {
        if (roots_[r].kind == Root::own) op.ending.push_back(r);
      }
    }
  }
  block_bytes_ = top;
  // Now that it is known where everything is, let the slots see it. Slots that passed a value on share its leaf.
  PointerMap<bool> moved;
  for (size_t slot = 0; slot < values_.size(); ++slot) {
    if (!values_[slot].defined() || !moved.insert(values_[slot].node()).second) continue;
    Root& root = roots_[find(root_of_[slot])];
    Storage& s = values_[slot].node()->storage;
    if (root.kind == Root::temporary) {
      s.buffer = uncounted(block_);
      s.offset += static_cast<int64_t>(root.offset / values_[slot].itemsize());
    } else {
      s.buffer = uncounted(root.buffer);
    }
  }
}

bool CallPlan::fits(std::span<const array> inputs) const {
  for (size_t k = 0; k < layout_.size(); ++k) {
    const array& x = inputs[layout_[k]];
    const Storage& s = x.storage();
    if (strides_[k].empty() ? !s.row_contiguous : s.row_contiguous || s.strides != strides_[k]) return false;
    if (aligned_ && reinterpret_cast<uintptr_t>(x.bytes()) % 8 != 0) return false;
  }
  return true;
}

BufferRef CallPlan::memory_of(Root& root, std::span<const array> inputs, bool may_take) {
  if (may_take) {
    for (size_t i : root.donors) {
      const Node& node = *inputs[i].node();
      const Storage& s = node.storage;
      if (node.refs.load(std::memory_order_acquire) != 1 || s.buffer.use_count() != 1 || !s.buffer->owned || s.offset != 0) continue;
      took_ = true;
      return s.buffer;
    }
  }
  return root.device->allocator().allocate(root.n_bytes);
}

void CallPlan::release() {
  for (Root& r : roots_) r.held.reset();
}

void CallPlan::run(std::span<const array> inputs, bool may_take, std::span<Storage> outputs) {
  took_ = false;
  for (size_t i : layout_) {
    roots_[i].buffer.data = inputs[i].address();
    roots_[i].buffer.part_of = &inputs[i].storage().buffer->block();
  }
  BufferRef block;
  if (block_bytes_) {
    block = device_->allocator().allocate(block_bytes_);
    block_.data = block->data;
    block_.part_of = block.get();
  }
  Op* op = ops_.data();
  try {
    for (Op* end = op + ops_.size(); op != end; ++op) {
      if (!op->device) {
        general(*op, inputs);
      } else {
        for (size_t r : op->fresh) {
          Root& root = roots_[r];
          root.held = memory_of(root, inputs, may_take);
          root.refer_to_held();
        }
        op->device->run({*op->step->primitive, op->step->params, op->in, {op->out.data(), op->out.size()}}, op->step->stream);
      }
      for (size_t r : op->ending) roots_[r].held.reset();
    }
  } catch (...) {
    release();
    if (op->step->origin) rethrow_with_origin(*op->step->origin);
    throw;
  }
  for (size_t k = 0; k < graph_.outputs.size(); ++k) outputs[k] = storage_of(static_cast<size_t>(graph_.outputs[k]), inputs);
  release();
}

// A slot's place in memory that is counted.
Storage CallPlan::storage_of(size_t slot, std::span<const array> inputs) const {
  const Root& root = roots_[find(root_of_[slot])];
  Storage s = values_[slot].storage();
  const array* from = root.kind == Root::input ? &inputs[root.index] : root.kind == Root::captured ? &captured_[root.index] : nullptr;
  if (!from) {
    s.buffer = root.held;
    return s;
  }
  s.buffer = from->storage().buffer;
  // Offsets count elements, which a view may have given another size.
  int64_t bytes = from->storage().offset * static_cast<int64_t>(from->itemsize()), itemsize = static_cast<int64_t>(values_[slot].itemsize());
  if (bytes % itemsize == 0) {
    s.offset += bytes / itemsize;
    return s;
  }
  BufferRef whole = std::move(s.buffer);
  s.buffer = BufferRef(new Buffer(static_cast<std::byte*>(whole->data) + bytes, whole->n_bytes), [whole](Buffer* b) { delete b; });
  s.buffer->part_of = &whole->block();
  return s;
}

// By way of the scheduler: loops, effects, operations without a kernel.
void CallPlan::general(Op& op, std::span<const array> inputs) {
  StreamScope scope(op.step->stream);
  OriginScope origin(op.step->origin);
  SmallVector<array, 3> in;
  for (size_t i = 0; i < op.in.size(); ++i) {
    Storage s = storage_of(static_cast<size_t>(op.step->in[i]), inputs);
    in.push_back(array::wrap(std::move(s.buffer), op.in[i].type(), s.offset, std::move(s.strides)));
  }
  Arrays outs = make_nodes(*op.step->primitive, op.step->params, std::move(in), op.step->types), needed;
  for (size_t k = 0; k < outs.size(); ++k) {
    // Nothing reads it: it need not be computed.
    const Root& root = roots_[find(root_of_[static_cast<size_t>(op.step->out[k])])];
    if (!root.seen && root.last == root.born) outs[k] = {};
    else needed.push_back(outs[k]);
  }
  eval(needed);
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!outs[k].defined()) continue;
    Root& root = roots_[find(root_of_[static_cast<size_t>(op.step->out[k])])];
    array value = outs[k];
    // The plan is made for row-contiguous results in memory that begins where the value does.
    const Storage* s = &value.storage();
    if (!s->row_contiguous || s->offset != 0) {
      array copied = make_node(contiguous_p, ContiguousParams{false, true}, {array::wrap(s->buffer, value.type(), s->offset, s->strides)}, value.type());
      copied.eval();
      root.held = copied.storage().buffer;
    } else {
      root.held = s->buffer;
    }
    root.refer_to_held();
  }
}

}  // namespace mx
