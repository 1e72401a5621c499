// backend.h — what the scheduler asks of a backend, and the registry that backends.cpp fills.
#pragma once

#include <span>

#include "graph/primitive.h"
#include "runtime/allocator.h"

namespace mx {

/// One call, ready to run: inputs available, outputs with storage (row-contiguous unless the primitive
/// made them otherwise). Inputs may have any strides, stride 0 included. The output of an elementwise
/// primitive may share memory with one input of the same layout, that of an update with input 0.
struct Task {
  const Primitive& primitive;
  const Params& params;
  std::span<const array> in;
  std::span<array> out;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  virtual CachingAllocator& allocator() = 0;
  virtual bool has_kernel(const Primitive& primitive) const = 0;
  /// Runs or enqueues. Throws IndexError, BackendError, ...; then the outputs stay unevaluated.
  virtual void run(const Task& task, Stream stream) = 0;
  /// Returns when all work given to `stream` is done.
  virtual void synchronize(Stream stream) = 0;
};

/// The backend of a device kind; throws BackendError when this build has none.
Backend& backend(Device::Kind kind);
bool has_backend(Device::Kind kind);
void register_backend(Device::Kind kind, Backend& backend);
/// Registers every backend of this build (backends.cpp). Safe to call again.
void register_backends();

}  // namespace mx
