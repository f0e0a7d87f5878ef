#pragma once
// Reads and writes rule.h5 (θ alone) and checkpoints, as HDF5. Layout: docs/checkpoints.md.
// Every file begins with a 512-byte user block: magic, length, and the SHA-256 of all bytes after it, which
// is checked before the HDF5 library sees the file. Written to .tmp, flushed, fsynced, renamed, directory
// fsynced. Not thread-safe (nor is Debian's HDF5 library): use one thread per process to read and write.
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/rule/estimator.h"
#include "common/rule/layout.h"
#include "common/rule/scripted_rule.h"

namespace outerloop::store {

/// Files of this version and older ones can be read. It increases when a current reader would misread new
/// files; datasets and attributes may be added without an increase. 2: labels and scales of axes, which
/// readers of version 1 reject.
inline constexpr int kFormatVersion = 2;

/// A rule: θ and its metadata.
struct RuleFile {
  std::string rule;                   ///< its name: neuron_local | supervised_sgd | torchscript
  rule::Layout layout;                ///< of theta, with axes and initializers; kept exactly, order included
  std::vector<double> theta;          ///< [layout.size()], stored as float32
  std::vector<double> theta_average;  ///< running average, stored as float32; empty if none is kept
  std::int64_t update = 0;
  std::string git_revision;
  std::string config;           ///< the resolved configuration, protobuf text format
  std::string created;          ///< ISO 8601, UTC; set by the caller
  std::string engine;           ///< description of the engine of its gradients; empty: unknown
  std::string instruction_set;  ///< of that engine
  /// Mean meta-objective on validation tasks, for a rule selected by it; NaN: not evaluated.
  double validation_meta_objective = std::numeric_limits<double>::quiet_NaN();
  /// The module of the rule torchscript. As read from a file it is bytes alone, which nothing has run;
  /// writing a checkpoint with streams needs its phi_layout.
  std::shared_ptr<const rule::ScriptedRule> script{};
};

/// State of one of a stream's lanes: of the task that it is at.
struct LaneState {
  std::uint32_t task = 0;              ///< index of the task; above the stream's where one has ended early
  std::int64_t step = 0;               ///< inner steps already taken in it
  std::uint32_t truncation = 0;        ///< truncations already taken in it
  std::vector<std::int64_t> units;     ///< architecture N_0 .. N_L
  std::string dataset;                 ///< name, for readers
  std::uint64_t permutation_seed = 0;  ///< for readers: (stream · lanes + lane) << 32 | task
  std::vector<double> phi;             ///< flat, laid out by rule::phi_layout
  std::vector<rule::PerturbedPair> pairs{};  ///< of persistent evolution strategies; empty elsewhere
};

/// State of one stream, from which a worker resumes. A round of it is one task of every lane.
struct StreamState {
  std::uint32_t stream = 0;
  std::uint32_t task = 0;          ///< index of the round: of the task that every lane began it with
  std::int64_t step = 0;           ///< inner steps already taken in it
  std::uint32_t truncation = 0;    ///< truncations already taken in it: the random counter of the next length
  std::int64_t begun_at = 0;       ///< update of θ at its first truncation
  std::vector<LaneState> lanes{};  ///< tasks.group of them; none: the round has not begun
};

/// θ and the optimizer's state after an update with a low meta-objective.
struct SafePoint {
  std::int64_t update = 0;
  std::vector<double> theta;          ///< all four in float64, laid out as the rule's θ
  std::vector<double> theta_average;  ///< empty if none is kept
  std::vector<double> adam_m;
  std::vector<double> adam_v;
};

struct Checkpoint {
  RuleFile rule;
  std::vector<double> adam_m;  ///< as theta, stored as float64; both empty before the first update
  std::vector<double> adam_v;
  std::int64_t adam_step = 0;
  std::map<std::string, std::vector<double>>
      history;                                   ///< columns of equal length; "update" and "seconds" at least
  std::vector<StreamState> streams;              ///< read back in the order of their numbers
  std::map<std::string, std::int64_t> counters;  ///< e.g. gradients, workers_lost, refused.stale
  double seconds = 0.0;                          ///< wall-clock time of meta-training, including resumes
  std::map<std::string, std::string> dataset_sha256;  ///< by dataset key
  std::optional<SafePoint> safe_point;                ///< the state that a diverging run rolls back to
};

/// Whether φ of a base model with these units has `values` values under the file's rule: no checkpoint holds
/// another.
bool phi_fits(const RuleFile& file, const std::vector<std::int64_t>& units, std::size_t values);

/// Metadata of a file.
enum class Kind { theta, checkpoint, evaluation, model };
const char* kind_name(Kind kind);

/// Writes `file` to `path` atomically. Throws Error that names the path and the reason (disk full, ...); an
/// old file of that name then stays intact. Returns theta_sha256. Sizes must agree (θ with its layout, Adam's
/// moments with θ, φ with its units, columns with each other): throws Error otherwise.
std::string write_rule(const std::string& path, const RuleFile& file);
std::string write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads a rule.h5, or the rule inside a checkpoint. Throws InputError: no such file, truncated, checksum
/// differs, not an Outerloop file, newer format_version, a parameter missing or of another shape.
RuleFile read_rule(const std::string& path);
Checkpoint read_checkpoint(const std::string& path);

/// A file of either kind with its metadata; all checksums have been verified.
struct Contents {
  Kind kind = Kind::theta;
  int format_version = 0;
  std::string theta_sha256;
  std::string checksum;   ///< over every dataset
  Checkpoint checkpoint;  ///< for a rule.h5 only `rule` is filled
};
Contents read_contents(const std::string& path);

/// Verifies the checksums. Throws InputError where the file does not state its kind.
Kind read_kind(const std::string& path);

/// SHA-256 (hex) over the parameters in byte order of their names, each little-endian float32, row-major.
std::string theta_sha256(const rule::Layout& layout, const std::vector<double>& theta);

/// SHA-256 (hex) of the module's file.
std::string module_sha256(const rule::ScriptedRule& script);

/// The file that `path` refers to: itself, or, if it ends in `latest` and there is no such file (a file
/// system without links, a dangling link), the newest checkpoint in that folder.
std::string checkpoint_path(const std::string& path);

/// checkpoints/NNNNNNNNN.h5 of a run, and checkpoints/latest. One process writes.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string directory) : directory_(std::move(directory)) {}

  /// Writes, moves `latest`, then deletes all but the newest `keep` (0: keep all), and the files set aside by
  /// earlier writes. Returns theta_sha256. Partial files of a crash (.tmp) are removed first. Files of later
  /// updates, left over when a run was resumed from an earlier checkpoint, are renamed to
  /// NNNNNNNNN.h5.superseded. Throws Error. The link is a convenience: if it cannot be moved, the checkpoint
  /// is still valid, and link_refusal() returns the reason.
  std::string write(const Checkpoint& checkpoint, std::int64_t keep);

  /// Why the last write could not move `latest`, which is then removed; empty if it could.
  const std::string& link_refusal() const { return link_refusal_; }

  struct Found {
    std::string path;
    Checkpoint checkpoint;
    std::vector<std::string> passed_over;  ///< one line for each newer file that was damaged
  };
  /// The newest complete checkpoint. Returns false if there is no checkpoint file at all; throws InputError
  /// that names the files where all are damaged.
  bool read_latest(Found& found) const;

  std::string path_of(std::int64_t update) const;
  /// Updates of the existing files, ascending. Throws InputError where the folder cannot be listed.
  std::vector<std::int64_t> updates() const;

 private:
  std::vector<std::string> set_aside() const;  ///< *.superseded
  void point_latest(std::int64_t update);
  void delete_surplus(std::int64_t keep, const std::vector<std::string>& old);

  std::string directory_;
  std::string link_refusal_;
};

}  // namespace outerloop::store
