// metal_double_test.cpp — the host double of <Metal/Metal.hpp> (MXFORM_METAL=host): right sequences of calls raise no alarm and
// compute what they should.
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <thread>

#include "metal_double_helpers.h"

using namespace double_test;

TEST_CASE("metal_double: dispatches with barriers compute and raise no alarm") {
  Bench t;
  t.fill(t.a, 3);
  t.barrier();
  t.add_one(t.a, t.b);
  t.fill(t.c, 9);
  t.barrier();
  t.add_one(t.b, t.a);
  CHECK(t.done() == "");
  CHECK(t.commands->status() == MTL::CommandBufferStatusCompleted);
  CHECK(t.commands->GPUEndTime() >= t.commands->GPUStartTime());
  CHECK(Bench::at(t.a, 7) == 5);
  CHECK(Bench::at(t.c, 255) == 9);
  nothing_found();
}

TEST_CASE("metal_double: serial passes need no barriers, tracked buffers no fences") {
  Bench t(MTL::ResourceStorageModeShared, MTL::DispatchTypeSerial);
  t.fill(t.a, 1);
  t.add_one(t.a, t.b);
  t.end();
  t.open();
  t.add_one(t.b, t.a);
  t.commit();
  t.begin();
  t.add_one(t.a, t.c);
  CHECK(t.done() == "");
  CHECK(Bench::at(t.c, 0) == 4);
  nothing_found();
}

TEST_CASE("metal_double: fences order passes, events order queues, the CPU orders what it waited for") {
  Bench t;
  auto* fence = device()->newFence();
  auto* event = device()->newSharedEvent();
  auto* other = device()->newCommandQueue();
  t.fill(t.a, 1);
  t.encoder->updateFence(fence);
  t.end();
  t.open();
  t.encoder->waitForFence(fence);
  t.add_one(t.a, t.b);
  t.end();
  t.commands->encodeSignalEvent(event, 1);
  t.commands->commit();
  t.committed = true;
  auto* second = other->commandBuffer();
  second->encodeWait(event, 1);
  auto* e = second->computeCommandEncoder();
  e->setComputePipelineState(kept("add_one"));
  e->setBuffer(t.b, 0, 0);
  e->setBuffer(t.c, 0, 1);
  e->dispatchThreadgroups(MTL::Size(4, 1, 1), MTL::Size(64, 1, 1));
  e->endEncoding();
  second->encodeSignalEvent(event, 2);
  second->commit();
  CHECK(event->waitUntilSignaledValue(2, 5000));
  CHECK(Bench::at(t.c, 255) == 3);
  t.begin();
  t.fill(t.c, 8);  // the CPU knows that the other queue is done with it
  CHECK(t.done() == "");
  CHECK(Bench::at(t.c, 1) == 8);
  nothing_found();
  fence->release();
  event->release();
  other->release();
}

TEST_CASE("metal_double: parts of one buffer may be written at once, in any order") {
  for (uint64_t order : {0, 1, 2, 3}) {
    Bench t;
    host::options().order = order;
    t.fill(t.a, 1, 0);
    t.fill(t.a, 2, 1024);
    t.fill(t.a, 3, 2048);
    t.add_one(t.b, t.c);
    CHECK(t.done() == "");
    CHECK(Bench::at(t.a, 255) == 1);
    CHECK(Bench::at(t.a, 256) == 2);
    CHECK(Bench::at(t.a, 600) == 3);
    nothing_found();
  }
}

TEST_CASE("metal_double: work is asynchronous, and handlers run before the wait ends") {
  Bench t;
  auto* event = device()->newSharedEvent();
  t.end();
  t.commands->encodeWait(event, 1);
  t.open();
  t.fill(t.a, 4);
  bool called = false;
  t.commands->addCompletedHandler([&](MTL::CommandBuffer* c) { called = c->status() == MTL::CommandBufferStatusCompleted; });
  t.commit();
  CHECK(t.commands->status() < MTL::CommandBufferStatusCompleted);
  CHECK(Bench::at(t.a, 0) == 0);
  event->setSignaledValue(1);
  t.commands->waitUntilCompleted();
  CHECK(called);
  CHECK(Bench::at(t.a, 0) == 4);
  nothing_found();
  event->release();
}

TEST_CASE("metal_double: function constants, threadgroup memory, memory without copy, heaps") {
  Bench t;
  auto* values = MTL::FunctionConstantValues::alloc()->init();
  int32_t by = 5;
  bool with = true;
  values->setConstantValue(&by, MTL::DataTypeInt, NS::UInteger(0));
  values->setConstantValue(&with, MTL::DataTypeBool, ns("with_offset"));
  NS::Error* error = nullptr;
  auto* f = library()->newFunction(ns("add_constant"), values, &error);
  REQUIRE(f);
  auto* p = device()->newComputePipelineState(f, &error);
  REQUIRE(p);
  t.encoder->setComputePipelineState(p);
  t.encoder->setBuffer(t.a, 0, 0);
  t.run();
  t.encoder->setComputePipelineState(kept("through_threadgroup"));
  t.encoder->setBuffer(t.b, 0, 0);
  t.encoder->setThreadgroupMemoryLength(256, 0);
  t.run();
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* mine = std::aligned_alloc(page, page);
  auto* wrapped = device()->newBuffer(mine, page, kUntracked, nullptr);
  REQUIRE(wrapped);
  t.fill(wrapped, 6);
  auto* d = MTL::HeapDescriptor::alloc()->init();
  d->setSize(1 << 16);
  d->setStorageMode(MTL::StorageModeShared);
  auto* heap = device()->newHeap(d);
  auto* piece = heap->newBuffer(4096, MTL::ResourceStorageModeShared);
  REQUIRE(piece);
  t.fill(piece, 7);
  CHECK(t.done() == "");
  CHECK(Bench::at(t.a, 3) == 105);
  CHECK(Bench::at(t.b, 0) == 63);
  CHECK(static_cast<float*>(mine)[9] == 6);
  CHECK(Bench::at(piece, 9) == 7);
  nothing_found();
  for (NS::Object* o : {(NS::Object*)values, (NS::Object*)f, (NS::Object*)p, (NS::Object*)wrapped, (NS::Object*)d, (NS::Object*)piece, (NS::Object*)heap}) o->release();
  std::free(mine);
}

TEST_CASE("metal_double: archives are files that name functions") {
  Bench t;
  string path = (std::filesystem::temp_directory_path() / ("mxform-double-" + std::to_string(getpid()))).string();
  NS::Error* error = nullptr;
  auto* d = MTL::BinaryArchiveDescriptor::alloc()->init();
  auto* archive = device()->newBinaryArchive(d, &error);
  auto* f = library()->newFunction(ns("fill"));
  auto* pd = MTL::ComputePipelineDescriptor::alloc()->init();
  pd->setComputeFunction(f);
  CHECK(archive->addComputePipelineFunctions(pd, &error));
  CHECK(archive->serializeToURL(NS::URL::fileURLWithPath(ns(path)), &error));
  d->setUrl(NS::URL::fileURLWithPath(ns(path)));
  auto* again = device()->newBinaryArchive(d, &error);
  REQUIRE(again);
  const NS::Object* archives[] = {again};
  pd->setBinaryArchives(NS::Array::array(archives, 1));
  auto* p = device()->newComputePipelineState(pd, MTL::PipelineOptionFailOnBinaryArchiveMiss, nullptr, &error);
  CHECK(p);
  auto* g = library()->newFunction(ns("add_one"));
  pd->setComputeFunction(g);
  CHECK(!device()->newComputePipelineState(pd, MTL::PipelineOptionFailOnBinaryArchiveMiss, nullptr, &error));
  std::ofstream(path) << "something else";
  CHECK(!device()->newBinaryArchive(d, &error));
  std::filesystem::remove(path);
  for (NS::Object* o : {(NS::Object*)d, (NS::Object*)archive, (NS::Object*)f, (NS::Object*)pd, (NS::Object*)again, (NS::Object*)p, (NS::Object*)g}) o->release();
  nothing_found();
}

TEST_CASE("metal_double: what is released is gone") {
  kept("fill");
  auto before = host::live_objects("");
  {
    Bench t;
    t.fill(t.a, 1);
    CHECK(t.done() == "");
  }
  // The queue's thread lets go of its last command buffer a moment later, as those of earlier tests may.
  for (int i = 0; i < 1000 && host::live_objects("") > before; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(host::live_objects("") <= before);
}
