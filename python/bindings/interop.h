// interop.h — memory shared with NumPy, DLPack and anything with the buffer protocol.
//
// Import: from_foreign() finds out what an object offers. Export: the buffer slots, `__array__` and `__dlpack__`
// of the array type. CPU memory only; nothing here computes. Start at from_foreign() and get_buffer().
#pragma once

#include <optional>

#include "bindings/convert.h"

namespace mx::python {

/// May the result share the object's memory?
enum class Copy : uint8_t { always, if_needed, never };

/// The array that `o` stands for through `__mlx_array__`, the buffer protocol, `__dlpack__` or `__array__`;
/// nullopt if it has none of these. Without `t`, float64 becomes float32 and complex128 complex64, as everywhere.
/// Throws ValueError if the memory would have to be copied under Copy::never.
std::optional<array> from_foreign(PyObject* o, std::optional<Dtype> t, Copy copy);

/// Whether from_foreign() would try: by attributes only, nothing is converted.
bool is_array_like(PyObject* o);

/// The memory behind a DLPack object or capsule (dlpack.cpp).
array from_dlpack(PyObject* o, std::optional<Dtype> t, Copy copy);

/// Memory of arrays for the package mxform.io (files.cpp).
void bind_files(py::module_& m);

/// Slots of the buffer protocol.
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);

/// A fresh row-contiguous array to fill in.
array uninitialized(Type type);
/// An array over foreign memory; `release` runs once, with the GIL, when nobody needs it any more.
/// Strides in elements.
array adopt_memory(void* data, Type type, Strides strides, void (*release)(void*), void* owner);
/// A row-contiguous copy of foreign memory. Strides in bytes; `swap` reverses the bytes of each element.
array copy_memory(const void* data, Type type, const Strides& byte_strides, bool swap = false);
/// The dtype that memory of dtype `found` becomes: `t`, or float32 for float64.
Dtype imported_dtype(Dtype found, std::optional<Dtype> t);
/// `a` as that dtype, cast at once.
array finish_import(array a, std::optional<Dtype> t, Copy copy);

}  // namespace mx::python
