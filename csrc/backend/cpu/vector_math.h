// vector_math.h — functions of float32 and float64, written once over the lane types of lanes.h. Include it behind the header of
// a lane type. Largest errors: docs/accuracy.md.
#pragma once

#include "backend/cpu/vector_math_division.h"
#include "backend/cpu/vector_math_error.h"
#include "backend/cpu/vector_math_exp.h"
#include "backend/cpu/vector_math_hyperbolic.h"
#include "backend/cpu/vector_math_log.h"
#include "backend/cpu/vector_math_power.h"
#include "backend/cpu/vector_math_trig.h"
