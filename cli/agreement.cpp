#include "cli/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "coordinator/admission.h"

namespace outerloop::cli {
namespace {

constexpr std::size_t kShownRanks = 6;
constexpr std::size_t kShownDigits = 12;  // of a SHA-256
const std::string kUnknown = "unknown";

/// Ranks with the same value, sorted by rank.
using Group = std::vector<const RankReport*>;

template <class Key>
std::vector<Group> groups_by(const std::vector<RankReport>& reports, const Key& key) {
  std::vector<Group> groups;
  for (const auto& report : reports) {
    const auto same = [&](const Group& group) { return key(*group.front()) == key(report); };
    const auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end())
      groups.push_back({&report});
    else
      found->push_back(&report);
  }
  return groups;
}

/// "rank 3 on n1", "ranks 1, 2, 4 on n0 and n2", "ranks 1, 2, 3, 4, 5, 6 and 30 more on n0 and 4 more"
std::string who(const Group& group) {
  std::string ranks, hosts;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (i < kShownRanks) ranks += fmt::format("{}{}", i > 0 ? ", " : "", group[i]->rank);
    if (!seen.insert(group[i]->host).second || seen.size() > kShownRanks) continue;
    hosts += fmt::format("{}{}", hosts.empty() ? "" : ", ", group[i]->host);
  }
  const auto more = [](std::size_t count) {
    return count > kShownRanks ? fmt::format(" and {} more", count - kShownRanks) : std::string();
  };
  return fmt::format("rank{} {}{} on {}{}", group.size() > 1 ? "s" : "", ranks, more(group.size()), hosts,
                     more(seen.size()));
}

std::string what(const RankReport& report, const std::string& key) {
  const auto found = report.datasets.find(key);
  if (found == report.datasets.end()) return "nothing";
  return fmt::format("{} examples of {} classes (SHA-256 {}...)", found->second.examples,
                     found->second.classes, found->second.sha256.substr(0, kShownDigits));
}

std::string sha256_of(const RankReport& report, const std::string& key) {
  const auto found = report.datasets.find(key);
  return found == report.datasets.end() ? std::string() : found->second.sha256;
}

std::set<std::string> dataset_keys(const std::vector<RankReport>& reports) {
  std::set<std::string> keys;
  for (const auto& report : reports)
    for (const auto& entry : report.datasets) keys.insert(entry.first);
  return keys;
}

template <class Describe>
std::string joined(const std::vector<Group>& groups, const Describe& describe) {
  std::string text;
  for (const auto& group : groups)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", who(group), describe(*group.front()));
  return text;
}

}  // namespace

Disagreements disagreements(const std::vector<RankReport>& reports) {
  Disagreements result;
  for (const auto& key : dataset_keys(reports)) {
    const auto groups = groups_by(reports, [&](const RankReport& r) { return sha256_of(r, key); });
    if (groups.size() < 2) continue;
    result.datasets.push_back(fmt::format(
        "dataset {} differs between hosts: {}; give all hosts the same data", coordinator::dataset_name(key),
        joined(groups, [&](const RankReport& report) { return what(report, key); })));
  }
  std::vector<RankReport> known, unknown;
  for (const auto& report : reports)
    (report.revision.find(kUnknown) == std::string::npos ? known : unknown).push_back(report);
  const auto revision = [](const RankReport& report) { return report.revision; };
  if (const auto groups = groups_by(known, revision); groups.size() > 1)
    result.program.push_back(
        fmt::format("the program differs between hosts: {}; install the same one on all hosts",
                    joined(groups, revision)));
  if (!unknown.empty() && !known.empty())
    result.unknown.push_back(
        fmt::format("the revision of the program is unknown on some ranks, and may differ between hosts: {}",
                    joined(groups_by(unknown, revision), revision)));
  return result;
}

std::map<std::string, std::string> majority(const std::vector<RankReport>& reports) {
  std::map<std::string, std::string> result;
  for (const auto& key : dataset_keys(reports)) {
    const auto groups = groups_by(reports, [&](const RankReport& r) { return sha256_of(r, key); });
    const auto largest = std::max_element(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
      return a.size() < b.size();
    });  // the first
    result[key] = sha256_of(*largest->front(), key);
  }
  return result;
}

}  // namespace outerloop::cli
