#pragma once
// System calls that a file system may lack: reports the missing call once; work continues without it.
#include <string>

namespace outerloop::store {

/// Whether the errno `code` means that a file system or a sandbox does not support a call. EIO and similar
/// mean that the call failed.
bool not_supported(int code);

/// Calls that are optional.
enum class OptionalCall { flush_folder, flush_file, lock };

/// Prints once per process and call, to stderr, that the file system of `path` lacks the call, and the
/// consequence.
void say_not_supported(OptionalCall call, const std::string& path, int code);

}  // namespace outerloop::store
