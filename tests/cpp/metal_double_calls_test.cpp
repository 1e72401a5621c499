// metal_double_calls_test.cpp — the host double of <Metal/Metal.hpp>: each call with one fault, in bindings, threads or encoding, is found,
// by kind, with the kernel and slot in the message.
#include "metal_double_helpers.h"

using namespace double_test;

// ---- bindings

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
