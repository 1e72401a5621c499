// api_code.cpp — libraries, functions with their constants, pipelines and binary archives of the double.
//
// A .metallib stands for the kernels that are linked into this program; source text is translated and compiled (kernels.h). A
// binary archive is a text file with a line for each function: what Apple's would hold machine code for.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "api_code.h"

namespace mx::metal::host {
namespace {

constexpr const char* kLibraryDomain = "MTLLibraryErrorDomain";
constexpr const char* kPipelineDomain = "AGXMetalDouble";
constexpr const char* kArchiveDomain = "MTLBinaryArchiveDomain";
constexpr const char* kArchiveHeader = "mxform host archive 1";

struct OptionsObject : Object {
  static constexpr const char* kType = "MTL::CompileOptions";
  OptionsObject() : Object(kType) {}
  MTL::MathMode math = MTL::MathModeFast;
  MTL::MathFloatingPointFunctions functions = MTL::MathFloatingPointFunctionsFast;
  MTL::LanguageVersion language = MTL::LanguageVersion3_1;
  MTL::LibraryOptimizationLevel level = MTL::LibraryOptimizationLevelDefault;
  Ref<Object> macros;
  void die() override { macros = {}; }
};

struct PipelineDescriptorObject : Object {
  static constexpr const char* kType = "MTL::ComputePipelineDescriptor";
  PipelineDescriptorObject() : Object(kType) {}
  Ref<FunctionObject> function;
  Ref<ArrayObject> archives;
  size_t max_threads = 0;
  bool whole_simdgroups = false;
  void die() override {
    function = {};
    archives = {};
  }
};

struct ArchiveDescriptorObject : Object {
  static constexpr const char* kType = "MTL::BinaryArchiveDescriptor";
  ArchiveDescriptorObject() : Object(kType) {}
  Ref<UrlObject> url;
  void die() override { url = {}; }
};

struct ArchiveObject : Object {
  static constexpr const char* kType = "MTL::BinaryArchive";
  ArchiveObject() : Object(kType) {}
  std::mutex mutex;
  std::set<std::string> keys;
};

struct FunctionConstantObject : Object {
  static constexpr const char* kType = "MTL::FunctionConstant";
  FunctionConstantObject() : Object(kType) {}
  const Constant* constant = nullptr;
  bool required = false;
};

bool type_of(MTL::DataType t, ConstantType& type, size_t& n_bytes) {
  switch (t) {
    case MTL::DataTypeBool: type = ConstantType::boolean, n_bytes = 1; return true;
    case MTL::DataTypeChar: type = ConstantType::int8, n_bytes = 1; return true;
    case MTL::DataTypeUChar: type = ConstantType::uint8, n_bytes = 1; return true;
    case MTL::DataTypeShort: type = ConstantType::int16, n_bytes = 2; return true;
    case MTL::DataTypeUShort: type = ConstantType::uint16, n_bytes = 2; return true;
    case MTL::DataTypeHalf: type = ConstantType::float16, n_bytes = 2; return true;
    case MTL::DataTypeInt: type = ConstantType::int32, n_bytes = 4; return true;
    case MTL::DataTypeUInt: type = ConstantType::uint32, n_bytes = 4; return true;
    case MTL::DataTypeFloat: type = ConstantType::float32, n_bytes = 4; return true;
    default: return false;
  }
}

MTL::DataType data_type(ConstantType t) {
  switch (t) {
    case ConstantType::boolean: return MTL::DataTypeBool;
    case ConstantType::int8: return MTL::DataTypeChar;
    case ConstantType::uint8: return MTL::DataTypeUChar;
    case ConstantType::int16: return MTL::DataTypeShort;
    case ConstantType::uint16: return MTL::DataTypeUShort;
    case ConstantType::float16: return MTL::DataTypeHalf;
    case ConstantType::int32: return MTL::DataTypeInt;
    case ConstantType::uint32: return MTL::DataTypeUInt;
    case ConstantType::float32: return MTL::DataTypeFloat;
  }
  return MTL::DataTypeNone;
}

void add_value(ConstantValuesObject& c, const void* value, MTL::DataType t, uint32_t index, std::string name) {
  ConstantValue v{index, {}, 0, std::move(name)};
  size_t n_bytes = 0;
  std::string which = index == ConstantValue::no_index ? '"' + v.name + '"' : std::to_string(index);
  if (!value || !type_of(t, v.type, n_bytes)) {
    fault("constant-type", "setConstantValue: the value of function constant " + which +
                               (value ? " has data type " + std::to_string(t) + ", which the double does not know" : " is null"));
    return;
  }
  std::memcpy(&v.bits, value, n_bytes);
  std::erase_if(c.values, [&](auto& w) { return w.index == v.index && w.name == v.name; });
  c.values.push_back(std::move(v));
}

MTL::Library* new_library(std::shared_ptr<const Library> kernels) {
  auto* l = new LibraryObject;
  l->kernels = std::move(kernels);
  return handle<MTL::Library>(l);
}

MTL::ComputePipelineState* new_pipeline(FunctionObject* f, size_t max_threads, bool whole, NS::Error** error) {
  if (!f) return nullptr;
  try {
    check_constants(*f->kernel, f->values);
  } catch (const KernelError& e) {
    set_error(error, kPipelineDomain, 3, e.what());
    return nullptr;
  }
  auto* p = new PipelineObject;
  p->library = f->library;
  p->kernel = f->kernel;
  p->values = f->values;
  p->label = f->kernel->name;
  p->max_threads = std::min(kThreads, f->kernel->max_threads);
  if (max_threads) p->max_threads = static_cast<uint32_t>(std::min<size_t>(p->max_threads, max_threads));
  p->whole_simdgroups = whole;
  return handle<MTL::ComputePipelineState>(p);
}

}  // namespace

std::string FunctionObject::key() const {
  std::string k = kernel->name;
  for (auto& v : values) {
    k += ' ' + (v.name.empty() ? std::to_string(v.index) : v.name) + '=' + std::to_string(static_cast<int>(v.type)) + ':' + std::to_string(v.bits);
  }
  return k;
}

MTL::Library* load_library(const std::string& path, NS::Error** error) {
  std::error_code ignored;
  // The library of the build is linked, and no file; others are missed as a Mac misses them.
  if (!std::filesystem::exists(path, ignored) && std::filesystem::path(path).filename() != "mxform.metallib") {
    set_error(error, kLibraryDomain, MTL::LibraryErrorFileNotFound, "library not found: " + path);
    return nullptr;
  }
  if (std::filesystem::path(path).extension() != ".metallib") {
    set_error(error, kLibraryDomain, MTL::LibraryErrorUnsupported, "not a Metal library: " + path);
    return nullptr;
  }
  return new_library(std::shared_ptr<const Library>(&linked_library(), [](const Library*) {}));
}

MTL::Library* compile_library(const NS::String* source, const MTL::CompileOptions* given, NS::Error** error) {
  CompileOptions o;
  if (given) {
    auto& go = self<OptionsObject>(given, "newLibrary");
    o.fast_math = go.math == MTL::MathModeFast;
    if (auto* macros = cast<DictionaryObject>(go.macros.get())) {
      for (auto& [key, value] : macros->items) {
        o.definitions.push_back(text(handle<NS::String>(key.get())) + "=" + text(handle<NS::String>(value.get())));
      }
    }
  } else {
    o.fast_math = true;  // Metal's default
  }
  try {
    return new_library(compile(text(source), o));
  } catch (const KernelError& e) {
    set_error(error, kLibraryDomain, MTL::LibraryErrorCompileFailure, e.what());
    return nullptr;
  }
}

MTL::BinaryArchive* new_archive(const MTL::BinaryArchiveDescriptor* d, NS::Error** error) {
  auto* a = new ArchiveObject;
  Ref<UrlObject>& url = self<ArchiveDescriptorObject>(d, "newBinaryArchive").url;
  if (!url) return handle<MTL::BinaryArchive>(a);
  std::ifstream file(url->path);
  std::string line;
  if (!file || !std::getline(file, line) || line != kArchiveHeader) {
    set_error(error, kArchiveDomain, MTL::BinaryArchiveErrorInvalidFile, "not a binary archive: " + url->path);
    release(a);
    return nullptr;
  }
  while (std::getline(file, line)) a->keys.insert(line);
  return handle<MTL::BinaryArchive>(a);
}

MTL::ComputePipelineState* pipeline_of(const MTL::Function* f, NS::Error** error) {
  return new_pipeline(argument<FunctionObject>(f, "newComputePipelineState"), 0, false, error);
}

MTL::ComputePipelineState* pipeline_of(const MTL::ComputePipelineDescriptor* descriptor, MTL::PipelineOption options, NS::Error** error) {
  auto& d = self<PipelineDescriptorObject>(descriptor, "newComputePipelineState");
  auto* f = argument<FunctionObject>(d.function.get(), "newComputePipelineState");
  if (f && options & MTL::PipelineOptionFailOnBinaryArchiveMiss) {
    bool found = false;
    for (size_t i = 0; d.archives && i < d.archives->items.size(); ++i) {
      auto* a = argument<ArchiveObject>(d.archives->items[i].get(), "newComputePipelineState");
      if (!a) continue;
      std::lock_guard lock(a->mutex);
      found |= a->keys.count(f->key()) != 0;
    }
    if (!found) {
      set_error(error, kPipelineDomain, 2, std::string("no archive has ") + f->kernel->name);
      return nullptr;
    }
  }
  return new_pipeline(f, d.max_threads, d.whole_simdgroups, error);
}

}  // namespace mx::metal::host

namespace MTL {
using namespace mx::metal::host;
namespace {
auto& of(const CompileOptions* o) { return self<OptionsObject>(o, "CompileOptions"); }
auto& of(const Function* f) { return self<FunctionObject>(f, "Function"); }
auto& of(const MTL::Library* l) { return self<LibraryObject>(l, "Library"); }
auto& of(const ComputePipelineDescriptor* d) { return self<PipelineDescriptorObject>(d, "ComputePipelineDescriptor"); }
auto& of(const ComputePipelineState* p) { return self<PipelineObject>(p, "ComputePipelineState"); }
auto& of(const BinaryArchive* a) { return self<ArchiveObject>(a, "BinaryArchive"); }
auto& of(const BinaryArchiveDescriptor* d) { return self<ArchiveDescriptorObject>(d, "BinaryArchiveDescriptor"); }
auto& of(const FunctionConstantValues* v) { return self<ConstantValuesObject>(v, "FunctionConstantValues"); }
auto& of(const FunctionConstant* c) { return self<FunctionConstantObject>(c, "FunctionConstant"); }
NS::String* label_of(const mx::metal::host::Object& o) { return mx::metal::host::string(o.label); }
}  // namespace

// ---- compile options

CompileOptions* CompileOptions::alloc() { return handle<CompileOptions>(new OptionsObject); }
CompileOptions* CompileOptions::init() { return this; }
bool CompileOptions::fastMathEnabled() const { return of(this).math == MathModeFast; }
LanguageVersion CompileOptions::languageVersion() const { return of(this).language; }
MathFloatingPointFunctions CompileOptions::mathFloatingPointFunctions() const { return of(this).functions; }
MathMode CompileOptions::mathMode() const { return of(this).math; }
LibraryOptimizationLevel CompileOptions::optimizationLevel() const { return of(this).level; }
NS::Dictionary* CompileOptions::preprocessorMacros() const { return handle<NS::Dictionary>(of(this).macros.get()); }
void CompileOptions::setFastMathEnabled(bool on) { of(this).math = on ? MathModeFast : MathModeSafe; }
void CompileOptions::setLanguageVersion(MTL::LanguageVersion v) { of(this).language = v; }
void CompileOptions::setMathFloatingPointFunctions(MTL::MathFloatingPointFunctions f) { of(this).functions = f; }
void CompileOptions::setMathMode(MTL::MathMode m) { of(this).math = m; }
void CompileOptions::setOptimizationLevel(MTL::LibraryOptimizationLevel l) { of(this).level = l; }
void CompileOptions::setPreprocessorMacros(const NS::Dictionary* d) { of(this).macros = Ref<mx::metal::host::Object>(as_object(d)); }

// ---- libraries and functions

Device* MTL::Library::device() const { return the_device(); }
NS::Array* MTL::Library::functionNames() const {
  std::vector<const NS::Object*> names;
  for (auto& name : of(this).kernels->names()) names.push_back(mx::metal::host::string(name));
  return NS::Array::array(names.data(), names.size());
}
NS::String* MTL::Library::label() const { return label_of(of(this)); }
void MTL::Library::setLabel(const NS::String* s) { of(this).label = text(s); }

Function* MTL::Library::newFunction(const NS::String* name) {
  auto& l = of(this);
  const Kernel* k = l.kernels ? l.kernels->find(text(name)) : nullptr;
  if (!k) return nullptr;
  auto* f = new FunctionObject;
  f->library = Ref<LibraryObject>(&l);
  f->kernel = k;
  return handle<Function>(f);
}

Function* MTL::Library::newFunction(const NS::String* name, const MTL::FunctionConstantValues* values, NS::Error** error) {
  Function* f = newFunction(name);
  if (!f) {
    set_error(error, kLibraryDomain, LibraryErrorFunctionNotFound, "no function " + text(name) + " in the library");
    return nullptr;
  }
  auto& o = of(f);
  if (values) o.values = of(values).values;
  try {
    check_constants(*o.kernel, o.values);
    return f;
  } catch (const KernelError& e) {
    set_error(error, kLibraryDomain, LibraryErrorCompileFailure, e.what());
    f->release();
    return nullptr;
  }
}

Device* Function::device() const { return the_device(); }
NS::Dictionary* Function::functionConstantsDictionary() const {
  const Kernel& k = *of(this).kernel;
  std::vector<const NS::Object*> keys, objects;
  for (uint32_t i = 0; i < k.table->n_constants; ++i) {
    auto* c = new FunctionConstantObject;
    c->constant = &k.table->constants[i];
    c->required = std::find(k.constants, k.constants + k.n_constants, i) != k.constants + k.n_constants;
    objects.push_back(autoreleased<NS::Object>(c));
    keys.push_back(mx::metal::host::string(c->constant->name));
  }
  return NS::Dictionary::dictionary(objects.data(), keys.data(), keys.size());
}
FunctionType Function::functionType() const { return FunctionTypeKernel; }
NS::String* Function::label() const { return label_of(of(this)); }
NS::String* Function::name() const { return mx::metal::host::string(of(this).kernel ? of(this).kernel->name : ""); }
void Function::setLabel(const NS::String* s) { of(this).label = text(s); }

FunctionConstant* FunctionConstant::alloc() { return handle<FunctionConstant>(new FunctionConstantObject); }
FunctionConstant* FunctionConstant::init() { return this; }
NS::UInteger FunctionConstant::index() const { return of(this).constant->index; }
NS::String* FunctionConstant::name() const { return mx::metal::host::string(of(this).constant->name); }
bool FunctionConstant::required() const { return of(this).required; }
DataType FunctionConstant::type() const { return data_type(of(this).constant->type); }

FunctionConstantValues* FunctionConstantValues::alloc() { return handle<FunctionConstantValues>(new ConstantValuesObject); }
FunctionConstantValues* FunctionConstantValues::init() { return this; }
void FunctionConstantValues::reset() { of(this).values.clear(); }
void FunctionConstantValues::setConstantValue(const void* value, MTL::DataType type, NS::UInteger index) {
  add_value(of(this), value, type, static_cast<uint32_t>(index), {});
}
void FunctionConstantValues::setConstantValue(const void* value, MTL::DataType type, const NS::String* name) {
  add_value(of(this), value, type, ConstantValue::no_index, text(name));
}
void FunctionConstantValues::setConstantValues(const void* values, MTL::DataType type, NS::Range range) {
  ConstantType t;
  size_t n_bytes = 0;
  type_of(type, t, n_bytes);
  for (NS::UInteger i = 0; i < range.length; ++i) {
    add_value(of(this), static_cast<const std::byte*>(values) + i * n_bytes, type, static_cast<uint32_t>(range.location + i), {});
  }
}

// ---- pipelines

ComputePipelineDescriptor* ComputePipelineDescriptor::alloc() { return handle<ComputePipelineDescriptor>(new PipelineDescriptorObject); }
ComputePipelineDescriptor* ComputePipelineDescriptor::init() { return this; }
NS::Array* ComputePipelineDescriptor::binaryArchives() const { return handle<NS::Array>(of(this).archives.get()); }
Function* ComputePipelineDescriptor::computeFunction() const { return handle<Function>(of(this).function.get()); }
NS::String* ComputePipelineDescriptor::label() const { return label_of(of(this)); }
NS::UInteger ComputePipelineDescriptor::maxTotalThreadsPerThreadgroup() const { return of(this).max_threads; }
void ComputePipelineDescriptor::reset() {
  auto& d = of(this);
  d.die();
  d.max_threads = 0;
  d.whole_simdgroups = false;
}
void ComputePipelineDescriptor::setBinaryArchives(const NS::Array* a) { of(this).archives = Ref<ArrayObject>(cast<ArrayObject>(a)); }
void ComputePipelineDescriptor::setComputeFunction(const MTL::Function* f) { of(this).function = Ref<FunctionObject>(cast<FunctionObject>(f)); }
void ComputePipelineDescriptor::setLabel(const NS::String* s) { of(this).label = text(s); }
void ComputePipelineDescriptor::setMaxTotalThreadsPerThreadgroup(NS::UInteger n) { of(this).max_threads = n; }
void ComputePipelineDescriptor::setThreadGroupSizeIsMultipleOfThreadExecutionWidth(bool b) { of(this).whole_simdgroups = b; }
bool ComputePipelineDescriptor::threadGroupSizeIsMultipleOfThreadExecutionWidth() const { return of(this).whole_simdgroups; }

Device* ComputePipelineState::device() const { return the_device(); }
NS::String* ComputePipelineState::label() const { return label_of(of(this)); }
NS::UInteger ComputePipelineState::maxTotalThreadsPerThreadgroup() const { return of(this).max_threads; }
NS::UInteger ComputePipelineState::staticThreadgroupMemoryLength() const { return 0; }
NS::UInteger ComputePipelineState::threadExecutionWidth() const { return kLanes; }

// ---- archives

BinaryArchiveDescriptor* BinaryArchiveDescriptor::alloc() { return handle<BinaryArchiveDescriptor>(new ArchiveDescriptorObject); }
BinaryArchiveDescriptor* BinaryArchiveDescriptor::init() { return this; }
void BinaryArchiveDescriptor::setUrl(const NS::URL* url) { of(this).url = Ref<UrlObject>(cast<UrlObject>(url)); }
NS::URL* BinaryArchiveDescriptor::url() const { return handle<NS::URL>(of(this).url.get()); }

bool BinaryArchive::addComputePipelineFunctions(const MTL::ComputePipelineDescriptor* descriptor, NS::Error**) {
  auto* f = argument<FunctionObject>(of(descriptor).function.get(), "BinaryArchive::addComputePipelineFunctions");
  if (!f) return false;
  auto& a = of(this);
  std::lock_guard lock(a.mutex);
  a.keys.insert(f->key());
  return true;
}
Device* BinaryArchive::device() const { return the_device(); }
NS::String* BinaryArchive::label() const { return label_of(of(this)); }
bool BinaryArchive::serializeToURL(const NS::URL* url, NS::Error** error) {
  auto& a = of(this);
  auto* u = argument<UrlObject>(url, "BinaryArchive::serializeToURL");
  if (!u) return false;
  std::lock_guard lock(a.mutex);
  std::ofstream file(u->path);
  file << kArchiveHeader << '\n';
  for (auto& key : a.keys) file << key << '\n';
  file.close();
  if (!file) set_error(error, kArchiveDomain, BinaryArchiveErrorInternalError, "cannot write " + u->path);
  return static_cast<bool>(file);
}
void BinaryArchive::setLabel(const NS::String* s) { of(this).label = text(s); }

}  // namespace MTL
