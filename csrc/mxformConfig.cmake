# find_package(mxform): the targets mxform::mx_core (no backend) and mxform::mx_cpu. Include "mx.h".
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/mxformTargets.cmake)
