// api_queue.h — making queues and events, for the device.
#pragma once

#include "api_metal.h"

namespace mx::metal::host {

MTL::CommandQueue* new_queue(size_t max_command_buffers);
MTL::Event* new_event();
MTL::SharedEvent* new_shared_event();
MTL::Fence* new_fence();

}  // namespace mx::metal::host
