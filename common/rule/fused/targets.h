#pragma once
// Instruction sets that the kernels are compiled for; included before any header of Highway.
// x86: AVX-512, AVX2, SSE4 and the baseline. SSSE3 and the later variants of AVX-512 are left out: they only
// add code to these kernels, no speed. Sanitized builds keep AVX2 alone, or AVX2 and the baseline on machines
// without it (CMakeLists.txt): each set takes minutes. ARM: NEON; scalable vectors cannot be held in arrays.
#if defined(__x86_64__) || defined(__i386__)
#if defined(OUTERLOOP_SANITIZED)
#define HWY_DISABLED_TARGETS ((1LL << 12) | (1LL << 11) | 0x1f8LL)
#else
#define HWY_DISABLED_TARGETS ((1LL << 12) | 0xf8LL)
#endif
#elif defined(__aarch64__)
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
