#pragma once
// Encoding of a rule in a Document, shared by rule.h5 and checkpoints. Used only by the readers and writers
// of files.h.
#include <memory>
#include <string>
#include <vector>

#include "common/store/document.h"
#include "common/store/files.h"

namespace outerloop::store {

/// Most updates, steps or gradients that a file may count: sums of a few of them still fit.
inline constexpr std::int64_t kMostCounted = std::int64_t{1} << 60;

/// Adds /theta, /theta_average, /config and the root attributes but `kind` and `checksum`. Returns
/// theta_sha256.
std::string encode_rule(const RuleFile& file, Document& document);

/// Seals and writes the document atomically; adds `kind` and `checksum`.
void write_document(const std::string& path, Kind kind, Document& document);

/// Reads, verifies the user block, parses, and verifies `format`, `kind` and `checksum`. Throws InputError.
struct OpenedDocument {
  Kind kind;
  int format_version;
  std::string checksum;
  Document document;
};
OpenedDocument open_document(const std::string& path);

/// The same without the user block, which the caller has verified; `name` begins error messages.
OpenedDocument parse_document(const std::vector<std::uint8_t>& bytes, const std::string& name);

/// Adds /module with its SHA-256, where there is one.
void encode_module(const std::shared_ptr<const rule::ScriptedRule>& script, Document& document);

/// The module of a rule torchscript: its bytes, which nothing runs; null for other rules. Throws InputError.
std::shared_ptr<const rule::ScriptedRule> decode_module(const DocumentReader& reader,
                                                        const std::string& rule_name);

/// θ and its layout; theta_sha256 is verified. Throws InputError.
RuleFile decode_rule(const DocumentReader& reader);

/// The rule and the rest of a checkpoint. Throws InputError.
Checkpoint decode_checkpoint(const DocumentReader& reader);

/// One dataset per tensor of `layout` in `group` (ends in "/"), float64. `values` must have the layout's
/// size.
void encode_moments(const std::string& group, const rule::Layout& layout, const std::vector<double>& values,
                    Document& document);

/// The flat vector from a group that holds the layout's tensors; empty if `group` is absent. Throws
/// InputError that names a tensor that is missing, of another shape, or not in the layout.
std::vector<double> decode_flat(const DocumentReader& reader, const std::string& group,
                                const rule::Layout& layout);

}  // namespace outerloop::store
