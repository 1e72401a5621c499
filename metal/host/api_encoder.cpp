// api_encoder.cpp — encoding of compute passes: what Metal's validation layer would say to each call, and the record of it.
//
// A call that is refused makes its command buffer fail (CommandBufferObject::fail) and has no other effect. Start at dispatch().

#include <algorithm>
#include <cstring>

#include "api_metal.h"

namespace mx::metal::host {
namespace {

constexpr size_t kMostBytes = 4096;  // by value

std::string number(uint64_t n) { return std::to_string(n); }
std::string shown(MTL::Size s) { return "(" + number(s.width) + ", " + number(s.height) + ", " + number(s.depth) + ")"; }

/// The encoder behind a call, or null after a fault: it must be open.
EncoderObject* open_encoder(const void* p, const char* method) {
  auto* e = argument<EncoderObject>(p, method);
  if (!e) return nullptr;
  if (!e->ended) return e;
  e->commands->fail("after-end", std::string(method) + " after endEncoding");
  return nullptr;
}

bool slot_exists(EncoderObject& e, const char* method, NS::UInteger index) {
  if (index < kSlots) return true;
  e.commands->fail("slot-range", std::string(method) + ": slot " + number(index) + "; there are 0 to " + number(kSlots - 1));
  return false;
}

std::string where(const Kernel& k, const Argument& a) {
  return std::string("kernel ") + k.name + ": " + (a.kind == Argument::buffer ? "buffer(" : "threadgroup(") + number(a.slot) + ") (" + a.name + ")";
}

// What a slot of an argument that a given constant takes away holds from before does not matter.
bool removed(const PipelineObject& p, const Argument& a) {
  if (!a.gate) return false;
  for (const ConstantValue& v : p.values) {
    if (v.index != ConstantValue::no_index ? v.index == a.gate->index : v.name == a.gate->name) return (v.bits & 0xff) == 0;
  }
  return false;
}

// An argument that a function constant takes away. Constants computed from others are known only when the kernel runs.
bool absent(const PipelineObject& p, const Argument& a) {
  if (!a.gate) return false;
  for (const ConstantValue& v : p.values) {
    if (v.index != ConstantValue::no_index ? v.index == a.gate->index : v.name == a.gate->name) return (v.bits & 0xff) == 0;
  }
  return true;
}

bool check_threads(EncoderObject& e, const char* method, MTL::Size grid, MTL::Size group) {
  const PipelineObject& p = *e.pipeline;
  std::string kernel = std::string(method) + " of " + p.kernel->name + ": ";
  auto fail = [&](const char* kind, const std::string& what) {
    e.commands->fail(kind, kernel + what);
    return false;
  };
  if (grid.width == 0 || grid.height == 0 || grid.depth == 0) return fail("empty-grid", "the grid is " + shown(grid));
  if (group.width == 0 || group.height == 0 || group.depth == 0) return fail("empty-group", "the threadgroup is " + shown(group));
  if (std::max({grid.width, grid.height, grid.depth}) > UINT32_MAX) return fail("grid-range", "the grid is " + shown(grid) + "; each side must fit 32 bits");
  if (std::max({group.width, group.height, group.depth}) > kThreads || group.width * group.height * group.depth > p.max_threads) {
    return fail("group-size", "a threadgroup of " + shown(group) + " threads; this pipeline allows " + number(p.max_threads));
  }
  if (p.whole_simdgroups && group.width * group.height * group.depth % kLanes) {
    return fail("group-width", "a threadgroup of " + shown(group) + " threads; the pipeline was promised multiples of " + number(kLanes));
  }
  return true;
}

bool check_buffer(EncoderObject& e, const Argument& a) {
  const Kernel& k = *e.pipeline->kernel;
  const EncoderObject::Slot& s = e.slots[a.slot];
  auto fail = [&](const char* kind, const std::string& what) {
    e.commands->fail(kind, where(k, a) + what);
    return false;
  };
  if (!s.buffer && !s.bytes) return fail("unset-buffer", " is not set");
  if (s.buffer && s.buffer->dead) return fail("use-after-release", ": the " + s.buffer->name() + " there was released");
  if (s.bytes && a.writable) return fail("written-bytes", " is written by the kernel; setBytes gives a copy that nobody reads");
  size_t size = s.bytes ? s.bytes->size() : s.buffer->length - s.offset;
  if (a.reference && size < a.size) return fail("buffer-size", " has " + number(size) + " bytes; its type has " + number(a.size));
  size_t alignment = a.constant_space ? std::max<size_t>(a.alignment, 4) : a.alignment;
  if (s.buffer && s.offset % alignment) return fail("alignment", " has offset " + number(s.offset) + "; need a multiple of " + number(alignment));
  return true;
}

bool check_threadgroup(EncoderObject& e, const Argument& a) {
  const Kernel& k = *e.pipeline->kernel;
  size_t n = e.threadgroup[a.slot];
  if (n == 0) {
    e.commands->fail("unset-threadgroup", where(k, a) + " has no length");
    return false;
  }
  if (a.reference && n < a.size) {
    e.commands->fail("threadgroup-size", where(k, a) + " has " + number(n) + " bytes; its type has " + number(a.size));
    return false;
  }
  return true;
}

void dispatch(EncoderObject& e, const char* method, MTL::Size grid, MTL::Size group) {
  CommandBufferObject& c = *e.commands.get();
  if (!e.pipeline) return c.fail("no-pipeline", std::string(method) + " without setComputePipelineState");
  if (e.pipeline->dead) return c.fail("use-after-release", std::string(method) + ": the " + e.pipeline->name() + " was released");
  if (!check_threads(e, method, grid, group)) return;
  const Kernel& k = *e.pipeline->kernel;
  DispatchCommand d;
  d.pipeline = e.pipeline;
  d.threads = {uint32_t(grid.width), uint32_t(grid.height), uint32_t(grid.depth)};
  d.group = {uint32_t(group.width), uint32_t(group.height), uint32_t(group.depth)};
  size_t n_threadgroup = 0;
  for (uint32_t i = 0; i < k.n_arguments; ++i) {
    const Argument& a = k.arguments[i];
    if (removed(*e.pipeline, a)) continue;
    if (absent(*e.pipeline, a)) {
      // Derived constants may still want it.
    } else if (a.kind == Argument::buffer ? !check_buffer(e, a) : !check_threadgroup(e, a)) {
      return;
    }
    if (a.kind == Argument::threadgroup) {
      if (e.threadgroup[a.slot]) d.threadgroup.emplace_back(a.slot, e.threadgroup[a.slot]);
      n_threadgroup += e.threadgroup[a.slot];
      continue;
    }
    const EncoderObject::Slot& s = e.slots[a.slot];
    if (!s.buffer && !s.bytes) continue;
    d.bound.push_back({a.slot, s.buffer, s.bytes, s.offset, a.writable, std::string_view(a.name) == "status"});
  }
  if (n_threadgroup > kThreadgroupMemory) {
    return c.fail("threadgroup-memory", std::string("kernel ") + k.name + ": " + number(n_threadgroup) + " bytes of threadgroup memory; there are " +
                                            number(kThreadgroupMemory));
  }
  if (++c.n_operations > options().max_operations) {
    return c.fail("too-many-operations", number(c.n_operations) + " dispatches in a command buffer; at most " + number(options().max_operations));
  }
  for (const Bound& b : d.bound) {
    if (b.buffer) c.use(b.buffer);
  }
  c.use(d.pipeline);
  e.pass.commands.emplace_back(std::move(d));
}

}  // namespace

const char* EncoderObject::reason_to_stay() {
  return ended ? nullptr : "without endEncoding";
}

void EncoderObject::die() {
  if (commands && commands->open == this) commands->open = nullptr;
  commands = {};
  pass = {};
}

}  // namespace mx::metal::host

namespace MTL {
using namespace mx::metal::host;
namespace {
auto& of(const CommandEncoder* e) { return self<EncoderObject>(e, "CommandEncoder"); }
}  // namespace

Device* CommandEncoder::device() const { return the_device(); }
NS::String* CommandEncoder::label() const { return mx::metal::host::string(of(this).label); }
void CommandEncoder::setLabel(const NS::String* s) { of(this).label = text(s); }
void CommandEncoder::insertDebugSignpost(const NS::String*) { open_encoder(this, "insertDebugSignpost"); }
void CommandEncoder::pushDebugGroup(const NS::String*) {
  if (auto* e = open_encoder(this, "pushDebugGroup")) ++e->groups;
}
void CommandEncoder::popDebugGroup() {
  auto* e = open_encoder(this, "popDebugGroup");
  if (e && --e->groups < 0) e->commands->fail("debug-group", "popDebugGroup without pushDebugGroup");
}

void CommandEncoder::endEncoding() {
  auto* e = open_encoder(this, "endEncoding");
  if (!e) return;
  CommandBufferObject& c = *e->commands.get();
  if (e->groups > 0) c.fail("debug-group", "endEncoding with " + std::to_string(e->groups) + " debug groups open");
  e->ended = true;
  e->pass.label = e->label;
  c.open = nullptr;
  c.steps.emplace_back(std::move(e->pass));
}

DispatchType ComputeCommandEncoder::dispatchType() const { return of(this).pass.concurrent ? DispatchTypeConcurrent : DispatchTypeSerial; }

void ComputeCommandEncoder::dispatchThreads(MTL::Size grid, MTL::Size group) {
  if (auto* e = open_encoder(this, "dispatchThreads")) dispatch(*e, "dispatchThreads", grid, group);
}
void ComputeCommandEncoder::dispatchThreadgroups(MTL::Size groups, MTL::Size group) {
  MTL::Size grid(groups.width * group.width, groups.height * group.height, groups.depth * group.depth);
  if (auto* e = open_encoder(this, "dispatchThreadgroups")) dispatch(*e, "dispatchThreadgroups", grid, group);
}

void ComputeCommandEncoder::memoryBarrier(MTL::BarrierScope scope) {
  auto* e = open_encoder(this, "memoryBarrier");
  if (!e) return;
  if (scope == 0) return e->commands->fail("empty-barrier", "memoryBarrier: the scope is empty");
  if (scope & BarrierScopeRenderTargets) return e->commands->fail("barrier-scope", "memoryBarrier: a compute pass has no render targets");
  // One for textures alone orders no buffers.
  if (scope & BarrierScopeBuffers) e->pass.commands.emplace_back(BarrierCommand{});
}
void ComputeCommandEncoder::memoryBarrier(const MTL::Resource* const resources[], NS::UInteger count) {
  auto* e = open_encoder(this, "memoryBarrier");
  if (!e) return;
  if (count == 0) return e->commands->fail("empty-barrier", "memoryBarrier: no resources");
  BarrierCommand b;
  for (NS::UInteger i = 0; i < count; ++i) {
    if (auto* r = argument<BufferObject>(resources[i], "memoryBarrier")) b.buffers.push_back(r);
  }
  for (auto* r : b.buffers) e->commands->use(r);
  if (!b.buffers.empty()) e->pass.commands.emplace_back(std::move(b));
}

void ComputeCommandEncoder::setBuffer(const MTL::Buffer* buffer, NS::UInteger offset, NS::UInteger index) {
  auto* e = open_encoder(this, "setBuffer");
  if (!e || !slot_exists(*e, "setBuffer", index)) return;
  e->slots[index] = {};
  if (!buffer) return;
  auto* b = cast<BufferObject>(buffer);
  if (!b) {
    return e->commands->fail("use-after-release", "setBuffer: slot " + std::to_string(index) + " is given a buffer that was released");
  }
  if (offset >= b->length) {
    return e->commands->fail("offset-range", "setBuffer: slot " + std::to_string(index) + " is given offset " + std::to_string(offset) + " of a " +
                                                 b->name() + " of " + std::to_string(b->length) + " bytes");
  }
  e->slots[index].buffer = b;
  e->slots[index].offset = offset;
}
void ComputeCommandEncoder::setBufferOffset(NS::UInteger offset, NS::UInteger index) {
  auto* e = open_encoder(this, "setBufferOffset");
  if (!e || !slot_exists(*e, "setBufferOffset", index)) return;
  if (!e->slots[index].buffer) return e->commands->fail("unset-buffer", "setBufferOffset: slot " + std::to_string(index) + " has no buffer");
  setBuffer(handle<Buffer>(e->slots[index].buffer), offset, index);
}
void ComputeCommandEncoder::setBuffers(const MTL::Buffer* const buffers[], const NS::UInteger offsets[], NS::Range range) {
  for (NS::UInteger i = 0; i < range.length; ++i) setBuffer(buffers[i], offsets[i], range.location + i);
}

void ComputeCommandEncoder::setBytes(const void* bytes, NS::UInteger length, NS::UInteger index) {
  auto* e = open_encoder(this, "setBytes");
  if (!e || !slot_exists(*e, "setBytes", index)) return;
  std::string slot = "setBytes: slot " + std::to_string(index);
  if (!bytes) return e->commands->fail("null", slot + ": the bytes are null");
  if (length == 0 || length > kMostBytes) {
    return e->commands->fail("bytes-length", slot + " is given " + std::to_string(length) + " bytes; there may be 1 to " + std::to_string(kMostBytes));
  }
  auto copy = std::make_shared<std::vector<std::byte>>(length);
  std::memcpy(copy->data(), bytes, length);
  e->slots[index] = {nullptr, std::move(copy), 0};
}

void ComputeCommandEncoder::setComputePipelineState(const MTL::ComputePipelineState* state) {
  auto* e = open_encoder(this, "setComputePipelineState");
  if (!e) return;
  e->pipeline = cast<PipelineObject>(state);
  if (!e->pipeline) {
    e->commands->fail(state ? "use-after-release" : "null", std::string("setComputePipelineState: the pipeline is ") + (state ? "released or none" : "null"));
  }
}

void ComputeCommandEncoder::setThreadgroupMemoryLength(NS::UInteger length, NS::UInteger index) {
  auto* e = open_encoder(this, "setThreadgroupMemoryLength");
  if (!e || !slot_exists(*e, "setThreadgroupMemoryLength", index)) return;
  std::string slot = "setThreadgroupMemoryLength: slot " + std::to_string(index) + " is given " + std::to_string(length) + " bytes";
  if (length % 16) return e->commands->fail("threadgroup-multiple", slot + "; need a multiple of 16");
  if (length > kThreadgroupMemory) return e->commands->fail("threadgroup-memory", slot + "; there are " + std::to_string(kThreadgroupMemory));
  e->threadgroup[index] = length;
}

void ComputeCommandEncoder::waitForFence(const MTL::Fence* fence) {
  auto* e = open_encoder(this, "waitForFence");
  auto* f = e ? argument<FenceObject>(fence, "waitForFence") : nullptr;
  if (!f) return;
  if (std::find(e->pass.updates.begin(), e->pass.updates.end(), f) != e->pass.updates.end()) {
    return e->commands->fail("fence-order", "waitForFence after updateFence of the same fence in one encoder: it never ends");
  }
  e->commands->use(f);
  e->pass.waits.push_back(f);
}
void ComputeCommandEncoder::updateFence(const MTL::Fence* fence) {
  auto* e = open_encoder(this, "updateFence");
  auto* f = e ? argument<FenceObject>(fence, "updateFence") : nullptr;
  if (!f) return;
  e->commands->use(f);
  e->pass.updates.push_back(f);
}

void ComputeCommandEncoder::useHeap(const MTL::Heap* heap) { useHeaps(&heap, 1); }
void ComputeCommandEncoder::useHeaps(const MTL::Heap* const heaps[], NS::UInteger count) {
  auto* e = open_encoder(this, "useHeap");
  for (NS::UInteger i = 0; e && i < count; ++i) {
    if (auto* h = argument<HeapObject>(heaps[i], "useHeap")) e->commands->use(h);
  }
}
void ComputeCommandEncoder::useResource(const MTL::Resource* resource, MTL::ResourceUsage usage) { useResources(&resource, 1, usage); }
void ComputeCommandEncoder::useResources(const MTL::Resource* const resources[], NS::UInteger count, MTL::ResourceUsage) {
  auto* e = open_encoder(this, "useResource");
  for (NS::UInteger i = 0; e && i < count; ++i) {
    if (auto* r = argument<ResourceObject>(resources[i], "useResource")) e->commands->use(r);
  }
}

}  // namespace MTL
