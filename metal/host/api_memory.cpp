// api_memory.cpp — buffers, heaps and residency sets of the double. All memory is shared storage of this process.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "api_memory.h"

namespace mx::metal::host {
namespace {

std::atomic<size_t> in_use{0};

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Zeros, as Metal gives them. Mapped, so that memory nobody touches costs nothing; an Apple page is at most so large.
std::byte* map_memory(size_t n) {
  constexpr size_t kPage = 16 << 10;
  n = round_up(n, kPage);
  void* p = mmap(nullptr, n + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto at = reinterpret_cast<uintptr_t>(p), begin = round_up(at, kPage);
  if (begin > at) munmap(p, begin - at);
  if (at + kPage > begin) munmap(reinterpret_cast<void*>(begin + n), at + kPage - begin);
  in_use += n;
  return reinterpret_cast<std::byte*>(begin);
}
void unmap_memory(std::byte* p, size_t n) {
  n = round_up(n, 16 << 10);
  munmap(p, n);
  in_use -= n;
}

bool untracked(MTL::ResourceOptions o) { return o & MTL::ResourceHazardTrackingModeUntracked; }
MTL::StorageMode storage(MTL::ResourceOptions o) { return static_cast<MTL::StorageMode>(o >> 4 & 15); }

void check_options(MTL::ResourceOptions o, const char* method) {
  if (untracked(o) && (o & MTL::ResourceHazardTrackingModeTracked)) fault("options", std::string(method) + ": hazard tracking is both on and off");
  if (storage(o) == MTL::StorageModeMemoryless) fault("options", std::string(method) + ": memoryless storage is for textures");
}

BufferObject* blank(size_t length, MTL::ResourceOptions options_, const char* method) {
  if (length == 0) {
    fault("zero-length", std::string(method) + ": a buffer of 0 bytes");
    return nullptr;
  }
  if (length > options().max_buffer_length) return nullptr;
  check_options(options_, method);
  auto* b = new BufferObject;
  b->length = length;
  b->options = options_;
  b->tracked = !untracked(options_);
  return b;
}

}  // namespace

size_t memory_in_use() { return in_use; }

MTL::Buffer* new_buffer(size_t length, MTL::ResourceOptions options) {
  BufferObject* b = blank(length, options, "newBuffer");
  if (!b) return nullptr;
  b->memory = BufferObject::own;
  b->data = map_memory(length);
  if (b->data) return handle<MTL::Buffer>(b);
  release(b);
  return nullptr;
}

MTL::Buffer* new_foreign_buffer(const void* pointer, size_t length, MTL::ResourceOptions options) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (!pointer) {
    fault("null", "newBuffer without copy: the memory is null");
    return nullptr;
  }
  if (reinterpret_cast<uintptr_t>(pointer) % page || length % page) {
    fault("no-copy-alignment", "newBuffer without copy: address and length (" + std::to_string(length) + " bytes) must be multiples of the page, " +
                                   std::to_string(page) + " bytes");
    return nullptr;
  }
  BufferObject* b = blank(length, options, "newBuffer without copy");
  if (!b) return nullptr;
  b->data = static_cast<std::byte*>(const_cast<void*>(pointer));
  return handle<MTL::Buffer>(b);
}

MTL::Heap* new_heap(const MTL::HeapDescriptor* descriptor) {
  if (!descriptor || descriptor->size() == 0) {
    fault("zero-length", "newHeap: a heap of 0 bytes");
    return nullptr;
  }
  auto* h = new HeapObject;
  h->size = round_up(descriptor->size(), 16 << 10);
  h->heap_type = descriptor->type();
  h->options = descriptor->resourceOptions();
  h->tracked = descriptor->hazardTrackingMode() == MTL::HazardTrackingModeTracked;  // untracked by default, unlike buffers
  h->data = map_memory(h->size);
  return handle<MTL::Heap>(h);
}

void HeapObject::die() {
  if (data) unmap_memory(data, size);
  data = nullptr;
}

void BufferObject::die() {
  if (memory == own && data) unmap_memory(data, length);
  if (memory == of_heap) {
    std::lock_guard lock(heap->mutex);
    heap->pieces.erase(heap_offset);
  }
  if (memory != foreign) data = nullptr;
  heap = {};
}

void ResidencySetObject::die() {
  for (auto& [key, a] : committed) --a->resident;
  committed.clear();
  pending.clear();
}

}  // namespace mx::metal::host

namespace MTL {
using namespace mx::metal::host;

// ---- resources

NS::UInteger Allocation::allocatedSize() const { return self<AllocationObject>(this, "Allocation::allocatedSize").n_bytes(); }
NS::UInteger Resource::allocatedSize() const { return self<ResourceObject>(this, "Resource::allocatedSize").n_bytes(); }
CPUCacheMode Resource::cpuCacheMode() const { return static_cast<CPUCacheMode>(resourceOptions() & 15); }
Device* Resource::device() const { return the_device(); }
HazardTrackingMode Resource::hazardTrackingMode() const {
  return self<ResourceObject>(this, "Resource::hazardTrackingMode").tracked ? HazardTrackingModeTracked : HazardTrackingModeUntracked;
}
Heap* Resource::heap() const { return handle<Heap>(self<BufferObject>(this, "Resource::heap").heap.get()); }
NS::UInteger Resource::heapOffset() const { return self<BufferObject>(this, "Resource::heapOffset").heap_offset; }
NS::String* Resource::label() const { return mx::metal::host::string(self<ResourceObject>(this, "Resource::label").label); }
ResourceOptions Resource::resourceOptions() const { return self<ResourceObject>(this, "Resource::resourceOptions").options; }
void Resource::setLabel(const NS::String* s) { self<ResourceObject>(this, "Resource::setLabel").label = text(s); }
PurgeableState Resource::setPurgeableState(MTL::PurgeableState) { return PurgeableStateNonVolatile; }
StorageMode Resource::storageMode() const { return storage(resourceOptions()); }

void* Buffer::contents() {
  auto& b = self<BufferObject>(this, "Buffer::contents");
  if (storage(b.options) != StorageModePrivate) return b.data;
  fault("private-contents", "Buffer::contents: the CPU cannot reach private storage");
  return nullptr;
}
void Buffer::didModifyRange(NS::Range) {
  if (storage(self<BufferObject>(this, "Buffer::didModifyRange").options) != StorageModeManaged) {
    fault("did-modify", "Buffer::didModifyRange: only managed storage is to be told");
  }
}
GPUAddress Buffer::gpuAddress() const { return reinterpret_cast<GPUAddress>(self<BufferObject>(this, "Buffer::gpuAddress").data); }
NS::UInteger Buffer::length() const { return self<BufferObject>(this, "Buffer::length").length; }

// ---- heaps

namespace {
struct HeapDescriptorObject : mx::metal::host::Object {
  static constexpr const char* kType = "MTL::HeapDescriptor";
  HeapDescriptorObject() : Object(kType) {}
  size_t size = 0;
  HeapType type_ = HeapTypeAutomatic;
  ResourceOptions options = ResourceStorageModePrivate;
  HazardTrackingMode tracking = HazardTrackingModeDefault;
};
auto& of(const HeapDescriptor* d) { return self<HeapDescriptorObject>(d, "HeapDescriptor"); }
auto& of(const Heap* h) { return self<HeapObject>(h, "Heap"); }
}  // namespace

HeapDescriptor* HeapDescriptor::alloc() { return handle<HeapDescriptor>(new HeapDescriptorObject); }
HeapDescriptor* HeapDescriptor::init() { return this; }
HazardTrackingMode HeapDescriptor::hazardTrackingMode() const {
  if (of(this).tracking != HazardTrackingModeDefault) return of(this).tracking;
  return static_cast<HazardTrackingMode>(of(this).options >> 8 & 3);
}
ResourceOptions HeapDescriptor::resourceOptions() const { return of(this).options; }
void HeapDescriptor::setHazardTrackingMode(MTL::HazardTrackingMode m) { of(this).tracking = m; }
void HeapDescriptor::setResourceOptions(MTL::ResourceOptions o) { of(this).options = o; }
void HeapDescriptor::setSize(NS::UInteger n) { of(this).size = n; }
void HeapDescriptor::setStorageMode(MTL::StorageMode m) { of(this).options = (of(this).options & ~ResourceOptions(0xf0)) | ResourceOptions(m) << 4; }
void HeapDescriptor::setType(MTL::HeapType t) { of(this).type_ = t; }
NS::UInteger HeapDescriptor::size() const { return of(this).size; }
StorageMode HeapDescriptor::storageMode() const { return storage(of(this).options); }
HeapType HeapDescriptor::type() const { return of(this).type_; }

NS::UInteger Heap::currentAllocatedSize() const { return of(this).size; }
Device* Heap::device() const { return the_device(); }
HazardTrackingMode Heap::hazardTrackingMode() const { return of(this).tracked ? HazardTrackingModeTracked : HazardTrackingModeUntracked; }
NS::String* Heap::label() const { return mx::metal::host::string(of(this).label); }
NS::UInteger Heap::maxAvailableSize(NS::UInteger alignment) {
  auto& h = of(this);
  std::lock_guard lock(h.mutex);
  size_t at = 0, most = 0;
  for (auto& [offset, n] : h.pieces) {
    size_t begin = round_up(at, std::max<size_t>(alignment, 1));
    if (offset > begin) most = std::max(most, offset - begin);
    at = offset + n;
  }
  size_t begin = round_up(at, std::max<size_t>(alignment, 1));
  return std::max(most, h.size > begin ? h.size - begin : 0);
}
Buffer* Heap::newBuffer(NS::UInteger length, MTL::ResourceOptions options_) {
  auto& h = of(this);
  if (h.heap_type == HeapTypePlacement) {
    fault("heap-placement", "Heap::newBuffer: a placement heap needs an offset");
    return nullptr;
  }
  size_t n = round_up(length, 256), at = 0;
  std::lock_guard lock(h.mutex);
  for (auto& [offset, taken] : h.pieces) {
    if (offset >= at + n) break;
    at = offset + taken;
  }
  if (at + n > h.size) return nullptr;
  BufferObject* b = blank(length, options_, "Heap::newBuffer");
  if (!b) return nullptr;
  b->memory = BufferObject::of_heap;
  b->heap = Ref<HeapObject>(&h);
  b->heap_offset = at;
  b->data = h.data + at;
  b->tracked = h.tracked;
  h.pieces[at] = n;
  return handle<Buffer>(b);
}
Buffer* Heap::newBuffer(NS::UInteger length, MTL::ResourceOptions options_, NS::UInteger offset) {
  auto& h = of(this);
  if (h.heap_type != HeapTypePlacement || offset % 256 || offset + length > h.size) {
    fault("heap-placement", "Heap::newBuffer: bytes " + std::to_string(offset) + " to " + std::to_string(offset + length) + " of a heap of " +
                                std::to_string(h.size) + "; need a placement heap, and an offset that is a multiple of 256");
    return nullptr;
  }
  BufferObject* b = blank(length, options_, "Heap::newBuffer");
  if (!b) return nullptr;
  b->memory = BufferObject::of_heap;
  b->heap = Ref<HeapObject>(&h);
  b->heap_offset = offset;
  b->data = h.data + offset;
  b->tracked = h.tracked;
  return handle<Buffer>(b);
}
ResourceOptions Heap::resourceOptions() const { return of(this).options; }
void Heap::setLabel(const NS::String* s) { of(this).label = text(s); }
PurgeableState Heap::setPurgeableState(MTL::PurgeableState) { return PurgeableStateNonVolatile; }
NS::UInteger Heap::size() const { return of(this).size; }
StorageMode Heap::storageMode() const { return storage(of(this).options); }
HeapType Heap::type() const { return of(this).heap_type; }
NS::UInteger Heap::usedSize() const {
  auto& h = of(this);
  std::lock_guard lock(h.mutex);
  size_t n = 0;
  for (auto& [offset, taken] : h.pieces) n += taken;
  return n;
}

// ---- residency sets

namespace {
struct ResidencySetDescriptorObject : mx::metal::host::Object {
  static constexpr const char* kType = "MTL::ResidencySetDescriptor";
  ResidencySetDescriptorObject() : Object(kType) {}
  size_t capacity = 0;
};
auto& of(const ResidencySetDescriptor* d) { return self<ResidencySetDescriptorObject>(d, "ResidencySetDescriptor"); }
auto& of(const ResidencySet* s) { return self<ResidencySetObject>(s, "ResidencySet"); }
}  // namespace

ResidencySetDescriptor* ResidencySetDescriptor::alloc() { return handle<ResidencySetDescriptor>(new ResidencySetDescriptorObject); }
ResidencySetDescriptor* ResidencySetDescriptor::init() { return this; }
NS::UInteger ResidencySetDescriptor::initialCapacity() const { return of(this).capacity; }
NS::String* ResidencySetDescriptor::label() const { return mx::metal::host::string(of(this).label); }
void ResidencySetDescriptor::setInitialCapacity(NS::UInteger n) { of(this).capacity = n; }
void ResidencySetDescriptor::setLabel(const NS::String* s) { of(this).label = text(s); }

void ResidencySet::addAllocation(const MTL::Allocation* allocation) {
  auto& s = of(this);
  auto* a = argument<AllocationObject>(allocation, "ResidencySet::addAllocation");
  if (!a) return;
  std::lock_guard lock(s.mutex);
  s.pending[a] = Ref<AllocationObject>(a);
  s.changed = true;
}
void ResidencySet::addAllocations(const MTL::Allocation* const allocations[], NS::UInteger count) {
  for (NS::UInteger i = 0; i < count; ++i) addAllocation(allocations[i]);
}
NS::Array* ResidencySet::allAllocations() const {
  auto& s = of(this);
  std::vector<const NS::Object*> all;
  std::lock_guard lock(s.mutex);
  for (auto& [key, a] : s.pending) all.push_back(handle<NS::Object>(a.get()));
  return NS::Array::array(all.data(), all.size());
}
uint64_t ResidencySet::allocatedSize() const {
  auto& s = of(this);
  std::lock_guard lock(s.mutex);
  uint64_t n = 0;
  for (auto& [key, a] : s.pending) n += a->n_bytes();
  return n;
}
NS::UInteger ResidencySet::allocationCount() const {
  auto& s = of(this);
  std::lock_guard lock(s.mutex);
  return s.pending.size();
}
void ResidencySet::commit() {
  auto& s = of(this);
  std::map<AllocationObject*, Ref<AllocationObject>> old;  // let go of without the lock
  size_t n = 0;
  {
    std::lock_guard lock(s.mutex);
    for (auto& [key, a] : s.pending) {
      ++a->resident;
      n += a->n_bytes();
    }
    for (auto& [key, a] : s.committed) --a->resident;
    old = std::exchange(s.committed, s.pending);
    s.changed = false;
  }
  if (n > the_device()->recommendedMaxWorkingSetSize()) {
    fault("residency-size", "ResidencySet::commit: " + std::to_string(n) + " bytes, more than the device recommends to keep resident");
  }
}
bool ResidencySet::containsAllocation(const MTL::Allocation* allocation) {
  auto& s = of(this);
  std::lock_guard lock(s.mutex);
  return s.pending.count(cast<AllocationObject>(allocation)) != 0;
}
Device* ResidencySet::device() const { return the_device(); }
void ResidencySet::endResidency() {}
NS::String* ResidencySet::label() const { return mx::metal::host::string(of(this).label); }
void ResidencySet::removeAllAllocations() {
  auto& s = of(this);
  std::map<AllocationObject*, Ref<AllocationObject>> old;
  std::lock_guard lock(s.mutex);
  old.swap(s.pending);
  s.changed = true;
}
void ResidencySet::removeAllocation(const MTL::Allocation* allocation) {
  auto& s = of(this);
  auto* a = argument<AllocationObject>(allocation, "ResidencySet::removeAllocation");
  std::map<AllocationObject*, Ref<AllocationObject>>::node_type old;
  {
    std::lock_guard lock(s.mutex);
    old = s.pending.extract(a);
    s.changed = true;
  }
  if (a && old.empty()) fault("residency-remove", "ResidencySet::removeAllocation: the set does not hold this " + a->name());
}
void ResidencySet::removeAllocations(const MTL::Allocation* const allocations[], NS::UInteger count) {
  for (NS::UInteger i = 0; i < count; ++i) removeAllocation(allocations[i]);
}
void ResidencySet::requestResidency() {}

}  // namespace MTL
