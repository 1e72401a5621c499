// api_code.h — making libraries, pipelines and archives, for the device.
#pragma once

#include "api_metal.h"

namespace mx::metal::host {

MTL::Library* load_library(const std::string& path, NS::Error** error);
MTL::Library* compile_library(const NS::String* source, const MTL::CompileOptions* options, NS::Error** error);
MTL::BinaryArchive* new_archive(const MTL::BinaryArchiveDescriptor* descriptor, NS::Error** error);
MTL::ComputePipelineState* pipeline_of(const MTL::Function* function, NS::Error** error);
MTL::ComputePipelineState* pipeline_of(const MTL::ComputePipelineDescriptor* descriptor, MTL::PipelineOption options, NS::Error** error);

}  // namespace mx::metal::host
