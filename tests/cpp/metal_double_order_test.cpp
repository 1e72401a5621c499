// metal_double_order_test.cpp — the host double of <Metal/Metal.hpp>: work without the order that it needs, events, lifetimes and
// pipelines with one fault each are found, by kind.
#include <thread>

#include "metal_double_helpers.h"

using namespace double_test;

// ---- hazards

TEST_CASE("metal_double finds: read after write without barrier") {
  Bench t;
  t.fill(t.a, 1);
  t.add_one(t.a, t.b);
  CHECK(has(t.done(), "read after write: fill, buffer(0), then add_one, buffer(0)"));
  found("hazard");
}
TEST_CASE("metal_double finds: write after read without barrier") {
  Bench t;
  t.add_one(t.a, t.b);
  t.fill(t.a, 1);
  t.done();
  found("hazard", "write after read: add_one, buffer(0), then fill, buffer(0)");
}
TEST_CASE("metal_double finds: write after write without barrier") {
  Bench t;
  t.fill(t.a, 1);
  t.fill(t.a, 2);
  t.done();
  found("hazard", "write after write");
}
TEST_CASE("metal_double finds: a barrier for other resources") {
  Bench t;
  t.fill(t.a, 1);
  const MTL::Resource* one[] = {t.c};
  t.encoder->memoryBarrier(one, 1);
  t.add_one(t.a, t.b);
  t.done();
  found("hazard", "read after write");
}
TEST_CASE("metal_double finds: parts of a buffer that overlap") {
  Bench t;
  t.fill(t.a, 1, 0);
  t.fill(t.a, 2, 512);  // floats 128 to 384
  t.done();
  found("hazard", "makes a difference at byte 51");  // where the first float differs
}
TEST_CASE("metal_double finds: passes without fence, in one command buffer and in two") {
  Bench t;
  t.fill(t.a, 1);
  t.end();
  t.open();
  t.add_one(t.a, t.b);
  CHECK(has(t.done(), "no fence or event between passes: read after write: fill"));
  found("missing-sync");
  t.begin();
  t.fill(t.c, 1);
  t.commit();
  t.begin();
  t.fill(t.c, 2);
  t.done();
  found("missing-sync", "write after write");
}
TEST_CASE("metal_double finds: queues without event") {
  Bench t, u;
  t.fill(t.a, 1);
  t.commit();
  u.add_one(t.a, u.b);
  u.commit();
  t.commands->waitUntilCompleted();
  u.commands->waitUntilCompleted();
  found("missing-sync", "no event between queues");
}
TEST_CASE("metal_double finds: waiting for a fence that the pass updated itself") {
  Bench t;
  auto* fence = device()->newFence();
  t.encoder->updateFence(fence);
  t.encoder->waitForFence(fence);
  found("fence-order");
  t.done();
  fence->release();
}

// ---- events

TEST_CASE("metal_double finds: an event that nobody signals") {
  Bench t;
  auto* event = device()->newSharedEvent();
  event->setLabel(ns("never"));
  t.end();
  t.commands->encodeWait(event, 3);
  CHECK(has(t.done(), "waited for MTL::SharedEvent \"never\" to become 3; it stays at 0"));
  CHECK(t.commands->error()->code() == MTL::CommandBufferErrorTimeout);
  found("event-timeout");
  event->release();
}
TEST_CASE("metal_double finds: two queues that wait for each other") {
  Bench t, u;
  auto* event = device()->newSharedEvent();
  auto* back = device()->newSharedEvent();
  t.end();
  u.end();
  t.commands->encodeWait(event, 1);
  t.commands->encodeSignalEvent(back, 1);
  u.commands->encodeWait(back, 1);
  u.commands->encodeSignalEvent(event, 1);
  t.commit();
  u.commit();
  t.commands->waitUntilCompleted();
  u.commands->waitUntilCompleted();
  found("event-timeout");
  event->release();
  back->release();
}
TEST_CASE("metal_double finds: an event that goes back, and one inside a pass") {
  Bench t;
  auto* event = device()->newSharedEvent();
  event->setSignaledValue(5);
  t.commands->encodeSignalEvent(event, 7);
  found("event-in-encoder");
  event->setSignaledValue(4);
  found("event-value", "values must grow");
  event->release();
}

// ---- memory and references

TEST_CASE("metal_double finds: a buffer released while the GPU uses it") {
  Bench t;
  auto* event = device()->newSharedEvent();
  auto* x = device()->newBuffer(4096, kUntracked);
  t.end();
  t.commands->encodeWait(event, 1);
  t.open();
  t.fill(x, 1);
  t.commit();
  x->release();
  found("use-after-release", "released while a command buffer that uses it");
  event->setSignaledValue(1);
  t.commands->waitUntilCompleted();
  CHECK(has(text_of(t.commands->error()), "fill: buffer(0)"));
  event->release();
}
TEST_CASE("metal_double: a command buffer with references keeps what it uses") {
  Bench t;
  auto* x = device()->newBuffer(4096, kUntracked);
  auto* c = t.queue->commandBuffer();
  auto* e = c->computeCommandEncoder();
  e->setComputePipelineState(kept("increment"));
  e->setBuffer(x, 0, 0);
  e->dispatchThreads(MTL::Size(16, 1, 1), MTL::Size(16, 1, 1));
  e->endEncoding();
  x->release();
  c->commit();
  c->waitUntilCompleted();
  CHECK(c->status() == MTL::CommandBufferStatusCompleted);
  nothing_found();
}
TEST_CASE("metal_double finds: use after release, one release too many, null") {
  Bench t;
  auto* x = device()->newBuffer(64, 0);
  x->release();
  x->contents();
  found("use-after-release", "Buffer::contents");
  x->release();
  found("over-release");
  t.encoder->setBuffer(x, 0, 0);
  found("use-after-release", "slot 0");
  t.encoder->setComputePipelineState(nullptr);
  found("null");
}
TEST_CASE("metal_double finds: an encoder that is let go without endEncoding") {
  Bench t;
  t.end();
  auto* c = t.queue->commandBuffer();
  {
    Pool pool;
    c->computeCommandEncoder();
  }
  found("released-early", "without endEncoding");
}
TEST_CASE("metal_double finds: autoreleased objects on a thread without pool") {
  Bench t;
  std::thread([] { ns("lost"); }).join();
  found("no-pool", "NS::String");
}
TEST_CASE("metal_double finds: buffers of no length, and memory without copy that is no page") {
  Bench t;
  CHECK(!device()->newBuffer(0, 0));
  found("zero-length");
  alignas(64) static char memory[256];
  CHECK(!device()->newBuffer(memory + 1, 100, 0, nullptr));
  found("no-copy-alignment");
  CHECK(!device()->newBuffer(device()->maxBufferLength() + 1, 0));
  nothing_found();
}
TEST_CASE("metal_double finds: a residency set that was not committed, and what is in none") {
  Bench t;
  auto* d = MTL::ResidencySetDescriptor::alloc()->init();
  auto* set = device()->newResidencySet(d, nullptr);
  t.queue->addResidencySet(set);
  set->addAllocation(t.a);
  t.fill(t.a, 1);
  t.done();
  found("residency", "not committed");
  set->commit();
  host::options().require_residency = true;
  t.begin();
  t.fill(t.b, 1);
  t.done();
  found("residency", "in no residency set");
  set->removeAllocation(t.c);
  found("residency-remove");
  t.queue->removeResidencySet(set);
  d->release();
  set->release();
}

// ---- code

TEST_CASE("metal_double finds: function constants that are missing or of the wrong type") {
  Bench t;
  NS::Error* error = nullptr;
  auto* f = library()->newFunction(ns("add_constant"));
  CHECK(!device()->newComputePipelineState(f, &error));
  CHECK(has(text_of(error), "has no value"));
  f->release();
  auto* values = MTL::FunctionConstantValues::alloc()->init();
  float by = 1;
  values->setConstantValue(&by, MTL::DataTypeFloat, NS::UInteger(0));
  CHECK(!library()->newFunction(ns("add_constant"), values, &error));
  CHECK(has(text_of(error), "function constant 0 (by) is int"));
  values->setConstantValue(&by, MTL::DataTypeLong, NS::UInteger(0));
  found("constant-type");
  values->release();
}
TEST_CASE("metal_double: names that do not exist, sources that do not compile, and missing libraries are errors") {
  Bench t;
  NS::Error* error = nullptr;
  CHECK(!library()->newFunction(ns("nobody")));
  CHECK(!device()->newLibrary(ns("kernel void f( {"), nullptr, &error));
  CHECK(text_of(error) != "");
  CHECK(!device()->newLibrary(NS::URL::fileURLWithPath(ns("/nowhere/x.metallib")), &error));
  CHECK(error->code() == MTL::LibraryErrorFileNotFound);
  nothing_found();
}

// ---- strictness

TEST_CASE("metal_double: a fault outside any command buffer becomes the error of the next one") {
  Bench t;
  CHECK(!device()->newBuffer(0, 0));
  CHECK(has(t.done(), "a buffer of 0 bytes"));
}
