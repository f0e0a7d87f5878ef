#include "common/data/overlap.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "common/base/error.h"
#include "common/data/listing.h"
#include "common/data/source_files.h"
#include "common/data/sources.h"

namespace outerloop::data {
namespace fs = std::filesystem;
namespace {

std::string describe(const DatasetRequest& request) {
  return request.path.empty() ? request.name : request.name + ":" + request.path;
}

bool is_inside(const fs::path& inner, const fs::path& outer) {
  const auto ends = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return ends.first == outer.end();
}

/// The places that a request reads: its path and, for a tree, the folders that links in it lead to.
std::vector<fs::path> places_of(const DatasetRequest& request) {
  std::vector<fs::path> places{source_path(request)};
  std::error_code error;
  if (dataset_kind(request.name).reads == Reads::tree && fs::is_directory(places.front(), error)) {
    const Listing listing = list_tree(places.front(), {});
    places.insert(places.end(), listing.linked.begin(), listing.linked.end());
  }
  return places;
}

/// True if both read a common file, or are the same computation.
bool share_files(const DatasetRequest& a, const DatasetRequest& b) {
  const DatasetKind& a_kind = dataset_kind(a.name);
  const DatasetKind& b_kind = dataset_kind(b.name);
  if (a_kind.reads == Reads::nothing || b_kind.reads == Reads::nothing) return a.name == b.name;
  if (std::string(a_kind.format) != b_kind.format) return false;
  // Every path is inside the empty one, which stands for all fonts of this machine and may include those of a
  // folder.
  for (const fs::path& of_a : places_of(a))
    for (const fs::path& of_b : places_of(b))
      if (of_a == of_b || (b_kind.reads == Reads::tree && is_inside(of_a, of_b)) ||
          (a_kind.reads == Reads::tree && is_inside(of_b, of_a)))
        return true;
  return false;
}

/// True if the class split separates the two: the same classes must have the same names in both.
bool split_by_class(const DatasetRequest& a, const DatasetRequest& b) {
  const bool disjoint = (a.classes == ClassSplit::train && b.classes == ClassSplit::held_out) ||
                        (a.classes == ClassSplit::held_out && b.classes == ClassSplit::train);
  return disjoint && a.name == b.name &&
         (dataset_kind(a.name).same_classes_everywhere || source_path(a) == source_path(b));
}

/// The datasets that a request's examples are made from. The parts of a composed dataset use their training
/// classes only.
std::vector<DatasetRequest> parts_of(const DatasetRequest& request) {
  std::vector<DatasetRequest> parts;
  for (const char* name : dataset_kind(request.name).made_of) {
    parts.emplace_back();
    parts.back().name = name;
    parts.back().classes = ClassSplit::train;
  }
  return parts.empty() ? std::vector<DatasetRequest>{request} : parts;
}

bool overlap(const DatasetRequest& a, const DatasetRequest& b) {
  if (a.name == b.name) return share_files(a, b) && !split_by_class(a, b);
  for (const DatasetRequest& of_a : parts_of(a))
    for (const DatasetRequest& of_b : parts_of(b))
      if (share_files(of_a, of_b) && !split_by_class(of_a, of_b)) return true;
  return false;
}

void check_pair(const DatasetRequest& training, const DatasetRequest& evaluation) {
  if (!overlap(training, evaluation)) return;
  throw InputError(
      "dataset " + describe(evaluation) + " is for evaluation, and training reads the same data as " +
      describe(training) +
      ": take another dataset for one of them, or classes: train there and classes: held_out here");
}

}  // namespace

void check_no_overlap(const std::vector<DatasetRequest>& training,
                      const std::vector<DatasetRequest>& evaluation) {
  for (const auto* requests : {&training, &evaluation})
    for (const DatasetRequest& request : *requests) source_path(request);  // throws for unknown datasets
  for (const DatasetRequest& a : training)
    for (const DatasetRequest& b : evaluation) check_pair(a, b);
}

}  // namespace outerloop::data
