// conv_channels_avx2.cpp — the inner loops of convolutions by channel with AVX2 and FMA.

#include "backend/cpu/conv_channel_loops.h"

#if defined(__x86_64__)

#include "backend/cpu/simd_avx2.h"

namespace mx::cpu {

namespace {

#include "backend/cpu/conv_channel_loops.inl"

}  // namespace

constinit const ChannelLoops<float> channel_loops_avx2_f32 = {add_taps<float>, add_products<float>};
constinit const ChannelLoops<double> channel_loops_avx2_f64 = {add_taps<double>, add_products<double>};

}  // namespace mx::cpu

#include "backend/cpu/simd_end.h"

#endif
