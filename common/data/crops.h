#pragma once
// Random crops of photographs as a dataset: a class is a picture, an example is a grey crop.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/image.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// The folder where Debian's mate-backgrounds and gnome-backgrounds install their pictures.
extern const char* const kBackgroundsFolder;

constexpr std::int64_t kCropsPerPicture = 400;
/// Flat crops, with a standard deviation not above this, are redrawn.
constexpr double kFlatDeviation = 8.0;
/// A picture is nearly flat, and left out, if fewer than one in this many of its crops are not flat.
constexpr std::int64_t kFlatOdds = 4;
/// Pictures whose thumbnails correlate above this are the same one (another size, another colour).
constexpr double kSamePicture = 0.97;

/// The name of the picture's class: its path below `root` in lower case, without the extension and without
/// suffixes of variants: a size ("_3840x2160") or day and night ("-l", "-d", "-light", "-dark").
std::string picture_name(const std::filesystem::path& root, const std::filesystem::path& file);

/// kCropsPerPicture crops of a picture at 28 × 28, [crops, 28 * 28]; empty if the picture is nearly flat or
/// its shorter side has fewer than 56 pixels. Crops are squares: the side is log-uniform from 28 pixels to
/// half the shorter side, the position uniform. Candidate i is drawn from elements 3i .. 3i + 2 of (stable
/// hash of `name`, Purpose::crop).
std::vector<std::uint8_t> crop_picture(const GreyImage& picture, const std::string& name);

/// Crops of every picture below `root`, in the order of their paths. Left out: nearly flat pictures and
/// copies or variants of an earlier one. Pictures that are damaged or cannot be read are skipped and listed
/// in the set's remarks.
WorkingSet crop_pictures(const std::filesystem::path& root, const std::vector<std::filesystem::path>& files);

/// Everything other than the files that affects the result (versions and constants), for the cache's key.
std::string crops_recipe();

}  // namespace outerloop::data
