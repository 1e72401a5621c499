// memory.cpp — buffers in shared storage, slabs of small blocks, the residency set, wrapped foreign memory.

#include "backend/metal/driver/memory.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

namespace mx::metal {

namespace {

constexpr size_t kLargestPiece = 64 << 10;
constexpr size_t kSlab = 256 << 10;
// The queue orders its work by a fence, and by barriers within an encoder.
constexpr MTL::ResourceOptions kOptions = MTL::ResourceStorageModeShared | MTL::ResourceHazardTrackingModeUntracked;

uintptr_t number(const void* p) { return reinterpret_cast<uintptr_t>(p); }
void* pointer(uintptr_t n) { return reinterpret_cast<void*>(n); }

bool is_forked = false;
std::mutex* fork_lock = nullptr;

}  // namespace

bool forked() { return is_forked; }
void refuse_forked(const char* op) {
  throw BackendError(cat("[", op, "] the GPU cannot be used in a process made by fork(), since its parent had begun to use it; use the CPU there "
                         "(mx.set_default_device(mx.cpu)), or start processes by 'spawn'."));
}

Memory::Memory(MTL::Device* device) : device_(device) {
  AutoreleaseScope scope;
  if (macos_at_least(15)) {
    Ref d(MTL::ResidencySetDescriptor::alloc()->init());
    NS::Error* error = nullptr;
    residency_ = Ref(device_->newResidencySet(d.get(), &error));
  }
  // Another thread may hold the lock while this one forks. The allocator's lock is taken before ours, since its handlers
  // are registered later.
  fork_lock = &lock_;
  pthread_atfork([] { fork_lock->lock(); }, [] { fork_lock->unlock(); },
                 [] {
                   is_forked = true;
                   fork_lock->unlock();
                 });
}

Memory::Regions::iterator Memory::add_region(size_t n_bytes) {
  Ref buffer(device_->newBuffer(n_bytes, kOptions));
  if (!buffer) return regions_.end();
  uintptr_t begin = number(buffer->contents());
  auto it = regions_.emplace(begin, Region{std::move(buffer), n_bytes, nullptr}).first;
  allocated_ += n_bytes;
  wire(it->second);
  return it;
}

void Memory::remove_region(Regions::iterator it) {
  unwire(it->second);
  allocated_ -= it->second.n_bytes;
  regions_.erase(it);
}

void Memory::wire(Region& r) {
  if (!residency_ || wired_ + r.n_bytes > wired_limit_) return;
  residency_->addAllocation(r.buffer.get());
  wired_ += r.n_bytes;
  r.wired = residency_changed_ = true;
}

void Memory::unwire(Region& r) {
  if (!r.wired) return;
  residency_->removeAllocation(r.buffer.get());
  wired_ -= r.n_bytes;
  r.wired = false;
  residency_changed_ = true;
}

void* Memory::allocate(size_t n_bytes) {
  if (forked()) {
    // The CPU still computes in a forked child.
    void* block = nullptr;
    return posix_memalign(&block, 4096, n_bytes) == 0 ? block : nullptr;
  }
  AutoreleaseScope scope;
  std::lock_guard guard(lock_);
  if (n_bytes <= kLargestPiece) return allocate_piece(n_bytes);
  if (n_bytes > device_->maxBufferLength()) return nullptr;
  auto it = add_region(n_bytes);
  return it == regions_.end() ? nullptr : pointer(it->first);
}

void* Memory::allocate_piece(size_t n_bytes) {
  size_t block = std::max<size_t>(64, (n_bytes + 63) & ~size_t(63));
  std::vector<uintptr_t>& roomy = roomy_[block];
  if (roomy.empty()) {
    auto it = add_region(kSlab);
    if (it == regions_.end()) return nullptr;
    auto count = static_cast<uint32_t>(kSlab / block);
    it->second.slab = std::make_unique<Slab>(Slab{block, count, {}});
    for (uint32_t i = count; i-- > 0;) it->second.slab->vacant.push_back(i);
    roomy.push_back(it->first);
  }
  uintptr_t begin = roomy.back();
  Slab& slab = *regions_.at(begin).slab;
  uint32_t i = slab.vacant.back();
  slab.vacant.pop_back();
  if (slab.vacant.empty()) roomy.pop_back();
  return pointer(begin + i * block);
}

void Memory::free(void* block, size_t) {
  uintptr_t at = number(block);
  std::unique_lock guard(lock_, std::defer_lock);
  std::optional<AutoreleaseScope> scope;
  if (!forked()) {
    guard.lock();
    scope.emplace();
  }
  auto it = regions_.upper_bound(at);
  bool ours = it != regions_.begin() && at < std::prev(it)->first + std::prev(it)->second.n_bytes;
  if (forked()) {
    if (!ours) std::free(block);  // what the parent made stays
    return;
  }
  if (!ours) return;
  --it;
  Slab* slab = it->second.slab.get();
  if (!slab) return remove_region(it);
  if (slab->vacant.empty()) roomy_[slab->block].push_back(it->first);
  slab->vacant.push_back(static_cast<uint32_t>((at - it->first) / slab->block));
  if (slab->vacant.size() == slab->count) {
    std::erase(roomy_[slab->block], it->first);
    remove_region(it);
  }
}

Place Memory::find(const void* address) const {
  uintptr_t at = number(address);
  std::lock_guard guard(lock_);
  auto it = regions_.upper_bound(at);
  if (it == regions_.begin()) return {};
  --it;
  size_t offset = at - it->first;
  return offset < it->second.n_bytes ? Place{it->second.buffer.get(), offset} : Place{};
}

std::shared_ptr<MTL::Buffer> Memory::wrap(const BufferRef& owner, Range bytes) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  // The pages around it are mapped: each holds some of it.
  uintptr_t begin = bytes.begin & ~(page - 1), end = (bytes.end + page - 1) & ~(page - 1);
  std::lock_guard guard(wrapped_lock_);
  Wrapped& w = wrapped_[{begin, end}];
  if (w.buffer && !w.owner.owner_before(owner) && !owner.owner_before(w.owner)) return w.buffer;
  MTL::Buffer* made = end - begin <= device_->maxBufferLength() ? device_->newBuffer(pointer(begin), end - begin, kOptions, nullptr) : nullptr;
  if (!made) {
    wrapped_.erase({begin, end});
    return nullptr;
  }
  w = {owner, std::shared_ptr<MTL::Buffer>(made, [](MTL::Buffer* b) { b->release(); })};
  return w.buffer;
}

void Memory::forget_wrapped() {
  std::lock_guard guard(wrapped_lock_);
  std::erase_if(wrapped_, [](auto& entry) { return entry.second.owner.expired(); });
}

size_t Memory::set_wired_limit(size_t n_bytes) {
  AutoreleaseScope scope;
  if (n_bytes > device_->recommendedMaxWorkingSetSize()) {
    throw ValueError(cat("[set_wired_limit] limit is ", n_bytes, " bytes; need at most ", device_->recommendedMaxWorkingSetSize(),
                         ", what this device recommends."));
  }
  std::lock_guard guard(lock_);
  size_t before = std::exchange(wired_limit_, n_bytes);
  for (auto& [address, r] : regions_) {
    if (wired_ > n_bytes) unwire(r);
  }
  for (auto& [address, r] : regions_) {
    if (!r.wired) wire(r);
  }
  return before;
}

void Memory::commit_residency() {
  std::lock_guard guard(lock_);
  if (residency_ && std::exchange(residency_changed_, false)) residency_->commit();
}

size_t Memory::allocated() const {
  std::lock_guard guard(lock_);
  return allocated_;
}

}  // namespace mx::metal
