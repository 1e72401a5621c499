// vector_math_rare.h — functions of single numbers for the lanes that `repair` (lanes.h) computes again; the same for every
// instruction set.
#pragma once

namespace mx::cpu::vector_math::rare {

float sin(float x);
double sin(double x);
float cos(float x);
double cos(double x);
float tan(float x);
double tan(double x);
float remainder(float a, float b);
double remainder(double a, double b);
float floor_divide(float a, float b);
double floor_divide(double a, double b);

}  // namespace mx::cpu::vector_math::rare
