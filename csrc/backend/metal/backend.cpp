// backend.cpp — Metal as a backend: calls are planned (plan/) and the plans enqueued (driver/). What no planner takes runs on the
// CPU, in the same memory.

#include "backend/metal/backend.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "backend/metal/driver/device.h"
#include "backend/metal/driver/queue.h"
#include "backend/metal/plan/planners.h"

namespace mx::metal {

namespace {

/// For launched(): off until somebody asks.
struct Launched {
  std::atomic<bool> wanted = false;
  std::mutex mutex;
  std::set<std::string> names;
};
Launched& record() {
  static Launched& record = *new Launched;
  return record;
}
void note_launch(const Primitive& primitive) {
  Launched& r = record();
  if (!r.wanted.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(r.mutex);
  r.names.emplace(primitive.name);
}

class MetalBackend final : public Backend {
 public:
  const char* name() const override { return "Metal"; }
  CachingAllocator& allocator() override { return cpu().allocator(); }
  bool has_kernel(const Primitive& p) const override { return find_planner(p) || cpu().has_kernel(p); }

  void run(const Task& task, Stream stream) override {
    if (std::all_of(task.out.begin(), task.out.end(), [](const array& out) { return out.size() == 0; })) {
      // Only indices are left to check, and nobody would wait for an empty result.
      if (task.primitive.first_index_input >= 0 && cpu().has_kernel(task.primitive)) cpu().run(task, {{Device::cpu, 0}, 0});
      return;
    }
    Planner planner = find_planner(task.primitive);
    Plan plan;
    if (planner && planner(task, plan)) {
      if (!plan.launches.empty()) {
        Gpu::get(task.primitive.name.data()).queue(stream.index).run(task, plan);
        note_launch(task.primitive);
      }
      return;
    }
    if (!cpu().has_kernel(task.primitive)) {
      throw BackendError(cat("[", task.primitive.name, "] the Metal backend has no kernel for ", task.in.empty() ? task.out[0].dtype() : task.in[0].dtype(),
                             ", nor has the CPU."));
    }
    cpu().run(task, {{Device::cpu, 0}, 0});
  }

  void synchronize(Stream stream) override { Gpu::get("synchronize").queue(stream.index).synchronize(); }

 private:
  static Backend& cpu() { return backend(Device::cpu); }
};

}  // namespace

bool available() { return Gpu::find() != nullptr; }

bool preferred() {
#if defined(__APPLE__)
  return true;
#else
  return false;
#endif
}

Backend& instance() {
  static Backend& backend = *new MetalBackend;
  return backend;
}

bool has_planner(const Primitive& primitive) { return find_planner(primitive) != nullptr; }

std::set<std::string> launched() {
  Launched& r = record();
  r.wanted = true;
  std::lock_guard lock(r.mutex);
  return std::exchange(r.names, {});
}

RawMemory& memory() { return Gpu::get("metal").memory(); }

namespace {
/// How many buffers there may be; 0: unknown.
size_t resource_limit() {
  size_t limit = 0;
#if defined(__APPLE__)
  size_t n_bytes = sizeof limit;
  if (sysctlbyname("iogpu.rsrc_limit", &limit, &n_bytes, nullptr, 0) != 0) limit = 0;
#endif
  return limit;
}
}  // namespace

std::map<std::string, std::variant<std::string, size_t>> device_info() {
  AutoreleaseScope scope;
  Gpu& gpu = Gpu::get("device_info");
  MTL::Device* d = gpu.device();
  MTL::Architecture* architecture = d->architecture();
  return {
      {"device_name", text_of(d->name())},
      {"architecture", architecture ? text_of(architecture->name()) : std::string("unknown")},
      {"memory_size", static_cast<size_t>(NS::ProcessInfo::processInfo()->physicalMemory())},
      {"max_recommended_working_set_size", static_cast<size_t>(d->recommendedMaxWorkingSetSize())},
      {"max_buffer_length", static_cast<size_t>(d->maxBufferLength())},
      {"resource_limit", resource_limit()},
      {"backend", std::string(preferred() ? "Metal" : "host double of Metal: kernels run on the CPU, for tests")},
  };
}

size_t set_wired_limit(size_t n_bytes) { return Gpu::get("set_wired_limit").memory().set_wired_limit(n_bytes); }

namespace {
MTL::CaptureManager& captures(const char* op) {
  Gpu::get(op);
  MTL::CaptureManager* manager = MTL::CaptureManager::sharedCaptureManager();
  if (!manager || !manager->supportsDestination(MTL::CaptureDestinationGPUTraceDocument)) {
    throw BackendError(cat("[", op, "] captures to files are off; set MTL_CAPTURE_ENABLED=1 in the environment before the process starts."));
  }
  return *manager;
}
}  // namespace

void start_capture(const std::string& path) {
  AutoreleaseScope scope;
  MTL::CaptureManager& manager = captures("start_capture");
  if (manager.isCapturing()) throw BackendError("[start_capture] a capture is under way; end it with stop_capture() first.");
  for (Queue* q : Gpu::get("start_capture").queues()) q->synchronize();
  Ref d(MTL::CaptureDescriptor::alloc()->init());
  d->setCaptureObject(reinterpret_cast<NS::Object*>(Gpu::get("start_capture").device()));
  d->setDestination(MTL::CaptureDestinationGPUTraceDocument);
  d->setOutputURL(file_url(path));
  NS::Error* error = nullptr;
  if (!manager.startCapture(d.get(), &error)) throw BackendError(cat("[start_capture] cannot record to ", path, ": ", text_of(error), "."));
}

void stop_capture() {
  AutoreleaseScope scope;
  MTL::CaptureManager& manager = captures("stop_capture");
  if (!manager.isCapturing()) throw BackendError("[stop_capture] no capture is under way; begin one with start_capture().");
  for (Queue* q : Gpu::get("stop_capture").queues()) q->synchronize();
  manager.stopCapture();
}

}  // namespace mx::metal
