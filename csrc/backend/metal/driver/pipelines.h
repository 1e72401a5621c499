// pipelines.h — compiled kernels: by name from the library that the build made, or from source that is compiled at run time.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "backend/metal/driver/objects.h"
#include "backend/metal/plan/launch.h"

namespace mx::metal {

class Pipelines {
 public:
  explicit Pipelines(MTL::Device* device) : device_(device) {}

  /// The pipeline of a launch of `plan`, made when it is first asked for and kept. Thread-safe. Throws BackendError, for
  /// sources with the compiler's messages.
  MTL::ComputePipelineState* get(const Launch& launch, const Plan& plan);

 private:
  struct Library {
    Ref<MTL::Library> library;
    std::string archive;  ///< File that keeps the machine code; empty: none.
    int id = 0;
  };
  Library& built();
  Library& compiled(const Source& source);
  Ref<MTL::Function> function(const Launch& launch, MTL::Library& library);
  Ref<MTL::ComputePipelineState> make(const Launch& launch, Library& library);

  MTL::Device* device_;
  std::mutex lock_;
  Library built_;
  std::unordered_map<std::string, Library> compiled_;  ///< By text, after one character for the options.
  std::unordered_map<std::string, Ref<MTL::ComputePipelineState>> pipelines_;
  std::string key_;
};

/// The file of the library that the build made: beside the code that this is linked into, or $MXFORM_METALLIB.
std::string library_path();

}  // namespace mx::metal
