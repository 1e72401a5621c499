// api.h — what tests may ask the host double of <Metal/Metal.hpp>, besides Metal's own interface: which faults its validation
// found, how strict and how adversarial it is to be.
//
// A fault never ends the program. One that concerns a command buffer also becomes that buffer's error (its work is then not
// done, or not all of it); any other becomes the error of the next command buffer that is committed, so that it cannot go unnoticed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mx::metal::host {

/// Something that Metal's validation would refuse, or that a GPU would do wrong without a word.
struct Fault {
  std::string kind;     ///< "unset-buffer", "hazard", ...; tests/cpp/metal_double_test.cpp shows each.
  std::string message;  ///< Names the kernel and the slot where there are any.
};

/// All faults since the last call.
std::vector<Fault> take_faults();
size_t fault_count();

struct Options {
  /// A fault outside any command buffer becomes the error of the next one (MXFORM_METAL_STRICT=0: it is only recorded).
  bool strict = true;
  /// Every buffer bound must be in a committed residency set, if its queue has one (Metal itself would bring it in by itself).
  bool require_residency = false;
  /// Dispatches that a barrier does not separate run in an order drawn from this; 0: as encoded (MXFORM_METAL_ORDER).
  uint64_t order = 0;
  /// Command buffers start this much later than they could, at most; drawn from `order` (MXFORM_METAL_LATE, microseconds).
  uint64_t late_us = 0;
  /// Dispatches that may conflict, as far as their bindings tell, are run again backwards if they have no more threads than this
  /// together; what comes out must be the same.
  uint64_t replay_threads = 1 << 15;
  size_t replay_bytes = 16 << 20;  ///< The most memory that is copied for that.
  uint64_t max_operations = 512;   ///< Dispatches in a command buffer.
  uint64_t event_timeout_ms = 60'000;  ///< Longest wait for an event or a free command buffer (MXFORM_METAL_TIMEOUT, in ms).
  uint64_t max_buffer_length = uint64_t(16) << 30;
};
/// To be changed while no work is under way. Begins as the environment says.
Options& options();

/// Objects that are alive, by class ("MTL::Buffer"), or of all classes for "".
int64_t live_objects(const std::string& type);

/// Kernels that were run since the last call, with their threads, in the order in which they ran. Recorded from the first call on.
struct Ran {
  std::string kernel;
  uint64_t threads;
};
std::vector<Ran> take_history();

}  // namespace mx::metal::host

// For those who load the program as a library (Python's ctypes).
extern "C" {
size_t mxform_metal_fault_count();
/// Writes the messages of all faults, one a line, and forgets them; returns how many there were.
size_t mxform_metal_take_faults(char* text, size_t n_bytes);
}
