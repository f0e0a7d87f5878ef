#include "coordinator/run_directory.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "common/base/error.h"
#include "common/base/standard_streams.h"
#include "common/base/text.h"
#include "common/store/atomic_file.h"
#include "coordinator/folder_names.h"

namespace outerloop::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr double kRetrySeconds = 30.0;
constexpr double kLookSeconds = 5.0;
constexpr std::size_t kMostLine = 1 << 14;  // bytes of a warning: it may list hundreds of hosts

std::string best_path(const std::string& directory) { return directory + "/rule-best.h5"; }

std::string snapshots_path(const std::string& directory) { return directory + "/snapshots"; }

/// Removes snapshots of later updates, which an earlier start wrote after its last checkpoint.
void remove_snapshots_beyond(const std::string& directory, std::int64_t update) {
  std::error_code error;
  std::vector<fs::path> beyond;
  for (fs::directory_iterator entry(snapshots_path(directory), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().stem().string();
    const bool number = name.find_first_not_of("0123456789") == std::string::npos;
    if (!name.empty() && name.size() < 18 && number && std::stoll(name) > update)
      beyond.push_back(entry->path());
  }
  for (const auto& path : beyond) fs::remove(path, error);
}

std::string config_path(const std::string& directory) { return directory + "/config.textproto"; }

}  // namespace

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

void RunDirectory::refuse_used(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) throw InputError(path + ": is not a folder; choose another --run-dir");
  fs::directory_iterator entry(path, error);
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error))
    if (!may_be_found(entry->path().filename().string()))
      throw InputError(path +
                       ": the run directory is not empty; choose another, or continue it with --resume");
  if (error) throw InputError(path + ": the run directory cannot be listed: " + error.message());
}

void RunDirectory::create(const std::string& path, const std::string& config_text) {
  refuse_used(path);
  std::error_code error;
  fs::create_directories(path + "/checkpoints", error);
  if (error) throw InputError(path + ": the run directory cannot be made: " + error.message());
  try {
    write_config(path, config_text);
  } catch (const Error&) {
    remove_unstarted(path);
    throw;
  }
}

void RunDirectory::write_config(const std::string& path, const std::string& config_text) {
  store::write_file_atomically(config_path(path), config_text);
}

void RunDirectory::remove_unstarted(const std::string& path, RunLock* lock) {
  std::error_code ignored;
  LockOwner owner;
  if (lock != nullptr && lock->state(owner) != RunLock::State::mine) return;
  // Removes only an empty folder: a checkpoint means that there is a run.
  if (fs::remove(path + "/checkpoints", ignored)) {
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(path, ignored), end; !ignored && entry != end; entry.increment(ignored))
      if (is_of_a_start(entry->path().filename().string())) files.push_back(entry->path());
    for (const auto& file : files) fs::remove(file, ignored);
  }
  if (lock != nullptr) lock->release();
  fs::remove(path, ignored);
}

std::string RunDirectory::read_config(const std::string& path) {
  std::error_code error;  // opening a pipe would block
  const bool regular = fs::is_regular_file(config_path(path), error);
  std::ifstream stream;
  if (regular) stream.open(config_path(path));
  if (!regular || !stream)
    throw InputError(config_path(path) + ": cannot be read, so there is no run to resume in " + path +
                     "; start it without --resume");
  std::ostringstream text;
  text << stream.rdbuf();
  return base::without_byte_order_mark(text.str(), config_path(path));
}

RunDirectory::RunDirectory(std::string path, std::int64_t keep, std::int64_t log_every,
                           std::int64_t start_update, RunLock* lock)
    : path_(std::move(path)),
      keep_(keep),
      log_every_(log_every),
      lock_(lock),
      checkpoints_(path_ + "/checkpoints"),
      config_text_(read_config(path_)),
      logs_(path_, start_update, config_text_, [this](const std::string& line) { on_warning(line); }),
      last_written_(start_update) {
  store::remove_leftovers(path_);
  store::remove_leftovers(snapshots_path(path_));
  remove_snapshots_beyond(path_, start_update);
}

bool RunDirectory::read_latest(const std::string& path, store::Checkpoint& checkpoint,
                               std::vector<std::string>& passed_over) {
  store::CheckpointFolder::Found found;
  if (!store::CheckpointFolder(path + "/checkpoints").read_latest(found)) return false;
  passed_over = found.passed_over;
  checkpoint = std::move(found.checkpoint);
  return true;
}

std::optional<BestRule> RunDirectory::read_best(const std::string& path,
                                                std::vector<std::string>& passed_over) {
  std::error_code error;
  if (!fs::exists(best_path(path), error)) return std::nullopt;
  try {
    const auto rule = store::read_rule(best_path(path));
    if (!std::isfinite(rule.validation_meta_objective)) return std::nullopt;
    return BestRule{rule.update, rule.validation_meta_objective};
  } catch (const InputError& damage) {
    passed_over.push_back(damage.what());
    return std::nullopt;
  }
}

void RunDirectory::write_start(const nlohmann::json& environment, const nlohmann::json& result) {
  environment_ = environment;
  result_ = result;
  try {
    store::write_file_atomically(path_ + "/environment.json", environment.dump(2) + "\n");
    store::write_file_atomically(path_ + "/result.json", result.dump(2) + "\n");
  } catch (const Error& error) {
    on_warning(fmt::format("training begins anyway: {}", error.what()));
  }
}

void RunDirectory::write_result(const nlohmann::json& result) {
  if (const std::string refusal = prepare_to_write(); !refusal.empty()) throw Error(refusal);
  store::write_file_atomically(path_ + "/result.json", result.dump(2) + "\n");
}

/// Reads the lock file before each write of a file that a resume would read. While it cannot be read, nothing
/// is written: the owner is unknown.
std::string RunDirectory::check_lock() const {
  if (lock_ == nullptr) return {};
  LockOwner owner;
  int code = 0;
  const auto state = lock_->state(owner, &code);
  if (state == RunLock::State::unreadable)
    return path_ + ": the lock cannot be read: " + std::generic_category().message(code);
  if (state == RunLock::State::taken)
    throw Error(fmt::format(
        "{}: {} has taken over this run, according to its lock; this process ends without writing", path_,
        owner.name()));
  if (state != RunLock::State::missing) return {};
  std::vector<std::int64_t> present;
  try {
    present = checkpoints_.updates();
  } catch (const Error& error) {
    return error.what();
  }
  if (!present.empty() && present.back() > last_written_)
    throw Error(path_ + ": another process has continued this run; this process ends without writing");
  return {};
}

std::string RunDirectory::prepare_to_write() {
  if (std::string refusal = check_lock(); !refusal.empty()) return refusal;
  std::error_code error;
  const bool deleted = !fs::exists(config_path(path_), error) && !error;
  if (deleted) restore();
  LockOwner owner;
  if (lock_ == nullptr || lock_->state(owner) != RunLock::State::missing) return {};
  try {
    if (lock_->renew()) return {};
  } catch (const Error&) {
    return {};  // the disk refuses; the write that follows reports it
  }
  return check_lock();
}

void RunDirectory::restore() {
  std::error_code error;
  fs::create_directories(path_ + "/checkpoints", error);
  if (!deletion_said_)
    on_warning(path_ + ": was deleted during the run; it is recreated without its old contents");
  deletion_said_ = true;
  try {
    write_config(path_, config_text_);
    deletion_said_ = false;  // a further deletion is reported again
    if (!environment_.is_null())
      store::write_file_atomically(path_ + "/environment.json", environment_.dump(2) + "\n");
    if (!result_.is_null()) store::write_file_atomically(path_ + "/result.json", result_.dump(2) + "\n");
    logs_.reopen(newest_.update);
  } catch (const Error&) {
    // The disk refuses; the checkpoint is written next and reports it.
  }
  if (best_rule_) unwritten_best_ = best_rule_;
}

void RunDirectory::on_update(const UpdateRecord& record) {
  newest_ = record;
  logs_.update(record, record.update % log_every_ == 0 || record.stepped_back_to);
}

void RunDirectory::on_checkpoint(const store::Checkpoint& checkpoint) {
  std::string refusal = prepare_to_write();
  unwritten_ = checkpoint;
  unwritten_->rule.created = utc_now();
  unwritten_rule_ = unwritten_->rule;
  if (refusal.empty()) {
    write_best();
    refusal = write_unwritten();
  }
  say_once(refusal, unwritten_ ? "checkpoint" : "rule.h5", checkpoint.rule.update);
}

/// Reports a refusal only once, until a checkpoint and its rule.h5 are written again.
void RunDirectory::say_once(const std::string& refusal, const char* what, std::int64_t update) {
  if (refusal.empty() && refusal_said_)
    on_warning(fmt::format("checkpoint of update {} is now written: the disk works again", update));
  if (!refusal.empty() && !refusal_said_)
    on_warning(fmt::format("{} of update {} was not written, training continues: {}", what, update, refusal));
  refusal_said_ = !refusal.empty();
}

std::optional<std::int64_t> RunDirectory::rule_update() const {
  if (rule_written_ && !unwritten_rule_) return rule_written_;
  try {
    return store::read_rule(path_ + "/rule.h5").update;
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool RunDirectory::has_checkpoint() const {
  try {
    return !checkpoints_.updates().empty();
  } catch (const Error&) {
    return false;
  }
}

void RunDirectory::retry(double now) {
  if (now >= next_look_) {
    next_look_ = now + kLookSeconds;
    prepare_to_write();  // a refusal is reported by the next write
  }
  if (last_checkpoint_written()) {
    next_try_.reset();
    return;
  }
  if (!next_try_) next_try_ = now + kRetrySeconds;
  if (now < *next_try_) return;
  next_try_ = now + kRetrySeconds;
  const std::int64_t update = unwritten_ ? unwritten_->rule.update : unwritten_rule_->update;
  std::string refusal = prepare_to_write();
  if (refusal.empty()) refusal = write_unwritten();
  say_once(refusal, unwritten_ ? "checkpoint" : "rule.h5", update);
}

/// Writes rule.h5 even if the checkpoint fails.
std::string RunDirectory::write_unwritten() {
  std::string refusal;
  try {
    if (unwritten_) write_checkpoint();
  } catch (const Error& error) {
    refusal = error.what();
  }
  try {
    if (unwritten_rule_) {
      theta_sha256_ = store::write_rule(path_ + "/rule.h5", *unwritten_rule_);
      rule_written_ = unwritten_rule_->update;
    }
    unwritten_rule_.reset();
  } catch (const Error& error) {
    if (refusal.empty()) refusal = error.what();
  }
  return refusal;
}

void RunDirectory::write_checkpoint() {
  const store::Checkpoint checkpoint = std::move(*unwritten_);
  unwritten_.reset();
  try {
    theta_sha256_ = checkpoints_.write(checkpoint, keep_);
  } catch (const Error&) {
    unwritten_ = checkpoint;
    throw;
  }
  last_written_ = checkpoint.rule.update;
  const std::string& refusal = checkpoints_.link_refusal();
  if (!refusal.empty() && !link_failed_)
    on_warning(fmt::format("{}; checkpoints are still written, and found without it", refusal));
  link_failed_ = link_failed_ || !refusal.empty();
  logs_.write_histograms(checkpoint);
  logs_.write({{"event", "checkpoint"},
               {"update", checkpoint.rule.update},
               {"seconds", checkpoint.seconds},
               {"theta_sha256", theta_sha256_}});
}

void RunDirectory::on_evaluation(const EvaluationRecord& record) {
  if (record.best) {
    best_rule_ = record.rule;
    best_rule_->validation_meta_objective = record.validation;
    best_rule_->created = utc_now();
    unwritten_best_ = best_rule_;
    write_best();
  }
  logs_.evaluation(record);
}

void RunDirectory::write_best() {
  if (!unwritten_best_) return;
  try {
    store::write_rule(best_path(path_), *unwritten_best_);
    unwritten_best_.reset();
  } catch (const Error& error) {
    on_warning(fmt::format("the best rule so far, of update {}, was not written, training continues: {}",
                           unwritten_best_->update, error.what()));
  }
}

void RunDirectory::on_snapshot(const store::RuleFile& rule) {
  const std::string folder = snapshots_path(path_);
  try {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw Error(folder + ": cannot be made: " + error.message());
    auto dated = rule;
    dated.created = utc_now();
    store::write_rule(fmt::format("{}/{:09d}.h5", folder, rule.update), dated);
  } catch (const Error& error) {
    on_warning(fmt::format("θ of update {} is not kept, training continues: {}", rule.update, error.what()));
  }
}

void RunDirectory::on_warning(const std::string& text) {
  const std::string line = base::printable(text, kMostLine);
  base::print_remark(line);
  std::error_code error;
  if (!fs::is_fifo(path_ + "/log.txt", error))
    std::ofstream(path_ + "/log.txt", std::ios::app) << utc_now() << " " << line << "\n";
}

}  // namespace outerloop::coordinator
