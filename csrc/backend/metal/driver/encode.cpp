// encode.cpp — from a plan to commands: which buffers its arrays lie in, what they wait for, barriers, dispatches.
// Start at Queue::run().

#include <algorithm>
#include <cstring>

#include "backend/metal/driver/device.h"
#include "backend/metal/driver/queue.h"
#include "runtime/backend.h"

namespace mx::metal {

namespace {

// A command buffer is committed when it holds so much. Small ones cost time on the CPU; long ones let results wait and are ended
// by the system after some seconds.
constexpr size_t kMostLaunches = 48;
// A plan of more launches is cut.
constexpr size_t kMostTogether = 256;
constexpr size_t kMostBytes = 64 << 20;
constexpr double kMostSeconds = 0.05;
constexpr size_t kMostInFlight = 16;     // of Metal's 64: what runs ahead of the GPU
constexpr size_t kFirstLaunches = 8;     // an idle GPU gets work sooner
constexpr size_t kSmallestWrap = 64 << 10;

MTL::Size size_of(Size3 s) { return MTL::Size(s.x, s.y, s.z); }

uintptr_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }

/// The memory that an array's elements lie in.
Range range_of(const array& a) {
  if (a.size() == 0) return {};
  int64_t first = 0, last = 0;  // elements before and after the first one
  const Strides& strides = a.strides();
  for (size_t i = 0; i < strides.size(); ++i) {
    int64_t reach = (a.shape()[i] - 1) * strides[i];
    (reach < 0 ? first : last) += reach;
  }
  auto item = static_cast<int64_t>(a.itemsize());
  uintptr_t at = number(a.address());
  return {at + static_cast<uintptr_t>(first * item), at + static_cast<uintptr_t>((last + 1) * item)};
}

void tag(Buffer& block, Queue* queue, uint64_t serial, bool recycled) {
  // The queue last: who finds it finds a serial that is as new.
  store_release(block.serial, serial);
  store_release(block.recycled, recycled);
  store_release<WorkQueue*>(block.queue, queue);
}

/// Memory that a launch may be given.
struct Operand {
  MTL::Buffer* buffer = nullptr;
  size_t offset = 0;
  Range range;
  const void* inlined = nullptr;  ///< Without a buffer: bound by value.
  size_t inlined_bytes = 0;
};

constexpr std::byte kNothing[16] = {};

}  // namespace

/// A plan on its way into a command buffer.
struct Encoding {
  explicit Encoding(const Task& t) : task(t) {}

  const Task& task;
  std::vector<Operand> in, out, temporaries;
  std::vector<Operand> large_values;                 ///< Values too large to be bound inline, in the order of their bindings.
  std::vector<BufferRef> blocks;                     ///< Behind temporaries and copies. May be let go of once it is encoded.
  std::vector<Kept> kept;
  std::vector<Buffer*> read, written;                ///< Blocks that the GPU will use.
  std::vector<Dependency> dependencies;              ///< Of the outputs; the serial is filled in later.
  std::vector<std::pair<Queue*, uint64_t>> waits;    ///< Work of other queues.
  std::vector<MTL::ComputePipelineState*> pipelines;
};

namespace {

class Preparation {
 public:
  Preparation(Gpu& gpu, Queue& queue, Encoding& e) : gpu_(gpu), queue_(queue), e_(e) {}

  void run(const Plan& plan) {
    e_.in.resize(e_.task.in.size());
    e_.out.resize(e_.task.out.size());
    std::vector<bool> bound(e_.in.size());
    for (const Launch& launch : plan.launches) {
      if (launch.threads.count() == 0) {
        e_.pipelines.push_back(nullptr);
        continue;
      }
      check(launch, plan);
      e_.pipelines.push_back(gpu_.pipelines().get(launch, plan));
      uint64_t most = e_.pipelines.back()->maxTotalThreadsPerThreadgroup();
      if (launch.group.count() > most) {
        throw BackendError(cat("[", e_.task.primitive.name, "] kernel ", launch.kernel, " runs with at most ", most,
                               " threads in a group on this GPU; it asks for ", launch.group.count(), "."));
      }
      for (const Binding& b : launch.bindings) {
        if (b.kind == Binding::input && !bound[b.which]) {
          bound[b.which] = true;
          input(b.which);
        } else if (b.kind == Binding::bytes && b.size > kMaxInlineBytes) {
          large_value(plan.data.data() + b.offset, b.size);
        }
      }
    }
    for (size_t k = 0; k < e_.out.size(); ++k) output(k);
    for (size_t n_bytes : plan.temporaries) e_.temporaries.push_back(temporary(n_bytes));
  }

 private:
  void check(const Launch& launch, const Plan& plan) {
    auto refuse = [&](const auto&... what) {
      throw BackendError(cat("[", e_.task.primitive.name, "] the plan for kernel ", launch.kernel, " is wrong: ", what..., "."));
    };
    if (launch.group.count() == 0 || launch.group.count() > kMaxThreads) refuse("groups of ", launch.group.count(), " threads; need 1 to ", kMaxThreads);
    for (const Binding& b : launch.bindings) {
      size_t n = b.kind == Binding::input ? e_.in.size() : b.kind == Binding::output ? e_.out.size() : b.kind == Binding::temporary ? plan.temporaries.size() : 1;
      if (b.which >= n) refuse("slot ", int(b.slot), " is bound to number ", b.which, " of ", n);
      if (b.slot >= kBufferSlots) refuse("slot ", int(b.slot), "; there are ", kBufferSlots);
      if (b.kind == Binding::status && !plan.index_error) refuse("it reports indices that nobody looks at");
    }
  }

  /// What must be done before `block` is used; and, unless an earlier owner left it, what its value depends on.
  void after(Buffer& block) {
    auto* q = static_cast<Queue*>(block.queue);
    if (!q) return;
    Ledger& ledger = Ledger::instance();
    bool done = q->done(block.serial);
    if (!done && q != &queue_) e_.waits.emplace_back(q, block.serial);
    if (block.recycled) return;
    if (!ledger.clean()) ledger.raise(q, block.serial);
    if (!done || ledger.unsettled(q, block.serial)) e_.dependencies.push_back({0, q, block.serial});
  }

  Operand temporary(size_t n_bytes) {
    BufferRef block = gpu_backend_allocate(n_bytes);
    Operand o = device_operand(block->data, {number(block->data), number(block->data) + n_bytes});
    after(*block);
    e_.written.push_back(block.get());
    e_.blocks.push_back(std::move(block));
    return o;
  }

  static BufferRef gpu_backend_allocate(size_t n_bytes) {
    return backend(Device::gpu).allocator().allocate(std::max<size_t>(n_bytes, 16));
  }

  Operand device_operand(const void* at, Range range) {
    Place p = gpu_.memory().find(at);
    if (!p.buffer) throw BackendError(cat("[", e_.task.primitive.name, "] memory of a result is not the GPU's."));
    return {p.buffer, p.offset, range};
  }

  /// A copy in the GPU's memory of bytes that may be read at once.
  Operand copied(const void* from, size_t n_bytes) {
    BufferRef block = gpu_backend_allocate(n_bytes);
    block->settle();
    std::memcpy(block->data, from, n_bytes);
    Operand o = device_operand(block->data, {number(block->data), number(block->data) + n_bytes});
    e_.written.push_back(block.get());
    e_.blocks.push_back(std::move(block));
    return o;
  }

  void large_value(const void* from, size_t n_bytes) { e_.large_values.push_back(copied(from, n_bytes)); }

  void input(size_t i) {
    const array& a = e_.task.in[i];
    Operand& o = e_.in[i];
    Range r = range_of(a);
    if (r.n_bytes() == 0) {
      o = {nullptr, 0, r, kNothing, sizeof kNothing};
      return;
    }
    const BufferRef& buffer = a.storage().buffer;
    Buffer& block = buffer->block();
    uintptr_t at = number(a.address());
    if (Place p = gpu_.memory().find(a.address()); p.buffer) {
      after(block);
      o = {p.buffer, p.offset, r};
      e_.read.push_back(&block);
      // Whose memory it really is does not learn that the GPU uses it.
      if (!block.owned) e_.kept.push_back({buffer, nullptr});
      return;
    }
    if (r.begin == at && r.n_bytes() <= kMaxInlineBytes) {
      o = {nullptr, 0, r, a.address(), r.n_bytes()};
      return;
    }
    if (r.n_bytes() >= kSmallestWrap) {
      if (std::shared_ptr<MTL::Buffer> wrapped = gpu_.memory().wrap(buffer, r)) {
        o = {wrapped.get(), at - number(wrapped->contents()), r};
        after(block);
        e_.read.push_back(&block);
        e_.kept.push_back({buffer, std::move(wrapped)});
        return;
      }
    }
    o = copied(reinterpret_cast<const void*>(r.begin), r.n_bytes());
    o.offset += at - r.begin;
  }

  void output(size_t k) {
    const array& a = e_.task.out[k];
    Buffer& block = a.storage().buffer->block();
    after(block);
    uintptr_t at = number(a.address());
    e_.out[k] = device_operand(a.address(), {at, at + a.n_bytes()});
    e_.written.push_back(&block);
  }

  Gpu& gpu_;
  Queue& queue_;
  Encoding& e_;
};

}  // namespace

void Queue::run(const Task& task, Plan& plan) {
  if (forked()) refuse_forked(task.primitive.name.data());
  Ledger::instance().settle();
  AutoreleaseScope scope;
  Encoding e(task);
  Preparation(gpu_, *this, e).run(plan);
  for (auto& [queue, serial] : e.waits) queue->publish(serial);
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] { return in_flight_.size() < kMostInFlight; });
  encode(e, plan);
  Submission& s = *open_;
  bool idle = in_flight_.empty() && s.n_launches >= kFirstLaunches;
  if (idle || s.n_launches >= kMostLaunches || s.n_bytes >= kMostBytes || s.estimate * slowness_ >= kMostSeconds) commit();
}

// A new serial for launches of `plan` in the open command buffer.
uint64_t Queue::begin(const Task& task, const Plan& plan) {
  open_encoder();
  Finished& record = *open_->record;
  uint64_t serial = Ledger::instance().next_serial();
  if (record.last == 0) record.first = serial;
  record.last = serial;
  record.made.push_back(serial);
  if (const CallRecord* call = task.out[0].call(); call && call->origin) record.origins.emplace(serial, call->origin);
  if (in_flight_.empty() && record.first == serial) unfinished_.store(serial, std::memory_order_release);
  if (plan.index_error) record.reporters.push_back(plan.index_error);
  return serial;
}

void Queue::encode_launch(const Encoding& e, const Plan& plan, size_t l, uint64_t serial, size_t& large) {
  Submission& s = *open_;
  MTL::ComputeCommandEncoder& encoder = *s.encoder.get();
  const Launch& launch = plan.launches[l];
  if (launch.threads.count() == 0) return;
  encoder.setComputePipelineState(e.pipelines[l]);
  std::vector<std::pair<Range, bool>> used;
  bool barrier = false;
  for (const Binding& b : launch.bindings) {
    if (b.kind == Binding::bytes && b.size <= kMaxInlineBytes) {
      encoder.setBytes(plan.data.data() + b.offset, b.size, b.slot);
      continue;
    }
    if (b.kind == Binding::status) {
      auto [buffer, offset] = new_status(s.record->reporters.size() - 1, serial);
      encoder.setBuffer(buffer, offset, b.slot);
      continue;
    }
    const Operand& o = b.kind == Binding::input    ? e.in[b.which]
                       : b.kind == Binding::output ? e.out[b.which]
                       : b.kind == Binding::bytes  ? e.large_values[large++]
                                                   : e.temporaries[b.which];
    int64_t shift = b.kind == Binding::bytes ? 0 : b.offset;
    if (!o.buffer) {
      auto skipped = std::min(o.inlined_bytes, static_cast<size_t>(shift));
      // Never nothing: an offset at the end is for elements that are not read.
      if (skipped == o.inlined_bytes) encoder.setBytes(kNothing, sizeof kNothing, b.slot);
      else encoder.setBytes(static_cast<const std::byte*>(o.inlined) + skipped, o.inlined_bytes - skipped, b.slot);
      continue;
    }
    encoder.setBuffer(o.buffer, static_cast<size_t>(static_cast<int64_t>(o.offset) + shift), b.slot);
    bool written = b.written && b.kind != Binding::input;
    barrier |= written ? s.hazards.writes(o.range) : s.hazards.reads(o.range);
    used.emplace_back(o.range, written);
    s.n_bytes += o.range.n_bytes();
    s.estimate += static_cast<double>(o.range.n_bytes()) / 50e9;
  }
  for (const ThreadgroupMemory& t : launch.threadgroup_memory) encoder.setThreadgroupMemoryLength(t.n_bytes, t.slot);
  if (barrier) {
    encoder.memoryBarrier(MTL::BarrierScopeBuffers);
    s.hazards.clear();
  }
  for (auto& [range, written] : used) s.hazards.add(range, written);
  encoder.dispatchThreads(size_of(launch.threads), size_of(launch.group));
  ++s.n_launches;
  s.estimate += 2e-6 + static_cast<double>(launch.threads.count()) * 2e-11;
}

void Queue::encode(Encoding& e, Plan& plan) {
  Ledger& ledger = Ledger::instance();
  if (!e.waits.empty() && open_) commit();  // what is before the wait need not wait
  open();
  for (auto& [queue, serial] : e.waits) open_->commands->encodeWait(queue->event(), serial);
  uint64_t serial = begin(e.task, plan);
  size_t large = 0;
  for (size_t l = 0; l < plan.launches.size(); ++l) {
    if (open_->n_launches >= kMostTogether) {
      // What goes wrong in one part spoils the next.
      uint64_t before = serial;
      commit();
      open();
      serial = begin(e.task, plan);
      open_->record->dependencies.push_back({serial, this, before});
    }
    encode_launch(e, plan, l, serial, large);
  }

  Finished& record = *open_->record;
  for (const Dependency& d : e.dependencies) record.dependencies.push_back({serial, d.queue, d.source});
  for (Kept& k : e.kept) record.kept.push_back(std::move(k));
  // Who reads these later waits for this launch, too, but meets only errors of what made them.
  for (Buffer* block : e.read) {
    if (std::find(e.written.begin(), e.written.end(), block) != e.written.end()) continue;
    uint64_t use = ledger.next_serial();
    if (block->queue && !block->recycled) record.dependencies.push_back({use, block->queue, block->serial});
    tag(*block, this, use, block->recycled || !block->queue);
    record.last = use;
  }
  for (Buffer* block : e.written) tag(*block, this, serial, false);
}

}  // namespace mx::metal
