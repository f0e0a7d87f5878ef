#pragma once
// outerloop inspect: shows the contents of a rule.h5 or checkpoint, verifies its checksums, and compares two
// files.
#include <string>
#include <vector>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`.
Command add_inspect(CLI::App& app);

/// outerloop inspect A.h5 [B.h5]: verifies the checksums and prints the kind of file, θ by name with shape
/// and norm, history, Adam and streams; for two files also their differences. `json_path`: also write the
/// result there, empty for none; for a damaged file it then says `checksum_ok: false`. Returns 0, or 1 if the
/// θ of two files differ (name, shape or any bit of a value). Throws InputError (exit 2) for a wrong number
/// of files, and for an unreadable or damaged file.
int inspect(const std::vector<std::string>& files, const std::string& json_path);

/// outerloop inspect --config A.h5: prints only the configuration that made the file, as protobuf text that
/// `train` reads. Returns 0. Throws InputError (exit 2) for several files, and for an unreadable or damaged
/// file, or one without a configuration.
int inspect_config(const std::vector<std::string>& files);

/// A line of block characters of at most `width` columns, each the mean of its part of `values`, scaled from
/// their minimum to their maximum; a space if a part holds no finite number.
std::string sparkline(const std::vector<double>& values, std::size_t width);

}  // namespace outerloop::cli
