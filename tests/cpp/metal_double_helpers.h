// metal_double_helpers.h — what the tests of the host double of <Metal/Metal.hpp> share: its device, the kernels of
// tests/metal/kernels/double.metal, a bench with three buffers, and checks of the faults found.
#pragma once

#include <Metal/Metal.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "api.h"
#include <doctest/doctest.h>

namespace double_test {

namespace host = mx::metal::host;
using std::string;

struct Params {
  uint32_t n;
  float scale;
};

struct Pool {
  NS::AutoreleasePool* pool = NS::AutoreleasePool::alloc()->init();
  ~Pool() { pool->release(); }
};

inline NS::String* ns(const string& s) { return NS::String::string(s.c_str(), NS::UTF8StringEncoding); }

inline string text_of(NS::Error* e) { return e ? e->localizedDescription()->utf8String() : ""; }

inline MTL::Device* device() {
  static MTL::Device* d = MTL::CreateSystemDefaultDevice();
  return d;
}

inline MTL::Library* library() {
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

inline MTL::ComputePipelineState* pipeline(const char* name) {
  Pool pool;
  auto* f = library()->newFunction(ns(name));
  REQUIRE(f);
  NS::Error* error = nullptr;
  auto* p = device()->newComputePipelineState(f, &error);
  f->release();
  REQUIRE(p);
  return p;
}
inline MTL::ComputePipelineState* kept(const char* name) {
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
inline void found(const string& kind, const string& part = "") {
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
inline void nothing_found() {
  for (auto& f : host::take_faults()) FAIL_CHECK(f.kind << ": " << f.message);
}
inline bool has(const string& s, const char* part) { return s.find(part) != string::npos; }

}  // namespace double_test
