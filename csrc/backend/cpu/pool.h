// pool.h — the thread pool. A region of work is cut into chunks; whoever is awake claims them one by one,
// so the caller finishes alone if no worker has started yet. Start at parallel_for().
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace mx::cpu {

/// Threads that work together, the caller included: MXFORM_NUM_THREADS, else the CPUs this process may use.
int n_threads();

namespace detail {
using RangeFn = void (*)(void* f, int64_t begin, int64_t end);
void run_region(int64_t n, int64_t grain, RangeFn fn, void* f);
}  // namespace detail

/// Calls `f(begin, end)` for pieces that cover [0, n), perhaps on several threads at once. `grain` is the
/// smallest piece worth a thread: about 5 microseconds of work or more. Every begin is a multiple of `grain`; where the pieces
/// end depends on the number of threads, so partial results must belong to blocks of `grain`, not to calls.
/// The first exception thrown by a piece is rethrown here after all pieces have ended; pieces not yet
/// begun are then skipped. Inside another parallel_for it runs on the calling thread.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  if (n <= 0) return;
  if (n <= grain) {
    f(int64_t(0), n);
    return;
  }
  using Fn = std::remove_reference_t<F>;
  detail::run_region(
      n, grain, [](void* g, int64_t begin, int64_t end) { (*static_cast<Fn*>(g))(begin, end); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

}  // namespace mx::cpu
