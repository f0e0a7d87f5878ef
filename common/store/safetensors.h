#pragma once
// Export of θ as safetensors, for programs without HDF5 or Outerloop: the length N (eight bytes,
// little-endian), N bytes of JSON with the offset of each tensor, then the tensors' bytes.
// https://github.com/huggingface/safetensors, format as of 0.4.
#include <string>
#include <vector>

#include "common/store/files.h"

namespace outerloop::store {

/// The bytes of a file with one float32 tensor, row-major, per tensor of the rule's layout, in its order and
/// under its name. `theta` [rule.layout.size()] is θ or its average, as given by `which` ("last", "average").
/// The metadata hold `format` (outerloop), `rule`, `update`, `theta`, `config`, `created`, `git_revision` and
/// each tensor's axes as `axes.NAME`; all texts. Values are rounded to float32, as in rule.h5. Throws Error
/// where sizes do not fit.
std::string safetensors_of(const RuleFile& rule, const std::vector<double>& theta, const std::string& which);

}  // namespace outerloop::store
