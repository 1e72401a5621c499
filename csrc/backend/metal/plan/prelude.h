// prelude.h — the headers that printed kernels stand on, as text: metal/kernels/{common,elements,arithmetic,strided,lanes}.h and
// csrc/scalar/*.h in one piece, made by the build (prelude.cmake).
#pragma once

namespace mx::metal {

extern const char* const kPrelude;

}  // namespace mx::metal
