#pragma once
// `outerloop inspect` for a saved base model.
#include <string>

namespace outerloop::cli {

/// Prints it, and writes it to `json_path` unless that is empty. Throws InputError for a damaged file.
void inspect_model(const std::string& path, const std::string& json_path);

}  // namespace outerloop::cli
