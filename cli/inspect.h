#pragma once
// outerloop inspect: what a rule.h5 or checkpoint holds, whether its checksums are right, and how two differ.
#include <string>
#include <vector>

#include "cli/support/command.h"

namespace outerloop::cli {

/// Adds the command to `app`.
Command add_inspect(CLI::App& app);

/// outerloop inspect A.h5 [B.h5]: prints what the file is, θ by name with shape and norm, history, Adam and
/// streams, after its checksums are verified; of two files also how they differ. `json_path`: also write the
/// result there, empty for none; of a damaged file it then says `checksum_ok: false`. Returns 0, or 1 where
/// the θ of two files differ (name, shape or any bit of a value). Throws InputError (exit 2): one or two
/// files are needed, a file cannot be read or is damaged.
int inspect(const std::vector<std::string>& files, const std::string& json_path);

/// outerloop inspect --config A.h5: prints the configuration that made the file, as protobuf text that
/// `train` reads, and nothing else. Returns 0. Throws InputError (exit 2): not one file, it cannot be read,
/// is damaged or holds none.
int inspect_config(const std::vector<std::string>& files);

/// A line of block characters of at most `width` columns, each the mean of its part of `values`, scaled from
/// their smallest to their largest; a space where a part holds no finite number.
std::string sparkline(const std::vector<double>& values, std::size_t width);

}  // namespace outerloop::cli
