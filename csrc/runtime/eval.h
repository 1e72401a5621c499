// eval.h — computing values, and waiting for them.
#pragma once

#include "graph/array.h"

namespace mx {

/// Computes `arrays` and all they need. Throws what a kernel throws; what was computed until then stays.
void eval(std::span<const array> arrays);
inline void eval(const Arrays& arrays) { eval(std::span<const array>(arrays)); }
inline void eval(std::initializer_list<array> arrays) { eval(std::span<const array>(arrays.begin(), arrays.size())); }

/// As eval, in the background. An error appears when the value is asked for.
void async_eval(Arrays arrays);

/// Waits for all background work and for the stream.
void synchronize(Stream stream);

/// Throws the error that is being handled anew, with the place where its call was made at its end.
[[noreturn]] void rethrow_with_origin(const std::string& origin);

/// Called around every wait and computation: the Python layer releases its lock there.
struct BlockingHooks {
  void* (*enter)() = nullptr;
  void (*leave)(void*) = nullptr;
  void (*poll)() = nullptr;  ///< Called by long loops every few milliseconds; throws to end the computation.
};
void set_blocking_hooks(BlockingHooks hooks);
const BlockingHooks& blocking_hooks();

}  // namespace mx
