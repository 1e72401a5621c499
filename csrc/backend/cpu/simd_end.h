// simd_end.h — ends what simd_avx2.h and simd_avx512.h begin. No include guard: it stands at the end of every such file.

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
