#include "backend/cpu/gemm_thin.h"
namespace mx::cpu {
template <class S> bool thin_gemm(const Gemm<S>&) { return false; }
template bool thin_gemm(const Gemm<float>&);
template bool thin_gemm(const Gemm<double>&);
template bool thin_gemm(const Gemm<float16_t>&);
template bool thin_gemm(const Gemm<bfloat16_t>&);
}
