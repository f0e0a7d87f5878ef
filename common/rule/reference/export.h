#pragma once
// Symbol visibility: the library hides everything but the function that makes an engine and what tests use.
#define OUTERLOOP_REFERENCE_API __attribute__((visibility("default")))
