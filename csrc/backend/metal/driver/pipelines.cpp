// pipelines.cpp — finding and specialising kernels. Machine code of run-time sources is kept in a folder between processes,
// one archive a source; where that folder cannot be written, they are compiled again.

#include "backend/metal/driver/pipelines.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace mx::metal {

namespace {

namespace fs = std::filesystem;

MTL::DataType data_type(FunctionConstant::Type t) {
  switch (t) {
    case FunctionConstant::boolean: return MTL::DataTypeBool;
    case FunctionConstant::int32: return MTL::DataTypeInt;
    case FunctionConstant::uint32: return MTL::DataTypeUInt;
    case FunctionConstant::float32: return MTL::DataTypeFloat;
  }
  return MTL::DataTypeNone;
}

uint64_t hash(const std::string& s) {  // FNV-1a
  uint64_t h = 14695981039346656037u;
  for (unsigned char c : s) h = (h ^ c) * 1099511628211u;
  return h;
}

fs::path cache_folder() {
  if (const char* given = std::getenv("MXFORM_CACHE")) return given;
  const char* home = std::getenv("HOME");
  if (!home) return {};
#if defined(__APPLE__)
  return fs::path(home) / "Library" / "Caches" / "mxform";
#else
  return fs::path(home) / ".cache" / "mxform";
#endif
}

/// A file in the cache for the code that this device and system make of `text`; empty where there is no folder.
std::string archive_path(MTL::Device* device, const std::string& text) {
  fs::path folder = cache_folder();
  if (folder.empty()) return {};
  NS::OperatingSystemVersion v = NS::ProcessInfo::processInfo()->operatingSystemVersion();
  std::string salt = cat(text_of(device->name()), '\0', v.majorVersion, '.', v.minorVersion, '.', v.patchVersion, '\0');
  char name[48];
  std::snprintf(name, sizeof name, "%016llx%016llx.metalar", static_cast<unsigned long long>(hash(salt + text)),
                static_cast<unsigned long long>(hash(text + salt)));
  return folder / name;
}

Ref<MTL::BinaryArchive> open_archive(MTL::Device* device, const std::string& path, bool& found) {
  Ref d(MTL::BinaryArchiveDescriptor::alloc()->init());
  NS::Error* error = nullptr;
  std::error_code ignored;
  found = fs::exists(path, ignored);
  if (found) {
    d->setUrl(file_url(path));
    if (Ref a{device->newBinaryArchive(d.get(), &error)}) return a;
    found = false;  // of another system, or broken: write it anew
  }
  d->setUrl(nullptr);
  return Ref(device->newBinaryArchive(d.get(), &error));
}

// Whoever reads the file meanwhile sees the old one or the new one.
void save(MTL::BinaryArchive& archive, const std::string& path) {
  std::error_code failed;
  fs::create_directories(fs::path(path).parent_path(), failed);
  std::string half = cat(path, ".", getpid());
  NS::Error* error = nullptr;
  if (archive.serializeToURL(file_url(half), &error)) fs::rename(half, path, failed);
  if (failed) fs::remove(half, failed);
}

// Metal's safe mode still fuses products with sums within a statement. Older compilers know the second name alone; what one does
// not know, it skips.
constexpr const char* kNoContraction = "#pragma METAL fp contract(off)\n#pragma clang fp contract(off)\n";

// For metal/check/names.py: which kernels of the library have been asked for.
void note_use(const std::string& kernel) {
  const char* file = std::getenv("MXFORM_METAL_NAMES");
  if (file && *file) std::ofstream(file, std::ios::app) << kernel << '\n';
}

}  // namespace

std::string library_path() {
  if (const char* given = std::getenv("MXFORM_METALLIB")) return given;
  Dl_info info;
  fs::path here = dladdr(reinterpret_cast<const void*>(&library_path), &info) && info.dli_fname ? info.dli_fname : "";
  return here.parent_path() / "mxform.metallib";
}

Pipelines::Library& Pipelines::built() {
  if (built_.library) return built_;
  NS::Error* error = nullptr;
  std::string path = library_path();
  built_.library = Ref(device_->newLibrary(file_url(path), &error));
  if (!built_.library) throw BackendError(cat("[metal] cannot load the kernels in ", path, ": ", text_of(error), "."));
  return built_;
}

Pipelines::Library& Pipelines::compiled(const Source& source) {
  std::string key = cat(source.fast_math ? "f" : "s", *source.prelude ? "p" : "-", source.text);
  Library& found = compiled_[key];
  if (found.library) return found;
  AutoreleaseScope scope;
  Ref options(MTL::CompileOptions::alloc()->init());
  options->setLanguageVersion(MTL::LanguageVersion3_1);
  if (macos_at_least(15)) {
    options->setMathMode(source.fast_math ? MTL::MathModeFast : MTL::MathModeSafe);
    options->setMathFloatingPointFunctions(source.fast_math ? MTL::MathFloatingPointFunctionsFast : MTL::MathFloatingPointFunctionsPrecise);
  } else {
    options->setFastMathEnabled(source.fast_math);
  }
  NS::Error* error = nullptr;
  found.library = Ref(device_->newLibrary(to_ns(cat(source.fast_math ? "" : kNoContraction, source.prelude, source.text)), options.get(), &error));
  if (!found.library) {
    compiled_.erase(key);
    throw BackendError(cat("[metal] a kernel's source does not compile:\n", text_of(error)));
  }
  found.id = static_cast<int>(compiled_.size());
  found.archive = archive_path(device_, cat(kNoContraction, source.prelude, key));
  return found;
}

Ref<MTL::Function> Pipelines::function(const Launch& launch, MTL::Library& library) {
  NS::Error* error = nullptr;
  Ref<MTL::Function> f;
  if (launch.constants.empty()) {
    f = Ref(library.newFunction(to_ns(launch.kernel)));
  } else {
    Ref values(MTL::FunctionConstantValues::alloc()->init());
    for (const FunctionConstant& c : launch.constants) {
      bool b = c.bits != 0;
      const void* value = c.type == FunctionConstant::boolean ? static_cast<const void*>(&b) : &c.bits;
      values->setConstantValue(value, data_type(c.type), NS::UInteger(c.index));
    }
    f = Ref(library.newFunction(to_ns(launch.kernel), values.get(), &error));
  }
  if (!f) {
    throw BackendError(cat("[metal] no kernel ", launch.kernel, launch.constants.empty() ? "" : cat(" with these constants: ", text_of(error)), "."));
  }
  return f;
}

Ref<MTL::ComputePipelineState> Pipelines::make(const Launch& launch, Library& library) {
  NS::Error* error = nullptr;
  Ref<MTL::Function> f = function(launch, *library.library.get());
  Ref<MTL::BinaryArchive> archive;
  Ref<MTL::ComputePipelineState> made;
  if (!library.archive.empty()) {
    bool found = false;
    archive = open_archive(device_, library.archive, found);
    if (archive) {
      Ref d(MTL::ComputePipelineDescriptor::alloc()->init());
      d->setComputeFunction(f.get());
      const NS::Object* archives[] = {archive.get()};
      if (found) {
        d->setBinaryArchives(NS::Array::array(archives, 1));
        made = Ref(device_->newComputePipelineState(d.get(), MTL::PipelineOptionFailOnBinaryArchiveMiss, nullptr, &error));
      }
      if (!made && archive->addComputePipelineFunctions(d.get(), &error)) save(*archive.get(), library.archive);
    }
  }
  if (!made) made = Ref(device_->newComputePipelineState(f.get(), &error));
  if (!made) throw BackendError(cat("[metal] cannot prepare kernel ", launch.kernel, ": ", text_of(error), "."));
  return made;
}

MTL::ComputePipelineState* Pipelines::get(const Launch& launch, const Plan& plan) {
  std::lock_guard guard(lock_);
  Library* library = launch.source < 0 ? nullptr : &compiled(plan.sources[static_cast<size_t>(launch.source)]);
  key_.assign(launch.kernel);
  auto append = [&](uint32_t word) { key_.append(reinterpret_cast<const char*>(&word), sizeof word); };
  append(library ? static_cast<uint32_t>(library->id) : 0);
  for (const FunctionConstant& c : launch.constants) {
    append(c.index);
    append(c.type);
    append(c.bits);
  }
  auto found = pipelines_.find(key_);
  if (found == pipelines_.end()) {
    AutoreleaseScope scope;
    found = pipelines_.emplace(key_, make(launch, library ? *library : built())).first;
    if (!library) note_use(launch.kernel);
  }
  return found->second.get();
}

}  // namespace mx::metal
