// eval.cpp — the scheduler. Collects what is not yet computed, oldest first, and for each call: a view
// aliases its input, a kernel gets memory (a sole-owned input's, if it fits) and runs, anything else is
// expanded into simpler operations. Evaluated nodes drop their records unless a live trace needs them.
// Start at run_pending().

#include "runtime/eval.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>
#include <thread>

#include "base/pointer_map.h"
#include "graph/marker.h"
#include "runtime/backend.h"
#include "runtime/lazy.h"
#include "runtime/nan_check.h"

namespace mx {

namespace {

// One evaluation at a time: kernels use all cores themselves, and a node is computed once.
std::recursive_mutex eval_lock;

BlockingHooks blocking;
std::atomic<LazyPlanner> planner{nullptr};

class BlockingScope {
 public:
  BlockingScope() : token_(blocking.enter ? blocking.enter() : nullptr) {}
  ~BlockingScope() {
    if (blocking.leave) blocking.leave(token_);
  }
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  void* token_;
};

[[noreturn]] void refuse_placeholder(const Node& node) {
  // The label is the transformation and, after a space, the name of the function if there is one.
  std::string label = node.why;
  size_t space = label.find(' ');
  std::string function = space == std::string::npos ? "the function" : label.substr(space + 1);
  throw TransformError(cat("[", label.substr(0, space), "] a value was needed inside ", function, " while it is being traced: an array of shape ",
                           node.shape, " and dtype ", node.dtype, " has a type but no value there. Compute with mx operations "
                           "(mx.where instead of `if`), or keep the array from leaving the function."));
}

std::vector<CallRef> pending_calls(std::span<const array> outputs) {
  std::vector<CallRef> found;
  PointerMap<bool> seen;
  auto visit = [&](const array& a) {
    Node& node = *a.node();
    if (node.available.load(std::memory_order_acquire)) return;
    if (node.placeholder) refuse_placeholder(node);
    if (seen.insert(node.call).second) found.emplace_back(node.call);
  };
  for (const array& a : outputs) visit(a);
  for (size_t i = 0; i < found.size(); ++i) {
    // By index: the vector grows while we look at its elements.
    CallRecord* record = found[i].get();
    for (const array& in : record->inputs) visit(in);
  }
  std::sort(found.begin(), found.end(), [](const CallRef& a, const CallRef& b) { return (*a).serial < (*b).serial; });
  return found;
}

// The memory of an input that nobody else will read again, if the output fits exactly into it and the kernel can
// work in place.
BufferRef donated(CallRecord& call, const Node& out) {
  Kind kind = call.primitive->kind;
  if (kind == Kind::general || must_retain(out) || checking_nans()) return nullptr;
  size_t n_candidates = kind == Kind::update ? 1 : call.inputs.size();
  for (size_t i = 0; i < n_candidates; ++i) {
    const Node& node = *call.inputs[i].node();
    const Storage& s = node.storage;
    if (node.refs.load(std::memory_order_acquire) == 1 && may_take_over(s) && node.size == out.size &&
        size_of(node.dtype) == size_of(out.dtype)) {
      return s.buffer;
    }
  }
  return nullptr;
}

void run_kernel(Backend& device, CallRecord& call, std::span<array> outs) {
  for (array& out : outs) {
    Node& node = *out.node();
    BufferRef buffer = outs.size() == 1 ? donated(call, node) : nullptr;
    if (!buffer) buffer = device.allocator().allocate(out.n_bytes());
    node.storage = {std::move(buffer), 0, row_strides(node.shape), true};
  }
  device.run({*call.primitive, call.params, call.inputs, outs}, call.stream);
  for (array& out : outs) out.node()->available.store(true, std::memory_order_release);
}

bool run_planned(std::vector<CallRef>& order) {
  LazyPlanner plan = planner.load(std::memory_order_relaxed);
  // Checks and origins speak of single calls.
  return plan && order.size() > 1 && !checking_nans() && !origins_traced() && plan(order);
}

void run_pending(std::span<const array> outputs) {
  std::vector<CallRef> order = pending_calls(outputs);
  if (run_planned(order)) return;
  std::reverse(order.begin(), order.end());
  while (!order.empty()) {
    CallRef call = std::move(order.back());
    order.pop_back();
    try {
      run_call(*call);
    } catch (...) {
      if ((*call).origin) rethrow_with_origin(*(*call).origin);
      throw;
    }
  }
}

// ---- background evaluation

class BackgroundEvaluator {
 public:
  void add(Arrays arrays) {
    std::lock_guard guard(lock_);
    if (!worker_.joinable()) worker_ = std::thread([this] { work(); });
    jobs_.push_back({std::move(arrays), oldest_live_trace()});
    wake_.notify_all();
  }
  void wait() {
    std::unique_lock guard(lock_);
    idle_.wait(guard, [&] { return jobs_.empty() && !busy_; });
  }

 private:
  struct Job {
    Arrays arrays;
    uint64_t oldest_trace;
  };
  void work() {
    std::unique_lock guard(lock_);
    while (true) {
      wake_.wait(guard, [&] { return !jobs_.empty(); });
      busy_ = true;
      {
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        guard.unlock();
        try {
          AdoptedTrace traces(job.oldest_trace);
          eval(job.arrays);
        } catch (const std::exception&) {
          // The arrays stay unevaluated: whoever asks for them meets the same error.
        }
      }
      guard.lock();
      busy_ = false;
      idle_.notify_all();
    }
  }

  std::mutex lock_;
  std::condition_variable wake_, idle_;
  std::deque<Job> jobs_;
  bool busy_ = false;
  std::thread worker_;
};

// Never destroyed: its thread waits until the process ends. A forked child has no such thread and starts afresh.
BackgroundEvaluator* evaluator = nullptr;

BackgroundEvaluator& background() {
  [[maybe_unused]] static const bool prepared = [] {
    evaluator = new BackgroundEvaluator;
    std::atexit([] { evaluator->wait(); });
    return true;
  }();
  return *evaluator;
}

// In a forked child the thread that held the lock does not exist.
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  new (&eval_lock) std::recursive_mutex;
  if (evaluator) evaluator = new BackgroundEvaluator;
});

}  // namespace

void run_call(CallRecord& call) {
  SmallVector<array, 1> outs;
  SmallVector<bool, 4> wanted;
  bool done = true;
  for (uint32_t k = 0; k < call.n_out; ++k) {
    outs.push_back(call.living_output(k));
    wanted.push_back(outs.back().defined() && !outs.back().available());
    done &= !wanted.back();
  }
  if (done) return;
  for (uint32_t k = 0; k < call.n_out; ++k) {
    if (!outs[k].defined()) {
      outs[k] = call.output(k);
    } else if (!wanted[k]) {
      // Computed before, when another output was not asked for: it stays, and is made once more for nobody.
      outs[k] = array::wrap(nullptr, outs[k].type());
    }
  }
  const Primitive& p = *call.primitive;
  if (!p.view || !publish_view(p, call.params, call.inputs[0], *outs[0].node())) {
    Backend& device = backend(call.stream.device.kind);
    if (device.has_kernel(p)) {
      run_kernel(device, call, {outs.data(), outs.size()});
      if (checking_nans()) {
        device.synchronize(call.stream);
        check_nans(call, {outs.data(), outs.size()});
      }
    } else if (p.run) {
      StreamScope scope(call.stream);
      OriginScope origin(call.origin);
      Outs found = p.run(call.params, Call(call), std::vector<bool>(wanted.begin(), wanted.end()));
      for (uint32_t k = 0; k < call.n_out; ++k) {
        if (wanted[k]) publish(*outs[k].node(), found[k].eval().storage());
      }
    } else if (p.expand) {
      Outs simpler;
      {
        StreamScope scope(call.stream);
        OriginScope origin(call.origin);
        simpler = p.expand(call.params, Call(call));
      }
      eval(std::span<const array>(simpler.begin(), simpler.size()));
      for (uint32_t k = 0; k < call.n_out; ++k) publish(*outs[k].node(), simpler[k].storage());
    } else {
      throw BackendError(cat("[", p.name, "] the ", device.name(), " backend has no kernel for this operation."));
    }
  }
  for (array& out : outs) {
    if (out.available() && !must_retain(*out.node())) detach(*out.node());
  }
}

void publish(Node& node, Storage storage) {
  node.storage = std::move(storage);
  node.available.store(true, std::memory_order_release);
}

bool publish_view(const Primitive& primitive, const Params& params, const array& in, Node& node) {
  auto view = primitive.view(params, in, node.shape);
  if (!view) return false;
  bool contiguous = is_row_contiguous(node.shape, view->strides);
  publish(node, {in.storage().buffer, in.storage().offset + view->offset, std::move(view->strides), contiguous});
  return true;
}

bool may_take_over(const Storage& s) { return s.buffer.use_count() == 1 && s.buffer->owned && s.offset == 0 && s.row_contiguous; }

// Types stay as they are.
void rethrow_with_origin(const std::string& origin) {
  auto located = [&](const std::exception& e) {
    std::string text = e.what();
    return text.find(" (made at ") == std::string::npos ? cat(text, " (made at ", origin, ")") : text;  // the innermost call
  };
  try {
    throw;
  } catch (const IndexError& e) {
    throw IndexError(located(e));
  } catch (const DtypeError& e) {
    throw DtypeError(located(e));
  } catch (const AxisError& e) {
    throw AxisError(located(e));
  } catch (const ValueError& e) {
    throw ValueError(located(e));
  } catch (const BackendError& e) {
    throw BackendError(located(e));
  } catch (const MemoryError& e) {
    throw MemoryError(located(e));
  }
}

void set_lazy_planner(LazyPlanner p) { planner = p; }

void set_blocking_hooks(BlockingHooks hooks) { blocking = hooks; }
const BlockingHooks& blocking_hooks() { return blocking; }

namespace {

// How many evaluations this thread is within.
thread_local int depth = 0;
struct Depth {
  Depth() { ++depth; }
  ~Depth() { --depth; }
};

bool settled(std::span<const array> arrays) {
  return std::none_of(arrays.begin(), arrays.end(), [](const array& a) {
    Buffer* b = a.node()->storage.buffer.get();
    return b && b->block().queue;  // Even of work that is done: it may have failed.
  });
}

}  // namespace

void eval(std::span<const array> arrays) {
  // Only a node that depends on a marker can be available and still hold its record.
  bool ready = std::all_of(arrays.begin(), arrays.end(), [](const array& a) {
    return a.available() && (a.node()->newest_mark == 0 || must_retain(*a.node()));
  });
  if (ready && (depth > 0 || settled(arrays))) return;
  BlockingScope unlocked;
  if (!ready) {
    std::lock_guard guard(eval_lock);
    Depth inner;
    run_pending(arrays);
    // Values computed while a trace was live kept their history; now that it is over, let go of it.
    for (const array& a : arrays) {
      if (a.node()->call && !must_retain(*a.node())) detach(*a.node());
    }
  }
  // What a device was given is done only now; within an evaluation its queue keeps the order.
  if (depth == 0) {
    for (const array& a : arrays) {
      if (Buffer* b = a.node()->storage.buffer.get()) b->settle();
    }
  }
}

void async_eval(Arrays arrays) { background().add(std::move(arrays)); }

void synchronize(Stream stream) {
  BlockingScope unlocked;
  background().wait();
  if (has_backend(stream.device.kind)) backend(stream.device.kind).synchronize(stream);
}

// ---- array members that need a value

const array& array::eval() const {
  mx::eval(std::span<const array>(this, 1));
  return *this;
}

template <class T>
T array::item() const {
  if (size() != 1) {
    throw ValueError(cat("[item] only an array with one element converts to a number: shape is ", shape(), "; index it first."));
  }
  eval();
  return dispatch(dtype(), [&](auto tag) -> T {
    using S = typename decltype(tag)::type;
    S x = *data<S>();
    if constexpr (std::is_same_v<T, complex64_t>) {
      if constexpr (std::is_same_v<S, complex64_t>) {
        return x;
      } else {
        return T(static_cast<float>(x), 0.0f);
      }
    } else if constexpr (std::is_same_v<S, complex64_t>) {
      return static_cast<T>(x.real());
    } else if constexpr (std::is_same_v<S, float16_t> || std::is_same_v<S, bfloat16_t>) {
      return static_cast<T>(static_cast<float>(x));
    } else {
      return static_cast<T>(x);
    }
  });
}
template bool array::item<bool>() const;
template int32_t array::item<int32_t>() const;
template uint32_t array::item<uint32_t>() const;
template int64_t array::item<int64_t>() const;
template uint64_t array::item<uint64_t>() const;
template float array::item<float>() const;
template double array::item<double>() const;
template complex64_t array::item<complex64_t>() const;

}  // namespace mx
