// fft_params.h — parameters of Fourier transforms.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx
