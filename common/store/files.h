#pragma once
// Reads and writes rule.h5 (θ alone) and checkpoints, as HDF5. Layout: docs/checkpoints.md.
// Every file begins with a 512-byte user block: magic, length, and the SHA-256 of all bytes after it, which
// is checked before the HDF5 library sees the file. Written to .tmp, flushed, fsynced, renamed, directory
// fsynced. Not thread-safe (neither is Debian's HDF5 library): one thread of a process reads and writes.
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/rule/estimator.h"
#include "common/rule/layout.h"

namespace outerloop::store {

/// Files of this version or an older one are read. It grows by one when a reader of today would misread
/// tomorrow's files; datasets and attributes may be added without it. 2: labels and scales of axes, which 1
/// refuses.
inline constexpr int kFormatVersion = 2;

/// θ and what is known about it.
struct RuleFile {
  std::string rule;                   ///< its name: neuron_local | supervised_sgd
  rule::Layout layout;                ///< of theta, with axes and initializers; kept exactly, order included
  std::vector<double> theta;          ///< [layout.size()], stored as float32
  std::vector<double> theta_average;  ///< running average, stored as float32; empty where none is kept
  std::int64_t update = 0;
  std::string git_revision;
  std::string config;           ///< the resolved configuration, protobuf text format
  std::string created;          ///< ISO 8601, UTC; set by the caller
  std::string engine;           ///< that its gradients came from, described; empty: not known
  std::string instruction_set;  ///< of that engine
  /// Mean meta-objective on validation tasks, of a rule that was chosen by it; NaN: not evaluated.
  double validation_meta_objective = std::numeric_limits<double>::quiet_NaN();
};

/// One stream, as a resumed worker goes on from it.
struct StreamState {
  std::uint32_t stream = 0;
  std::uint32_t task = 0;        ///< index of the current task
  std::int64_t step = 0;         ///< inner steps already taken in it
  std::uint32_t truncation = 0;  ///< truncations already taken in it: the random counter of the next length
  std::int64_t begun_at = 0;     ///< update of θ at its first truncation
  std::vector<std::int64_t> units;     ///< architecture N_0 .. N_L
  std::string dataset;                 ///< name, for readers
  std::uint64_t permutation_seed = 0;  ///< for readers: (stream << 32) | task
  std::vector<double> phi;             ///< flat, laid out by rule::phi_layout; empty: the task has not begun
  std::vector<rule::PerturbedPair> pairs{};  ///< of persistent evolution strategies; empty elsewhere
};

/// θ and what moves it, as they were after an update at which the meta-objective was low.
struct SafePoint {
  std::int64_t update = 0;
  std::vector<double> theta;          ///< all four as float64, laid out as the rule's
  std::vector<double> theta_average;  ///< empty where none is kept
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
  double seconds = 0.0;                          ///< wall time of meta-training so far, over resumes
  std::map<std::string, std::string> dataset_sha256;  ///< by dataset key
  std::optional<SafePoint> safe_point;                ///< what a diverging run steps back to
};

/// What a file says of itself.
enum class Kind { theta, checkpoint, evaluation, model };
const char* kind_name(Kind kind);

/// Writes `file` to `path` atomically. Throws Error that names the path and the reason (disk full, ...); an
/// old file of that name stays whole then. Returns theta_sha256. Sizes must agree (θ with its layout, Adam's
/// moments with θ, φ with its units, columns with each other): throws Error otherwise.
std::string write_rule(const std::string& path, const RuleFile& file);
std::string write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Reads a rule.h5, or the rule inside a checkpoint. Throws InputError: no such file, ends early, checksum
/// differs, not an Outerloop file, newer format_version, a parameter missing or of another shape.
RuleFile read_rule(const std::string& path);
Checkpoint read_checkpoint(const std::string& path);

/// A file of either kind, with what it says of itself; all checksums have been verified.
struct Contents {
  Kind kind = Kind::theta;
  int format_version = 0;
  std::string theta_sha256;
  std::string checksum;   ///< over every dataset
  Checkpoint checkpoint;  ///< of a rule.h5 only `rule` is filled
};
Contents read_contents(const std::string& path);

/// Throws InputError where the file does not say what it is; verifies its checksums.
Kind read_kind(const std::string& path);

/// SHA-256 (hex) over the parameters in byte order of their names, each little-endian float32, row-major.
std::string theta_sha256(const rule::Layout& layout, const std::vector<double>& theta);

/// The file that `path` means: itself, or, where it ends in `latest` and no file is there (a file system
/// without links, a link that leads nowhere), the newest checkpoint in that folder.
std::string checkpoint_path(const std::string& path);

/// checkpoints/NNNNNNNNN.h5 of a run, and checkpoints/latest. One process writes.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::string directory) : directory_(std::move(directory)) {}

  /// Writes, moves `latest`, then deletes all but the newest `keep` (0: keep all), and with them what earlier
  /// writes have set aside. Returns theta_sha256. What a crash left half-written (.tmp) is removed first.
  /// Files of later updates, which a resume from this file's past has passed over, are set aside as
  /// NNNNNNNNN.h5.superseded. Throws Error. The link is a convenience: where it cannot be moved, the
  /// checkpoint counts, and link_refusal() says why.
  std::string write(const Checkpoint& checkpoint, std::int64_t keep);

  /// Why the last write could not move `latest`, which is then removed; or empty.
  const std::string& link_refusal() const { return link_refusal_; }

  struct Found {
    std::string path;
    Checkpoint checkpoint;
    std::vector<std::string> passed_over;  ///< one line for each newer file that was damaged
  };
  /// The newest complete checkpoint. Returns false where there is no checkpoint file at all; throws
  /// InputError that names the files where all are damaged.
  bool read_latest(Found& found) const;

  std::string path_of(std::int64_t update) const;
  /// Of the files that are there, ascending. Throws InputError where the folder cannot be listed.
  std::vector<std::int64_t> updates() const;

 private:
  std::vector<std::string> set_aside() const;  ///< *.superseded
  void point_latest(std::int64_t update);
  void delete_surplus(std::int64_t keep, const std::vector<std::string>& old);

  std::string directory_;
  std::string link_refusal_;
};

}  // namespace outerloop::store
