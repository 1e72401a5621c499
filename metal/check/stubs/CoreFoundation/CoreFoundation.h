// Stands in for Apple's header in the cross build (cross_build.py): what metal-cpp uses of it.
#pragma once
#include <TargetConditionals.h>
#include <stddef.h>
#include <stdint.h>
typedef double CFTimeInterval;
