// vector_math_rare.cpp — single numbers, by scalar/ and the library of the platform; sines of float32 by way of double, so that
// they are rounded well.

#include "backend/cpu/vector_math_rare.h"

#include "scalar/binary.h"

namespace mx::cpu::vector_math::rare {

float sin(float x) { return static_cast<float>(std::sin(static_cast<double>(x))); }
double sin(double x) { return std::sin(x); }
float cos(float x) { return static_cast<float>(std::cos(static_cast<double>(x))); }
double cos(double x) { return std::cos(x); }
float tan(float x) { return static_cast<float>(std::tan(static_cast<double>(x))); }
double tan(double x) { return std::tan(x); }
float remainder(float a, float b) { return scalar::remainder(a, b); }
double remainder(double a, double b) { return scalar::remainder(a, b); }
float floor_divide(float a, float b) { return scalar::floor_divide(a, b); }
double floor_divide(double a, double b) { return scalar::floor_divide(a, b); }

}  // namespace mx::cpu::vector_math::rare
