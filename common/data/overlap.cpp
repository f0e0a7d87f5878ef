#include "common/data/overlap.h"

#include <algorithm>
#include <filesystem>
#include <string>

#include "common/base/error.h"
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

/// Datasets that read the same kind of files.
std::string kind(const DatasetRequest& request) {
  if (request.name == "fashion_mnist" || request.name == "mnist") return "idx";
  return request.name == "crops" || request.name == "folder" ? "pictures" : request.name;
}

/// True where both read some file.
bool share_files(const DatasetRequest& a, const DatasetRequest& b) {
  if (kind(a) != kind(b)) return false;
  const fs::path a_folder = source_folder(a);
  const fs::path b_folder = source_folder(b);
  if (a_folder == b_folder) return true;
  for (const char* flat : {"idx", "cifar10", "reviews", "npy", "hdf5"})
    if (kind(a) == flat) return false;  // nothing below a folder is read
  // Without a folder: all fonts of this machine, a folder's perhaps among them.
  return a_folder.empty() || b_folder.empty() || is_inside(a_folder, b_folder) ||
         is_inside(b_folder, a_folder);
}

/// True where the class split keeps the two apart: the same classes must have the same names in both.
bool split_by_class(const DatasetRequest& a, const DatasetRequest& b) {
  const bool disjoint = (a.classes == ClassSplit::train && b.classes == ClassSplit::held_out) ||
                        (a.classes == ClassSplit::held_out && b.classes == ClassSplit::train);
  return disjoint && a.name == b.name && (a.name == "glyphs" || source_folder(a) == source_folder(b));
}

/// What a request's examples are made from: composites of glyphs and crops, the classes for training alone.
std::vector<DatasetRequest> parts_of(const DatasetRequest& request) {
  if (request.name != "composites") return {request};
  DatasetRequest glyphs, crops;
  glyphs.name = "glyphs";
  crops.name = "crops";
  glyphs.classes = crops.classes = ClassSplit::train;
  return {glyphs, crops};
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
    for (const DatasetRequest& request : *requests) source_folder(request);  // refuses what it does not know
  for (const DatasetRequest& a : training)
    for (const DatasetRequest& b : evaluation) check_pair(a, b);
}

}  // namespace outerloop::data
