// metal_cpp.cpp — the one file that defines what Apple's headers only declare.

#define NS_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION
#include <Metal/Metal.hpp>
