// memory.h — memory that CPU and GPU share: where the allocator's blocks come from, and which MTLBuffer an address lies in.
//
// Small blocks are pieces of slabs, large ones have a buffer each. Memory that others made (NumPy, mapped files) is wrapped
// without a copy where that is possible.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "backend/metal/driver/objects.h"
#include "backend/metal/driver/ranges.h"
#include "runtime/allocator.h"

namespace mx::metal {

/// A piece of a buffer.
struct Place {
  MTL::Buffer* buffer = nullptr;
  size_t offset = 0;
};

class Memory final : public RawMemory {
 public:
  explicit Memory(MTL::Device* device);

  void* allocate(size_t n_bytes) override;
  void free(void* block, size_t n_bytes) override;

  /// Where an address is; no buffer if the memory is not ours.
  Place find(const void* address) const;
  /// A buffer over the pages around memory that someone else made, or none. It is kept while `owner` lives; who uses it in work for
  /// the GPU holds on to both until that is done.
  std::shared_ptr<MTL::Buffer> wrap(const BufferRef& owner, Range bytes);
  /// Forgets wrapped memory whose owner is gone.
  void forget_wrapped();

  /// How much may stay resident between command buffers; returns the limit before. Throws ValueError beyond what the device
  /// recommends.
  size_t set_wired_limit(size_t n_bytes);
  MTL::ResidencySet* residency() const { return residency_.get(); }
  /// Makes changes of the set known, before work is committed.
  void commit_residency();

  /// Of all buffers, in bytes.
  size_t allocated() const;

 private:
  struct Slab {
    size_t block;                  ///< Bytes of each piece.
    uint32_t count;
    std::vector<uint32_t> vacant;  ///< Numbers of pieces.
  };
  struct Region {
    Ref<MTL::Buffer> buffer;
    size_t n_bytes;
    std::unique_ptr<Slab> slab;    ///< Null: one block.
    bool wired = false;
  };
  using Regions = std::map<uintptr_t, Region>;

  Regions::iterator add_region(size_t n_bytes);
  void remove_region(Regions::iterator it);
  void wire(Region& region);
  void unwire(Region& region);
  void* allocate_piece(size_t n_bytes);

  MTL::Device* device_;
  Ref<MTL::ResidencySet> residency_;
  mutable std::mutex lock_;
  Regions regions_;                                                       ///< By their first address.
  std::unordered_map<size_t, std::vector<uintptr_t>> roomy_;              ///< Slabs with vacant pieces, by size of piece.
  size_t allocated_ = 0, wired_ = 0, wired_limit_ = 0;
  bool residency_changed_ = false;

  struct Wrapped {
    std::weak_ptr<Buffer> owner;
    std::shared_ptr<MTL::Buffer> buffer;
  };
  std::mutex wrapped_lock_;
  std::map<std::pair<uintptr_t, uintptr_t>, Wrapped> wrapped_;            ///< By the pages they cover.
};

}  // namespace mx::metal
