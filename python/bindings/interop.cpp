// interop.cpp — the buffer protocol in both directions, `__array__`, asarray, and the choice of a protocol.
// DLPack is in dlpack.cpp.

#include "bindings/interop.h"

#include <algorithm>
#include <cstring>

#include "bindings/gil.h"
#include "bindings/signature.h"
#include "ops/cast.h"
#include "ops/movement.h"
#include "runtime/backend.h"

namespace mx::python {

// ---- memory

array uninitialized(Type type) {
  auto n_bytes = static_cast<size_t>(n_elems(type.shape)) * size_of(type.dtype);
  return array::wrap(backend(Device::cpu).allocator().allocate(n_bytes), std::move(type));
}

array adopt_memory(void* data, Type type, Strides strides, void (*release)(void*), void* owner) {
  auto n_bytes = static_cast<size_t>(n_elems(type.shape)) * size_of(type.dtype);
  BufferRef buffer(new Buffer{data, n_bytes, false}, [release, owner](Buffer* b) {
    delete b;
    with_gil_or_never([&] { release(owner); });
  });
  return array::wrap(std::move(buffer), std::move(type), 0, std::move(strides));
}

array copy_memory(const void* data, Type type, const Strides& byte_strides, bool swap) {
  array out = uninitialized(type);
  const Shape& shape = out.shape();
  size_t itemsize = size_of(type.dtype), ndim = shape.size();
  if (out.size() == 0) return out;
  std::byte* to = out.bytes();
  // `inner` trailing axes are contiguous in the source too: they are copied as one block.
  size_t inner = ndim;
  auto block = static_cast<int64_t>(itemsize);
  while (inner > 0 && (shape[inner - 1] == 1 || byte_strides[inner - 1] == block)) block *= shape[--inner];
  Shape at(inner, 0);
  const auto* from = static_cast<const std::byte*>(data);
  for (std::byte* end = to + out.n_bytes(); to != end; to += block) {
    std::memcpy(to, from, static_cast<size_t>(block));
    for (size_t axis = inner; axis-- > 0;) {
      from += byte_strides[axis];
      if (++at[axis] < shape[axis]) break;
      from -= byte_strides[axis] * shape[axis];
      at[axis] = 0;
    }
  }
  if (type.dtype == Dtype::bool_) {
    // NumPy takes any byte but 0 for true; here nothing but 1 is.
    for (std::byte* p = out.bytes(); p != out.bytes() + out.n_bytes(); ++p) *p = static_cast<std::byte>(*p != std::byte{0});
  }
  if (swap) {
    size_t unit = type.dtype == Dtype::complex64 ? 4 : itemsize;
    for (std::byte* p = out.bytes(); p != out.bytes() + out.n_bytes(); p += unit) std::reverse(p, p + unit);
  }
  return out;
}

Dtype imported_dtype(Dtype found, std::optional<Dtype> t) {
  return t ? *t : found == Dtype::float64 ? Dtype::float32 : found;
}

array finish_import(array a, std::optional<Dtype> t, Copy copy) {
  Dtype want = imported_dtype(a.dtype(), t);
  if (want == a.dtype()) return a;
  if (copy == Copy::never) {
    throw ValueError(cat("[asarray] the memory holds ", a.dtype(), " and the result would be ", want, ": that needs a copy. Give dtype=mx.",
                         a.dtype(), ", or allow the copy."));
  }
  // Now, not lazily: the memory may change later.
  return astype(a, want).eval();
}

namespace {

// Of the array API standard.
constexpr std::string_view kVersions[] = {"2021.12", "2022.12", "2023.12", "2024.12", "2025.12"};

// ---- import through the buffer protocol

struct Format {
  std::optional<Dtype> dtype;
  bool complex128 = false;
  bool swap = false;
};

Format parse_format(const Py_buffer& view) {
  std::string_view f = view.format ? view.format : "B";
  Format out;
  if (!f.empty() && (f[0] == '<' || f[0] == '>' || f[0] == '!' || f[0] == '=' || f[0] == '@' || f[0] == '^')) {
    bool big = f[0] == '>' || f[0] == '!';
    out.swap = (big || f[0] == '<') && big != (std::endian::native == std::endian::big);
    f.remove_prefix(1);
  }
  if (f == "Zd") {
    out.complex128 = true;
    return out;
  }
  // Sizes of C types differ between platforms: the kind comes from the letter, the width from itemsize.
  static constexpr Dtype kSigned[] = {Dtype::int8, Dtype::int16, Dtype::int32, Dtype::int64};
  static constexpr Dtype kUnsigned[] = {Dtype::uint8, Dtype::uint16, Dtype::uint32, Dtype::uint64};
  int width = view.itemsize == 1 ? 0 : view.itemsize == 2 ? 1 : view.itemsize == 4 ? 2 : view.itemsize == 8 ? 3 : -1;
  if (f == "?") out.dtype = Dtype::bool_;
  else if (f == "e") out.dtype = Dtype::float16;
  else if (f == "f") out.dtype = Dtype::float32;
  else if (f == "d") out.dtype = Dtype::float64;
  else if (f == "Zf") out.dtype = Dtype::complex64;
  else if (f == "c" && width == 0) out.dtype = Dtype::uint8;
  else if (f.size() == 1 && width >= 0 && f.find_first_of("bhilqn") == 0) out.dtype = kSigned[width];
  else if (f.size() == 1 && width >= 0 && f.find_first_of("BHILQN") == 0) out.dtype = kUnsigned[width];
  return out;
}

// An owned Py_buffer, on the heap so that an array can keep it.
struct ViewHolder {
  Py_buffer view{};
  bool held = false;
  ~ViewHolder() {
    if (held) PyBuffer_Release(&view);
  }
};

array complex128_to_64(const Py_buffer& v, const Shape& shape, const Strides& byte_strides, bool swap) {
  // Pairs of float64 are read as one more axis, then rounded and seen as complex64.
  Shape pairs = shape;
  pairs.push_back(2);
  Strides strides = byte_strides;
  strides.push_back(8);
  array parts = astype(copy_memory(v.buf, {Dtype::float64, pairs}, strides, swap), Dtype::float32);
  array whole = view(parts, Dtype::complex64);  // (..., 2) -> (..., 1)
  return reshape(whole, shape);
}

std::optional<array> from_buffer(PyObject* o, std::optional<Dtype> t, Copy copy) {
  auto holder = std::make_unique<ViewHolder>();
  Py_buffer& v = holder->view;
  if (PyObject_GetBuffer(o, &v, PyBUF_STRIDES | PyBUF_FORMAT) < 0) {
    PyErr_Clear();
    return std::nullopt;
  }
  holder->held = true;
  Format format = parse_format(v);
  if (!format.dtype && !format.complex128) return std::nullopt;
  if (format.dtype && static_cast<size_t>(v.itemsize) != size_of(*format.dtype)) return std::nullopt;
  Shape shape(v.shape, v.shape + v.ndim);
  Strides byte_strides(v.strides, v.strides + v.ndim);
  if (format.complex128) {
    if (copy == Copy::never) throw ValueError("[asarray] complex128 needs a copy to become complex64. Allow the copy.");
    return finish_import(complex128_to_64(v, shape, byte_strides, format.swap), t, copy);
  }
  Type type{*format.dtype, shape};
  bool aligned = reinterpret_cast<uintptr_t>(v.buf) % size_of(type.dtype) == 0;
  Strides strides;
  for (int64_t s : byte_strides) {
    strides.push_back(s / v.itemsize);
    aligned &= s % v.itemsize == 0;
  }
  bool cast = imported_dtype(type.dtype, t) != type.dtype;
  if ((copy != Copy::always || cast) && aligned && !format.swap) {
    ViewHolder* owner = holder.release();
    array shared = adopt_memory(owner->view.buf, type, strides, [](void* p) { delete static_cast<ViewHolder*>(p); }, owner);
    return finish_import(std::move(shared), t, copy);
  }
  if (copy == Copy::never) throw ValueError("[asarray] the memory has the wrong byte order or alignment: that needs a copy. Allow the copy.");
  return finish_import(copy_memory(v.buf, type, byte_strides, format.swap), t, copy);
}

py::object method(PyObject* o, const char* name) {
  // On the type, as Python looks up special methods; and never on classes themselves.
  if (PyType_Check(o)) return py::none();
  return py::getattr(py::handle(o), name, py::none());
}

// NumPy arrays of types that the buffer protocol cannot express: bfloat16 (the ml_dtypes package) and long double.
std::optional<array> from_numpy(const py::object& a, std::optional<Dtype> t, Copy copy) {
  if (!py::hasattr(a, "dtype") || !py::hasattr(a, "view")) return std::nullopt;
  auto name = py::cast<std::string>(py::str(py::getattr(a.attr("dtype"), "name", py::str(""))));
  if (name == "bfloat16") {
    if (auto bits = from_buffer(py::object(a.attr("view")("uint16")).ptr(), Dtype::uint16, copy)) {
      return finish_import(view(*bits, Dtype::bfloat16), t, copy);
    }
  }
  if (name.starts_with("float")) return from_buffer(py::object(a.attr("astype")("float64")).ptr(), t, copy);
  if (name.starts_with("complex")) return from_buffer(py::object(a.attr("astype")("complex128")).ptr(), t, copy);
  throw ValueError(cat("[array] NumPy arrays of ", name, " cannot be converted; need booleans or numbers."));
}

}  // namespace

bool is_array_like(PyObject* o) {
  if (PyObject_CheckBuffer(o)) return true;
  for (const char* name : {"__mlx_array__", "__dlpack__", "__array__"}) {
    if (!method(o, name).is_none()) return true;
  }
  return false;
}

std::optional<array> from_foreign(PyObject* o, std::optional<Dtype> t, Copy copy) {
  if (py::object f = method(o, "__mlx_array__"); !f.is_none()) {
    py::object a = f();
    if (!is_array(a.ptr())) throw py::type_error("__mlx_array__ did not return an array.");
    return finish_import(get_array(a.ptr()), t ? t : get_array(a.ptr()).dtype(), copy);
  }
  // NumPy's scalars have a buffer too, but that of a datetime64 crashes.
  std::string_view type_name = Py_TYPE(o)->tp_name;
  bool numpy_scalar = type_name.starts_with("numpy.") && type_name != "numpy.ndarray" && !method(o, "__array__").is_none();
  if (PyObject_CheckBuffer(o) && !numpy_scalar) {
    if (auto a = from_buffer(o, t, copy)) return a;
    if (auto a = from_numpy(py::reinterpret_borrow<py::object>(o), t, copy)) return a;
  }
  if (!method(o, "__dlpack__").is_none()) return from_dlpack(o, t, copy);
  if (py::object f = method(o, "__array__"); !f.is_none()) {
    py::object a = f();
    if (PyObject_CheckBuffer(a.ptr())) {
      if (auto x = from_buffer(a.ptr(), t, copy)) return x;
      if (auto x = from_numpy(a, t, copy)) return x;
    }
    throw py::type_error("__array__ did not return a NumPy array of numbers.");
  }
  return std::nullopt;
}

// ---- export

namespace {

const char* format_of(Dtype t) {
  static constexpr const char* kFormats[] = {"?", "B", "H", "I", "Q", "b", "h", "i", "q", "e", nullptr, "f", "d", "Zf"};
  return kFormats[static_cast<int>(t)];
}

struct ArrayLike {
  py::object value;
};

struct Exported {
  array a;
  SmallVector<Py_ssize_t, 12> shape_and_strides;
};

bool writable(const array& a) {
  // Broadcast elements share memory, and constants may be shared between arrays.
  for (size_t i = 0; i < a.shape().size(); ++i) {
    if (a.shape()[i] > 1 && a.strides()[i] == 0) return false;
  }
  return a.storage().buffer && a.storage().buffer->owned;
}

py::object numpy_array(const py::object& self, const py::object& dtype, const py::object& copy) {
  Dtype from = get_array(self.ptr()).dtype();
  if (from == Dtype::bfloat16) {
    throw ValueError("[__array__] NumPy has no bfloat16. Convert with x.astype(mx.float32) first.");
  }
  py::module_ numpy = py::module_::import("numpy");
  auto view = py::reinterpret_steal<py::object>(checked(PyMemoryView_FromObject(self.ptr())));
  py::object out = numpy.attr("asarray")(view);
  bool always = !copy.is_none() && to_flag(copy.ptr(), "[__array__] copy"), never = !copy.is_none() && !always;
  if (!dtype.is_none() && !py::object(out.attr("dtype")).equal(numpy.attr("dtype")(dtype))) {
    if (never) {
      throw ValueError(cat("[__array__] a conversion from ", from, " needs a copy, but copy=False was given."));
    }
    return out.attr("astype")(dtype);
  }
  return always ? out.attr("copy")() : out;
}

py::object as_object(array a) { return py::reinterpret_steal<py::object>(to_python(std::move(a))); }

py::object as_array(const Args& a) {
  std::optional<Dtype> t = a.opt_dtype(1);
  Copy copy = a.is_none(2) ? Copy::if_needed : a.flag(2) ? Copy::always : Copy::never;
  PyObject* o = a.raw(0);
  if (is_array(o)) {
    array x = finish_import(get_array(o), t ? t : get_array(o).dtype(), copy);
    // Never a copy: the object itself, so that assignments to one are seen in the other.
    return copy == Copy::never ? a.obj(0) : as_object(copy == Copy::always ? mx::copy(x) : x);
  }
  bool foreign = !is_python_number(o) && !PyList_Check(o) && !PyTuple_Check(o) && !PyUnicode_Check(o) && o != Py_None;
  if (foreign) {
    if (auto x = from_foreign(o, t, copy)) return as_object(*x);
  } else if (copy == Copy::never) {
    throw ValueError(cat("[asarray] ", kind_of(o), " has no memory to share: that needs a copy. Allow the copy."));
  }
  try {
    return as_object(to_array(o, t));
  } catch (const DtypeError& e) {
    throw DtypeError(cat("[asarray] ", e.what()));
  }
}

}  // namespace

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  return guarded([&] {
    array a = get_array(self);
    const char* format = format_of(a.dtype());
    if (!format) throw ValueError(cat("[buffer] the buffer protocol has no ", a.dtype(), ". Convert with x.astype(mx.float32) first."));
    a.eval();
    auto refuse = [](const char* why) {
      PyErr_SetString(PyExc_BufferError, why);
      return -1;
    };
    if ((flags & PyBUF_WRITABLE) && !writable(a)) return refuse("the array's memory is shared between elements: it is read-only");
    bool strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    if ((!strided || (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS) && !a.row_contiguous()) {
      return refuse("the array is not contiguous; use mx.contiguous first");
    }
    auto n = static_cast<Py_ssize_t>(a.itemsize());
    auto exported = std::make_unique<Exported>(Exported{a, {}});
    for (int64_t s : a.shape()) exported->shape_and_strides.push_back(s);
    for (int64_t s : a.strides()) exported->shape_and_strides.push_back(s * n);
    static std::byte nothing[16];
    view->buf = a.size() ? a.bytes() : nothing;
    view->len = static_cast<Py_ssize_t>(a.n_bytes());
    view->itemsize = n;
    view->readonly = !writable(a);
    view->ndim = a.ndim();
    view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
    view->shape = (flags & PyBUF_ND) == PyBUF_ND ? exported->shape_and_strides.data() : nullptr;
    view->strides = strided ? exported->shape_and_strides.data() + a.ndim() : nullptr;
    view->suboffsets = nullptr;
    view->internal = exported.release();
    view->obj = Py_NewRef(self);
    return 0;
  }, -1);
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

void bind_dlpack(py::module_& m);

void bind_interop(py::module_& m) {
  bind_dlpack(m);
  bind_files(m);
  py::class_<ArrayLike>(m, "ArrayLike", "Holds an object that converts to an array; operations take it in an array's place.")
      .def(py::init([](py::object o) { return ArrayLike{std::move(o)}; }), py::arg("arg"), py::pos_only())
      .def("__mlx_array__", [](const ArrayLike& a) { return to_array(a.value.ptr()); }, "Convert.")
      .attr("__module__") = "mxform";
  def(m, "asarray(a, dtype=None, *, copy=None, device=None)", R"(
      Convert to an array, sharing memory where possible.

      A shared array sees later changes of the memory that it came from, but not reliably: what was computed
      already stays as it was. Use ``mx.array`` to copy.

      Args:
          a: As for ``mx.array``. The memory of NumPy arrays, DLPack objects on the CPU and other buffers is shared
              when its type needs no conversion (float64 does: pass ``dtype=mx.float64`` to keep it).
          dtype (Dtype, optional): The dtype of the result. Default: as for ``mx.array``.
          copy (bool, optional): True: always copy. False: never; an array itself is returned. None: if needed.
          device (Device, optional): Where conversions are computed. Memory is shared by all devices.

      Returns:
          array

      Raises:
          ValueError: If ``copy`` is False and a copy is needed.

      Example:
          >>> mx.asarray([1.0, 2.0])
          array([1, 2], dtype=float32)
      )", as_array);
  def_method("array.__array__(self, dtype=None, copy=None)", "Give the elements as a NumPy array, without a copy where possible.",
             [](const Args& a) { return numpy_array(a.obj(0), a.obj(1), a.obj(2)); });
  def_method("array.__array_namespace__(self, api_version=None)", "Give the module that implements the Python array API standard.",
             [](const Args& a) {
               if (!a.is_none(1)) {
                 std::string version = a.str(1);
                 if (std::find(std::begin(kVersions), std::end(kVersions), version) == std::end(kVersions)) {
                   throw ValueError(cat(a.what(1), " '", version, "' is not known; need None or one from '", kVersions[0], "' to '",
                                        *std::rbegin(kVersions), "'."));
                 }
               }
               return py::object(py::module_::import("mxform"));
             });
  def_method("array.to_device(self, device, /, *, stream=None)", R"(
      Give the array for use on a device. All devices share memory: nothing is copied.

      Args:
          device (Device or DeviceType): A device that this build can use.

      Returns:
          array: The array itself.

      Raises:
          ValueError: If there is no such device.
      )", [](const Args& a) {
        to_stream(a.raw(1), a.what(1));
        return a.arr(0);
      });
}

}  // namespace mx::python
