#pragma once
// The library hides everything but the function that makes an engine and what tests look at.
#define OUTERLOOP_REFERENCE_API __attribute__((visibility("default")))
