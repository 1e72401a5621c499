// device.cpp — finding the device, and its queues.

#include "backend/metal/driver/device.h"

#include "backend/metal/driver/queue.h"

namespace mx::metal {

Gpu::Gpu(MTL::Device* device) : device_(device), memory_(device), pipelines_(device) {}

Gpu* Gpu::find() {
  static Gpu* const gpu = []() -> Gpu* {
    AutoreleaseScope scope;
    MTL::Device* device = MTL::CreateSystemDefaultDevice();
    return device ? new Gpu(device) : nullptr;
  }();
  return gpu;
}

Gpu& Gpu::get(const char* op) {
  Gpu* gpu = find();
  if (!gpu) throw BackendError(cat("[", op, "] Metal finds no GPU on this machine."));
  if (forked()) refuse_forked(op);
  return *gpu;
}

Queue& Gpu::queue(int index) {
  auto i = static_cast<size_t>(index);
  std::lock_guard guard(lock_);
  if (queues_.size() <= i) queues_.resize(i + 1);
  if (!queues_[i]) queues_[i] = new Queue(*this);
  return *queues_[i];
}

std::vector<Queue*> Gpu::queues() {
  std::lock_guard guard(lock_);
  std::vector<Queue*> found;
  for (Queue* q : queues_) {
    if (q) found.push_back(q);
  }
  return found;
}

}  // namespace mx::metal
