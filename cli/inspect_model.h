#pragma once
// What `outerloop inspect` says of a kept base model.
#include <string>

namespace outerloop::cli {

/// Prints it, and writes it to `json_path` where that is not empty. Throws InputError for a damaged file.
void inspect_model(const std::string& path, const std::string& json_path);

}  // namespace outerloop::cli
