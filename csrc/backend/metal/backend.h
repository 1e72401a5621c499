// backend.h — the GPU's backend as others see it: composition (backends.cpp) and bindings.
#pragma once

#include <map>
#include <set>
#include <string>
#include <variant>

#include "runtime/backend.h"

namespace mx::metal {

/// Whether there is a GPU that Metal can use: a real one, or its double in a test build.
bool available();
/// Whether new arrays should go there unless somebody says otherwise: a real one.
bool preferred();
Backend& instance();
/// Memory that CPU and GPU share, for the allocator of both.
RawMemory& memory();

/// Whether the GPU has kernels for a primitive; calls of others run on the CPU.
bool has_planner(const Primitive& primitive);
/// Which primitives have been launched on the GPU since the last call, by name. The first call begins the record.
std::set<std::string> launched();

/// What is known of the device, by name.
std::map<std::string, std::variant<std::string, size_t>> device_info();
/// Sets how many bytes may stay resident between command buffers; returns the limit before.
size_t set_wired_limit(size_t n_bytes);
/// Records the GPU's work to a .gputrace file, until stop_capture(). Throws BackendError where that is not possible.
void start_capture(const std::string& path);
void stop_capture();

}  // namespace mx::metal
