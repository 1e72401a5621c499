// device.h — the GPU: one device, its memory, kernels and queues. Made when it is first asked for and never destroyed.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backend/metal/driver/memory.h"
#include "backend/metal/driver/pipelines.h"

namespace mx::metal {

class Queue;

class Gpu {
 public:
  /// Null where there is no GPU that Metal can use.
  static Gpu* find();
  /// Throws BackendError where there is none, and in a forked child.
  static Gpu& get(const char* op);

  MTL::Device* device() const { return device_.get(); }
  Memory& memory() { return memory_; }
  Pipelines& pipelines() { return pipelines_; }
  /// The queue of a stream's index.
  Queue& queue(int index);
  /// All that were made.
  std::vector<Queue*> queues();

 private:
  explicit Gpu(MTL::Device* device);

  Ref<MTL::Device> device_;
  Memory memory_;
  Pipelines pipelines_;
  std::mutex lock_;
  std::vector<Queue*> queues_;  ///< By index; null: not asked for yet.
};

}  // namespace mx::metal
