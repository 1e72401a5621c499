// api_memory.h — making buffers and heaps, for the device.
#pragma once

#include "api_metal.h"

namespace mx::metal::host {

/// Null beyond the longest buffer of the options, or where there is no memory.
MTL::Buffer* new_buffer(size_t length, MTL::ResourceOptions options);
/// Over memory that stays the caller's.
MTL::Buffer* new_foreign_buffer(const void* pointer, size_t length, MTL::ResourceOptions options);
MTL::Heap* new_heap(const MTL::HeapDescriptor* descriptor);
/// Bytes of all buffers and heaps.
size_t memory_in_use();

}  // namespace mx::metal::host
