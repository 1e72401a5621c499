// linalg_spectral_params.h — parameters of qr, singular values and eigenvalues.
#pragma once

#include "graph/primitive.h"

namespace mx {

}  // namespace mx
