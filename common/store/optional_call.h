#pragma once
// System calls that a file system may lack: what is done without one is said once, and work goes on.
#include <string>

namespace outerloop::store {

/// Whether `code`, of errno, says that a file system or a sandbox does not know a call. EIO and the like say
/// that the call has failed.
bool not_supported(int code);

/// Calls that work goes on without.
enum class OptionalCall { flush_folder, flush_file, lock };

/// Prints once per process and call, to stderr, that the file system of `path` lacks it and what follows.
void say_not_supported(OptionalCall call, const std::string& path, int code);

}  // namespace outerloop::store
