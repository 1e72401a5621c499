// runner.cpp — the scheduler's decisions (eval.cpp), taken once for many runs: where values end, whose memory an output
// may take over. Start at Runner::run().

#include "runtime/runner.h"

#include <algorithm>

#include "runtime/eval.h"
#include "runtime/nan_check.h"

namespace mx {

struct Runner::Op {
  const Step* step;
  SmallVector<array, 3> in;
  SmallVector<array, 1> out;
  Backend* device;                     ///< Null: there is no kernel.
  SmallVector<size_t, 4> ending;       ///< Slots that nothing reads afterwards.
  SmallVector<size_t, 4> candidates;   ///< Inputs whose memory the output may take over.
  SmallVector<bool, 1> wanted;         ///< Outputs that something reads.
  SmallVector<size_t, 1> spare;        ///< For each output, which of the spare blocks fit.
  Strides seen;                        ///< Strides of the input for which the view was found.
  std::optional<View> view;
  bool looked = false;
};

Runner::Runner(const Subgraph& graph, size_t n_given)
    : graph_(graph), n_given_(n_given), n_leaves_(graph.input_types.size() + graph.captured_types.size()) {
  auto n_slots = static_cast<size_t>(graph.n_slots);
  std::vector<const Type*> types;
  for (const Type& t : graph.input_types) types.push_back(&t);
  for (const Type& t : graph.captured_types) types.push_back(&t);
  types.resize(n_slots);
  // The step that reads a slot last; outputs are read after all.
  constexpr size_t kNever = size_t(-1);
  std::vector<size_t> last(n_slots, kNever);
  for (size_t s = 0; s < graph.steps.size(); ++s) {
    const Step& step = graph.steps[s];
    for (size_t k = 0; k < step.out.size(); ++k) {
      types[static_cast<size_t>(step.out[k])] = &step.types[k];
      last[static_cast<size_t>(step.out[k])] = s;
    }
    for (int i : step.in) last[static_cast<size_t>(i)] = s;
  }
  for (int o : graph.outputs) last[static_cast<size_t>(o)] = graph.steps.size();
  for (size_t i = n_given; i < n_leaves_; ++i) last[i] = graph.steps.size();
  // Slots of steps that were dropped have no type.
  for (const Type* t : types) values_.push_back(t ? array::wrap(nullptr, *t) : array());
  placed_.resize(n_slots);
  for (size_t s = 0; s < graph.steps.size(); ++s) {
    const Step& step = graph.steps[s];
    Op op{&step, {}, {}, nullptr, {}, {}, {}, {}, {}, {}};
    for (int i : step.in) op.in.push_back(values_[static_cast<size_t>(i)]);
    for (int o : step.out) {
      op.out.push_back(values_[static_cast<size_t>(o)]);
      bool read = last[static_cast<size_t>(o)] != s;
      op.wanted.push_back(read);
      if (!read) op.ending.push_back(static_cast<size_t>(o));
    }
    Kind kind = step.primitive->kind;
    for (size_t i = 0; i < step.in.size(); ++i) {
      auto slot = static_cast<size_t>(step.in[i]);
      if (last[slot] != s || std::find(op.ending.begin(), op.ending.end(), slot) != op.ending.end()) continue;
      op.ending.push_back(slot);
      const Type &from = *types[slot], &to = step.types[0];
      bool fits = from.shape == to.shape && size_of(from.dtype) == size_of(to.dtype) && step.out.size() == 1;
      bool once = std::count(step.in.begin(), step.in.end(), step.in[i]) == 1;
      if (fits && once && (kind == Kind::elementwise || (kind == Kind::update && i == 0))) op.candidates.push_back(i);
    }
    Backend& device = backend(step.stream.device.kind);
    if (device.has_kernel(*step.primitive)) op.device = &device;
    for (size_t k = 0; op.device && k < op.out.size(); ++k) {
      size_t n = op.out[k].n_bytes(), i = 0;
      while (i < spares_.size() && spares_[i].n_bytes != n) ++i;
      if (i == spares_.size()) spares_.push_back({n});
      ++spares_[i].most;
      op.spare.push_back(i);
    }
    ops_.push_back(std::move(op));
  }
  // Given and never read.
  for (size_t i = 0; i < n_given; ++i) read_.push_back(last[i] != kNever);
}

Runner::~Runner() = default;

void Runner::set(size_t i, Storage value) {
  if (i < n_given_ && !read_[i]) return;
  values_[i].node()->storage = std::move(value);
}

void Runner::place(size_t k, BufferRef buffer, int64_t offset) { placed_[static_cast<size_t>(graph_.outputs[k])] = {std::move(buffer), offset}; }

void Runner::take_outputs(const Arrays& to) {
  for (size_t k = 0; k < to.size(); ++k) to[k].node()->storage = output(k).storage();
  for (int o : graph_.outputs) {
    auto slot = static_cast<size_t>(o);
    if (slot < n_given_ || slot >= n_leaves_) values_[slot].node()->storage.buffer.reset();
  }
}

// A loop can be interrupted, though it runs without the interpreter.
void Runner::poll() {
  if (--until_look_ > 0 || !blocking_hooks().poll) return;
  auto now = std::chrono::steady_clock::now();
  if (now - last_poll_ < std::chrono::milliseconds(10)) {
    between_looks_ = std::min<int64_t>(2 * between_looks_, 1 << 12);
  } else {
    between_looks_ = 1;
    last_poll_ = now;
    blocking_hooks().poll();
  }
  until_look_ = between_looks_;
}

void Runner::run() {
  poll();
  for (Op& op : ops_) {
    try {
      run(op);
    } catch (...) {
      if (op.step->origin) rethrow_with_origin(*op.step->origin);
      throw;
    }
  }
  for (int o : graph_.outputs) placed_[static_cast<size_t>(o)].buffer.reset();
}

void Runner::run(Op& op) {
  bool plain = !checking_nans();
  if (!plain || !view(op)) {
    if (plain && op.device) kernel(op);
    else general(op);
  }
  for (size_t slot : op.ending) drop(slot);
}

// True if the output is seen in the input's memory.
bool Runner::view(Op& op) {
  const Primitive& p = *op.step->primitive;
  if (!p.view) return false;
  const Storage& in = op.in[0].storage();
  Storage& out = op.out[0].node()->storage;
  if (!op.looked || op.seen != in.strides) {
    op.looked = true;
    op.seen = in.strides;
    op.view = p.view(op.step->params, op.in[0], op.out[0].shape());
    out.strides = op.view ? op.view->strides : row_strides(op.out[0].shape());
    out.row_contiguous = is_row_contiguous(op.out[0].shape(), out.strides);
  }
  if (!op.view) return false;
  out.buffer = in.buffer;
  out.offset = in.offset + op.view->offset;
  return true;
}

void Runner::kernel(Op& op) {
  for (size_t k = 0; k < op.out.size(); ++k) {
    Storage& out = op.out[k].node()->storage;
    out.offset = 0;
    Place& place = placed_[static_cast<size_t>(op.step->out[k])];
    if (place.buffer) {
      out.buffer = std::move(place.buffer);
      out.offset = place.offset;
      continue;
    }
    for (size_t i : op.candidates) {
      const Storage& in = op.in[i].storage();
      if (in.buffer.use_count() == 1 && in.buffer->owned && in.offset == 0 && in.row_contiguous) {
        out.buffer = in.buffer;
        break;
      }
    }
    if (!out.buffer) out.buffer = memory_for(k, op);
  }
  op.device->run({*op.step->primitive, op.step->params, op.in, {op.out.data(), op.out.size()}}, op.step->stream);
}

// By way of the scheduler: loops in loops, operations without a kernel, and checks for NaNs.
void Runner::general(Op& op) {
  StreamScope scope(op.step->stream);
  OriginScope origin(op.step->origin);
  SmallVector<array, 3> in;
  for (const array& x : op.in) in.push_back(array::wrap(x.storage().buffer, x.type(), x.storage().offset, x.strides()));
  Arrays outs = make_nodes(*op.step->primitive, op.step->params, std::move(in), op.step->types);
  for (size_t k = 0; k < outs.size(); ++k) {
    if (!op.wanted[k]) outs[k] = {};
  }
  Arrays needed;
  for (const array& out : outs) {
    if (out.defined()) needed.push_back(out);
  }
  eval(needed);
  for (size_t k = 0; k < outs.size(); ++k) {
    if (outs[k].defined()) op.out[k].node()->storage = outs[k].storage();
  }
  op.looked = false;
}

BufferRef Runner::memory_for(size_t k, Op& op) {
  Spare& spare = spares_[op.spare[k]];
  if (spare.blocks.empty()) return op.device->allocator().allocate(spare.n_bytes);
  BufferRef found = std::move(spare.blocks.back());
  spare.blocks.pop_back();
  return found;
}

void Runner::drop(size_t slot) {
  BufferRef& b = values_[slot].node()->storage.buffer;
  if (b.use_count() == 1 && b->owned) {
    for (Spare& s : spares_) {
      // Blocks are a little larger than what was asked for.
      if (b->n_bytes < s.n_bytes || b->n_bytes > s.n_bytes + s.n_bytes / 4 + 64 || s.blocks.size() == s.most) continue;
      s.blocks.push_back(std::move(b));
      break;
    }
  }
  b.reset();
}

}  // namespace mx
