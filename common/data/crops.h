#pragma once
// Random crops of photographs: a class = one picture, an example = one crop, in grey.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/data/image.h"
#include "common/data/working_set.h"

namespace outerloop::data {

/// Where Debian's mate-backgrounds and gnome-backgrounds put their pictures.
extern const char* const kBackgroundsFolder;

constexpr std::int64_t kCropsPerPicture = 400;
/// Crops whose standard deviation is not above this are drawn again.
constexpr double kFlatDeviation = 8.0;
/// A picture is nearly flat, and left out, where fewer than one in this many of its crops are not.
constexpr std::int64_t kFlatOdds = 4;
/// Pictures whose thumbnails correlate above this are the same one (another size, another colour).
constexpr double kSamePicture = 0.97;

/// Names the picture's class: its path below `root` without extension, and without what tells variants of one
/// picture apart: a size ("_3840x2160") or day and night ("-l", "-d", "-light", "-dark"). Lower case.
std::string picture_name(const std::filesystem::path& root, const std::filesystem::path& file);

/// kCropsPerPicture crops of a picture at 28 × 28, [crops, 28 * 28]; empty where the picture is nearly flat
/// or its shorter side has fewer than 56 pixels. Squares: the side is log-uniform from 28 pixels to half the
/// shorter side, the place uniform. Candidate i is drawn from elements 3i .. 3i + 2 of (stable hash of
/// `name`, Purpose::crop).
std::vector<std::uint8_t> crop_picture(const GreyImage& picture, const std::string& name);

/// Crops of every picture below `root`, in the order of their paths. Left out: nearly flat pictures and
/// copies or variants of an earlier one. Pictures that are damaged or cannot be read are passed over; the
/// set's remarks say so.
WorkingSet crop_pictures(const std::filesystem::path& root, const std::vector<std::filesystem::path>& files);

/// What besides the files decides about the result: versions and constants, for the cache's key.
std::string crops_recipe();

}  // namespace outerloop::data
