// api_metal.h — what is behind the opaque Metal objects: memory, code, events, and commands as they were encoded.
//
// api_memory.cpp, api_code.cpp make and answer for the first two; api_encoder.cpp records commands and checks them as Metal's
// validation layer does; api_queue.cpp runs them on the queue's thread; api_order.h finds what lacks synchronisation.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <variant>

#include "api_object.h"
#include "kernels.h"

namespace mx::metal::host {

MTL::Device* the_device();

// ---- memory

struct AllocationObject : Object {
  static constexpr const char* kType = "MTL::Allocation";
  explicit AllocationObject(const char* type = kType) : Object(type) {}
  virtual size_t n_bytes() const { return 0; }
  std::atomic<int64_t> resident{0};  ///< Committed residency sets that hold it.
};
struct ResourceObject : AllocationObject {
  static constexpr const char* kType = "MTL::Resource";
  explicit ResourceObject(const char* type = kType) : AllocationObject(type) {}
  MTL::ResourceOptions options = 0;
  bool tracked = false;  ///< Metal orders passes that use it.
};
struct HeapObject : AllocationObject {
  static constexpr const char* kType = "MTL::Heap";
  HeapObject() : AllocationObject(kType) {}
  std::byte* data = nullptr;
  size_t size = 0;
  MTL::HeapType heap_type = MTL::HeapTypeAutomatic;
  MTL::ResourceOptions options = 0;
  bool tracked = false;
  std::mutex mutex;
  std::map<size_t, size_t> pieces;  ///< Offset and bytes of what is taken; pieces of a placement heap may overlap and are not here.
  size_t n_bytes() const override { return size; }
  void die() override;
};
struct BufferObject : ResourceObject {
  static constexpr const char* kType = "MTL::Buffer";
  BufferObject() : ResourceObject(kType) {}
  std::byte* data = nullptr;
  size_t length = 0;
  enum { foreign, own, of_heap } memory = foreign;
  Ref<HeapObject> heap;
  size_t heap_offset = 0;
  size_t n_bytes() const override { return length; }
  void die() override;
};
struct ResidencySetObject : Object {
  static constexpr const char* kType = "MTL::ResidencySet";
  ResidencySetObject() : Object(kType) {}
  std::mutex mutex;
  std::map<AllocationObject*, Ref<AllocationObject>> committed, pending;
  bool changed = false;
  void die() override;
};

// ---- code

struct LibraryObject : Object {
  static constexpr const char* kType = "MTL::Library";
  LibraryObject() : Object(kType) {}
  std::shared_ptr<const Library> kernels;
};
struct ConstantValuesObject : Object {
  static constexpr const char* kType = "MTL::FunctionConstantValues";
  ConstantValuesObject() : Object(kType) {}
  std::vector<ConstantValue> values;
};
struct FunctionObject : Object {
  static constexpr const char* kType = "MTL::Function";
  FunctionObject() : Object(kType) {}
  Ref<LibraryObject> library;
  const Kernel* kernel = nullptr;
  std::vector<ConstantValue> values;
  std::string key() const;  ///< Of the code that it compiles to.
};
struct PipelineObject : AllocationObject {
  static constexpr const char* kType = "MTL::ComputePipelineState";
  PipelineObject() : AllocationObject(kType) {}
  Ref<LibraryObject> library;
  const Kernel* kernel = nullptr;
  std::vector<ConstantValue> values;
  uint32_t max_threads = kThreads;
  bool whole_simdgroups = false;  ///< It was promised that threadgroups are multiples of a SIMD group.
};

// ---- synchronisation

using NodeSet = std::set<uint64_t>;  // passes (Node::id)

struct EventObject : Object {
  static constexpr const char* kType = "MTL::Event";
  explicit EventObject(const char* type = kType) : Object(type) {}
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t value = 0;
  /// What is done when a value is reached: passes, and what the CPU knew.
  struct Signal {
    uint64_t value;
    NodeSet done;
    uint64_t epoch;
  };
  std::vector<Signal> signals;
  void signal(uint64_t v, NodeSet done, uint64_t epoch);
};
struct SharedEventObject : EventObject {
  static constexpr const char* kType = "MTL::SharedEvent";
  SharedEventObject() : EventObject(kType) {}
};
struct FenceObject : Object {
  static constexpr const char* kType = "MTL::Fence";
  FenceObject() : Object(kType) {}
  std::mutex mutex;
  NodeSet done;
};

// ---- commands

struct Bound {
  uint8_t slot = 0;
  BufferObject* buffer = nullptr;                    // or
  std::shared_ptr<std::vector<std::byte>> bytes;
  size_t offset = 0;
  bool written = false;                              ///< The kernel may write there.
  bool report = false;                               ///< A record for errors, which many write.
};
struct DispatchCommand {
  PipelineObject* pipeline = nullptr;
  std::vector<Bound> bound;
  std::vector<std::pair<uint8_t, size_t>> threadgroup;
  Size threads, group;
};
struct BarrierCommand {
  std::vector<BufferObject*> buffers;  ///< Empty: all.
};
using Command = std::variant<DispatchCommand, BarrierCommand>;

struct Pass {
  std::string label;
  bool concurrent = false;
  std::vector<Command> commands;
  std::vector<FenceObject*> waits, updates;
};
struct EventStep {
  bool wait;
  EventObject* event;
  uint64_t value;
};
using Step = std::variant<Pass, EventStep>;

struct QueueState;
struct QueueObject : Object {
  static constexpr const char* kType = "MTL::CommandQueue";
  QueueObject() : Object(kType) {}
  std::shared_ptr<QueueState> state;
  void die() override;
};

struct EncoderObject;
struct CommandBufferObject : Object {
  static constexpr const char* kType = "MTL::CommandBuffer";
  CommandBufferObject() : Object(kType) {}
  Ref<QueueObject> queue;
  bool retains = true;
  uint64_t number = 0;
  std::vector<Ref<Object>> held;   ///< With references,
  std::vector<Object*> pinned;     ///< or pinned without.
  std::set<Object*> used;
  std::vector<Step> steps;
  EncoderObject* open = nullptr;   ///< Not ended yet.
  size_t n_operations = 0;
  uint64_t epoch = 0;              ///< What the CPU knew when it was committed (api_order.h).

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::atomic<MTL::CommandBufferStatus> status = MTL::CommandBufferStatusNotEnqueued;
  std::string error;
  MTL::CommandBufferError error_code = MTL::CommandBufferErrorNone;
  std::vector<std::function<void(MTL::CommandBuffer*)>> completed, scheduled;
  std::vector<Ref<ResidencySetObject>> residency;
  double start = 0, end = 0;
  bool handled = false;            ///< The completion handlers are done, too.

  /// Notes a fault and makes it this buffer's error: it will not run.
  void fail(const char* kind, const std::string& message, MTL::CommandBufferError code = MTL::CommandBufferErrorInternal);
  void use(Object* o);
  bool failed() const;
  void die() override;
};

struct EncoderObject : Object {
  static constexpr const char* kType = "MTL::ComputeCommandEncoder";
  EncoderObject() : Object(kType) {}
  Ref<CommandBufferObject> commands;
  Pass pass;
  bool ended = false;
  int groups = 0;  ///< Open debug groups.
  PipelineObject* pipeline = nullptr;
  struct Slot {
    BufferObject* buffer = nullptr;
    std::shared_ptr<std::vector<std::byte>> bytes;
    size_t offset = 0;
  };
  Slot slots[kSlots];
  size_t threadgroup[kSlots] = {};
  const char* reason_to_stay() override;
  void die() override;
};

/// Blocks until `ready`, or until nothing has happened for so many times what options() allow; whether it is ready.
bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, const std::function<bool()>& ready, int times = 1);

// ---- captures (api_capture.cpp)

bool capturing();
void capture(const std::string& line);
void note_run(const std::string& kernel, uint64_t threads);

}  // namespace mx::metal::host
