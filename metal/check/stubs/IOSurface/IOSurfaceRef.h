// Stands in for Apple's header in the cross build (cross_build.py): what metal-cpp uses of it.
#pragma once
typedef struct __IOSurface* IOSurfaceRef;
