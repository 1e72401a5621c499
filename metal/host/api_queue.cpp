// api_queue.cpp — queues and their threads, command buffers, events.
//
// A queue's thread takes its command buffers in the order in which they were enqueued. While one waits for an event, the queue
// waits. What was encoded is in CommandBufferObject::steps. Start at QueueState::work().

#include "api_queue.h"

#include <algorithm>
#include <deque>
#include <random>
#include <thread>

#include "api_order.h"
#include "api_run.h"

namespace mx::metal::host {

struct QueueState {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<CommandBufferObject*> line;  ///< Enqueued; each with a reference.
  bool stop = false;
  size_t n_unfinished = 0, most = 64;
  uint64_t n_buffers = 0;
  std::atomic<std::thread::id> thread;
  NodeSet waited;                         ///< What events have told: all that follows comes after it.
  uint64_t epoch = 0;                     ///< What the CPU knew when it signalled them.
  std::vector<Ref<ResidencySetObject>> residency;

  void work();
  void execute(CommandBufferObject& c);
  void run_steps(CommandBufferObject& c);
  void finish(CommandBufferObject& c);
};

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void sleep_late() {
  uint64_t most = options().late_us;
  if (!most) return;
  static std::mutex mutex;
  static std::mt19937_64 random(options().order);
  std::unique_lock lock(mutex);
  uint64_t us = random() % (most + 1);
  lock.unlock();
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

}  // namespace

bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, const std::function<bool()>& ready, int times) {
  std::chrono::milliseconds most(options().event_timeout_ms * uint64_t(times));
  uint64_t before;
  do {
    before = progress();
    if (changed.wait_for(lock, most, ready)) return true;
  } while (progress() != before);
  return false;
}

// ---- the queue's thread

void QueueState::work() {
  for (;;) {
    CommandBufferObject* c = nullptr;
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stop || (!line.empty() && line.front()->status >= MTL::CommandBufferStatusCommitted); });
      if (line.empty() || line.front()->status < MTL::CommandBufferStatusCommitted) return;
      c = line.front();
      line.pop_front();
    }
    sleep_late();
    execute(*c);
  }
}

void QueueState::execute(CommandBufferObject& c) {
  auto pool = NS::AutoreleasePool::alloc()->init();
  {
    std::lock_guard lock(c.mutex);
    c.status = MTL::CommandBufferStatusScheduled;
  }
  c.changed.notify_all();
  auto* handle_ = handle<MTL::CommandBuffer>(&c);
  for (auto& f : std::exchange(c.scheduled, {})) f(handle_);
  c.start = now();
  run_steps(c);
  c.end = now();
  finish(c);
  // The CPU learns from the handlers that it is done; without any, only who asks learns it.
  if (!c.completed.empty()) Order::instance().known(this, c.number);
  for (auto& f : std::exchange(c.completed, {})) {
    try {
      f(handle_);
    } catch (...) {
      fault("handler", "a completion handler threw an exception");
    }
  }
  {
    std::lock_guard lock(c.mutex);
    c.handled = true;
  }
  c.changed.notify_all();
  Order::instance().over(c.epoch);
  {
    std::lock_guard lock(mutex);
    --n_unfinished;
  }
  changed.notify_all();
  pool->release();
  release(&c);
}

void QueueState::run_steps(CommandBufferObject& c) {
  for (Step& step : c.steps) {
    if (c.failed()) return;
    if (auto* pass = std::get_if<Pass>(&step)) {
      NodeSet after = waited;
      for (FenceObject* f : pass->waits) {
        std::lock_guard lock(f->mutex);
        after.insert(f->done.begin(), f->done.end());
      }
      std::string wrong = Order::instance().begin(this, c.number, std::max(c.epoch, epoch), *pass, after);
      if (!wrong.empty()) return c.fail("missing-sync", wrong);
      run_pass(c, *pass);
      for (FenceObject* f : pass->updates) {
        std::lock_guard lock(f->mutex);
        f->done = after;
      }
      continue;
    }
    auto& [wait, event, value] = std::get<EventStep>(step);
    if (event->dead) return c.fail("use-after-release", "the " + event->name() + " was released before the work was done");
    if (!wait) {
      NodeSet done = Order::instance().all_of(this);
      done.insert(waited.begin(), waited.end());
      event->signal(value, std::move(done), epoch);
      continue;
    }
    std::unique_lock lock(event->mutex);
    if (!wait_for(lock, event->changed, [&, v = value, e = event] { return e->value >= v; })) {
      return c.fail("event-timeout", "waited for " + event->name() + " to become " + std::to_string(value) + "; it stays at " +
                                         std::to_string(event->value), MTL::CommandBufferErrorTimeout);
    }
    for (auto& s : event->signals) {
      waited.insert(s.done.begin(), s.done.end());
      epoch = std::max(epoch, s.epoch);
      if (s.value >= value) break;
    }
  }
}

void QueueState::finish(CommandBufferObject& c) {
  // The GPU is done with them before anybody hears of it.
  for (Object* o : std::exchange(c.pinned, {})) unpin(o);
  c.held.clear();
  {
    std::lock_guard lock(c.mutex);
    c.status = c.error.empty() ? MTL::CommandBufferStatusCompleted : MTL::CommandBufferStatusError;
  }
}

void QueueObject::die() {
  if (!state) return;
  {
    std::lock_guard lock(state->mutex);
    state->stop = true;
  }
  state->changed.notify_all();
  state->residency.clear();
}

// ---- command buffers

void CommandBufferObject::fail(const char* kind, const std::string& message, MTL::CommandBufferError code) {
  record(kind, message);
  std::lock_guard lock(mutex);
  if (!error.empty()) return;
  error = message;
  error_code = code;
}

bool CommandBufferObject::failed() const {
  std::lock_guard lock(mutex);
  return !error.empty();
}

void CommandBufferObject::use(Object* o) {
  if (!used.insert(o).second) return;
  if (retains) {
    held.emplace_back(o);
  } else {
    pin(o);
    pinned.push_back(o);
  }
}

void CommandBufferObject::die() {
  bool abandoned = status < MTL::CommandBufferStatusCommitted;
  for (Object* o : std::exchange(pinned, {})) unpin(o);
  held.clear();
  steps.clear();
  residency.clear();
  completed.clear();
  scheduled.clear();
  if (abandoned && queue && queue->state) {
    {
      std::lock_guard lock(queue->state->mutex);
      --queue->state->n_unfinished;
    }
    queue->state->changed.notify_all();
  }
  queue = {};
}

// ---- events

void EventObject::signal(uint64_t v, NodeSet done, uint64_t epoch) {
  std::unique_lock lock(mutex);
  if (v <= value) {
    uint64_t is = value;
    lock.unlock();
    fault("event-value", name() + " is signalled with " + std::to_string(v) + "; it is at " + std::to_string(is) + " already, and values must grow");
    return;
  }
  value = v;
  signals.push_back({v, std::move(done), epoch});
  // What came long ago is known by now.
  if (signals.size() > 256) signals.erase(signals.begin(), signals.begin() + 64);
  lock.unlock();
  changed.notify_all();
}

namespace {

// The CPU sees an event's value: what was done then is known to it.
void seen(EventObject& e, uint64_t value) {
  NodeSet done;
  {
    std::lock_guard lock(e.mutex);
    for (auto& s : e.signals) {
      if (s.value <= value) done.insert(s.done.begin(), s.done.end());
    }
  }
  if (!done.empty()) Order::instance().known(done);
}

void check_residency(CommandBufferObject& c) {
  std::vector<ResidencySetObject*> sets;
  for (auto& s : c.queue->state->residency) sets.push_back(s.get());
  for (auto& s : c.residency) sets.push_back(s.get());
  if (sets.empty()) return;
  for (Object* o : c.used) {
    auto* b = dynamic_cast<BufferObject*>(o);
    if (!b || b->dead) continue;
    AllocationObject* a = b->heap ? static_cast<AllocationObject*>(b->heap.get()) : b;
    bool in = false, pending = false;
    for (auto* s : sets) {
      std::lock_guard lock(s->mutex);
      in |= s->committed.count(a) != 0;
      pending |= s->pending.count(a) != 0;
    }
    if (pending && !in) c.fail("residency", "the " + b->name() + " is in a residency set whose change was not committed");
    else if (!in && options().require_residency) c.fail("residency", "the " + b->name() + " is in no residency set of its queue");
  }
}

void enqueue_locked(QueueState& q, CommandBufferObject& c) {
  if (c.status != MTL::CommandBufferStatusNotEnqueued) return;
  c.status = MTL::CommandBufferStatusEnqueued;
  retain(&c);
  q.line.push_back(&c);
}

void commit(CommandBufferObject& c) {
  QueueState& q = *c.queue->state;
  if (c.status >= MTL::CommandBufferStatusCommitted) return fault("commit-twice", "commit of a command buffer that was committed before");
  if (c.open) c.fail("not-ended", "commit while an encoder is open: endEncoding is missing");
  for (Object* o : c.used) {
    if (o->dead) c.fail("use-after-release", "commit: the " + o->name() + " that the work uses was released");
  }
  check_residency(c);
  std::string loose = take_loose_fault();
  if (!loose.empty() && !c.failed()) {
    std::lock_guard lock(c.mutex);
    c.error = loose;
    c.error_code = MTL::CommandBufferErrorInternal;
  }
  c.epoch = Order::instance().epoch();
  Order::instance().committed(c.epoch);
  if (capturing()) {
    for (const Step& s : c.steps) {
      if (auto* pass = std::get_if<Pass>(&s)) {
        for (const Command& command : pass->commands) {
          auto* d = std::get_if<DispatchCommand>(&command);
          capture(d ? d->pipeline->kernel->name + std::string(" ") + std::to_string(d->threads.count()) : "barrier");
        }
      }
    }
  }
  {
    std::lock_guard lock(q.mutex);
    enqueue_locked(q, c);
    std::lock_guard inner(c.mutex);
    c.status = MTL::CommandBufferStatusCommitted;
  }
  q.changed.notify_all();
}

CommandBufferObject* new_command_buffer(QueueObject& queue, bool retains) {
  QueueState& q = *queue.state;
  auto* c = new CommandBufferObject;
  c->queue = Ref<QueueObject>(&queue);
  c->retains = retains;
  std::unique_lock lock(q.mutex);
  c->number = ++q.n_buffers;
  if (q.n_unfinished >= q.most && !wait_for(lock, q.changed, [&] { return q.n_unfinished < q.most; })) {
    lock.unlock();
    fault("queue-full", "commandBuffer: " + std::to_string(q.most) + " command buffers are not completed; Metal would wait for ever");
    lock.lock();
  }
  ++q.n_unfinished;
  return c;
}

MTL::ComputeCommandEncoder* new_encoder(CommandBufferObject& c, bool concurrent) {
  if (c.status >= MTL::CommandBufferStatusCommitted) {
    fault("after-commit", "computeCommandEncoder of a command buffer that was committed");
    return nullptr;
  }
  if (c.open) c.fail("two-encoders", "computeCommandEncoder while another one is open: endEncoding is missing");
  auto* e = new EncoderObject;
  e->commands = Ref<CommandBufferObject>(&c);
  e->pass.concurrent = concurrent;
  c.open = e;
  return autoreleased<MTL::ComputeCommandEncoder>(e);
}

void encode_event(CommandBufferObject& c, bool wait, const MTL::Event* event, uint64_t value) {
  const char* method = wait ? "encodeWait" : "encodeSignalEvent";
  if (c.status >= MTL::CommandBufferStatusCommitted) return fault("after-commit", std::string(method) + " to a command buffer that was committed");
  if (c.open) return c.fail("event-in-encoder", std::string(method) + " while an encoder is open: endEncoding is missing");
  auto* e = argument<EventObject>(event, method);
  if (!e) return;
  c.use(e);
  c.steps.emplace_back(EventStep{wait, e, value});
}

}  // namespace

MTL::CommandQueue* new_queue(size_t most) {
  auto* q = new QueueObject;
  q->state = std::make_shared<QueueState>();
  q->state->most = most;
  // The thread keeps its state, and outlives the queue until its work is done.
  std::thread([state = q->state] {
    state->thread = std::this_thread::get_id();
    state->work();
  }).detach();
  return handle<MTL::CommandQueue>(q);
}
MTL::Event* new_event() { return handle<MTL::Event>(new EventObject); }
MTL::SharedEvent* new_shared_event() { return handle<MTL::SharedEvent>(new SharedEventObject); }
MTL::Fence* new_fence() { return handle<MTL::Fence>(new FenceObject); }

}  // namespace mx::metal::host

namespace MTL {
using namespace mx::metal::host;
namespace {
auto& of(const CommandQueue* q) { return self<QueueObject>(q, "CommandQueue"); }
auto& of(const CommandBuffer* c) { return self<CommandBufferObject>(c, "CommandBuffer"); }
auto& of(const Event* e) { return self<EventObject>(e, "Event"); }
auto& of(const SharedEvent* e) { return self<SharedEventObject>(e, "SharedEvent"); }
auto& of(const Fence* f) { return self<FenceObject>(f, "Fence"); }
NS::String* label_of(const mx::metal::host::Object& o) { return mx::metal::host::string(o.label); }

struct PassDescriptorObject : mx::metal::host::Object {
  static constexpr const char* kType = "MTL::ComputePassDescriptor";
  PassDescriptorObject() : Object(kType) {}
  DispatchType dispatch = DispatchTypeSerial;
};
struct BufferDescriptorObject : mx::metal::host::Object {
  static constexpr const char* kType = "MTL::CommandBufferDescriptor";
  BufferDescriptorObject() : Object(kType) {}
  bool retained = true;
  CommandBufferErrorOption error_options = CommandBufferErrorOptionNone;
};
auto& of(const ComputePassDescriptor* d) { return self<PassDescriptorObject>(d, "ComputePassDescriptor"); }
auto& of(const CommandBufferDescriptor* d) { return self<BufferDescriptorObject>(d, "CommandBufferDescriptor"); }
}  // namespace

// ---- queues

void CommandQueue::addResidencySet(const MTL::ResidencySet* set) { addResidencySets(&set, 1); }
void CommandQueue::addResidencySets(const MTL::ResidencySet* const sets[], NS::UInteger count) {
  for (NS::UInteger i = 0; i < count; ++i) {
    if (auto* s = argument<ResidencySetObject>(sets[i], "addResidencySet")) of(this).state->residency.emplace_back(s);
  }
}
void CommandQueue::removeResidencySet(const MTL::ResidencySet* set) { removeResidencySets(&set, 1); }
void CommandQueue::removeResidencySets(const MTL::ResidencySet* const sets[], NS::UInteger count) {
  for (NS::UInteger i = 0; i < count; ++i) {
    std::erase_if(of(this).state->residency, [&](auto& r) { return r.get() == cast<ResidencySetObject>(sets[i]); });
  }
}
CommandBuffer* CommandQueue::commandBuffer() { return autoreleased<CommandBuffer>(new_command_buffer(of(this), true)); }
CommandBuffer* CommandQueue::commandBuffer(const MTL::CommandBufferDescriptor* d) {
  return autoreleased<CommandBuffer>(new_command_buffer(of(this), of(d).retained));
}
CommandBuffer* CommandQueue::commandBufferWithUnretainedReferences() { return autoreleased<CommandBuffer>(new_command_buffer(of(this), false)); }
Device* CommandQueue::device() const { return the_device(); }
NS::String* CommandQueue::label() const { return label_of(of(this)); }
void CommandQueue::setLabel(const NS::String* s) { of(this).label = text(s); }

// ---- command buffers

CommandBufferDescriptor* CommandBufferDescriptor::alloc() { return handle<CommandBufferDescriptor>(new BufferDescriptorObject); }
CommandBufferDescriptor* CommandBufferDescriptor::init() { return this; }
CommandBufferErrorOption CommandBufferDescriptor::errorOptions() const { return of(this).error_options; }
bool CommandBufferDescriptor::retainedReferences() const { return of(this).retained; }
void CommandBufferDescriptor::setErrorOptions(MTL::CommandBufferErrorOption o) { of(this).error_options = o; }
void CommandBufferDescriptor::setRetainedReferences(bool b) { of(this).retained = b; }

ComputePassDescriptor* ComputePassDescriptor::alloc() { return handle<ComputePassDescriptor>(new PassDescriptorObject); }
ComputePassDescriptor* ComputePassDescriptor::computePassDescriptor() { return alloc()->autorelease(); }
DispatchType ComputePassDescriptor::dispatchType() const { return of(this).dispatch; }
ComputePassDescriptor* ComputePassDescriptor::init() { return this; }
void ComputePassDescriptor::setDispatchType(MTL::DispatchType t) { of(this).dispatch = t; }

CFTimeInterval CommandBuffer::GPUStartTime() const { return of(this).start; }
CFTimeInterval CommandBuffer::GPUEndTime() const { return of(this).end; }
CFTimeInterval CommandBuffer::kernelStartTime() const { return of(this).start; }
CFTimeInterval CommandBuffer::kernelEndTime() const { return of(this).end; }

void CommandBuffer::addCompletedHandler(const MTL::HandlerFunction& f) {
  auto& c = of(this);
  if (c.status >= CommandBufferStatusCommitted) return fault("after-commit", "addCompletedHandler after commit");
  c.completed.push_back(f);
}
void CommandBuffer::addScheduledHandler(const MTL::HandlerFunction& f) {
  auto& c = of(this);
  if (c.status >= CommandBufferStatusCommitted) return fault("after-commit", "addScheduledHandler after commit");
  c.scheduled.push_back(f);
}
CommandQueue* CommandBuffer::commandQueue() const { return handle<CommandQueue>(of(this).queue.get()); }
void CommandBuffer::commit() { mx::metal::host::commit(of(this)); }
ComputeCommandEncoder* CommandBuffer::computeCommandEncoder(const MTL::ComputePassDescriptor* d) {
  return new_encoder(of(this), of(d).dispatch == DispatchTypeConcurrent);
}
ComputeCommandEncoder* CommandBuffer::computeCommandEncoder() { return new_encoder(of(this), false); }
ComputeCommandEncoder* CommandBuffer::computeCommandEncoder(MTL::DispatchType t) { return new_encoder(of(this), t == DispatchTypeConcurrent); }
Device* CommandBuffer::device() const { return the_device(); }
void CommandBuffer::encodeSignalEvent(const MTL::Event* event, uint64_t value) { encode_event(of(this), false, event, value); }
void CommandBuffer::encodeWait(const MTL::Event* event, uint64_t value) { encode_event(of(this), true, event, value); }
void CommandBuffer::enqueue() {
  auto& c = of(this);
  std::lock_guard lock(c.queue->state->mutex);
  enqueue_locked(*c.queue->state, c);
}
NS::Error* CommandBuffer::error() const {
  auto& c = of(this);
  if (status() != CommandBufferStatusError) return nullptr;
  NS::Error* e = nullptr;
  std::lock_guard lock(c.mutex);
  set_error(&e, "MTLCommandBufferErrorDomain", static_cast<NS::Integer>(c.error_code), c.error);
  return e;
}
CommandBufferErrorOption CommandBuffer::errorOptions() const { return CommandBufferErrorOptionNone; }
NS::String* CommandBuffer::label() const { return label_of(of(this)); }
void CommandBuffer::popDebugGroup() {}
void CommandBuffer::pushDebugGroup(const NS::String*) {}
bool CommandBuffer::retainedReferences() const { return of(this).retains; }
void CommandBuffer::setLabel(const NS::String* s) { of(this).label = text(s); }
CommandBufferStatus CommandBuffer::status() const {
  auto& c = of(this);
  std::unique_lock lock(c.mutex);
  CommandBufferStatus s = c.status;
  lock.unlock();
  if (s >= CommandBufferStatusCompleted && c.queue) Order::instance().known(c.queue->state.get(), c.number);
  return s;
}
void CommandBuffer::useResidencySet(const MTL::ResidencySet* set) { useResidencySets(&set, 1); }
void CommandBuffer::useResidencySets(const MTL::ResidencySet* const sets[], NS::UInteger count) {
  for (NS::UInteger i = 0; i < count; ++i) {
    if (auto* s = argument<ResidencySetObject>(sets[i], "useResidencySet")) of(this).residency.emplace_back(s);
  }
}

void CommandBuffer::waitUntilCompleted() {
  auto& c = of(this);
  if (!c.queue) return;
  std::unique_lock lock(c.mutex);
  if (c.status < CommandBufferStatusCommitted) {
    lock.unlock();
    return fault("wait-uncommitted", "waitUntilCompleted before commit: it would never end");
  }
  if (!c.handled && std::this_thread::get_id() == c.queue->state->thread.load()) {
    lock.unlock();
    return fault("wait-in-handler", "waitUntilCompleted in a completion handler of the same queue: it would never end");
  }
  // Longer than the GPU waits for an event: its error tells more.
  if (!wait_for(lock, c.changed, [&] { return c.handled; }, 4)) {
    lock.unlock();
    return fault("wait-timeout", "waitUntilCompleted: the command buffer does not get done");
  }
  lock.unlock();
  Order::instance().known(c.queue->state.get(), c.number);
}
void CommandBuffer::waitUntilScheduled() {
  auto& c = of(this);
  std::unique_lock lock(c.mutex);
  if (c.status < CommandBufferStatusCommitted) {
    lock.unlock();
    return fault("wait-uncommitted", "waitUntilScheduled before commit: it would never end");
  }
  wait_for(lock, c.changed, [&] { return c.status >= CommandBufferStatusScheduled; });
}

// ---- events and fences

Device* Event::device() const { return the_device(); }
NS::String* Event::label() const { return label_of(of(this)); }
void Event::setLabel(const NS::String* s) { of(this).label = text(s); }

void SharedEvent::setSignaledValue(uint64_t value) { of(this).signal(value, {}, Order::instance().epoch()); }
uint64_t SharedEvent::signaledValue() const {
  auto& e = of(this);
  uint64_t v;
  {
    std::lock_guard lock(e.mutex);
    v = e.value;
  }
  seen(e, v);
  return v;
}
bool SharedEvent::waitUntilSignaledValue(uint64_t value, uint64_t milliseconds) {
  auto& e = of(this);
  {
    std::unique_lock lock(e.mutex);
    auto most = std::chrono::milliseconds(std::min<uint64_t>(milliseconds, 1u << 30));
    if (!e.changed.wait_for(lock, most, [&] { return e.value >= value; })) return false;
  }
  seen(e, value);
  return true;
}

Device* Fence::device() const { return the_device(); }
NS::String* Fence::label() const { return label_of(of(this)); }
void Fence::setLabel(const NS::String* s) { of(this).label = text(s); }

}  // namespace MTL
