// clones.h — compiling inner loops several times over, for what different CPUs offer.
#pragma once

// Several versions of a function, chosen at start-up by what the CPU offers. The arithmetic is the same in all.
// Functions called in one are compiled along with it only if they are inlined.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(MXFORM_NO_CLONES)
#define MX_CLONES __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define MX_CLONES
#endif
// A function that is to be compiled along.
#define MX_INLINE inline __attribute__((always_inline))
// Element i of the output depends on element i of the inputs only, even where the output is an input's memory.
#ifdef __clang__
#define MX_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define MX_INDEPENDENT _Pragma("GCC ivdep")
#endif
