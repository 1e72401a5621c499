// metal_double_test.cpp — the host double of <Metal/Metal.hpp>: right sequences of calls raise no alarm and compute what they
// should; sequences with one fault each are found, by kind, with the kernel and slot in the message.
//
// Compiled where the Metal backend runs on its double (MXFORM_METAL=host). The kernels are tests/metal/kernels/double.metal.
#include <Metal/Metal.hpp>

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include <doctest/doctest.h>

namespace host = mx::metal::host;
using std::string;

namespace {

struct Params {
  uint32_t n;
  float scale;
};

struct Pool {
  NS::AutoreleasePool* pool = NS::AutoreleasePool::alloc()->init();
  ~Pool() { pool->release(); }
};

NS::String* ns(const string& s) { return NS::String::string(s.c_str(), NS::UTF8StringEncoding); }

string text_of(NS::Error* e) { return e ? e->localizedDescription()->utf8String() : ""; }

MTL::Device* device() {
  static MTL::Device* d = MTL::CreateSystemDefaultDevice();
  return d;
}

MTL::Library* library() {
  static MTL::Library* l = [] {
    Pool pool;
    std::ifstream file(MXFORM_TEST_KERNELS "/double.metal");
    std::stringstream source;
    source << file.rdbuf();
    auto* o = MTL::CompileOptions::alloc()->init();
    o->setMathMode(MTL::MathModeSafe);
    NS::Error* error = nullptr;
    auto* made = device()->newLibrary(ns(source.str()), o, &error);
    o->release();
    INFO(text_of(error));
    REQUIRE(made);
    return made;
  }();
  return l;
}

MTL::ComputePipelineState* pipeline(const char* name) {
  Pool pool;
  auto* f = library()->newFunction(ns(name));
  REQUIRE(f);
  NS::Error* error = nullptr;
  auto* p = device()->newComputePipelineState(f, &error);
  f->release();
  REQUIRE(p);
  return p;
}
MTL::ComputePipelineState* kept(const char* name) {
  static std::vector<std::pair<string, MTL::ComputePipelineState*>> made;
  for (auto& [n, p] : made) {
    if (n == name) return p;
  }
  return made.emplace_back(name, pipeline(name)).second;
}

constexpr MTL::ResourceOptions kUntracked = MTL::ResourceHazardTrackingModeUntracked;

/// What a test works with: buffers a, b, c of 1024 floats each, untracked; one queue, one command buffer, a concurrent encoder.
struct Bench {
  explicit Bench(MTL::ResourceOptions options = kUntracked, MTL::DispatchType type = MTL::DispatchTypeConcurrent) : type(type) {
    host::take_faults();
    host::options().event_timeout_ms = 200;
    for (auto** p : {&a, &b, &c}) {
      *p = device()->newBuffer(4096, options);
      (*p)->setLabel(ns("data"));
    }
    queue = device()->newCommandQueue();
    begin();
  }
  ~Bench() {
    if (encoder && !ended) encoder->endEncoding();
    if (commands && !committed) commit();
    finish();
    for (auto* p : {a, b, c}) p->release();
    queue->release();
    host::take_faults();
    host::options() = saved;
  }
  void begin() {
    commands = queue->commandBufferWithUnretainedReferences()->retain();
    all.push_back(commands);
    committed = false;
    open();
  }
  void open() {
    encoder = commands->computeCommandEncoder(type);
    ended = false;
  }
  void end() {
    encoder->endEncoding();
    ended = true;
  }
  void commit() {
    if (!ended) end();
    commands->commit();
    committed = true;
  }
  void finish() {
    for (auto* x : all) {
      if (x->status() >= MTL::CommandBufferStatusCommitted) x->waitUntilCompleted();
      x->release();
    }
    all.clear();
    commands = nullptr;
  }
  /// Commits and waits; the command buffer's error or "".
  string done() {
    commit();
    commands->waitUntilCompleted();
    return text_of(commands->error());
  }
  void run(MTL::Size grid = MTL::Size(256, 1, 1), MTL::Size group = MTL::Size(64, 1, 1)) { encoder->dispatchThreads(grid, group); }
  void fill(MTL::Buffer* out, float value, size_t offset = 0) {
    encoder->setComputePipelineState(kept("fill"));
    encoder->setBuffer(out, offset, 0);
    Params p{256, value};
    encoder->setBytes(&p, sizeof p, 1);
    run();
  }
  void add_one(MTL::Buffer* in, MTL::Buffer* out, size_t in_at = 0, size_t out_at = 0) {
    encoder->setComputePipelineState(kept("add_one"));
    encoder->setBuffer(in, in_at, 0);
    encoder->setBuffer(out, out_at, 1);
    run();
  }
  void barrier() { encoder->memoryBarrier(MTL::BarrierScopeBuffers); }
  static float at(MTL::Buffer* x, size_t i) { return static_cast<float*>(x->contents())[i]; }

  host::Options saved = host::options();
  Pool pool;
  MTL::DispatchType type;
  MTL::Buffer *a, *b, *c;
  MTL::CommandQueue* queue;
  MTL::CommandBuffer* commands = nullptr;
  MTL::ComputeCommandEncoder* encoder = nullptr;
  std::vector<MTL::CommandBuffer*> all;
  bool ended = false, committed = false;
};

/// Exactly this kind of fault was found; its message has `part`.
void found(const string& kind, const string& part = "") {
  auto faults = host::take_faults();
  string all;
  bool hit = false;
  for (auto& f : faults) {
    all += f.kind + ": " + f.message + "\n";
    hit |= f.kind == kind && f.message.find(part) != string::npos;
  }
  INFO("faults: ", all, "wanted: ", kind, ": ", part);
  CHECK(hit);
}
void nothing_found() {
  for (auto& f : host::take_faults()) FAIL_CHECK(f.kind << ": " << f.message);
}
bool has(const string& s, const char* part) { return s.find(part) != string::npos; }

}  // namespace

// ---- right sequences

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

// ---- one fault each: bindings

TEST_CASE("metal_double finds: a buffer that is not set") {
  Bench t;
  t.encoder->setComputePipelineState(kept("add_one"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.run();
  CHECK(has(t.done(), "add_one: buffer(1) (out) is not set"));
  CHECK(t.commands->status() == MTL::CommandBufferStatusError);
  found("unset-buffer", "add_one");
}
TEST_CASE("metal_double finds: an offset beyond the buffer") {
  Bench t;
  t.encoder->setBuffer(t.a, 4096, 3);
  CHECK(has(t.done(), "slot 3"));
  found("offset-range");
}
TEST_CASE("metal_double finds: a slot that does not exist") {
  Bench t;
  t.encoder->setBuffer(t.a, 0, 31);
  found("slot-range", "31");
}
TEST_CASE("metal_double finds: too little memory behind a reference") {
  Bench t;
  t.encoder->setComputePipelineState(kept("fill"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.encoder->setBuffer(t.b, 4092, 1);
  t.run();
  found("buffer-size", "fill: buffer(1) (p)");
}
TEST_CASE("metal_double finds: more than 4 KB, and nothing, by value") {
  Bench t;
  std::vector<char> big(4097);
  t.encoder->setBytes(big.data(), big.size(), 0);
  found("bytes-length", "4097");
  t.encoder->setBytes(big.data(), 0, 0);
  found("bytes-length");
}
TEST_CASE("metal_double finds: results written to bytes") {
  Bench t;
  t.encoder->setComputePipelineState(kept("increment"));
  float x = 0;
  t.encoder->setBytes(&x, sizeof x, 0);
  t.run();
  found("written-bytes", "increment: buffer(0)");
}
TEST_CASE("metal_double finds: an offset that the element type does not allow") {
  Bench t;
  t.encoder->setComputePipelineState(kept("read_table"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.encoder->setBuffer(t.b, 8, 1);
  t.run();
  found("alignment", "read_table: buffer(1) (table)");
}
TEST_CASE("metal_double finds: a kernel that leaves its buffer") {
  Bench t;
  t.encoder->setComputePipelineState(kept("fill"));
  t.encoder->setBuffer(t.a, 4080, 0);
  Params p{4, 1};
  t.encoder->setBytes(&p, 4, 1);  // half of the struct
  t.run();
  found("buffer-size", "buffer(1)");
}

// ---- threads

TEST_CASE("metal_double finds: no pipeline") {
  Bench t;
  t.run();
  found("no-pipeline");
}
TEST_CASE("metal_double finds: more than 1024 threads in a group") {
  Bench t;
  t.encoder->setComputePipelineState(kept("increment"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.run(MTL::Size(1024, 1, 1), MTL::Size(64, 32, 1));
  found("group-size", "increment");
}
TEST_CASE("metal_double finds: more threads than the pipeline allows") {
  Bench t;
  auto* f = library()->newFunction(ns("increment"));
  auto* d = MTL::ComputePipelineDescriptor::alloc()->init();
  d->setComputeFunction(f);
  d->setMaxTotalThreadsPerThreadgroup(128);
  auto* p = device()->newComputePipelineState(d, MTL::PipelineOptionNone, nullptr, nullptr);
  CHECK(p->maxTotalThreadsPerThreadgroup() == 128);
  t.encoder->setComputePipelineState(p);
  t.encoder->setBuffer(t.a, 0, 0);
  t.run(MTL::Size(256, 1, 1), MTL::Size(256, 1, 1));
  found("group-size", "allows 128");
  f->release();
  d->release();
  p->release();
}
TEST_CASE("metal_double finds: empty grids and groups") {
  Bench t;
  t.encoder->setComputePipelineState(kept("increment"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.run(MTL::Size(0, 1, 1));
  found("empty-grid");
  t.run(MTL::Size(8, 1, 1), MTL::Size(8, 0, 1));
  found("empty-group");
}
TEST_CASE("metal_double finds: threadgroup memory that is too large, of odd size, or missing") {
  Bench t;
  t.encoder->setThreadgroupMemoryLength(33 << 10, 0);
  found("threadgroup-memory");
  t.encoder->setThreadgroupMemoryLength(100, 0);
  found("threadgroup-multiple");
  t.encoder->setComputePipelineState(kept("through_threadgroup"));
  t.encoder->setBuffer(t.a, 0, 0);
  t.run();
  found("unset-threadgroup", "through_threadgroup: threadgroup(0) (shared)");
}

// ---- the life of encoders and command buffers

TEST_CASE("metal_double finds: encoding after endEncoding") {
  Bench t;
  t.end();
  t.encoder->setBuffer(t.a, 0, 0);
  found("after-end", "setBuffer");
}
TEST_CASE("metal_double finds: commit with an open encoder") {
  Bench t;
  t.commands->commit();
  t.committed = true;
  t.commands->waitUntilCompleted();
  CHECK(has(text_of(t.commands->error()), "endEncoding is missing"));
  found("not-ended");
}
TEST_CASE("metal_double finds: two open encoders") {
  Bench t;
  auto* second = t.commands->computeCommandEncoder();
  found("two-encoders");
  second->endEncoding();
}
TEST_CASE("metal_double finds: commit twice, and encoding after it") {
  Bench t;
  t.commit();
  t.commands->commit();
  found("commit-twice");
  CHECK(!t.commands->computeCommandEncoder());
  found("after-commit");
  t.commands->addCompletedHandler([](MTL::CommandBuffer*) {});
  found("after-commit", "addCompletedHandler");
}
TEST_CASE("metal_double finds: too many operations in a command buffer") {
  Bench t;
  host::options().max_operations = 3;
  for (int i = 0; i < 4; ++i) {
    t.fill(t.a, 1);
    t.barrier();
  }
  found("too-many-operations", "4");
}
TEST_CASE("metal_double finds: waiting for what was not committed, or in its own handler") {
  Bench t;
  t.commands->waitUntilCompleted();
  found("wait-uncommitted");
  t.commands->addCompletedHandler([](MTL::CommandBuffer* c) { c->waitUntilCompleted(); });
  t.done();
  found("wait-in-handler");
}
TEST_CASE("metal_double finds: a queue that is full for ever") {
  Bench t;
  auto* small = device()->newCommandQueue(1);
  small->commandBuffer();
  small->commandBuffer();
  found("queue-full");
  small->release();
}

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
