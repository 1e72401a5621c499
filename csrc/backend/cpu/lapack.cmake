# lapack.cmake — finds the LAPACK that the CPU backend opens at run time (lapack.cpp) and that wheels bundle.
#
# On Linux it comes from the Python package scipy-openblas32, of which the interpreter is asked. Nothing is linked:
# without it everything builds, and the system's library is looked for at run time. Macs have Accelerate.
# Sets MXFORM_LAPACK_LIBRARY and MXFORM_LAPACK_LICENSE, empty if there is none.

set(MXFORM_LAPACK_LIBRARY "" CACHE FILEPATH "Shared library with LAPACK's Fortran interface, to use and to bundle")
set(MXFORM_LAPACK_LICENSE "" CACHE FILEPATH "Text of its licence")

if(NOT MXFORM_LAPACK_LIBRARY AND NOT APPLE)
  if(NOT Python_EXECUTABLE)
    find_package(Python COMPONENTS Interpreter QUIET)
  endif()
  if(Python_EXECUTABLE)
    execute_process(
      COMMAND ${Python_EXECUTABLE} -c [[
import importlib.metadata as metadata, pathlib, scipy_openblas32 as openblas
print(pathlib.Path(openblas.get_lib_dir()) / "libscipy_openblas.so")
files = metadata.files("scipy-openblas32") or []
print(*[f.locate() for f in files if f.name.startswith("LICENSE")][:1])
]]
      OUTPUT_VARIABLE found ERROR_QUIET RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT failed)
      string(REPLACE "\n" ";" found "${found}")
      list(GET found 0 library)
      list(LENGTH found n)
      if(EXISTS "${library}")
        set(MXFORM_LAPACK_LIBRARY "${library}")
        if(n GREATER 1)
          list(GET found 1 MXFORM_LAPACK_LICENSE)
        endif()
      endif()
    endif()
  endif()
endif()

if(MXFORM_LAPACK_LIBRARY)
  message(STATUS "LAPACK: ${MXFORM_LAPACK_LIBRARY}")
elseif(NOT APPLE)
  message(STATUS "LAPACK: none found now; the system's is looked for at run time (pip install scipy-openblas32 to have one)")
endif()
