// files.cpp — the two functions that mxform.io needs of C++: memory to read a file into, and the memory that is
// written to one. Formats and everything else are in Python (python/mxform/io).

#include <limits>

#include "bindings/interop.h"
#include "bindings/signature.h"
#include "ops/cast.h"

namespace mx::python {

void bind_files(py::module_& m) {
  def(m, "_allocate(shape, dtype)", "Make an array with memory of its own that is yet to be filled in, through _bytes_of.",
      [](const Args& a) {
        Type type{a.dtype(1), a.shape(0)};
        for (int64_t size : type.shape) {
          if (size < 0) throw ValueError(cat("[_allocate] negative size in shape ", type.shape, "; need sizes >= 0."));
        }
        if (n_elems(type.shape) > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(size_of(type.dtype))) {
          throw OverflowError(cat("[_allocate] shape ", type.shape, " of ", type.dtype, " has more than 2**63 - 1 bytes."));
        }
        return uninitialized(std::move(type));
      });
  def(m, "_bytes_of(a)", "View the elements of an array, evaluated and row by row, as one axis of uint8: its memory, not a copy.",
      [](const Args& args) {
        array a = contiguous(args.arr(0)).eval();
        auto n_bytes = static_cast<int64_t>(a.n_bytes());
        if (n_bytes == 0) return uninitialized({Dtype::uint8, {0}});
        int64_t offset = a.storage().offset * static_cast<int64_t>(a.itemsize());
        return array::wrap(a.storage().buffer, {Dtype::uint8, {n_bytes}}, offset);
      });
}

}  // namespace mx::python
