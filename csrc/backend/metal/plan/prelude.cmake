# Writes the headers that printed kernels stand on (prelude.h) into a C++ source: in order, without their includes of each other.
set(prelude_headers
  csrc/scalar/metal_functions.h csrc/scalar/math.h csrc/scalar/complex.h csrc/scalar/unary.h csrc/scalar/binary.h csrc/scalar/cast.h
  csrc/scalar/ternary.h metal/kernels/common.h metal/kernels/elements.h metal/kernels/arithmetic.h metal/kernels/strided.h metal/kernels/lanes.h)
set(prelude_text "#include <metal_stdlib>\n")
foreach(header ${prelude_headers})
  file(READ ${PROJECT_SOURCE_DIR}/${header} part)
  string(REGEX REPLACE "#include \"[^\n]*\n" "" part "${part}")
  string(REPLACE "#pragma once\n" "" part "${part}")
  string(APPEND prelude_text "${part}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/metal_prelude.cpp @ONLY CONTENT
"#include \"backend/metal/plan/prelude.h\"
const char* const mx::metal::kPrelude = R\"metal(@prelude_text@)metal\";
")
