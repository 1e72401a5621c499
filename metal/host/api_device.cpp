// api_device.cpp — the device of the double, captures, and the record of what ran.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "api_code.h"
#include "api_memory.h"
#include "api_queue.h"

namespace mx::metal::host {
namespace {

struct DeviceObject : Object {
  static constexpr const char* kType = "MTL::Device";
  DeviceObject() : Object(kType) {}
};
struct ArchitectureObject : Object {
  static constexpr const char* kType = "MTL::Architecture";
  ArchitectureObject() : Object(kType) {}
};
struct CaptureDescriptorObject : Object {
  static constexpr const char* kType = "MTL::CaptureDescriptor";
  CaptureDescriptorObject() : Object(kType) {}
  Ref<Object> object;
  Ref<UrlObject> url;
  MTL::CaptureDestination destination = MTL::CaptureDestinationDeveloperTools;
  void die() override {
    object = {};
    url = {};
  }
};
struct CaptureManagerObject : Object {
  static constexpr const char* kType = "MTL::CaptureManager";
  CaptureManagerObject() : Object(kType) {}
};

struct Record {
  std::mutex mutex;
  bool capturing = false, history_on = false;
  std::ofstream file;
  std::vector<Ran> history;
};
Record& the_record() {
  static Record* r = new Record;
  return *r;
}

uint64_t physical_memory() { return uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGE_SIZE)); }

}  // namespace

MTL::Device* the_device() {
  static auto* d = new DeviceObject;
  return handle<MTL::Device>(d);
}

bool capturing() {
  std::lock_guard lock(the_record().mutex);
  return the_record().capturing;
}
void capture(const std::string& line) {
  std::lock_guard lock(the_record().mutex);
  if (the_record().capturing) the_record().file << line << '\n';
}
void note_run(const std::string& kernel, uint64_t threads) {
  std::lock_guard lock(the_record().mutex);
  if (the_record().history_on) the_record().history.push_back({kernel, threads});
}
std::vector<Ran> take_history() {
  std::lock_guard lock(the_record().mutex);
  the_record().history_on = true;
  return std::exchange(the_record().history, {});
}

}  // namespace mx::metal::host

namespace MTL {
using namespace mx::metal::host;
namespace {
auto& of(const CaptureDescriptor* d) { return self<CaptureDescriptorObject>(d, "CaptureDescriptor"); }
void check(const Device* d) { self<DeviceObject>(d, "Device"); }
}  // namespace

Device* CreateSystemDefaultDevice() { return the_device()->retain(); }
NS::Array* CopyAllDevices() {
  const NS::Object* all[] = {the_device()};
  return NS::Array::alloc()->init(all, 1);
}

Architecture* Architecture::alloc() { return handle<Architecture>(new ArchitectureObject); }
Architecture* Architecture::init() { return this; }
NS::String* Architecture::name() const { return mx::metal::host::string("host"); }

Architecture* Device::architecture() const { return Architecture::alloc()->autorelease(); }
NS::UInteger Device::currentAllocatedSize() const { return memory_in_use(); }
bool Device::hasUnifiedMemory() const { return true; }
SizeAndAlign Device::heapBufferSizeAndAlign(NS::UInteger length, MTL::ResourceOptions) { return {(length + 255) / 256 * 256, 256}; }
bool Device::isHeadless() const { return true; }
bool Device::isLowPower() const { return false; }
bool Device::isRemovable() const { return false; }
NS::UInteger Device::maxBufferLength() const { return options().max_buffer_length; }
NS::UInteger Device::maxThreadgroupMemoryLength() const { return kThreadgroupMemory; }
Size Device::maxThreadsPerThreadgroup() const { return Size(kThreads, kThreads, kThreads); }
NS::String* Device::name() const { return mx::metal::host::string("host double of Metal"); }
BinaryArchive* Device::newBinaryArchive(const MTL::BinaryArchiveDescriptor* d, NS::Error** error) { return new_archive(d, error); }
Buffer* Device::newBuffer(NS::UInteger length, MTL::ResourceOptions o) {
  check(this);
  return new_buffer(length, o);
}
Buffer* Device::newBuffer(const void* pointer, NS::UInteger length, MTL::ResourceOptions o) {
  Buffer* b = new_buffer(length, o);
  if (b && pointer) std::copy_n(static_cast<const char*>(pointer), length, static_cast<char*>(b->contents()));
  return b;
}
Buffer* Device::newBuffer(const void* pointer, NS::UInteger length, MTL::ResourceOptions o, std::nullptr_t) { return new_foreign_buffer(pointer, length, o); }
CommandQueue* Device::newCommandQueue() { return new_queue(64); }
CommandQueue* Device::newCommandQueue(NS::UInteger most) { return new_queue(most); }
ComputePipelineState* Device::newComputePipelineState(const MTL::Function* f, NS::Error** error) { return pipeline_of(f, error); }
ComputePipelineState* Device::newComputePipelineState(const MTL::Function* f, MTL::PipelineOption, const MTL::AutoreleasedComputePipelineReflection*,
                                                      NS::Error** error) {
  return pipeline_of(f, error);
}
ComputePipelineState* Device::newComputePipelineState(const MTL::ComputePipelineDescriptor* d, MTL::PipelineOption o,
                                                      const MTL::AutoreleasedComputePipelineReflection*, NS::Error** error) {
  return pipeline_of(d, o, error);
}
Event* Device::newEvent() { return new_event(); }
Fence* Device::newFence() { return new_fence(); }
Heap* Device::newHeap(const MTL::HeapDescriptor* d) { return new_heap(d); }
Library* Device::newLibrary(const NS::String* path, NS::Error** error) { return load_library(text(path), error); }
Library* Device::newLibrary(const NS::URL* url, NS::Error** error) {
  auto* u = argument<UrlObject>(url, "newLibrary");
  return u ? load_library(u->path, error) : nullptr;
}
Library* Device::newLibrary(const NS::String* source, const MTL::CompileOptions* o, NS::Error** error) { return compile_library(source, o, error); }
ResidencySet* Device::newResidencySet(const MTL::ResidencySetDescriptor* d, NS::Error**) {
  auto* s = new ResidencySetObject;
  if (d) s->label = text(d->label());
  return handle<ResidencySet>(s);
}
SharedEvent* Device::newSharedEvent() { return new_shared_event(); }
uint64_t Device::recommendedMaxWorkingSetSize() const { return physical_memory() / 4 * 3; }
uint64_t Device::registryID() const { return 1; }
bool Device::supportsFamily(MTL::GPUFamily f) {
  return (f >= GPUFamilyApple1 && f <= GPUFamilyApple8) || f == GPUFamilyMac2 || f <= GPUFamilyCommon3 || f == GPUFamilyMetal3;
}

// ---- captures: a text file with a line for each dispatch

CaptureDescriptor* CaptureDescriptor::alloc() { return handle<CaptureDescriptor>(new CaptureDescriptorObject); }
CaptureDescriptor* CaptureDescriptor::init() { return this; }
NS::Object* CaptureDescriptor::captureObject() const { return handle<NS::Object>(of(this).object.get()); }
CaptureDestination CaptureDescriptor::destination() const { return of(this).destination; }
NS::URL* CaptureDescriptor::outputURL() const { return handle<NS::URL>(of(this).url.get()); }
void CaptureDescriptor::setCaptureObject(NS::Object* o) { of(this).object = Ref<mx::metal::host::Object>(as_object(o)); }
void CaptureDescriptor::setDestination(MTL::CaptureDestination d) { of(this).destination = d; }
void CaptureDescriptor::setOutputURL(const NS::URL* url) { of(this).url = Ref<UrlObject>(cast<UrlObject>(url)); }

CaptureManager* CaptureManager::alloc() { return handle<CaptureManager>(new CaptureManagerObject); }
CaptureManager* CaptureManager::init() { return this; }
bool CaptureManager::isCapturing() const { return capturing(); }
CaptureManager* CaptureManager::sharedCaptureManager() {
  static auto* m = new CaptureManagerObject;
  return handle<CaptureManager>(m);
}
bool CaptureManager::supportsDestination(MTL::CaptureDestination d) {
  const char* on = std::getenv("MTL_CAPTURE_ENABLED");
  return d == CaptureDestinationGPUTraceDocument && on && *on == '1';
}
bool CaptureManager::startCapture(const MTL::CaptureDescriptor* descriptor, NS::Error** error) {
  auto& d = of(descriptor);
  auto fail = [&](CaptureError code, const std::string& message) {
    set_error(error, "MTLCaptureError", code, message);
    return false;
  };
  if (!supportsDestination(d.destination)) return fail(CaptureErrorNotSupported, "captures need MTL_CAPTURE_ENABLED=1");
  if (!d.object) return fail(CaptureErrorInvalidDescriptor, "nothing to capture");
  std::error_code ignored;
  if (!d.url || std::filesystem::path(d.url->path).extension() != ".gputrace" || std::filesystem::exists(d.url->path, ignored)) {
    return fail(CaptureErrorInvalidDescriptor, "the output must be a new file whose name ends in .gputrace");
  }
  Record& r = the_record();
  std::lock_guard lock(r.mutex);
  if (r.capturing) return fail(CaptureErrorAlreadyCapturing, "a capture is under way");
  r.file.open(d.url->path);
  if (!r.file) return fail(CaptureErrorInvalidDescriptor, "cannot write " + d.url->path);
  r.capturing = true;
  return true;
}
void CaptureManager::stopCapture() {
  Record& r = the_record();
  std::lock_guard lock(r.mutex);
  if (r.capturing) r.file.close();
  r.capturing = false;
}

}  // namespace MTL
