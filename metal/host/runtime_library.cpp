// runtime_library.cpp — kernels by name, and the values of function constants.
#include <algorithm>
#include <cstring>
#include <mutex>

#include "runtime_library.h"

namespace mx::metal::host {

namespace {

const char* type_name(ConstantType t) {
  switch (t) {
    case ConstantType::boolean: return "bool";
    case ConstantType::int8: return "char";
    case ConstantType::uint8: return "uchar";
    case ConstantType::int16: return "short";
    case ConstantType::uint16: return "ushort";
    case ConstantType::int32: return "int";
    case ConstantType::uint32: return "uint";
    case ConstantType::float16: return "half";
    case ConstantType::float32: return "float";
  }
  return "?";
}

size_t type_size(ConstantType t) {
  switch (t) {
    case ConstantType::boolean:
    case ConstantType::int8:
    case ConstantType::uint8: return 1;
    case ConstantType::int16:
    case ConstantType::uint16:
    case ConstantType::float16: return 2;
    default: return 4;
  }
}

bool names(const ConstantValue& v, const Constant& c) {
  return v.index != ConstantValue::no_index ? v.index == c.index : v.name == c.name;
}

[[noreturn]] void refuse(const Kernel& k, const std::string& message) {
  throw KernelError(std::string("[metal] kernel ") + k.name + " (" + k.file + ":" + std::to_string(k.line) + "): " + message);
}

std::string of(const Constant& c) { return std::string("function constant ") + std::to_string(c.index) + " (" + c.name + ")"; }

}  // namespace

Library::Library(std::vector<const Table*> tables, std::shared_ptr<void> code) : code_(std::move(code)) {
  for (const Table* t : tables)
    for (uint32_t i = 0; i < t->n_kernels; ++i) entries_.push_back({t->kernels[i].name, &t->kernels[i]});
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  for (size_t i = 1; i < entries_.size(); ++i)
    if (entries_[i].name == entries_[i - 1].name)
      refuse(*entries_[i].kernel, std::string("this name is taken by ") + entries_[i - 1].kernel->file + ":" +
                                      std::to_string(entries_[i - 1].kernel->line));
}

const Kernel* Library::find(std::string_view name) const {
  auto i = std::lower_bound(entries_.begin(), entries_.end(), name, [](const Entry& e, std::string_view n) { return e.name < n; });
  return i != entries_.end() && i->name == name ? i->kernel : nullptr;
}

std::vector<std::string> Library::names() const {
  std::vector<std::string> all;
  for (const Entry& e : entries_) all.emplace_back(e.name);
  return all;
}

void check_constants(const Kernel& kernel, const std::vector<ConstantValue>& values) {
  const Table& t = *kernel.table;
  for (const ConstantValue& v : values) {
    bool known = false;
    for (uint32_t i = 0; i < t.n_constants; ++i) {
      const Constant& c = t.constants[i];
      if (!names(v, c)) continue;
      known = true;
      if (v.type != c.type)
        refuse(kernel, of(c) + " is " + type_name(c.type) + "; the value given is " + type_name(v.type));
    }
    if (!known)
      refuse(kernel, "a value is given for function constant " + (v.name.empty() ? std::to_string(v.index) : v.name) +
                         ", which its source does not have");
  }
  for (uint32_t i = 0; i < kernel.n_constants; ++i) {
    const Constant& c = t.constants[kernel.constants[i]];
    if (std::none_of(values.begin(), values.end(), [&](const ConstantValue& v) { return names(v, c); }))
      refuse(kernel, of(c) + " has no value");
  }
}

void apply_constants(const Kernel& kernel, const std::vector<ConstantValue>& values) {
  const Table& t = *kernel.table;
  for (uint32_t i = 0; i < t.n_constants; ++i) {
    const Constant& c = t.constants[i];
    auto v = std::find_if(values.begin(), values.end(), [&](const ConstantValue& v) { return names(v, c); });
    *c.defined = v != values.end();
    uint64_t bits = *c.defined ? v->bits : 0;
    if (c.type == ConstantType::boolean) bits = (bits & 0xFF) != 0;
    std::memcpy(c.value, &bits, type_size(c.type));
  }
  if (t.derive) t.derive();
}

}  // namespace mx::metal::host
