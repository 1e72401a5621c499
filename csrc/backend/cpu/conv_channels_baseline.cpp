// conv_channels_baseline.cpp — the inner loops of convolutions by channel with 16-byte vectors.

#include "backend/cpu/conv_channel_loops.h"

#include "backend/cpu/simd_baseline.h"

namespace mx::cpu {

namespace {

#include "backend/cpu/conv_channel_loops.inl"

}  // namespace

constinit const ChannelLoops<float> channel_loops_baseline_f32 = {add_taps<float>, add_products<float>};
constinit const ChannelLoops<double> channel_loops_baseline_f64 = {add_taps<double>, add_products<double>};

}  // namespace mx::cpu
