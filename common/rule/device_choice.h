#pragma once
// Choice of a worker's device, from its index among the workers of its host and the number of visible
// devices.
#include <string>

namespace outerloop::rule {

/// The number of the CUDA device for `device` (cpu | cuda | cuda:i), counted among the visible ones from 0;
/// -1 for cpu. `worker`: which of its host's workers this is, from 0; the coordinator is none. `visible`: the
/// devices that this process sees, which CUDA_VISIBLE_DEVICES and Slurm may have limited: whichever they are,
/// their numbers are 0 .. visible - 1. cuda deals the devices out in turn; cuda:i is the same one for every
/// worker. Throws InputError for a name that does not exist and a device that is not there.
int device_of_worker(const std::string& device, int worker, int visible);

/// Whether `device` names the CPU. Throws InputError where it is none of the three.
bool is_cpu(const std::string& device);

}  // namespace outerloop::rule
