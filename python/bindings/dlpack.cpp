// dlpack.cpp — exchange of CPU memory through DLPack capsules, unversioned and versioned (1.x).
// The structures follow the DLPack specification (github.com/dmlc/dlpack). Start at from_dlpack() and to_capsule().

#include "bindings/interop.h"
#include "bindings/signature.h"
#include "ops/cast.h"

namespace mx::python {

namespace {

// ---- the binary interface

struct DLDevice {
  int32_t type;  // 1: CPU
  int32_t id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: row-contiguous
  uint64_t byte_offset;
};
struct Unversioned {
  DLTensor tensor;
  void* context;
  void (*deleter)(Unversioned*);
};
struct Versioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(Versioned*);
  uint64_t flags;
  DLTensor tensor;
};
constexpr uint64_t kReadOnly = 1, kCopied = 2;

template <class M>
constexpr const char* kName = std::is_same_v<M, Versioned> ? "dltensor_versioned" : "dltensor";
template <class M>
constexpr const char* kUsedName = std::is_same_v<M, Versioned> ? "used_dltensor_versioned" : "used_dltensor";

DLDataType to_dl(Dtype t) {
  auto bits = static_cast<uint8_t>(8 * size_of(t));
  uint8_t code = is_bool(t) ? 6 : is_complex(t) ? 5 : t == Dtype::bfloat16 ? 4 : is_floating(t) ? 2 : is_unsigned(t) ? 1 : 0;
  return {code, bits, 1};
}

Dtype from_dl(DLDataType d) {
  for (int t = 0; t < kDtypeCount; ++t) {
    DLDataType known = to_dl(static_cast<Dtype>(t));
    if (known.code == d.code && known.bits == d.bits && d.lanes == 1) return static_cast<Dtype>(t);
  }
  throw ValueError(cat("[from_dlpack] type code ", int(d.code), " of ", int(d.bits), " bits and ", d.lanes, " lanes is not supported."));
}

// ---- export

// What an exported tensor points to.
template <class M>
struct Exported {
  M managed{};
  array a;
  Shape shape;
  Strides strides;
};

template <class M>
py::object to_capsule(const array& a, bool copied) {
  auto e = std::make_unique<Exported<M>>();
  e->a = a;
  e->shape = a.shape();
  e->strides = a.strides();
  bool shared_elements = false;
  for (size_t i = 0; i < e->shape.size(); ++i) shared_elements |= e->shape[i] > 1 && e->strides[i] == 0;
  e->managed.tensor = {.data = a.size() ? a.bytes() : nullptr,
                       .device = {1, 0},
                       .ndim = a.ndim(),
                       .dtype = to_dl(a.dtype()),
                       .shape = e->shape.data(),
                       .strides = e->strides.data(),
                       .byte_offset = 0};
  e->managed.context = e.get();
  e->managed.deleter = [](M* m) { delete static_cast<Exported<M>*>(m->context); };
  if constexpr (std::is_same_v<M, Versioned>) {
    e->managed.major = 1;
    e->managed.minor = 0;
    e->managed.flags = (copied ? kCopied : 0) | (shared_elements || !a.storage().buffer->owned ? kReadOnly : 0);
  }
  PyObject* capsule = PyCapsule_New(&e->managed, kName<M>, [](PyObject* c) {
    // A consumer renames the capsule and calls the deleter itself.
    if (!PyCapsule_IsValid(c, kName<M>)) return;
    auto* m = static_cast<M*>(PyCapsule_GetPointer(c, kName<M>));
    m->deleter(m);
  });
  checked(capsule);
  (void)e.release();
  return py::reinterpret_steal<py::object>(capsule);
}

py::object dlpack(const Args& args) {
  array a = args.arr(0);
  if (!args.is_none(3)) {
    Shape device = to_shape(args.raw(3), args.what(3));
    if (device.size() != 2 || device[0] != 1) {
      PyErr_SetString(PyExc_BufferError, "[__dlpack__] arrays are exported on the CPU only; need dl_device=(1, 0).");
      rethrow();
    }
  }
  bool copy = !args.is_none(4) && args.flag(4);
  if (copy) a = mx::copy(a);
  a.eval();
  Shape version = args.is_none(2) ? Shape{0, 0} : to_shape(args.raw(2), args.what(2));
  if (version.size() != 2) throw ValueError(cat(args.what(2), " is ", version, "; need a pair (major, minor)."));
  bool versioned = version[0] >= 1;
  return versioned ? to_capsule<Versioned>(a, copy) : to_capsule<Unversioned>(a, copy);
}

// ---- import

template <class M>
array from_capsule(PyObject* capsule, std::optional<Dtype> t, Copy copy) {
  auto* m = static_cast<M*>(PyCapsule_GetPointer(capsule, kName<M>));
  if (!m) rethrow();
  if constexpr (std::is_same_v<M, Versioned>) {
    if (m->major != 1) throw ValueError(cat("[from_dlpack] DLPack version ", m->major, " is not known; need 1."));
  }
  const DLTensor& d = m->tensor;
  // Host memory of other kinds (pinned: 3) can be read as well.
  if (d.device.type != 1 && d.device.type != 3) {
    throw ValueError(cat("[from_dlpack] the memory is on DLPack device type ", d.device.type, "; need the CPU. Copy it there first."));
  }
  Type type{from_dl(d.dtype), Shape(d.shape, d.shape + d.ndim)};
  Strides strides = d.strides ? Strides(d.strides, d.strides + d.ndim) : row_strides(type.shape);
  void* data = static_cast<std::byte*>(d.data) + d.byte_offset;
  bool aligned = reinterpret_cast<uintptr_t>(data) % size_of(type.dtype) == 0;
  if (!aligned && copy == Copy::never) throw ValueError("[from_dlpack] the memory is not aligned: that needs a copy. Allow the copy.");
  if (!aligned || (copy == Copy::always && imported_dtype(type.dtype, t) == type.dtype)) {
    Strides in_bytes;
    for (int64_t s : strides) in_bytes.push_back(s * static_cast<int64_t>(size_of(type.dtype)));
    return finish_import(copy_memory(data, type, in_bytes), t, copy);
  }
  if (PyCapsule_SetName(capsule, kUsedName<M>) < 0) rethrow();
  array shared = adopt_memory(data, type, std::move(strides), [](void* p) {
    auto* m = static_cast<M*>(p);
    if (m->deleter) m->deleter(m);
  }, m);
  return finish_import(std::move(shared), t, copy);
}

py::object capsule_of(PyObject* o) {
  py::handle h(o);
  if (PyCapsule_CheckExact(o)) return py::reinterpret_borrow<py::object>(h);
  if (!py::hasattr(h, "__dlpack__")) {
    throw py::type_error(cat("[from_dlpack] ", kind_of(o), " has no __dlpack__."));
  }
  try {
    return h.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(1, 0));
  } catch (py::error_already_set& e) {
    // Older producers do not know the keyword.
    if (!e.matches(PyExc_TypeError)) throw;
  }
  return h.attr("__dlpack__")();
}

}  // namespace

array from_dlpack(PyObject* o, std::optional<Dtype> t, Copy copy) {
  py::object capsule = capsule_of(o);
  if (PyCapsule_IsValid(capsule.ptr(), kName<Versioned>)) return from_capsule<Versioned>(capsule.ptr(), t, copy);
  if (PyCapsule_IsValid(capsule.ptr(), kName<Unversioned>)) return from_capsule<Unversioned>(capsule.ptr(), t, copy);
  throw py::type_error("[from_dlpack] not a DLPack capsule, or one that was used before.");
}

void bind_dlpack(py::module_& m) {
  def(m, "from_dlpack(x, /, *, copy=None, device=None)", R"(
      Make an array from an object with ``__dlpack__``, sharing its memory where possible.

      Args:
          x: An object on the CPU that has ``__dlpack__``: an array of NumPy, PyTorch, JAX, ...
          copy (bool, optional): True: always copy. False: never. None: if needed. float64 becomes float32, a copy.
          device (Device, optional): Where conversions are computed. Memory is shared by all devices.

      Returns:
          array

      Raises:
          ValueError: If the memory is not on the CPU, its type is not supported, or a copy is needed but not allowed.

      Example:
          >>> mx.from_dlpack(mx.array([1, 2]))
          array([1, 2], dtype=int32)
      )", [](const Args& a) -> py::object {
        Copy copy = a.is_none(1) ? Copy::if_needed : a.flag(1) ? Copy::always : Copy::never;
        // Our own arrays keep their dtype, bfloat16 and float64 too.
        if (is_array(a.raw(0)) && copy == Copy::never) return a.obj(0);
        array x = !is_array(a.raw(0)) ? from_dlpack(a.raw(0), std::nullopt, copy) : copy == Copy::always ? mx::copy(a.arr(0)) : a.arr(0);
        return py::reinterpret_steal<py::object>(to_python(std::move(x)));
      });
  def_method("array.__dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None)",
             "Give a DLPack capsule of the evaluated array. ``stream`` has no meaning on the CPU.", dlpack);
  def_method("array.__dlpack_device__(self)", "Give the DLPack device (1, 0): the CPU.",
             [](const Args&) { return py::object(py::make_tuple(1, 0)); });
}

}  // namespace mx::python
