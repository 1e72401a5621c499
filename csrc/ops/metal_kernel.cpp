// metal_kernel.cpp — the source around a user's kernel, and calling it. How it is launched is in
// backend/metal/plan/metal_kernel.cpp.

#include "ops/metal_kernel.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "ops/cast.h"
#include "ops/metal_kernel_params.h"

namespace mx {

namespace {

constexpr int64_t kConstantElems = 8;  // smaller inputs are in the constant address space

// What a kernel may ask of its thread: section 5.2.3.6 of the Metal language's specification.
struct Attribute {
  const char *name, *type;
};
constexpr Attribute kAttributes[] = {
    {"dispatch_quadgroups_per_threadgroup", "uint"},
    {"dispatch_simdgroups_per_threadgroup", "uint"},
    {"dispatch_threads_per_threadgroup", "uint3"},
    {"grid_origin", "uint3"},
    {"grid_size", "uint3"},
    {"quadgroup_index_in_threadgroup", "uint"},
    {"quadgroups_per_threadgroup", "uint"},
    {"simdgroup_index_in_threadgroup", "uint"},
    {"simdgroups_per_threadgroup", "uint"},
    {"thread_execution_width", "uint"},
    {"thread_index_in_quadgroup", "uint"},
    {"thread_index_in_simdgroup", "uint"},
    {"thread_index_in_threadgroup", "uint"},
    {"thread_position_in_grid", "uint3"},
    {"thread_position_in_threadgroup", "uint3"},
    {"threadgroup_position_in_grid", "uint3"},
    {"threadgroups_per_grid", "uint3"},
    {"threads_per_grid", "uint3"},
    {"threads_per_simdgroup", "uint"},
    {"threads_per_threadgroup", "uint3"},
};

// In front of every kernel: the names of element types, and where element i of a strided array is.
constexpr const char* kPrelude = R"(#include <metal_atomic>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>

using namespace metal;

typedef half float16_t;
typedef bfloat bfloat16_t;

struct complex64_t {
  float real;
  float imag;
};
inline complex64_t operator+(complex64_t a, complex64_t b) { return {a.real + b.real, a.imag + b.imag}; }
inline complex64_t operator-(complex64_t a, complex64_t b) { return {a.real - b.real, a.imag - b.imag}; }
inline complex64_t operator*(complex64_t a, complex64_t b) {
  return {a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real};
}

template <typename I>
inline long elem_to_loc(I elem, constant const int* shape, constant const long* strides, int ndim) {
  long loc = 0;
  for (int axis = ndim - 1; axis >= 0; --axis) {
    loc += long(elem % I(shape[axis])) * strides[axis];
    elem /= I(shape[axis]);
  }
  return loc;
}

)";

const char* type_name(Dtype t) {
  switch (t) {
    case Dtype::bool_: return "bool";
    case Dtype::uint8: return "uint8_t";
    case Dtype::uint16: return "uint16_t";
    case Dtype::uint32: return "uint32_t";
    case Dtype::uint64: return "uint64_t";
    case Dtype::int8: return "int8_t";
    case Dtype::int16: return "int16_t";
    case Dtype::int32: return "int32_t";
    case Dtype::int64: return "int64_t";
    case Dtype::float16: return "float16_t";
    case Dtype::bfloat16: return "bfloat16_t";
    case Dtype::float32: return "float";
    case Dtype::complex64: return "complex64_t";
    case Dtype::float64: break;
  }
  throw DtypeError(cat("[metal_kernel] GPUs of this kind lack ", t, "; need another dtype."));
}

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// Whether `name` stands in a source as a word.
bool mentions(const std::string& source, const std::string& name) {
  for (size_t at = source.find(name); at != std::string::npos; at = source.find(name, at + 1)) {
    size_t end = at + name.size();
    if ((at == 0 || !is_name_char(source[at - 1])) && (end == source.size() || !is_name_char(source[end]))) return true;
  }
  return false;
}

int known_of(const MetalKernel& k, size_t i, const array& in) {
  if (in.ndim() == 0) return 0;
  const std::string& name = k.input_names[i];
  return (mentions(k.source, name + "_shape") ? MetalKernelParams::shape : 0) | (mentions(k.source, name + "_strides") ? MetalKernelParams::strides : 0) |
         (mentions(k.source, name + "_ndim") ? MetalKernelParams::ndim : 0);
}

std::string text_of(const TemplateArg& a) {
  if (auto* t = std::get_if<Dtype>(&a.value)) return type_name(*t);
  if (auto* b = std::get_if<bool>(&a.value)) return *b ? "true" : "false";
  return cat(std::get<int64_t>(a.value));
}
const char* kind_of(const TemplateArg& a) {
  return std::holds_alternative<Dtype>(a.value) ? "typename" : std::holds_alternative<bool>(a.value) ? "bool" : "int";
}

/// The function's name, or that of one instance of its template: letters, digits and _ only.
std::string function_name(const MetalKernel& k, const MetalCall* call) {
  std::string name = "custom_kernel_" + k.name;
  if (call) {
    for (const TemplateArg& a : call->templates) name += "_" + text_of(a);
  }
  for (char& c : name) {
    if (!is_name_char(c)) c = '_';
  }
  return name;
}

void check(const MetalKernel& k, const Arrays& inputs, const MetalCall& call) {
  auto need = [](const char* what, size_t n, size_t names) {
    if (n != names) throw ValueError(cat("[metal_kernel] ", what, " has ", n, " entries; need ", names, ", one for each name."));
  };
  if (k.output_names.empty()) throw ValueError("[metal_kernel] output_names is empty; need at least one output.");
  need("inputs", inputs.size(), k.input_names.size());
  need("output_shapes", call.output_shapes.size(), k.output_names.size());
  need("output_dtypes", call.output_dtypes.size(), k.output_names.size());
  int64_t threads = 1;
  for (size_t i = 0; i < 3; ++i) {
    if (call.grid[i] < 0 || call.grid[i] > UINT32_MAX) throw ValueError(cat("[metal_kernel] grid has an entry ", call.grid[i], "; need 0 to 2**32 - 1."));
    if (call.threadgroup[i] < 1 || call.threadgroup[i] > 1024) {
      throw ValueError(cat("[metal_kernel] threadgroup has an entry ", call.threadgroup[i], "; need 1 to 1024."));
    }
    threads *= std::max<int64_t>(1, std::min(call.threadgroup[i], call.grid[i]));
  }
  if (threads > 1024) throw ValueError(cat("[metal_kernel] a threadgroup has ", threads, " threads; need at most 1024."));
}

}  // namespace

std::string metal_fill_kernel(Dtype t) { return cat("mxform_fill_", t); }

std::string metal_kernel_source(const MetalKernel& k, const Arrays& inputs, const MetalCall& call) {
  check(k, inputs, call);
  std::vector<std::string> arguments;
  int slot = 0;
  auto buffer = [&](const std::string& declaration) { arguments.push_back(cat("  ", declaration, " [[buffer(", slot++, ")]]")); };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const array& in = inputs[i];
    const std::string& name = k.input_names[i];
    buffer(cat("const ", in.size() < kConstantElems ? "constant " : "device ", type_name(in.dtype()), in.ndim() == 0 ? "& " : "* ", name));
    int known = known_of(k, i, in);
    if (known & MetalKernelParams::shape) buffer(cat("const constant int* ", name, "_shape"));
    if (known & MetalKernelParams::strides) buffer(cat("const constant int64_t* ", name, "_strides"));
    if (known & MetalKernelParams::ndim) buffer(cat("const constant int& ", name, "_ndim"));
  }
  for (size_t i = 0; i < k.output_names.size(); ++i) {
    const char* t = type_name(call.output_dtypes[i]);
    buffer(cat("device ", k.atomic_outputs ? cat("atomic<", t, ">") : t, "* ", k.output_names[i]));
  }
  for (const Attribute& a : kAttributes) {
    if (mentions(k.source, a.name)) arguments.push_back(cat("  ", a.type, " ", a.name, " [[", a.name, "]]"));
  }

  std::ostringstream out;
  out << kPrelude;
  if (call.init_value) {
    out << "template <typename T>\n[[kernel]] void mxform_fill(device T* out [[buffer(0)]], const constant T& value [[buffer(1)]],\n"
           "    const constant uint64_t& n [[buffer(2)]], uint i [[thread_position_in_grid]], uint step [[threads_per_grid]]) {\n"
           "  for (uint64_t at = i; at < n; at += step) out[at] = value;\n}\n";
    std::vector<Dtype> filled;
    for (Dtype t : call.output_dtypes) {
      if (std::find(filled.begin(), filled.end(), t) != filled.end()) continue;
      filled.push_back(t);
      std::string f = cat("mxform_fill<", type_name(t), ">");
      out << "template [[host_name(\"" << metal_fill_kernel(t) << "\")]] [[kernel]] decltype(" << f << ") " << f << ";\n";
    }
    out << "\n";
  }
  if (!k.header.empty()) out << k.header << "\n";
  std::string kinds, values;
  for (const TemplateArg& a : call.templates) {
    kinds += cat(kinds.empty() ? "" : ", ", kind_of(a), " ", a.name);
    values += cat(values.empty() ? "" : ", ", text_of(a));
  }
  std::string function = function_name(k, nullptr);
  if (!kinds.empty()) out << "template <" << kinds << ">\n";
  out << "[[kernel]] void " << function << "(\n";
  for (size_t i = 0; i < arguments.size(); ++i) out << arguments[i] << (i + 1 < arguments.size() ? ",\n" : ") {\n");
  out << k.source << "\n}\n";
  if (!kinds.empty()) {
    std::string f = cat(function, "<", values, ">");
    out << "template [[host_name(\"" << function_name(k, &call) << "\")]] [[kernel]] decltype(" << f << ") " << f << ";\n";
  }
  return out.str();
}

const Primitive metal_kernel_p = define<MetalKernelParams>({
    .name = "metal_kernel",
    .infer =
        [](auto& p, const Call&) -> Inferred {
          Types types;
          for (size_t i = 0; i < p.shapes.size(); ++i) types.push_back({p.dtypes[i], p.shapes[i]});
          return types;
        },
    .jvp = [](auto& p, const Call&, int, const array&) -> Outs {
      throw TransformError(cat("[metal_kernel] kernel '", p.name, "' has no derivative: its source is not known to be differentiable. Call it "
                               "within a custom_function that has one."));
    },
});

Arrays metal_kernel(const MetalKernel& k, Arrays inputs, const MetalCall& call) {
  MetalKernelParams p{.name = k.name, .kernel = function_name(k, call.templates.empty() ? nullptr : &call), .text = {}};
  if (k.ensure_row_contiguous) {
    for (array& in : inputs) in = contiguous(in);
  }
  p.text = metal_kernel_source(k, inputs, call);
  p.fast_math = k.fast_math;
  for (size_t i = 0; i < inputs.size(); ++i) p.known.push_back(known_of(k, i, inputs[i]));
  p.shapes = call.output_shapes;
  p.dtypes = call.output_dtypes;
  for (size_t i = 0; i < 3; ++i) {
    p.grid.push_back(call.grid[i]);
    p.group.push_back(std::max<int64_t>(1, std::min(call.threadgroup[i], call.grid[i])));
  }
  p.init_value = call.init_value;
  return make_nodes(metal_kernel_p, std::move(p), SmallVector<array, 3>(inputs.begin(), inputs.end()));
}

}  // namespace mx
